//! The fixtures of directives, and the README's table of them. `TENREC_BLESS=1` writes both anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tenrec::diag::{Diags, SourceMap};
use tenrec::directives::{self, FAMILIES, Status};
use tenrec::source::Conf;
use tenrec::syntax;

use super::support::{daemon, skipped};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn bless() -> bool {
    std::env::var_os("TENREC_BLESS").is_some()
}

/// Every `FAMILY/NAME.CASE.conf`, in order.
fn fixtures() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for family in std::fs::read_dir(root().join("fixtures/directives")).unwrap() {
        for file in std::fs::read_dir(family.unwrap().path()).unwrap() {
            found.push(file.unwrap().path());
        }
    }
    found.retain(|p| p.extension().is_some_and(|e| e == "conf"));
    found.sort();
    assert!(found.len() > 100, "{} fixtures", found.len());
    found
}

/// What the check says of a file: `LINE: SEVERITY: MESSAGE` and, indented, the hint; then what is ignored.
fn said(path: &Path) -> String {
    told(path, true)
}

/// As [`said`], with or without what follows from the statuses of rows (not supported, ignored): a snapshot of that
/// would be stale whenever a directive becomes more than planned.
fn told(path: &Path, statuses: bool) -> String {
    let mut map = SourceMap::new();
    let mut diags = Diags::new();
    let file = map.add(path.display().to_string(), std::fs::read(path).unwrap().into(), None);
    let tree = syntax::parse(&map, file, &mut diags);
    let conf = Conf { map, trees: vec![tree], roots: vec![file], ..Conf::default() };
    directives::check(&conf, &mut diags);
    let mut out = String::new();
    for diag in diags.iter() {
        if !statuses && diag.message.contains(" is not supported by tenrec") {
            continue;
        }
        let line = diag.at.map_or(0, |(f, o)| conf.map.file(f).line_col(o).0);
        let _ = writeln!(out, "{line}: {}: {}", diag.severity.word(), diag.message);
        if let Some(hint) = &diag.hint {
            let _ = writeln!(out, "    {hint}");
        }
    }
    for ignored in directives::inert(&conf) {
        assert_eq!(ignored.row.status, Status::Inert, "{}", ignored.row.name);
        if !statuses {
            continue;
        }
        let line = conf.map.file(ignored.span.file).line_col(ignored.span.start).0;
        let _ = writeln!(out, "{line}: ignored: {}", ignored.row.name);
    }
    out
}

