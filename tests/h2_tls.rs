//! HTTP/2 over TLS, agreed on by ALPN (RFC 7301).

use std::process::Command;

use crate::support::daemon::Daemon;
use crate::support::skipped;
use crate::support::tls::fixture;

#[test]
fn what_is_spoken_over_tls_is_agreed_on() {
    if Command::new("curl").arg("-V").output().is_err() {
        return skipped("what_is_spoken_over_tls_is_agreed_on", "no curl");
    }
    let (cert, key) = (fixture("backend.crt"), fixture("backend.key"));
    let daemon = Daemon::start(&format!(
        "events {{}} http {{ ssl_certificate {}; ssl_certificate_key {};
           server {{ listen 127.0.0.1:%%8080%% ssl; http2 on;
             location / {{ return 200 \"$http2 $server_protocol $scheme $ssl_alpn_protocol\"; }}
             location /large {{ alias large.txt; }} }}
           server {{ listen 127.0.0.1:%%8081%% ssl; return 200 \"$http2-$server_protocol\"; }} }}",
        cert.display(),
        key.display()
    ));
    let large = "0123456789abcdef".repeat(40_000);
    std::fs::write(daemon.prefix().join("large.txt"), &large).unwrap();
    let curl = |port: u16, path: &str, version: &str| {
        let url = format!("https://127.0.0.1:{}{path}", daemon.port(port));
        let out = Command::new("curl").args(["-sSk", "-m", "10", version, &url]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
    };
    assert_eq!(curl(8080, "/", "--http2"), "h2 HTTP/2.0 https h2");
    assert_eq!(curl(8080, "/", "--http1.1"), " HTTP/1.1 https http/1.1");
    assert!(curl(8080, "/large", "--http2") == large);
    assert_eq!(curl(8081, "/", "--http2"), "-HTTP/1.1");
}
