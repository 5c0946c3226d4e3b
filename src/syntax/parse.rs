//! Tokens to a tree: one loop and a stack of open blocks, so that depth costs no stack of the machine.

use std::sync::Arc;

use nom::Parser;
use nom::combinator::opt;

use super::foreign::{foreign_body, is_foreign};
use super::lexer::{blanks, bom, comment, is_blank, unescape, word};
use super::{Body, Node, NodeId, Quote, Tree, Word};
use crate::diag::{Diag, Diags, FileId, Severity, SourceMap, Span};

/// The bytes nginx can hold of a word or a comment.
const BUFFER: usize = 4096;

/// The errors of one file that are told one by one; the others are counted.
const TOLD: usize = 100;

/// Reads a file of the map. Every error is told and what can be kept of the file is in the tree: after an error the
/// reading goes on behind the next `;` or brace.
pub fn parse(map: &SourceMap, file: FileId, diags: &mut Diags) -> Tree {
    let source = map.file(file);
    let text = Arc::clone(&source.text);
    let mut builder = Builder {
        text: &text,
        at: 0,
        file,
        command_line: source.is_command_line(),
        diags,
        errors: 0,
        tree: Tree { file, nodes: Vec::new(), roots: Vec::new() },
        open: Vec::new(),
        words: Vec::new(),
        damaged: false,
    };
    builder.file();
    builder.tree
}

/// A block whose `}` has not come yet.
struct Open {
    /// `None`: the block is only skipped.
    node: Option<NodeId>,
    brace: usize,
    children: Vec<NodeId>,
}

struct Builder<'a> {
    text: &'a [u8],
    at: usize,
    file: FileId,
    command_line: bool,
    diags: &'a mut Diags,
    errors: usize,
    tree: Tree,
    open: Vec<Open>,
    /// Name and arguments so far of the directive at hand.
    words: Vec<Word>,
    /// An error was told of the directive at hand: its end is looked for, its further words are not kept.
    damaged: bool,
}

