//! Backends that fail in every way TLS knows: what the client gets and what the error log says, beside nginx.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::differential::http;
use crate::support::client::get;
use crate::support::daemon::{Daemon, Program, nginx, nginx_is_current};
use crate::support::skipped;
use crate::support::tls::{GOOD, Make, Then, fixture, hello, misbehaves};

/// What came of a request: the status, the backend's statuses, and the lines of the error log.
type Told = (u16, Option<String>, Vec<String>);

/// Each location asked once, of `program` on its own.
fn told(program: Program, locations: &[(&str, String)]) -> Vec<Told> {
    let blocks: String =
        locations.iter().map(|(name, lines)| format!("location /{name} {{ {lines} }}\n")).collect();
    let daemon = Daemon::run(
        program,
        &http(&format!(
            "proxy_ssl_session_reuse off; add_header X-Up $upstream_status always;\n\
             server {{ listen 127.0.0.1:%%8080%%;\n{blocks} }}"
        )),
        &[],
    );
    let mut all: Vec<Told> = Vec::new();
    for (name, _) in locations {
        let answer = get(daemon.port(8080), &format!("/{name}"));
        all.push((answer.status, answer.header("X-Up"), Vec::new()));
    }
    // Lines are written before the answer is.
    for line in daemon.file("error.log").lines() {
        let Some((name, text)) = line.split_once("request: \"GET /").and_then(|(_, rest)| {
            Some((rest.split(' ').next()?, line.split_once("*")?.1.split_once(' ')?.1))
        }) else {
            continue;
        };
        let text = text.split(", client: ").next().unwrap_or_default();
        let level = line.split(['[', ']']).nth(1).unwrap_or_default();
        if let Some(at) = locations.iter().position(|(n, _)| *n == name)
            && let Some(one) = all.get_mut(at)
        {
            one.2.push(format!("[{level}] {text}"));
        }
    }
    all
}

/// Asks tenrec, and nginx where there is one, and compares. Each case: a name, lines of a location, and what must be
/// among the lines of the log.
fn compare(test: &str, cases: &[(&str, String, &str)]) {
    let locations: Vec<(&str, String)> = cases.iter().map(|(n, l, _)| (*n, l.clone())).collect();
    let ours = told(Program::Tenrec, &locations);
    for ((name, _, wanted), (status, _, lines)) in cases.iter().zip(&ours) {
        if wanted.is_empty() {
            assert_eq!((*status, lines.len()), (200, 0), "{name}: {lines:?}");
        } else {
            assert!(lines.iter().any(|l| l.contains(wanted)), "{name}: {wanted:?} is not in {lines:#?}");
        }
    }
    let Some(nginx) = nginx() else { return skipped(test, "no nginx to compare with") };
    let current = nginx_is_current(&nginx);
    for ((name, ..), (theirs, ours)) in cases.iter().zip(told(nginx, &locations).iter().zip(&ours)) {
        // nginx 1.22 has no protocol left in this case, and says so without asking.
        let least = !current && *name == "least";
        let same = if least { (theirs.0, &theirs.1) == (ours.0, &ours.1) } else { theirs == ours };
        assert!(same, "{name}: nginx {theirs:?}, tenrec {ours:?}");
    }
}

#[test]
fn certificates_are_judged_as_nginx_judges_them() {
    let of = |crt, key| Make { pair: (crt, key), ..GOOD }.says("ok");
    let good = GOOD.says("ok");
    let (expired, own) = (of("expired.crt", "expired.key"), of("own.crt", "own.key"));
    let (deep, revoked) = (of("deep.chain.crt", "deep.key"), of("revoked.crt", "revoked.key"));
    let plain = of("plain.crt", "plain.key");
    let file = |name: &str| fixture(name).display().to_string();
    let by = |addr: &str, ca: &str, name: &str, more: &str| {
        format!(
            "proxy_pass https://{addr}; proxy_ssl_verify on; proxy_ssl_trusted_certificate {}; \
             proxy_ssl_name {name}; {more}",
            file(ca)
        )
    };
    let crl = format!("proxy_ssl_crl {};", file("ca.crl"));
    compare(
        "certificates_are_judged_as_nginx_judges_them",
        &[
            ("good", by(&good.addr(), "ca.crt", "backend.test", ""), ""),
            ("wild", by(&good.addr(), "ca.crt", "a.wild.test", ""), ""),
            ("name", by(&good.addr(), "ca.crt", "other.test", ""), "does not match \"other.test\""),
            ("port", by(&good.addr(), "ca.crt", "other.test:8443", ""), "does not match \"other.test\""),
            ("unset", by(&good.addr(), "ca.crt", "''", ""), "does not match \"\""),
            ("expired", by(&expired.addr(), "ca.crt", "backend.test", ""), "(10:certificate has expired)"),
            ("own", by(&own.addr(), "ca.crt", "own.test", ""), "(18:self-signed certificate)"),
            ("trusted", by(&own.addr(), "own.crt", "own.test", ""), ""),
            ("subject", by(&plain.addr(), "plain.crt", "plain.test", ""), ""),
            ("subject2", by(&plain.addr(), "plain.crt", "x.test", ""), "does not match \"x.test\""),
            ("deep", by(&deep.addr(), "ca.crt", "deep.test", ""), ""),
            (
                "long",
                by(&deep.addr(), "ca.crt", "deep.test", "proxy_ssl_verify_depth 0;"),
                "verify error: (20:",
            ),
            ("revoked", by(&revoked.addr(), "ca.crt", "backend.test", &crl), "(23:certificate revoked)"),
            ("listed", by(&good.addr(), "ca.crt", "backend.test", &crl), ""),
            ("unlisted", by(&deep.addr(), "ca.crt", "deep.test", &crl), "(3:unable to get certificate CRL)"),
            ("unknown", by(&good.addr(), "own.crt", "backend.test", ""), "verify error: (2"),
            ("off", format!("proxy_pass https://{};", expired.addr()), ""),
        ],
    );
    assert_eq!(
        revoked.seen().len() + own.seen().len(),
        nginx().map_or(1, |_| 2),
        "the trusted one's requests"
    );
}

