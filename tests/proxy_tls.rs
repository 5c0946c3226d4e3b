//! `proxy_pass https://…`: requests, names, sessions, kept connections, pins.

use crate::differential::http;
use crate::support::client::{Client, get, get_with, raw};
use crate::support::daemon::Daemon;
use crate::support::dns::{A, Answer, NameServer};
use crate::support::tls::{GOOD, Make, Then, answer, fixture};

/// A server whose locations are these.
fn front(lines: &str, locations: &str) -> String {
    http(&format!("{lines}\nserver {{ listen 127.0.0.1:%%8080%%;\n{locations}\n}}"))
}

#[test]
fn requests_and_bodies_go_through_and_connections_are_kept() {
    let origin = GOOD.serves(|seen, out| {
        let body = format!("{}|{}", seen.request.head, seen.request.body.len());
        answer(out, &body)
    });
    let a = origin.addr();
    let daemon = Daemon::start(&front(
        &format!(
            "upstream u {{ server {a}; keepalive 4; }}\nproxy_http_version 1.1; proxy_set_header Connection '';"
        ),
        &format!(
            "location / {{ proxy_pass https://u; }}\n\
             location /vars {{ proxy_pass https://{a}/x; add_header X-Proxy \"$proxy_host $proxy_port\"; }}\n\
             location /named {{ proxy_pass https://u/y; add_header X-Proxy \"$proxy_host $proxy_port\"; }}\n\
             location /made {{ set $b u; proxy_pass https://$b/z; add_header X-Proxy \"$proxy_host $proxy_port\"; }}\n\
             location /stream {{ proxy_request_buffering off; proxy_pass https://u; }}"
        ),
    ));
    let port = daemon.port(8080);
    let mut client = Client::connect(port);
    for _ in 0..3 {
        let text = client.send("GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n").response().text();
        assert!(text.starts_with("GET /a?b HTTP/1.1\r\nHost: u\r\n"), "{text}");
    }
    assert_eq!(origin.connections(), 1);
    assert!(origin.seen().iter().all(|s| s.name.is_none()), "no name is sent unless asked for");
    let answer = get(port, "/vars");
    assert_eq!(answer.header("X-Proxy"), Some(format!("{a} {}", origin.port())));
    assert_eq!(get(port, "/named").header("X-Proxy").as_deref(), Some("u 443"));
    assert_eq!(get(port, "/made").header("X-Proxy").as_deref(), Some("u 443"));
    let body = "x".repeat(300_000);
    for path in ["/buffered", "/stream"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let text = Client::connect(port).send(head + &body).response().text();
        assert!(text.ends_with("|300000"), "{path}: {text}");
    }
}

#[test]
fn the_name_is_sent_when_asked_for_and_never_an_address() {
    let origin = GOOD.says("ok");
    let a = origin.addr();
    let daemon = Daemon::start(&front(
        &format!("upstream up.test {{ server {a}; }}\nproxy_ssl_server_name on;"),
        &format!(
            "location /block {{ proxy_pass https://up.test; }}\n\
             location /address {{ proxy_pass https://{a}; }}\n\
             location /said {{ proxy_pass https://{a}; proxy_ssl_name said.test; }}\n\
             location /host {{ proxy_pass https://{a}; proxy_ssl_name $http_host; }}\n\
             location /off {{ proxy_pass https://up.test; proxy_ssl_server_name off; }}"
        ),
    ));
    let sent = |path: &str, host: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        Client::connect(daemon.port(8080)).send(head).response();
        origin.last().name
    };
    assert_eq!(sent("/block", "h").as_deref(), Some("up.test"));
    assert_eq!(sent("/address", "h"), None);
    assert_eq!(sent("/said", "h").as_deref(), Some("said.test"));
    assert_eq!(sent("/host", "www.test:8443").as_deref(), Some("www.test"));
    assert_eq!(sent("/host", "[::1]:8443"), None);
    assert_eq!(sent("/off", "h"), None);
}

#[test]
fn sessions_are_taken_up_again_where_they_are_kept() {
    for only_tls12 in [false, true] {
        let make = || {
            Make { only_tls12, ..GOOD }.serves(|_, out| {
                answer(out, "ok");
                Then::Close
            })
        };
        let (one, two) = (make(), make());
        let daemon = Daemon::start(&front(
            &format!("upstream u {{ server {}; }}\nupstream v {{ server {}; }}", one.addr(), two.addr()),
            "location / { proxy_pass https://u; }\n\
             location /off { proxy_pass https://v; proxy_ssl_session_reuse off; }",
        ));
        for _ in 0..3 {
            assert_eq!(get(daemon.port(8080), "/").status, 200);
            assert_eq!(get(daemon.port(8080), "/off").status, 200);
        }
        let resumed: Vec<bool> = one.seen().iter().map(|s| s.resumed).collect();
        assert_eq!(resumed, [false, true, true], "TLS 1.2 only: {only_tls12}");
        assert!(two.seen().iter().all(|s| !s.resumed));
    }
}

