//! The tree as text again.

use super::{Body, Node, NodeId, Tree, Word};
use crate::diag::{SourceMap, Span};

/// The bytes of the file, put together from the tree: names, arguments, braces, and what lies between them.
pub fn print(map: &SourceMap, tree: &Tree) -> Vec<u8> {
    let text = &map.file(tree.file).text;
    let mut out = Printer { text, out: Vec::with_capacity(text.len()), done: 0 };
    // What is left of each open block, the innermost last, and where its brace is.
    let mut stack: Vec<(&[NodeId], u32)> = vec![(&tree.roots, text.len() as u32)];
    while let Some((ids, close)) = stack.last_mut() {
        let Some((&id, rest)) = ids.split_first() else {
            out.copy_to(*close);
            stack.pop();
            continue;
        };
        *ids = rest;
        let node = tree.node(id);
        out.head(node);
        match &node.body {
            Body::None => {}
            Body::Block { children, close, .. } => stack.push((children, *close)),
            Body::Raw { text, close, .. } => {
                out.span(*text);
                out.copy_to(*close);
            }
        }
    }
    out.copy_to(text.len() as u32);
    out.out
}

struct Printer<'t> {
    text: &'t [u8],
    out: Vec<u8>,
    /// How far the file is printed.
    done: u32,
}

impl Printer<'_> {
    /// Everything up to an offset that is not printed yet.
    fn copy_to(&mut self, end: u32) {
        debug_assert!(self.done <= end, "the spans of a tree are in the order of the text");
        self.out.extend_from_slice(self.text.get(self.done as usize..end as usize).unwrap_or_default());
        self.done = self.done.max(end);
    }

    fn span(&mut self, span: Span) {
        self.copy_to(span.start);
        self.copy_to(span.end);
    }

    fn head(&mut self, node: &Node) {
        self.copy_to(node.span.start);
        for Word { span, .. } in std::iter::once(&node.name).chain(&node.args) {
            self.span(*span);
        }
        self.copy_to(node.span.end);
    }
}
