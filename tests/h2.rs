//! HTTP/2 on a plain listener: the same requests through the same code, and what only HTTP/2 has.

use std::io::Write as _;

use crate::support::client::{get as get_h1, raw};
use crate::support::daemon::{Daemon, Program};
use crate::support::h2::{self, Ask, Raw, Session};
use crate::support::origin::Origin;
use crate::support::{eventually, skipped};

const LOG: &str = "log_format l '$http2 $server_protocol $connection_requests $status $request_completion \
                   \"$request\" $body_bytes_sent $request_length'; access_log access.log l;";

fn conf(http: &str, server: &str) -> String {
    format!(
        "error_log error.log info; events {{}} http {{ {LOG} {http}
         server {{ listen 127.0.0.1:%%8080%%; http2 on; root html; {server} }} }}"
    )
}

#[test]
fn both_versions_are_spoken_on_one_port() {
    let daemon = Daemon::run(Program::Tenrec, &conf("", ""), &[("html/a.txt", b"hello\n")]);
    let mut session = Session::connect(daemon.port(8080));
    let answer = session.get("/a.txt");
    assert_eq!((answer.status, &*answer.text()), (200, "hello\n"));
    assert_eq!(answer.field("content-length"), Some("6"));
    assert!(answer.field("connection").is_none());
    assert_eq!(session.get("/none").status, 404);
    assert_eq!(get_h1(daemon.port(8080), "/a.txt").text(), "hello\n");
    daemon.logged("access.log", "h2c HTTP/2.0 1 200 OK \"GET /a.txt HTTP/2.0\" 6 ");
    daemon.logged("access.log", "h2c HTTP/2.0 2 404 OK \"GET /none HTTP/2.0\"");
    daemon.logged("access.log", " HTTP/1.1 1 200 OK \"GET /a.txt HTTP/1.1\" 6 ");
}

#[test]
fn a_server_that_does_not_speak_it_answers_what_looks_like_it() {
    let daemon = Daemon::start("events {} http { server { listen 127.0.0.1:%%8080%%; return 200; } }");
    let answer = raw(daemon.port(8080), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn curl_gets_and_sends_by_prior_knowledge() {
    if std::process::Command::new("curl").arg("-V").output().is_err() {
        return skipped("curl_gets_and_sends_by_prior_knowledge", "no curl");
    }
    let origin = Origin::new(|r, out| {
        let body = format!("{} {} {}", r.head.lines().next().unwrap_or_default(), r.body.len(), {
            r.header("Cookie").unwrap_or("-")
        });
        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).is_ok()
    });
    let server = format!("location / {{ proxy_pass http://{}; }}", origin.addr());
    let daemon = Daemon::start(&conf("", &server));
    let url = format!("http://127.0.0.1:{}/x", daemon.port(8080));
    let curl = |args: &[&str]| {
        let out = std::process::Command::new("curl")
            .args(["-sS", "-m", "10", "--http2-prior-knowledge", "-w", " %{http_version}"])
            .args(args)
            .arg(&url)
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
    };
    assert_eq!(curl(&[]), "GET /x HTTP/1.1 0 - 2");
    assert_eq!(curl(&["-d", "abc", "-b", "a=1; b=2"]), "POST /x HTTP/1.1 3 a=1; b=2 2");
}

#[test]
fn a_reset_stream_ends_its_request_as_a_closed_connection_does() {
    let origin = Origin::new(|_, out| {
        // Nothing is answered until the proxy goes.
        std::io::Read::read(out, &mut [0; 16]).ok();
        false
    });
    let server = format!("location / {{ proxy_pass http://{}; }}", origin.addr());
    let daemon = Daemon::start(&conf("", &server));
    let mut raw = Raw::connect(daemon.port(8080));
    raw.get(1, "/slow", &[]);
    eventually("the request", || (!origin.seen().is_empty()).then_some(()));
    raw.send(h2::RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    daemon.logged("access.log", "499  \"GET /slow HTTP/2.0\"");
    daemon.logged("error.log", "client prematurely closed connection, so upstream connection is closed too");
    raw.send(h2::PING, 0, 0, &[0; 8]);
    assert_eq!(raw.until(h2::PING).flags, 1, "the connection goes on");
    raw.get(3, "/gone", &[]);
    eventually("the request", || (origin.seen().len() == 2).then_some(()));
    drop(raw);
    daemon.logged("access.log", "499  \"GET /gone HTTP/2.0\"");
}

#[test]
fn bodies_go_both_ways_with_and_without_a_length() {
    let echo = Origin::new(|r, out| {
        let how = if r.header("Transfer-Encoding").is_some() { "chunked" } else { "length" };
        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-How: {how}\r\n\r\n", r.body.len()).is_ok()
            && out.write_all(&r.body).is_ok()
    });
    let server = format!(
        "client_max_body_size 0; location / {{ proxy_pass http://{a}; }}
         location /s {{ proxy_pass http://{a}; proxy_request_buffering off; proxy_http_version 1.1; }}",
        a = echo.addr()
    );
    let daemon = Daemon::start(&conf("", &server));
    let mut session = Session::connect(daemon.port(8080));
    let large = vec![b'x'; 300_000];
    let length = large.len().to_string();
    for (path, how) in [("/", "length"), ("/s", "chunked")] {
        let answer = session.ask(&Ask::post(path, &[b"abc", b"", b"def", &large]));
        assert_eq!((answer.status, answer.body.len()), (200, 300_006), "{path}");
        assert_eq!(answer.field("x-how"), Some(how), "{path}");
        let answer = session.ask(&Ask::post(path, &[&large]).with("content-length", &length));
        assert_eq!((answer.field("x-how"), answer.body == large), (Some("length"), true), "{path}");
        let mut ask = Ask::post(path, &[b"abc"]);
        ask.trailers.push(("x-t", "1"));
        assert_eq!(session.ask(&ask).text(), "abc", "{path}");
    }
    assert_eq!(session.ask(&Ask { method: "HEAD", ..Ask::get("/") }).body, b"");
}

#[test]
fn trailers_follow_the_body() {
    let origin = Origin::sends(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: yes\r\n\r\n",
        true,
    );
    let server = format!(
        "location / {{ proxy_pass http://{}; proxy_http_version 1.1; proxy_pass_trailers on; }}
         location /own {{ add_trailer X-Own $status; return 200 own; }}",
        origin.addr()
    );
    let daemon = Daemon::start(&conf("", &server));
    let mut session = Session::connect(daemon.port(8080));
    let answer = session.ask(&Ask::get("/").with("te", "trailers"));
    assert_eq!((&*answer.text(), answer.field("transfer-encoding")), ("abc", None));
    assert_eq!(answer.trailers.unwrap()["x-end"], "yes");
    let own = session.get("/own");
    assert_eq!((&*own.text(), own.field("content-length")), ("own", Some("3")));
    assert_eq!(own.trailers.unwrap()["x-own"], "200");
}
