//! Nothing of an input is left unsaid: every line, directive, field or entry has its row.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::input::Input;
use super::super::json::{self, Node};
use super::super::{Can, Converted, Dialect, yaml};
use super::{fixtures, input, run, ways};
use crate::diag::{Diags, SourceMap};
use crate::syntax;

/// The places of all values that hold no other.
fn leaves(node: &Node, out: &mut Vec<(u32, u32)>) {
    if node.items().is_empty() && node.fields().is_empty() {
        out.push((node.place.line, node.place.column));
    }
    node.items().iter().for_each(|n| leaves(n, out));
    node.fields().iter().for_each(|(_, n)| leaves(n, out));
}

/// The places that must have a row.
fn wanted(way: Option<Dialect>, inputs: &[Input]) -> Vec<(u32, u32)> {
    let text = inputs[0].text().unwrap();
    let mut out = Vec::new();
    match way {
        Some(Dialect::Fgw | Dialect::Aliyun | Dialect::Tencent) => {
            leaves(&json::parse(inputs, 0, 0).unwrap(), &mut out);
        }
        Some(Dialect::IngressNginx) => {
            yaml::parse(inputs, 0, 0).unwrap().iter().for_each(|d| leaves(d, &mut out));
        }
        Some(Dialect::Plus | Dialect::StickyNg) | None => {
            let mut map = SourceMap::new();
            let file = map.add("x".to_owned(), text.as_bytes().into(), None);
            let tree = syntax::parse(&map, file, &mut Diags::new());
            out.extend(tree.nodes.iter().map(|n| map.file(file).line_col(n.span.start)));
        }
        Some(Dialect::Haproxy) => {
            for (i, line) in text.lines().enumerate() {
                let body = line.trim_start();
                if !body.is_empty() && !body.starts_with('#') {
                    let column = line.len() - body.len() + 1;
                    out.push((u32::try_from(i + 1).unwrap(), u32::try_from(column).unwrap()));
                }
            }
        }
        Some(Dialect::F5) => {
            // The script of a rule is one thing, however many lines it has.
            let mut script = false;
            for (i, line) in text.lines().enumerate() {
                let body = line.trim();
                let said = body.trim_matches(['{', '}', ' ']);
                if !script && !said.is_empty() && !body.starts_with('#') {
                    out.push((u32::try_from(i + 1).unwrap(), 0));
                }
                script = (script || line.starts_with("ltm rule")) && !line.starts_with('}');
            }
        }
    }
    out
}

pub(super) fn missing(way: Option<Dialect>, inputs: &[Input], done: &Converted) -> Vec<(u32, u32)> {
    let rows: BTreeSet<(u32, u32)> =
        done.report.rows.iter().map(|r| (r.place.line, r.place.column)).collect();
    let lines: BTreeSet<u32> = rows.iter().map(|(line, _)| *line).collect();
    let mut wanted = wanted(way, inputs);
    assert!(!wanted.is_empty());
    wanted.retain(|at| !(rows.contains(at) || (at.1 == 0 && lines.contains(&at.0))));
    wanted
}

#[test]
fn every_line_or_field_of_every_fixture_has_a_row() {
    for (name, way) in ways() {
        for path in fixtures(name) {
            let inputs = [input(&path, std::fs::read(&path).unwrap())];
            let done = run(way, &inputs, Can::probe()).unwrap();
            let missing = missing(way, &inputs, &done);
            assert!(missing.is_empty(), "{}: nothing is said of {missing:?}", path.display());
        }
    }
}

/// A field or line that nobody knows is told as dropped, wherever it stands.
#[test]
fn what_is_put_in_is_told_as_dropped() {
    for (name, way, from, to) in [
        ("haproxy", Some(Dialect::Haproxy), "\nbackend ", "\n    xyzzy 1\nbackend "),
        ("fgw", Some(Dialect::Fgw), "\"Endpoints\":", "\"xyzzy\": 1, \"Endpoints\":"),
        ("aliyun", Some(Dialect::Aliyun), "\"Scheduler\":", "\"xyzzy\": 1, \"Scheduler\":"),
        ("tencent", Some(Dialect::Tencent), "\"Scheduler\":", "\"xyzzy\": 1, \"Scheduler\":"),
        ("f5", Some(Dialect::F5), "    members {", "    xyzzy 1\n    members {"),
        ("ingress-nginx", Some(Dialect::IngressNginx), "    annotations:\n", "    annotations:\n    # \n"),
        ("plus", Some(Dialect::Plus), "server {", "server { xyzzy 1;"),
        ("sticky-ng", Some(Dialect::StickyNg), "server {", "server { xyzzy 1;"),
        ("to-nginx", None, "server {", "server { xyzzy 1;"),
    ] {
        let path =
            fixtures(name).into_iter().find(|p| p.ends_with("everything.in") || name == "to-nginx").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name}");
        let changed = text.replacen(from, to, 1);
        let inputs = [input(Path::new("x"), changed.clone().into_bytes())];
        let done = run(way, &inputs, Can::probe()).unwrap();
        let said = |r: &super::super::Row| r.subject.contains("xyzzy") && r.class == super::Class::Dropped;
        assert!(!changed.contains("xyzzy") || done.report.rows.iter().any(said), "{name}");
    }
}
