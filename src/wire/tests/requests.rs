//! Request heads: the cases, and what nginx 1.31.5 does with each.

use super::*;

fn line(text: &str) -> Vec<u8> {
    format!("{text}\r\nHost: a\r\n\r\n").into_bytes()
}

fn with(fields: &str) -> Vec<u8> {
    format!("POST /q HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").into_bytes()
}

#[test]
fn order_case_and_duplicates_survive() {
    let head = accepted(b"GET /x?y HTTP/1.1\r\nhOST: a\r\nCookie: 1\r\nX-a:2\r\ncookie: 3\r\n\r\n");
    let all: Vec<_> = head.iter().map(|(n, v, _)| [n, v].concat()).collect();
    assert_eq!(all, [&b"hOSTa"[..], b"Cookie1", b"X-a2", b"cookie3"]);
    assert_eq!(head.get(KnownField::Cookie), Some(&b"1"[..]));
    assert_eq!(head.find(b"x-A"), Some(&b"2"[..]));
    assert_eq!(head.line(), b"GET /x?y HTTP/1.1");
    assert_eq!(head.length, head.buf.len());
}

#[test]
fn request_lines_that_are_taken() {
    for (text, version) in [
        ("GET / HTTP/1.1", Version::HTTP_11),
        ("GET  /  HTTP/1.1", Version::HTTP_11),
        ("GET / HTTP/1.1  ", Version::HTTP_11),
        ("GE_T- / HTTP/1.0", Version::HTTP_10),
        ("GET / HTTP/1.12", Version(1012)),
        ("GET /\u{80} HTTP/1.1", Version::HTTP_11),
    ] {
        assert_eq!(accepted(&line(text)).version, version, "{text}");
    }
    assert_eq!(accepted(&line("GET / HTTP/1.1 ")).protocol(), b"HTTP/1.1 ");
}

#[test]
fn request_lines_that_are_refused() {
    for (text, status, why) in [
        ("get / HTTP/1.1", 400, "client sent invalid method"),
        (" GET / HTTP/1.1", 400, "client sent invalid method"),
        ("\u{16}\u{3}\u{1}", 400, "client sent invalid method"),
        ("GET\t/ HTTP/1.1", 400, "client sent invalid method"),
        ("GET /a b HTTP/1.1", 400, "client sent invalid request"),
        ("GET /\tb HTTP/1.1", 400, "client sent invalid request"),
        ("GET /\u{7f} HTTP/1.1", 400, "client sent invalid request"),
        ("GET * HTTP/1.1", 400, "client sent invalid request"),
        ("OPTIONS * HTTP/1.1", 400, "client sent invalid request"),
        ("GET / http/1.1", 400, "client sent invalid request"),
        ("GET / HTTP/0.9", 400, "client sent invalid request"),
        ("GET / HTTP/1.", 400, "client sent invalid request"),
        ("GET / HTTP/1.1000", 400, "client sent invalid request"),
        ("GET / HTTP/1.1\rX", 400, "client sent invalid request"),
        ("GET / HTTP/2.0", 505, "client sent invalid version"),
        ("GET / HTTP/11.1", 505, "client sent invalid version"),
        ("POST /", 400, "client sent invalid method in HTTP/0.9 request"),
        ("GET http://h#x HTTP/1.1", 400, "client sent invalid request"),
        ("GET http://a..b/ HTTP/1.1", 400, "client sent invalid host in request line"),
        ("GET http:/h/ HTTP/1.1", 400, "client sent invalid request"),
        ("GET http://[::1 HTTP/1.1", 400, "client sent invalid request"),
        ("CONNECT a HTTP/1.1", 400, "client sent invalid request"),
    ] {
        let why = format!("{why} while reading client request line");
        assert_eq!(refused(&line(text)), (status, why), "{text}");
    }
    assert_eq!(refused(&line("TRACE / HTTP/1.1")).0, 405);
    assert_eq!(refused(&line("CONNECT a:1 HTTP/1.1")).0, 405);
}

#[test]
fn refused_line_is_kept_for_the_log() {
    let mut head = RequestHead::default();
    let limits = Limits::default();
    let bad = parse::RequestParser::new(&limits).parse(b"GET /a b HTTP/1.1\r\nX", &mut head, &limits);
    assert!(bad.is_err());
    assert_eq!(head.line(), b"GET /a b HTTP/1.1");
}

