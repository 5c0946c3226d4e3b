//! `-t` with more than nginx's: other formats, a part of the test only, the standard input, fragments.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::compile;
use crate::diag::{Diag, Diags, FileId, Severity, render_long, render_nginx};
use crate::directives::{Target, compat};
use crate::explain::pins::Impact;
use crate::lint::lint;
use crate::log::Logs;
use crate::process::{self, Options};
use crate::source::{self, Conf};
use crate::sys;

use super::args::Args;
use super::ignored;
use super::impact;
use super::options::LONG;
use super::place::Place;
use super::report::{Format, Report};
use super::sub::{print, stdin};
use super::zones;

/// The long options of `-t`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct More {
    format: Option<Format>,
    level: Option<Level>,
    /// The blocks that a fragment stands in.
    context: Option<Vec<String>>,
    /// The program whose names are asked for.
    compat: Option<Target>,
}

/// How far the test goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Advice on sessions alone: `tenrec lint`.
    Lint,
    /// The form of all files.
    Syntax,
    /// All that does not depend on where the test runs.
    Semantic,
    /// Host names, users, logs, ports, the pid file: nginx's whole test.
    Environment,
}

impl Level {
    const ALL: [(&'static str, Level); 3] =
        [("syntax", Level::Syntax), ("semantic", Level::Semantic), ("environment", Level::Environment)];

    pub(super) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("lint", |(word, _)| word)
    }
}

/// The blocks that a fragment may stand in, and how they begin in the file around it.
const BLOCKS: &[(&str, &str)] = &[
    ("main", ""),
    ("events", "events {"),
    ("http", "http {"),
    ("server", "server {"),
    ("location", "location / {"),
    ("upstream", "upstream tenrec_fragment {"),
    ("if", "if ($host) {"),
];

impl More {
    /// Takes the option `word`, with the next word when that is its value. Whether it was one of these.
    pub(super) fn take<'a>(
        &mut self,
        word: &OsString,
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<bool, String> {
        let Some(option) = word.to_str().and_then(|w| w.strip_prefix("--")) else { return Ok(false) };
        let (name, value) = option.split_once('=').map_or((option, None), |(n, v)| (n, Some(v.to_owned())));
        if !LONG.iter().any(|f| f.name == name && f.value.is_some()) {
            return Ok(false);
        }
        let next = || rest.next().map(|v| v.to_string_lossy().into_owned());
        let Some(value) = value.or_else(next) else {
            return Err(format!("option \"--{name}\" requires parameter"));
        };
        let wrong = || format!("invalid option: \"--{name}={value}\"");
        match name {
            "compat" => self.compat = Some(Target::parse(&value).ok_or_else(wrong)?),
            "format" => self.format = Some(Format::parse(&value).ok_or_else(wrong)?),
            "level" => {
                let level = Level::ALL.iter().find(|(word, _)| *word == value).map(|(_, level)| *level);
                self.level = Some(level.ok_or_else(wrong)?);
            }
            _ => {
                let blocks: Vec<String> = value.split(',').map(str::to_owned).collect();
                if !blocks.iter().all(|b| BLOCKS.iter().any(|(name, _)| name == b)) {
                    return Err(wrong());
                }
                self.context = Some(blocks);
            }
        }
        Ok(true)
    }

