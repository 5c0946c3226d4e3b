//! `-t` of `proxy_ssl_*`, beside nginx, and what each level of the test looks at.

use std::process::Output;

use crate::differential::http;
use crate::support::daemon::{Program, command, nginx, nginx_is_current, once, prefix};
use crate::support::skipped;
use crate::support::tls::fixture;

/// A location with these lines, in a folder with the fixtures of certificates.
fn conf(lines: &str) -> String {
    http(&format!(
        "server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass https://127.0.0.1:1; {lines} }} }}"
    ))
}

fn test(program: &Program, lines: &str) -> String {
    let certificates = format!("{}/", fixture("").display());
    let lines = lines.replace("~/", &certificates);
    let Output { stderr, .. } = once(program, &conf(&lines), &["-t"]);
    let said = String::from_utf8(stderr).unwrap();
    // The folder is another one each time.
    said.split("/tmp/")
        .map(|part| part.split_once('/').map_or(part, |(_, rest)| rest))
        .collect::<Vec<_>>()
        .join("…/")
}

const CASES: &[&str] = &[
    "proxy_ssl_certificate nofile; proxy_ssl_certificate_key ~/client.key;",
    "proxy_ssl_certificate ~/client.crt;",
    "proxy_ssl_certificate_key ~/client.key;",
    "proxy_ssl_certificate /dev/null; proxy_ssl_certificate_key ~/client.key;",
    "proxy_ssl_certificate ~/client.key; proxy_ssl_certificate_key ~/client.key;",
    "proxy_ssl_certificate ~/client.crt; proxy_ssl_certificate_key nofile;",
    "proxy_ssl_certificate ~/client.crt; proxy_ssl_certificate_key ~/backend.key;",
    "proxy_ssl_certificate ~/client.crt; proxy_ssl_certificate_key ~/client.crt;",
    "proxy_ssl_certificate ~/client.crt; proxy_ssl_certificate_key ~/client.key;",
    "proxy_ssl_certificate ''; proxy_ssl_certificate_key '';",
    "proxy_ssl_certificate '';",
    "proxy_ssl_certificate $host; proxy_ssl_certificate_key nofile;",
    "proxy_ssl_certificate $host;",
    "proxy_ssl_certificate data:x; proxy_ssl_certificate_key data:y;",
    "proxy_ssl_password_file nofile;",
    "proxy_ssl_verify on;",
    "proxy_ssl_verify on; proxy_ssl_trusted_certificate nofile;",
    "proxy_ssl_verify on; proxy_ssl_trusted_certificate /dev/null;",
    "proxy_ssl_verify on; proxy_ssl_trusted_certificate ~/ca.crt; proxy_ssl_crl nofile;",
    "proxy_ssl_verify on; proxy_ssl_trusted_certificate ~/ca.crt; proxy_ssl_crl ~/ca.crt;",
    "proxy_ssl_verify on; proxy_ssl_trusted_certificate ~/ca.crt; proxy_ssl_crl ~/ca.crl;",
    "proxy_ssl_verify off; proxy_ssl_trusted_certificate nofile; proxy_ssl_crl nofile;",
    "proxy_ssl_protocols TLSv1.4;",
    "proxy_ssl_protocols TLSv1.2 TLSv1.2;",
    "proxy_ssl_protocols TLSv1 TLSv1.1 TLSv1.2;",
    "proxy_ssl_verify_depth x;",
    "proxy_ssl_verify_depth 1; proxy_ssl_verify_depth 2;",
    "proxy_ssl_verify maybe;",
    "proxy_ssl_ciphers FOO;",
    "proxy_ssl_ciphers 'FOO:!BAR:HIGH';",
    "proxy_ssl_ciphers '';",
    "proxy_ssl_ciphers FOO; proxy_ssl_certificate ~/client.crt;",
    "proxy_ssl_conf_command Foo bar;",
    "proxy_ssl_conf_command MinProtocol TLSv1.9;",
    "proxy_ssl_conf_command Ciphersuites TLS_FOO;",
    "proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;",
    "proxy_ssl_conf_command Options foo;",
    "proxy_ssl_conf_command Foo bar; proxy_ssl_verify on;",
    "proxy_ssl_name $nothing_of_the_kind;",
];

#[test]
fn nginx_says_the_same_of_the_settings() {
    // An older one words some of it in another way.
    let Some(nginx) = nginx().filter(nginx_is_current) else {
        return skipped("nginx_says_the_same_of_the_settings", "no nginx 1.31 to compare with");
    };
    for lines in CASES {
        assert_eq!(
            test(&nginx, lines),
            test(&Program::Tenrec, lines),
            "{lines}: nginx (left), tenrec (right)"
        );
    }
}

#[test]
fn the_cache_of_certificates_is_read_as_nginx_reads_it() {
    for (lines, wrong) in [
        ("proxy_ssl_certificate_cache max=0;", "invalid parameter \"max=0\""),
        (
            "proxy_ssl_certificate_cache valid=1s;",
            "\"proxy_ssl_certificate_cache\" must have the \"max\" parameter",
        ),
        ("proxy_ssl_certificate_cache max=3 inactive=x;", "invalid parameter \"inactive=x\""),
        ("proxy_ssl_certificate_cache off; proxy_ssl_certificate_cache off;", "directive is duplicate"),
    ] {
        let said = test(&Program::Tenrec, lines);
        assert!(said.contains(wrong), "{lines}: {said}");
    }
    assert!(test(&Program::Tenrec, "proxy_ssl_certificate_cache off max=2;").contains("is successful"));
}

