//! What `-t` adds for a person: the directives that are accepted and do nothing.

use std::fmt::Write as _;

use crate::directives::{Ignored, inert};
use crate::source::Conf;

/// A line for each name, in the order of their first places; empty when there is none.
pub(super) fn text(conf: &Conf) -> String {
    let mut names: Vec<(Ignored, usize)> = Vec::new();
    for one in inert(conf) {
        match names.iter_mut().find(|(known, _)| known.row.name == one.row.name) {
            Some((_, count)) => *count += 1,
            None => names.push((one, 1)),
        }
    }
    let Some(width) = names.iter().map(|(one, _)| one.row.name.len()).max() else { return String::new() };
    let mut out = "accepted and ignored, which changes nothing for a client:\n".to_owned();
    for (one, count) in names {
        let file = conf.map.file(one.span.file);
        let (name, line) = (&file.name, file.line_col(one.span.start).0);
        let _ = write!(out, "  {:width$}  {name}:{line}", one.row.name);
        let _ = match count {
            1 => writeln!(out),
            2 => writeln!(out, " and one more"),
            _ => writeln!(out, " and {} more", count - 1),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::compile;

    #[test]
    fn each_name_stands_once_with_its_first_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.conf");
        let conf = "events { multi_accept on; }\nhttp {\n sendfile on;\n server { sendfile off; autoindex off; }\n}\n";
        std::fs::write(&file, conf).unwrap();
        let text = |file: &Path| super::text(&compile::load(file, dir.path(), None).conf);
        let shown = text(&file).replace(&file.display().to_string(), "F");
        assert_eq!(
            shown,
            "accepted and ignored, which changes nothing for a client:\n  multi_accept  F:1\n  sendfile      F:3 and \
             one more\n  autoindex     F:4\n"
        );
        std::fs::write(&file, "events {}\n").unwrap();
        assert_eq!(text(&file), "");
    }
}