    pub(super) fn asked(&self) -> bool {
        *self != Self::default()
    }
}

/// The file around a fragment.
const AROUND: &str = "/context";

pub(super) fn run(args: &Args) -> Result<u8, String> {
    if !args.test || args.dump || args.signal.is_some() {
        return Err(
            "\"--format\", \"--level\", \"--context\" and \"--compat\" go with \"-t\" alone".to_owned()
        );
    }
    let from_stdin = args.conf.as_deref() == Some("-".as_ref());
    let whole = !from_stdin && args.more.context.is_none();
    let level = args.more.level.unwrap_or(if whole { Level::Environment } else { Level::Semantic });
    if level == Level::Environment && !whole {
        return Err("\"--level=environment\" needs a whole configuration in a file".to_owned());
    }
    let place =
        Args { conf: if from_stdin { Some("/dev/stdin".into()) } else { args.conf.clone() }, ..args.clone() };
    let place =
        Place::find(&place).map_err(|e| format!("[emerg]: getcwd() failed ({})", sys::err_text(&e)))?;
    let globals = args.globals.as_ref().map(|g| g.to_string_lossy().into_owned());

    let mut given = HashMap::new();
    if from_stdin {
        let text = stdin()?;
        if u32::try_from(text.len()).is_err() {
            return Err("the standard input is too large".to_owned());
        }
        given.insert(place.conf.clone(), text);
    }
    let named = from_stdin || args.prefix.is_some();
    let folder = match place.conf.parent() {
        Some(parent) if whole || !named => parent.to_owned(),
        _ => place.prefix.clone(),
    };
    let main = match &args.more.context {
        Some(blocks) => {
            given.insert(AROUND.into(), around(blocks, &place.conf)?);
            PathBuf::from(AROUND)
        }
        None => place.conf.clone(),
    };
    let mut diags = Diags::new();
    let conf = source::load_given(&main, folder, globals.as_deref(), given, &mut diags);
    let (conf, mut diags, plan) = if level == Level::Syntax || conf.main_file.is_none() {
        (conf, diags, None)
    } else {
        let check = if level < Level::Environment { compile::check_text } else { compile::check };
        let loaded = check(conf, &place.prefix, diags);
        (loaded.conf, loaded.diags, loaded.plan)
    };
    if let Some(target) = args.more.compat.filter(|_| conf.main_file.is_some()) {
        compat(&conf, target, &mut diags);
        let order = conf.reading_order();
        diags.sort_by_place(|file, offset| order.rank(file, offset));
    }
    let mut impacts = None;
    if level < Level::Environment {
        diags = without(&diags, |d| is_environment(d) || is_around(&conf, d));
    } else if let Some(plan) = plan {
        impacts = impact::of(&plan);
        let options = Options {
            prefix: place.prefix.clone(),
            conf: place.conf.clone(),
            globals,
            error_log: place.error_log.clone(),
            argv: Vec::new(),
            greet: false,
        };
        let builtin = Logs::console_alone();
        if !process::probe(&options, &plan, &builtin) {
            let text = "the configuration cannot be started here; the standard error says why";
            diags.push(Diag::emerg("environment", text));
        }
    }
    Ok(tell(args, &place.conf, level, &conf, &diags, impacts.as_deref()))
}

/// The text of the file around a fragment.
fn around(blocks: &[String], fragment: &Path) -> Result<Vec<u8>, String> {
    let name = fragment.as_os_str().as_bytes();
    if name.iter().any(|b| matches!(b, b'*' | b'?' | b'[')) {
        return Err(format!("{}: a fragment's name must not be a pattern", fragment.display()));
    }
    let mut text = Vec::new();
    if blocks.iter().all(|b| b != "events") {
        text.extend_from_slice(b"events {}\n");
    }
    let starts = blocks.iter().filter_map(|b| BLOCKS.iter().find(|(name, _)| name == b));
    let starts: Vec<&str> = starts.map(|(_, start)| *start).filter(|start| !start.is_empty()).collect();
    text.extend_from_slice(starts.join(" ").as_bytes());
    text.extend_from_slice(b" include \"");
    for &b in name {
        if matches!(b, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(b);
    }
    text.extend_from_slice(b"\"; ");
    text.extend_from_slice("}".repeat(starts.len()).as_bytes());
    Ok(text)
}

fn without(diags: &Diags, left_out: impl Fn(&Diag) -> bool) -> Diags {
    let mut kept = Diags::new();
    diags.iter().filter(|d| !left_out(d)).for_each(|d| kept.push(d.clone()));
    kept
}

/// Whether it depends on where the test runs.
fn is_environment(diag: &Diag) -> bool {
    let begins = ["host not found", "getpwnam(", "getgrnam("];
    matches!(diag.code, "host-not-found" | compile::KEY_FILE)
        || begins.iter().any(|b| diag.message.starts_with(b))
}

/// Whether it is said of the file around a fragment, which nobody wrote. That the fragment is not there is told.
fn is_around(conf: &Conf, diag: &Diag) -> bool {
    let of = |file: FileId| conf.map.file(file).name == AROUND;
    !matches!(diag.code, "open-failed" | "read-failed") && diag.at.is_some_and(|(file, _)| of(file))
}

/// What a person is told beside nginx's lines: advice on sessions, what is accepted without effect, and what becomes of
/// the sessions that are.
pub(super) fn advice(conf: &Conf, impacts: &[Impact]) -> String {
    let mut out = String::new();
    for finding in lint(conf) {
        let text = render_long(&conf.map, &finding.diag);
        out += &format!("{} {}\n", finding.diag.code, text.strip_prefix("nginx: ").unwrap_or(&text));
    }
    out + &ignored::text(conf) + &zones::text(conf) + &impact::text(impacts)
}

/// Prints it all and returns the exit code.
fn tell(
    args: &Args,
    main: &Path,
    level: Level,
    conf: &Conf,
    diags: &Diags,
    impacts: Option<&[Impact]>,
) -> u8 {
    let failed = diags.fatal();
    if let Some(format) = args.more.format {
        let findings = if level > Level::Syntax { lint(conf) } else { Vec::new() };
        let mut all = diags.clone();
        findings.iter().for_each(|f| all.push(f.diag.clone()));
        print(
            Report { conf, diags: &all, main, level, findings: &findings, around: AROUND, impacts }
                .text(format)
                .as_bytes(),
        );
        return u8::from(failed);
    }
    let long = io::stderr().is_terminal();
    let mut out = String::new();
    for diag in diags.iter().filter(|d| !args.quiet || d.severity <= Severity::Warn) {
        let line = if long { render_long(&conf.map, diag) } else { render_nginx(&conf.map, diag) };
        out += &line;
        out.push('\n');
    }
    if long && !failed && !args.quiet && level > Level::Syntax {
        out += &advice(conf, impacts.unwrap_or_default());
    }
    let name = main.display();
    if failed {
        out += &format!("nginx: configuration file {name} test failed\n");
    } else if !args.quiet {
        out += &format!("nginx: the configuration file {name} syntax is ok\n");
        if level > Level::Syntax {
            out += &format!("nginx: configuration file {name} test is successful\n");
        }
    }
    sys::write_stderr(out.as_bytes());
    u8::from(failed)
}
