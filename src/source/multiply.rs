//! Files that include files more than once: a chain of thirty that each bring the next one twice is a billion
//! directives in thirty lines.

use super::Conf;
use crate::diag::{Diag, Diags, FileId};
use crate::syntax::NodeId;

/// How many directives may come from repeated includes; past it an include brings nothing.
const MOST: u64 = 4_000_000;

/// A file whose includes are being counted.
struct Frame {
    file: FileId,
    includes: Vec<NodeId>,
    /// Directives so far, those of its includes with them.
    count: u64,
}

/// Takes away the includes with which a file would stand for more directives than `MOST` and all that were read. The
/// first of them is told.
pub(super) fn bound(conf: &mut Conf) -> Diags {
    let mut diags = Diags::new();
    let read: u64 = conf.trees.iter().map(|tree| tree.nodes.len() as u64).sum();
    let limit = MOST + read;
    let mut counts: Vec<Option<u64>> = vec![None; conf.trees.len()];
    // A file comes after what it includes: there are no cycles, the loader cut them.
    for root in conf.roots.clone() {
        let mut stack = vec![frame(conf, root)];
        while let Some(top) = stack.last_mut() {
            let Some(&id) = top.includes.last() else {
                if let Some(count) = counts.get_mut(top.file.0 as usize) {
                    *count = Some(top.count);
                }
                stack.pop();
                continue;
            };
            let key = (top.file, id);
            let files = conf.includes.get(&key).map_or(&[][..], Vec::as_slice);
            let count_of = |file: &FileId| counts.get(file.0 as usize).copied().flatten();
            if let Some(&next) = files.iter().find(|file| count_of(file).is_none()) {
                stack.push(frame(conf, next));
                continue;
            }
            let brought = files.iter().filter_map(count_of).fold(0, u64::saturating_add);
            top.includes.pop();
            if top.count.saturating_add(brought) <= limit {
                top.count = top.count.saturating_add(brought);
                continue;
            }
            if diags.is_empty() {
                let node = conf.trees[key.0.0 as usize].node(id);
                let span = node.args.first().map_or(node.span, |word| word.span);
                let message = format!("too many directives by repeated includes, more than {limit}");
                let diag = Diag::emerg("include-too-often", message)
                    .with_span(span)
                    .with_at((key.0, node.span.end.saturating_sub(1)))
                    .with_hint("a file that includes another one twice doubles all that is in it");
                diags.push(diag);
            }
            conf.includes.insert(key, Vec::new());
        }
    }
    diags
}

fn frame(conf: &Conf, file: FileId) -> Frame {
    let nodes = conf.trees.get(file.0 as usize).map_or(&[][..], |tree| &tree.nodes);
    let ids = (0..nodes.len() as u32).map(NodeId);
    let mut includes: Vec<NodeId> = ids.filter(|&id| conf.includes.contains_key(&(file, id))).collect();
    includes.reverse();
    Frame { file, includes, count: nodes.len() as u64 }
}
