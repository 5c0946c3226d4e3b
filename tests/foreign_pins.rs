//! Pins of other products and of servers that moved, what `$sticky_status` says, and `tenrec sticky`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use crate::support::client::{Client, Response, get, get_with};
use crate::support::daemon::{Daemon, Program, once};
use crate::support::haproxy::Haproxy;
use crate::support::origin::Origin;
use crate::support::{eventually, skipped};

const KEY: &[u8] = b"a key that signs pins";

fn conf(servers: &str, lines: &str, http: &str) -> String {
    format!(
        "pid tenrec.pid; error_log error.log info;\nevents {{ }}\nhttp {{\n{http}\n\
         log_format s '$status $sticky_status \"$sticky_peer\"';\naccess_log access.log s;\n\
         upstream u {{\n{servers}\n{lines}\n}}\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://u; }} }}\n}}\n"
    )
}

fn front(servers: &str, lines: &str, http: &str) -> Daemon {
    Daemon::run(Program::Tenrec, &conf(servers, lines, http), &[("key", KEY)])
}

fn with(daemon: &Daemon, cookie: &str) -> Response {
    get_with(daemon.port(8080), "/", &format!("Cookie: {cookie}\r\n"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn md5(text: &[u8]) -> String {
    use md5::Digest;
    hex(&md5::Md5::digest(text))
}

/// `struct sockaddr_in` of 127.0.0.1.
fn sockaddr(port: u16) -> Vec<u8> {
    [&[2, 0][..], &port.to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat()
}

#[test]
fn pins_of_every_product_are_honoured_and_given_anew_in_ours() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let servers = format!("server {} id=s1; server {} id=s2;", a.addr(), b.addr());
    let (port, b_addr) = (b.port(), b.addr());
    let hmac = {
        use hmac::Mac as _;
        let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(b"hush").unwrap();
        mac.update(&sockaddr(port));
        hex(&mac.finalize().into_bytes())
    };
    let f5 = format!("{}.{}.0000", u32::from_le_bytes([127, 0, 0, 1]), port.swap_bytes());
    for sticky in ["session_sticky", "sticky cookie route"] {
        for (accept, cookie) in [
            ("tengine", format!("route={}", md5(b_addr.as_bytes()))),
            ("tengine", format!("route={}~theirs", md5(b_addr.as_bytes()))),
            ("tengine", format!("route={}|1795252184|1795252184", md5(b_addr.as_bytes()))),
            ("tengine hash=plain", "route=s2".to_owned()),
            ("nginx cookie=srv", format!("srv={}", md5(b_addr.as_bytes()))),
            ("sticky-ng", format!("route={}", md5(&sockaddr(port)))),
            ("sticky-ng hash=index", "route=1".to_owned()),
            ("sticky-ng hmac=sha1 hmac_key=hush name=ng", format!("ng={hmac}")),
            ("sticky-ng text=raw", format!("route={b_addr}")),
            ("sticky-ng hash=md5 hash_of=server", format!("route={}", md5(b_addr.as_bytes()))),
            ("haproxy cookie=SRV", "SRV=s2".to_owned()),
            ("haproxy cookie=SRV", "x=1; SRV=s2|awFf2|awFf2".to_owned()),
            ("haproxy cookie=SRV", "SRV=s2~application".to_owned()),
            ("f5 pool=web", format!("BIGipServerweb={f5}")),
            ("f5", format!("BIGipServeru={f5}")),
            ("serverid", "SERVERID=s2|1795252184|1795252100".to_owned()),
        ] {
            let lines = format!("{sticky}; session_sticky_key key; sticky_accept {accept};");
            let daemon = front(&servers, &lines, "");
            let answers: Vec<Response> = (0..3).map(|_| with(&daemon, &cookie)).collect();
            assert!(answers.iter().all(|r| r.text() == "b"), "{sticky}, {accept}: {cookie}");
            let own = answers[0].cookie("route").unwrap_or_else(|| panic!("{accept}: given anew"));
            assert_eq!(own.len(), "route=".len() + 44, "{own}");
            assert_eq!(with(&daemon, &own).text(), "b");
            daemon.logged("access.log", &format!("200 hit \"{b_addr}\""));
            // What is not accepted means nobody.
            let deaf = front(&servers, &format!("{sticky}; session_sticky_key key;"), "");
            let both: Vec<String> = (0..2).map(|_| with(&deaf, &cookie).text()).collect();
            assert_ne!(both[0], both[1], "{cookie} without {accept}");
        }
    }
}

#[test]
fn a_cookie_that_haproxy_gave_goes_on_here() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let theirs = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         frontend f\n bind 127.0.0.1:%%PORT%%\n default_backend b\n\
         backend b\n cookie SRV insert maxidle 60m maxlife 8h\n server one {} cookie s1\n server two {} cookie s2\n",
        a.addr(),
        b.addr()
    );
    let Some(haproxy) = Haproxy::start(&theirs) else {
        return skipped("a_cookie_that_haproxy_gave_goes_on_here", "no haproxy");
    };
    let servers = format!("server {} id=s1; server {} id=s2;", a.addr(), b.addr());
    let daemon = front(
        &servers,
        "session_sticky cookie=SRV maxidle=3600 maxlife=28800; session_sticky_key key; sticky_accept haproxy;",
        "",
    );
    for _ in 0..4 {
        let answer = get(haproxy.port(), "/");
        let cookie = answer.cookie("SRV").unwrap();
        assert_eq!(with(&daemon, &cookie).text(), answer.text(), "{cookie}");
    }
    // Their own rule of dates holds for them: these are from 1970.
    let both: Vec<String> = (0..2).map(|_| with(&daemon, "SRV=s2|AAAAA|AAAAA").text()).collect();
    assert_ne!(both[0], both[1]);
    daemon.logged("access.log", "200 expired ");
}

#[test]
fn sessions_of_a_server_that_moved_go_to_where_it_is_now() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let servers = format!("server {}; server {};", a.addr(), b.addr());
    for (sticky, cookie) in [
        ("session_sticky", format!("route={}", md5(b"10.9.9.9:80"))),
        ("session_sticky maxidle=60", format!("route={}", md5(b"10.9.9.9:80"))),
        ("session_sticky hash=plain", "route=10.9.9.9:80".to_owned()),
        ("session_sticky mode=prefix", format!("route={}~app", md5(b"10.9.9.9:80"))),
        ("sticky cookie route", format!("route={}", md5(b"10.9.9.9:80"))),
        ("sticky route $cookie_route", format!("route={}", md5(b"10.9.9.9:80"))),
    ] {
        let lines = format!("{sticky}; sticky_alias 10.9.9.9:80={};", b.addr());
        let daemon = front(&servers, &lines, "");
        let answers: Vec<Response> = (0..3).map(|_| with(&daemon, &cookie)).collect();
        assert!(answers.iter().all(|r| r.text() == "b"), "{sticky}");
        if sticky.starts_with("session_sticky") && !sticky.contains("prefix") {
            assert!(answers[0].cookie("route").is_some(), "{sticky}: given anew");
        }
    }
    // A signed pin from before the move.
    let before = front("server 127.0.0.9:9;", "session_sticky signed always;", "session_sticky_key key;");
    drop(before);
    let file = conf("server 127.0.0.9:9;", "session_sticky;", "session_sticky_key key;");
    let dir = crate::support::daemon::prefix(&[
        ("nginx.conf", file.replace("%%8080%%", "8080").as_bytes()),
        ("key", KEY),
    ]);
    let said = tenrec(&[
        "sticky",
        "encode",
        "-p",
        dir.path().to_str().unwrap(),
        "-c",
        "nginx.conf",
        "u",
        "127.0.0.9:9",
    ]);
    let cookie = String::from_utf8(said.stdout).unwrap();
    let lines = format!("session_sticky; session_sticky_key key; sticky_alias 127.0.0.9:9={};", b.addr());
    let daemon = front(&servers, &lines, "");
    let answers: Vec<Response> = (0..3).map(|_| with(&daemon, cookie.trim_end())).collect();
    assert!(answers.iter().all(|r| r.text() == "b" && r.cookie("route").is_some()), "{cookie}");
}

