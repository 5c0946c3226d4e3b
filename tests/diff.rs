//! `tenrec diff`: settings, requests, sessions; text, JSON, exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const OLD: &str = r#"events {}
http {
    upstream app { sticky cookie s; server 127.0.0.1:9001 route=a; server 127.0.0.1:9002 route=b; }
    upstream api { hash $uri consistent; server 127.0.0.1:9003; server 127.0.0.1:9004; }
    server {
        listen 127.0.0.1:8080;
        server_name shop.example;
        add_header X-Frame-Options DENY;
        proxy_read_timeout 60s;
        location / { proxy_pass http://app; }
        location /api/ { proxy_pass http://api; }
        location /static/ { return 204; }
    }
}
"#;

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn diff(args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_tenrec")).arg("diff").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_change_is_told_by_settings_requests_and_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let old = write(dir.path(), "old.conf", OLD);
    let new = OLD
        .replace("server 127.0.0.1:9002 route=b;", "server 127.0.0.1:9005 route=b;")
        .replace("server 127.0.0.1:9004;", "server 127.0.0.1:9004; server 127.0.0.1:9006;")
        .replace(
            "location /static/ {",
            "location ~ \\.php$ { return 403; } location /static/ { add_header X-S 1;",
        );
    let new = write(dir.path(), "new.conf", &new);
    let mut log = String::new();
    for target in ["/", "/x.php", "/api/y", "/api/z.php", "/x.php"] {
        log += &format!(
            "10.0.0.1 - - [21/Nov/2026:10:00:00 +0000] \"GET {target} HTTP/1.1\" 200 5 \"-\" \"-\"\n"
        );
    }
    log += "broken\n";
    let log = write(dir.path(), "access.log", &log);

    let (code, out, err) = diff(&[&old, &new, "--access-log", &log]);
    assert_eq!(code, Some(1), "{err}");
    for said in [
        "+ http / server shop.example (127.0.0.1:8080) / location ~ \\.php$",
        "    - server 127.0.0.1:9002 route=b\n    + server 127.0.0.1:9005 route=b\n",
        "    ! no longer inherited here: add_header X-Frame-Options DENY\n",
        "b now means 127.0.0.1:9005",
        "% of clients move to another peer",
        "GET http://shop.example/x.php\n    - server \"shop.example\", location \"/\", upstream \"app\"\n",
        "    + server \"shop.example\", location \"~ \\.php$\"\n",
        "requests: 2 of 4 go elsewhere, 1 repeated, 1 lines not understood\n",
    ] {
        assert!(out.contains(said), "{said}\nin\n{out}");
    }

    let (code, out, _) = diff(&[&old, &new, "--access-log", &log, "--format=json"]);
    assert_eq!(code, Some(1));
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["same"], false);
    assert_eq!(json["requests"]["changed"], 2);
    assert_eq!(json["requests"]["undecodable"], 1);
    let fates: Vec<&str> =
        json["sessions"][0]["pins"].as_array().unwrap().iter().map(|p| p["fate"].as_str().unwrap()).collect();
    assert_eq!(fates, ["kept", "moved"]);
    let moved = json["sessions"][1]["hash"]["moved"].as_u64().unwrap();
    assert!((1000..1800).contains(&moved), "a third of 4096: {moved}");
}

#[test]
fn no_difference_is_0_and_what_cannot_be_compared_is_2() {
    let dir = tempfile::tempdir().unwrap();
    let old = write(dir.path(), "old.conf", OLD);
    let same = OLD.replace("proxy_read_timeout 60s;", "proxy_read_timeout 1m; # the same");
    let same = write(dir.path(), "same.conf", &same);
    let (code, out, _) = diff(&[&old, &same]);
    assert_eq!((code, &*out), (Some(0), "no difference\n"));

    let broken = write(dir.path(), "broken.conf", "events {}\nhttp { nonsense; }\n");
    let gone = dir.path().join("gone.conf").display().to_string();
    for (args, wrong) in [
        (&[&*old][..], "two configurations"),
        (&[&*old, &*broken], "unknown directive \"nonsense\""),
        (&[&*old, &*gone], "No such file"),
        (&[&*old, &*same, "--urls", &*gone], "No such file"),
        (&[&*old, &*same, "--limit", "many", "--urls", &*old], "--limit is a number"),
        (&[&*old, &*same, "--urls", &*old, "--access-log", &*old], "not both"),
        (&[&*old, &*same, "--urls", &*old, "--host", "a b"], "invalid host"),
    ] {
        let (code, out, err) = diff(args);
        assert_eq!(code, Some(2), "{args:?}: {out}{err}");
        assert!(err.contains(wrong), "{args:?}: {err}");
    }
}