#[test]
fn http_09_has_no_fields() {
    let head = accepted(b"GET /x?y\r\nHost: a\r\n\r\n");
    assert_eq!((head.version, head.target(), head.protocol()), (Version::HTTP_09, &b"/x?y"[..], &b""[..]));
    assert_eq!((head.length, head.fields.len(), head.keep_alive), (10, 0, false));
}

#[test]
fn absolute_targets() {
    let head = accepted(&line("GET http://WWW.h.:8/x?y HTTP/1.1"));
    assert_eq!((head.target(), head.host(), head.port), (&b"/x?y"[..], Some(&b"www.h"[..]), 8));
    assert_eq!(head.get(KnownField::Host), Some(&b"a"[..]));
    let head = accepted(&line("GET http://h HTTP/1.1"));
    assert_eq!((head.target(), head.host()), (&b"/"[..], Some(&b"h"[..])));
    let head = accepted(&line("GET h2+x://h?a=b HTTP/1.1"));
    assert_eq!((head.target(), head.empty_path, head.simple_path), (&b"?a=b"[..], true, false));
    assert_eq!(accepted(&line("GET http://[::1]:80/x HTTP/1.1")).host(), Some(&b"[::1]"[..]));
}

#[test]
fn hosts() {
    let host = |v: &str| {
        let head = request(format!("GET / HTTP/1.1\r\nHost:{v}\r\n\r\n").as_bytes());
        head.map(|h| h.map(|h| (h.host().unwrap_or_default().to_vec(), h.port))).ok().flatten()
    };
    for (v, want, port) in [
        (" a", "a", 0),
        (" A.B.", "a.b", 0),
        ("a:80", "a", 80),
        ("a:", "a", 0),
        (" [::1]:8 ", "[::1]", 8),
        ("a%41", "a%41", 0),
        ("_", "_", 0),
        ("a:65535", "a", 65535),
    ] {
        assert_eq!(host(v), Some((want.as_bytes().to_vec(), port)), "{v}");
    }
    for v in
        ["", " ", ".", "a..b", "a b", "a/b", "a@b", "\ta", "a\t", "[::1", "[::1]x", ":80", "a:x", "a:65536"]
    {
        assert_eq!(host(v), None, "{v:?}");
    }
    assert_eq!(refused(b"GET / HTTP/1.1\r\nX: y\r\n\r\n").0, 400);
    assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n").0, 400);
    assert_eq!(accepted(b"GET / HTTP/1.0\r\n\r\n").host(), None);
}

