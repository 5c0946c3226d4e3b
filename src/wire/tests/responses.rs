//! Response heads: what nginx's proxy takes from a peer.

use super::parse::{parse_response, parse_trailers};
use super::*;

fn response(input: &str) -> Result<Option<ResponseHead>, ResponseError> {
    let mut head = ResponseHead::default();
    Ok(parse_response(input.as_bytes(), &mut head, false)?.map(|_| head))
}

fn accepted(input: &str) -> ResponseHead {
    response(input).expect("a good head").expect("a whole head")
}

#[test]
fn status_lines_that_are_taken() {
    for (line, status, text) in [
        ("HTTP/1.1 200 OK", 200, "200 OK"),
        ("HTTP/1.1 200", 200, "200"),
        ("HTTP/1.1 200 ", 200, "200 "),
        ("HTTP/1.0  404 Not  Found", 404, "404 Not  Found"),
        ("HTTP/1.1 403.1 IIS", 403, "403.1 IIS"),
        ("HTTP/2.0 204 x", 204, "204 x"),
    ] {
        for end in ["\r\n", "\n"] {
            let head = accepted(&format!("{line}{end}{end}"));
            assert_eq!((head.status, head.status_line()), (status, text.as_bytes()), "{line}");
        }
    }
}

#[test]
fn garbage_is_not_http() {
    for input in [
        "hello",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 2x0 OK\r\n",
        "HTTP/1.1 2000\r\n",
        "HTTP/x 200\r\n",
        "\r\n",
        "http/1.1",
    ] {
        assert!(matches!(response(input), Err(ResponseError::NotHttp)), "{input}");
    }
    for input in [
        "H",
        "HTTP/",
        "HTTP/1",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nX: 1",
    ] {
        assert!(matches!(response(input), Ok(None)), "{input}");
    }
}

#[test]
fn framing_is_decided_by_status_method_and_fields() {
    let framing = |head: &str| accepted(&format!("{head}\r\n\r\n")).framing;
    assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5"), Framing::Length(5));
    assert_eq!(framing("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked"), Framing::Chunked);
    assert_eq!(framing("HTTP/1.1 200 OK"), Framing::UntilClose);
    assert_eq!(framing("HTTP/1.1 204 OK\r\nContent-Length: 5"), Framing::Empty);
    assert_eq!(framing("HTTP/1.1 304 OK\r\nContent-Length: 5"), Framing::Empty);
    assert_eq!(framing("HTTP/1.1 101 OK"), Framing::Empty);
    let mut head = ResponseHead::default();
    parse_response(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &mut head, true).unwrap();
    assert_eq!((head.framing, head.content_length), (Framing::Empty, Some(5)));
}

#[test]
fn headers_that_frame_twice_are_invalid() {
    for (fields, why) in [
        ("Content-Length: 1\r\nContent-Length: 1", "duplicate header line"),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", "at the same time"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1", "at the same time"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "duplicate header line"),
        ("Transfer-Encoding: gzip", "unknown \"Transfer-Encoding\": \"gzip\""),
        ("Content-Length: x", "invalid \"Content-Length\" header: \"Content-Length: x\""),
        ("X : 1", "invalid header: \"X\\x20...\""),
        (" X: 1", "invalid header: \"\\x20...\""),
        ("X: 1\r\n 2", "invalid header: \"\\x20...\""),
        ("X: 1\r2", "invalid header"),
    ] {
        match response(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n")) {
            Err(ResponseError::Invalid(text)) => assert!(text.contains(why), "{text}"),
            other => panic!("{fields:?}: {other:?}"),
        }
    }
}

#[test]
fn reuse_follows_version_and_connection() {
    let keeps = |head: &str| accepted(&format!("{head}\r\n\r\n")).keep_alive;
    assert!(keeps("HTTP/1.1 200 OK"));
    assert!(!keeps("HTTP/1.0 200 OK"));
    assert!(!keeps("HTTP/1.0 200 OK\r\nConnection: keep-alive"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nConnection: Close"));
}

#[test]
fn unusual_lines_of_peers_are_kept() {
    let head = accepted("HTTP/1.1 200 OK\nHTTP/1.1 200 OK\r\nX_y(: 1\nFoo\r\nBar: 2\r\r\n\n");
    let all: Vec<_> = head.iter().map(|(n, v, _)| (n.to_vec(), v.to_vec())).collect();
    let want = [(&b"X_y("[..], &b"1"[..]), (b"Foo", b""), (b"Bar", b"2")];
    assert_eq!(all, want.map(|(n, v)| (n.to_vec(), v.to_vec())));
}

#[test]
fn trailers_are_fields() {
    let section = b"X-Sum: 7\r\nbad line\r\nY: 1\r\n";
    let mut fields = Vec::new();
    parse_trailers(section, &mut fields);
    let all: Vec<_> = fields.iter().map(|f| (f.name.of(section), f.value.of(section))).collect();
    assert_eq!(all, [(&b"X-Sum"[..], &b"7"[..]), (b"Y", b"1")]);
}
