//! What every reader of a directive has at hand.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::access::Formats;
use super::{Found, Place};
use crate::source::Dir;

/// The reading of one configuration.
pub struct Cx<'a> {
    pub found: &'a mut Found,
    /// nginx's prefix: what relative paths start from.
    pub prefix: &'a Path,
    /// Places of directives that were refused already and are not read.
    pub refused: &'a HashSet<Place>,
    /// `$hostname`
    pub hostname: &'a [u8],
    /// The location that is being read.
    pub loc: Here,
    /// The log formats that were read.
    pub formats: Formats,
    /// The character sets that were named: nginx spells each as it was written first.
    pub charsets: Vec<Box<[u8]>>,
    /// The variables that texts name, in the order in which they were read.
    pub used: Vec<Box<str>>,
}

/// What a directive may ask of the location around it.
#[derive(Debug, Clone, Default)]
pub struct Here {
    pub name: Box<[u8]>,
    pub named: bool,
    pub regex: bool,
    pub pass: PassSeen,
}

/// Whether a `proxy_pass` was seen in the location.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PassSeen {
    #[default]
    No,
    Url,
    Variable,
}

impl Cx<'_> {
    /// `MESSAGE in FILE:LINE`
    pub fn emerg(&mut self, d: Dir<'_>, message: impl Into<String>) {
        self.found.emerg(d.at(), "bad-value", message);
    }

    pub fn warn(&mut self, d: Dir<'_>, message: impl Into<String>) {
        self.found.warn(d.at(), "suspicious", message);
    }

    /// `"NAME" directive WHAT in FILE:LINE`
    pub fn says(&mut self, d: Dir<'_>, what: &str) {
        let code = if what == "is duplicate" { "duplicate" } else { "bad-value" };
        self.found.emerg(d.at(), code, format!("\"{}\" directive {what}", d.name()));
    }

    /// Whether a directive was refused before it came here.
    pub fn refused(&self, d: Dir<'_>) -> bool {
        self.refused.contains(&d.at())
    }

    /// A path against the prefix; an absolute one stays.
    pub fn path(&self, text: &[u8]) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(text));
        if path.is_absolute() { path.to_owned() } else { self.prefix.join(path) }
    }

    /// The same for a path that may have variables: bytes, untouched when it begins with one.
    pub fn full_name(&self, text: &[u8]) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt;
        if matches!(text.first(), Some(b'/' | b'$')) {
            return text.to_vec();
        }
        let mut full = self.prefix.as_os_str().as_bytes().to_vec();
        if full.last() != Some(&b'/') {
            full.push(b'/');
        }
        full.extend_from_slice(text);
        full
    }
}

/// Bytes of the configuration in a message.
pub fn show(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
