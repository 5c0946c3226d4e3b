//! What became of each line.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::super::input::Place;
use super::super::report::{Class, Row};
use super::read::{Line, Section};

#[derive(Debug, Default)]
pub(super) struct Account {
    rows: RefCell<BTreeMap<Place, (Class, String)>>,
}

impl Account {
    /// Says what became of a line; said again, the worse class holds and every note does.
    pub(super) fn mark(&self, line: &Line, class: Class, note: &str) {
        let mut rows = self.rows.borrow_mut();
        let entry = rows.entry(line.place).or_insert_with(|| (class, String::new()));
        entry.0 = entry.0.max(class);
        if !note.is_empty() && !entry.1.contains(note) {
            if !entry.1.is_empty() {
                entry.1.push_str("; ");
            }
            entry.1.push_str(note);
        }
    }

    pub(super) fn exact(&self, line: &Line, note: &str) {
        self.mark(line, Class::Exact, note);
    }

    pub(super) fn approximated(&self, line: &Line, note: &str) {
        self.mark(line, Class::Approximated, note);
    }

    pub(super) fn dropped(&self, line: &Line, note: &str) {
        self.mark(line, Class::Dropped, note);
    }

    /// A row for every line.
    pub(super) fn rows(&self, sections: &[Section]) -> Vec<Row> {
        let rows = self.rows.borrow();
        let mut out = Vec::new();
        for section in sections {
            for line in section.head.iter().chain(&section.lines) {
                let entry = rows.get(&line.place).cloned();
                let unknown = || match section.kind.as_str() {
                    "defaults" => (Class::Exact, "no section of this file takes it".to_owned()),
                    _ if line.word(0).starts_with('.') => {
                        let note = "a condition of the file: what stands below it is taken as it is";
                        (Class::Dropped, note.to_owned())
                    }
                    "backend" | "listen" | "frontend" | "global" if line.text.contains("${") => {
                        (Class::Dropped, "a variable of the environment: write its value".to_owned())
                    }
                    "backend" | "listen" | "frontend" | "global" => {
                        (Class::Dropped, "nothing here knows this keyword".to_owned())
                    }
                    "cache" => {
                        (Class::Approximated, "nothing is kept: every request goes to a server".to_owned())
                    }
                    kind => (Class::Dropped, format!("\"{kind}\" has no counterpart")),
                };
                let (class, note) = entry.unwrap_or_else(unknown);
                out.push(Row { place: line.place, subject: line.text.clone(), class, note });
            }
        }
        out
    }
}