#[test]
fn every_status_is_told() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let pin = |addr: &str| format!("route={}", md5(addr.as_bytes()));
    let bypass = "session_sticky; sticky_bypass $arg_nopin;";
    let daemon = front(&format!("server {}; server {} drain;", a.addr(), b.addr()), bypass, "");
    get(daemon.port(8080), "/");
    daemon.logged("access.log", &format!("200 new \"{}\"", a.addr()));
    with(&daemon, &pin(&a.addr()));
    daemon.logged("access.log", &format!("200 hit \"{}\"", a.addr()));
    assert_eq!(with(&daemon, &pin(&b.addr())).text(), "b");
    daemon.logged("access.log", &format!("200 draining \"{}\"", b.addr()));
    let skipped = get_with(daemon.port(8080), "/?nopin=1", &format!("Cookie: {}\r\n", pin(&b.addr())));
    assert_eq!((skipped.text().as_str(), skipped.header("Set-Cookie")), ("a", None));
    daemon.logged("access.log", &format!("200 bypassed \"{}\"", a.addr()));

    let daemon = front(&format!("server {}; server {} down;", a.addr(), b.addr()), "session_sticky;", "");
    assert_eq!(with(&daemon, &pin(&b.addr())).text(), "a");
    daemon.logged("access.log", &format!("200 moved_down \"{}\"", a.addr()));
    let strict =
        front(&format!("server {}; server {} down;", a.addr(), b.addr()), "session_sticky fallback=off;", "");
    assert_eq!(with(&strict, &pin(&b.addr())).status, 502);
    strict.logged("access.log", "502 moved_down \"-\"");

    // One request holds the only connection that its peer may have.
    let slow = Origin::new(|asked, out| {
        use std::io::Write as _;
        if asked.path() == "/slow" {
            eventually("the end of the test's other half", || {
                std::fs::metadata(asked.header("X-Until")?).ok()
            });
        }
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns").is_ok()
    });
    let dir = tempfile::tempdir().unwrap();
    let until = dir.path().join("until");
    let servers = format!("server {} max_conns=1; server {};", slow.addr(), a.addr());
    let daemon = front(&servers, "session_sticky;", "");
    let mut client = Client::connect(daemon.port(8080));
    client.send(format!(
        "GET /slow HTTP/1.1\r\nHost: h\r\nX-Until: {}\r\nCookie: {}\r\n\r\n",
        until.display(),
        pin(&slow.addr())
    ));
    eventually("the slow request", || (!slow.seen().is_empty()).then_some(()));
    assert_eq!(with(&daemon, &pin(&slow.addr())).text(), "a");
    daemon.logged("access.log", &format!("200 moved_full \"{}\"", a.addr()));
    std::fs::write(&until, "").unwrap();
    client.response();
}

