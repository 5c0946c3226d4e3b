//! What became of each entry.

use std::collections::BTreeMap;

use super::super::input::Place;
use super::super::report::{Class, Row};
use super::read::{Entry, Object};

#[derive(Debug, Default)]
pub(super) struct Account {
    rows: BTreeMap<Place, (Class, String)>,
}

impl Account {
    /// Says what became of what stands at a place; said again, the worse class holds and every note does.
    pub(super) fn mark(&mut self, place: Place, class: Class, note: &str) {
        let row = self.rows.entry(place).or_insert_with(|| (class, String::new()));
        row.0 = row.0.max(class);
        if !note.is_empty() && !row.1.contains(note) {
            if !row.1.is_empty() {
                row.1.push_str("; ");
            }
            row.1.push_str(note);
        }
    }

    pub(super) fn exact(&mut self, entry: &Entry, note: &str) {
        self.mark(entry.place, Class::Exact, note);
    }

    pub(super) fn approximated(&mut self, entry: &Entry, note: &str) {
        self.mark(entry.place, Class::Approximated, note);
    }

    pub(super) fn dropped(&mut self, entry: &Entry, note: &str) {
        self.mark(entry.place, Class::Dropped, note);
    }

    /// Says it of an entry and of all inside it of which nothing is said.
    pub(super) fn all(&mut self, entry: &Entry, class: Class, note: &str) {
        self.rows.entry(entry.place).or_insert_with(|| (class, note.to_owned()));
        entry.inside.iter().for_each(|e| self.all(e, class, note));
    }

    pub(super) fn object(&mut self, object: &Object, class: Class, note: &str) {
        self.mark(object.place, class, note);
        object.entries.iter().for_each(|e| self.all(e, class, note));
    }

    /// A row for every object and entry.
    pub(super) fn rows(&self, objects: &[Object], out: &mut Vec<Row>) {
        for object in objects {
            let title = format!("{} {}", object.kind, object.name).trim().to_owned();
            let known = object.kind.starts_with("ltm ");
            let unknown = if known { "nothing takes it" } else { "a setting of the device" };
            let (class, note) =
                self.rows.get(&object.place).cloned().unwrap_or((Class::Dropped, unknown.to_owned()));
            out.push(Row { place: object.place, subject: title.clone(), class, note: note.clone() });
            let lost = (class == Class::Dropped).then_some(note);
            for entry in &object.entries {
                self.entry(entry, &title, lost.as_deref(), out);
            }
        }
    }

    fn entry(&self, entry: &Entry, path: &str, lost: Option<&str>, out: &mut Vec<Row>) {
        let value = entry.value.as_ref().map_or_else(String::new, |v| format!(" {v}"));
        let subject = format!("{path}: {}{value}", entry.key);
        let unknown = || {
            let leaf = entry.inside.is_empty();
            match lost {
                Some(why) => (Class::Dropped, why.to_owned()),
                None if leaf => (Class::Dropped, "nothing here knows this".to_owned()),
                None => (Class::Exact, String::new()),
            }
        };
        let (mut class, mut note) = self.rows.get(&entry.place).cloned().unwrap_or_else(unknown);
        if let Some(why) = lost.filter(|_| class < Class::Dropped) {
            (class, note) = (Class::Dropped, why.to_owned());
        }
        out.push(Row { place: entry.place, subject: subject.clone(), class, note });
        for inner in &entry.inside {
            self.entry(inner, &subject, lost, out);
        }
    }
}
