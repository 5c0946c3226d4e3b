//! Which requests another peer gets, and what is said of the first one.

use std::net::SocketAddr;

use super::support::{Front, Origin, run};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn two(first: SocketAddr, second: SocketAddr, more: &str) -> Front {
    Front::start(&format!(
        "upstream u {{ server {first}; server {second}; }}
         server {{ listen 80; location / {{ proxy_pass http://u; {more} }} }}"
    ))
    .await
}

#[test]
fn a_refused_connection_sends_the_request_to_the_next_peer() {
    run(async {
        let front = two(Origin::nobody().await, Origin::new().await.always(OK), "").await;
        let answer = front.get("/p?q").await;
        assert!(answer.ends_with("ok"), "{answer}");
        let log = front.log();
        assert!(log.contains("connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1, server: , request: \"GET /p?q HTTP/1.1\", upstream: \"http://127.0.0.1:"), "{log}");
        assert!(log.contains("/p?q\", host: \"front\""), "{log}");
        assert!(
            log.contains("[warn]") && log.contains("upstream server temporarily disabled while"),
            "{log}"
        );
        let post = "POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
        for _ in 0..3 {
            assert!(front.exchange(post).await.ends_with("ok"), "what was not sent may go elsewhere");
        }
    });
}

#[test]
fn no_peer_left_is_502_with_nginx_s_words() {
    run(async {
        let front = two(Origin::nobody().await, Origin::nobody().await, "").await;
        assert!(front.get("/").await.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
        assert!(front.get("/").await.starts_with("HTTP/1.1 502 "));
        let log = front.log();
        assert!(log.contains("no live upstreams while connecting to upstream, client:"), "{log}");
        assert!(log.contains("upstream: \"http://u/\""), "{log}");
    });
}

#[test]
fn what_was_sent_is_sent_again_only_when_that_is_safe() {
    run(async {
        for (method, more, size, want) in [
            ("GET", "", 1, 200),
            ("PUT", "", 1, 200),
            ("POST", "", 1, 502),
            ("PATCH", "", 1, 502),
            ("LOCK", "", 1, 502),
            ("POST", "proxy_next_upstream error non_idempotent;", 1, 200),
            ("GET", "proxy_next_upstream off;", 1, 502),
            ("GET", "proxy_next_upstream timeout;", 1, 502),
            ("GET", "proxy_next_upstream_tries 1;", 1, 502),
            // What came whole with its head is at hand still.
            ("PUT", "proxy_request_buffering off;", 1, 200),
            ("PUT", "proxy_request_buffering off;", 40_000, 502),
        ] {
            let closer = Origin::new().await;
            let front = two(closer.addr, Origin::new().await.always(OK), more).await;
            let request = format!(
                "{method} / HTTP/1.1\r\nHost: f\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n{}",
                "x".repeat(size)
            );
            let (answer, ()) = tokio::join!(front.exchange(&request), async {
                let mut served = closer.accept().await;
                served.head().await;
                served.body(size).await;
            });
            assert!(answer.starts_with(&format!("HTTP/1.1 {want} ")), "{method} {more}: {answer}");
            let text = "upstream prematurely closed connection while reading response header from upstream";
            assert!(front.log().contains(text), "{}", front.log());
        }
    });
}

#[test]
fn statuses_are_retried_when_they_are_named() {
    run(async {
        for (status, more, want) in [
            (503, "proxy_next_upstream http_503;", 200),
            (503, "", 503),
            (404, "proxy_next_upstream http_404;", 200),
            (429, "proxy_next_upstream http_429 http_500;", 200),
            (500, "proxy_next_upstream http_502;", 500),
        ] {
            let first = Origin::new().await;
            let front = two(first.addr, Origin::new().await.always(OK), more).await;
            let _head = first.once(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
            let answer = front.get("/").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {want} ")), "{status} {more}: {answer}");
        }
    });
}

#[test]
fn a_garbled_head_is_retried() {
    run(async {
        let first = Origin::new().await;
        let front =
            two(first.addr, Origin::new().await.always(OK), "proxy_next_upstream invalid_header;").await;
        let _head = first.once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc");
        let answer = front.get("/").await;
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
        assert!(
            front.log().contains("upstream sent duplicate header line: \"Content-Length: 3\""),
            "{}",
            front.log()
        );
    });
}

#[test]
fn a_peer_that_says_nothing_is_left_after_the_timeout() {
    run(async {
        let silent = Origin::new().await;
        let more = "proxy_read_timeout 50ms;";
        let front = two(silent.addr, Origin::new().await.always(OK), more).await;
        assert!(front.get("/").await.ends_with("ok"));
        let text =
            "upstream timed out (110: Connection timed out) while reading response header from upstream";
        assert!(front.log().contains(text), "{}", front.log());
        let alone = Front::to(silent.addr, more).await;
        assert!(alone.get("/").await.starts_with("HTTP/1.1 504 Gateway Time-out\r\n"));
    });
}

#[test]
fn a_kept_connection_that_its_peer_closes_costs_no_request() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::start(&format!(
            "upstream u {{ server {}; keepalive 4; }}
             server {{ listen 80; location / {{ proxy_pass http://u; }} }}",
            origin.addr
        ))
        .await;
        let serving = async {
            for _ in 0..20 {
                // One answer, and the connection is closed on the request after it, before a byte is answered.
                let mut served = origin.accept().await;
                served.head().await;
                served.send(OK).await;
                served.head().await;
                served.reset();
            }
        };
        let asking = async {
            for n in 0..10 {
                let answer = front.get("/").await;
                assert!(answer.ends_with("ok"), "{n}: {answer}\n{}", front.log());
            }
        };
        tokio::select! { () = serving => unreachable!("ten requests open fewer connections"), () = asking => {} }
        assert!(!front.log().contains("temporarily disabled"));
    });
}

#[test]
fn an_idle_connection_closed_by_its_peer_is_not_used() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::start(&format!(
            "upstream u {{ server {}; keepalive 4; }}
             server {{ listen 80; location / {{ proxy_pass http://u; }} }}",
            origin.addr
        ))
        .await;
        let post = "POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
        for _ in 0..3 {
            let (answer, ()) = tokio::join!(front.exchange(post), async {
                let mut served = origin.accept().await;
                served.head().await;
                served.send(OK).await;
            });
            assert!(answer.ends_with("ok"), "a POST would not have been sent twice: {answer}");
        }
        assert_eq!(front.log(), "");
    });
}

#[test]
fn connections_are_used_again_and_no_more_are_kept_than_said() {
    run(async {
        let addr = Origin::new().await.always(OK);
        let front = Front::start(&format!(
            "upstream u {{ server {addr}; keepalive 2; }}
             server {{ listen 80; location / {{ proxy_pass http://u; }} }}"
        ))
        .await;
        for _ in 0..5 {
            assert!(front.get("/").await.ends_with("ok"));
            assert_eq!(front.proxy.idle(), 1);
        }
        tokio::join!(front.get("/"), front.get("/"), front.get("/"), front.get("/"));
        assert_eq!(front.proxy.idle(), 2);
        front.proxy.close();
        assert_eq!(front.proxy.idle(), 0);
    });
}
