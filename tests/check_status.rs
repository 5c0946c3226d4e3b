//! `check_status`, and the Tengine to compare it with.

use crate::health::{Backend, PROBE, conf, turns, upstream};
use crate::support::client::{Response, get};
use crate::support::daemon::{Daemon, Program, once};
use crate::support::eventually;

#[test]
fn the_page_has_four_formats_and_two_questions() {
    let (a, b) = (Backend::new("a"), Backend::new("b"));
    b.set(500);
    let check = format!("check interval=50 rise=1 fall=1 timeout=2000 default_down=false type=http; {PROBE}");
    let daemon = Daemon::start(&conf(&[("u", upstream(&[&a.addr(), &b.addr()], &check))]));
    turns(&daemon, &b.addr(), false);
    let page = |query: &str| {
        let answer = get(daemon.port(8080), &format!("/status{query}"));
        (answer.header("Content-Type").unwrap_or_default(), answer.text())
    };
    let (kind, html) = page("?format=html");
    assert_eq!(kind, "text/html");
    assert!(html.contains("<h2>Check upstream server number: 2, generation: 1</h2>"), "{html}");
    let (kind, json) = page("?format=json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&kind[..], &json["servers"]["down"]), ("application/json", &1.into()));
    let (kind, text) = page("?format=prometheus");
    assert!(kind == "text/plain" && text.contains("nginx_upstream_count_up 1\n"), "{text}");
    for (query, only) in [("?status=down", &b), ("?format=csv&status=up", &a), ("?STATUS=DOWN&x", &b)] {
        let (kind, csv) = page(query);
        assert_eq!((&kind[..], csv.lines().count()), ("text/plain", 1), "{query}");
        assert!(csv.contains(&only.addr()), "{query}: {csv}");
    }
    assert_eq!(page("?format=xml&status=lost").1.lines().count(), 2);
    daemon.logged("error.log", "http upstream check, bad argument: \"xml\"");
    let refused = crate::support::client::raw(
        daemon.port(8080),
        "POST /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(refused.starts_with(b"HTTP/1.1 405 "));
}

/// The Tengine to compare with.
fn tengine() -> Option<Program> {
    std::env::var_os("TENREC_TENGINE").map(|path| Program::Nginx(path.into()))
}

#[test]
fn wrong_lines_are_told_in_tengines_words() {
    let Some(tengine) = tengine() else {
        return crate::support::skipped(
            "wrong_lines_are_told_in_tengines_words",
            "TENREC_TENGINE names no program",
        );
    };
    let upstream =
        |lines: &str| format!("events {{}}\nhttp {{\nupstream u {{ server 127.0.0.1:1;\n{lines}\n}}\n}}\n");
    let http = |lines: &str| format!("events {{}}\nhttp {{\n{lines}\n}}\n");
    let confs = [
        "check;",
        "check interval=3000 rise=2 fall=5 timeout=1000 default_down=TRUE type=http unique=false;",
        "check type=http rise=0;",
        "check type=HTTP;",
        "check interval=3s;",
        "check interval=99999999999999999999;",
        "check port=x;",
        "check default_down=no;",
        "check unique=maybe;",
        "check fall;",
        "check \"\";",
        "check rise=2 bogus=1;",
        "check; check type=http;",
        "check type=mysql; check_http_send \"x\";",
        "check type=fastcgi; check_http_send x;",
        "check type=tcp; check_http_send \"\";",
        "check_http_send \"x\"; check type=http;",
        "check_http_expect_alive http_2xx http_2xx;",
        "check_http_expect_alive;",
        "check_keepalive_requests 0;",
        "check_keepalive_requests 1 2;",
        "check_fastcgi_param A;",
        "check port=5; server unix:/tmp/x.sock;",
    ]
    .map(upstream)
    .into_iter()
    .chain(
        [
            "check_shm_size x;",
            "check_shm_size 1M; check_shm_size 2M;",
            "check_shm_size 1g;",
            "check interval=1;",
            "server { check_status xml; }",
            "server { location / { check_status JSON; } }",
            "server { location / { check_status json html; } }",
            "server { location / { if ($uri) { check_status; } } }",
            "server { check_status json; location / { check_status; check_status csv; } }",
        ]
        .map(http),
    );
    let said = |program: &Program, conf: &str| {
        let out = once(program, conf, &["-t", "-e", "stderr"]);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        let word = |l: &str| {
            let (level, at) = ["[emerg]", "[warn]"].iter().find_map(|w| Some((w, l.find(w)?)))?;
            let (text, place) = l[at..].rsplit_once(" in ")?;
            // Both name their process.
            let text = text.split_once("#").and_then(|(_, t)| t.split_once(": ")).map_or(text, |(_, t)| t);
            Some(format!("{level} {text} {}", place.rsplit(':').next()?))
        };
        (out.status.success(), text.lines().filter_map(word).collect::<Vec<_>>())
    };
    for conf in confs {
        assert_eq!(said(&Program::Tenrec, &conf), said(&tengine, &conf), "{conf}");
    }
}

/// A page without what two programs that are asked at different times cannot agree on.
fn settled(answer: &Response) -> String {
    let digits = |text: &str| {
        let mut out = String::new();
        let mut number = false;
        for c in text.chars() {
            if !(c.is_ascii_digit() && number) {
                out.push(if c.is_ascii_digit() { '#' } else { c });
            }
            number = c.is_ascii_digit();
        }
        out
    };
    let head: Vec<String> = answer
        .head
        .lines()
        .filter(|l| !l.starts_with("Date:") && !l.starts_with("Server:"))
        .map(|l| if l.starts_with("Content-Length:") { digits(l) } else { l.to_owned() })
        .collect();
    // Zero is a count that both know.
    let body: Vec<String> = answer.text().lines().map(|l| digits(&l.replace(",0,", ",zero,"))).collect();
    format!("{}\n\n{}", head.join("\n"), body.join("\n"))
}

#[test]
fn pages_are_tengines_byte_for_byte() {
    let Some(tengine) = tengine() else {
        return crate::support::skipped(
            "pages_are_tengines_byte_for_byte",
            "TENREC_TENGINE names no program",
        );
    };
    let (a, b) = (Backend::new("a"), Backend::new("b"));
    b.set(500);
    let check = format!("check interval=60 rise=1 fall=1 timeout=2000 type=http; {PROBE}");
    let servers = [&*a.addr(), &*format!("{} backup", b.addr()), &*format!("{} down", b.addr())];
    let blocks = [
        ("u", upstream(&servers, &check)),
        (
            "v",
            upstream(
                &[&a.addr()],
                &format!("check interval=60 rise=1 fall=1 type=tcp port={};", b.origin.port()),
            ),
        ),
        ("w", upstream(&[&a.addr()], "check interval=60 rise=1 fall=1 type=ajp;")),
    ];
    let text = conf(&blocks).replace("check_status csv", "check_status");
    let peers = [Daemon::start(&text), Daemon::run(tengine, &text, &[])];
    for daemon in &peers {
        eventually("every peer was asked", || {
            let json = get(daemon.port(8080), "/status?format=json").text();
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let servers = json["servers"]["server"].as_array().unwrap();
            let asked = |s: &serde_json::Value| s["rise"].as_u64() > Some(0) || s["fall"].as_u64() > Some(0);
            servers.iter().all(asked).then_some(())
        });
    }
    for query in [
        "",
        "?format=html",
        "?format=csv",
        "?format=json",
        "?format=prometheus",
        "?format=x",
        "?status=up",
        "?status=down&format=csv",
        "?format=json&status=up",
        "?status=x",
        "?a=b&FORMAT=csv",
    ] {
        let [ours, theirs] =
            peers.each_ref().map(|d| settled(&get(d.port(8080), &format!("/status{query}"))));
        assert_eq!(ours, theirs, "{query}");
    }
    let [ours, theirs] = peers.each_ref().map(|d| {
        let mut client = crate::support::client::Client::connect(d.port(8080));
        settled(&client.send("HEAD /status HTTP/1.1\r\nHost: x\r\n\r\n").response_to_head())
    });
    assert_eq!(ours, theirs, "HEAD");
}
