//! The form of a file: what words come of which bytes, what is an error, and that nothing is lost.

mod errors;
mod foreign;
mod layout;
mod properties;
mod words;

use crate::diag::{Diags, FileId, SourceMap, render_nginx};
use crate::syntax::{Body, NodeId, Tree, parse, print};

/// A text read, its diagnostics as nginx's lines, and the check that it prints back.
fn read(text: &[u8]) -> (SourceMap, Tree, Vec<String>) {
    let mut map = SourceMap::new();
    let file = map.add("f".to_string(), text.into(), None);
    finish(map, file)
}

fn finish(map: SourceMap, file: FileId) -> (SourceMap, Tree, Vec<String>) {
    let mut diags = Diags::new();
    let tree = parse(&map, file, &mut diags);
    assert_eq!(print(&map, &tree), &map.file(file).text[..], "the tree prints back");
    let lines =
        diags.iter().map(|d| render_nginx(&map, d).replace("nginx: ", "").replace("[emerg] ", "")).collect();
    (map, tree, lines)
}

/// The tree on one line: `name arg…;`, `name arg… {…}`, words between `<>`.
fn show(tree: &Tree) -> String {
    fn ids(tree: &Tree, list: &[NodeId], out: &mut String) {
        for &id in list {
            let node = tree.node(id);
            for word in std::iter::once(&node.name).chain(&node.args) {
                *out += &format!("<{}>", word.value.escape_ascii());
            }
            match &node.body {
                Body::None => *out += ";",
                Body::Block { children, .. } => {
                    *out += "{";
                    ids(tree, children, out);
                    *out += "}";
                }
                Body::Raw { .. } => *out += "{raw}",
            }
        }
    }
    let mut out = String::new();
    ids(tree, &tree.roots, &mut out);
    out
}

fn shown(text: &str) -> String {
    let (_, tree, errors) = read(text.as_bytes());
    assert!(errors.is_empty(), "{text:?}: {errors:?}");
    show(&tree)
}
