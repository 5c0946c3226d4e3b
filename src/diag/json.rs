//! Diagnostics for machines.

use serde_json::{Value, json};

use super::{Diag, SourceMap};

/// One diagnostic as an object. `file`, `line` and `column` (both from 1, columns in bytes) are where what is meant
/// begins and `end` is where it ends; `nginx_line` is the line that nginx names. What is not known is `null`.
pub fn to_json(map: &SourceMap, diag: &Diag) -> Value {
    let place = diag.span.map(|s| (s.file, s.start)).or(diag.at);
    let file = place.map(|(file, _)| map.file(file));
    let start = place.map(|(file, offset)| map.file(file).line_col(offset));
    let end = diag.span.map(|s| map.file(s.file).line_col(s.end));
    json!({
        "severity": diag.severity.word(),
        "code": diag.code,
        "message": diag.text(),
        "hint": diag.hint,
        "file": file.map(|f| f.name.as_str()),
        "line": start.map(|(line, _)| line),
        "column": start.map(|(_, column)| column),
        "end": end.map(|(line, column)| json!({ "line": line, "column": column })),
        "nginx_line": diag.at.map(|(file, offset)| map.file(file).line_col(offset).0),
    })
}
