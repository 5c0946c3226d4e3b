//! Text of nginx's inside an annotation.

use super::super::input::Place;
use super::super::model::Line;
use crate::diag::{Diags, SourceMap};
use crate::syntax::{self, Body, NodeId, Tree};

/// Blocks inside each other.
const DEEPEST: usize = 16;

/// The directives of a snippet.
pub(super) fn lines(text: &str, cite: Place) -> Result<Vec<Line>, String> {
    let mut map = SourceMap::new();
    let file = map.add("snippet".to_owned(), text.as_bytes().into(), None);
    let mut diags = Diags::new();
    let tree = syntax::parse(&map, file, &mut diags);
    if let Some(diag) = diags.iter().find(|d| d.severity.is_fatal()) {
        return Err(format!("this is no text of nginx's: {}", diag.message));
    }
    walk(&tree, &tree.roots, cite, 0)
}

fn walk(tree: &Tree, ids: &[NodeId], cite: Place, depth: usize) -> Result<Vec<Line>, String> {
    if depth > DEEPEST {
        return Err(format!("more than {DEEPEST} blocks inside each other"));
    }
    let mut out = Vec::new();
    for id in ids {
        let node = tree.node(*id);
        let words = std::iter::once(&node.name).chain(&node.args);
        let words: Vec<String> = words.map(|w| String::from_utf8_lossy(&w.value).into_owned()).collect();
        out.push(match &node.body {
            Body::None => Line::new(Some(cite), words),
            Body::Block { children, .. } => {
                Line::block(Some(cite), words, walk(tree, children, cite, depth + 1)?)
            }
            Body::Raw { .. } => return Err("a body in another language has no counterpart".to_owned()),
        });
    }
    Ok(out)
}
