//! What the client gets.

use super::support::{Front, Origin, run};

/// The answer without the fields that change.
fn steady(answer: &str) -> String {
    answer
        .split_inclusive("\r\n")
        .filter(|l| !l.starts_with("Date: ") && !l.starts_with("Server: "))
        .collect()
}

async fn answered(more: &str, request: &str, answer: &str) -> String {
    let origin = Origin::new().await;
    let port = origin.addr.port().to_string();
    let front = Front::to(origin.addr, more).await;
    let _head = origin.once(answer.replace("PORT", &port));
    steady(&front.exchange(request).await)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n";

#[test]
fn fields_keep_their_order_and_the_private_ones_stay_here() {
    run(async {
        let answer = "HTTP/1.1 299 Odd One\r\nX-B: 1\r\nServer: hidden\r\nDate: hidden\r\nContent-Type: a/b\r\n\
                      Connection: keep-alive\r\nKeep-Alive: 5\r\nX-Accel-Expires: 1\r\nX-Pad: x\r\nx-a: 2\r\n\
                      Content-Length: 2\r\nX-B: 3\r\n\r\nok";
        assert_eq!(
            answered("", GET, answer).await,
            "HTTP/1.1 299 Odd One\r\nContent-Type: a/b\r\nContent-Length: 2\r\nConnection: close\r\nX-B: 1\r\n\
             x-a: 2\r\nX-B: 3\r\n\r\nok"
        );
        let more = "proxy_hide_header X-B; proxy_pass_header X-Pad; add_header X-New n;";
        assert_eq!(
            answered(more, GET, answer).await,
            "HTTP/1.1 299 Odd One\r\nContent-Type: a/b\r\nContent-Length: 2\r\nConnection: close\r\nX-Pad: x\r\n\
             x-a: 2\r\n\r\nok"
        );
    });
}

#[test]
fn bodies_of_unknown_length_are_chunked_or_end_with_the_connection() {
    run(async {
        for answer in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: t\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nok",
        ] {
            assert_eq!(
                answered("", GET, answer).await,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n"
            );
            assert_eq!(
                answered("", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", answer).await,
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"
            );
        }
    });
}

#[test]
fn answers_without_a_body_have_none() {
    run(async {
        assert_eq!(
            answered("", &GET.replace("GET", "HEAD"), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            answered("", GET, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n").await,
            "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: \"x\"\r\n\r\n"
        );
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                       HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(answered("", GET, interim).await, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    });
}

#[test]
fn locations_and_cookies_are_rewritten() {
    run(async {
        let origin = Origin::new().await;
        let addr = origin.addr;
        let front = Front::start(&format!(
            "server {{ listen 80; location /app/ {{ proxy_pass http://{addr}/in/;
               proxy_cookie_path /in/ /app/; proxy_cookie_domain inner.example outer.example;
               proxy_cookie_flags s secure samesite=lax; }} }}"
        ))
        .await;
        let _head = origin.once(format!(
            "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://{addr}/in/x?y\r\n\
             Set-Cookie: s=1;Domain=.inner.example; Path=/in/z\r\nSet-Cookie: other=1;path=/\r\n\
             Refresh: 3; url=http://{addr}/in/r\r\n\r\n"
        ));
        let answer =
            front.exchange("GET /app/ HTTP/1.1\r\nHost: front:81\r\nConnection: close\r\n\r\n").await;
        let port = front.addr.port();
        for line in [
            format!("Location: http://front:{port}/app/x?y\r\n"),
            "Set-Cookie: s=1; Domain=.outer.example; Path=/app/z; Secure; SameSite=Lax\r\n".into(),
            "Set-Cookie: other=1;path=/\r\n".into(),
            "Refresh: 3; url=/app/r\r\n".into(),
        ] {
            assert!(answer.contains(&line), "{line}{answer}");
        }
    });
}

#[test]
fn errors_are_intercepted_and_x_accel_redirect_is_followed() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::start(&format!(
            "server {{ listen 80; error_page 404 /gone;
               location = /gone {{ return 200 page; }}
               location /inner/ {{ internal; return 200 inner; }}
               location / {{ proxy_pass http://{}; proxy_intercept_errors on; }} }}",
            origin.addr
        ))
        .await;
        let serving = async {
            for answer in ["404 Not Found\r\nX: 1", "200 OK\r\nX-Accel-Redirect: /inner/x", "403 No\r\nX: 2"]
            {
                let mut served = origin.accept().await;
                served.head().await;
                served.send(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n")).await;
            }
        };
        let asking = async { [front.get("/").await, front.get("/").await, front.get("/").await] };
        let ([gone, inner, plain], ()) = tokio::join!(asking, serving);
        assert!(gone.starts_with("HTTP/1.1 404 ") && gone.ends_with("page"), "{gone}");
        assert!(inner.starts_with("HTTP/1.1 200 ") && inner.ends_with("inner"), "{inner}");
        assert!(plain.starts_with("HTTP/1.1 403 No\r\n") && plain.contains("X: 2\r\n"), "{plain}");
    });
}

#[test]
fn without_buffering_bytes_pass_as_they_come() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::to(origin.addr, "proxy_buffering off;").await;
        let mut client = front.client().await;
        client.send(GET).await;
        let mut served = origin.accept().await;
        served.head().await;
        served.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n").await;
        client.until("\r\n\r\n").await;
        for part in ["ab", "cd", "ef"] {
            served.send(part).await;
            assert_eq!(client.until(part).await, part);
        }
    });
}

#[test]
fn a_slow_client_does_not_hold_its_peer_when_answers_are_buffered() {
    run(async {
        let origin = Origin::new().await;
        let front = Front::to(origin.addr, "proxy_temp_path tmp;").await;
        std::fs::create_dir_all(front.dir().join("tmp")).expect("a directory");
        let body: Vec<u8> = (0..16 << 20_u32).map(|i: u32| (i % 251) as u8).collect();
        let mut client = front.client().await;
        client.send(GET).await;
        let mut served = origin.accept().await;
        served.head().await;
        served.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        // The client reads nothing until the peer has been read to the end.
        served.send(&body).await;
        assert!(served.closed().await, "the peer is free while the client has not read a byte");
        let mut got = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut got).await.expect("readable");
        assert!(got.ends_with(&body), "{} of {}", got.len(), body.len());
        assert!(
            front.log().contains("an upstream response is buffered to a temporary file"),
            "{}",
            front.log()
        );
    });
}

#[test]
fn an_upgrade_becomes_a_tunnel() {
    run(async {
        let origin = Origin::new().await;
        let more = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";
        let front = Front::to(origin.addr, more).await;
        let mut client = front.client().await;
        client
            .send("GET /ws HTTP/1.1\r\nHost: f\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly")
            .await;
        let mut served = origin.accept().await;
        let head = served.head().await;
        assert!(head.contains("Upgrade: websocket\r\nConnection: upgrade\r\n"), "{head}");
        served
            .send(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello",
            )
            .await;
        let answer = client.until("hello").await;
        assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
        assert!(
            answer.contains("\r\nConnection: upgrade\r\n") && answer.contains("\r\nUpgrade: websocket\r\n")
        );
        assert_eq!(served.body(5).await, "early");
        client.send("ping").await;
        assert_eq!(served.body(4).await, "ping");
        served.send("pong").await;
        assert_eq!(client.until("pong").await, "pong");
        drop(served);
        assert_eq!(client.rest().await, "");
    });
}
