//! `tenrec migrate --to nginx`: what the open nginx reads, and keeps sessions with.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::client::{get, get_with};
use crate::support::daemon::{Daemon, Program, nginx, nginx_is_current, once};
use crate::support::origin::Origin;
use crate::support::skipped;

fn out(text: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("input"), text).unwrap();
    Command::new(Program::Tenrec.path())
        .current_dir(dir.path())
        .args(["migrate", "--to", "nginx", "input"])
        .output()
        .unwrap()
}

/// The nginx that has `sticky`.
fn current(test: &str) -> Option<Program> {
    let found = nginx().filter(nginx_is_current);
    if found.is_none() {
        skipped(test, "no nginx 1.31");
    }
    found
}

#[test]
fn nginx_accepts_what_comes_out() {
    let Some(program) = current("what comes out is accepted") else { return };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/migrate");
    let mut count = 0;
    for folder in ["to-nginx", "sticky-ng"] {
        for entry in std::fs::read_dir(dir.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "in") {
                continue;
            }
            let done = out(&std::fs::read_to_string(&path).unwrap());
            let conf = String::from_utf8(done.stdout).unwrap();
            let conf = conf.replace("user nobody;", "").replace("include mime.types;", "");
            let test = once(&program, &format!("pid nginx.pid; error_log error.log;\n{conf}"), &["-t"]);
            let said = String::from_utf8_lossy(&test.stderr).into_owned();
            assert!(test.status.success(), "{}: {said}\n{conf}", path.display());
            count += 1;
        }
    }
    assert!(count >= 3);
}

#[test]
fn a_session_of_tenrec_stays_when_nginx_takes_over() {
    let Some(program) = current("a session stays") else { return };
    for line in ["session_sticky;", "session_sticky hash=plain;", "sticky text=raw;"] {
        let origins = ["one", "two"].map(Origin::says);
        let text = format!(
            "events {{ }}\nhttp {{ access_log off; upstream a {{ {line} server {}; server {}; }}\n\
             server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://a; }} }} }}\n",
            origins[0].addr(),
            origins[1].addr()
        );
        let ours = Daemon::start(&format!("pid t.pid; error_log error.log;\n{text}"));
        let done = out(&text);
        let conf = String::from_utf8(done.stdout).unwrap();
        let theirs = Daemon::run(program.clone(), &format!("pid n.pid; error_log error.log;\n{conf}"), &[]);
        for _ in 0..4 {
            let first = get(ours.port(8080), "/");
            let pin = first.cookie("route").unwrap();
            let answer = get_with(theirs.port(8080), "/", &format!("Cookie: {pin}\r\n"));
            assert_eq!(answer.text(), first.text(), "{line} {pin}");
        }
    }
}

#[test]
fn what_nginx_has_not_is_told_and_the_exit_code_says_so() {
    let text =
        "events { } http { upstream a { server 127.0.0.1:1; session_sticky fallback=off; check type=tcp; } }";
    let done = out(text);
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("dropped: check type=tcp"), "{said}");
    assert!(said.contains("nginx has no fallback=off"), "{said}");
    let whole = "events { } http { upstream a { server 127.0.0.1:1; } server { location / { proxy_pass http://a; } } }";
    assert_eq!(out(whole).status.code(), Some(0));
    for (args, text) in [
        (&["--to=apache", "x"][..], "unknown target \"apache\""),
        (&["--to=nginx", "--from=fgw", "x"], "two steps"),
    ] {
        let done = Command::new(Program::Tenrec.path()).arg("migrate").args(args).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains(text), "{said}");
    }
}
