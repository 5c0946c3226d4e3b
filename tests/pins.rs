//! Ours on sessions, as clients and backends see it: signed pins, attributes, pins of other products, and when a cookie
//! is sent.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::support::client::{Client, Response, get, get_with};
use crate::support::daemon::{Daemon, Program};
use crate::support::haproxy::Haproxy;
use crate::support::origin::Origin;
use crate::support::{eventually, skipped};

const K1: &[u8] = b"the first key of all";
const K2: &[u8] = b"another key, a newer one\n";

/// Lines of `http` and of the upstream, in which `%A%` and `%B%` are the backends.
fn conf(origins: [&Origin; 2], http: &str, upstream: &str) -> String {
    let upstream = upstream.replace("%A%", &origins[0].addr()).replace("%B%", &origins[1].addr());
    format!(
        "pid tenrec.pid; error_log error.log info;\nevents {{ }}\nhttp {{\n{http}\n\
         log_format s '$status $sticky_status \"$sticky_peer\"';\naccess_log access.log s;\n\
         upstream u {{\n{upstream}\n}}\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://u; }} }}\n}}\n"
    )
}

fn front(origins: [&Origin; 2], http: &str, upstream: &str) -> Daemon {
    let files: &[(&str, &[u8])] = &[("k1", K1), ("k2", K2)];
    Daemon::run(Program::Tenrec, &conf(origins, http, upstream), files)
}

const SERVERS: &str = "server %A%; server %B%;";

fn two() -> (Origin, Origin) {
    (Origin::says("a"), Origin::says("b"))
}

fn with(daemon: &Daemon, cookie: &str) -> Response {
    get_with(daemon.port(8080), "/", &format!("Cookie: {cookie}\r\n"))
}

/// What the last requests were logged as.
fn logged(daemon: &Daemon, needle: &str) {
    daemon.logged("access.log", needle);
}