#[test]
fn lengths_and_codings_that_disagree_are_refused() {
    for (fields, status) in [
        ("Content-Length: 1\r\nContent-Length: 1", 400),
        ("Content-Length: 1\r\ncontent-length: 2", 400),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Content-Length: +1", 400),
        ("Content-Length: 0x1", 400),
        ("Content-Length: 1, 1", 400),
        ("Content-Length: ", 400),
        ("Content-Length: 9223372036854775808", 400),
        ("Transfer-Encoding: gzip", 501),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: chunked,", 501),
        ("Transfer-Encoding: \tchunked", 501),
        ("Transfer-Encoding: ", 501),
    ] {
        assert_eq!(refused(&with(fields)).0, status, "{fields:?}");
    }
    assert_eq!(refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").0, 400);
    assert_eq!(accepted(&with("Content-Length: 007")).framing, Framing::Length(7));
    assert_eq!(accepted(&with("Transfer-Encoding: Chunked")).framing, Framing::Chunked);
    assert_eq!(accepted(&with("X: y")).framing, Framing::Empty);
}

#[test]
fn bad_field_lines_are_refused() {
    for fields in [
        " X: 1",
        "X: 1\r\n 2",
        "X: 1\r\n\t2",
        "X : 1",
        "X\t: 1",
        ": 1",
        "X: \0",
        "X\0: 1",
        "X: 1\r2",
        "X: 1\r",
        "X\r: 1",
    ] {
        assert_eq!(refused(&with(fields)).0, 400, "{fields:?}");
    }
    let text = refused(&with("X : 1")).1;
    assert_eq!(text, "client sent invalid header line: \"X\\x20...\" while reading client request headers");
}

#[test]
fn unusual_field_lines_are_taken_as_nginx_takes_them() {
    let value = |fields: &str| accepted(&with(fields)).find(b"X").map(<[u8]>::to_vec);
    assert_eq!(value("X:  1 2  "), Some(b"1 2".to_vec()));
    assert_eq!(value("X: \t1\t"), Some(b"\t1\t".to_vec()));
    assert_eq!(value("X"), Some(b"".to_vec()));
    assert_eq!(value("X:"), Some(b"".to_vec()));
    assert_eq!(value("X: \u{1}\u{7f}"), Some(b"\x01\x7f".to_vec()));
    let head = accepted(b"GET / HTTP/1.1\nHost: a\nX: 1\n\n");
    assert_eq!(head.find(b"x"), Some(&b"1"[..]));
}

#[test]
fn invalid_names_are_dropped_unless_told_otherwise() {
    let input = with("X_Y: 1\r\nX/Y: 2\r\n(: 3\r\nX: 4");
    assert_eq!(accepted(&input).fields.len(), 2);
    let limits = Limits { underscores_in_headers: true, ..Limits::default() };
    let head = request_with(&input, &limits).unwrap().unwrap();
    assert_eq!((head.fields.len(), head.find(b"x_y")), (3, Some(&b"1"[..])));
    let limits = Limits { ignore_invalid_headers: false, ..Limits::default() };
    assert_eq!(request_with(&input, &limits).unwrap().unwrap().fields.len(), 5);
}

#[test]
fn keep_alive_follows_version_and_connection() {
    let keeps = |version: &str, fields: &str| {
        accepted(format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n").as_bytes()).keep_alive
    };
    assert!(keeps("1.1", ""));
    assert!(!keeps("1.0", ""));
    assert!(keeps("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!keeps("1.1", "Connection: upgrade, CLOSE\r\n"));
    assert!(keeps("1.1", "Connection: close\r\nConnection: keep-alive\r\n"));
}

#[test]
fn expect_is_for_http_11() {
    assert!(accepted(&with("Expect: 100-Continue")).expect_continue);
    assert!(!accepted(&with("Expect: something")).expect_continue);
    assert!(!accepted(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expect_continue);
}

#[test]
fn large_heads_end_where_nginx_ends_them() {
    let target = |n: usize| request(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(n)).as_bytes());
    // "GET / HTTP/1.1\r\n" is 16 bytes: the line fits one buffer of 8192.
    assert!(target(8176).is_ok());
    assert_eq!(target(8177).map(|_| ()).map_err(|r| r.status), Err(414));
    let field = |n: usize| request(&with(&format!("X: {}", "a".repeat(n))));
    assert!(field(8187).is_ok());
    let bad = field(8188).map(|_| ()).unwrap_err();
    assert_eq!(bad.status, 494);
    assert!(bad.text.starts_with("client sent too long header line: \"X: aaa"), "{}", bad.text);
    let fields = |n: usize| request(&with(&vec![format!("X: {}", "a".repeat(8000)); n].join("\r\n")));
    assert!(fields(4).is_ok());
    assert_eq!(fields(5).map(|_| ()).map_err(|r| r.status), Err(494));
}

#[test]
fn head_that_never_ends_is_refused_while_it_comes() {
    assert_eq!(refused(&[b"GET /", &[b'a'; 9000][..]].concat()).0, 414);
    assert_eq!(refused(&[b"GET / HTTP/1.1\r\nX: ", &[b'a'; 9000][..]].concat()).0, 494);
    assert_eq!(refused(b"GET / HTTP/1.1\r\nX Y").0, 400);
    assert_eq!(refused(b"g").0, 400);
    assert!(request(b"GET / HTTP/1.1\r\nHost: a\r\n\r").unwrap().is_none());
}

#[test]
fn too_many_fields_are_refused() {
    let lines = |n: usize| request(&with(&vec!["X:"; n].join("\r\n")));
    assert!(lines(999).is_ok());
    assert_eq!(lines(1000).map(|_| ()).map_err(|r| r.status), Err(494));
}

#[test]
fn unique_fields_come_once() {
    for name in ["If-None-Match", "Authorization", "Expect", "If-Range", "Content-Range"] {
        let bad = refused(&with(&format!("{name}: 1\r\n{name}: 2"))).1;
        let want = format!("client sent duplicate header line: \"{name}: 2\", previous value: \"{name}: 1\"");
        assert!(bad.starts_with(&want), "{bad}");
    }
    assert_eq!(accepted(&with("Range: 1\r\nRange: 2\r\nCookie: 1\r\nCookie: 2")).fields.len(), 5);
}
