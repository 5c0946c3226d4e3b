//! HTTP/2 clients that ask for too much, or break its rules: what they get, and that others are served on.

use std::io::Write as _;

use crate::support::client::get as get_h1;
use crate::support::daemon::Daemon;
use crate::support::h2::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Raw, Session,
};
use crate::support::origin::Origin;

fn daemon(http: &str, server: &str) -> Daemon {
    Daemon::start(&format!(
        "error_log error.log info; events {{}} http {{
           log_format l '$status \"$request\" $connection_requests'; access_log access.log l; {http}
           server {{ listen 127.0.0.1:%%8080%%; http2 on; {server} location / {{ return 200 ok; }} }} }}"
    ))
}

/// The connection ends with GOAWAY of this code, and the log says so; another client is served.
#[track_caller]
fn ends(daemon: &Daemon, mut raw: Raw, code: u32, said: &str) {
    let frames = raw.rest();
    let goaway = frames.iter().rev().find(|f| f.kind == GOAWAY).unwrap_or_else(|| panic!("{frames:?}"));
    assert_eq!(goaway.code(), code, "{frames:?}");
    daemon.logged("error.log", said);
    daemon.logged("error.log", "while processing HTTP/2 connection, client: 127.0.0.1, server: ");
    assert_eq!(get_h1(daemon.port(8080), "/").text(), "ok");
}

