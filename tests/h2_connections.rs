//! What the requests of one HTTP/2 connection have in common: how long it lives, and where its first ones go.

use std::collections::BTreeSet;
use std::io::Write as _;

use crate::support::client::get as get_h1;
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::h2::{self, Ask, GOAWAY, HEADERS, Raw, Session};
use crate::support::origin::Origin;

fn conf(http: &str, server: &str) -> String {
    format!(
        "error_log error.log info; events {{}} http {{
           log_format l '$status \"$request\" $connection_requests $sticky_status'; access_log access.log l; {http}
           server {{ listen 127.0.0.1:%%8080%%; http2 on; {server} location / {{ return 200 ok; }} }} }}"
    )
}

/// The connection is ended in good order: GOAWAY without an error.
#[track_caller]
fn ends(mut raw: Raw) -> Vec<h2::Frame> {
    let frames = raw.rest();
    let goaway: Vec<u32> = frames.iter().filter(|f| f.kind == GOAWAY).map(h2::Frame::code).collect();
    assert!(!goaway.is_empty() && goaway.iter().all(|c| *c == 0), "{frames:?}");
    frames
}

#[test]
fn requests_and_time_of_a_connection_are_limited() {
    for (limit, requests) in
        [("keepalive_requests 3;", 3), ("keepalive_timeout 0;", 1), ("keepalive_timeout 50ms;", 1)]
    {
        let daemon = Daemon::start(&conf(limit, ""));
        let mut raw = Raw::connect(daemon.port(8080));
        for n in 0..requests {
            raw.get(2 * n + 1, "/", &[]);
            if n + 1 < requests {
                raw.until(HEADERS);
            }
        }
        let frames = ends(raw);
        assert!(frames.iter().any(|f| f.kind == HEADERS && f.stream == 2 * requests - 1), "{limit}");
        daemon.logged("access.log", &format!("200 \"GET / HTTP/2.0\" {requests} "));
    }
    // A connection has to grow older than this.
    let daemon = Daemon::start(&conf("keepalive_time 1ms;", ""));
    let mut raw = Raw::connect(daemon.port(8080));
    let mut stream = 1;
    eventually("GOAWAY", || {
        raw.get(stream, "/", &[]);
        stream += 2;
        let frames: Vec<_> = std::iter::from_fn(|| raw.read().filter(|f| f.kind != HEADERS)).collect();
        frames.iter().any(|f| f.kind == GOAWAY && f.code() == 0).then_some(())
    });
}

#[test]
fn a_client_that_asks_nothing_is_left() {
    let daemon = Daemon::start(&conf("client_header_timeout 100ms;", ""));
    ends(Raw::connect(daemon.port(8080)));
    let mut half = std::net::TcpStream::connect(("127.0.0.1", daemon.port(8080))).unwrap();
    half.set_read_timeout(Some(crate::support::SOON)).unwrap();
    half.write_all(b"PRI * HTTP/2").unwrap();
    assert_eq!(std::io::Read::read(&mut half, &mut [0; 16]).unwrap(), 0);
    // The head of a stream that does not come to its end.
    let mut raw = Raw::connect(daemon.port(8080));
    raw.send(HEADERS, 1, 1, &h2::get("/", &[]));
    ends(raw);
}

#[test]
fn a_reload_loses_no_stream() {
    let origin = Origin::new(|r, out| {
        let gate = r.header("X-Until").unwrap_or_default().to_owned();
        eventually("the gate", || std::fs::metadata(&gate).ok());
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").is_ok()
    });
    let server = format!("location /slow {{ proxy_pass http://{}; }}", origin.addr());
    let mut daemon = Daemon::start(&conf("", &server));
    let gate = daemon.prefix().join("gate");
    let mut session = Session::connect(daemon.port(8080));
    let mut raw = Raw::connect(daemon.port(8080));
    raw.get(1, "/", &[]);
    raw.until(HEADERS);
    let idle = raw;
    let port = daemon.port(8080);
    let text = std::fs::read_to_string(daemon.prefix().join("nginx.conf")).unwrap();
    std::fs::write(daemon.prefix().join("nginx.conf"), text.replace("return 200 ok", "return 200 new"))
        .unwrap();
    let slow = std::thread::spawn({
        let ask = gate.display().to_string();
        move || {
            let answer = session.ask(&Ask::get("/slow").with("x-until", &ask));
            (answer, session)
        }
    });
    eventually("the slow request", || (!origin.seen().is_empty()).then_some(()));
    daemon.signal("HUP");
    eventually("the new configuration", || (get_h1(port, "/").text() == "new").then_some(()));
    ends(idle);
    std::fs::write(&gate, "").unwrap();
    let (answer, session) = slow.join().unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "slow"));
    assert!(session.ended(), "the old worker lets go of the connection");
    assert!(daemon.running());
}