impl Builder<'_> {
    fn file(&mut self) {
        if let Ok((_, Some(mark))) = opt(bom).parse(self.text) {
            self.at = mark.len();
            let message =
                "the file begins with a byte order mark, which nginx takes for a part of the first word";
            let span = self.span(0, self.at);
            self.diags.push(Diag {
                severity: Severity::Warn,
                code: "byte-order-mark",
                message: message.to_string(),
                span: Some(span),
                at: Some((self.file, 0)),
                hint: Some("save the file without it".to_string()),
            });
        }
        loop {
            self.gap();
            match self.text.get(self.at) {
                None => break,
                Some(b';') => self.semicolon(),
                Some(b'{') => self.open_brace(),
                Some(b'}') => self.close_brace(),
                Some(_) => self.word(),
            }
        }
        self.end();
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Blanks and comments.
    fn gap(&mut self) {
        loop {
            if let Ok((_, found)) = blanks(self.rest()) {
                self.at += found.len();
            } else if let Ok((_, found)) = comment(self.rest()) {
                let (start, end) = (self.at, self.at + found.len());
                self.at = end;
                self.check_length(start, end, None);
            } else {
                return;
            }
        }
    }

    fn word(&mut self) {
        let start = self.at;
        let Ok((_, (quote, raw))) = word(self.rest()) else { return self.unfinished_word() };
        let quotes = if quote == Quote::None { 0 } else { 2 };
        let (len, value) = (raw.len() + quotes, unescape(raw));
        let end = start + len;
        self.at = end;
        let next = self.text.get(end).copied();
        let blank_after = usize::from(next.is_some_and(is_blank));
        match quote {
            Quote::None => self.check_length(start, end + blank_after, None),
            _ if end - 1 - (start + 1) >= BUFFER => self.check_length(start + 1, end - 1, Some(quote)),
            _ => self.check_length(start + 1, end + blank_after, None),
        };
        if !self.damaged {
            let span = self.span(start, end);
            self.words.push(Word { span, value, quote });
        }
        // `)` may follow a closing quote: it begins a word of its own.
        if let (true, Some(b)) = (quote != Quote::None, next)
            && !is_blank(b)
            && !matches!(b, b';' | b'{' | b'}' | b')')
        {
            self.unexpected(end, b, Some("a blank or \";\" must follow a closing quote".to_string()));
            self.damaged = true;
        }
    }

    /// A quote that is not closed, or a backslash as the last byte: the word runs to the end of the file.
    fn unfinished_word(&mut self) {
        let start = self.at;
        let quote = match self.text.get(start) {
            Some(b'"') => Quote::Double,
            Some(b'\'') => Quote::Single,
            _ => Quote::None,
        };
        self.at = self.text.len();
        if quote == Quote::None {
            self.end_in_directive(None);
        } else if self.check_length(start + 1, self.text.len(), Some(quote)) {
            // nginx stops at the quote, so that whatever comes after its line may be told after it.
            self.at = memchr::memchr(b'\n', self.text.get(start..).unwrap_or_default())
                .map_or(self.text.len(), |n| start + n);
        } else {
            let line = self.line(start);
            self.end_in_directive(Some(format!("the quote opened in line {line} is not closed")));
        }
        self.words.clear();
        self.damaged = false;
    }

    fn semicolon(&mut self) {
        let at = self.at;
        self.at += 1;
        if self.words.is_empty() && !self.damaged {
            return self.unexpected(at, b';', None);
        }
        if !self.damaged {
            self.push_node(self.at, Body::None);
        }
        self.words.clear();
        self.damaged = false;
    }

    fn open_brace(&mut self) {
        let at = self.at;
        self.at += 1;
        if self.command_line {
            self.error(
                "block-in-parameter",
                "block directives are not supported in -g option".into(),
                at,
                at + 1,
            );
            self.words.clear();
        } else if self.words.is_empty() && !self.damaged {
            self.unexpected(at, b'{', Some("the name of the block is missing".to_string()));
        }
        self.damaged = false;
        let foreign = self.words.first().is_some_and(|name| is_foreign(&name.value));
        if self.words.is_empty() {
            self.open.push(Open { node: None, brace: at, children: Vec::new() });
        } else if foreign {
            self.foreign(at);
        } else {
            let close = self.text.len() as u32;
            let node = self.push_node(self.at, Body::Block { open: at as u32, children: Vec::new(), close });
            self.open.push(Open { node, brace: at, children: Vec::new() });
        }
        self.words.clear();
    }

    fn foreign(&mut self, brace: usize) {
        let start = self.at;
        let (text_end, end) = match foreign_body(self.rest()) {
            Ok((_, body)) => (start + body.len(), start + body.len() + 1),
            Err(_) => (self.text.len(), self.text.len()),
        };
        let text = self.span(start, text_end);
        self.push_node(self.at, Body::Raw { open: brace as u32, text, close: text_end as u32 });
        self.at = end;
        if end == text_end {
            self.end_in_block(brace);
            self.close_all();
        }
    }

    fn close_brace(&mut self) {
        let at = self.at;
        self.at += 1;
        let last = self.words.last().filter(|_| !self.damaged);
        if let Some(hint) = last.map(|word| format!("a \";\" is missing after \"{}\"", lossy(&word.value))) {
            // The directive is not kept: nginx never comes to look at it, so nothing may be told of it before this.
            self.unexpected(at, b'}', Some(hint));
        }
        let unfinished = !self.words.is_empty();
        self.words.clear();
        self.damaged = false;
        match self.open.pop() {
            Some(open) => self.close(open, at),
            None if unfinished => {}
            None => self.unexpected(at, b'}', Some("no block is open here".to_string())),
        }
    }

    fn end(&mut self) {
        if !self.words.is_empty() || self.damaged {
            let line = self.words.first().map_or(0, |name| self.line(name.span.start as usize));
            let hint = self.words.first().map(|name| {
                format!("the directive \"{}\" of line {line} is not finished", lossy(&name.value))
            });
            self.end_in_directive(hint);
        } else if let Some(open) = self.open.last() {
            self.end_in_block(open.brace);
        }
        self.close_all();
        self.tree.nodes.shrink_to_fit();
        if self.errors > TOLD {
            let more = self.errors - TOLD;
            self.diags.push(Diag {
                severity: Severity::Emerg,
                code: "more-errors",
                message: format!("{more} more syntax errors"),
                span: None,
                at: Some((self.file, self.text.len() as u32)),
                hint: None,
            });
        }
    }

    fn close(&mut self, open: Open, at: usize) {
        let Some(id) = open.node else { return };
        if let Some(Node { body: Body::Block { children, close, .. }, .. }) =
            self.tree.nodes.get_mut(id.0 as usize)
        {
            *children = open.children;
            *close = at as u32;
        }
    }

    fn close_all(&mut self) {
        while let Some(open) = self.open.pop() {
            self.close(open, self.text.len());
        }
    }

    /// Makes the words at hand a node, unless it stands in a block that is only skipped.
    fn push_node(&mut self, end: usize, body: Body) -> Option<NodeId> {
        if self.open.last().is_some_and(|open| open.node.is_none()) {
            return None;
        }
        let mut words = self.words.drain(..);
        let name = words.next()?;
        let args: Vec<Word> = words.collect();
        let span = Span::new(self.file, name.span.start, end as u32);
        let id = NodeId(self.tree.nodes.len() as u32);
        let parent = self.open.last().and_then(|open| open.node);
        self.tree.nodes.push(Node { name, args, body, span, parent });
        self.open.last_mut().map_or(&mut self.tree.roots, |open| &mut open.children).push(id);
        Some(id)
    }

    fn line(&self, offset: usize) -> usize {
        memchr::memchr_iter(b'\n', self.text.get(..offset).unwrap_or_default()).count() + 1
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start as u32, end as u32)
    }
}

