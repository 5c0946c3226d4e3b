//! Lines that somebody looked at: `# tenrec-ignore S4: the clients are ours`, on the line or the one above.

use crate::diag::{Diag, SourceMap, Span};

/// Whether the line of a finding is ignored, with a reason. Without one it is not.
pub(super) fn ignored(map: &SourceMap, diag: &Diag) -> bool {
    let Some(span) = diag.span else { return false };
    let file = map.file(span.file);
    let (line, _) = file.line_col(span.start);
    [line, line.saturating_sub(1)].iter().any(|&n| n > 0 && names(file.line(n), diag.code, n == line))
}

/// Whether a line ignores a rule; the line above a directive has the comment alone.
fn names(line: &[u8], rule: &str, same: bool) -> bool {
    let text = String::from_utf8_lossy(line);
    let Some((before, comment)) = text.split_once("# tenrec-ignore ") else { return false };
    let Some((rules, reason)) = comment.split_once(':') else { return false };
    (same || before.trim().is_empty())
        && !reason.trim().is_empty()
        && rules.split([' ', ',']).any(|r| r == rule)
}

/// The place behind the last word of a directive.
pub(super) fn behind(dir: crate::source::Dir<'_>) -> Span {
    let node = dir.node();
    let last = node.args.last().unwrap_or(&node.name).span;
    Span::new(last.file, last.end, last.end)
}