#[test]
fn streams_that_are_reset_as_soon_as_they_begin_end_the_connection() {
    let daemon = daemon("", "");
    let mut raw = Raw::connect(daemon.port(8080));
    let mut bytes = Vec::new();
    for stream in (1..4000).step_by(2) {
        bytes.extend(h2::frame(HEADERS, END_STREAM | END_HEADERS, stream, &h2::get("/", &[])));
        bytes.extend(h2::frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    raw.0.write_all(&bytes).ok();
    ends(&daemon, raw, 11, "http2 flood detected");
}

#[test]
fn a_head_without_an_end_ends_the_connection() {
    let daemon = daemon("", "");
    let mut raw = Raw::connect(daemon.port(8080));
    raw.send(HEADERS, END_STREAM, 1, &h2::get("/", &[]));
    let part = h2::block(&[("x-a", &"x".repeat(100))]);
    let mut taken = 0;
    while taken < 100_000 && raw.send(CONTINUATION, 0, 1, &part) {
        taken += 1;
    }
    assert!(taken < 100_000, "it was never ended");
    assert_eq!(get_h1(daemon.port(8080), "/").text(), "ok");
    daemon.logged("error.log", "while processing HTTP/2 connection");
}

#[test]
fn frames_that_carry_nothing_are_a_flood() {
    let daemon = daemon("", "client_max_body_size 0;");
    for (kind, payload) in [(PING, &[0; 8][..]), (4, &[]), (2, &[0, 0, 0, 0, 1]), (DATA, &[])] {
        let mut raw = Raw::connect(daemon.port(8080));
        let mut stream = 0;
        if kind == DATA || kind == 2 {
            stream = 1;
            raw.send(
                HEADERS,
                END_HEADERS,
                1,
                &h2::block(&[(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "h")]),
            );
        }
        let frames = h2::frame(kind, 0, stream, payload).repeat(1000);
        let reader = raw.0.try_clone().unwrap();
        let drain = std::thread::spawn(move || {
            let mut raw = Raw(reader);
            raw.rest()
        });
        let mut sent = 0;
        while sent < 64 << 20 && raw.0.write_all(&frames).is_ok() {
            sent += frames.len();
        }
        assert!(sent < 64 << 20, "{kind} {sent}: it was never ended");
        drop(raw);
        drain.join().unwrap();
    }
    daemon.logged("error.log", "http2 flood detected while processing HTTP/2 connection");
    assert_eq!(get_h1(daemon.port(8080), "/").text(), "ok");
}

/// A head as a client may not send it, and what comes of its stream.
fn refused(daemon: &Daemon, head: &[(&str, &str)]) -> String {
    let mut raw = Raw::connect(daemon.port(8080));
    raw.send(HEADERS, END_STREAM | END_HEADERS, 1, &h2::block(head));
    raw.send(PING, 0, 0, &[0; 8]);
    while let Some(frame) = raw.read() {
        match frame.kind {
            RST_STREAM => return format!("reset {}", frame.code()),
            GOAWAY => return format!("goaway {}", frame.code()),
            // The first field is `:status`, of the table that every connection begins with or its name of it.
            HEADERS if frame.payload[0] == 0x88 => return "200".to_owned(),
            HEADERS if frame.payload[0] == 0x8c => return "400".to_owned(),
            HEADERS => return format!("{:x?}", &frame.payload[..4]),
            _ => {}
        }
    }
    "closed".to_owned()
}

#[test]
fn heads_that_are_none_are_refused_and_the_connection_goes_on() {
    let daemon = daemon("", "");
    let whole = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "h")];
    let with = |field| refused(&daemon, &[&whole[..], &[field]].concat());
    assert_eq!(with(("x-a", "b")), "200");
    assert_eq!(with(("te", "trailers")), "200");
    assert_eq!(with(("x_a", "b")), "200");
    // A malformed message is an error of its stream (RFC 9113, section 8.1.1).
    for field in [
        ("connection", "close"),
        ("keep-alive", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("content-length", "5"),
        (":path", "/again"),
    ] {
        assert_eq!(with(field), "reset 1", "{field:?}");
    }
    for missing in [":method", ":scheme", ":path"] {
        let head: Vec<_> = whole.iter().filter(|(name, _)| *name != missing).copied().collect();
        assert_eq!(refused(&daemon, &head), "reset 1", "{missing}");
    }
    // What is no field at all is one of the connection.
    for field in [("X-A", "b"), ("x-a", "a\nb"), (":other", "x")] {
        assert_eq!(with(field), "goaway 1", "{field:?}");
    }
    daemon.logged("error.log", "http2 connection failed (");
    // What is well-formed and makes no sense is answered.
    let other = |name: &str, value| {
        let head: Vec<_> = whole.iter().map(|&(n, v)| if n == name { (n, value) } else { (n, v) }).collect();
        refused(&daemon, &head)
    };
    assert_eq!(refused(&daemon, &whole[..3]), "400");
    assert_eq!(other(":authority", "a..b"), "400");
    assert_eq!(with(("host", "other")), "400");
    assert_eq!(with(("host", "h")), "200");
    assert_eq!(other(":method", "get"), "400");
    for said in [
        "client sent neither \":authority\" nor \"Host\" header",
        "client sent \":authority\" and \"Host\" headers with different values",
        "client sent invalid \":authority\" header",
        "client sent invalid method",
    ] {
        daemon.logged("error.log", said);
    }
    let twice = refused(&daemon, &[&whole[..3], &[("host", "h"), ("host", "h")]].concat());
    assert_eq!(twice, "400");
}

#[test]
fn fields_have_their_limits() {
    let daemon = daemon("large_client_header_buffers 2 2k; max_headers 5;", "");
    let mut session = Session::connect(daemon.port(8080));
    let mut ask = |fields: &[(&'static str, usize)]| {
        let mut ask = h2::Ask::get("/");
        for (name, n) in fields {
            ask = ask.with(name, &"x".repeat(*n));
        }
        session.ask(&ask).status
    };
    assert_eq!(ask(&[("x-a", 2000)]), 200);
    assert_eq!(ask(&[("x-a", 2049)]), 400);
    assert_eq!(ask(&[("x-a", 2000), ("x-b", 2000)]), 200);
    assert_eq!(ask(&[("x-a", 2000), ("x-b", 2000), ("x-c", 100)]), 400);
    daemon.logged("error.log", "client sent too large header");
    assert_eq!(ask(&[("x-a", 1), ("x-b", 1), ("x-c", 1), ("x-d", 1), ("x-e", 1)]), 200);
    assert_eq!(ask(&[("x-a", 1), ("x-b", 1), ("x-c", 1), ("x-d", 1), ("x-e", 1), ("x-f", 1)]), 400);
    daemon.logged("error.log", "client sent too many header lines");
    assert_eq!(ask(&[("x-a", 1)]), 200, "the connection goes on");
}

#[test]
fn more_streams_than_may_be_are_refused() {
    let origin = Origin::new(|_, out| {
        std::io::Read::read(out, &mut [0; 16]).ok();
        false
    });
    let slow =
        format!("http2_max_concurrent_streams 2; location /slow {{ proxy_pass http://{}; }}", origin.addr());
    let daemon = daemon("", &slow);
    let mut raw = Raw::connect(daemon.port(8080));
    let settings = raw.until(h2::SETTINGS);
    let limit = settings.payload.chunks(6).find(|s| s[..2] == [0, 3]).expect("a limit is announced");
    assert_eq!(limit[2..], [0, 0, 0, 2]);
    for stream in [1, 3, 5] {
        raw.get(stream, "/slow", &[]);
    }
    let reset = raw.until(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (5, 7));
}

#[test]
fn a_client_whose_window_is_shut_holds_little_and_not_for_ever() {
    let origin = Origin::new(|_, out| {
        let part = [b'x'; 1 << 16];
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n";
        out.write_all(head.as_bytes()).is_ok() && (0..1600).all(|_| out.write_all(&part).is_ok())
    });
    let server = format!(
        "send_timeout 300ms; location /large {{ proxy_pass http://{}; proxy_buffering off; }}
         location /small {{ return 200 0123456789; }}",
        origin.addr()
    );
    let daemon = daemon("", &server);
    // Windows of nothing.
    let mut raw = Raw::with_settings(daemon.port(8080), &[(4, 0)]);
    raw.get(1, "/large", &[]);
    let reset = raw.until(RST_STREAM);
    assert_eq!(reset.code(), 8);
    daemon.logged("error.log", "client timed out (110: Connection timed out) while sending");
    daemon.logged("access.log", "200 \"GET /large HTTP/2.0\"");
    // An answer that was made is not kept for ever, either.
    raw.get(3, "/small", &[]);
    raw.rest();
    daemon.logged(
        "error.log",
        "client timed out (110: Connection timed out) while processing HTTP/2 connection",
    );
}
