//! What became of every line or field of the input.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::input::{Input, Place};

/// What became of a line or field; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It means the same as before.
    Exact,
    /// It works, and differs as the row says.
    Approximated,
    /// It is not in the output, for the reason that the row gives.
    Dropped,
}

impl Class {
    pub fn word(self) -> &'static str {
        match self {
            Class::Exact => "exact",
            Class::Approximated => "approximated",
            Class::Dropped => "dropped",
        }
    }
}

/// One line or field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub place: Place,
    /// The line as written, or the field's path.
    pub subject: String,
    pub class: Class,
    /// How or why, and what it became.
    pub note: String,
}

/// What happens to the sessions that the old system holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its cookies lead to the same servers here.
    Kept,
    /// They do, because each server was given the old system's name for it.
    KeptByAlias,
    /// They are balanced anew once.
    Lost,
}

impl Fate {
    pub fn word(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::KeptByAlias => "kept by alias",
            Fate::Lost => "lost",
        }
    }
}

/// The sessions of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    pub upstream: String,
    pub fate: Fate,
    pub why: String,
}

#[derive(Debug, Default, Clone)]
pub struct Report {
    /// The names of the inputs.
    pub files: Vec<String>,
    /// In the order of the input.
    pub rows: Vec<Row>,
    pub sessions: Vec<Sessions>,
}

impl Report {
    pub(super) fn new(inputs: &[Input]) -> Self {
        Self { files: inputs.iter().map(|i| i.name.clone()).collect(), ..Self::default() }
    }

    pub fn count(&self, class: Class) -> usize {
        self.rows.iter().filter(|r| r.class == class).count()
    }

    /// Whether something of the input is not in the output.
    pub fn dropped(&self) -> bool {
        self.count(Class::Dropped) > 0
    }

    fn file(&self, row: &Row) -> &str {
        self.files.get(row.place.file).map_or("", String::as_str)
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        for row in &self.rows {
            let _ = write!(
                out,
                "{}:{}: {}: {}",
                self.file(row),
                row.place.line,
                row.class.word(),
                one_line(&row.subject)
            );
            if !row.note.is_empty() {
                let _ = write!(out, " -- {}", one_line(&row.note));
            }
            out.push('\n');
        }
        let counts = [Class::Exact, Class::Approximated, Class::Dropped].map(|c| self.count(c));
        let [exact, approximated, dropped] = counts;
        let _ = writeln!(out, "{exact} exact, {approximated} approximated, {dropped} dropped");
        for s in &self.sessions {
            let _ = writeln!(
                out,
                "sessions held by the old system, upstream {}: {} -- {}",
                s.upstream,
                s.fate.word(),
                s.why
            );
        }
        out
    }

    pub fn json(&self) -> Value {
        let row = |r: &Row| {
            json!({
                "file": self.file(r), "line": r.place.line, "column": r.place.column,
                "subject": r.subject, "class": r.class.word(), "note": r.note,
            })
        };
        let sessions = |s: &Sessions| json!({ "upstream": s.upstream, "fate": s.fate.word(), "why": s.why });
        json!({
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "exact": self.count(Class::Exact),
            "approximated": self.count(Class::Approximated),
            "dropped": self.count(Class::Dropped),
            "sessions": self.sessions.iter().map(sessions).collect::<Vec<_>>(),
        })
    }
}

/// A text of the input on one line of the report.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
