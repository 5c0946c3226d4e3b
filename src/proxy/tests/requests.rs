//! What a peer is sent.

use super::support::{Front, Origin, run};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the origin gets when the location says `more` and the client sends `request`.
async fn asked(more: &str, request: &str) -> String {
    let origin = Origin::new().await;
    let front = Front::to(origin.addr, more).await;
    let head = origin.once(OK);
    let answer = front.exchange(request).await;
    assert!(answer.ends_with("ok"), "{answer}\n{}", front.log());
    front_host(&head.await.expect("asked"))
}

/// The origin's port is not part of what is compared.
fn front_host(head: &str) -> String {
    let line = head.lines().find(|l| l.starts_with("Host: 127.0.0.1:")).unwrap_or("\0");
    head.replace(line, "Host: ORIGIN")
}

#[test]
fn hop_by_hop_fields_stay_here_and_the_others_go_on_in_order() {
    run(async {
        let request = "GET /a%20b?x=1 HTTP/1.1\r\nHost: front\r\nX-One: 1\r\nConnection: close\r\nKeep-Alive: 5\r\n\
                       TE: trailers\r\nx-two:  2 \r\nUpgrade: h2c\r\nProxy-Connection: close\r\nX-One: again\r\n\r\n";
        assert_eq!(
            asked("", request).await,
            "GET /a%20b?x=1 HTTP/1.1\r\nHost: ORIGIN\r\nX-One: 1\r\nx-two: 2\r\nX-One: again\r\n\r\n"
        );
        assert_eq!(
            asked("proxy_http_version 1.0;", request).await,
            "GET /a%20b?x=1 HTTP/1.0\r\nHost: ORIGIN\r\nX-One: 1\r\nx-two: 2\r\nX-One: again\r\n\r\n"
        );
    });
}

#[test]
fn set_headers_come_first_and_replace_the_clients() {
    run(async {
        let request =
            "GET / HTTP/1.1\r\nHost: front\r\nX-A: client\r\nX-B: client\r\nConnection: close\r\n\r\n";
        let more = "proxy_set_header Host $host; proxy_set_header X-A $request_method; \
                    proxy_set_header X-B \"\"; proxy_set_header X-C c;";
        assert_eq!(asked(more, request).await, "GET / HTTP/1.1\r\nHost: front\r\nX-A: GET\r\nX-C: c\r\n\r\n");
        assert_eq!(
            asked("proxy_pass_request_headers off; proxy_method PURGE;", request).await,
            "PURGE / HTTP/1.1\r\nHost: ORIGIN\r\n\r\n"
        );
        let set_body = asked("proxy_set_body \"hi $request_method\";", request).await;
        assert!(set_body.contains("\r\nContent-Length: 6\r\n"), "{set_body}");
    });
}

#[test]
fn the_uri_part_replaces_the_locations_prefix() {
    run(async {
        for (location, uri, path, want) in [
            ("/app/", "/", "/app/a%20b?q=%20", "/a%20b?q=%20"),
            ("/app", "/x", "/app/y", "/x/y"),
            ("/", "/?a", "/z", "/?az"),
            ("= /one", "/two", "/one?k", "/two?k"),
            ("/raw/", "", "/raw//%2e/x", "/raw//%2e/x"),
            ("/v", "/w$request_uri", "/v%41?1", "/w/v%41?1"),
        ] {
            let origin = Origin::new().await;
            let other = if location == "/" { "" } else { "location / { return 404; }" };
            let to = format!("location {location} {{ proxy_pass http://{}{uri}; }}", origin.addr);
            let front = Front::start(&format!("server {{ listen 80; {other} {to} }}")).await;
            let head = origin.once(OK);
            let answer = front.get(path).await;
            assert!(answer.ends_with("ok"), "{location} {path}: {answer}");
            assert_eq!(head.await.expect("asked").split(' ').nth(1), Some(want), "{location} {uri} {path}");
        }
    });
}

#[test]
fn a_body_goes_on_with_its_length_whatever_its_framing_was() {
    run(async {
        for (framing, body) in [
            ("Content-Length: 5\r\n", "hello"),
            ("Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: 1\r\n\r\n"),
        ] {
            let origin = Origin::new().await;
            let front = Front::to(origin.addr, "").await;
            let request = format!("POST / HTTP/1.1\r\nHost: f\r\n{framing}Connection: close\r\n\r\n{body}");
            let (answer, (head, body)) = tokio::join!(front.exchange(&request), async {
                let mut served = origin.accept().await;
                let asked = (served.head().await, served.body(5).await);
                served.send(OK).await;
                asked
            });
            assert!(answer.ends_with("ok"), "{answer}");
            assert!(head.contains("\r\nContent-Length: 5\r\n") && !head.contains("chunked"), "{head}");
            assert_eq!(body, "hello");
        }
    });
}

#[test]
fn without_request_buffering_a_body_goes_on_as_it_comes() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::to(origin.addr, "proxy_request_buffering off;").await;
        let mut client = front.client().await;
        client
            .send("POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n")
            .await;
        let mut served = origin.accept().await;
        let head = served.head().await;
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
        assert_eq!(served.body(6).await, "3\r\nabc", "the first part is here before the last was sent");
        client.send("2\r\nde\r\n0\r\n\r\n").await;
        assert_eq!(served.body(14).await, "\r\n2\r\nde\r\n0\r\n\r\n");
        served.send(OK).await;
        assert!(client.rest().await.ends_with("ok"));
    });
}

#[test]
fn a_large_body_goes_through_a_file() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::to(origin.addr, "client_max_body_size 0; client_body_buffer_size 1k;").await;
        let body = "0123456789".repeat(30_000);
        let request = format!(
            "PUT / HTTP/1.1\r\nHost: f\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let (answer, got) = tokio::join!(front.exchange(&request), async {
            let mut served = origin.accept().await;
            served.head().await;
            let got = served.body(body.len()).await;
            served.send(OK).await;
            got
        });
        assert!(answer.ends_with("ok"), "{answer}");
        assert!(got == body);
    });
}

#[test]
fn an_answer_that_comes_early_ends_the_sending() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::to(origin.addr, "client_max_body_size 0; client_body_buffer_size 64m;").await;
        let mut client = front.client().await;
        let length = 8 << 20;
        client
            .send(format!(
                "PUT / HTTP/1.1\r\nHost: f\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        let (answer, ()) = tokio::join!(
            async {
                client.send(vec![b'x'; length]).await;
                client.rest().await
            },
            async {
                let mut served = origin.accept().await;
                served.head().await;
                served.send("HTTP/1.1 413 No\r\nContent-Length: 4\r\n\r\nfull").await;
                while !served.closed().await {}
            }
        );
        assert!(answer.starts_with("HTTP/1.1 413 No\r\n") && answer.ends_with("full"), "{answer}");
    });
}
