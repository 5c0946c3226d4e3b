//! Fixtures: an input, what it becomes and the report. `TENREC_BLESS=1` writes the latter two anew.

mod bad;
mod complete;

use std::path::{Path, PathBuf};

use super::{Can, Class, Converted, Dialect, Input, Problem, convert, to_nginx, verify};

/// The fixtures say the same whatever the program learns to do.
const FIXED: Can = Can {
    check: true,
    ssl: true,
    proxy_ssl: true,
    h2: true,
    session_flags: true,
    session_always: true,
    session_backup: false,
    session_rules: true,
    accept: true,
    slow_start: true,
    least_time: true,
    resolve: true,
    gzip: true,
};

fn fixtures(dialect: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/migrate").join(dialect);
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "in"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no fixtures of {dialect}");
    found
}

/// Everything that converts: the systems, and out to nginx.
fn ways() -> Vec<(&'static str, Option<Dialect>)> {
    let mut ways: Vec<_> = Dialect::ALL.iter().map(|(name, d)| (*name, Some(*d))).collect();
    ways.push(("to-nginx", None));
    ways
}

fn run(way: Option<Dialect>, inputs: &[Input], can: Can) -> Result<Converted, Problem> {
    match way {
        Some(dialect) => convert(dialect, inputs, can, Path::new("/")),
        None => to_nginx(inputs, can),
    }
}

fn input(path: &Path, bytes: Vec<u8>) -> Input {
    Input { name: path.file_name().unwrap().to_string_lossy().into_owned(), bytes }
}

#[test]
fn every_fixture_becomes_what_stands_beside_it() {
    for (name, way) in ways() {
        for path in fixtures(name) {
            let inputs = [input(&path, std::fs::read(&path).unwrap())];
            let done = run(way, &inputs, FIXED).unwrap();
            for (ending, text) in [("conf", done.conf), ("report", done.report.text())] {
                let beside = path.with_extension(ending);
                if std::env::var_os("TENREC_BLESS").is_some() {
                    std::fs::write(&beside, &text).unwrap();
                }
                let expected = std::fs::read_to_string(&beside).unwrap_or_default();
                assert_eq!(text, expected, "{}", beside.display());
            }
        }
    }
}

#[test]
fn every_output_loads_and_nothing_had_to_be_taken_out() {
    for (name, dialect) in Dialect::ALL {
        for path in fixtures(name) {
            let inputs = [input(&path, std::fs::read(&path).unwrap())];
            let done = convert(*dialect, &inputs, Can::probe(), Path::new("/")).unwrap();
            let loaded = verify::load(&done.conf, Path::new("/"));
            // A host of the examples' is none here.
            let bad = loaded.diags.iter().find(|d| d.severity.is_fatal() && !verify::of_the_machine(d));
            assert!(bad.is_none(), "{}: {bad:?}\n{}", path.display(), done.conf);
            // Where the words are the input's own, so are the warnings and what only the whole shows.
            let own = matches!(*dialect, Dialect::Plus | Dialect::StickyNg | Dialect::IngressNginx);
            assert!(own || !done.conf.contains("# refused:"), "{}:\n{}", path.display(), done.conf);
            // That both hold is what is wanted.
            let meant = |m: &String| m.contains("stays in force beside");
            let warned: Vec<_> = loaded.diags.iter().map(|d| &d.message).filter(|m| !meant(m)).collect();
            assert!(own || warned.is_empty(), "{}: {warned:?}", path.display());
        }
    }
}