#[test]
fn a_kept_connection_serves_its_own_name_and_scheme_alone() {
    let origin = GOOD.says("ok");
    let a = origin.addr();
    let daemon = Daemon::start(&front(
        &format!(
            "upstream u {{ server {a}; keepalive 8; }}\nproxy_http_version 1.1; proxy_set_header Connection '';\n\
             proxy_ssl_server_name on; proxy_ssl_name $arg_n; proxy_next_upstream off;"
        ),
        "location / { proxy_pass https://u; }\nlocation /plain { proxy_pass http://u; }",
    ));
    let on = |name: &str| {
        assert_eq!(get(daemon.port(8080), &format!("/?n={name}")).status, 200);
        let seen = origin.last();
        assert_eq!(seen.name.as_deref(), Some(name));
        seen.request.connection
    };
    let (first, second) = (on("a.test"), on("b.test"));
    assert_ne!(first, second);
    assert_eq!((on("a.test"), on("b.test")), (first, second));
    // A backend that reads a request where it waits for a hello gives an alert, not an answer.
    let answer = raw(daemon.port(8080), "GET /plain HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(!answer.ends_with(b"ok"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(on("a.test"), first);
}

#[test]
fn a_certificate_is_shown_from_a_file_a_text_or_a_name_with_variables() {
    let origin = Make { asks: true, ..GOOD }.says("ok");
    let a = origin.addr();
    let inline = |name: &str| std::fs::read_to_string(fixture(name)).unwrap();
    let daemon = Daemon::run(
        crate::support::daemon::Program::Tenrec,
        &front(
            "proxy_next_upstream off;",
            &format!(
                "location /none {{ proxy_pass https://{a}; }}\n\
                 location /file {{ proxy_pass https://{a}; proxy_ssl_certificate client.crt;\n\
                   proxy_ssl_certificate_key client.pkcs8.key; proxy_ssl_password_file passwords; }}\n\
                 location /text {{ proxy_pass https://{a}; proxy_ssl_certificate 'data:{}';\n\
                   proxy_ssl_certificate_key 'data:{}'; }}\n\
                 location /named {{ proxy_pass https://{a}; proxy_ssl_certificate $arg_c.crt;\n\
                   proxy_ssl_certificate_key $arg_c.key; proxy_ssl_certificate_cache max=4; }}\n\
                 location /maybe {{ proxy_pass https://{a}; proxy_ssl_certificate $arg_c;\n\
                   proxy_ssl_certificate_key $arg_k; }}\n\
                 location /command {{ proxy_pass https://{a}; proxy_ssl_certificate client.crt;\n\
                   proxy_ssl_certificate_key client.key; proxy_ssl_conf_command Certificate other.crt;\n\
                   proxy_ssl_conf_command PrivateKey other.key; }}",
                inline("client.crt"),
                inline("client.key"),
            ),
        ),
        &[
            ("client.crt", &std::fs::read(fixture("client.crt")).unwrap()),
            ("client.key", &std::fs::read(fixture("client.key")).unwrap()),
            ("client.pkcs8.key", &std::fs::read(fixture("client.pkcs8.key")).unwrap()),
            ("other.crt", &std::fs::read(fixture("backend.crt")).unwrap()),
            ("other.key", &std::fs::read(fixture("backend.key")).unwrap()),
            ("passwords", b"wrong\nsecret\n"),
        ],
    );
    let port = daemon.port(8080);
    for path in ["/file", "/text", "/named?c=client", "/named?c=client", "/maybe?c=client.crt&k=client.key"] {
        assert_eq!(get(port, path).status, 200, "{path}");
        assert!(origin.last().client, "{path}");
    }
    assert_eq!(get(port, "/command").status, 200);
    assert_eq!(get(port, "/none").status, 502);
    daemon.logged("error.log", "SSL alert number 116) while reading response header from upstream");
    assert_eq!(get(port, "/maybe").status, 502);
    assert_eq!(get(port, "/named?c=nobody").status, 500);
    daemon.logged("error.log", "cannot load certificate \"");
    // What is kept stands in for a file that is gone.
    std::fs::remove_file(daemon.prefix().join("client.key")).unwrap();
    assert_eq!(get(port, "/named?c=client").status, 200);
}

#[test]
fn an_upgraded_connection_and_a_redirect_pass() {
    let origin = GOOD.serves(|seen, out| {
        if seen.request.path() == "/there" {
            let to = format!("https://{}/elsewhere", seen.request.header("Host").unwrap());
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            return if out.write_all(head.as_bytes()).is_ok() { Then::Keep } else { Then::Cut };
        }
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello";
        let _ = out.write_all(head.as_bytes());
        Then::Close
    });
    let daemon = Daemon::start(&front(
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;",
        &format!("location / {{ proxy_pass https://{}; }}", origin.addr()),
    ));
    let port = daemon.port(8080);
    let mut client = Client::connect(port);
    client.send("GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    assert_eq!(client.response().status, 101);
    assert_eq!(client.rest(), b"hello");
    let to = get(port, "/there").header("Location").unwrap();
    assert_eq!(to, format!("http://localhost:{port}/elsewhere"));
}

#[test]
fn every_kind_of_session_holds_over_tls_and_moves_from_a_stranger() {
    let named = |name: &'static str, pair| {
        Make { pair, ..GOOD }.serves(move |seen, out| {
            let id = seen
                .request
                .header("X-New")
                .map(|id| format!("Set-Cookie: app={id}\r\n"))
                .unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\n{id}Content-Length: {}\r\n\r\n{name}", name.len());
            if out.write_all(head.as_bytes()).is_ok() { Then::Keep } else { Then::Cut }
        })
    };
    let good = ("backend.crt", "backend.key");
    let (a, b) = (named("a", good), named("b", good));
    // As far as the fixtures' authority goes this one has expired.
    let stranger = named("stranger", ("expired.crt", "expired.key"));
    let servers = format!("server {}; server {}; server {};", a.addr(), b.addr(), stranger.addr());
    let daemon = Daemon::start(&front(
        &format!(
            "upstream tengine {{ {servers} session_sticky; }}\n\
             upstream cookie {{ {servers} sticky cookie pin; }}\n\
             upstream learn {{ {servers} sticky learn create=$upstream_cookie_app lookup=$cookie_app zone=z:1m; }}\n\
             proxy_ssl_verify on; proxy_ssl_trusted_certificate {}; proxy_ssl_name backend.test;",
            fixture("ca.crt").display()
        ),
        "location /tengine { proxy_pass https://tengine; }\nlocation /cookie { proxy_pass https://cookie; }\n\
         location /learn { proxy_pass https://learn; }",
    ));
    let port = daemon.port(8080);
    for (path, cookie, new) in
        [("/tengine", "route", ""), ("/cookie", "pin", ""), ("/learn", "app", "X-New: s1\r\n")]
    {
        for _ in 0..4 {
            let first = get_with(port, path, new);
            assert!(["a", "b"].contains(&&*first.text()), "{path}: {}", first.text());
            let pin = first.cookie(cookie).expect("a session");
            for _ in 0..3 {
                let again = get_with(port, path, &format!("Cookie: {pin}\r\n"));
                assert_eq!(again.text(), first.text(), "{path}");
            }
        }
    }
    assert!(stranger.seen().is_empty(), "no request goes to who is not trusted");
    let line =
        daemon.logged("error.log", "upstream SSL certificate verify error: (10:certificate has expired)");
    assert!(line.contains(" while SSL handshaking to upstream, "), "{line}");
}

#[test]
fn servers_whose_addresses_are_looked_up_are_spoken_to_by_tls() {
    let origin = GOOD.says("ok");
    let dns = NameServer::knows(&[(A, "app.test", Answer::a(&["127.0.0.1"]))]);
    let daemon = Daemon::start(&front(
        &format!(
            "resolver {} valid=1s ipv6=off;\nupstream u {{ zone z 1m; server app.test:{} resolve; }}\n\
             proxy_ssl_server_name on;",
            dns.addr(),
            origin.port()
        ),
        &format!(
            "location /peers {{ proxy_pass https://u; }}\n\
             location /name {{ set $h app.test:{}; proxy_pass https://$h; }}",
            origin.port()
        ),
    ));
    crate::support::eventually("the name is known", || {
        (get(daemon.port(8080), "/peers").status == 200).then_some(())
    });
    assert_eq!(origin.last().name.as_deref(), Some("u"));
    assert_eq!(get(daemon.port(8080), "/name").status, 200);
    assert_eq!(origin.last().name.as_deref(), Some("app.test"));
}
