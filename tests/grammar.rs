//! The grammar files and the functions that carry them out name the same productions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Name and right side of every production of a grammar file; comments, literals and `?…?` taken out.
fn productions(file: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("grammar").join(file)).unwrap();
    let mut bare = String::new();
    let mut rest = &text[..];
    while let Some(c) = rest.chars().next() {
        let end = match c {
            '(' if rest.starts_with("(*") => Some("*)"),
            '"' => Some("\""),
            '\'' => Some("'"),
            '?' => Some("?"),
            _ => None,
        };
        let Some(end) = end else {
            bare.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        let start = end.len();
        let len =
            rest[start..].find(end).unwrap_or_else(|| panic!("{file}: {end} is missing after {rest:.40}"));
        rest = &rest[start + len + end.len()..];
    }
    let mut out = BTreeMap::new();
    for production in bare.split(';').map(str::trim).filter(|p| !p.is_empty()) {
        let (name, right) = production.split_once('=').unwrap_or_else(|| panic!("{file}: {production}"));
        let twice = out.insert(name.trim().to_owned(), right.to_owned());
        assert!(twice.is_none(), "{file}: {name} is defined twice");
    }
    assert!(out.len() > 10);
    out
}

/// The functions of a room, tests left out, and whether each is a production: gives nom's result.
fn functions(room: &str) -> BTreeMap<String, bool> {
    let mut out = BTreeMap::new();
    let dir = root().join("src").join(room);
    let files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        for after in text.split("fn ").skip(1) {
            let head = after.split('{').next().unwrap_or_default();
            let name: String = head.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let gives = head.split("->").last().unwrap_or_default();
            out.insert(name, gives.contains("IResult<") || gives.contains("Step<"));
        }
    }
    out
}

fn agree(file: &str, room: &str) {
    let productions = productions(file);
    let functions = functions(room);
    for (name, right) in &productions {
        let own = name.starts_with(|c: char| c.is_uppercase()) || functions.contains_key(name);
        assert!(own, "{file}: there is no fn {name} in src/{room}");
        let used = right.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
        for used in used.collect::<BTreeSet<_>>() {
            assert!(productions.contains_key(used), "{file}: {name} names {used}, which is not defined");
        }
    }
    for (name, _) in functions.iter().filter(|(_, production)| **production) {
        assert!(productions.contains_key(name), "src/{room}: fn {name} is not in {file}");
    }
}

#[test]
fn the_form_of_files() {
    agree("nginx.ebnf", "syntax");
}

#[test]
fn the_values() {
    agree("values.ebnf", "values");
}
