//! Answers that break off, and clients that do.

use super::support::{Front, Origin, run};

#[test]
fn a_body_that_breaks_off_ends_the_connection_without_its_last_chunk() {
    run(async {
        for (head, sent) in [
            ("Content-Length: 10\r\n", "abc"),
            ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"),
            ("Transfer-Encoding: chunked\r\n", "5\r\nabc"),
        ] {
            let origin = Origin::new().await;
            let front = Front::to(origin.addr, "").await;
            let _head = origin.once(format!("HTTP/1.1 200 OK\r\n{head}\r\n{sent}"));
            let answer = front.exchange("GET / HTTP/1.1\r\nHost: f\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("abc"), "{answer}");
            assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
            let text = "upstream prematurely closed connection while reading upstream";
            assert!(front.log().contains(text), "{}", front.log());
        }
    });
}

#[test]
fn a_peer_that_stalls_in_its_body_is_given_up() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::to(origin.addr, "proxy_read_timeout 50ms;").await;
        let stalling = async {
            let mut served = origin.accept().await;
            served.head().await;
            served.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await;
            assert!(served.closed().await);
        };
        let (answer, ()) = tokio::join!(front.exchange("GET / HTTP/1.1\r\nHost: f\r\n\r\n"), stalling);
        assert!(answer.contains("Content-Length: 9\r\n") && answer.ends_with("\r\n\r\nabc"), "{answer}");
        let text = "upstream timed out (110: Connection timed out) while reading upstream";
        assert!(front.log().contains(text), "{}", front.log());
    });
}

#[test]
fn bad_heads_end_in_502() {
    run(async {
        for (answer, text) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
                "upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time while",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                "upstream sent invalid \"Content-Length\" header",
            ),
            ("HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "upstream sent invalid header"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\n",
                "upstream sent unknown \"Transfer-Encoding\"",
            ),
            (
                "HTTP/1.1 200 OK\r\nX: y",
                "upstream prematurely closed connection while reading response header",
            ),
            ("", "upstream prematurely closed connection while reading response header from upstream"),
        ] {
            let origin = Origin::new().await;
            let front = Front::to(origin.addr, "").await;
            let _head = origin.once(answer);
            let got = front.get("/").await;
            assert!(got.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}: {got}");
            assert!(front.log().contains(text), "{text}: {}", front.log());
        }
        let origin = Origin::new().await;
        let front =
            Front::to(origin.addr, "proxy_buffer_size 1k; proxy_buffers 4 1k; proxy_busy_buffers_size 2k;")
                .await;
        let _head = origin.once(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(2000)));
        assert!(front.get("/").await.starts_with("HTTP/1.1 502 "));
        assert!(front.log().contains("upstream sent too big header while reading response header"));
    });
}

#[test]
fn a_reset_peer_is_502() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::to(origin.addr, "").await;
        let (answer, ()) = tokio::join!(front.get("/"), async {
            let mut served = origin.accept().await;
            served.head().await;
            served.reset();
        });
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        let text =
            "recv() failed (104: Connection reset by peer) while reading response header from upstream";
        assert!(front.log().contains(text), "{}", front.log());
    });
}

#[test]
fn what_is_no_http_is_passed_on_as_it_is() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::to(origin.addr, "").await;
        let _head = origin.once("SSH-2.0-x\r\n");
        assert_eq!(front.get("/").await, "SSH-2.0-x\r\n", "nginx takes it for HTTP/0.9");
        assert!(front.log().contains("upstream sent no valid HTTP/1.0 header while"), "{}", front.log());
    });
}

#[test]
fn a_client_that_leaves_takes_its_peer_along() {
    run(async {
        for (more, closes) in [("", true), ("proxy_ignore_client_abort on;", false)] {
            let origin = Origin::new().await;
            let front = Front::to(origin.addr, more).await;
            let mut client = front.client().await;
            client.send("GET / HTTP/1.1\r\nHost: f\r\n\r\n").await;
            let mut served = origin.accept().await;
            served.head().await;
            drop(client);
            if closes {
                assert!(served.closed().await);
                let text = "client prematurely closed connection, so upstream connection is closed too while";
                assert!(front.log().contains(text), "{}", front.log());
            } else {
                let wait = std::time::Duration::from_millis(50);
                assert!(tokio::time::timeout(wait, served.closed()).await.is_err());
            }
        }
    });
}
