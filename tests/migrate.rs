//! `tenrec migrate` from outside: what it writes is run, and sessions stay where they were.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use crate::support::client::{get, get_with};
use crate::support::daemon::{Daemon, Program};
use crate::support::origin::Origin;

/// Runs `tenrec migrate` on a text.
fn migrate(from: &str, text: &str, more: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("input"), text).unwrap();
    let mut command = Command::new(Program::Tenrec.path());
    command.current_dir(dir.path()).args(["migrate", "--from", from, "input"]).args(more);
    command.output().unwrap()
}

/// The output on a port of the kernel's, started.
fn run(from: &str, text: &str) -> Daemon {
    let out = migrate(from, text, &[]);
    let conf = String::from_utf8(out.stdout).unwrap();
    assert!(conf.contains("listen 8080"), "{conf}{}", String::from_utf8_lossy(&out.stderr));
    let conf = conf.replace("listen 8080", "listen 127.0.0.1:%%8080%%");
    Daemon::start(&format!("pid tenrec.pid; error_log error.log info;\n{conf}"))
}

#[test]
fn the_fgw_guide_runs_and_its_cookies_are_still_good() {
    let origins = [Origin::says("Hello, world"), Origin::says("Hello again")];
    let text = include_str!("../fixtures/migrate/fgw/seed.in")
        .replace("127.0.0.1:8081", &origins[0].addr())
        .replace("127.0.0.1:8082", &origins[1].addr());
    let daemon = run("fgw", &text);
    let mut values = BTreeSet::new();
    for _ in 0..4 {
        let first = get(daemon.port(8080), "/");
        let set = first.header("Set-Cookie").unwrap();
        let parts: Vec<&str> = set.split("; ").collect();
        assert!(parts.contains(&"Path=/") && parts.contains(&"Max-Age=3600"), "{set}");
        let pin = first.cookie("_srv_id").unwrap();
        assert!(pin["_srv_id=".len()..].bytes().all(|b| b.is_ascii_digit()), "{pin}");
        for _ in 0..10 {
            let again = get_with(daemon.port(8080), "/", &format!("Cookie: {pin}\r\n"));
            assert_eq!((again.text(), again.header("Set-Cookie")), (first.text(), None));
        }
        values.insert(pin);
    }
    assert_eq!(values.len(), 2, "without the cookie it goes round");
}

#[test]
fn the_exit_code_says_whether_something_was_dropped() {
    let whole = include_str!("../fixtures/migrate/fgw/seed.in");
    let out = migrate("fgw", whole, &["--report", "json", "--out", "x"]);
    assert_eq!(out.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["dropped"], 0);
    assert_eq!(report["sessions"][0]["fate"], "kept by alias");
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.iter().all(|r| r["file"] == "input" && r["line"].as_u64().unwrap() > 0));
    let out = migrate("fgw", &whole.replace("\"Chains\"", "\"Chain\""), &[]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("dropped: Chain.HTTPRoute[0] = \"common/consumer.js\""), "{said}");
    let out = migrate("fgw", &whole[..200], &[]);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.starts_with("tenrec: migrate: input:14:") && out.stdout.is_empty(), "{said}");
}

#[test]
fn what_is_missing_or_unknown_is_said() {
    for (args, text) in [
        (&["--from"][..], "option \"--from\" requires SYSTEM"),
        (&["--from", "varnish", "x"], "unknown system \"varnish\"; known: "),
        (&["--from=fgw"], "no input"),
        (&["x"], "--from=SYSTEM says"),
        (&["--from=fgw", "x", "--report=xml"], "unknown report \"xml\""),
        (&["--from=fgw", "/nowhere"], "/nowhere: 2: No such file"),
    ] {
        let out = Command::new(Program::Tenrec.path()).arg("migrate").args(args).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && said.contains(text), "{args:?}: {said}");
    }
}
