use super::{Diag, SourceMap, Span, render_long, render_nginx, to_json};

fn map(text: &[u8]) -> (SourceMap, super::FileId) {
    let mut map = SourceMap::new();
    let id = map.add("/etc/nginx.conf".to_string(), text.into(), None);
    (map, id)
}

#[test]
fn the_one_line_names_file_and_line() {
    let (mut map, id) = map(b"a;\nb;\n");
    let diag = Diag::emerg("x", "bad").with_at((id, 4));
    assert_eq!(render_nginx(&map, &diag), "nginx: [emerg] bad in /etc/nginx.conf:2");
    let end = Diag::warn("x", "end").with_at((id, 6));
    assert_eq!(render_nginx(&map, &end), "nginx: [warn] end in /etc/nginx.conf:3");
    let given = map.add_command_line("pid x");
    let diag = Diag::emerg("x", "bad").with_at((given, 3));
    assert_eq!(render_nginx(&map, &diag), "nginx: [emerg] bad in command line");
    assert_eq!(render_nginx(&map, &Diag::emerg("x", "bad")), "nginx: [emerg] bad");
}

#[test]
fn the_long_form_underlines() {
    let (map, id) = map(b"http {\n\tlsiten 80;\n}\n");
    let diag = Diag::emerg("x", "unknown directive \"lsiten\"")
        .with_span(Span::new(id, 8, 14))
        .with_at((id, 17))
        .with_hint("did you mean \"listen\"?");
    let want = "nginx: [emerg] unknown directive \"lsiten\" in /etc/nginx.conf:2\n \
                2 |     lsiten 80;\n   |     ^^^^^^\n   = did you mean \"listen\"?";
    assert_eq!(render_long(&map, &diag), want);
}

#[test]
fn the_long_form_names_another_line_when_the_mark_is_there() {
    let (map, id) = map(b"listen\n80\n;\n");
    let diag = Diag::emerg("x", "bad").with_span(Span::new(id, 7, 9)).with_at((id, 10));
    let want = "nginx: [emerg] bad in /etc/nginx.conf:3\n   --> /etc/nginx.conf:2:1\n 2 | 80\n   | ^^";
    assert_eq!(render_long(&map, &diag), want);
}

#[test]
fn long_lines_are_cut_around_the_mark() {
    let mut text = vec![b'a'; 100_000];
    text.extend_from_slice(b" BAD ");
    text.extend(vec![b'b'; 100_000]);
    let (map, id) = map(&text);
    let shown = render_long(
        &map,
        &Diag::emerg("x", "bad").with_span(Span::new(id, 100_001, 100_004)).with_at((id, 5)),
    );
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 3);
    let at = lines[2].chars().position(|c| c == '^').unwrap();
    assert_eq!(lines[1].chars().skip(at).take(3).collect::<String>(), "BAD");
    assert_eq!(lines[2].matches('^').count(), 3);
    assert!(lines[1].chars().count() < 120 && lines[1].contains(" | …") && lines[1].ends_with('…'));
}

#[test]
fn bytes_that_are_no_text_keep_the_columns() {
    let (map, id) = map(b"\xff\x00\x1b[31m bad\n");
    let shown = render_long(&map, &Diag::emerg("x", "bad").with_span(Span::new(id, 8, 11)).with_at((id, 11)));
    let lines: Vec<&str> = shown.lines().collect();
    let at = lines[2].chars().position(|c| c == '^').unwrap();
    assert_eq!(lines[1].chars().skip(at).collect::<String>(), "bad");
    assert!(!shown.contains('\x1b') && !shown.contains('\0'));
}

#[test]
fn a_place_at_the_end_of_the_file_is_a_place() {
    let (map, id) = map(b"a {\n");
    let shown = render_long(&map, &Diag::emerg("x", "end").with_at((id, 4)).with_hint("h"));
    assert_eq!(shown, "nginx: [emerg] end in /etc/nginx.conf:2\n   = h");
}

#[test]
fn json_has_both_ends() {
    let (map, id) = map(b"a;\nbcd\n;");
    let diag = Diag::emerg("bad-value", "bad").with_span(Span::new(id, 3, 6)).with_at((id, 7));
    let want = serde_json::json!({
        "severity": "emerg", "code": "bad-value", "message": "bad", "hint": null, "file": "/etc/nginx.conf",
        "line": 2, "column": 1, "end": {"line": 2, "column": 4}, "nginx_line": 3,
    });
    assert_eq!(to_json(&map, &diag), want);
}
