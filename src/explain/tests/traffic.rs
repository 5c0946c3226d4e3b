use crate::explain::{Ask, Counts, Form, Traffic};

fn all(form: Form, text: &[u8], limit: usize) -> (Vec<Ask>, Counts) {
    let mut traffic = Traffic::new(text, form, "h", limit);
    let mut out = Vec::new();
    while let Some(ask) = traffic.next_request().unwrap() {
        out.push(ask);
    }
    (out, traffic.counts)
}

#[test]
fn lines_of_an_access_log_become_requests() {
    let log = br#"10.0.0.1 - - [21/Nov/2026:10:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 5 "-" "curl"
::1 - bob [21/Nov/2026:10:00:00 +0000] "POST /x\x22y HTTP/1.0" 200 5 "http://r/" "a \"quoted\" agent"
shop.example 10.0.0.2 - - [21/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5
shop.example:8080 10.0.0.2 - - [21/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5
10.0.0.1 - - [21/Nov/2026:10:00:01 +0000] "GET /a?b=c HTTP/1.1" 304 0 "-" "curl"
"#;
    let (asks, counts) = all(Form::Combined, log, 10);
    let shown: Vec<String> = asks.iter().map(|a| format!("{a} {}", a.client.ip())).collect();
    assert_eq!(
        shown,
        [
            "GET http://h/a?b=c 10.0.0.1",
            "POST http://h/x\"y ::1",
            "GET http://shop.example/ 10.0.0.2",
            "GET http://shop.example:8080/ 10.0.0.2"
        ]
    );
    assert_eq!(counts, Counts { lines: 5, repeated: 1, ..Counts::default() });
}

#[test]
fn what_is_no_request_is_counted_and_the_rest_is_read() {
    let mut log = Vec::new();
    for line in [
        &b"nonsense"[..],
        b"10.0.0.1 - - [x] \"\" 400 0",
        b"10.0.0.1 - - [x] \"\\x16\\x03\\x01\" 400 0",
        b"10.0.0.1 - - [x] \"GET /a b HTTP/1.1\" 400 0",
        b"10.0.0.1 - - [x] \"GET /\\x0aInjected: HTTP/1.1\" 400 0",
        b"10.0.0.1 - - [x] \"GET /\\xZZ HTTP/1.1\" 400 0",
        b"10.0.0.1 - - [x] \"GET /unclosed",
        b"\xff\xfe",
        b"10.0.0.1 - - [x] \"GET /last HTTP/1.1\" 200 0",
    ] {
        log.extend_from_slice(line);
        log.push(b'\n');
    }
    log.extend(vec![b'x'; 300_000]);
    let (asks, counts) = all(Form::Combined, &log, 10);
    assert_eq!(asks.len(), 1);
    assert_eq!(counts, Counts { lines: 10, undecodable: 9, ..Counts::default() });
}

#[test]
fn a_list_of_urls_has_remarks_and_paths_and_ends_at_the_limit() {
    let list = b"# list\n\nhttp://a/x\n/y\nPOST /z\nftp://no/\nhttp://a/x\nhttps://b/\nhttp://c/\n";
    let (asks, counts) = all(Form::Urls, list, 4);
    let shown: Vec<String> = asks.iter().map(Ask::to_string).collect();
    assert_eq!(shown, ["GET http://a/x", "GET http://h/y", "POST http://h/z", "GET https://b/"]);
    assert_eq!(counts, Counts { lines: 7, undecodable: 1, repeated: 1, left: 1 });
}