#[test]
fn handshakes_that_fail_are_told_as_nginx_tells_them() {
    let plain = misbehaves(http_alone);
    let hears = misbehaves(hello);
    let resets = misbehaves(|stream| {
        hello(stream);
        reset(stream);
    });
    let greets = misbehaves(|stream| {
        hello(stream);
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2 this is another protocol\r\n");
        hello(stream);
    });
    let stalls = misbehaves(|stream| {
        hello(stream);
        hello(stream);
    });
    let old = Make { only_tls12: true, ..GOOD }.says("ok");
    let to = |addr: String| format!("proxy_pass https://{addr};");
    compare(
        "handshakes_that_fail_are_told_as_nginx_tells_them",
        &[
            (
                "plain",
                to(plain.addr()),
                "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)",
            ),
            (
                "greets",
                to(greets.addr()),
                "SSL routines::wrong version number) while SSL handshaking to upstream",
            ),
            (
                "hears",
                to(hears.addr()),
                "peer closed connection in SSL handshake while SSL handshaking to upstream",
            ),
            (
                "resets",
                to(resets.addr()),
                "peer closed connection in SSL handshake (104: Connection reset by peer)",
            ),
            (
                "stalls",
                to(stalls.addr()) + "proxy_connect_timeout 200ms;",
                "upstream timed out (110: Connection timed out) while SSL handshaking to upstream",
            ),
            ("old", to(old.addr()), ""),
            (
                "suite",
                to(old.addr()) + "proxy_ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256;",
                "sslv3 alert handshake failure",
            ),
            ("least", to(old.addr()) + "proxy_ssl_conf_command MinProtocol TLSv1.3;", "SSL alert number 70"),
            (
                "newer",
                to(old.addr()) + "proxy_ssl_protocols TLSv1.3;",
                "tlsv1 alert protocol version:SSL alert number 70",
            ),
        ],
    );
}

/// What a server of plain HTTP makes of a hello.
fn http_alone(stream: &mut TcpStream) {
    hello(stream);
    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    hello(stream);
}

/// Closes with a reset.
fn reset(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    #[expect(unsafe_code, reason = "setsockopt reads the structure it is given")]
    let done = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    assert_eq!(done, 0);
}

#[test]
fn a_backend_that_ends_without_a_farewell_ends_its_answer() {
    let says = |bytes: &'static str| {
        GOOD.serves(move |_, out| {
            let _ = out.write_all(bytes.as_bytes());
            Then::Cut
        })
    };
    let half = says("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
    let whole = says("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    let nothing = says("");
    let to = |addr: String| format!("proxy_pass https://{addr};");
    let cases = [
        ("whole", to(whole.addr()), ""),
        (
            "nothing",
            to(nothing.addr()),
            "upstream prematurely closed connection while reading response header",
        ),
    ];
    compare("a_backend_that_ends_without_a_farewell_ends_its_answer", &cases);
    let daemon = Daemon::start(&http(&format!(
        "server {{ listen 127.0.0.1:%%8080%%; location / {{ {} }} }}",
        to(half.addr())
    )));
    let got = crate::support::client::raw(daemon.port(8080), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(got.ends_with(b"\r\n\r\nhalf"), "{}", String::from_utf8_lossy(&got));
    daemon.logged("error.log", "upstream prematurely closed connection while reading upstream");
}

#[test]
fn after_a_failed_handshake_another_server_is_asked_and_the_first_left_alone() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let plain = misbehaves(move |stream| {
        count.fetch_add(1, Ordering::SeqCst);
        http_alone(stream);
    });
    let good = GOOD.says("good");
    let daemon = Daemon::start(&http(&format!(
        "upstream u {{ server {}; server {}; }}\nadd_header X-Up \"$upstream_addr $upstream_status\";\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass https://u; }} }}",
        plain.addr(),
        good.addr()
    )));
    let port = daemon.port(8080);
    let first = get(port, "/").header("X-Up").unwrap();
    assert_eq!(first, format!("{}, {} 502, 200", plain.addr(), good.addr()));
    for _ in 0..5 {
        assert_eq!(get(port, "/").header("X-Up").unwrap(), format!("{} 200", good.addr()));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
