//! From the input to the output and its report.

use std::path::Path;

use super::can::Can;
use super::input::{Input, Place, Problem};
use super::model::Line;
use super::report::Report;
use super::{fgw, haproxy, verify, writer};

/// The systems whose files are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Fgw,
    Haproxy,
}

impl Dialect {
    pub const ALL: &[(&str, Dialect)] = &[("haproxy", Dialect::Haproxy), ("fgw", Dialect::Fgw)];

    /// The dialect of a word of `--from`.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, d)| *d)
    }

    fn title(self) -> &'static str {
        match self {
            Dialect::Fgw => "FGW",
            Dialect::Haproxy => "HAProxy",
        }
    }
}

/// A configuration for tenrec and what became of the input.
#[derive(Debug)]
pub struct Converted {
    pub conf: String,
    pub report: Report,
}

/// Converts the files of one system. `prefix` is where relative names of the output will start from.
pub fn convert(dialect: Dialect, inputs: &[Input], can: Can, prefix: &Path) -> Result<Converted, Problem> {
    let mut report = Report::new(inputs);
    let mut model = match dialect {
        Dialect::Fgw => fgw::convert(inputs, can, &mut report)?,
        Dialect::Haproxy => haproxy::convert(inputs, can, &mut report)?,
    };
    report.sessions = model.sessions.clone();
    // What nginx does by itself and these systems do not.
    let unlike = [["access_log", "off"], ["client_max_body_size", "0"], ["proxy_redirect", "off"]];
    model.http.splice(0..0, unlike.map(|words| Line::new(None, words)));
    let mut text = writer::write(&model, inputs, dialect.title());
    let start = Place { file: 0, line: 1, column: 1 };
    let refused = verify::settle(&mut text, prefix)
        .map_err(|why| Problem::new(inputs, start, format!("the result would not load: {why}")))?;
    report.rows.extend(refused);
    report.rows.sort_by_key(|r| r.place);
    Ok(Converted { conf: text.join(), report })
}
