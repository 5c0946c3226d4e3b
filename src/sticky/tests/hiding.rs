//! What the backend sees of our cookie.

use super::*;

fn hidden(upstream: &Upstream, line: &str) -> Option<String> {
    let mut out = Vec::new();
    match hide(&[upstream], line.as_bytes(), &mut out) {
        Change::Keep => Some(line.to_owned()),
        Change::Replace => Some(String::from_utf8(out).unwrap()),
        Change::Drop => None,
    }
}

#[test]
fn the_rest_of_the_line_is_joined_anew_and_an_empty_line_goes() {
    let up = tengine(|s| s.indirect = true);
    for (line, expect) in [
        ("route=x", None),
        ("route=x;", None),
        ("a=1; route=x; b=2", Some("a=1; b=2")),
        ("a=1; route=x", Some("a=1")),
        ("route=x; a=1", Some("a=1")),
        ("route=x; a=1; route=y", Some("a=1")),
        ("xroute=x;  b=2", Some("xroute=x;  b=2")),
        ("a=route=x", Some("a=route=x")),
        ("a=1;b=\"q;r\"; route=x", Some("a=1; b=\"q; r\"")),
    ] {
        assert_eq!(hidden(&up, line).as_deref(), expect, "{line}");
    }
}

#[test]
fn a_prefix_is_taken_off_even_when_it_means_nobody() {
    let up = tengine(|s| s.mode = StickyMode::Prefix);
    for (line, expect) in [
        ("route=dead~abc; b=2", "route=abc; b=2"),
        ("a=1; route=x~y~z", "a=1; route=y~z"),
        ("route=abc", "route=abc"),
        ("route=\"x~abc\"", "route=\"abc\""),
        ("route=x~", "route="),
    ] {
        assert_eq!(hidden(&up, line).as_deref(), Some(expect), "{line}");
    }
}

#[test]
fn nothing_is_hidden_in_the_modes_that_keep_the_cookie_in_the_open() {
    for up in [tengine(|_| {}), tengine(|s| s.mode = StickyMode::Rewrite)] {
        assert_eq!(hidden(&up, "route=x").as_deref(), Some("route=x"));
    }
}
