//! The whole configuration as settings.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::cx::Here;
use super::{Cx, Events, Found, Http, Main, Place};
use crate::source::Conf;
use crate::sys;

/// Everything that a configuration says.
#[derive(Debug, Default)]
pub struct Settings {
    pub main: Main,
    pub events: Option<Events>,
    pub http: Option<Http>,
    /// The variables that texts name, as often as they do; each must be one.
    pub used: Vec<Box<str>>,
    /// What relative names of certificates and keys belong to.
    pub folder: PathBuf,
}

/// Reads a configuration whose paths are relative to `prefix`; the directives at `refused` places are not read.
pub fn read(conf: &Conf, prefix: &Path, refused: &HashSet<Place>, found: &mut Found) -> Settings {
    let hostname = sys::hostname();
    let mut cx = Cx {
        found,
        prefix,
        refused,
        hostname: hostname.as_bytes(),
        loc: Here::default(),
        formats: super::Formats::default(),
        charsets: Vec::new(),
        used: Vec::new(),
    };
    let mut settings = Settings { folder: conf.folder.clone(), ..Settings::default() };
    for d in conf.main() {
        if cx.refused(d) {
            continue;
        }
        match d.name() {
            "events" if settings.events.is_some() => cx.says(d, "is duplicate"),
            "events" => {
                let mut events = Events::default();
                for d in d.children() {
                    if !cx.refused(d) {
                        events.read(&mut cx, d);
                    }
                }
                settings.events = Some(events);
            }
            "http" if settings.http.is_some() => cx.says(d, "is duplicate"),
            "http" => settings.http = Some(Http::read(&mut cx, d)),
            _ => settings.main.read(&mut cx, d),
        }
    }
    if settings.events.is_none() {
        let words = "no \"events\" section in configuration";
        cx.found.late(None, super::Step::Read, crate::diag::Severity::Emerg, None, words);
    }
    settings.used = cx.used;
    settings
}
