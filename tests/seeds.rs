//! The examples that users have in their hands, as they stand in the documents they come from: only host names and
//! addresses are put in (the documents' do not exist here), and a `listen` where the document leaves it out.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::client::{Client, get, get_with};
use crate::support::daemon::{Daemon, Program, once};
use crate::support::origin::Origin;
use crate::support::skipped;

/// The blocks of an `http` around them.
fn http(blocks: &str) -> String {
    format!(
        "pid tenrec.pid; error_log error.log info;\nevents {{ }}\nhttp {{ access_log off;\n{blocks}\n}}\n"
    )
}

/// A front for blocks that have none.
const FRONT: &str = "server { listen 127.0.0.1:%%8080%%; location / { proxy_pass http://backend; } }";

fn names(n: usize) -> Vec<Origin> {
    (1..=n).map(|i| Origin::says(&format!("backend{i}"))).collect()
}

/// `text` with `backendN.example.com` replaced by the origins' addresses.
fn placed(text: &str, origins: &[Origin]) -> String {
    let mut text = text.to_owned();
    for (i, origin) in origins.iter().enumerate() {
        text = text.replace(&format!("backend{}.example.com", i + 1), &origin.addr());
    }
    text
}

#[test]
fn ip_hash_sends_one_address_to_one_backend_and_never_to_the_one_that_is_down() {
    let origins = names(4);
    let conf = http(&(placed(include_str!("../fixtures/seeds/ip-hash.conf"), &origins) + FRONT));
    let daemon = Daemon::start(&conf);
    let first = get(daemon.port(8080), "/").text();
    for _ in 0..30 {
        assert_eq!(get(daemon.port(8080), "/").text(), first);
    }
    assert!(origins[2].seen().is_empty(), "backend3 is down");
}

#[test]
fn ip_hash_chooses_the_peer_that_nginx_chooses() {
    let Some(nginx) = crate::support::daemon::nginx() else {
        return skipped("ip_hash as nginx", "no nginx to compare with");
    };
    let origins = names(4);
    let conf = http(&(placed(include_str!("../fixtures/seeds/ip-hash.conf"), &origins) + FRONT));
    let (theirs, ours) = (Daemon::run(nginx, &conf, &[]), Daemon::run(Program::Tenrec, &conf, &[]));
    for last in 1..40_u8 {
        // ip_hash takes the first three octets.
        let source = format!("127.0.{last}.1");
        assert_eq!(from(&source, theirs.port(8080)), from(&source, ours.port(8080)), "client {source}");
    }
}

/// The body that a client with this source address gets.
fn from(source: &str, port: u16) -> String {
    let addr: std::net::SocketAddr = format!("{source}:0").parse().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&addr.into()).unwrap();
    socket.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    let mut client = Client::from_stream(socket.into());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").response().text()
}

#[test]
fn sticky_cookie_insert_names_the_peer_in_every_answer() {
    let origins = names(2);
    let conf = http(&(placed(include_str!("../fixtures/seeds/sticky-cookie-insert.conf"), &origins) + FRONT));
    let daemon = Daemon::start(&conf);
    let first = get(daemon.port(8080), "/");
    let set = first.header("Set-Cookie").unwrap();
    let parts: Vec<&str> = set.split("; ").collect();
    assert_eq!(parts[0].len(), "srv_id=".len() + 32, "{set}");
    assert!(parts[1].starts_with("expires=") && parts[1].ends_with(" GMT"), "{set}");
    assert_eq!(&parts[2..], ["max-age=3600", "domain=toxingwang.com", "path=/"], "{set}");
    let pin = first.cookie("srv_id").unwrap();
    for _ in 0..30 {
        let answer = get_with(daemon.port(8080), "/", &format!("Cookie: {pin}\r\n"));
        assert_eq!(answer.text(), first.text());
        assert_eq!(answer.cookie("srv_id").unwrap(), pin);
    }
}

#[test]
fn a_host_that_does_not_resolve_is_named_as_nginx_names_it() {
    let conf = http(include_str!("../fixtures/seeds/sticky-cookie-insert.conf"));
    let out = once(&Program::Tenrec, &conf.replace("example.com", "invalid"), &["-t"]);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(text.contains("[emerg] host not found in upstream \"backend1.invalid\" in "), "{text}");
    assert_eq!(out.status.code(), Some(1));
}

