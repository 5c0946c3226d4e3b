//! The whole configuration, with `include` already followed.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::diag::{FileId, SourceMap, Span};
use crate::syntax::{Body, Node, NodeId, Tree, Word};

/// Every file of a configuration. `trees[i]` is the tree of `FileId(i)`.
#[derive(Debug, Default)]
pub struct Conf {
    pub map: SourceMap,
    pub trees: Vec<Tree>,
    /// The files that each `include` brought, in order. A file that is included more than once is here each time and
    /// is read once: its directives have one [`FileId`] wherever they count.
    pub includes: HashMap<(FileId, NodeId), Vec<FileId>>,
    /// What each pattern of `include` brought, by full name.
    pub globs: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// The files that are roots, in nginx's reading order: the text of `-g` when there is one, then the main file.
    pub roots: Vec<FileId>,
    /// The main file, when it could be read.
    pub main_file: Option<FileId>,
    /// What relative includes, certificates and keys belong to: the folder of the main file.
    pub folder: PathBuf,
}

/// A directive seen in its configuration.
#[derive(Clone, Copy)]
pub struct Dir<'c> {
    pub conf: &'c Conf,
    pub file: FileId,
    pub id: NodeId,
}

impl Conf {
    /// The directives of the main context, includes followed.
    pub fn main(&self) -> Children<'_> {
        let mut stack = Vec::new();
        for &file in self.roots.iter().rev() {
            stack.push((file, &self.trees[file.0 as usize].roots[..]));
        }
        Children { conf: self, stack }
    }
}

impl Conf {
    /// What `-T` prints: every file in the order of first reading, the text of `-g` left out.
    pub fn dump(&self, out: &mut Vec<u8>) {
        for (_, file) in self.map.files().filter(|(_, file)| !file.is_command_line()) {
            out.extend_from_slice(format!("# configuration file {}:\n", file.name).as_bytes());
            out.extend_from_slice(&file.text);
            out.push(b'\n');
        }
    }
}

impl<'c> Dir<'c> {
    pub fn node(self) -> &'c Node {
        self.conf.trees[self.file.0 as usize].node(self.id)
    }

    /// The name; directive names that are not UTF-8 read as an empty string.
    pub fn name(self) -> &'c str {
        std::str::from_utf8(&self.node().name.value).unwrap_or_default()
    }

    pub fn args(self) -> &'c [Word] {
        &self.node().args
    }

    /// Argument `i` (from 0), empty when there is none.
    pub fn arg(self, i: usize) -> &'c [u8] {
        self.node().args.get(i).map_or(&[], |w| &w.value)
    }

    /// The span of argument `i`, or of the whole directive.
    pub fn arg_span(self, i: usize) -> Span {
        self.node().args.get(i).map_or(self.node().span, |w| w.span)
    }

    pub fn span(self) -> Span {
        self.node().span
    }

    /// Where nginx says an error of this directive is: the `;` or `{` that ends it.
    pub fn at(self) -> (FileId, u32) {
        (self.file, self.node().span.end.saturating_sub(1))
    }

    /// Where nginx says an error found at the end of this block is: its `}`.
    pub fn close_at(self) -> (FileId, u32) {
        match self.node().body {
            Body::Block { close, .. } | Body::Raw { close, .. } => (self.file, close),
            Body::None => self.at(),
        }
    }

    pub fn has_block(self) -> bool {
        !matches!(self.node().body, Body::None)
    }

    /// The directives of this block, includes followed; nothing for a simple directive.
    pub fn children(self) -> Children<'c> {
        let mut stack = Vec::new();
        if let Body::Block { children, .. } = &self.node().body {
            stack.push((self.file, &children[..]));
        }
        Children { conf: self.conf, stack }
    }
}

/// Directives in order, those of included files in place of their `include`.
pub struct Children<'c> {
    conf: &'c Conf,
    stack: Vec<(FileId, &'c [NodeId])>,
}

impl<'c> Iterator for Children<'c> {
    type Item = Dir<'c>;

    fn next(&mut self) -> Option<Dir<'c>> {
        loop {
            let (file, ids) = self.stack.last_mut()?;
            let file = *file;
            let Some((&id, rest)) = ids.split_first() else {
                self.stack.pop();
                continue;
            };
            *ids = rest;
            if let Some(files) = self.conf.includes.get(&(file, id)) {
                for &f in files.iter().rev() {
                    self.stack.push((f, &self.conf.trees[f.0 as usize].roots[..]));
                }
                continue;
            }
            return Some(Dir { conf: self.conf, file, id });
        }
    }
}