/// What is said of errors, in nginx's words and at nginx's places.
impl Builder<'_> {
    /// nginx's reader keeps a word from `start` on in a buffer of 4096 bytes and refuses to read one more; `last` is
    /// the offset of the last byte that it reads before it lets go of the word.
    fn check_length(&mut self, start: usize, last: usize, quote: Option<Quote>) -> bool {
        let full = start + BUFFER;
        if self.command_line || last < full || full >= self.text.len() {
            return false;
        }
        let message = match quote {
            Some(Quote::Double) => {
                "too long parameter, probably missing terminating \"\"\" character".to_string()
            }
            Some(_) => "too long parameter, probably missing terminating \"'\" character".to_string(),
            None => {
                let head = self.text.get(start..start + 10).unwrap_or_default();
                format!("too long parameter \"{}...\" started", lossy(head))
            }
        };
        if !self.damaged {
            self.error("too-long-parameter", message, start, full);
        }
        true
    }

    fn unexpected(&mut self, at: usize, byte: u8, hint: Option<String>) {
        if self.damaged {
            return;
        }
        if self.errors >= TOLD {
            // Counted only: a file of 50 MB may be nothing else.
            self.errors += 1;
            return;
        }
        let code = match byte {
            b';' => "unexpected-semicolon",
            b'{' => "unexpected-open",
            b'}' => "unexpected-close",
            _ => "unexpected-character",
        };
        self.error_hinted(code, format!("unexpected \"{}\"", lossy(&[byte])), at, at + 1, hint);
    }

    fn end_in_directive(&mut self, hint: Option<String>) {
        let end = self.text.len();
        let message = match self.command_line {
            true => "unexpected end of parameter, expecting \";\"",
            false => "unexpected end of file, expecting \";\" or \"}\"",
        };
        if !self.damaged {
            self.error_hinted("unexpected-end", message.to_string(), end, end, hint);
        }
        self.close_all();
    }

    fn end_in_block(&mut self, brace: usize) {
        let end = self.text.len();
        let hint = format!("the block opened in line {} is not closed", self.line(brace));
        let message = "unexpected end of file, expecting \"}\"".to_string();
        self.error_hinted("unexpected-end", message, end, end, Some(hint));
    }

    fn error(&mut self, code: &'static str, message: String, start: usize, end: usize) {
        self.error_hinted(code, message, start, end, None);
    }

    fn error_hinted(
        &mut self,
        code: &'static str,
        message: String,
        start: usize,
        end: usize,
        hint: Option<String>,
    ) {
        self.errors += 1;
        if self.errors > TOLD {
            return;
        }
        let span = Some(self.span(start, end));
        let at = Some((self.file, start as u32));
        self.diags.push(Diag { severity: Severity::Emerg, code, message, span, at, hint });
    }
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
