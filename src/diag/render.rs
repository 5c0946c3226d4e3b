//! The line that nginx prints, which tools read.

use super::{Diag, SourceMap};

/// nginx's one line: `nginx: [emerg] MESSAGE in FILE:LINE`, without the end of the line.
pub fn render_nginx(map: &SourceMap, diag: &Diag) -> String {
    let word = diag.severity.word();
    let Some((file, offset)) = diag.at else { return format!("nginx: [{word}] {}", diag.message) };
    let file = map.file(file);
    if file.is_command_line() {
        return format!("nginx: [{word}] {} in {}", diag.message, file.name);
    }
    format!("nginx: [{word}] {} in {}:{}", diag.message, file.name, file.line_col(offset).0)
}
