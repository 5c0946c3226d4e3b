//! The files of a run and places in them.

use std::fmt;

/// A file as read.
#[derive(Debug, Clone)]
pub struct Input {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Where something stands: the number of the input, the line and the column in bytes, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub file: usize,
    pub line: u32,
    pub column: u32,
}

/// Why an input cannot be converted at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl Problem {
    pub(super) fn new(inputs: &[Input], place: Place, message: impl Into<String>) -> Self {
        let file = inputs.get(place.file).map_or_else(String::new, |i| i.name.clone());
        Self { file, line: place.line, column: place.column, message: message.into() }
    }
}

impl Input {
    /// The text, a byte order mark left out. What is not UTF-8 is refused where it begins.
    pub(super) fn text(&self) -> Result<&str, Problem> {
        let bytes = self.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.bytes);
        let at = |offset: usize, message: &str| {
            let before = bytes.get(..offset).unwrap_or_default();
            let line = before.iter().filter(|b| **b == b'\n').count();
            let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
            Problem {
                file: self.name.clone(),
                line: u32::try_from(line + 1).unwrap_or(u32::MAX),
                column: u32::try_from(offset - start + 1).unwrap_or(u32::MAX),
                message: message.to_owned(),
            }
        };
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Err(at(0, "this is UTF-16; save it as UTF-8"));
        }
        if let Some(zero) = bytes.iter().position(|b| *b == 0) {
            return Err(at(zero, "a zero byte: this is no text"));
        }
        std::str::from_utf8(bytes).map_err(|e| at(e.valid_up_to(), "not UTF-8; save it as UTF-8"))
    }
}