fn md5(text: &str) -> String {
    use md5::Digest;
    md5::Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A pin of the upstream `u`, made by another hand than the program's: see the table in `values/seal.rs`.
fn pin(key: &[u8], sid: &str, last: i64, first: i64) -> String {
    use base64::Engine as _;
    let sum = |parts: &[&[u8]]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        parts.iter().for_each(|p| mac.update(p));
        mac.finalize().into_bytes()
    };
    let mut bytes = vec![1];
    bytes.extend_from_slice(&sum(&[b"tenrec peer\0\0\0\0\x01u", sid.as_bytes()])[..8]);
    bytes.extend_from_slice(&u32::try_from(last).unwrap().to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(first).unwrap().to_be_bytes());
    let mac = sum(&[b"tenrec pin\0\0\0\0\x01u", &bytes]);
    bytes.extend_from_slice(&mac[..16]);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn reload(daemon: &mut Daemon, conf: &str) {
    daemon.rewrite(conf);
    let before = daemon.file("error.log").matches("start worker process ").count();
    daemon.signal("HUP");
    eventually("the new worker", || {
        (daemon.file("error.log").matches("start worker process ").count() > before).then_some(())
    });
    eventually("the old worker's end", || {
        daemon.file("error.log").contains("exited with code 0").then_some(())
    });
}

#[test]
fn signed_pins_are_those_of_the_table_and_keep_their_peer() {
    let (a, b) = two();
    for sticky in
        ["session_sticky", "sticky cookie route", "sticky_cookie_insert route", "sticky name=route text=md5"]
    {
        let daemon = front([&a, &b], "session_sticky_key k1;", &format!("{SERVERS} {sticky};"));
        for (origin, name) in [(&a, "a"), (&b, "b")] {
            let good = pin(K1, &md5(&origin.addr()), now() - 5, now() - 50);
            for _ in 0..3 {
                assert_eq!(with(&daemon, &format!("route={good}")).text(), name, "{sticky}");
            }
            logged(&daemon, &format!("200 hit \"{}\"", origin.addr()));
        }
        let set = get(daemon.port(8080), "/").cookie("route").unwrap();
        let text = with(&daemon, &set).text();
        for _ in 0..3 {
            assert_eq!(with(&daemon, &set).text(), text, "{sticky}");
        }
        logged(&daemon, "200 new ");
    }
}

#[test]
fn a_forged_or_foreign_pin_is_new_and_replaced_also_without_fallback() {
    let (a, b) = two();
    let daemon =
        front([&a, &b], "session_sticky_key k1;", &format!("{SERVERS} session_sticky fallback=off;"));
    let sid = md5(&b.addr());
    let good = pin(K1, &sid, now(), now());
    let mut other = good.clone();
    other.replace_range(20..21, if &good[20..21] == "A" { "B" } else { "A" });
    for (value, status) in [
        (pin(K2, &sid, now(), now()), "forged"),
        (other, "forged"),
        (sid.clone(), "unknown"),
        (pin(K1, &md5("10.1.1.1:80"), now(), now()), ""),
    ] {
        let texts: Vec<Response> = (0..2).map(|_| with(&daemon, &format!("route={value}"))).collect();
        if status.is_empty() {
            // A genuine pin of a server that is no more: this is what `fallback=off` speaks of.
            assert!(texts.iter().all(|r| r.status == 502), "{value}");
            logged(&daemon, "502 unknown \"-\"");
            continue;
        }
        assert_ne!(texts[0].text(), texts[1].text(), "{status}: balanced");
        for answer in texts {
            let new = answer.cookie("route").expect("it is replaced");
            assert_eq!(with(&daemon, &new).text(), answer.text());
        }
        logged(&daemon, &format!("200 {status} "));
    }
}

#[test]
fn keys_are_rotated_by_reloads_without_losing_a_session() {
    let (a, b) = two();
    let lines = |keys: &str| conf([&a, &b], keys, &format!("{SERVERS} session_sticky;"));
    let files: &[(&str, &[u8])] = &[("k1", K1), ("k2", K2)];
    let mut daemon = Daemon::run(Program::Tenrec, &lines("session_sticky_key k1;"), files);
    let first = get(daemon.port(8080), "/");
    let old = first.cookie("route").unwrap();
    reload(&mut daemon, &lines("session_sticky_key k2; session_sticky_key k1;"));
    let answer = with(&daemon, &old);
    assert_eq!(answer.text(), first.text());
    let new = answer.cookie("route").expect("signed anew with the key that signs now");
    assert_ne!(new, old);
    let sid = md5(&if first.text() == "a" { a.addr() } else { b.addr() });
    let mine = pin(&K2[..K2.len() - 1], &sid, now(), now());
    assert_eq!(new["route=".len()..][..12], mine[..12], "the line's end is no part of a key");
    assert_eq!(with(&daemon, &new).header("Set-Cookie"), None, "nothing to be done any more");
    daemon.rewrite(&lines("session_sticky_key k2;"));
    daemon.signal("HUP");
    eventually("the old key to be forgotten", || {
        with(&daemon, &old).cookie("route").filter(|_| daemon.file("access.log").contains("200 forged"))
    });
    assert_eq!(with(&daemon, &new).text(), first.text());
}

#[test]
fn a_key_that_was_made_up_outlives_a_reload_and_says_that_a_restart_ends_it() {
    let (a, b) = two();
    let text = conf([&a, &b], "", &format!("{SERVERS} sticky cookie route signed send=due;"));
    let mut daemon = Daemon::start(&text);
    assert!(
        daemon.stderr().contains("signed with a key made up at start")
            || daemon.file("error.log").contains("made up")
    );
    let first = get(daemon.port(8080), "/");
    let cookie = first.cookie("route").unwrap();
    reload(&mut daemon, &text);
    for _ in 0..4 {
        let again = with(&daemon, &cookie);
        assert_eq!((again.text(), again.header("Set-Cookie")), (first.text(), None));
    }
    let other = Daemon::start(&text);
    with(&other, &cookie);
    logged(&other, "200 forged ");
}

#[test]
fn limits_hold_in_every_dialect_and_cannot_be_extended() {
    let (a, b) = two();
    for sticky in [
        "session_sticky maxidle=60 maxlife=600 signed",
        "sticky cookie route maxidle=60 maxlife=10m",
        "sticky name=route text=md5 maxidle=60 maxlife=600",
        "session_sticky mode=rewrite maxidle=60 maxlife=600",
    ] {
        let daemon = front([&a, &b], "session_sticky_key k1;", &format!("{SERVERS} {sticky};"));
        let sid = md5(&b.addr());
        let ask = |last: i64, first: i64| {
            with(&daemon, &format!("route={}", pin(K1, &sid, now() - last, now() - first)))
        };
        assert_eq!(ask(30, 500).text(), "b", "{sticky}");
        for (last, first) in [(70, 100), (5, 700)] {
            let both = [ask(last, first).text(), ask(last, first).text()];
            assert!(both.contains(&"a".to_owned()), "{sticky}: {both:?} after {last} and {first}");
        }
        logged(&daemon, "200 expired ");
    }
    // Unsigned it has Tengine's dates, with nginx's cookie as well.
    let daemon = front([&a, &b], "", &format!("{SERVERS} sticky cookie route maxidle=60;"));
    let set = get(daemon.port(8080), "/").cookie("route").unwrap();
    assert_eq!(set.split('|').count(), 3, "{set}");
    with(&daemon, &format!("route={}|{}|{}", md5(&b.addr()), now() - 70, now() - 100));
    logged(&daemon, "200 expired ");
}

#[test]
fn attributes_follow_the_client_s_scheme_as_a_trusted_proxy_tells_it() {
    let (a, b) = two();
    for (sticky, plain, tls) in [
        (
            "session_sticky secure=auto samesite=auto httponly",
            "; Path=/; HttpOnly; SameSite=Lax",
            "; Path=/; HttpOnly; Secure; SameSite=None",
        ),
        (
            "sticky cookie route secure=auto samesite=auto httponly",
            "; httponly; samesite=lax",
            "; httponly; secure; samesite=none",
        ),
        (
            "sticky name=route secure=auto samesite=auto",
            "; Path=/; SameSite=Lax",
            "; Path=/; Secure; SameSite=None",
        ),
        (
            "session_sticky secure samesite=strict",
            "; Path=/; Secure; SameSite=Strict",
            "; Path=/; Secure; SameSite=Strict",
        ),
    ] {
        let attributes = |daemon: &Daemon, fields: &str| {
            let set = get_with(daemon.port(8080), "/", fields).header("Set-Cookie").unwrap();
            set[set.find(';').unwrap()..].to_owned()
        };
        let daemon = front([&a, &b], "set_real_ip_from 127.0.0.1;", &format!("{SERVERS} {sticky};"));
        assert_eq!(attributes(&daemon, ""), plain, "{sticky}");
        assert_eq!(attributes(&daemon, "X-Forwarded-Proto: https\r\n"), tls);
        assert_eq!(attributes(&daemon, "X-Forwarded-Proto: http, HTTPS\r\nX-Real-IP: 10.0.0.1\r\n"), tls);
        assert_eq!(
            attributes(&daemon, "X-Forwarded-Proto: https, http\r\n"),
            plain,
            "the last is the proxy's own"
        );
        let daemon = front([&a, &b], "set_real_ip_from 10.0.0.0/8;", &format!("{SERVERS} {sticky};"));
        assert_eq!(attributes(&daemon, "X-Forwarded-Proto: https\r\n"), plain, "anybody can say so");
    }
}

/// A backend that answers with a status and these fields, each with its line's end.
fn answering(status: u16, fields: &str) -> Origin {
    Origin::sends(format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: 1\r\n\r\nx"), true)
}

#[test]
fn the_cookie_comes_when_it_is_new_changed_or_due() {
    let b = Origin::says("b");
    for (status, sticky, sent) in [
        (404, "session_sticky", false),
        (404, "session_sticky always", true),
        (500, "session_sticky always", true),
        (401, "sticky cookie route send=due", true),
        (304, "session_sticky always", true),
    ] {
        let a = answering(status, "");
        let daemon = front([&a, &b], "", &format!("server %A%; {sticky};"));
        assert_eq!(get(daemon.port(8080), "/").header("Set-Cookie").is_some(), sent, "{status} {sticky}");
    }
    let (a, b) = two();
    let daemon = front([&a, &b], "", &format!("{SERVERS} sticky cookie route;"));
    let usual = with(&daemon, &format!("route={}", md5(&a.addr())));
    assert!(usual.header("Set-Cookie").is_some(), "nginx sends it every time");
    let daemon = front([&a, &b], "", &format!("{SERVERS} sticky cookie route send=due maxidle=80s;"));
    let dated =
        |last: i64| with(&daemon, &format!("route={}|{}|{}", md5(&a.addr()), now() - last, now() - 500));
    assert_eq!(dated(2).header("Set-Cookie"), None);
    assert!(dated(20).header("Set-Cookie").is_some(), "an eighth of maxidle is over");
    assert_eq!(dated(85).text(), "a", "it is good for an eighth longer");
    let daemon = front([&a, &b], "", "server 127.0.0.1:1; sticky cookie route send=due;");
    let answer = get(daemon.port(8080), "/");
    assert_eq!((answer.status, answer.header("Set-Cookie")), (502, None), "no backend gave it");
}

#[test]
fn postonly_gives_it_to_post_alone() {
    let (a, b) = two();
    for sticky in ["session_sticky postonly", "sticky cookie route postonly"] {
        let daemon = front([&a, &b], "", &format!("{SERVERS} {sticky};"));
        assert_eq!(get(daemon.port(8080), "/").header("Set-Cookie"), None);
        let mut client = Client::connect(daemon.port(8080));
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        assert!(client.response().cookie("route").is_some(), "{sticky}");
    }
}

#[test]
fn preserve_leaves_the_application_s_own_cookie_and_the_pin_ends() {
    let (a, b) =
        (answering(200, "Set-Cookie: route=; Max-Age=0\r\n"), answering(200, "Set-Cookie: xroute=1\r\n"));
    for sticky in
        ["session_sticky preserve", "session_sticky preserve option=indirect", "sticky cookie route preserve"]
    {
        let daemon = front([&a, &b], "", &format!("{SERVERS} {sticky};"));
        for _ in 0..4 {
            let answer = get(daemon.port(8080), "/");
            let set: Vec<&str> = answer.all("Set-Cookie").collect();
            match set[..] {
                ["route=; Max-Age=0"] => {}
                [one, two] => assert!([one, two].contains(&"xroute=1"), "{set:?}"),
                _ => panic!("{sticky}: {set:?}"),
            }
        }
    }
}

#[test]
fn nocache_makes_answers_with_the_cookie_private_as_haproxy_does() {
    let fields = [
        ("", true),
        ("Cache-Control: max-age=60\r\n", true),
        ("Cache-Control: public, s-maxage=9\r\n", true),
        ("Cache-Control: private\r\n", false),
        ("Cache-Control: no-store\r\n", false),
        ("Cache-Control: max-age=1, private\r\n", false),
    ];
    let mut compared = 0;
    for (field, added) in fields {
        let a = answering(200, field);
        let controls = |answer: &Response| answer.all("Cache-Control").map(str::to_owned).collect::<Vec<_>>();
        for sticky in ["session_sticky nocache", "sticky cookie route nocache"] {
            let daemon = front([&a, &a], "", &format!("server %A%; {sticky};"));
            let own = field.trim_end().strip_prefix("Cache-Control: ").map(str::to_owned);
            let expect: Vec<String> = own.into_iter().chain(added.then(|| "private".to_owned())).collect();
            assert_eq!(controls(&get(daemon.port(8080), "/")), expect, "{sticky} {field:?}");
            if sticky.starts_with("session") {
                let pinned = with(&daemon, &format!("route={}", md5(&a.addr())));
                assert!(!controls(&pinned).contains(&"private".to_owned()) || !added, "it carries none");
            }
        }
        let haproxy = format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
             frontend f\n bind 127.0.0.1:%%PORT%%\n default_backend b\n\
             backend b\n cookie route insert nocache\n server s {} cookie s\n",
            a.addr()
        );
        if let Some(haproxy) = Haproxy::start(&haproxy) {
            compared += 1;
            let theirs = controls(&get(haproxy.port(), "/")).contains(&"private".to_owned());
            // It does so where the answer says how long it may be kept; a cache may guess where it does not.
            let explicit = field.contains("max-age") || field.contains("s-maxage");
            assert_eq!(
                theirs,
                added && explicit || field.trim_end() == "Cache-Control: private",
                "{field:?}"
            );
        }
    }
    // `expires` takes a backend's Cache-Control away, not ours.
    let a = answering(200, "");
    let daemon = front([&a, &a], "expires 1h;", "server %A%; session_sticky nocache;");
    let answer = get(daemon.port(8080), "/");
    assert!(answer.all("Cache-Control").any(|v| v == "private"), "{}", answer.head);
    if compared == 0 {
        skipped(
            "nocache_makes_answers_with_the_cookie_private_as_haproxy_does",
            "no haproxy to compare with",
        );
    }
}
