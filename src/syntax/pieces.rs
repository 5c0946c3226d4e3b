//! A file as a row of pieces: what the tree knows, and the comments between.

use super::lexer::is_blank;
use super::{Body, NodeId, Tree};
use crate::diag::SourceMap;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A name or an argument, quotes included; the first word of a directive is its name.
    Name,
    Arg,
    /// `;`
    End,
    Open,
    Close,
    /// What stands between the braces of a foreign body.
    Raw,
    /// From `#` to the end of the line, blanks at its end left out.
    Comment,
}

/// A piece and where it stands. Between two of them are blanks only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub part: Part,
    pub start: usize,
    pub end: usize,
}

/// The pieces of a file that was read without an error.
pub fn pieces(map: &SourceMap, tree: &Tree) -> Vec<Piece> {
    let text = &map.file(tree.file).text;
    let mut out = Cut { text, out: Vec::with_capacity(tree.nodes.len() * 4), done: 0 };
    // What is left of each open block, the innermost last, and where its brace is.
    let mut stack: Vec<(&[NodeId], Option<u32>)> = vec![(&tree.roots, None)];
    while let Some((ids, close)) = stack.last_mut() {
        let Some((&id, rest)) = ids.split_first() else {
            if let Some(close) = *close {
                out.add(Part::Close, close, close + 1);
            }
            stack.pop();
            continue;
        };
        *ids = rest;
        let node = tree.node(id);
        out.add(Part::Name, node.name.span.start, node.name.span.end);
        for word in &node.args {
            out.add(Part::Arg, word.span.start, word.span.end);
        }
        match &node.body {
            Body::None => out.add(Part::End, node.span.end.saturating_sub(1), node.span.end),
            Body::Block { open, children, close } => {
                out.add(Part::Open, *open, open + 1);
                stack.push((children, Some(*close)));
            }
            Body::Raw { open, text, close } => {
                out.add(Part::Open, *open, open + 1);
                out.add(Part::Raw, text.start, text.end);
                out.add(Part::Close, *close, close + 1);
            }
        }
    }
    out.gap(text.len());
    out.out
}

struct Cut<'t> {
    text: &'t [u8],
    out: Vec<Piece>,
    /// How far the text is cut.
    done: usize,
}

impl Cut<'_> {
    fn add(&mut self, part: Part, start: u32, end: u32) {
        let (start, end) = (start as usize, (end as usize).min(self.text.len()));
        self.gap(start);
        self.out.push(Piece { part, start, end });
        self.done = end;
    }

    /// The comments up to the next piece.
    fn gap(&mut self, end: usize) {
        while let Some(gap) = self.text.get(self.done..end)
            && let Some(at) = memchr::memchr(b'#', gap)
        {
            let start = self.done + at;
            let line = self.text.get(start..end).unwrap_or_default();
            let len = memchr::memchr(b'\n', line).unwrap_or(line.len());
            let kept = line
                .get(..len)
                .unwrap_or_default()
                .iter()
                .rposition(|&b| !is_blank(b))
                .map_or(0, |last| last + 1);
            self.out.push(Piece { part: Part::Comment, start, end: start + kept });
            self.done = start + len;
        }
        self.done = end;
    }
}