#[test]
fn fixtures_say_what_their_snapshots_say() {
    let mut stale = Vec::new();
    for path in fixtures() {
        let (snap, said) = (path.with_extension("snap"), told(&path, false));
        if bless() {
            std::fs::write(&snap, &said).unwrap();
        } else if std::fs::read_to_string(&snap).ok().as_ref() != Some(&said) {
            stale.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(stale.is_empty(), "TENREC_BLESS=1 writes the snapshots anew; stale:\n{}", stale.join("\n"));
}

#[test]
fn what_carries_the_name_ok_is_ok_and_what_carries_wrong_is_wrong() {
    for path in fixtures() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let said = said(&path);
        assert_eq!(said.contains(": emerg: "), !name.ends_with(".ok"), "{}:\n{said}", path.display());
    }
}

#[test]
fn every_directive_that_is_carried_out_has_fixtures() {
    let files = fixtures();
    let lacking: Vec<_> = directives::all()
        .iter()
        .filter(|row| row.status == Status::Full)
        .filter(|row| {
            let dir = root().join("fixtures/directives").join(row.family);
            !files.iter().any(|p| {
                p.parent() == Some(&dir)
                    && p.file_name().unwrap().to_string_lossy().split('.').next() == Some(row.name)
            })
        })
        .map(|row| format!("fixtures/directives/{}/{}.ok.conf", row.family, row.name))
        .collect();
    assert!(lacking.is_empty(), "no fixture:\n{}", lacking.join("\n"));
}

#[test]
fn nginx_reads_the_fixtures_in_the_same_way() {
    let Some(nginx) = daemon::nginx() else { return skipped("fixtures against nginx", "no nginx here") };
    let current = daemon::nginx_is_current(&nginx);
    let dir = daemon::prefix(&[]);
    let mut differ = Vec::new();
    let (mut same, mut lacking) = (0, 0);
    for path in fixtures() {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(dir.path().join("nginx.conf"), text).unwrap();
        let output = daemon::command(&nginx, dir.path()).arg("-t").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let theirs = stderr.lines().find_map(|l| l.split_once("[emerg] ")).map(|(_, rest)| rest.to_owned());
        if theirs.as_ref().is_some_and(|t| t.contains("unknown directive") || t.contains("invalid parameter"))
        {
            lacking += 1;
            continue;
        }
        let ours = said(&path).lines().find_map(|l| {
            let (line, rest) = l.split_once(": emerg: ")?;
            Some(format!("{rest} in {}:{line}", dir.path().join("nginx.conf").display()))
        });
        // What an older nginx has not learned yet.
        let newer = ["directive is not allowed here", "host not found in resolver"];
        if !current && theirs != ours && theirs.as_ref().is_some_and(|t| newer.iter().any(|n| t.contains(n)))
        {
            lacking += 1;
            continue;
        }
        // nginx-sticky-module-ng's `sticky`, which needs no argument.
        let ng = "invalid number of arguments in \"sticky\" directive";
        if theirs != ours && theirs.as_ref().is_some_and(|t| t.starts_with(ng)) {
            lacking += 1;
            continue;
        }
        // A parameter that is ours.
        if theirs.as_ref().is_some_and(|t| t.contains("unknown parameter")) && theirs != ours {
            lacking += 1;
            continue;
        }
        if theirs == ours {
            same += 1;
        } else {
            differ.push(format!("{}\nnginx:  {theirs:?}\ntenrec: {ours:?}", path.display()));
        }
    }
    println!("{same} fixtures compared, {lacking} beyond this nginx");
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

// ---- the README ------------------------------------------------------------------------------------------------

const BEGIN: &str = "<!-- directives:begin -->\n";
const END: &str = "<!-- directives:end -->";

fn table() -> String {
    let words: Vec<&str> = Status::ALL.iter().map(|s| s.word()).collect();
    let mut out = format!(
        "Every directive of nginx 1.31.5 and Tengine 3.2 has a row in [`grammar/directives`](grammar/directives), with \
         its contexts,\narguments, default and status.\n\n| family | about | {} |\n|---|---|{}\n",
        words.join(" | "),
        "--:|".repeat(words.len())
    );
    let count = |family: Option<&str>, status: Status| {
        let rows = directives::all().iter().filter(|r| r.status == status);
        match rows.filter(|r| family.is_none_or(|f| r.family == f)).count() {
            0 => String::new(),
            n => n.to_string(),
        }
    };
    for (family, about) in FAMILIES {
        let counts = Status::ALL.map(|s| count(Some(family), s)).join(" | ");
        let _ = writeln!(out, "| [{family}](grammar/directives/{family}.toml) | {about} | {counts} |");
    }
    let _ = writeln!(out, "| all | | {} |", Status::ALL.map(|s| count(None, s)).join(" | "));
    out.push_str(
        "\nfull: carried out. partial: but for what the row notes. inert: accepted, ignoring it changes nothing for a \
         client.\nplanned, refused: known, an error at start.\n",
    );
    out
}

#[test]
fn the_readme_tells_the_table_as_it_is() {
    let path = root().join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("README.md has a line <!-- directives:begin -->");
    let (now, after) = rest.split_once(END).expect("README.md has a line <!-- directives:end -->");
    let want = table();
    if bless() {
        std::fs::write(&path, format!("{before}{BEGIN}{want}{END}{after}")).unwrap();
    } else {
        assert_eq!(now, want, "TENREC_BLESS=1 writes the README's table anew");
    }
}
