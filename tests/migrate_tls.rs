//! Listeners and servers with TLS: HAProxy's file on HAProxy and on tenrec, the same requests.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::migrate::{beside, migrate};
use crate::support::client::get_with;
use crate::support::daemon::Daemon;
use crate::support::origin::Origin;
use crate::support::skipped;

/// A key and a certificate of its own for a name, in one file, as HAProxy has them. `None`: no openssl here.
fn pem(dir: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    let (key, certificate) = (dir.join("key"), dir.join("certificate"));
    let done = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    if !done.is_ok_and(|s| s.success()) {
        return None;
    }
    let both = [std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap()].concat();
    let path = dir.join(format!("{name}.pem"));
    std::fs::write(&path, both).unwrap();
    Some(path)
}

/// A request over TLS by openssl's client: the answer as it came.
fn secure(port: u16, name: &str, fields: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-servername", name, "-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n{fields}\r\n");
    child.stdin.as_mut().unwrap().write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    child.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    text
}

#[test]
fn a_listener_with_tls_answers_redirects_and_keeps_sessions_as_in_haproxy() {
    let dir = tempfile::tempdir().unwrap();
    let Some(pem) = pem(dir.path(), "shop.test") else { return skipped("TLS of listeners", "no openssl") };
    let origins = ["one", "two"].map(Origin::says);
    let second = crate::support::daemon::free_port();
    let text = |port: u16| {
        format!(
            "global\n ssl-default-bind-options ssl-min-ver TLSv1.2\n\
             defaults\n mode http\n timeout connect 5s\n timeout server 5s\n timeout client 5s\n\
             frontend front\n bind 127.0.0.1:%%PORT%%\n bind 127.0.0.1:{port} ssl crt {} alpn http/1.1\n\
             http-request redirect scheme https code 301 unless {{ ssl_fc }}\n\
             http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}\n default_backend web\n\
             backend web\n cookie SRV insert indirect httponly secure\n server a {} cookie A\n server b {} cookie B\n",
            pem.display(),
            origins[0].addr(),
            origins[1].addr()
        )
    };
    let (theirs, first) = beside(&text(second));
    drop(first);
    let Some(theirs) = theirs else { return skipped("TLS of listeners", "no HAProxy") };
    let out = migrate("haproxy", &text(8443).replace("127.0.0.1:%%PORT%%", ":8080"), &[]);
    let conf = String::from_utf8(out.stdout).unwrap();
    let conf = conf.replace("listen 8080", "listen 127.0.0.1:%%8080%%").replace(":8443", ":%%8443%%");
    let ours = Daemon::start(&format!("pid tenrec.pid; error_log error.log info;\n{conf}"));
    for port in [theirs.port(), ours.port(8080)] {
        let answer = get_with(port, "/x?y", "");
        assert_eq!(answer.status, 301);
        assert!(
            answer.header("Location").unwrap().starts_with("https://"),
            "{:?}",
            answer.header("Location")
        );
    }
    let ports = [second, ours.port(8443)];
    let cookie = |text: &str| {
        let line =
            text.lines().find(|l| l.to_ascii_lowercase().starts_with("set-cookie:")).unwrap_or_default();
        let (_, value) = line.split_once(": ").unwrap_or_default();
        let mut parts: Vec<String> = value.split("; ").map(str::to_ascii_lowercase).collect();
        parts.sort();
        parts
    };
    for port in ports {
        let answer = secure(port, "shop.test", "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let parts = cookie(&answer);
        assert!(parts.iter().any(|p| p == "httponly") && parts.iter().any(|p| p == "secure"), "{parts:?}");
        let pin = parts.iter().find(|p| p.starts_with("srv=")).unwrap().to_ascii_uppercase();
        let body = if pin == "SRV=A" { "one" } else { "two" };
        assert!(answer.ends_with(body), "{answer}");
        // Either of the two honours it.
        for other in ports {
            for _ in 0..3 {
                let again = secure(other, "shop.test", &format!("Cookie: {pin}\r\n"));
                assert!(again.ends_with(body), "{pin}: {again}");
            }
        }
    }
    let request = origins.iter().map(Origin::last).find(|r| r.header("X-Forwarded-Proto").is_some()).unwrap();
    assert_eq!(request.header("X-Forwarded-Proto"), Some("https"));
}

/// What speaks TLS to the outside is the backend of the next.
#[test]
fn servers_with_tls_are_spoken_to_and_looked_at_as_haproxy_does() {
    let dir = tempfile::tempdir().unwrap();
    let Some(pem) = pem(dir.path(), "in.test") else { return skipped("TLS of servers", "no openssl") };
    let origin = Origin::says("inside");
    let inner = Daemon::start(&format!(
        "pid tenrec.pid; error_log error.log info; events {{ }} http {{ server {{ listen 127.0.0.1:%%8443%% ssl; \
         ssl_certificate {0}; ssl_certificate_key {0}; location / {{ proxy_pass http://{1}; }} }} }}",
        pem.display(),
        origin.addr()
    ));
    let other = pem_of_another(dir.path());
    for (words, status) in [
        ("ssl verify none".to_owned(), 200),
        (format!("ssl verify required ca-file {} sni str(in.test) verifyhost in.test", pem.display()), 200),
        (format!("ssl verify required ca-file {} sni str(in.test) verifyhost in.test", other.display()), 503),
        (format!("ssl verify required ca-file {} sni str(no.test) verifyhost no.test", pem.display()), 503),
    ] {
        let text = format!(
            "defaults\n mode http\n timeout connect 5s\n timeout server 5s\n timeout client 5s\n retries 0\n\
             frontend front\n bind 127.0.0.1:%%PORT%%\n default_backend web\n\
             backend web\n server a 127.0.0.1:{} {words}\n",
            inner.port(8443)
        );
        let (theirs, ours) = beside(&text);
        let Some(theirs) = theirs else { return skipped("TLS of servers", "no HAProxy") };
        let answer = get_with(theirs.port(), "/", "");
        assert_eq!(answer.status, status, "HAProxy, {words}");
        let answer = get_with(ours.port(8080), "/", "");
        // Nobody to ask is a 502 here.
        assert_eq!(answer.status, if status == 503 { 502 } else { status }, "{words}");
        assert!(status != 200 || answer.text() == "inside");
    }
}

fn pem_of_another(dir: &std::path::Path) -> std::path::PathBuf {
    pem(dir, "other.test").expect("openssl was here before")
}

/// Certificates that the input only names: what is written passes the test of the meaning, which reads no key.
#[test]
fn listeners_whose_certificates_are_elsewhere_pass_the_test_of_their_meaning() {
    for (from, text) in [
        (
            "haproxy",
            "frontend f\n mode http\n bind :8443 ssl crt /nowhere/certs/ alpn h2,http/1.1 verify required ca-file ca.pem\n",
        ),
        (
            "aliyun",
            "{\"ListenerProtocol\":\"https\",\"ListenerPort\":8443,\"ServerCertificateId\":\"12_ab\",\"EnableHttp2\":\"on\",\
           \"TLSCipherPolicy\":\"tls_cipher_policy_1_2\",\"BackendServers\":[{\"ServerIp\":\"127.0.0.1\",\"Port\":80}]}",
        ),
        (
            "tencent",
            "{\"Protocol\":\"HTTPS\",\"Port\":8443,\"Certificate\":{\"SSLMode\":\"MUTUAL\",\"CertId\":\"a\",\"CertCaId\":\"b\"},\
           \"Targets\":[{\"EniIp\":\"127.0.0.1\",\"Port\":80,\"Weight\":10}]}",
        ),
        (
            "fgw",
            "{\"Listeners\":[{\"Protocol\":\"HTTPS\",\"Port\":8443,\"TLS\":{\"Certificates\":[{\"CertChain\":\"x\",\"PrivateKey\":\"y\"}]}}],\
           \"RouteRules\":{\"8443\":{\"*\":{\"Matches\":[{\"Path\":{\"Type\":\"Prefix\",\"Path\":\"/\"},\"BackendService\":{\"a\":{\"Weight\":1}}}]}}},\
           \"Services\":{\"a\":{\"Endpoints\":{\"127.0.0.1:80\":{\"Weight\":1}}}}}",
        ),
        (
            "f5",
            "ltm pool p { members { 127.0.0.1:80 { address 127.0.0.1 } } }\nltm profile client-ssl c { cert /Common/x.crt key /Common/x.key peer-cert-mode require ca-file /Common/ca.crt }\n\
           ltm virtual v { destination 127.0.0.1:8443 pool p profiles { http { } c { context clientside } } }\n",
        ),
        (
            "ingress-nginx",
            "kind: Ingress\nmetadata: {name: a}\nspec:\n  tls: [{hosts: [a.test], secretName: s}]\n  rules:\n  - host: a.test\n    http:\n      \
           paths:\n      - {path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}\n---\n\
           kind: Endpoints\nmetadata: {name: a}\nsubsets: [{addresses: [{ip: 127.0.0.1}], ports: [{port: 80}]}]\n",
        ),
    ] {
        let out = migrate(from, text, &[]);
        let (conf, said) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
        assert!(conf.contains("443 ssl") && conf.contains("ssl_certificate "), "{from}: {conf}{said}");
        assert!(said.contains("approximated"), "{from}: {said}");
        let mutual = text.contains("MUTUAL") || text.contains("require");
        assert_eq!(conf.contains("ssl_verify_client on"), mutual, "{from}: {conf}");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c.conf"), &conf).unwrap();
        let mut test = Command::new(crate::support::daemon::Program::Tenrec.path());
        let test = test
            .current_dir(dir.path())
            .args(["-t", "-p", ".", "-c", "c.conf", "--level=semantic"])
            .output()
            .unwrap();
        assert!(test.status.success(), "{from}: {}\n{conf}", String::from_utf8_lossy(&test.stderr));
    }
}

/// What kept somebody out in the other systems, and cannot be carried over, keeps everybody out.
#[test]
fn guards_of_the_other_systems_close() {
    let virtual_server = |more: &str| {
        format!(
            "ltm pool p {{ members {{ 127.0.0.1:80 {{ address 127.0.0.1 }} }} }}\n\
                 ltm virtual v {{ destination 127.0.0.1:8080 pool p profiles {{ http {{ }} }} {more} }}\n"
        )
    };
    let f5 = [
        virtual_server("rules { /Common/unseen }"),
        virtual_server("policies { /Common/unseen { } }"),
        virtual_server("vlans { /Common/inside } vlans-enabled"),
        virtual_server("fw-enforced-policy /Common/fw"),
        virtual_server("profiles { http { } /Common/access_main { } }").replacen(
            "profiles { http { } } profiles",
            "profiles",
            1,
        ),
        format!(
            "{}ltm rule r {{\nwhen HTTP_REQUEST {{ if {{ [IP::addr [IP::client_addr] equals 10.0.0.0/8] }} {{ reject }} }}\n}}\n",
            virtual_server("rules { r }")
        ),
    ];
    for text in &f5 {
        let out = migrate("f5", text, &[]);
        let conf = String::from_utf8(out.stdout).unwrap();
        assert!(conf.contains("deny all"), "{text}\n{conf}{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(out.status.code(), Some(1));
    }
    let harmless = format!(
        "{}ltm rule r {{\nwhen HTTP_REQUEST {{ HTTP::header insert X 1 }}\n}}\n",
        virtual_server("rules { r }")
    );
    let conf = String::from_utf8(migrate("f5", &harmless, &[]).stdout).unwrap();
    assert!(!conf.contains("deny all"), "{conf}");
    let acl = "{\"ListenerProtocol\":\"http\",\"ListenerPort\":80,\"AclStatus\":\"on\",\"AclType\":\"white\",\"AclId\":\"a\",\
               \"BackendServers\":[{\"ServerIp\":\"127.0.0.1\",\"Port\":80}]}";
    assert!(String::from_utf8(migrate("aliyun", acl, &[]).stdout).unwrap().contains("deny all"));
    for annotation in [
        "auth-url: http://a/",
        "auth-type: basic",
        "whitelist-source-range: not-a-net",
        "auth-tls-secret: a/b",
    ] {
        let text = format!(
            "kind: Ingress\nmetadata:\n  name: a\n  annotations:\n    nginx.ingress.kubernetes.io/{annotation}\nspec:\n  rules:\n  - http:\n      \
             paths:\n      - {{path: /, pathType: Prefix, backend: {{service: {{name: a, port: {{number: 80}}}}}}}}\n"
        );
        let conf = String::from_utf8(migrate("ingress-nginx", &text, &[]).stdout).unwrap();
        assert!(conf.contains("deny all"), "{annotation}: {conf}");
    }
}
