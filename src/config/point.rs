//! What to underline of a directive that something was said of, and what helps, when who said it did not tell.

use super::words;
use crate::diag::{Diag, Span};
use crate::source::Conf;
use crate::syntax::{Node, Quote, Word};

/// Gives `diag` the words that its message is about, and a hint.
pub(super) fn point(diag: &mut Diag, conf: &Conf) {
    let Some((file, offset)) = diag.at else { return };
    let Some(tree) = conf.trees.get(file.0 as usize) else { return };
    // Directives stand in the order in which they end; blocks end at their `{`.
    let ix = tree.nodes.partition_point(|node| node.span.end <= offset);
    let Some(node) = tree.nodes.get(ix).filter(|node| node.span.end == offset + 1) else { return };
    let span = *diag.span.get_or_insert_with(|| span(node, &diag.message));
    if diag.hint.is_none() && diag.severity.is_fatal() && of_a_value(&diag.message) {
        let Some(word) = node.args.iter().find(|word| word.span == span) else { return };
        let name = std::str::from_utf8(&node.name.value).unwrap_or_default();
        diag.hint = words::hint(name, &word.value);
        // Another name is meant for the name alone.
        let value = word.value.iter().position(|b| *b == b'=');
        if let (Some(at), true) = (value, diag.hint.as_deref().is_some_and(|h| h.starts_with("did you mean")))
            && word.quote == Quote::None
        {
            diag.span = Some(Span { end: span.start + u32::try_from(at).unwrap_or_default() + 1, ..span });
        }
    }
}

/// Whether a message says that a parameter or what it holds is wrong, not where it stands or what it clashes with.
fn of_a_value(message: &str) -> bool {
    message.contains("invalid") || message.contains("unknown")
}

fn span(node: &Node, message: &str) -> Span {
    if message.contains("is duplicate") && !message.contains("parameter") {
        return node.name.span;
    }
    let quoted: Vec<&[u8]> =
        message.split('"').skip(1).step_by(2).map(str::as_bytes).filter(|t| !t.is_empty()).collect();
    let is = |word: &&Word| quoted.contains(&&*word.value);
    let has = |word: &&Word| quoted.iter().any(|text| memchr::memmem::find(&word.value, text).is_some());
    match node.args.iter().find(is).or_else(|| node.args.iter().find(has)) {
        Some(word) => word.span,
        None => match &*node.args {
            [] => node.name.span,
            [one] => one.span,
            [first, .., last] => Span { end: last.span.end, ..first.span },
        },
    }
}
