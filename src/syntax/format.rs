//! A file in nginx's own style: a directive a line, four blanks a level.
//!
//! What has a shape that somebody gave it keeps it: blanks between words of a line, columns of comments behind
//! directives, strings, bodies in other languages, single empty lines. A directive over several lines moves as a whole.

use super::pieces::{Part, Piece, pieces};
use super::{Tree, parse};
use crate::diag::{Diags, SourceMap};

const INDENT: usize = 4;
/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// The text of a file in order, or `None` when it would not be read as the same words and comments. The file was read
/// without an error.
pub fn format(map: &SourceMap, tree: &Tree) -> Option<Vec<u8>> {
    let text = &map.file(tree.file).text[..];
    let before = pieces(map, tree);
    let mut out = Layout::new(text);
    for piece in &before {
        out.place(*piece);
    }
    let out = out.finish();

    let mut again = SourceMap::new();
    let mut diags = Diags::new();
    let file = again.add(String::new(), out.as_slice().into(), None);
    let tree = parse(&again, file, &mut diags);
    (!diags.fatal() && same(text, &before, &out, &pieces(&again, &tree))).then_some(out)
}

/// Whether two texts are the same pieces.
fn same(a_text: &[u8], a: &[Piece], b_text: &[u8], b: &[Piece]) -> bool {
    let pair = |(a, b): (&Piece, &Piece)| {
        a.part == b.part && a_text.get(a.start..a.end) == b_text.get(b.start..b.end)
    };
    a.len() == b.len() && a.iter().zip(b).all(pair)
}

struct Layout<'t> {
    text: &'t [u8],
    out: Vec<u8>,
    /// Where the last piece ended in `text`, and what it was.
    done: usize,
    last: Option<Part>,
    depth: usize,
    /// A directive is begun and not ended.
    inside: bool,
    /// Where the line of `text` that is being read begins; a position whose column is known.
    line_start: usize,
    /// The column of `out`.
    column: usize,
    /// How far the line moves to the right.
    shift: isize,
    /// How far the directive at hand moved.
    directive_shift: isize,
    /// Column of the last comment behind a directive, before and after: those below it stay below it.
    hanging: Option<(usize, usize)>,
}

impl<'t> Layout<'t> {
    fn new(text: &'t [u8]) -> Self {
        let mark: &[u8] = b"\xef\xbb\xbf";
        let done = if text.starts_with(mark) { mark.len() } else { 0 };
        Self {
            text,
            out: text.get(..done).unwrap_or_default().to_vec(),
            done,
            last: None,
            depth: 0,
            inside: false,
            line_start: done,
            column: 0,
            shift: 0,
            directive_shift: 0,
            hanging: None,
        }
    }

    fn place(&mut self, piece: Piece) {
        let gap = self.text.get(self.done..piece.start).unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', gap).count();
        if let Some(last) = memchr::memrchr(b'\n', gap) {
            self.line_start = self.done + last + 1;
        }
        match piece.part {
            Part::Comment => self.comment(piece, lines),
            Part::Name => {
                self.new_line(lines);
                self.indent_to(self.depth * INDENT);
                self.inside = true;
                self.shift = self.column as isize - self.source_column(piece.start) as isize;
                self.directive_shift = self.shift;
                self.hanging = None;
            }
            Part::Arg if lines > 0 || self.last == Some(Part::Comment) => self.continued(piece.start),
            Part::Arg => self.blanks(self.source_column(piece.start) - self.source_column(self.done)),
            Part::End => {
                if self.last == Some(Part::Comment) {
                    self.continued(piece.start);
                }
                self.inside = false;
            }
            Part::Open => {
                if self.last == Some(Part::Comment) {
                    self.new_line(1);
                    self.indent_to(self.depth * INDENT);
                } else {
                    self.blanks(1);
                }
                self.inside = false;
                self.hanging = None;
                self.depth += 1;
            }
            Part::Raw => {}
            Part::Close => {
                self.depth = self.depth.saturating_sub(1);
                self.hanging = None;
                let empty = self.last == Some(Part::Open) && lines == 0;
                if self.last != Some(Part::Raw) && !empty {
                    self.new_line(lines);
                    self.indent_to(self.depth * INDENT);
                    self.shift = self.column as isize - self.source_column(piece.start) as isize;
                }
            }
        }
        self.copy(piece);
        self.last = Some(piece.part);
    }

    /// Behind what stands before it on its line, or on a line of its own.
    fn comment(&mut self, piece: Piece, lines: usize) {
        let column = self.source_column(piece.start);
        let below = self.hanging.filter(|&(source, _)| lines == 1 && source == column);
        if lines == 0 && self.last.is_some() {
            let wanted = column.saturating_add_signed(self.shift);
            self.blanks(wanted.saturating_sub(self.column).max(1));
            self.hanging = Some((column, self.column));
            return;
        }
        self.new_line(lines);
        if let Some((_, target)) = below {
            return self.indent_to(target);
        }
        self.hanging = None;
        if self.inside {
            self.indent_to(self.continuation(column));
        } else {
            self.indent_to(self.depth * INDENT);
        }
    }

    /// A further line of a directive.
    fn continued(&mut self, start: usize) {
        self.new_line(1);
        self.shift = self.directive_shift;
        self.indent_to(self.continuation(self.source_column(start)));
    }

    fn continuation(&self, column: usize) -> usize {
        column.saturating_add_signed(self.directive_shift).max((self.depth + 1) * INDENT)
    }

    /// Ends the line; `lines` ends of lines were there: an empty one stays.
    fn new_line(&mut self, lines: usize) {
        if self.last.is_some() {
            self.out.extend_from_slice(if lines > 1 && !self.inside { b"\n\n" } else { b"\n" });
        }
        self.column = 0;
        self.shift = 0;
    }

    fn indent_to(&mut self, column: usize) {
        self.blanks(column.saturating_sub(self.column));
    }

    fn blanks(&mut self, n: usize) {
        self.out.resize(self.out.len() + n, b' ');
        self.column += n;
    }

    fn copy(&mut self, piece: Piece) {
        let text = self.text.get(piece.start..piece.end).unwrap_or_default();
        self.out.extend_from_slice(text);
        self.done = piece.end;
        match memchr::memrchr(b'\n', text) {
            // What follows a text of several lines stands where it stood.
            Some(last) => {
                self.line_start = piece.start + last + 1;
                self.column = self.source_column(piece.end);
                self.shift = 0;
            }
            None => self.column = columns(self.column, text),
        }
    }

    /// The column (from 0) of an offset on the line that is being read.
    fn source_column(&self, at: usize) -> usize {
        columns(0, self.text.get(self.line_start..at).unwrap_or_default())
    }

    fn finish(mut self) -> Vec<u8> {
        if self.last.is_some() {
            self.out.push(b'\n');
        }
        self.out
    }
}

/// The column behind a text that begins at a column.
fn columns(from: usize, text: &[u8]) -> usize {
    text.iter().fold(from, |column, &b| if b == b'\t' { (column / TAB + 1) * TAB } else { column + 1 })
}
