//! From crossplane's JSON back to text, in nginx's style.

use serde_json::Value;

use crate::syntax::is_foreign;

/// One file of the JSON.
pub(super) struct Built {
    pub(super) name: String,
    pub(super) text: String,
}

/// The files, in the JSON's order. The error says what cannot be written and where it stands.
pub(super) fn build(payload: &Value) -> Result<Vec<Built>, String> {
    let Some(files) = payload.get("config").and_then(Value::as_array) else {
        return Err("no \"config\" list: not what \"tenrec dump\" and \"crossplane parse\" print".to_owned());
    };
    let mut out = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let name = file.get("file").and_then(Value::as_str).unwrap_or_default().to_owned();
        let at = |text: String| format!("config {i} ({name}): {text}");
        if file.get("status").and_then(Value::as_str) == Some("failed") {
            return Err(at("was not read without errors".to_owned()));
        }
        let Some(parsed) = file.get("parsed").and_then(Value::as_array) else {
            return Err(at("no \"parsed\" list".to_owned()));
        };
        let mut text = String::new();
        block(parsed, 0, 0, &mut text).map_err(at)?;
        if !text.is_empty() {
            text.push('\n');
        }
        out.push(Built { name, text });
    }
    Ok(out)
}

/// Deep JSON is refused by its reader, so that the calls of this are few.
fn block(list: &[Value], depth: usize, above: u64, out: &mut String) -> Result<(), String> {
    let mut last = above;
    for item in list {
        let line = item.get("line").and_then(Value::as_u64).unwrap_or(0);
        let at = |text: &str| format!("line {line}: {text}");
        let Some(name) = item.get("directive").and_then(Value::as_str) else {
            return Err(at("no \"directive\""));
        };
        if name == "#"
            && let Some(comment) = item.get("comment").and_then(Value::as_str)
        {
            if comment.contains('\n') {
                return Err(at("a comment of more than one line"));
            }
            let behind = line == last && line != 0 && !out.is_empty();
            if behind {
                out.push(' ')
            } else {
                new_line(depth, out)
            }
            *out += &format!("#{comment}");
            // What follows on the same line must not become a part of the comment.
            last = 0;
            continue;
        }
        last = line;
        let Some(args) = item.get("args").and_then(Value::as_array) else { return Err(at("no \"args\"")) };
        let texts: Option<Vec<&str>> = args.iter().map(Value::as_str).collect();
        let Some(mut texts) = texts else { return Err(at("an argument that is no text")) };
        let inside =
            item.get("block").map(|b| b.as_array().ok_or_else(|| at("\"block\" is no list"))).transpose()?;
        let foreign = if inside.is_none() && is_foreign(name.as_bytes()) { texts.pop() } else { None };
        new_line(depth, out);
        *out += &word(name, false).map_err(|e| at(&e))?;
        let condition = name == "if" && inside.is_some() && !texts.is_empty();
        for (i, text) in texts.iter().enumerate() {
            *out += if condition && i == 0 { " (" } else { " " };
            *out += &word(text, condition && i == 0).map_err(|e| at(&e))?;
        }
        if condition {
            *out += ")";
        }
        match (inside, foreign) {
            (Some(inside), _) if inside.is_empty() => *out += " {}",
            (Some(inside), _) => {
                *out += " {";
                block(inside, depth + 1, line, out)?;
                new_line(depth, out);
                out.push('}');
            }
            (None, Some(body)) => *out += &format!(" {{{body}}}"),
            (None, None) => out.push(';'),
        }
    }
    Ok(())
}

fn new_line(depth: usize, out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
    *out += &"    ".repeat(depth);
}

/// A word whose text, quotes and the backslashes before those removed, is `text`. `within`: something stands before it
/// that it is joined to.
fn word(text: &str, within: bool) -> Result<String, String> {
    if is_bare(text, within) {
        return Ok(text.to_owned());
    }
    let mut pairs = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        pairs.push((c, if c == '\\' { chars.next() } else { None }));
    }
    if pairs.last() == Some(&('\\', None)) {
        return Err(format!("\"{text}\" ends in a backslash that stands for nothing"));
    }
    let has = |c| pairs.contains(&(c, None));
    let fits = |c| !pairs.contains(&('\\', Some(c)));
    let first = if has('"') && !has('\'') { ['\'', '"'] } else { ['"', '\''] };
    let Some(quote) = first.into_iter().find(|&c| fits(c)) else {
        return Err(format!("{text:?} cannot be quoted: it has both quotes behind backslashes"));
    };
    let mut out = String::from(quote);
    for (c, next) in pairs {
        if c == quote {
            out.push('\\');
        }
        out.push(c);
        out.extend(next);
    }
    out.push(quote);
    Ok(out)
}

/// Whether the text is read as one word as it is.
fn is_bare(text: &str, within: bool) -> bool {
    if text.is_empty() || (!within && text.starts_with(['}', '#', '"', '\''])) {
        return false;
    }
    let (mut chars, mut last, mut expansion) = (text.chars().peekable(), ' ', false);
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next().is_none() => return false,
            '{' if last == '$' => expansion = true,
            '}' => expansion = false,
            ' ' | '\t' | '\r' | '\n' | ';' | '{' => return false,
            c if c.is_whitespace() => return false,
            _ => {}
        }
        last = c;
    }
    // A bare "$" would take a brace that follows it.
    !expansion && last != '$' && !text.contains(['\u{0}'])
}
