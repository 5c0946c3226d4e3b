//! Every file of `fixtures/config`, to nginx and to tenrec: the same verdict, and the same first line about it.
//!
//! nginx is `$TENREC_NGINX`, or the `nginx` on the path when it is of the version whose behaviour is ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use tenrec::compile;
use tenrec::diag::render_nginx;

/// The version that is the model; an older one words some things differently.
const MODEL: &str = "nginx/1.31.";

fn nginx() -> Option<PathBuf> {
    let path = std::env::var_os("TENREC_NGINX").map_or_else(|| PathBuf::from("nginx"), PathBuf::from);
    let out = Command::new(&path).arg("-v").output().ok()?;
    String::from_utf8_lossy(&out.stderr).contains(MODEL).then_some(path)
}

/// The first line of nginx's that is about the configuration, and whether it took the file.
fn ask_nginx(nginx: &Path, prefix: &Path, file: &Path) -> (bool, String) {
    let out = Command::new(nginx)
        .args(["-t", "-e", "logs/error.log", "-p"])
        .arg(prefix)
        .arg("-c")
        .arg(file)
        .output()
        .expect("nginx runs");
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    (out.status.success(), text.lines().find(|l| l.starts_with("nginx: [")).unwrap_or_default().to_owned())
}

fn ask_tenrec(prefix: &Path, file: &Path) -> (bool, String) {
    let loaded = compile::load(file, prefix, None);
    let first = loaded.diags.iter().next().map(|d| render_nginx(&loaded.conf.map, d));
    (loaded.plan.is_some(), first.unwrap_or_default())
}

fn fixtures() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// Puts a fixture into a directory of its own, `@DIR@` replaced by it.
fn place(dir: &Path, fixture: &Path) -> PathBuf {
    std::fs::create_dir_all(dir.join("logs")).unwrap();
    let text = std::fs::read_to_string(fixture).unwrap().replace("@DIR@", &dir.display().to_string());
    let file = dir.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn the_first_thing_said_is_nginx_s() {
    let Some(nginx) = nginx() else {
        eprintln!("skipped: no {MODEL}x, give one in TENREC_NGINX");
        return;
    };
    let mut differences = Vec::new();
    for fixture in fixtures() {
        let dir = tempfile::tempdir().unwrap();
        let file = place(dir.path(), &fixture);
        let theirs = ask_nginx(&nginx, dir.path(), &file);
        let ours = ask_tenrec(dir.path(), &file);
        if theirs != ours {
            let name = fixture.file_stem().unwrap().to_string_lossy().into_owned();
            differences.push(format!("{name}\n  nginx:  {theirs:?}\n  tenrec: {ours:?}"));
        }
    }
    assert!(differences.is_empty(), "{} files:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn a_fixture_is_good_when_its_name_says_so() {
    for fixture in fixtures() {
        let name = fixture.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("ok-") {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = place(dir.path(), &fixture);
        let (good, line) = ask_tenrec(dir.path(), &file);
        assert!(good, "{name}: {line}");
    }
}
