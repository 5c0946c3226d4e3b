//! `tenrec lint`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::diag::{Diags, FileId, SourceMap, Span, render_long};
use crate::lint::{Finding, lint};
use crate::source::{self, Conf};
use crate::syntax;

use super::check::Level;
use super::report::{Format, Report};
use super::sub::{Flag, Words, print};
use super::write::replace;

pub(super) const FLAGS: &[Flag] = &[
    Flag { name: "format", value: Some("FORMAT"), about: "json, sarif or github" },
    Flag { name: "fix", value: None, about: "write what there is only one way to write" },
    Flag { name: "fix-dry-run", value: None, about: "print what --fix would write, and write nothing" },
    Flag { name: "strict", value: None, about: "exit with 2 when there is a warning" },
];

pub(super) fn run(words: Words) -> Result<u8, String> {
    let [name] = &words.operands[..] else { return Err("one file is needed, the main one".to_owned()) };
    let format = match words.value("format") {
        None => None,
        Some(word) => {
            Some(word.to_str().and_then(Format::parse).ok_or("\"--format\" is json, sarif or github")?)
        }
    };
    let mut diags = Diags::new();
    let conf = source::load(Path::new(name), Path::new(""), None, &mut diags);
    if conf.main_file.is_none() {
        return Err(diags.iter().next().map_or(String::new(), |d| d.text().into_owned()));
    }
    let findings = lint(&conf);
    // Nobody is to take a file that was not read whole for one without fault.
    let broken = diags.fatal();
    findings.iter().for_each(|f| diags.push(f.diag.clone()));
    match format {
        Some(format) => {
            let main = Path::new(name);
            let report = Report {
                conf: &conf,
                diags: &diags,
                main,
                level: Level::Lint,
                findings: &findings,
                around: "",
                impacts: None,
            };
            print(report.text(format).as_bytes());
        }
        None => {
            for diag in diags.iter() {
                let text = render_long(&conf.map, diag);
                let text = text.strip_prefix("nginx: ").unwrap_or(&text);
                let rule = if diag.severity.is_fatal() { String::new() } else { format!("{} ", diag.code) };
                print(format!("{rule}{text}\n").as_bytes());
            }
        }
    }
    if broken {
        return Ok(1);
    }
    if words.has("fix") || words.has("fix-dry-run") {
        for (file, text) in fixed(&conf, &findings)? {
            let source = conf.map.file(file);
            if words.has("fix-dry-run") {
                print(difference(&source.name, &source.text, &text).as_bytes());
            } else {
                replace(Path::new(&source.name), &source.text, &text)
                    .map_err(|e| format!("{}: {e}", source.name))?;
            }
        }
    }
    let warned = findings.iter().any(|f| f.diag.severity == crate::diag::Severity::Warn);
    Ok(if words.has("strict") && warned { 2 } else { 0 })
}

/// The files as they are with every fix made. Of two that touch the same bytes the first is made.
fn fixed(conf: &Conf, findings: &[Finding]) -> Result<BTreeMap<FileId, Vec<u8>>, String> {
    let mut edits: BTreeMap<FileId, Vec<(Span, &[u8])>> = BTreeMap::new();
    for finding in findings {
        let Some((first, _)) = finding.edits.first() else { continue };
        let list = edits.entry(first.file).or_default();
        let apart = |a: &Span, b: &Span| a.end < b.start || b.end < a.start;
        if finding.edits.iter().all(|(span, _)| list.iter().all(|(other, _)| apart(span, other))) {
            list.extend(finding.edits.iter().map(|(span, text)| (*span, &text[..])));
        }
    }
    let mut out = BTreeMap::new();
    for (file, mut list) in edits {
        list.sort_by_key(|(span, _)| span.start);
        let source = conf.map.file(file);
        let (mut text, mut done) = (Vec::new(), 0);
        for (span, new) in list {
            text.extend_from_slice(source.text.get(done..span.start as usize).unwrap_or_default());
            text.extend_from_slice(new);
            done = span.end as usize;
        }
        text.extend_from_slice(source.text.get(done..).unwrap_or_default());
        let (mut map, mut diags) = (SourceMap::new(), Diags::new());
        let id = map.add(source.name.clone(), text.as_slice().into(), None);
        syntax::parse(&map, id, &mut diags);
        if diags.fatal() {
            return Err(format!("{}: the fixes would break its form; nothing was written", source.name));
        }
        out.insert(file, text);
    }
    Ok(out)
}

/// The lines that change, those that go before those that come.
fn difference(name: &str, old: &[u8], new: &[u8]) -> String {
    let lines = |text: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(text)
            .split_inclusive('\n')
            .map(|l| l.trim_end_matches('\n').to_owned())
            .collect()
    };
    let (old, new) = (lines(old), lines(new));
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let left = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(a, b)| a == b).count();
    let (gone, come) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut out =
        format!("--- {name}\n+++ {name}\n@@ -{0},{1} +{0},{2} @@\n", head + 1, gone.len(), come.len());
    gone.iter().for_each(|line| out += &format!("-{line}\n"));
    come.iter().for_each(|line| out += &format!("+{line}\n"));
    out
}
