//! What two parsers could read differently is refused: 400, the connection closed, nothing forwarded.

use crate::support::client::{Client, raw};
use crate::support::daemon::Daemon;
use crate::support::diff::{Exchange, same_where};
use crate::support::origin::Origin;

fn front(origin: &Origin) -> Daemon {
    Daemon::start(&format!(
        "pid tenrec.pid; error_log error.log info;\nevents {{ }}\nhttp {{ access_log access.log;\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://{}; }} }} }}\n",
        origin.addr()
    ))
}

/// Requests that must not reach a backend, each with what is wrong with it.
const REFUSED: &[(&str, &[u8])] = &[
    ("two lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    ("a repeated length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    ("a list of lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc"),
    ("a signed length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"),
    ("a negative length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
    ("a length that is no number", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"),
    ("an endless length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    ("length and chunks", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunks twice", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunks in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a bad chunk size", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
    ("a chunk longer than its size", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"),
    ("a chunk size past 64 bits", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
    ("a folded field", b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n"),
    ("a first line that is folded", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    ("a bare CR in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n"),
    ("a NUL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\x002\r\n\r\n"),
    ("a space before the colon", b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n"),
    ("a length with a space before the colon", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc"),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n"),
    ("two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("a Host with a slash", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    ("no version that is one", b"GET / HTTP/1.x\r\nHost: a\r\n\r\n"),
    ("a method in lower case", b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a path above the root", b"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a broken escape", b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("an escaped NUL", b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("not HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
];

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    let origin = Origin::says("reached");
    let daemon = front(&origin);
    for (what, request) in REFUSED {
        // A second request behind it must not be read either: the connection ends.
        let mut bytes = request.to_vec();
        bytes.extend_from_slice(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = String::from_utf8_lossy(&raw(daemon.port(8080), &bytes)).into_owned();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: one answer: {answer}");
    }
    let reached: Vec<String> = origin.seen().iter().map(|r| r.head.clone()).collect();
    assert!(reached.is_empty(), "forwarded: {reached:#?}");
}

#[test]
fn other_refusals_have_nginxs_status() {
    let origin = Origin::says("reached");
    let daemon = front(&origin);
    let long = "x".repeat(9000);
    let many = (0..1200).map(|i| format!("X-{i}: 1\r\n")).collect::<String>();
    for (what, request, status) in [
        (
            "an unknown coding",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
            "501",
        ),
        ("a version of the future", "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(), "505"),
        ("a long request line", format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "414"),
        ("a long field", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), "400"),
        ("too many fields", format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "400"),
        (
            "a body past the limit",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n".to_owned(),
            "413",
        ),
    ] {
        let answer = String::from_utf8_lossy(&raw(daemon.port(8080), &request)).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
    }
    assert!(origin.seen().is_empty());
}

#[test]
fn refusals_look_as_nginxs_do() {
    let conf = "pid p.pid; error_log error.log;\nevents { }\nhttp { access_log off;\n\
                server { listen 127.0.0.1:%%8080%%; location / { return 200 ok; } } }\n";
    let exchanges: Vec<Exchange<'_>> =
        REFUSED.iter().map(|(_, bytes)| Exchange { port: 8080, bytes }).collect();
    // An older nginx lets some of these pass; what it refuses, it refuses with these bytes.
    same_where("refusals", conf, &[], &exchanges, |theirs| theirs.starts_with("HTTP/1.1 400"));
}

#[test]
fn a_request_split_at_any_byte_is_the_same_request() {
    let origin = Origin::says("ok");
    let daemon = front(&origin);
    let request = b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for split in 1..request.len() {
        let mut client = Client::connect(daemon.port(8080));
        client.send(&request[..split]);
        // Two segments on the wire, not one: the proxy has to be given the chance to read the first alone.
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(client.send(&request[split..]).response().text(), "ok", "split at {split}");
        let seen = origin.last();
        assert_eq!(
            (seen.path(), seen.body.as_slice(), seen.header("X-One")),
            ("/a?b=c", &b"hello"[..], Some("1"))
        );
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::new(|r, out| {
        let path = r.path();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
        std::io::Write::write_all(out, answer.as_bytes()).is_ok()
    });
    let daemon = front(&origin);
    let mut client = Client::connect(daemon.port(8080));
    let requests: String = (0..20)
        .map(|i| format!("POST /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbody{}", i % 10))
        .collect();
    client.send(requests);
    for i in 0..20 {
        assert_eq!(client.response().text(), format!("/{i}"));
    }
    let bodies: Vec<Vec<u8>> = origin.seen().into_iter().map(|r| r.body).collect();
    assert_eq!(bodies[13], b"body3");
}

#[test]
fn names_keep_their_case_and_order_both_ways() {
    let origin = Origin::sends(
        "HTTP/1.1 200 OK\r\nx-LOWER: 1\r\nX-Dup: a\r\nx-dup: b\r\nContent-Length: 0\r\n\r\n",
        true,
    );
    let daemon = front(&origin);
    let mut client = Client::connect(daemon.port(8080));
    let answer = client.send("GET / HTTP/1.1\r\nhOST: h\r\nx-B: 2\r\nX-A: 1\r\nx-b: 3\r\n\r\n").response();
    assert!(answer.head.ends_with("x-LOWER: 1\r\nX-Dup: a\r\nx-dup: b\r\n\r\n"), "{}", answer.head);
    assert!(origin.last().head.ends_with("x-B: 2\r\nX-A: 1\r\nx-b: 3\r\n\r\n"), "{}", origin.last().head);
}

#[test]
fn expect_is_answered_before_the_body_is_sent() {
    let origin = Origin::says("ok");
    let daemon = front(&origin);
    let mut client = Client::connect(daemon.port(8080));
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.response().status, 100);
    assert_eq!(client.send("hello").response().text(), "ok");
    assert_eq!((origin.last().body.as_slice(), origin.last().header("Expect")), (&b"hello"[..], None));
}
