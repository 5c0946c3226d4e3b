//! A configuration as the JSON that crossplane made common: what its `parse` prints.
//!
//! Words are as there: without their quotes and the backslashes before those, all other backslashes kept. A body in
//! another language is the last argument. A file with errors of form has no directives.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use crate::diag::{Diags, FileId, render_nginx};
use crate::source::Conf;
use crate::syntax::{Part, Piece, pieces};

/// What of a configuration is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) comments: bool,
    /// The main file alone.
    pub(super) single: bool,
}

/// The configuration; `diags` is what was said of its form.
pub(super) fn dump(conf: &Conf, diags: &Diags, wanted: Wanted) -> String {
    let order = order(conf, wanted.single);
    let mut errors = Vec::new();
    for diag in diags.iter().filter(|d| d.severity.is_fatal()) {
        let place = diag.at.or(diag.span.map(|s| (s.file, s.start)));
        let file = place.map(|(file, _)| file);
        if wanted.single && file.is_some_and(|f| !order.contains(&f)) {
            continue;
        }
        let line = render_nginx(&conf.map, diag);
        let text = line.split_once("] ").map_or(line.as_str(), |(_, text)| text).to_owned();
        let number = place.map(|(file, offset)| conf.map.file(file).line_col(offset).0);
        errors.push((file, text, number, diag.code));
    }
    let mut out = format!("{{\"status\": \"{}\", \"errors\": [", status(errors.is_empty()));
    for (i, (file, text, line, _)) in errors.iter().enumerate() {
        let name = file.map(|f| conf.map.file(f).name.as_str());
        out += &format!(
            "{}{{\"file\": {}, \"error\": {}, \"line\": {}}}",
            comma(i),
            Value::from(name),
            quoted(text),
            Value::from(*line)
        );
    }
    out += "], \"config\": [";
    for (i, &file) in order.iter().enumerate() {
        let own = || errors.iter().filter(|(f, ..)| *f == Some(file));
        out += &format!(
            "{}{{\"file\": {}, \"status\": \"{}\", \"errors\": [",
            comma(i),
            quoted(&conf.map.file(file).name),
            status(own().next().is_none())
        );
        for (i, (_, text, line, _)) in own().enumerate() {
            out += &format!("{}{{\"error\": {}, \"line\": {}}}", comma(i), quoted(text), Value::from(*line));
        }
        out += "], \"parsed\": [";
        // A file that an `include` names and that is not there says nothing about the form of this one.
        if own().all(|(.., code)| {
            matches!(*code, "open-failed" | "read-failed" | "glob-failed" | "include-cycle")
        }) {
            Writer::new(conf, file, &order, wanted, &mut out).file();
        }
        out += "]}";
    }
    out + "]}\n"
}

fn status(good: bool) -> &'static str {
    if good { "ok" } else { "failed" }
}

fn comma(i: usize) -> &'static str {
    if i == 0 { "" } else { ", " }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The files in crossplane's order: those that a file includes after all that were named before.
fn order(conf: &Conf, single: bool) -> Vec<FileId> {
    let mut order: Vec<FileId> = conf.main_file.into_iter().collect();
    let mut next = VecDeque::from(order.clone());
    while let Some(file) = next.pop_front().filter(|_| !single) {
        let mut includes: Vec<_> = conf.includes.iter().filter(|((f, _), _)| *f == file).collect();
        includes.sort_unstable_by_key(|((_, id), _)| *id);
        for &brought in includes.iter().flat_map(|(_, files)| files.iter()) {
            if !order.contains(&brought) {
                order.push(brought);
                next.push_back(brought);
            }
        }
    }
    order
}

struct Writer<'c, 'o> {
    conf: &'c Conf,
    file: FileId,
    text: &'c [u8],
    /// By the offset of the directive: what an `include` brings.
    includes: HashMap<u32, Vec<usize>>,
    wanted: Wanted,
    out: &'o mut String,
    /// The directive at hand.
    name: Option<Piece>,
    args: Vec<String>,
    /// Comments between its words, which follow it.
    held: Vec<Piece>,
    /// For each open block: the line of its directive and the comments that follow it.
    open: Vec<(u32, Vec<Piece>)>,
    /// Nothing stands in the list at hand yet.
    first: bool,
}

impl<'c, 'o> Writer<'c, 'o> {
    fn new(conf: &'c Conf, file: FileId, order: &[FileId], wanted: Wanted, out: &'o mut String) -> Self {
        let mut includes = HashMap::new();
        let own = conf.includes.iter().filter(|((f, _), _)| *f == file && !wanted.single);
        for ((_, id), files) in own {
            let start = conf.trees[file.0 as usize].node(*id).span.start;
            let places = files.iter().filter_map(|f| order.iter().position(|o| o == f));
            includes.insert(start, places.collect());
        }
        Self {
            conf,
            file,
            text: &conf.map.file(file).text,
            includes,
            wanted,
            out,
            name: None,
            args: Vec::new(),
            held: Vec::new(),
            open: Vec::new(),
            first: true,
        }
    }

