//! The line that nginx prints, which tools read.

use super::{Diag, HERE, SourceMap};

/// nginx's one line: `nginx: [emerg] MESSAGE in FILE:LINE`, without the end of the line.
pub fn render_nginx(map: &SourceMap, diag: &Diag) -> String {
    let word = diag.severity.word();
    let Some((file, offset)) = diag.at else { return format!("nginx: [{word}] {}", diag.message) };
    let file = map.file(file);
    let (message, rest) = diag.message.split_once(HERE).unwrap_or((&diag.message, ""));
    if file.is_command_line() {
        return format!("nginx: [{word}] {message} in {}{rest}", file.name);
    }
    format!("nginx: [{word}] {message} in {}:{}{rest}", file.name, file.line_col(offset).0)
}
