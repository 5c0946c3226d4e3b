//! The output read by tenrec itself. What it refuses is taken out, as a comment with the reason, and told.

use std::ops::Range;
use std::path::Path;

use super::input::Place;
use super::report::{Class, Row};
use super::writer::Text;
use crate::compile::{self, Loaded};
use crate::diag::{Diag, Diags};
use crate::source::Conf;
use crate::syntax;

/// Lines that may be taken out before the whole is given up.
const ROUNDS: usize = 1000;

/// What a text in hand is to tenrec.
pub(super) fn load(text: &str, prefix: &Path) -> Loaded {
    let mut conf = Conf::default();
    let mut diags = Diags::new();
    let file = conf.map.add("output".to_owned(), text.as_bytes().into(), None);
    let tree = syntax::parse(&conf.map, file, &mut diags);
    conf.trees.push(tree);
    conf.roots.push(file);
    conf.main_file = Some(file);
    compile::check_text(conf, prefix, diags)
}

/// Whether it is said of this machine: a host or a user may be known where the output will run.
pub(super) fn of_the_machine(diag: &Diag) -> bool {
    diag.code == compile::KEY_FILE
        || ["host not found", "getpwnam(", "getgrnam("].iter().any(|begin| diag.message.starts_with(begin))
}

/// Takes out what is refused until the rest loads. The rows say what was taken out; the error is what no line was to
/// blame for.
pub(super) fn settle(text: &mut Text, prefix: &Path) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for _ in 0..ROUNDS {
        let loaded = load(&text.join(), prefix);
        let Some(diag) = loaded.diags.iter().find(|d| d.severity.is_fatal() && !of_the_machine(d)) else {
            return Ok(rows);
        };
        let place = diag.at.or(diag.span.map(|s| (s.file, s.start)));
        let number = place.map(|(file, offset)| loaded.conf.map.file(file).line_col(offset).0 as usize);
        let number = number.and_then(|n| n.checked_sub(1)).or_else(|| user(text, &diag.message));
        let blamed = number.and_then(|n| block(text, n));
        let Some(blamed) = blamed else { return Err(diag.message.clone()) };
        let note = format!("tenrec refuses what it became: {}", diag.message);
        let closes = closes(text, &blamed);
        for (line, cite) in text.lines.get_mut(blamed.clone()).unwrap_or_default() {
            let body = line.trim_start();
            if body.is_empty() || body.starts_with('#') {
                continue;
            }
            if let Some(place) = *cite {
                let subject = code(body).to_owned();
                rows.push(Row { place, subject, class: Class::Dropped, note: note.clone() });
            }
            let indent = line.len() - body.len();
            line.insert_str(indent, "# refused: ");
        }
        if let Some(line) = closes {
            text.lines.insert(blamed.end, (line, None));
        }
        if !rows.iter().any(|r| r.note == note) {
            let place = Place { file: 0, line: 1, column: 1 };
            rows.push(Row { place, subject: "a line of the output".to_owned(), class: Class::Dropped, note });
        }
    }
    Err("too much of it is refused".to_owned())
}

/// The lines of the directive that line `n` belongs to: itself, or a block inside `http` with all that it holds.
fn block(text: &Text, n: usize) -> Option<Range<usize>> {
    let line = |i: usize| text.lines.get(i).map(|(l, _)| l.as_str());
    let depth = |l: &str| l.len() - l.trim_start().len();
    let this = line(n)?;
    let body = code(this.trim_start());
    if body.starts_with('#') || depth(this) == 0 {
        return None;
    }
    if body.starts_with("listen ") {
        // Without it the server would listen somewhere else.
        let head = (0..n)
            .rev()
            .find(|i| line(*i).is_some_and(|l| !l.trim().is_empty() && depth(l) < depth(this)))?;
        return block(text, head);
    }
    if body.ends_with(';') {
        return Some(n..n + 1);
    }
    let edge = |i: &usize| line(*i).is_some_and(|l| !l.trim().is_empty() && depth(l) == depth(this));
    if body == "}" {
        let from = (0..n).rev().find(edge)?;
        return Some(from..n + 1);
    }
    let to = (n + 1..text.lines.len()).find(edge)?;
    Some(n..to + 1)
}

/// The first line that uses a variable which the message says is unknown: nginx names no place for it.
fn user(text: &Text, message: &str) -> Option<usize> {
    let name = message.strip_prefix("unknown \"")?.strip_suffix("\" variable")?;
    let uses = |line: &str| {
        line.match_indices('$').any(|(at, _)| {
            let rest = line.get(at + 1..).unwrap_or_default();
            let rest = rest.strip_prefix('{').unwrap_or(rest);
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            rest.strip_prefix(name).is_some_and(|after| !after.starts_with(word))
        })
    };
    text.lines.iter().position(|(line, _)| !line.trim_start().starts_with('#') && uses(code(line)))
}

/// A condition that refused requests keeps refusing when it cannot be asked: all of them.
fn closes(text: &Text, blamed: &Range<usize>) -> Option<String> {
    let lines = text.lines.get(blamed.clone())?;
    let (first, _) = lines.first()?;
    let body = first.trim_start();
    if let Some((name, _)) = body.strip_prefix("proxy_set_header ").and_then(|rest| rest.split_once(' ')) {
        // The client's own text would pass for ours.
        let indent = " ".repeat(first.len() - body.len());
        return Some(format!("{indent}proxy_set_header {name} \"\"; # the line above cannot be said"));
    }
    let refuses = |(l, _): &(String, Option<Place>)| {
        let l = l.trim_start();
        l.starts_with("return 4") || l.starts_with("return 5") || l.starts_with("deny ")
    };
    let indent = first.len() - body.len();
    (body.starts_with("if ") && lines.iter().any(refuses))
        .then(|| format!("{}return 403; # nobody: the condition above cannot be asked", " ".repeat(indent)))
}

/// A line without the place that it comes from.
fn code(body: &str) -> &str {
    let mut end = body.len();
    while let Some((code, _)) = body.get(..end).and_then(|b| b.rsplit_once(" # ")) {
        if code.ends_with([';', '{', '}']) {
            return code;
        }
        end = code.len();
    }
    body
}
