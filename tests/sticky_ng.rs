//! `sticky` of nginx-sticky-module-ng as clients see it.

use std::collections::BTreeMap;

use crate::support::client::{get, get_with};
use crate::support::daemon::Daemon;
use crate::support::origin::Origin;

/// Two locations over one upstream: `/`, and `/l/` with these lines.
fn front(servers: &str, sticky: &str, location: &str) -> Daemon {
    Daemon::start(&format!(
        "pid tenrec.pid; error_log error.log info;\nevents {{ }}\nhttp {{\naccess_log off;\n\
         upstream u {{\n{servers}\n{sticky}\n}}\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://u; }}\n\
         location /l/ {{ {location} proxy_pass http://u; }} }}\n}}\n"
    ))
}

fn servers(origins: &[&Origin]) -> String {
    origins.iter().map(|o| format!("server {};\n", o.addr())).collect()
}

/// The raw `sockaddr_in`, which the module hashes.
fn sockaddr(port: u16) -> [u8; 16] {
    let [high, low] = port.to_be_bytes();
    [2, 0, high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn md5(bytes: &[u8]) -> String {
    use md5::Digest;
    md5::Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A port that nobody listens on.
fn nobody() -> u16 {
    crate::support::daemon::free_port()
}

#[test]
fn a_first_answer_sets_the_module_s_cookie_and_no_later_one_does() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let daemon = front(&servers(&[&a, &b]), "sticky httponly;", "");
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        let first = get(daemon.port(8080), "/");
        let set = first.header("Set-Cookie").unwrap();
        seen.insert(first.text(), set.clone());
        for _ in 0..3 {
            let pair = set.split(';').next().unwrap();
            let again = get_with(daemon.port(8080), "/", &format!("Cookie: x=1; {pair}\r\n"));
            assert_eq!((again.text(), again.header("Set-Cookie")), (first.text(), None));
        }
    }
    let cookie = |o: &Origin| format!("route={}; Path=/; HttpOnly", md5(&sockaddr(o.port())));
    assert_eq!(seen, BTreeMap::from([("a".to_owned(), cookie(&a)), ("b".to_owned(), cookie(&b))]));
}

#[test]
fn a_cookie_of_the_newer_versions_is_of_the_server_s_text() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let daemon = front(&servers(&[&a, &b]), "sticky hash_of=server name=srv;", "");
    for (origin, name) in [(&a, "a"), (&b, "b")] {
        for _ in 0..3 {
            let cookie = format!("Cookie: srv={}\r\n", md5(origin.addr().as_bytes()));
            assert_eq!(get_with(daemon.port(8080), "/", &cookie).text(), name);
        }
    }
}

#[test]
fn without_fallback_a_session_whose_server_is_dead_gets_502_and_a_new_one_is_balanced() {
    let a = Origin::says("a");
    let dead = nobody();
    for (sticky, location, path) in
        [("sticky no_fallback;", "", "/"), ("sticky;", "sticky_no_fallback;", "/l/")]
    {
        let servers = format!("{}server 127.0.0.1:{dead};", servers(&[&a]));
        let daemon = front(&servers, sticky, location);
        let pinned = format!("Cookie: route={}\r\n", md5(&sockaddr(dead)));
        for _ in 0..3 {
            assert_eq!(get_with(daemon.port(8080), path, &pinned).status, 502, "{sticky}{location}");
        }
        for cookie in ["", "Cookie: route=nobody-has-it\r\n"] {
            let new = get_with(daemon.port(8080), path, cookie);
            assert_eq!((new.status, new.text()), (200, "a".to_owned()), "{sticky}{location}");
            let home = format!("route={}; Path=/", md5(&sockaddr(a.port())));
            assert_eq!(new.header("Set-Cookie"), Some(home), "the server that answered at last");
        }
        if path == "/l/" {
            assert_eq!(get_with(daemon.port(8080), "/", &pinned).text(), "a", "elsewhere it falls back");
        }
    }
}

#[test]
fn the_cookie_goes_with_the_proxy_s_own_error_too() {
    let daemon = front(
        &format!("server 127.0.0.1:{};server 127.0.0.1:{} down;", nobody(), nobody()),
        "sticky hash=index expires=1h;",
        "",
    );
    let answer = get(daemon.port(8080), "/");
    let set = answer.header("Set-Cookie").unwrap();
    assert_eq!(answer.status, 502);
    assert!(set.starts_with("route=0; Expires=") && set.ends_with(" GMT; Path=/"), "{set}");
}

#[test]
fn a_location_may_set_no_cookie_and_follow_those_that_come() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let daemon = front(&servers(&[&a, &b]), "sticky text=raw;", "sticky_hide_cookie;");
    assert_eq!(get(daemon.port(8080), "/l/").header("Set-Cookie"), None);
    for (origin, name) in [(&a, "a"), (&b, "b")] {
        for _ in 0..3 {
            let cookie = format!("Cookie: route={}\r\n", origin.addr());
            assert_eq!(get_with(daemon.port(8080), "/l/", &cookie).text(), name);
        }
    }
}
