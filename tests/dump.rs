//! `tenrec dump`: beside crossplane itself, and back to a file.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::support::daemon::Program;
use super::support::skipped;

/// What crossplane gets wrong: carriage returns in strings, a last comment without an end of line, a byte order mark, and
/// files that nginx reads and it does not.
const THEIRS: [&str; 3] = ["crlf", "comments-only", "bom"];

/// Of crossplane's own configurations, those that it reads otherwise than nginx: a blank ends no word that holds `${…}`
/// (nginx and we: it does), and what follows a closed quote is another word (nginx and we refuse it).
const NOT_AS_NGINX: [&str; 2] = ["messy", "quote-behavior"];

/// A checkout of crossplane, from the environment: it is what is asked, and its own configurations are read too.
fn checkout() -> Option<PathBuf> {
    std::env::var_os("TENREC_CROSSPLANE").map(PathBuf::from)
}

/// The configurations of a checkout's tests.
fn theirs_too(checkout: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(checkout.join("tests/configs"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| !NOT_AS_NGINX.iter().any(|n| p.ends_with(n)))
        .map(|p| p.join("nginx.conf"))
        .filter(|p| p.is_file())
        .collect();
    files.sort();
    assert!(files.len() > 10, "{} has configurations", checkout.display());
    files
}

fn dump(args: &[&str]) -> Output {
    Command::new(Program::Tenrec.path()).arg("dump").args(args).output().unwrap()
}

fn fixtures() -> Vec<PathBuf> {
    let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")];
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            // A hidden file is there to be left out of an include; it is not in order.
            let hidden = path.file_name().unwrap().to_str().unwrap().starts_with('.');
            let wrong = path.components().any(|c| c.as_os_str() == "err");
            if path.extension().is_some_and(|e| e == "conf") && !hidden && !wrong {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 100, "the fixtures are there");
    files
}

/// Prints, a file a line, what crossplane makes of the files of the command line.
const SCRIPT: &str = "
import sys, json, crossplane
for name in sys.argv[1:]:
    print(json.dumps(crossplane.parse(name, comments=True, check_ctx=False, check_args=False)))
";

#[test]
fn crossplane_prints_the_same() {
    let mut files = fixtures();
    let mut python = Command::new("python3");
    if let Some(checkout) = checkout() {
        files.extend(theirs_too(&checkout));
        python.env("PYTHONPATH", &checkout);
    }
    let run = python.arg("-c").arg(SCRIPT).args(&files).output();
    let Some(output) = run.ok().filter(|o| o.status.success()) else {
        return skipped("dump", "no crossplane to compare with");
    };
    let theirs = String::from_utf8(output.stdout).unwrap();
    let (mut compared, mut lines) = (0, theirs.lines());
    for file in &files {
        let theirs: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        let stem = file.file_stem().unwrap().to_str().unwrap();
        if THEIRS.contains(&stem) || theirs["status"] != "ok" {
            continue;
        }
        let output = dump(&["--include-comments", file.to_str().unwrap()]);
        let ours: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(theirs, ours, "crossplane (left) and tenrec (right) differ on {}", file.display());
        compared += 1;
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn what_was_dumped_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("dump.json");
    let mut built = 0;
    for file in fixtures() {
        let name = file.to_str().unwrap();
        let output = dump(&["--include-comments", "--single-file", name]);
        let before: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}");
        std::fs::write(&json, &output.stdout).unwrap();
        let output = dump(&["--build", json.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let copy = dir.path().join("copy.conf");
        std::fs::write(&copy, &output.stdout).unwrap();
        let output = dump(&["--include-comments", "--single-file", copy.to_str().unwrap()]);
        let after: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(words(&before["config"][0]["parsed"]), words(&after["config"][0]["parsed"]), "{name}");
        built += 1;
    }
    assert!(built > 100);
}

/// Everything but line numbers.
fn words(list: &Value) -> Value {
    let item = |item: &Value| {
        let inside = item.get("block").map(words);
        serde_json::json!([item["directive"], item["args"], item["comment"], inside])
    };
    list.as_array().unwrap().iter().map(item).collect()
}

#[test]
fn files_are_built_below_a_folder_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("c");
    std::fs::create_dir_all(conf.join("d")).unwrap();
    std::fs::write(conf.join("a.conf"), "include d/*.conf;\n").unwrap();
    std::fs::write(conf.join("d/b.conf"), "x \"y z\";\n").unwrap();
    let output = dump(&[conf.join("a.conf").to_str().unwrap()]);
    let json = dir.path().join("j");
    std::fs::write(&json, &output.stdout).unwrap();
    let to = dir.path().join("new");
    let build = |json: &Path| {
        let to = format!("--directory={}", to.display());
        dump(&["--build", &to, json.to_str().unwrap()]).status.code()
    };
    assert_eq!(build(&json), Some(0));
    assert_eq!(std::fs::read_to_string(to.join("a.conf")).unwrap(), "include d/*.conf;\n");
    assert_eq!(std::fs::read_to_string(to.join("d/b.conf")).unwrap(), "x \"y z\";\n");

    let outside = r#"{"config": [{"file": "/c/a", "parsed": []}, {"file": "/c/../b", "parsed": []}]}"#;
    std::fs::write(&json, outside).unwrap();
    assert_eq!(build(&json), Some(1));
    assert!(!to.join("a").exists() && !dir.path().join("b").exists());
}

#[test]
fn what_cannot_be_written_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("j");
    for (items, why) in [
        (r#"{"directive": "a", "line": 7, "args": ["x\\'\\\"  "]}"#, "line 7: "),
        (r#"{"directive": "a", "line": 7, "args": ["x \\"]}"#, "ends in a backslash"),
        (r#"{"directive": "a", "args": [1]}"#, "no text"),
        (r##"{"directive": "#", "args": [], "comment": "x\nb;"}"##, "more than one line"),
        (r#"{"line": 1}"#, "no \"directive\""),
        ("[", "EOF"),
    ] {
        std::fs::write(&json, format!("{{\"config\": [{{\"file\": \"a\", \"parsed\": [{items}]}}]}}"))
            .unwrap();
        let output = dump(&["--build", json.to_str().unwrap()]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1)
                && output.stdout.is_empty()
                && (told.contains(why) || items == "["),
            "{told}"
        );
    }
}