    fn file(&mut self) {
        let pieces = pieces(&self.conf.map, &self.conf.trees[self.file.0 as usize]);
        let mut pieces = pieces.into_iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece.part {
                Part::Name => self.name = Some(piece),
                Part::Arg => self.args.push(self.word(piece)),
                Part::Comment if self.name.is_some() => self.held.push(piece),
                Part::Comment => self.comment(piece, self.line(piece)),
                Part::End => {
                    let line = self.head();
                    *self.out += "}";
                    let held = std::mem::take(&mut self.held);
                    self.follow(line, held);
                }
                Part::Open if pieces.peek().is_some_and(|next| next.part == Part::Raw) => {}
                Part::Open => {
                    let line = self.head();
                    *self.out += ", \"block\": [";
                    self.open.push((line, std::mem::take(&mut self.held)));
                    self.first = true;
                }
                Part::Raw => {
                    self.args.push(lossy(self.bytes(piece)));
                    let line = self.head();
                    *self.out += "}";
                    let held = std::mem::take(&mut self.held);
                    self.follow(line, held);
                    // Its brace ends no list.
                    pieces.next();
                }
                Part::Close => {
                    *self.out += "]}";
                    self.first = false;
                    let (line, held) = self.open.pop().unwrap_or_default();
                    self.follow(line, held);
                }
            }
        }
    }

    /// Name, line and arguments of the directive at hand; its line.
    fn head(&mut self) -> u32 {
        let Some(name) = self.name.take() else { return 0 };
        let (line, word) = (self.line(name), self.word(name));
        let mut args = std::mem::take(&mut self.args);
        if word == "if" {
            without_brackets(&mut args);
        }
        self.item();
        *self.out += &format!("{{\"directive\": {}, \"line\": {line}, \"args\": [", quoted(&word));
        for (i, arg) in args.iter().enumerate() {
            *self.out += comma(i);
            *self.out += &quoted(arg);
        }
        *self.out += "]";
        if let Some(files) = self.includes.get(&(name.start as u32)) {
            let files: Vec<String> = files.iter().map(usize::to_string).collect();
            *self.out += &format!(", \"includes\": [{}]", files.join(", "));
        }
        line
    }

    fn follow(&mut self, line: u32, comments: Vec<Piece>) {
        for comment in comments {
            self.comment(comment, line);
        }
    }

    fn comment(&mut self, piece: Piece, line: u32) {
        if !self.wanted.comments {
            return;
        }
        let rest = self.text.get(piece.start + 1..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        let text = lossy(text.strip_suffix(b"\r").unwrap_or(text));
        self.item();
        *self.out += &format!(
            "{{\"directive\": \"#\", \"line\": {line}, \"args\": [], \"comment\": {}}}",
            quoted(&text)
        );
    }

    fn item(&mut self) {
        if !self.first {
            *self.out += ", ";
        }
        self.first = false;
    }

    fn line(&self, piece: Piece) -> u32 {
        self.conf.map.file(self.file).line_col(piece.start as u32).0
    }

    fn bytes(&self, piece: Piece) -> &'c [u8] {
        self.text.get(piece.start..piece.end).unwrap_or_default()
    }

    fn word(&self, piece: Piece) -> String {
        let text = self.bytes(piece);
        let Some(&quote @ (b'"' | b'\'')) = text.first() else { return lossy(text) };
        let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        let mut out = Vec::with_capacity(inside.len());
        let mut bytes = inside.iter().copied();
        while let Some(b) = bytes.next() {
            match (b, if b == b'\\' { bytes.next() } else { None }) {
                (b'\\', Some(next)) if next == quote => out.push(quote),
                (b, next) => {
                    out.push(b);
                    out.extend(next);
                }
            }
        }
        lossy(&out)
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An `if` has its condition without the brackets around it.
fn without_brackets(args: &mut Vec<String>) {
    let wrapped =
        args.first().is_some_and(|a| a.starts_with('(')) && args.last().is_some_and(|a| a.ends_with(')'));
    if !wrapped {
        return;
    }
    if let Some(first) = args.first_mut() {
        *first = first.get(1..).unwrap_or_default().trim_start().to_owned();
    }
    if let Some(last) = args.last_mut() {
        *last = last.strip_suffix(')').unwrap_or(last).trim_end().to_owned();
    }
    if args.last().is_some_and(String::is_empty) {
        args.pop();
    }
    if args.first().is_some_and(String::is_empty) {
        args.remove(0);
    }
}