#[test]
fn the_default_session_sticky_keeps_the_session() {
    let origins = names(2);
    // The page's `http://test` names no upstream of its example: the host that stands in its place is `foo`.
    let first = include_str!("../fixtures/seeds/session-sticky-1.conf")
        .replace("192.168.0.1", &origins[0].addr())
        .replace("192.168.0.2", &origins[1].addr())
        .replace("http://test", "http://foo")
        .replace("server {", "server { listen 127.0.0.1:%%8080%%;");
    let daemon = Daemon::start(&http(&first));
    let answer = get(daemon.port(8080), "/");
    let set = answer.header("Set-Cookie").unwrap();
    assert!(set.starts_with("route=") && set.ends_with("; Path=/") && set.len() == 6 + 32 + 8, "{set}");
    let pin = answer.cookie("route").unwrap();
    for _ in 0..30 {
        let again = get_with(daemon.port(8080), "/", &format!("Cookie: {pin}\r\n"));
        assert_eq!((again.text(), again.header("Set-Cookie")), (answer.text(), None));
    }
    let round: BTreeSet<String> = (0..4).map(|_| get(daemon.port(8080), "/").text()).collect();
    assert_eq!(round.len(), 2, "without the cookie it goes round");
}

#[test]
fn both_examples_of_the_tengine_page_run_in_one_file_doubled_word_and_all() {
    let origins = names(3);
    let text = [
        include_str!("../fixtures/seeds/session-sticky-1.conf")
            .replace("192.168.0.1", &origins[0].addr())
            .replace("192.168.0.2", &origins[1].addr())
            .replace("server {", "server { listen 127.0.0.1:%%8080%%;"),
        include_str!("../fixtures/seeds/session-sticky-2.conf")
            .replace("127.0.0.1:8080", &origins[2].addr())
            .replace("server {", "server { listen 127.0.0.1:%%8081%%;"),
    ];
    let daemon = Daemon::start(&http(&text.concat()));
    for port in [8080, 8081] {
        let answer = get(daemon.port(port), "/");
        let set = answer.header("Set-Cookie").unwrap();
        assert!(set.starts_with("uid=") && set.ends_with("; Domain=www.xxx.com; Path=/"), "{set}");
        let pin = answer.cookie("uid").unwrap();
        let again = get_with(daemon.port(port), "/", &format!("Cookie: a=1; {pin}; b=2\r\n"));
        assert_eq!((again.text(), again.header("Set-Cookie")), ("backend3".to_owned(), None));
        // `option=indirect` hides the cookie even where the location does not say so again.
        assert_eq!(origins[2].last().header("Cookie"), Some("a=1; b=2"));
    }
    let warnings = String::from_utf8_lossy(&daemon.control(&["-t"]).stderr).into_owned();
    assert!(warnings.contains("[warn]") && warnings.contains("session_sticky"), "{warnings}");
    assert!(warnings.contains("test is successful"), "{warnings}");
}

/// The checks that the documents give their readers: `curl -c jar` once, `curl -b jar` thirty times.
#[test]
fn the_curl_checks_of_the_documents_hold() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("the documents' curl checks", "no curl");
    }
    let origins = names(3);
    let servers: String = origins.iter().map(|o| format!("server {};", o.addr())).collect();
    let daemon = Daemon::start(&http(&format!("upstream backend {{ {servers} session_sticky; }} {FRONT}")));
    let url = format!("http://127.0.0.1:{}/check.jsp", daemon.port(8080));
    let jar = daemon.prefix().join("test.cookie");
    let curl = |args: &[&str]| {
        let out = Command::new("curl").arg("-s").args(args).arg(&url).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    let jar = jar.to_str().unwrap();
    let first = curl(&["-c", jar]);
    for _ in 0..30 {
        assert_eq!(curl(&["-b", jar]), first);
    }
    // A made-up value is nobody's: it is balanced, and answered with a cookie that is somebody's.
    let made_up: BTreeSet<String> = (0..6).map(|_| curl(&["-b", "route=client-1"])).collect();
    assert_eq!(made_up.len(), 3);
    assert!(curl(&["-i", "-b", "route=client-1"]).contains("\r\nSet-Cookie: route="));
}
