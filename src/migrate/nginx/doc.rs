//! An nginx file as items that can be changed, each knowing where it stood and what became of it.

use std::collections::HashMap;

use super::super::input::{Input, Place, Problem};
use super::super::report::{Class, Row};
use super::super::writer::{Text, plain, quote};
use crate::diag::{Diags, FileId, SourceMap};
use crate::syntax::{self, Body as TreeBody, NodeId, Part, Tree};

/// Inputs that include each other deeper than this do it in a circle.
const DEEPEST: usize = 32;

/// Blocks inside each other.
const DEEPEST_BLOCK: usize = 64;

/// A word as written and as read.
#[derive(Debug, Clone)]
pub(super) struct Word {
    written: String,
    pub(super) value: String,
}

impl Word {
    pub(super) fn new(value: impl Into<String>) -> Self {
        let value = value.into();
        Self { written: quote(&value), value }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    None,
    Block(Vec<Item>),
    /// Another language.
    Raw(String),
    /// A comment; whether it stands behind a directive, on its line.
    Comment(bool),
}

/// What is printed of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Same,
    Changed,
    /// As a comment.
    Gone,
    /// It was not in the input.
    New,
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) place: Place,
    /// The directive as it was written, on one line; the comment itself of a comment.
    pub(super) subject: String,
    pub(super) name: String,
    pub(super) args: Vec<Word>,
    pub(super) body: Body,
    pub(super) class: Class,
    pub(super) note: String,
    pub(super) fate: Fate,
}

impl Item {
    /// A directive that the output needs, for the sake of what stands at `place`.
    pub(super) fn new<S: Into<String>>(place: Place, words: impl IntoIterator<Item = S>) -> Self {
        let mut words = words.into_iter().map(Into::into);
        let name = words.next().unwrap_or_default();
        Self {
            place,
            subject: String::new(),
            name,
            args: words.map(Word::new).collect(),
            body: Body::None,
            class: Class::Exact,
            note: String::new(),
            fate: Fate::New,
        }
    }

    pub(super) fn is_comment(&self) -> bool {
        matches!(self.body, Body::Comment(_))
    }

    /// A directive that is still there.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name && self.fate != Fate::Gone && !self.is_comment()
    }

    pub(super) fn arg(&self, i: usize) -> &str {
        self.args.get(i).map_or("", |w| &w.value)
    }

    /// The value of `name=value`.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.args.iter().find_map(|w| w.value.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn inside(&self) -> &[Item] {
        if let Body::Block(items) = &self.body { items } else { &[] }
    }

    pub(super) fn inside_mut(&mut self) -> Option<&mut Vec<Item>> {
        if let Body::Block(items) = &mut self.body { Some(items) } else { None }
    }

    pub(super) fn mark(&mut self, class: Class, note: &str) {
        self.class = self.class.max(class);
        if !note.is_empty() && !self.note.contains(note) {
            if !self.note.is_empty() {
                self.note.push_str("; ");
            }
            self.note.push_str(note);
        }
    }

    /// Other words in its place.
    pub(super) fn become_words<S: Into<String>>(&mut self, words: impl IntoIterator<Item = S>) {
        let new = Self::new(self.place, words);
        (self.name, self.args) = (new.name, new.args);
        self.changed();
    }

    pub(super) fn changed(&mut self) {
        if self.fate == Fate::Same {
            self.fate = Fate::Changed;
        }
    }

    /// Takes it and all that it holds out.
    pub(super) fn drop(&mut self, note: &str) {
        self.mark(Class::Dropped, note);
        self.fate = Fate::Gone;
        for item in self.inside_mut().into_iter().flatten() {
            if !item.is_comment() {
                item.drop(note);
            }
        }
    }

    /// Takes it out without a loss.
    pub(super) fn retire(&mut self, class: Class, note: &str) {
        self.mark(class, note);
        self.fate = Fate::Gone;
        for item in self.inside_mut().into_iter().flatten() {
            if !item.is_comment() {
                item.retire(class, note);
            }
        }
    }

    /// Takes arguments out; whether there were any.
    pub(super) fn remove(&mut self, which: impl Fn(&str) -> bool) -> bool {
        let before = self.args.len();
        self.args.retain(|w| !which(&w.value));
        let removed = self.args.len() != before;
        if removed {
            self.changed();
        }
        removed
    }

    fn head(&self) -> String {
        let mut out = quote(&self.name);
        for word in &self.args {
            out.push(' ');
            out.push_str(&word.written);
        }
        out
    }
}

