//! `tenrec lint`: what it prints, writes and answers.

use std::process::{Command, Output};

use serde_json::Value;

use super::support::daemon::Program;

const CONF: &str = "events {}\nhttp {\n    upstream u {\n        server 10.0.0.1:80;\n        sticky_cookie_insert a samesite=none domain=$host;\n        least_conn;\n    }\n    server { listen 127.0.0.1:80; location / { proxy_pass http://u; } }\n}\n";

fn tenrec(args: &[&str]) -> Output {
    Command::new(Program::Tenrec.path()).args(args).output().unwrap()
}

#[test]
fn fixes_are_shown_then_written_and_leave_nothing_to_say() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("n.conf");
    std::fs::write(&file, CONF).unwrap();
    let name = file.to_str().unwrap();
    let output = tenrec(&["lint", "--fix-dry-run", "--strict", name]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2));
    for part in
        ["S2 [warn]", "S3 [warn]", "S14 [warn]", "S15 [warn]", "-        least_conn;", "+        least_conn;"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), CONF, "nothing was written");
    // What touches the same bytes as another fix waits for the next run.
    for _ in 0..3 {
        assert_eq!(tenrec(&["lint", "--fix", name]).status.code(), Some(0));
    }
    let fixed = std::fs::read_to_string(&file).unwrap();
    assert!(fixed.contains("sticky cookie a samesite=none secure;"), "{fixed}");
    let output = tenrec(&["lint", "--strict", name]);
    assert_eq!((output.status.code(), output.stdout), (Some(0), Vec::new()), "{fixed}");
    assert_eq!(tenrec(&["-t", "-c", name, "--level=semantic"]).status.code(), Some(0));
}

#[test]
fn the_test_tells_advice_in_formats_only() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("n.conf");
    std::fs::write(&file, CONF).unwrap();
    let name = file.to_str().unwrap();
    let output = tenrec(&["-t", "-c", name, "--level=semantic", "--format=json"]);
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = got["diagnostics"].as_array().unwrap();
    let s3 = list.iter().find(|d| d["code"] == "S3").unwrap();
    assert_eq!((output.status.code(), &s3["line"]), (Some(0), &5.into()));
    assert_eq!(s3["fix"]["edits"][0]["text"], " secure");
    let output = tenrec(&["-t", "-c", name, "--level=semantic"]);
    assert!(!String::from_utf8(output.stderr).unwrap().contains("browsers"));
}

#[test]
fn a_file_that_was_not_read_whole_is_not_without_fault() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("n.conf");
    std::fs::write(&file, "http { upstream u { sticky").unwrap();
    assert_eq!(tenrec(&["lint", file.to_str().unwrap()]).status.code(), Some(1));
    assert_eq!(tenrec(&["lint", "/no/such/file"]).status.code(), Some(1));
}