/// Half a file, a line twice or not at all, a byte that is another one: an output that loads or a message with a place.
#[test]
fn damaged_inputs_end_in_an_output_that_loads_or_a_place() {
    for (name, way) in ways() {
        for path in fixtures(name) {
            let bytes = std::fs::read(&path).unwrap();
            for damaged in damages(&bytes) {
                let shown = String::from_utf8_lossy(&damaged).into_owned();
                let inputs = [input(&path, damaged)];
                match run(way, &inputs, Can::default()) {
                    Ok(done) => {
                        let loaded = verify::load(&done.conf, Path::new("/"));
                        let fatal = loaded.diags.iter().find(|d| d.severity.is_fatal());
                        assert!(
                            way.is_none() || fatal.is_none_or(verify::of_the_machine),
                            "{}: {fatal:?}\n{shown}\n=>\n{}",
                            path.display(),
                            done.conf
                        );
                    }
                    Err(problem) => {
                        let lines = u32::try_from(shown.lines().count() + 1).unwrap();
                        assert!(problem.line >= 1 && problem.line <= lines, "{problem}\n{shown}");
                        assert!(problem.column >= 1 && !problem.message.is_empty(), "{problem}\n{shown}");
                    }
                }
            }
        }
    }
}

/// Some of all the ways to damage a text: cut, a line gone or twice, a byte another one. The same ones each time.
fn damages(bytes: &[u8]) -> Vec<Vec<u8>> {
    const EACH: usize = 3;
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let spread = |len: usize, i: usize| (i * len + (i * 7) % 13) / EACH % len.max(1);
    let mut out = Vec::new();
    for i in 0..EACH {
        out.push(bytes[..spread(bytes.len(), i)].to_vec());
        let mut gone = lines.clone();
        gone.remove(spread(lines.len(), i));
        out.push(gone.concat());
        let mut twice = lines.clone();
        let at = spread(lines.len(), i + EACH / 2);
        twice.insert(at, lines[at]);
        out.push(twice.concat());
        let mut other = bytes.to_vec();
        let at = spread(bytes.len(), i);
        other[at] = b"\xff{};\"$#\\ 9x\0\n"[(i + bytes.len()) % 13];
        out.push(other);
    }
    out
}

#[test]
fn another_encoding_is_refused_where_it_begins() {
    let text: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf16 = [&b"\xFE\xFF"[..], &text].concat();
    for (bytes, place, message) in [
        (&utf16[..], "a:1:1: ", "UTF-16"),
        (b"{\"Services\": {\n \"a\xe9\": {}}}", "a:2:4: ", "not UTF-8"),
        (b"{\n\0", "a:2:1: ", "zero byte"),
    ] {
        for (_, way) in ways() {
            let inputs = [Input { name: "a".to_owned(), bytes: bytes.to_vec() }];
            let problem = run(way, &inputs, Can::default()).unwrap_err().to_string();
            assert!(problem.starts_with(place) && problem.contains(message), "{problem}");
        }
    }
}

#[test]
fn a_field_that_nothing_knows_is_told_with_its_path_and_line() {
    let text = "{\"Services\": {\"a\": {\"Endpoints\": {\"127.0.0.1:1\": {}},\n  \"New\": {\"x\": [7]}}}}";
    let inputs = [Input { name: "a".to_owned(), bytes: text.into() }];
    let done = convert(Dialect::Fgw, &inputs, Can::default(), Path::new("/")).unwrap();
    let row = done.report.rows.iter().find(|r| r.class == Class::Dropped).unwrap();
    assert_eq!((row.place.line, row.subject.as_str()), (2, "Services.a.New.x[0] = 7"));
    assert!(done.report.dropped());
}

#[test]
fn inputs_of_fgw_are_laid_over_each_other() {
    let parts = [
        r#"{"Services": {"a": {"Endpoints": {"127.0.0.1:1": {"Weight": 1}}}}}"#,
        r#"{"Services": {"a": {"StickyCookieName": "s", "Endpoints": {"127.0.0.1:1": {"Weight": 5}}}}}"#,
    ];
    let inputs = parts.map(|p| Input { name: "p".to_owned(), bytes: p.into() });
    let done = convert(Dialect::Fgw, &inputs, Can::default(), Path::new("/")).unwrap();
    assert!(done.conf.contains("server 127.0.0.1:1 weight=5 id="), "{}", done.conf);
    assert!(done.conf.contains("cookie=s "), "{}", done.conf);
    assert_eq!(done.report.rows.len(), 3);
}
