//! `listen … ssl`: names and certificates, clients' certificates, sessions of TLS and of users, reloads.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use crate::differential;
use crate::support::client::{Client, raw};
use crate::support::daemon::{Daemon, Program, nginx, nginx_is_current};
use crate::support::origin::Origin;
use crate::support::secure::Speaks;
use crate::support::tls::fixture;
use crate::support::{eventually, skipped};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// The fixtures' files beside a configuration, and a pair with an RSA key.
fn run(program: Program, conf: &str) -> Daemon {
    let names =
        ["backend.crt", "backend.key", "own.crt", "own.key", "plain.crt", "plain.key", "ca.crt", "ca.crl"];
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|n| (*n, file(n))).collect();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let rsa = rcgen::CertificateParams::new(["rsa.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let rsa = [("rsa.crt", rsa.pem().into_bytes()), ("rsa.key", key.serialize_pem().into_bytes())];
    let files: Vec<(&str, &[u8])> = files.iter().chain(&rsa).map(|(n, t)| (*n, &t[..])).collect();
    Daemon::run(program, conf, &files)
}

/// A server on 8443 with the fixtures' certificate.
const SERVER: &str =
    "listen 127.0.0.1:%%8443%% ssl; ssl_certificate backend.crt; ssl_certificate_key backend.key;";

/// A configuration whose log tells of clients' faults.
fn http(body: &str) -> String {
    differential::http(body).replacen("error.log;", "error.log info;", 1)
}

fn tenrec(body: &str) -> Daemon {
    run(Program::Tenrec, &http(body))
}

/// Variables that say the same of the same client everywhere.
const SEEN: &str = "$scheme|$https|$server_name|$ssl_protocol|$ssl_cipher|$ssl_server_name|$ssl_session_reused|\
    $ssl_alpn_protocol|$ssl_client_verify|$ssl_client_s_dn|$ssl_client_i_dn|$ssl_client_s_dn_legacy|\
    $ssl_client_i_dn_legacy|$ssl_client_serial|$ssl_client_fingerprint|$ssl_client_v_start|$ssl_client_v_end|\
    $ssl_client_v_remain|$ssl_client_escaped_cert|$ssl_client_cert|$ssl_early_data";

fn names() -> String {
    let verify = |kind: &str| format!("ssl_verify_client {kind}; ssl_client_certificate ca.crt;");
    http(&format!(
        "server {{ {SERVER} server_name a.test; location / {{ return 200 \"{SEEN}\"; }}
           location /to {{ return 302 /there; }} error_page 497 =200 /497; location = /497 {{ return 200 plain; }} }}
         server {{ listen 127.0.0.1:%%8443%% ssl; ssl_certificate own.crt; ssl_certificate_key own.key; {on}
           server_name asks.test; error_page 495 496 = /49x; location = /49x {{ return 200 \"$status|{SEEN}\"; }}
           location / {{ return 200 \"{SEEN}\"; }} }}
         server {{ listen 127.0.0.1:%%8443%% ssl; ssl_certificate own.crt; ssl_certificate_key own.key; {optional}
           server_name optional.test; location / {{ return 200 \"{SEEN}\"; }} }}
         server {{ listen 127.0.0.1:%%8443%% ssl; ssl_certificate own.crt; ssl_certificate_key own.key; {no_ca}
           server_name ~^noca\\.; location / {{ return 200 \"{SEEN}\"; }} }}
         server {{ listen 127.0.0.1:%%8443%% ssl; server_name *.wild.test; location / {{ return 200 \"{SEEN}\"; }} }}
         server {{ listen 127.0.0.1:%%8443%% ssl; server_name reject.test; ssl_reject_handshake on; }}",
        on = verify("on"),
        optional = verify("optional"),
        no_ca = verify("optional_no_ca"),
    ))
}

/// What a client with this certificate, that names the first and asks the second, is told: the status line and what follows
/// the head, and which certificate it was shown.
fn told(
    daemon: &Daemon,
    certificate: Option<&'static str>,
    name: &str,
    host: &str,
    only_tls12: bool,
) -> String {
    let alpn: &[&str] = if certificate.is_some() { &["http/1.1"] } else { &[] };
    let client = Speaks { certificate, only_tls12, alpn, ..Speaks::default() }.client();
    let mut one = match client.connect(daemon.port(8443), name) {
        Ok(one) => one,
        Err(e) => return format!("no handshake: {e}"),
    };
    let shown = one.shown();
    let host = if host.is_empty() { String::new() } else { format!("Host: {host}\r\n") };
    let version = if host.is_empty() { "1.0" } else { "1.1" };
    let answer = one.ask(&format!("GET / HTTP/{version}\r\n{host}Connection: close\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    format!("{}\n{body}\n{}", head.lines().next().unwrap_or_default(), shown.len())
}

#[test]
fn names_and_clients_certificates_are_treated_as_nginx_treats_them() {
    const TEST: &str = "names_and_clients_certificates_are_treated_as_nginx_treats_them";
    let ours = run(Program::Tenrec, &names());
    let certificates = [
        None,
        Some("client"),
        Some("own"),
        Some("expired"),
        Some("deep.chain"),
        Some("plain"),
        Some("revoked"),
    ];
    let places = [
        ("a.test", "a.test"),
        ("a.test", "A.TEST:1"),
        ("127.0.0.1", "asks.test"),
        ("127.0.0.1", "a.test"),
        ("asks.test", "asks.test"),
        ("asks.test", "a.test"),
        ("asks.test", ""),
        ("a.test", "asks.test"),
        ("a.test", "unknown.test"),
        ("optional.test", "optional.test"),
        ("optional.test", "asks.test"),
        ("noca.test", "noca.test"),
        ("x.wild.test", "x.wild.test"),
        ("unknown.test", "asks.test"),
        ("reject.test", "a.test"),
    ];
    let tell = |daemon: &Daemon| {
        let mut all = Vec::new();
        for certificate in certificates {
            for (name, host) in places {
                for only_tls12 in [false, true] {
                    let told = told(daemon, certificate, name, host, only_tls12);
                    all.push(format!("{certificate:?} {name} {host} {only_tls12}: {told}"));
                }
            }
        }
        all
    };
    let mine = tell(&ours);
    let has = |begin: &str, what: &str| {
        let line = mine.iter().find(|l| l.starts_with(begin)).unwrap();
        assert!(line.contains(what), "{what} in {line}");
    };
    has("None a.test a.test false", "https|on|a.test|TLSv1.3|");
    has("None asks.test asks.test", "|NONE|");
    has("Some(\"own\") asks.test asks.test", "FAILED:self-signed certificate|CN=own");
    has("Some(\"client\") asks.test asks.test true", "|SUCCESS|CN=client|");
    has("Some(\"client\") a.test asks.test", "421 Misdirected Request");
    has("Some(\"own\") noca.test noca.test", " 200 OK");
    has("Some(\"expired\") optional.test", "400 Bad Request");
    has("None reject.test", "no handshake");
    for wanted in
        ["client attempted to request the server name different", "handshake rejected while SSL handshaking"]
    {
        ours.logged("error.log", wanted);
    }
    let Some(program) = nginx().filter(nginx_is_current) else {
        return skipped(TEST, "no nginx 1.31 to compare with");
    };
    let version = Command::new(program.path()).arg("-V").output().unwrap().stderr;
    if !String::from_utf8_lossy(&version).contains("--with-http_ssl_module") {
        return skipped(TEST, "nginx has no TLS");
    }
    let theirs = tell(&run(program, &names()));
    let differ: Vec<_> = mine.iter().zip(&theirs).filter(|(a, b)| a != b).collect();
    assert!(differ.is_empty(), "{} differ:\n{:#?}", differ.len(), &differ[..differ.len().min(9)]);
}

#[test]
fn a_plain_request_is_told_and_redirects_say_https() {
    let daemon = run(Program::Tenrec, &names());
    let port = daemon.port(8443);
    let plain = Client::connect(port).send("GET /x HTTP/1.1\r\nHost: asks.test\r\n\r\n").response();
    assert!(plain.status == 400 && plain.text().contains("The plain HTTP request was sent to HTTPS port"));
    let page = Client::connect(port).send("GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n").response();
    assert_eq!((page.status, page.text().as_str()), (200, "plain"));
    let client = Speaks::default().client();
    let answer = client.get(port, "a.test", "/to", "Host: a.test\r\n");
    assert!(answer.contains(&format!("Location: https://a.test:{port}/there\r\n")), "{answer}");
    assert!(raw(port, b"\x16\x03\x01\x00\x05hello").is_empty() || !daemon.stderr().contains("panicked"));
}

#[test]
fn sessions_are_resumed_by_any_thread_and_after_a_reload() {
    for (lines, only_tls12) in [
        ("", false),
        ("", true),
        ("ssl_session_cache shared:s:1m; ssl_session_tickets off;", false),
        ("ssl_session_cache shared:s:1m; ssl_session_tickets off;", true),
    ] {
        let conf = http(&format!("server {{ {SERVER} {lines} return 200 $ssl_session_reused; }}"));
        let conf = conf.replacen("worker_processes 1;", "worker_processes 4;", 1);
        let daemon = run(Program::Tenrec, &conf);
        let port = daemon.port(8443);
        let client = Speaks { only_tls12, ..Speaks::default() }.client();
        let ask = || client.get(port, "a.test", "/", "Host: a\r\n");
        assert!(ask().ends_with("\r\n\r\n."), "{lines}");
        for _ in 0..12 {
            assert!(ask().ends_with("\r\n\r\nr"), "{lines} {only_tls12}");
        }
        daemon.signal("HUP");
        daemon.logged("error.log", "gracefully shutting down");
        for _ in 0..6 {
            assert!(ask().ends_with("\r\n\r\nr"), "after a reload: {lines} {only_tls12}");
        }
    }
    let daemon =
        tenrec(&format!("server {{ {SERVER} ssl_session_tickets off; return 200 $ssl_session_reused; }}"));
    let client = Speaks::default().client();
    for _ in 0..3 {
        assert!(client.get(daemon.port(8443), "a.test", "/", "Host: a\r\n").ends_with("\r\n\r\n."));
    }
}

#[test]
fn of_two_certificates_a_client_is_shown_the_one_that_it_can_use() {
    let daemon = tenrec(&format!(
        "server {{ {SERVER} ssl_certificate rsa.crt; ssl_certificate_key rsa.key; return 200 $ssl_cipher; }}"
    ));
    let port = daemon.port(8443);
    let rsa = Speaks { only_tls12: true, only_rsa: true, ..Speaks::default() }.client();
    if let Err(e) = rsa.connect(port, "a.test") {
        panic!("{e}: {}", daemon.logged("error.log", "SSL_do_handshake"));
    }
    assert!(rsa.get(port, "a.test", "/", "Host: a\r\n").contains("ECDHE-RSA-"));
    let any = Speaks { only_tls12: true, ..Speaks::default() }.client();
    assert!(any.get(port, "a.test", "/", "Host: a\r\n").contains("ECDHE-ECDSA-"));
    let shown = Speaks::default().client().connect(port, "a.test").unwrap().shown();
    assert!(shown.len() < 700, "the small one: {}", shown.len());
}

#[test]
fn users_stay_with_their_server_over_tls_and_their_cookies_are_secure() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let servers = format!("server {}; server {};", a.addr(), b.addr());
    let daemon = tenrec(&format!(
        "upstream t {{ {servers} session_sticky cookie=t secure=auto samesite=auto; }}
         upstream n {{ {servers} sticky cookie n secure=auto samesite=auto; }}
         upstream s {{ {servers} sticky cookie s secure samesite=none; }}
         server {{ {SERVER} listen 127.0.0.1:%%8080%%; location /t {{ proxy_pass http://t; }}
           location /n {{ proxy_pass http://n; }} location /s {{ proxy_pass http://s; }} }}"
    ));
    let client = Speaks::default().client();
    for name in ["t", "n", "s"] {
        let path = format!("/{name}");
        let first = client.get(daemon.port(8443), "a.test", &path, "Host: a\r\n");
        let line = first.lines().find(|l| l.starts_with("Set-Cookie")).unwrap_or_else(|| panic!("{first}"));
        assert!(line.to_ascii_lowercase().contains("; secure"), "{line}");
        assert!(line.to_ascii_lowercase().contains("; samesite=none"), "{line}");
        let pair = line["Set-Cookie: ".len()..].split(';').next().unwrap();
        let who = first.rsplit("\r\n").next().unwrap();
        for _ in 0..6 {
            let again =
                client.get(daemon.port(8443), "a.test", &path, &format!("Host: a\r\nCookie: {pair}\r\n"));
            assert!(again.ends_with(&format!("\r\n\r\n{who}")), "{name}: {again}");
        }
        if name != "s" {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let plain = Client::connect(daemon.port(8080)).send(request).response();
            assert!(!plain.head.to_ascii_lowercase().contains("secure"), "{}", plain.head);
        }
    }
}

#[test]
fn a_handshake_that_never_ends_holds_up_nobody_and_is_ended() {
    let daemon = tenrec(&format!("server {{ {SERVER} client_header_timeout 300ms; return 200 ok; }}"));
    let port = daemon.port(8443);
    let mut stalled: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    for (i, stream) in stalled.iter_mut().enumerate() {
        stream.write_all(&b"\x16\x03\x01\x02\x00\x01\x00"[..i % 8]).unwrap();
    }
    let client = Speaks::default().client();
    assert!(client.get(port, "a.test", "/", "Host: a\r\n").ends_with("ok"));
    for mut stream in stalled {
        stream.set_read_timeout(Some(crate::support::SOON)).unwrap();
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).is_ok(), "it is closed");
        assert!(rest.is_empty());
    }
    daemon.logged(
        "error.log",
        "client timed out (110: Connection timed out) while SSL handshaking, client: 127.0.0.1",
    );
    assert!(client.get(port, "a.test", "/", "Host: a\r\n").ends_with("ok"));
}

#[test]
fn a_handshake_that_a_reload_meets_is_carried_on() {
    let daemon = tenrec(&format!("server {{ {SERVER} return 200 ok; }}"));
    let port = daemon.port(8443);
    let waiting = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // It is accepted, by this worker, once its like is.
    let client = Speaks::default().client();
    assert!(client.get(port, "a.test", "/", "Host: a\r\n").ends_with("ok"));
    daemon.signal("HUP");
    daemon.logged("error.log", "gracefully shutting down");
    let mut late = client.over(waiting, "a.test").unwrap();
    assert!(late.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ends_with("ok"));
    eventually("the old worker ends", || {
        daemon.file("error.log").contains("exited with code 0").then_some(())
    });
}

#[test]
fn a_proxy_in_front_says_who_the_client_is_before_the_handshake() {
    let daemon = tenrec(&format!(
        "set_real_ip_from 127.0.0.0/8; real_ip_header proxy_protocol;
         server {{ {server} return 200 \"$remote_addr $remote_port $proxy_protocol_addr $proxy_protocol_port \
           $proxy_protocol_server_addr $proxy_protocol_server_port $scheme\"; }}",
        server = SERVER.replace(" ssl;", " ssl proxy_protocol; listen 127.0.0.1:%%8080%% proxy_protocol;")
    ));
    let client = Speaks::default().client();
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n";
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for secure in [true, false] {
        let mut stream =
            TcpStream::connect(("127.0.0.1", daemon.port(if secure { 8443 } else { 8080 }))).unwrap();
        stream.write_all(header).unwrap();
        let said = if secure {
            client.over(stream, "a.test").unwrap().ask(request)
        } else {
            Client::from_stream(stream).send(request).response().text()
        };
        let scheme = if secure { "https" } else { "http" };
        assert!(said.ends_with(&format!("192.0.2.1 123 192.0.2.1 123 192.0.2.2 5678 {scheme}")), "{said}");
    }
    assert!(raw(daemon.port(8080), request.as_bytes()).is_empty());
    daemon.logged(
        "error.log",
        "broken header: \"GET / HTTP/1.1\" while reading PROXY protocol, client: 127.0.0.1",
    );
}

#[test]
fn two_protocols_are_agreed_on_and_large_bodies_come_whole() {
    let body = "0123456789abcdef".repeat(100_000);
    let origin = Origin::says(&body);
    let daemon = tenrec(&format!(
        "upstream u {{ server {}; }} server {{ {SERVER} http2 on; ssl_buffer_size 4k; location / {{ proxy_pass http://u; }} }}",
        origin.addr()
    ));
    let port = daemon.port(8443);
    let both = Speaks { alpn: &["h2", "http/1.1"], ..Speaks::default() }.client();
    assert_eq!(both.connect(port, "a.test").unwrap().alpn().as_deref(), Some("h2"));
    let one = Speaks { alpn: &["http/1.1"], ..Speaks::default() }.client();
    assert_eq!(one.connect(port, "a.test").unwrap().alpn().as_deref(), Some("http/1.1"));
    assert!(one.get(port, "a.test", "/", "Host: a\r\n").ends_with(&body));
    let none = Speaks { alpn: &["spdy/1"], ..Speaks::default() }.client();
    assert!(none.connect(port, "a.test").is_err());
    let version = Command::new("curl").arg("-V").output();
    if !version.is_ok_and(|v| String::from_utf8_lossy(&v.stdout).contains("HTTP2")) {
        return skipped("two_protocols_are_agreed_on_and_large_bodies_come_whole", "no curl with HTTP/2");
    }
    let out = Command::new("curl")
        .args([
            "-sk",
            "--http2",
            "--max-time",
            "30",
            "-w",
            "|%{http_version}",
            &format!("https://127.0.0.1:{port}/"),
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{body}|2"));
}
