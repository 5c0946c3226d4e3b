//! The account of a JSON document: what became of each field. A field that nobody has spoken for was dropped.

use std::collections::BTreeMap;

use super::json::{Node, Value};
use super::report::{Class, Row};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<u32, (Class, String)>,
}

impl Ledger {
    /// Says what became of a value; said twice, the worse class holds and both notes do.
    pub(super) fn mark(&mut self, node: &Node, class: Class, note: impl Into<String>) {
        let note = note.into();
        let entry = self.entries.entry(node.id).or_insert_with(|| (class, String::new()));
        entry.0 = entry.0.max(class);
        if !note.is_empty() && !entry.1.contains(&note) {
            if !entry.1.is_empty() {
                entry.1.push_str("; ");
            }
            entry.1.push_str(&note);
        }
    }

    pub(super) fn exact(&mut self, node: &Node, note: impl Into<String>) {
        self.mark(node, Class::Exact, note);
    }

    pub(super) fn approximated(&mut self, node: &Node, note: impl Into<String>) {
        self.mark(node, Class::Approximated, note);
    }

    pub(super) fn dropped(&mut self, node: &Node, note: impl Into<String>) {
        self.mark(node, Class::Dropped, note);
    }

    /// Drops all that is inside and not yet spoken for.
    pub(super) fn drop_all(&mut self, node: &Node, note: &str) {
        self.all(node, Class::Dropped, note);
    }

    /// Drops all that is inside, whatever was said of it before.
    pub(super) fn give_up(&mut self, node: &Node, note: &str) {
        if node.items().is_empty() && node.fields().is_empty() {
            return self.mark(node, Class::Dropped, note);
        }
        node.items().iter().for_each(|n| self.give_up(n, note));
        node.fields().iter().for_each(|(_, n)| self.give_up(n, note));
    }

    pub(super) fn all(&mut self, node: &Node, class: Class, note: &str) {
        match &node.value {
            Value::List(items) if !items.is_empty() => items.iter().for_each(|n| self.all(n, class, note)),
            Value::Map(fields) if !fields.is_empty() => {
                fields.iter().for_each(|(_, n)| self.all(n, class, note));
            }
            _ if self.entries.contains_key(&node.id) => {}
            _ => self.mark(node, class, note),
        }
    }

    /// The field `key` as a text; one of another kind is dropped as that.
    pub(super) fn text<'n>(&mut self, of: &'n Node, key: &str) -> Option<(&'n Node, &'n str)> {
        let node = of.get(key)?;
        match &node.value {
            Value::Text(text) => return Some((node, text)),
            Value::Null => self.exact(node, "not set"),
            _ => self.drop_all(node, "a text is expected here"),
        }
        None
    }

    /// The field `key` as a whole number that fits; also one written as a text.
    pub(super) fn number<'n>(&mut self, of: &'n Node, key: &str) -> Option<(&'n Node, u32)> {
        let node = of.get(key)?;
        let text = match &node.value {
            Value::Number(text) | Value::Text(text) => text,
            Value::Null => {
                self.exact(node, "not set");
                return None;
            }
            _ => {
                self.drop_all(node, "a number is expected here");
                return None;
            }
        };
        match text.parse() {
            Ok(n) => Some((node, n)),
            Err(_) => {
                self.dropped(node, format!("\"{text}\" is no whole number in range"));
                None
            }
        }
    }

    /// The rows of a document: a row for every value that holds no other, and for those with others that were marked.
    pub(super) fn rows(&self, root: &Node, out: &mut Vec<Row>) {
        self.walk(root, &mut String::new(), out);
    }

    fn walk(&self, node: &Node, path: &mut String, out: &mut Vec<Row>) {
        let leaf = node.fields().is_empty() && node.items().is_empty();
        let entry = self.entries.get(&node.id).cloned();
        let unknown = || leaf.then(|| (Class::Dropped, "nothing here knows this field".to_owned()));
        if let Some((class, note)) = entry.or_else(unknown) {
            out.push(Row { place: node.place, subject: subject(node, path), class, note });
        }
        let length = path.len();
        for (i, item) in node.items().iter().enumerate() {
            path.push_str(&format!("[{i}]"));
            self.walk(item, path, out);
            path.truncate(length);
        }
        for (key, field) in node.fields() {
            if key.contains(['.', '[', ' ', '"']) || key.is_empty() {
                path.push_str(&format!("[{key:?}]"));
            } else {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
            }
            self.walk(field, path, out);
            path.truncate(length);
        }
    }
}

fn subject(node: &Node, path: &str) -> String {
    let path = if path.is_empty() { "(the whole)" } else { path };
    match &node.value {
        Value::Null => format!("{path} = null"),
        Value::Bool(b) => format!("{path} = {b}"),
        Value::Number(n) => format!("{path} = {n}"),
        Value::Text(t) => format!("{path} = {t:?}"),
        Value::List(_) | Value::Map(_) => path.to_owned(),
    }
}
