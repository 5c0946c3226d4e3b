//! The form of files: fixtures with what must come of them, and nginx's own word on each of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::Rng as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tenrec::diag::{Diags, render_long, render_nginx};
use tenrec::source::{Conf, Dir, load};
use tenrec::{directives, syntax};

use super::support::daemon::{Program, nginx};
use super::support::skipped;

/// Fixtures that nginx refuses and tenrec reads, and the other way round: a byte order mark, bodies of modules that the
/// reference does not have, a way out of include cycles that is no overflow.
const OURS: [&str; 5] = ["bom", "lua-blocks", "include-cycle", "include-of-itself", "lua-block-not-closed"];

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/syntax").join(kind);
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "conf")).collect();
    files.sort();
    assert!(files.len() > 10, "{kind}: the fixtures are there");
    files
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

fn read(path: &Path) -> (Conf, Diags) {
    let mut diags = Diags::new();
    let conf = load(path, path.parent().unwrap(), None, &mut diags);
    for tree in &conf.trees {
        let text = &conf.map.file(tree.file).text;
        assert_eq!(syntax::print(&conf.map, tree), &text[..], "{}: the tree prints back", path.display());
    }
    (conf, diags)
}

/// The tree of all files, a directive a line.
fn outline(conf: &Conf) -> String {
    let mut out = String::new();
    let mut stack: Vec<(usize, Dir<'_>)> = conf.main().map(|d| (0, d)).collect();
    stack.reverse();
    while let Some((depth, dir)) = stack.pop() {
        let node = dir.node();
        let words = std::iter::once(&node.name).chain(&node.args);
        let words: Vec<String> = words.map(|w| short(&w.value.escape_ascii().to_string())).collect();
        let end = match &node.body {
            syntax::Body::None => ";".to_owned(),
            syntax::Body::Block { .. } => " {".to_owned(),
            syntax::Body::Raw { text, .. } => {
                format!(" {{{}}}", String::from_utf8_lossy(conf.map.text(*text)))
            }
        };
        writeln!(out, "{}[{}]{end}", "  ".repeat(depth), words.join("] [")).unwrap();
        let children: Vec<Dir<'_>> = dir.children().collect();
        stack.extend(children.into_iter().rev().map(|d| (depth + 1, d)));
    }
    out
}

fn short(text: &str) -> String {
    let skip = text.len().saturating_sub(80);
    if skip == 0 { text.to_owned() } else { format!("{}… and {skip} more", &text[..80]) }
}

fn snapshot(path: &Path, text: &str) {
    let dir = path.parent().unwrap().to_str().unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(dir);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(stem(path), text.replace(&format!("{dir}/"), "")));
}

#[test]
fn what_is_right_is_read() {
    for path in fixtures("ok") {
        let (conf, diags) = read(&path);
        assert!(!diags.fatal(), "{}: {diags:?}", path.display());
        snapshot(&path, &outline(&conf));
    }
}

#[test]
fn what_is_wrong_is_told() {
    for path in fixtures("err") {
        let (conf, mut diags) = read(&path);
        let mut out = String::new();
        for diag in diags.iter() {
            writeln!(out, "{}", render_long(&conf.map, diag)).unwrap();
        }
        out += "---\n";
        out += &outline(&conf);
        snapshot(&path, &out);
        directives::check(&conf, &mut diags);
        assert!(diags.fatal(), "{}: an error at all", path.display());
    }
}

/// nginx's first error on a file, or `None` when it finds its syntax right.
fn verdict(program: &Path, prefix: &Path, conf: &Path) -> Option<String> {
    let run = Command::new(program)
        .arg("-t")
        .arg("-p")
        .arg(prefix)
        .arg("-c")
        .arg(conf)
        .args(["-e", "stderr"])
        .output();
    let output = run.unwrap().stderr;
    let output = String::from_utf8_lossy(&output);
    if output.contains("syntax is ok") {
        return None;
    }
    let start =
        output.match_indices("[emerg]").chain(output.match_indices("[crit]")).map(|(i, _)| i).min()?;
    // `2026/11/21 11:00:31 [emerg] 30691#30691: MESSAGE`; a message may have more than one line.
    let told = output[start..].split("\nnginx: configuration file").next().unwrap();
    let (level, message) = told.split_once(' ').unwrap();
    Some(format!("nginx: {level} {}", message.split_once(": ").unwrap().1))
}

/// tenrec's first error: of the form of the files, and of what the table of directives knows.
fn first(path: &Path) -> Option<String> {
    let (conf, mut diags) = read(path);
    directives::check(&conf, &mut diags);
    let order = conf.reading_order();
    diags.sort_by_place(|file, offset| order.rank(file, offset));
    diags.iter().find(|d| d.severity.is_fatal()).map(|d| render_nginx(&conf.map, d))
}

/// Whether it is of the form of files, as nothing at all is. What is missing, double or of a wrong value is not.
fn form(told: &Option<String>) -> bool {
    let words = ["unexpected", "too long", "unknown directive", "open()", "pread()", "terminated", "opening"];
    told.as_ref().is_none_or(|told| words.iter().any(|w| told.contains(w)))
}

#[test]
fn nginx_says_the_same_of_every_fixture() {
    let Some(Program::Nginx(program)) = nginx() else { return skipped("syntax", "no nginx to compare with") };
    let prefix = tempfile::tempdir().unwrap();
    let mut differ = String::new();
    for path in fixtures("err").into_iter().chain(fixtures("ok")) {
        if OURS.contains(&stem(&path)) {
            continue;
        }
        let (theirs, ours) = (verdict(&program, prefix.path(), &path), first(&path));
        let as_right = theirs.is_none() && (ours.is_none() || !form(&ours));
        if form(&theirs) && theirs != ours && !as_right {
            writeln!(differ, "{}:\n  nginx  {theirs:?}\n  tenrec {ours:?}", stem(&path)).unwrap();
        }
    }
    assert!(differ.is_empty(), "{differ}");
}

/// Pieces that make texts on the edge of the language.
const PIECES: &[&str] = &[
    "env a;",
    "env \"a b\";",
    "env 'a';",
    "events {",
    "http {",
    "types {",
    "}",
    "}",
    " ",
    "\n",
    "\r\n",
    "#c\n",
    "#",
    ";",
    "{",
    "\"",
    "'",
    "\\",
    "$",
    "${",
    ")",
    "a",
    "b",
    "\\n",
    "\\\"",
    "x\"y\" ",
    "env ",
    "\t",
    "é",
    "include none/*;",
    "include x",
];

fn below(runner: &mut TestRunner, n: usize) -> usize {
    runner.rng().next_u32() as usize % n
}

#[test]
fn nginx_says_the_same_of_texts_that_nobody_wrote() {
    let Some(Program::Nginx(program)) = nginx() else { return skipped("syntax", "no nginx to compare with") };
    let texts: usize = std::env::var("TENREC_TEXTS").ok().and_then(|n| n.parse().ok()).unwrap_or(250);
    let prefix = tempfile::tempdir().unwrap();
    let path = prefix.path().join("t.conf");
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut compared = 0;
    for _ in 0..texts {
        let len = 1 + below(&mut runner, 23);
        let text: String = (0..len).map(|_| PIECES[below(&mut runner, PIECES.len())]).collect();
        std::fs::write(&path, &text).unwrap();
        let (theirs, ours) = (verdict(&program, prefix.path(), &path), first(&path));
        if form(&theirs) {
            assert_eq!(theirs, ours, "nginx (left) and tenrec (right) differ on {text:?}");
            compared += 1;
        }
    }
    assert!(compared > texts / 2, "most texts tell something of the form: {compared}");
}
