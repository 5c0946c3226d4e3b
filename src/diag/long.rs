//! The rendering for a person at a terminal.

use super::{Diag, SourceMap, Span, render_nginx};

/// Columns of a source line that are shown; of a longer line, those around the mark.
const WIDTH: usize = 100;
/// Columns before the mark when the beginning of a line is cut off.
const LEAD: usize = 30;
/// Columns of a tab.
const TAB: usize = 4;

/// nginx's line, the source line with what is meant underlined, the hint. No line of it ends in a blank; none at the
/// end.
pub fn render_long(map: &SourceMap, diag: &Diag) -> String {
    let mut out = render_nginx(map, diag);
    let span = diag.span.or_else(|| diag.at.map(|(file, at)| Span::new(file, at, at)));
    let number = span.map_or(String::new(), |span| map.file(span.file).line_col(span.start).0.to_string());
    let pad = " ".repeat(number.len());
    if let Some(span) = span {
        let (line, mark) = excerpt(map, span);
        // The one line names the end of a directive; what is meant may stand in another file or on another line.
        let place = |(file, offset)| (file, map.file(file).line_col(offset).0);
        if diag.at.is_some_and(|at| place(at) != place((span.file, span.start))) {
            let file = map.file(span.file);
            let (line, column) = file.line_col(span.start);
            out += &format!("\n {pad} --> {}:{line}:{column}", file.name);
        }
        if !line.is_empty() {
            out += &format!("\n {number} | {line}\n {pad} | {mark}");
        }
    }
    if let Some(hint) = &diag.hint {
        out += &format!("\n {pad} = {hint}");
    }
    out
}

/// The line of a span as a terminal can show it, and the line that marks the span below it.
fn excerpt(map: &SourceMap, span: Span) -> (String, String) {
    let file = map.file(span.file);
    let (number, column) = file.line_col(span.start);
    let text = file.line(number);
    let start = (column as usize - 1).min(text.len());
    let end = (start + span.end.saturating_sub(span.start) as usize).clamp(start, text.len());
    // Only the bytes near the mark are looked at: a line may be as long as the file.
    let from = start.saturating_sub(WIDTH * 4);
    let to = (start + WIDTH * 4).min(text.len());
    let before = cells(text.get(from..start).unwrap_or_default());
    let meant = cells(text.get(start..end.min(to)).unwrap_or_default());
    let after = cells(text.get(end.min(to)..to).unwrap_or_default());

    let whole = before.len() + meant.len() + after.len();
    let cut =
        if from == 0 && to == text.len() && whole <= WIDTH { 0 } else { before.len().saturating_sub(LEAD) };
    let (mark_at, mark_len) = (before.len() - cut, meant.len().max(1));
    let mut line: String = before.into_iter().skip(cut).chain(meant).chain(after).take(WIDTH).collect();
    let ends = to == text.len() && whole - cut <= WIDTH;
    let lead = if cut > 0 || from > 0 { "…" } else { "" };
    line = format!("{lead}{}{}", line.trim_end(), if ends { "" } else { "…" });
    let mark_len = mark_len.min(WIDTH.saturating_sub(mark_at).max(1));
    let mark = format!("{}{}", " ".repeat(mark_at + lead.chars().count()), "^".repeat(mark_len));
    (line, mark)
}

/// One character a column: tabs widened, bytes that are no text and controls replaced.
fn cells(bytes: &[u8]) -> Vec<char> {
    let mut out = Vec::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '\t' => out.extend([' '; TAB]),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}