/// Every input as items, those that another one includes inside it.
pub(super) fn read(inputs: &[Input]) -> Result<Vec<Item>, Problem> {
    let mut map = SourceMap::new();
    let mut trees = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let text = input.text()?;
        let mut diags = Diags::new();
        let id = map.add(input.name.clone(), text.as_bytes().into(), None);
        let tree = syntax::parse(&map, id, &mut diags);
        if let Some(diag) = diags.iter().find(|d| d.severity.is_fatal()) {
            let (file, offset) = diag.at.or(diag.span.map(|s| (s.file, s.start))).unwrap_or((id, 0));
            let (line, column) = map.file(file).line_col(offset);
            let place = Place { file: number, line, column };
            return Err(Problem::new(inputs, place, diag.message.clone()));
        }
        trees.push((id, tree));
    }
    let mut reader = Reader { map: &map, inputs, taken: vec![false; inputs.len()] };
    let roots: Result<Vec<Vec<Item>>, Problem> =
        trees.iter().enumerate().map(|(n, (id, t))| reader.items(n, *id, t)).collect();
    let roots = roots?;
    let mut out = Vec::new();
    let mut whole = roots.clone();
    for (number, items) in whole.iter_mut().enumerate() {
        reader.inline(items, &roots, number, 0)?;
    }
    let main = whole.iter().position(|items| items.iter().any(|i| i.is("http") || i.is("events")));
    for (number, items) in whole.into_iter().enumerate() {
        if reader.taken.get(number).copied().unwrap_or(false) {
            continue;
        }
        if let Some(first) = items.first()
            && main.is_some_and(|m| m != number)
        {
            return Err(Problem::new(inputs, first.place, "no other input includes this file"));
        }
        out.extend(items);
    }
    if out.iter().all(Item::is_comment) {
        let place = Place { file: 0, line: 1, column: 1 };
        return Err(Problem::new(inputs, place, "no directive: this is no nginx configuration"));
    }
    Ok(out)
}

struct Reader<'a> {
    map: &'a SourceMap,
    inputs: &'a [Input],
    /// Which inputs another one includes.
    taken: Vec<bool>,
}

