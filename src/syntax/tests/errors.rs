use super::{finish, read, show};
use crate::diag::SourceMap;

#[track_caller]
fn fails(text: &str, tree: &str, errors: &[&str]) {
    let (_, found, told) = read(text.as_bytes());
    assert_eq!(told, errors, "{text:?}");
    assert_eq!(show(&found), tree, "{text:?}");
}

#[test]
fn marks_without_words() {
    fails(";", "", &["unexpected \";\" in f:1"]);
    fails("a;\n;b;", "<a>;<b>;", &["unexpected \";\" in f:2"]);
    fails("{ a; { b; } } c;", "<c>;", &["unexpected \"{\" in f:1", "unexpected \"{\" in f:1"]);
    fails("a;\n}\nb;", "<a>;<b>;", &["unexpected \"}\" in f:2"]);
}

#[test]
fn a_semicolon_that_is_missing() {
    fails("a {\n b c\n}\nd;", "<a>{}<d>;", &["unexpected \"}\" in f:3"]);
    fails("a;\nb c", "<a>;", &["unexpected end of file, expecting \";\" or \"}\" in f:2"]);
    fails("a;\nb c\n", "<a>;", &["unexpected end of file, expecting \";\" or \"}\" in f:3"]);
}

#[test]
fn a_brace_that_is_missing() {
    fails("a {\nb {\nc;\n}\n", "<a>{<b>{<c>;}}", &["unexpected end of file, expecting \"}\" in f:5"]);
    fails("a { b", "<a>{}", &["unexpected end of file, expecting \";\" or \"}\" in f:1"]);
}

#[test]
fn what_follows_a_closing_quote() {
    fails("a \"b\"c d; e;", "<e>;", &["unexpected \"c\" in f:1"]);
    fails("a 'b'} c;", "<c>;", &["unexpected \"}\" in f:1"]);
    fails("a \"b\"\"c\"; d;", "<d>;", &["unexpected \"\"\" in f:1"]);
    fails("a \"b\"# c\n; d;", "<d>;", &["unexpected \"#\" in f:1"]);
    fails("a \"b\"c { d; }", "<a><b>{<d>;}", &["unexpected \"c\" in f:1"]);
    fails("a \"b;\nc \"d\";\ne;", "<e>;", &["unexpected \"d\" in f:2"]);
}

#[test]
fn quotes_that_do_not_close() {
    fails("a 'b;\nc;", "", &["unexpected end of file, expecting \";\" or \"}\" in f:2"]);
    fails("a {\n b \"c;\n}\n", "<a>{}", &["unexpected end of file, expecting \";\" or \"}\" in f:4"]);
    fails("a b\\", "", &["unexpected end of file, expecting \";\" or \"}\" in f:1"]);
    fails("\\", "", &["unexpected end of file, expecting \";\" or \"}\" in f:1"]);
}

#[test]
fn every_error_of_a_file_is_told() {
    let text = "a {\n ;\n b \"c\"d;\n e f\n}\n}\ng";
    let want = [
        "unexpected \";\" in f:2",
        "unexpected \"d\" in f:3",
        "unexpected \"}\" in f:5",
        "unexpected \"}\" in f:6",
        "unexpected end of file, expecting \";\" or \"}\" in f:7",
    ];
    fails(text, "<a>{}", &want);
}

#[test]
fn errors_past_a_hundred_are_counted() {
    let (_, _, told) = read(&b";".repeat(1000));
    assert_eq!(told.len(), 101);
    assert_eq!(told[100], "900 more syntax errors in f:1");
}

#[test]
fn words_of_4096_bytes_do_not_fit() {
    let x = |n: usize| "x".repeat(n);
    for (text, fits) in [
        (format!("a {};", x(4095)), true),
        (format!("a {};", x(4096)), false),
        (format!("a {}", x(4096)), true),
        (format!("a {} ;", x(4094)), true),
        (format!("a {} ;", x(4095)), false),
        (format!("a \"{}\";", x(4094)), true),
        (format!("a \"{}\";", x(4095)), false),
        (format!("a \"{}\" ;", x(4093)), true),
        (format!("a \"{}\" ;", x(4094)), false),
        (format!("#{}\na;", x(4094)), true),
        (format!("#{}\na;", x(4095)), false),
        (format!("#{}\na;", x(4096)), false),
        (format!("#{}", x(4095)), true),
        (format!("#{}", x(4096)), false),
    ] {
        let (_, _, told) = read(text.as_bytes());
        let long = told.iter().any(|t| t.contains("too long"));
        assert_eq!(long, !fits, "{} {}", text.len(), &text[..4]);
    }
    let long = format!("b;\na {};c;", x(5000));
    let (_, tree, told) = read(long.as_bytes());
    assert_eq!(told, ["too long parameter \"xxxxxxxxxx...\" started in f:2"]);
    assert_eq!(tree.roots.len(), 3);
    let quoted = format!("b;\na \"\n{}\";c;", x(5000));
    let want = "too long parameter, probably missing terminating \"\"\" character in f:2";
    assert_eq!(read(quoted.as_bytes()).2, [want]);
    let open = format!("a 'b;\n{}\nc d\n}}\n", "e;\n".repeat(2000));
    let want = [
        "too long parameter, probably missing terminating \"'\" character in f:1",
        "unexpected \"}\" in f:2004",
    ];
    let told = read(open.as_bytes()).2;
    assert_eq!(told[..2], want);
}

#[test]
fn the_command_line_has_its_own_words() {
    let given = |text: &str| {
        let mut map = SourceMap::new();
        let file = map.add_command_line(text);
        let (_, tree, told) = finish(map, file);
        (show(&tree), told.join("|"))
    };
    assert_eq!(given("daemon off;"), ("<daemon><off>;".into(), String::new()));
    assert_eq!(given("a").1, "unexpected end of parameter, expecting \";\" in command line");
    assert_eq!(given("a {}").1, "block directives are not supported in -g option in command line");
    assert_eq!(given("}").1, "unexpected \"}\" in command line");
    assert_eq!(given(&format!("a {};", "x".repeat(9000))).1, "");
}

#[test]
fn ten_thousand_blocks_deep() {
    let text = "a {".repeat(10_000) + "b;" + &"}".repeat(10_000);
    let (_, tree, told) = read(text.as_bytes());
    assert!(told.is_empty());
    assert_eq!(tree.nodes.len(), 10_001);
    let (_, tree, told) = read("a {".repeat(10_000).as_bytes());
    assert_eq!(told.len(), 1);
    drop(tree);
}
