//! Inputs that are not what they should be: a message with a place, or an output in whose report nothing is missing.

use super::super::input::Input;
use super::super::{Can, Dialect};
use super::complete::missing;
use super::{fixtures, run, ways};

fn named(bytes: impl Into<Vec<u8>>) -> [Input; 1] {
    [Input { name: "x".to_owned(), bytes: bytes.into() }]
}

/// A place inside of the text, and words.
fn located(way: Option<Dialect>, bytes: &[u8], what: &str) {
    let inputs = named(bytes);
    if let Err(problem) = run(way, &inputs, Can::default()) {
        let lines = u32::try_from(bytes.iter().filter(|b| **b == b'\n').count() + 2).unwrap();
        assert!((1..=lines).contains(&problem.line) && problem.column >= 1, "{what}: {problem}");
        assert!(!problem.message.is_empty() && problem.file == "x", "{what}: {problem}");
    }
}

#[test]
fn depth_ends_in_a_message_not_in_the_stack() {
    const DEEP: usize = 20_000;
    for (name, way) in ways() {
        for (open, word) in [
            ("{", "{"),
            ("[", "["),
            ("a {\n", "block"),
            ("\"a\": {", "map"),
            ("a:\n ", "key"),
            ("- ", "item"),
        ] {
            located(way, open.repeat(DEEP).as_bytes(), &format!("{name} {word}"));
        }
        let closed = format!("{{\"a\": {}1{}}}", "[".repeat(DEEP), "]".repeat(DEEP));
        located(way, closed.as_bytes(), name);
        let blocks = format!("ltm pool a {{ members {}{} }}", "{ b ".repeat(DEEP), "}".repeat(DEEP));
        located(way, blocks.as_bytes(), name);
        let upstream = format!("{}{}", "upstream a {".repeat(DEEP), "}".repeat(DEEP));
        located(way, upstream.as_bytes(), name);
    }
}

#[test]
fn aliases_that_grow_without_end_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let one = format!("*a{}, ", i - 1);
        text.push_str(&format!("a{i}: &a{i} [{}]\n", one.repeat(10).trim_end_matches(", ")));
    }
    let problem = run(Some(Dialect::IngressNginx), &named(text), Can::default()).unwrap_err();
    assert!(problem.message.contains("aliases") && problem.line > 4, "{problem}");
}

#[test]
fn other_encodings_are_named_where_they_begin() {
    let text = "# 会话保持\nbackend a\n server a 127.0.0.1:1\n";
    let gbk: &[u8] = b"# \xbb\xe1\xbb\xb0\xb1\xa3\xb3\xd6\nbackend a\n server a 127.0.0.1:1\n";
    for (name, way) in ways() {
        let problem = run(way, &named(gbk), Can::default()).unwrap_err();
        assert_eq!((problem.line, problem.column), (1, 3), "{name}: {problem}");
        let utf16: Vec<u8> =
            [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let problem = run(way, &named(utf16), Can::default()).unwrap_err();
        assert!(problem.message.contains("UTF-16"), "{name}: {problem}");
        // A byte order mark in front of UTF-8 is no more than that.
        let path = fixtures(name).into_iter().next().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let marked = [&b"\xEF\xBB\xBF"[..], &bytes].concat();
        let (with, without) =
            (run(way, &named(marked), Can::default()), run(way, &named(bytes), Can::default()));
        assert_eq!(with.unwrap().conf, without.unwrap().conf, "{}", path.display());
    }
}

#[test]
fn nothing_and_another_systems_file_are_named_as_such() {
    for (name, way) in ways() {
        for text in ["", "\n\n", "# only a comment\n", "{}", "[]", "hello, world", "0"] {
            let done = run(way, &named(text), Can::default());
            // To nginx, a word that nginx would not know is dropped and told.
            match done {
                Err(problem) => {
                    assert!(problem.line >= 1 && !problem.message.is_empty(), "{name}: {problem}")
                }
                Ok(done) => assert!(done.report.dropped(), "{name} {text:?}\n{}", done.conf),
            }
        }
    }
}

/// A value of another type wherever one stands: nothing falls out of the report.
#[test]
fn values_of_other_types_are_told() {
    const EACH: usize = 25;
    for (name, way) in ways() {
        if !matches!(way, Some(Dialect::Fgw | Dialect::Aliyun | Dialect::Tencent)) {
            continue;
        }
        for path in fixtures(name) {
            let text = std::fs::read_to_string(&path).unwrap();
            let starts: Vec<usize> = text.match_indices(": ").map(|(i, _)| i + 2).collect();
            for i in 0..EACH.min(starts.len()) {
                let at = starts[i * starts.len() / EACH.min(starts.len())];
                let rest = &text[at..];
                let Some(end) = rest.find([',', '\n', '}', ']']).filter(|_| !rest.starts_with(['{', '[']))
                else {
                    continue;
                };
                let other = ["null", "-1", "[1, \"a\"]", "{\"a\": {}}", "true", "\"\"", "1e99"][i % 7];
                let changed = format!("{}{other}{}", &text[..at], &rest[end..]);
                let inputs = named(changed.clone());
                match run(way, &inputs, Can::default()) {
                    Ok(done) => {
                        let missing = missing(way, &inputs, &done);
                        assert!(missing.is_empty(), "{}: {missing:?}\n{changed}", path.display());
                    }
                    Err(problem) => assert!(problem.line >= 1, "{problem}"),
                }
            }
        }
    }
}

/// The first half of a file: never an output that is shorter without a word.
#[test]
fn a_file_that_was_not_written_to_its_end_is_told_or_whole_in_the_report() {
    for (name, way) in ways() {
        for path in fixtures(name) {
            let bytes = std::fs::read(&path).unwrap();
            for part in [3, 5, 8] {
                let half = &bytes[..bytes.len() * part / 9];
                let inputs = named(half);
                if let Ok(done) = run(way, &inputs, Can::default()) {
                    let missing = missing(way, &inputs, &done);
                    assert!(missing.is_empty(), "{}: {missing:?}", path.display());
                }
            }
        }
    }
}

#[test]
fn keys_that_come_twice_and_words_that_nobody_knows_are_placed() {
    for (way, text, place) in [
        (Dialect::Fgw, "{\"Services\": {},\n \"Services\": {}}", "x:2:2"),
        (Dialect::Aliyun, "{\"ListenerPort\": 1,\n \"ListenerPort\": 2}", "x:2:2"),
        (Dialect::Tencent, "{\"Port\": 1 \"Port\": 2}", "x:1:12"),
        (Dialect::IngressNginx, "kind: Ingress\nkind: Ingress\n", "x:2:1"),
        (Dialect::IngressNginx, "kind: Ingress\nspec: {{ .Values.x }}\n", "x:2:"),
        (Dialect::F5, "ltm pool a {\n members {\n", "x:2:2"),
        (Dialect::F5, "ltm pool a { }\n}\n", "x:2:1"),
        (Dialect::Haproxy, "backend a\n server \"a\n", "x:2:9"),
        (Dialect::Plus, "http {\n server {\n", "x:3:1"),
        (Dialect::StickyNg, "upstream a {\n server a }\n", "x:2:"),
    ] {
        let problem = run(Some(way), &named(text), Can::default()).unwrap_err().to_string();
        assert!(problem.starts_with(place), "{way:?}: {problem}");
    }
}
