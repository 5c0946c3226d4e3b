use proptest::prelude::*;

use crate::values::{Address, AddressError, Host, listen, server, url};

fn show(found: Result<Address<'_>, AddressError>) -> String {
    let a = match found {
        Ok(a) => a,
        Err(e) => return e.to_string(),
    };
    let mut out = match a.host {
        Host::Ip(ip) => format!("ip {ip}"),
        Host::Name(name) => format!("name {}", String::from_utf8_lossy(name)),
        Host::Unix(path) => format!("unix {}", String::from_utf8_lossy(path)),
    };
    if let Some(port) = a.port {
        out += &format!(" port {port}");
    }
    if let Some(port) = a.last_port {
        out += &format!("-{port}");
    }
    if !a.uri.is_empty() {
        out += &format!(" uri {}", String::from_utf8_lossy(a.uri));
    }
    out
}

#[test]
fn listen_takes_ports_ranges_and_stars() {
    for (text, want) in [
        ("80", "ip 0.0.0.0 port 80"),
        ("*:80", "ip 0.0.0.0 port 80"),
        ("*", "ip 0.0.0.0"),
        ("127.0.0.1", "ip 127.0.0.1"),
        ("127.0.0.1:8080", "ip 127.0.0.1 port 8080"),
        ("8000-8010", "ip 0.0.0.0 port 8000-8010"),
        ("127.0.0.1:8000-8010", "ip 127.0.0.1 port 8000-8010"),
        ("[::]:80", "ip :: port 80"),
        ("[::1]", "ip ::1"),
        ("[::1]:1-2", "ip ::1 port 1-2"),
        ("localhost:80", "name localhost port 80"),
        ("localhost", "name localhost"),
        ("my-host", "name my-host"),
        ("unix:/tmp/a:b", "unix /tmp/a:b"),
        ("UNIX:/tmp/a", "unix /tmp/a"),
        ("0", "invalid port"),
        ("65536", "invalid port"),
        ("80-0", "invalid port"),
        ("90-80", "invalid port range"),
        ("127.0.0.1:", "invalid port"),
        ("127.0.0.1:x", "invalid port"),
        (":80", "no host"),
        ("", "no host"),
        ("1.2.3.4/5", "invalid host"),
        ("[::1", "invalid host"),
        ("[::1]x", "invalid host"),
        ("[]:80", "no host"),
        ("[::g]:80", "invalid IPv6 address"),
        ("unix:", "no path in the unix domain socket"),
    ] {
        assert_eq!(show(listen(text.as_bytes())), want, "{text}");
    }
    let long = format!("unix:/{}", "a".repeat(107));
    assert_eq!(show(listen(long.as_bytes())), "too long path in the unix domain socket");
}

#[test]
fn servers_are_hosts_with_or_without_a_port() {
    for (text, want) in [
        ("127.0.0.1", "ip 127.0.0.1"),
        ("127.0.0.1:8080", "ip 127.0.0.1 port 8080"),
        ("backend:8080", "name backend port 8080"),
        ("8080", "name 8080"),
        ("*:80", "name * port 80"),
        ("010.0.0.1", "ip 10.0.0.1"),
        ("255.255.255.255", "name 255.255.255.255"),
        ("256.0.0.1", "name 256.0.0.1"),
        ("a:1-2", "invalid port"),
        ("a/b", "invalid host"),
        ("[::1]:80", "ip ::1 port 80"),
        ("unix:/s", "unix /s"),
    ] {
        assert_eq!(show(server(text.as_bytes())), want, "{text}");
    }
}

#[test]
fn urls_carry_a_uri() {
    for (text, want) in [
        ("backend", "name backend"),
        ("backend/", "name backend uri /"),
        ("backend:80/a:b?c", "name backend port 80 uri /a:b?c"),
        ("backend/a:b", "name backend uri /a:b"),
        ("backend?x=/y", "name backend uri ?x=/y"),
        ("[::1]:80/x", "ip ::1 port 80 uri /x"),
        ("[::1]/x", "ip ::1 uri /x"),
        ("unix:/tmp/s:/uri/", "unix /tmp/s uri /uri/"),
        ("unix:/tmp/s", "unix /tmp/s"),
        ("unix::/x", "no path in the unix domain socket"),
        ("/x", "no host"),
        (":80/x", "no host"),
        ("a:0/x", "invalid port"),
    ] {
        assert_eq!(show(url(text.as_bytes())), want, "{text}");
    }
    assert_eq!(url(b"[::1]:80/x").unwrap().host_text, b"[::1]");
}

proptest! {
    #[test]
    fn socket_addresses_read_back(addr in any::<std::net::SocketAddr>()) {
        let text = addr.to_string();
        let broadcast = addr.ip() == std::net::Ipv4Addr::BROADCAST;
        let scoped = matches!(addr, std::net::SocketAddr::V6(a) if a.scope_id() != 0 || a.flowinfo() != 0);
        if addr.port() != 0 && !broadcast && !scoped {
            prop_assert_eq!(server(text.as_bytes()).unwrap().socket_addr(80), Some(addr));
            prop_assert_eq!(listen(text.as_bytes()).unwrap().socket_addr(80), Some(addr));
        }
    }

    #[test]
    fn nothing_panics(text in "(unix:|\\[)?[a-z0-9:./?\\[\\]*-]{0,20}") {
        let _ = (listen(text.as_bytes()), server(text.as_bytes()), url(text.as_bytes()));
    }
}
