//! Diagnostics as text.

use super::{Diag, SourceMap};

/// nginx's one line: `nginx: [emerg] MESSAGE in FILE:LINE`, without the end of the line.
pub fn render_nginx(map: &SourceMap, diag: &Diag) -> String {
    let word = diag.severity.word();
    match diag.at {
        Some((file, offset)) => {
            let file = map.file(file);
            format!("nginx: [{word}] {} in {}:{}", diag.message, file.name, file.line_col(offset).0)
        }
        None => format!("nginx: [{word}] {}", diag.message),
    }
}

/// The rendering for a person at a terminal: nginx's line, the source line with the span marked, the hint.
pub fn render_long(map: &SourceMap, diag: &Diag) -> String {
    render_nginx(map, diag)
}
