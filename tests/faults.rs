//! Backends and files that misbehave: the right status, the right log line, and nothing lost that was safe to retry.

use std::io::Write;

use crate::support::client::{Client, get, get_with, raw};
use crate::support::daemon::{Daemon, Program, free_port, once};
use crate::support::eventually;
use crate::support::origin::Origin;

fn front(servers: &str, location: &str) -> Daemon {
    Daemon::start(&format!(
        "pid tenrec.pid; error_log error.log info;\nevents {{ }}\nhttp {{\n\
         log_format s '$status $upstream_addr $upstream_status $body_bytes_sent';\naccess_log access.log s;\n\
         upstream u {{ {servers} }}\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ {location} proxy_pass http://u; }} }}\n}}\n"
    ))
}

fn one(origin: &Origin, location: &str) -> Daemon {
    front(&format!("server {};", origin.addr()), location)
}

/// An address that refuses connections.
fn nobody() -> String {
    format!("127.0.0.1:{}", free_port())
}

#[test]
fn a_refused_connection_is_502_with_nginxs_words() {
    let addr = nobody();
    let daemon = front(&format!("server {addr};"), "");
    assert_eq!(get(daemon.port(8080), "/x?y").status, 502);
    let line =
        daemon.logged("error.log", "connect() failed (111: Connection refused) while connecting to upstream");
    let tail =
        format!("request: \"GET /x?y HTTP/1.1\", upstream: \"http://{addr}/x?y\", host: \"localhost\"");
    assert!(line.contains("[error]") && line.ends_with(&tail), "{line}");
    assert!(line.contains("client: 127.0.0.1, server: , "), "{line}");
    assert_eq!(daemon.logged("access.log", "502"), format!("502 {addr} 502 {}", body_502().len()));
}

fn body_502() -> String {
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n\
     <hr><center>nginx/1.31.5</center>\r\n</body>\r\n</html>\r\n"
        .to_owned()
}

#[test]
fn a_backend_that_closes_without_an_answer_is_502_and_the_next_one_is_asked() {
    let dead = Origin::new(|_, _| false);
    let alone = one(&dead, "");
    assert_eq!(get(alone.port(8080), "/").status, 502);
    alone.logged(
        "error.log",
        "upstream prematurely closed connection while reading response header from upstream",
    );

    let alive = Origin::says("alive");
    let both = front(&format!("server {}; server {};", dead.addr(), alive.addr()), "");
    for _ in 0..5 {
        assert_eq!(get(both.port(8080), "/").text(), "alive");
    }
}

#[test]
fn a_backend_that_resets_is_502() {
    let origin = Origin::new(|_, out| {
        let socket = socket2::SockRef::from(&*out);
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        false
    });
    let daemon = one(&origin, "");
    assert_eq!(get(daemon.port(8080), "/").status, 502);
    daemon.logged("error.log", "while reading response header from upstream");
}

#[test]
fn a_post_is_not_sent_twice_once_a_backend_may_have_acted_on_it() {
    let dead = Origin::new(|_, _| false);
    let alive = Origin::says("alive");
    let servers = format!("server {} max_fails=0; server {} backup;", dead.addr(), alive.addr());
    let post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
    let daemon = front(&servers, "");
    assert!(raw(daemon.port(8080), post).starts_with(b"HTTP/1.1 502"));
    assert!(alive.seen().is_empty());
    let daring = front(&servers, "proxy_next_upstream error timeout non_idempotent;");
    assert!(raw(daring.port(8080), post).starts_with(b"HTTP/1.1 200"));
    assert_eq!(alive.last().body, b"hi");
}

#[test]
fn a_refused_connection_is_no_reason_to_lose_a_post() {
    let alive = Origin::says("alive");
    let daemon = front(&format!("server {}; server {} backup;", nobody(), alive.addr()), "");
    let post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
    assert!(raw(daemon.port(8080), post).starts_with(b"HTTP/1.1 200"));
    assert_eq!(alive.last().body, b"hi");
}

#[test]
fn a_head_with_garbage_in_it_is_502() {
    let origin = Origin::sends("HTTP/1.1 200 OK\r\nbad\u{1} header: x\r\n\r\n", false);
    let daemon = one(&origin, "");
    assert_eq!(get(daemon.port(8080), "/").status, 502);
    daemon.logged("error.log", "upstream sent invalid header");
}