#[test]
fn first_requests_of_a_young_connection_go_to_one_server() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let servers = format!("server {}; server {};", a.addr(), b.addr());
    let texts = |daemon: &Daemon| {
        let mut client = Client::connect(daemon.port(8080));
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(6));
        let texts: Vec<String> = (0..6).map(|_| client.response().text()).collect();
        texts
    };
    let same = |texts: &[String]| texts.iter().all(|t| *t == texts[0]);
    for sticky in
        ["session_sticky", "session_sticky fallback=off", "sticky cookie route", "sticky name=route"]
    {
        let daemon = front(&servers, &format!("{sticky}; sticky_parallel 1h;"), "");
        assert!(same(&texts(&daemon)), "{sticky}");
        let others: Vec<String> = (0..2).map(|_| get(daemon.port(8080), "/").text()).collect();
        assert!(!same(&others), "another connection is another client");
    }
    let off = front(&servers, "session_sticky;", "");
    assert!(!same(&texts(&off)), "off unless asked for");
    let proxied = front(&servers, "session_sticky; sticky_parallel 1h;", "set_real_ip_from 127.0.0.0/8;");
    assert!(!same(&texts(&proxied)), "a trusted proxy's connection is many clients'");
}

#[test]
fn a_key_that_is_no_key_is_said_in_its_line() {
    let test = |lines: &str| {
        let file = conf("server 127.0.0.1:1;", lines, "").replace("%%8080%%", "127.0.0.1:0");
        let said = once(&Program::Tenrec, &file.replace("127.0.0.1:127.0.0.1:0", "unix:s"), &["-t"]);
        (said.status.success(), String::from_utf8_lossy(&said.stderr).into_owned())
    };
    let (good, said) = test("session_sticky; session_sticky_key missing;");
    assert!(!good && said.contains("missing\" failed (2: No such file or directory) in "), "{said}");
    let (good, said) = test("session_sticky; session_sticky_key /dev/null;");
    assert!(!good && said.contains("\"/dev/null\" is not a file in "), "{said}");
    let dir = crate::support::daemon::prefix(&[
        ("short", b"0123456789abcde\n"),
        ("open", KEY),
        ("long", &[b'x'; 4097]),
    ]);
    let path = |name: &str| dir.path().join(name).display().to_string();
    for name in ["short", "long"] {
        let (good, said) = test(&format!("session_sticky; session_sticky_key {};", path(name)));
        assert!(!good && said.contains("must be 16 to 4096 bytes in "), "{said}");
    }
    std::fs::set_permissions(path("open"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (good, said) = test(&format!("session_sticky; session_sticky_key {};", path("open")));
    assert!(good && said.contains("[warn]") && said.contains("can be read by everybody"), "{said}");
    std::fs::set_permissions(path("open"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let (good, said) = test(&format!("session_sticky; session_sticky_key {};", path("open")));
    assert!(good && !said.contains("[warn]"), "{said}");
    let (good, said) = test("session_sticky; sticky_alias a=b;");
    assert!(!good && said.contains("no server \"b\" in upstream \"u\" in "), "{said}");
}

fn tenrec(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tenrec")).args(args).output().unwrap()
}

#[test]
fn the_command_writes_reads_and_names_without_showing_a_key() {
    let servers = "server 127.0.0.1:8001; server 127.0.0.1:8002;";
    let file = conf(servers, "session_sticky; session_sticky_key key; sticky_accept f5;", "");
    let dir = crate::support::daemon::prefix(&[
        ("nginx.conf", file.replace("%%8080%%", "8080").as_bytes()),
        ("key", KEY),
    ]);
    let prefix = dir.path().to_str().unwrap();
    let run = |args: &[&str]| {
        let said = tenrec(&[&["sticky"], args, &["-p", prefix, "-c", "nginx.conf"]].concat());
        (
            said.status.code(),
            String::from_utf8(said.stdout).unwrap(),
            String::from_utf8_lossy(&said.stderr).into_owned(),
        )
    };
    let (code, cookie, _) =
        run(&["encode", "u", "127.0.0.1:8002", "--last=1795252184", "--first=1795252000"]);
    assert_eq!(code, Some(0));
    let (code, said, _) = run(&["decode", cookie.trim_end()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("hit, 127.0.0.1:8002") && said.contains("2026-11-21T09:09:44"), "{said}");
    let (code, json, _) = run(&["decode", "--json", cookie.trim_end()]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &json[0]["peer"], &json[0]["signed"]),
        (Some(0), &"127.0.0.1:8002".into(), &true.into())
    );
    let (_, prints, _) = run(&["fingerprint"]);
    let key_file = dir.path().join("key");
    let of_file = tenrec(&["sticky", "fingerprint", key_file.to_str().unwrap()]);
    let of_file = String::from_utf8(of_file.stdout).unwrap();
    assert_eq!(prints[..16], of_file[..16]);
    assert_eq!(json[0]["key"], prints[..16]);
    let mut forged = cookie.trim_end().to_owned();
    forged.replace_range(12..13, if &forged[12..13] == "x" { "y" } else { "x" });
    let (code, said, _) = run(&["decode", &forged]);
    assert_eq!(code, Some(1));
    assert!(said.contains("forged"), "{said}");
    let (code, said, _) = run(&["decode", "BIGipServeru=16777343.16671.0000"]);
    assert!(code == Some(0) && said.contains("127.0.0.1:8001"), "{said}");
    for (args, expect) in [
        (&["decode", "other=1"][..], Some(1)),
        (&["encode", "nobody", "x"], Some(2)),
        (&["encode", "u", "10.0.0.1:1"], Some(2)),
        (&["bake"], Some(2)),
    ] {
        let (code, out, err) = run(args);
        assert_eq!(code, expect, "{args:?} {out} {err}");
    }
    let shown = [prints, of_file, cookie, json.to_string()].concat();
    assert!(!shown.contains(std::str::from_utf8(KEY).unwrap()));
    for (value, expect) in [
        ("route=a44db3549e461fcd8a5ae22f73f91140", "MD5"),
        ("1677787402.36895.0000", "10.1.1.100:8080"),
        ("SRV=s1|awFf2|awFf2", "2026-11-21T09:09:44"),
        ("SERVERID=x|1795252184|1795252184", "2026-11-21T09:09:44"),
        ("AVsfFWZYZDsvawFf2GsBX9ggS-pq5HT0A6ufOyTDgw4K", "signed pin of tenrec"),
    ] {
        let said = String::from_utf8(tenrec(&["sticky", "decode", value]).stdout).unwrap();
        assert!(said.contains(expect), "{value}: {said}");
    }
}