impl Reader<'_> {
    fn items(&self, number: usize, file: FileId, tree: &Tree) -> Result<Vec<Item>, Problem> {
        let nodes: HashMap<u32, NodeId> =
            (0u32..).zip(&tree.nodes).map(|(i, n)| (n.name.span.start, NodeId(i))).collect();
        let text = &self.map.file(file).text;
        let place = |at: usize| {
            let (line, column) = self.map.file(file).line_col(u32::try_from(at).unwrap_or(u32::MAX));
            Place { file: number, line, column }
        };
        let cut = |from: usize, to: usize| {
            String::from_utf8_lossy(text.get(from..to).unwrap_or_default()).into_owned()
        };
        // The open blocks, the innermost last.
        let mut open: Vec<Vec<Item>> = vec![Vec::new()];
        let mut heads: Vec<Item> = Vec::new();
        let (mut last_line, mut foreign) = (0, false);
        for piece in syntax::pieces(self.map, tree) {
            let at = place(piece.start);
            match piece.part {
                Part::Comment => {
                    let mut item = Item::new(at, [""]);
                    item.subject = cut(piece.start, piece.end);
                    item.body = Body::Comment(at.line == last_line);
                    if let Some(items) = open.last_mut() {
                        items.push(item);
                    }
                }
                Part::Name => {
                    let id = u32::try_from(piece.start).ok().and_then(|s| nodes.get(&s));
                    let Some(node) = id.map(|id| tree.node(*id)) else { continue };
                    let word = |w: &syntax::Word| {
                        let value = String::from_utf8_lossy(&w.value).into_owned();
                        let written = cut(w.span.start as usize, w.span.end as usize);
                        let written = if written.contains(['\n', '\r']) { quote(&value) } else { written };
                        Word { written, value }
                    };
                    let mut item = Item::new(at, [String::from_utf8_lossy(&node.name.value).into_owned()]);
                    item.args = node.args.iter().map(word).collect();
                    item.fate = Fate::Same;
                    item.subject = item.head();
                    match &node.body {
                        TreeBody::None => {
                            last_line = place((node.span.end as usize).saturating_sub(1)).line;
                            open.last_mut().into_iter().for_each(|items| items.push(item.clone()));
                        }
                        TreeBody::Block { .. } => {
                            if heads.len() >= DEEPEST_BLOCK {
                                let why = format!("more than {DEEPEST_BLOCK} blocks inside each other");
                                return Err(Problem::new(self.inputs, at, why));
                            }
                            heads.push(item);
                            open.push(Vec::new());
                        }
                        TreeBody::Raw { text, .. } => {
                            item.body = Body::Raw(cut(text.start as usize, text.end as usize));
                            open.last_mut().into_iter().for_each(|items| items.push(item.clone()));
                        }
                    }
                }
                Part::Close => {
                    last_line = at.line;
                    if std::mem::take(&mut foreign) {
                        continue;
                    }
                    if let (Some(mut head), Some(items)) = (heads.pop(), open.pop()) {
                        head.body = Body::Block(items);
                        open.last_mut().into_iter().for_each(|items| items.push(head.clone()));
                    }
                }
                Part::Open => last_line = at.line,
                Part::Raw => foreign = true,
                Part::Arg | Part::End => {}
            }
        }
        while let Some(mut head) = heads.pop() {
            head.body = Body::Block(open.pop().unwrap_or_default());
            open.last_mut().into_iter().for_each(|items| items.push(head.clone()));
        }
        Ok(open.pop().unwrap_or_default())
    }

    /// Puts the inputs that are included where they are included.
    fn inline(
        &mut self,
        items: &mut Vec<Item>,
        roots: &[Vec<Item>],
        own: usize,
        depth: usize,
    ) -> Result<(), Problem> {
        let mut i = 0;
        while let Some(item) = items.get_mut(i) {
            if item.is("include") {
                let pattern = item.arg(0).to_owned();
                let found: Vec<usize> = (0..self.inputs.len())
                    .filter(|n| *n != own && self.inputs.get(*n).is_some_and(|f| fits(&pattern, &f.name)))
                    .collect();
                if !found.is_empty() {
                    if depth >= DEEPEST {
                        let place = item.place;
                        return Err(Problem::new(self.inputs, place, "the inputs include each other"));
                    }
                    item.retire(Class::Exact, "what it brings stands in its place");
                    let mut brought = Vec::new();
                    for n in found {
                        if let Some(t) = self.taken.get_mut(n) {
                            *t = true;
                        }
                        let mut inner = roots.get(n).cloned().unwrap_or_default();
                        self.inline(&mut inner, roots, n, depth + 1)?;
                        brought.extend(inner);
                    }
                    let count = brought.len();
                    items.splice(i + 1..i + 1, brought);
                    i += 1 + count;
                    continue;
                }
                const USUAL: &[&str] =
                    &["mime.types", "fastcgi_params", "uwsgi_params", "scgi_params", "proxy_params"];
                if !USUAL.iter().any(|u| pattern.ends_with(u)) {
                    item.mark(
                        Class::Approximated,
                        "read where it stands: give it as a further input to have it looked at",
                    );
                }
            } else if let Some(inside) = item.inside_mut() {
                let mut inner = std::mem::take(inside);
                self.inline(&mut inner, roots, own, depth + 1)?;
                if let Some(inside) = items.get_mut(i).and_then(Item::inside_mut) {
                    *inside = inner;
                }
            }
            i += 1;
        }
        Ok(())
    }
}

/// Whether a pattern of `include` means the input of this name: its last parts are the same.
fn fits(pattern: &str, name: &str) -> bool {
    let mut pattern = pattern.rsplit('/').filter(|p| *p != ".");
    let mut name = name.rsplit('/');
    let mut any = false;
    loop {
        match (pattern.next(), name.next()) {
            (Some(p), Some(n)) if glob(p, n) => any = true,
            (Some(""), _) | (None, _) | (Some(_), None) => return any,
            _ => return false,
        }
    }
}

