//! The style: what a text becomes, that it stays so, and that no word or comment changes.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use crate::diag::{Diags, SourceMap};
use crate::syntax::{format, parse};

/// The text in style; `None`: it has errors.
fn styled(text: &[u8]) -> Option<Vec<u8>> {
    let mut map = SourceMap::new();
    let file = map.add("f".to_string(), text.into(), None);
    let mut diags = Diags::new();
    let tree = parse(&map, file, &mut diags);
    (!diags.fatal()).then(|| format(&map, &tree).expect("what is in order keeps its words"))
}

#[track_caller]
fn becomes(text: &str, want: &str) {
    let once = String::from_utf8(styled(text.as_bytes()).unwrap()).unwrap();
    assert_eq!(once, want);
    assert_eq!(String::from_utf8(styled(once.as_bytes()).unwrap()).unwrap(), want, "it stays so");
}

#[test]
fn a_directive_a_line_and_four_blanks_a_level() {
    becomes("http{server{listen 80;}}", "http {\n    server {\n        listen 80;\n    }\n}\n");
    becomes("events { }\nhttp {\n}", "events {}\nhttp {\n}\n");
    becomes("server\n{\n\tlisten 80 ;\r\n}", "server {\n    listen 80;\n}\n");
    becomes("", "");
    becomes("\n\n# alone  \n\n", "# alone\n");
}

#[test]
fn one_empty_line_stays() {
    becomes("\na;\n\n\n\nb;\nc {\n\n\n  d;\n\n}", "a;\n\nb;\nc {\n\n    d;\n\n}\n");
}

#[test]
fn columns_that_somebody_made_stay() {
    becomes(
        "types {\n  text/html\t\thtml;\n  text/css      css;\n}",
        "types {\n    text/html             html;\n    text/css      css;\n}\n",
    );
    becomes("a   b;       # one\nccc d;       # two\n", "a   b;       # one\nccc d;       # two\n");
    becomes("x {\na b;    # one\n        # more\n}", "x {\n    a b;    # one\n            # more\n}\n");
}

#[test]
fn comments_stay_where_they_belong() {
    becomes("a{#x\n#y\nb;#z\n}#w\n", "a { #x\n    #y\n    b; #z\n} #w\n");
    becomes("a # x\n{ b # y\n; }", "a # x\n{\n    b # y\n        ;\n}\n");
    becomes("a b # x\n  # y\n  c;", "a b # x\n    # y\n    c;\n");
}

#[test]
fn a_directive_of_several_lines_moves_as_a_whole() {
    becomes(
        "http {\nlog_format main '$a '\n                '$b';\n}",
        "http {\n    log_format main '$a '\n                    '$b';\n}\n",
    );
    becomes("a b\nc\n;", "a b\n    c;\n");
}

#[test]
fn strings_and_other_languages_are_not_touched() {
    becomes("a{b 'x\n  y' c;   # z\n}", "a {\n    b 'x\n  y' c;   # z\n}\n");
    becomes(
        "a{content_by_lua_block{\n\tif x  then { } end\n  }b;}",
        "a {\n    content_by_lua_block {\n\tif x  then { } end\n  }\n    b;\n}\n",
    );
    becomes(
        "a \"b\\\"c\"  'd'; if ($x = \"a\"){return 204;}",
        "a \"b\\\"c\"  'd';\nif ($x = \"a\") {\n    return 204;\n}\n",
    );
}

fn check(text: &[u8]) {
    if let Some(once) = styled(text) {
        let twice = styled(&once).unwrap();
        assert_eq!(once.escape_ascii().to_string(), twice.escape_ascii().to_string());
    }
}

/// Texts that are in order more often than not.
fn texts() -> impl Strategy<Value = String> {
    let word = prop_oneof!["[a-z$\\\\#}]{1,4}x", "\"[a #;{}\\n\\t]{0,6}\"", "'[a\"\\n ]{0,4}'", "\\$\\{a\\}"];
    let gap = prop_oneof![
        Just(" ".to_owned()),
        Just("\t".to_owned()),
        "[ \\t]{1,9}",
        "[ \\n\\t]{0,6}\n[ \\t]{0,4}",
        "[ \\t]{0,5}#[ a;}\"\\t]{0,6}\r?\n[ \\t]{0,9}",
    ];
    let end = prop_oneof![
        Just(";"),
        Just(" ;"),
        Just("\n;"),
        Just(" {"),
        Just("\n{"),
        Just(";"),
        Just(";}"),
        Just(";\n}")
    ];
    let directive = (gap.clone(), proptest::collection::vec((word, gap.clone()), 1..5), end, gap);
    proptest::collection::vec(directive, 0..9).prop_map(|directives| {
        let (mut text, mut depth) = (String::new(), 0);
        for (before, words, end, after) in directives {
            text += &before;
            text.extend(words.iter().flat_map(|(word, gap)| [word.as_str(), gap.as_str()]));
            text += if end.ends_with('}') && depth == 0 { ";" } else { end };
            depth += usize::from(end.ends_with('{'));
            depth -= usize::from(end.ends_with('}') && depth > 0);
            text += &after;
        }
        text + &"}".repeat(depth)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn styled_texts_stay_as_they_are(text in texts()) {
        check(text.as_bytes());
    }

    #[test]
    fn texts_near_the_language_are_styled_or_refused(text in "[ab \\n\\t;{}\"'\\\\#$)]{0,60}") {
        check(text.as_bytes());
    }
}

#[test]
fn most_generated_texts_are_in_order() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let good = (0..200).filter(|_| {
        let text = texts().new_tree(&mut runner).unwrap().current();
        styled(text.as_bytes()).is_some()
    });
    assert!(good.count() > 60);
}

#[test]
fn every_configuration_of_ours_is_styled() {
    let mut dirs = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")];
    let mut n = 0;
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "conf") {
                check(&std::fs::read(&path).unwrap());
                n += 1;
            }
        }
    }
    assert!(n > 100);
}