/// nginx takes an answer without a status line for HTTP/0.9: it logs that, and passes the bytes on as they are.
#[test]
fn an_answer_that_is_not_http_is_logged_and_ends_the_connection() {
    let origin = Origin::sends("HELLO\r\nnonsense\r\n\r\n", true);
    let daemon = one(&origin, "proxy_read_timeout 300ms;");
    let bytes = raw(daemon.port(8080), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(String::from_utf8_lossy(&bytes), "HELLO\r\nnonsense\r\n\r\n");
    daemon.logged(
        "error.log",
        "upstream sent no valid HTTP/1.0 header while reading response header from upstream",
    );
}

#[test]
fn an_answer_that_could_be_framed_in_two_ways_is_502() {
    for head in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let origin = Origin::sends(format!("HTTP/1.1 200 OK\r\n{head}\r\nabc"), false);
        let daemon = one(&origin, "");
        assert_eq!(get(daemon.port(8080), "/").status, 502, "{head}");
    }
}

#[test]
fn a_head_larger_than_the_buffer_is_502() {
    let origin = Origin::sends(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(9000)), false);
    let daemon = one(&origin, "proxy_buffer_size 4k;");
    assert_eq!(get(daemon.port(8080), "/").status, 502);
    daemon.logged("error.log", "upstream sent too big header while reading response header from upstream");
}

#[test]
fn a_silent_backend_is_504() {
    let origin = Origin::new(|_, _| {
        std::thread::sleep(std::time::Duration::from_secs(5));
        false
    });
    let daemon = one(&origin, "proxy_read_timeout 200ms;");
    assert_eq!(get(daemon.port(8080), "/").status, 504);
    daemon.logged(
        "error.log",
        "upstream timed out (110: Connection timed out) while reading response header from upstream",
    );
}

#[test]
fn a_body_that_stops_short_is_never_passed_off_as_whole() {
    let stop = |head: &'static str, part: &'static str| {
        Origin::new(move |_, out| {
            let _ = out.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{part}").as_bytes());
            false
        })
    };
    for (head, part) in [("Content-Length: 10", "12345"), ("Transfer-Encoding: chunked", "5\r\n12345\r\n")] {
        for location in ["", "proxy_buffering off;"] {
            let origin = stop(head, part);
            let daemon = one(&origin, location);
            let bytes = raw(daemon.port(8080), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
            assert!(!text.ends_with("0\r\n\r\n"), "{head} {location}: {text}");
            assert!(!text.contains("1234512345"), "{text}");
            daemon.logged("error.log", "upstream prematurely closed connection while reading upstream");
        }
    }
}

#[test]
fn a_stall_inside_a_body_ends_the_connection() {
    let origin = Origin::new(|_, out| {
        let _ = out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
        std::thread::sleep(std::time::Duration::from_secs(5));
        false
    });
    let daemon = one(&origin, "proxy_read_timeout 200ms;");
    let bytes = raw(daemon.port(8080), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&bytes));
    daemon.logged("error.log", "upstream timed out (110: Connection timed out) while reading upstream");
}

#[test]
fn an_idle_connection_that_closes_just_as_it_is_used_loses_no_request() {
    // The backend answers once a connection, says it keeps it, and closes it when the next request arrives.
    let origin = Origin::new(|r, out| {
        r.nth == 0 && out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    });
    let daemon = front(
        &format!("server {}; keepalive 4;", origin.addr()),
        "proxy_http_version 1.1; proxy_set_header Connection '';",
    );
    let mut client = Client::connect(daemon.port(8080));
    for i in 0..20 {
        let answer = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "request {i}");
    }
    assert!(origin.seen().iter().any(|r| r.nth == 1), "a kept connection was used");
}

#[test]
fn connections_to_a_backend_are_kept_and_used_again() {
    let origin = Origin::says("ok");
    let daemon = front(
        &format!("server {}; keepalive 4;", origin.addr()),
        "proxy_http_version 1.1; proxy_set_header Connection '';",
    );
    for _ in 0..10 {
        assert_eq!(get(daemon.port(8080), "/").text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_client_that_leaves_is_499_and_the_backend_is_left_too() {
    let (gone, told) = std::sync::mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let origin = Origin::new(move |_, out| {
        let mut byte = [0];
        let n = std::io::Read::read(out, &mut byte).unwrap_or(0);
        let _ = gone.lock().unwrap().send(n);
        false
    });
    let daemon = one(&origin, "");
    let mut client = Client::connect(daemon.port(8080));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is at the backend", || (!origin.seen().is_empty()).then_some(()));
    drop(client);
    assert_eq!(told.recv_timeout(crate::support::SOON).unwrap(), 0, "the backend's connection is closed");
    daemon.logged("access.log", "499");
}

#[test]
fn max_fails_takes_a_peer_out_and_all_down_is_named() {
    let (a, b) = (Origin::new(|_, _| false), Origin::new(|_, _| false));
    let daemon = front(&format!("server {}; server {};", a.addr(), b.addr()), "");
    for _ in 0..3 {
        assert_eq!(get(daemon.port(8080), "/").status, 502);
    }
    assert_eq!((a.seen().len(), b.seen().len()), (1, 1));
    daemon.logged("error.log", "no live upstreams while connecting to upstream");
}

#[test]
fn a_slow_reader_gets_a_large_body_whole() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let sent = body.clone();
    let origin = Origin::new(move |_, out| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len());
        out.write_all(head.as_bytes()).is_ok() && out.write_all(&sent).is_ok()
    });
    for location in ["", "proxy_buffering off;", "proxy_max_temp_file_size 0;"] {
        let daemon = one(&origin, location);
        let mut client = Client::connect(daemon.port(8080));
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(client.response().body == body, "{location:?}");
    }
}