#[test]
fn certificates_are_read_by_the_test_of_the_environment_alone() {
    let dir = prefix(&[]);
    let lines = "proxy_ssl_certificate gone.crt; proxy_ssl_certificate_key gone.key; proxy_ssl_password_file gone;\n\
                 proxy_ssl_verify on; proxy_ssl_trusted_certificate gone.ca; proxy_ssl_crl gone.crl;";
    let conf = conf(lines).replace("%%8080%%", "1");
    std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
    let said = |level: &str| {
        let output = command(&Program::Tenrec, dir.path()).args(["-t", &format!("--level={level}")]).output();
        String::from_utf8(output.unwrap().stderr).unwrap()
    };
    assert!(said("semantic").contains("is successful"), "{}", said("semantic"));
    let all = said("environment");
    assert!(
        all.contains("gone\" failed (2: No such file") && all.contains("cannot load certificate"),
        "{all}"
    );
    // What needs no file is found without one.
    let conf = http(
        "server { listen 127.0.0.1:1; location / { proxy_pass https://127.0.0.1:1; proxy_ssl_verify on; } }",
    );
    std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
    assert!(said("semantic").contains("no proxy_ssl_trusted_certificate for proxy_ssl_verify"));
}

#[test]
fn explain_tells_how_the_backend_is_spoken_to_and_needs_no_certificate() {
    let dir = prefix(&[]);
    let conf = http(
        "upstream app.test { server 127.0.0.1:1; }\n\
         server { listen 127.0.0.1:1; location / { proxy_pass https://app.test; proxy_ssl_verify on;\n\
           proxy_ssl_trusted_certificate gone.ca; proxy_ssl_crl gone.crl; proxy_ssl_server_name on;\n\
           proxy_ssl_certificate gone.crt; proxy_ssl_certificate_key gone.key; }\n\
         location /any { proxy_pass https://app.test; }\nlocation /plain { proxy_pass http://app.test; } }",
    );
    std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
    let explain = |path: &str, more: &[&str]| {
        let output = explain(dir.path(), &format!("GET http://127.0.0.1:1{path}"), more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = explain("/", &[]);
    let line = "tls         the name \"app.test\" is sent; the certificate must be for \"app.test\", by gone.ca, depth 1, \
                not revoked by gone.crl; gone.crt is shown";
    assert!(said.contains(line), "{said}");
    assert!(explain("/any", &[]).contains("tls         no name is sent; any certificate is accepted\n"));
    let json = |path: &str| -> serde_json::Value {
        let whole: serde_json::Value = serde_json::from_str(&explain(path, &["--format=json"])).unwrap();
        whole["upstreams"][0]["tls"].clone()
    };
    assert_eq!(
        json("/"),
        serde_json::json!({
            "name": "app.test", "sent": true, "verified": true, "trusted": "gone.ca", "depth": 1, "crl": "gone.crl",
            "certificate": "gone.crt",
        })
    );
    assert_eq!(json("/any")["verified"], false);
    assert_eq!(json("/plain"), serde_json::Value::Null);
}

fn explain(dir: &std::path::Path, request: &str, more: &[&str]) -> Output {
    let mut command = std::process::Command::new(Program::Tenrec.path());
    command.arg("explain").args(["-p", &format!("{}/", dir.display()), "-c", "nginx.conf"]);
    command.args(more).arg(request).output().unwrap()
}

#[test]
fn explain_takes_an_https_url_to_the_socket_with_tls() {
    let dir = prefix(&[]);
    let seen = "add_header X-Seen \"$scheme $https $ssl_server_name $server_name\"; return 200;";
    let conf = http(&format!(
        "ssl_certificate gone.crt; ssl_certificate_key gone.key;\n\
         server {{ listen 443 ssl; server_name a.test; {seen} }}\n\
         server {{ listen 443 ssl; server_name b.test; ssl_reject_handshake on; }}\n\
         server {{ listen 80; server_name c.test; {seen} }}\n\
         server {{ listen 8443 ssl; server_name d.test; ssl_verify_client on; ssl_client_certificate gone; {seen} }}"
    ));
    std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
    let said = |request: &str| {
        let output = explain(dir.path(), request, &[]);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let a = said("GET https://a.test/");
    assert!(
        a.contains("listen      *:443: port 443\n") && a.contains("X-Seen: https on a.test a.test"),
        "{a}"
    );
    let b = said("GET https://b.test/");
    assert!(b.contains("the handshake for \"b.test\" is refused"), "{b}");
    let c = said("GET https://c.test:80/");
    assert!(
        c.contains("(assumed)") && c.contains("somebody in front") && c.contains("X-Seen: http   c.test"),
        "{c}"
    );
    let d = said("GET https://d.test:8443/");
    assert!(d.contains("client sent no required SSL certificate") && d.contains("to client   400\n"), "{d}");
    let plain = said("GET http://a.test:443/");
    assert!(plain.contains("plain HTTP request") && plain.contains("to client   400\n"), "{plain}");
}
