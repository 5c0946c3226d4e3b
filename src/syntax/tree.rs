//! The tree: flat, so that depth costs no stack, and lossless, so that it prints back to the same bytes.

use crate::diag::{FileId, Span};

/// A directive by its place in [`Tree::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// How a word was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    None,
    Single,
    Double,
}

/// A name or an argument.
#[derive(Debug, Clone)]
pub struct Word {
    /// The word as written, quotes included.
    pub span: Span,
    /// The word as nginx's reader hands it on: quotes removed, escapes (`\"` `\'` `\\` `\t` `\r` `\n`) resolved.
    pub value: Box<[u8]>,
    pub quote: Quote,
}

/// What ends a directive.
#[derive(Debug, Clone)]
pub enum Body {
    /// `;`
    None,
    /// `{ … }`. `open` and `close` are the offsets of the braces; `close` is the file's length when it is missing
    /// (a diagnostic was given). `children` are in order.
    Block { open: u32, children: Vec<NodeId>, close: u32 },
    /// A foreign body (Lua …): everything between the braces as it stands.
    Raw { open: u32, text: Span, close: u32 },
}

/// One directive.
#[derive(Debug, Clone)]
pub struct Node {
    pub name: Word,
    pub args: Vec<Word>,
    pub body: Body,
    /// From the first byte of the name to the `;` or `{` inclusive. nginx names the line of its last byte.
    pub span: Span,
    pub parent: Option<NodeId>,
}

/// One file's tree. Comments and blanks are what lies between the spans.
#[derive(Debug)]
pub struct Tree {
    pub file: FileId,
    pub nodes: Vec<Node>,
    pub roots: Vec<NodeId>,
}

impl Tree {
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}