/// `*` and `?` of one name.
fn glob(pattern: &str, name: &str) -> bool {
    let (p, n) = (pattern.as_bytes(), name.as_bytes());
    let (mut i, mut j, mut star) = (0, 0, None);
    while j < n.len() {
        match p.get(i) {
            Some(b'*') => {
                star = Some((i, j));
                i += 1;
            }
            Some(c) if *c == b'?' || n.get(j) == Some(c) => {
                i += 1;
                j += 1;
            }
            _ => match star {
                Some((s, t)) => {
                    (i, j) = (s + 1, t + 1);
                    star = Some((s, t + 1));
                }
                None => return false,
            },
        }
    }
    p.get(i..).unwrap_or_default().iter().all(|c| *c == b'*')
}

/// A row for every directive of the input.
pub(super) fn rows(items: &[Item], out: &mut Vec<Row>) {
    for item in items.iter().filter(|i| !i.is_comment()) {
        if item.fate != Fate::New {
            let subject = item.subject.clone();
            out.push(Row { place: item.place, subject, class: item.class, note: item.note.clone() });
        }
        rows(item.inside(), out);
    }
}

/// The text, a directive a line; what was changed cites its place.
pub(super) fn print(items: &[Item], inputs: &[Input], title: &str) -> Text {
    let mut text = Text::default();
    let names: Vec<String> = inputs.iter().map(|i| plain(&i.name)).collect();
    text.lines.push((format!("# Converted from {title}: {}", names.join(", ")), None));
    text.lines.push((String::new(), None));
    lines(items, inputs, 0, &mut text);
    text
}

fn lines(items: &[Item], inputs: &[Input], depth: usize, out: &mut Text) {
    let indent = "    ".repeat(depth);
    for (i, item) in items.iter().enumerate() {
        let name = inputs.get(item.place.file).map_or_else(String::new, |i| plain(&i.name));
        let source = format!(" # {name}:{}", item.place.line);
        let cite = if matches!(item.fate, Fate::Changed | Fate::New) { source.as_str() } else { "" };
        let place = Some(item.place);
        match (&item.body, item.fate) {
            (Body::Comment(true), _) if i > 0 && out.lines.last().is_some_and(|(l, _)| !l.contains('#')) => {
                if let Some((line, _)) = out.lines.last_mut() {
                    line.push_str(&format!(" {}", plain(&item.subject)));
                }
            }
            (Body::Comment(_), _) => out.lines.push((format!("{indent}{}", plain(&item.subject)), None)),
            (_, Fate::Gone) => gone(item, &indent, &source, out),
            (Body::None, _) => out.lines.push((format!("{indent}{};{cite}", item.head()), place)),
            (Body::Block(inside), _) => {
                out.lines.push((format!("{indent}{} {{{cite}", item.head()), place));
                lines(inside, inputs, depth + 1, out);
                out.lines.push((format!("{indent}}}"), None));
            }
            (Body::Raw(text), _) => {
                out.lines.push((format!("{indent}{} {{{cite}", item.head()), place));
                for line in text.lines().filter(|l| !l.trim().is_empty()) {
                    out.lines.push((format!("{indent}    {}", line.trim()), None));
                }
                out.lines.push((format!("{indent}}}"), None));
            }
        }
    }
}

fn gone(item: &Item, indent: &str, source: &str, out: &mut Text) {
    let word = if item.class == Class::Dropped { "dropped" } else { "was" };
    out.lines.push((format!("{indent}# {word}: {}{source}", plain(&item.subject)), None));
    inner(item, indent, 1, out);
}

/// What was inside of what is gone.
fn inner(item: &Item, indent: &str, depth: usize, out: &mut Text) {
    for item in item.inside().iter().filter(|i| !i.is_comment() && i.fate == Fate::Gone) {
        out.lines.push((format!("{indent}# {}{}", "    ".repeat(depth), plain(&item.subject)), None));
        inner(item, indent, depth + 1, out);
    }
}