#[test]
fn a_large_upload_reaches_the_backend_whole() {
    let origin = Origin::says("ok");
    let body: Vec<u8> = (0..900_000_u32).map(|i| (i % 249) as u8).collect();
    for location in
        ["", "proxy_request_buffering off; proxy_http_version 1.1;", "client_body_buffer_size 1k;"]
    {
        let daemon = one(&origin, location);
        let mut client = Client::connect(daemon.port(8080));
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        assert_eq!(client.send(&body).response().status, 200, "{location:?}");
        assert!(origin.last().body == body, "{location:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_even_when_tenrec_has_it() {
    let conf = "pid p.pid; error_log error.log; events { } worker_processes 2;\n\
                http { server { listen 127.0.0.1:%%8080%%; } }\n";
    let running = Daemon::start(conf);
    let taken =
        format!("pid q.pid; events {{ }} http {{ server {{ listen 127.0.0.1:{}; }} }}", running.port(8080));
    let out = once(&Program::Tenrec, &taken, &["-g", "daemon off;"]);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    let words =
        format!("[emerg] bind() to 127.0.0.1:{} failed (98: Address already in use)", running.port(8080));
    assert!(text.contains(&words) && text.contains("still could not bind()"), "{text}");
    assert_eq!(out.status.code(), Some(1));
}

#[test]
fn a_bad_file_ends_in_a_located_error() {
    let deep = "a { ".repeat(10_000);
    for (what, conf) in [
        ("cut off", "events { } http { server { listen 127.0.0.1:1;".to_owned()),
        ("binary", String::from_utf8_lossy(&[0_u8, 1, 2, 255, 0, 123, 59]).into_owned()),
        ("nested 10 000 deep", deep),
        ("a quote left open", "events { } http { log_format x 'abc; }".to_owned()),
        ("nothing but a brace", "}".to_owned()),
    ] {
        let out = once(&Program::Tenrec, &conf, &["-t"]);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{what}: {text}");
        assert!(text.contains("nginx: [emerg] ") && text.contains("nginx.conf:1\n"), "{what}: {text:.300}");
        assert!(text.trim_end().ends_with("nginx.conf test failed"), "{what}: {text:.300}");
    }
}

#[test]
fn every_error_of_a_file_is_given_in_one_run() {
    let conf = "events { }\nhttp {\n  sendfil on;\n  server {\n    listen 127.0.0.1:99999;\n    keepalive_timeout 1x;\n  }\n  \
                location / { }\n}\n";
    let out = once(&Program::Tenrec, conf, &["-t"]);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    for line in [
        "unknown directive \"sendfil\" in ",
        "invalid port in \"127.0.0.1:99999\" of the \"listen\" directive in ",
        "\"keepalive_timeout\" directive invalid value in ",
        "\"location\" directive is not allowed here in ",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(!text.contains("did you mean"), "hints are for a terminal: {text}");
}

#[test]
fn the_answers_of_a_front_under_an_address_with_a_wrong_host_are_the_defaults() {
    let origin = Origin::says("ok");
    let daemon = one(&origin, "");
    assert_eq!(get_with(daemon.port(8080), "/", "X-A: 1\r\n").text(), "ok");
    assert_eq!(
        raw(daemon.port(8080), "GET / HTTP/1.0\r\n\r\n").split(|b| *b == b' ').nth(1),
        Some(&b"200"[..])
    );
}

#[test]
fn an_answer_that_another_peer_is_asked_for_leaves_its_connection_kept_when_it_has_no_body() {
    let empty = Origin::sends("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true);
    let full = Origin::sends("HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx", true);
    let fine = Origin::says("fine");
    for (first, connections) in [(&empty, 1), (&full, 3)] {
        let servers = format!("server {}; server {} backup;", first.addr(), fine.addr());
        let daemon = front(&servers, "proxy_next_upstream http_404; proxy_http_version 1.1;");
        for _ in 0..3 {
            assert_eq!(get(daemon.port(8080), "/").text(), "fine");
        }
        assert_eq!((first.seen().len(), first.connections()), (3, connections));
    }
}