/// Streams side by side that have no session yet.
fn streams(daemon: &Daemon, many: usize, ask: &Ask<'_>) -> Vec<h2::Answer> {
    Session::connect(daemon.port(8080)).all(&vec![ask.clone(); many])
}

#[test]
fn streams_that_begin_a_session_together_have_one_server() {
    let says = |name: &'static str| {
        Origin::new(move |r, out| {
            // Long enough for all to be on their way before the first is answered.
            std::thread::sleep(std::time::Duration::from_millis(20));
            let n = r.connection * 1000 + r.nth;
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nSet-Cookie: app={name}{n}\r\n\r\n{name}")
                .is_ok()
        })
    };
    let (a, b, c) = (says("a"), says("b"), says("c"));
    let front = |sticky: &str| {
        let http = format!(
            "upstream u {{ zone u 1m; server {}; server {}; server {}; {sticky} }}",
            a.addr(),
            b.addr(),
            c.addr()
        );
        Daemon::start(&conf(&http, "location /u { proxy_pass http://u; }"))
    };
    let peers = |answers: &[h2::Answer]| answers.iter().map(h2::Answer::text).collect::<BTreeSet<_>>();
    for sticky in [
        "session_sticky",
        "sticky cookie route",
        "sticky name=route",
        "sticky learn create=$upstream_cookie_app lookup=$cookie_app zone=s:1m",
    ] {
        let daemon = front(&format!("{sticky}; sticky_parallel 1h;"));
        let answers = streams(&daemon, 20, &Ask::get("/u"));
        assert!(answers.iter().all(|a| a.status == 200), "{sticky}: {answers:?}");
        assert_eq!(peers(&answers).len(), 1, "{sticky}");
        // The one session: whichever cookie the client keeps, it stays there.
        for answer in [&answers[0], &answers[19]] {
            let cookies: Vec<_> = answer
                .fields
                .get_all("set-cookie")
                .iter()
                .map(|v| v.to_str().unwrap().split(';').next().unwrap().to_owned())
                .collect();
            let again = streams(&daemon, 5, &Ask::get("/u").with("cookie", &cookies.join("; ")));
            assert_eq!(peers(&again), peers(&answers), "{sticky} {cookies:?}");
        }
        let off = front(&format!("{sticky};"));
        assert!(peers(&streams(&off, 20, &Ask::get("/u"))).len() > 1, "{sticky}: off unless asked for");
    }
}

#[test]
fn a_host_whose_server_speaks_http_1_only_is_misdirected() {
    let daemon = Daemon::start(
        "error_log error.log info; events {} http {
           server { listen 127.0.0.1:%%8080%%; http2 on; return 200 h2; }
           server { listen 127.0.0.1:%%8080%%; server_name one; return 200 h1; }
           server { listen 127.0.0.1:%%8081%% http2; return 200 h2; }
           server { listen 127.0.0.1:%%8081%%; server_name one; return 200 too; } }",
    );
    let ask = Ask { host: "one", ..Ask::get("/") };
    assert_eq!(Session::connect(daemon.port(8080)).ask(&ask).status, 421);
    daemon.logged("error.log", "for which the negotiated protocol is disabled");
    assert_eq!(Session::connect(daemon.port(8080)).get("/").text(), "h2");
    assert_eq!(Session::connect(daemon.port(8081)).ask(&ask).text(), "too");
    assert!(daemon.stderr().contains("the \"listen ... http2\" directive is deprecated, use the \"http2\""));
}
