//! The rules of the house that a program can check.

use std::path::{Path, PathBuf};

/// The rooms, lowest first, as `src/lib.rs` lists them; rooms on one line are peers and import neither each other.
fn rooms() -> Vec<(String, usize)> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let (mut layer, mut rooms) = (0, Vec::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("pub mod ").and_then(|r| r.strip_suffix(';')) {
            rooms.push((name.to_owned(), layer));
        } else {
            layer += 1;
        }
    }
    rooms
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn sources(dirs: &[&str]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for dir in dirs {
        let dir = root().join(dir);
        if dir.is_dir() {
            files(&dir, &mut out);
        }
    }
    assert!(!out.is_empty());
    out
}

#[test]
fn no_file_is_past_600_lines() {
    let long: Vec<String> = sources(&["src", "tests", "grammar", "benches", "fuzz/fuzz_targets"])
        .iter()
        .map(|p| (p, std::fs::read_to_string(p).unwrap().lines().count()))
        .filter(|(_, n)| *n > 600)
        .map(|(p, n)| format!("{}: {n} lines", p.display()))
        .collect();
    assert!(long.is_empty(), "two subjects in one file?\n{}", long.join("\n"));
}

#[test]
fn imports_go_downwards() {
    let rooms = rooms();
    let layer = |name: &str| rooms.iter().find(|(n, _)| n == name).map(|(_, l)| *l);
    let mut wrong = Vec::new();
    for path in sources(&["src"]) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let Some(room) = inside.components().next().and_then(|c| c.as_os_str().to_str()) else { continue };
        let Some(own) = layer(room) else { continue };
        for (i, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for rest in line.split("crate::").skip(1) {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if let Some(other) = layer(&name)
                    && name != room
                    && other >= own
                {
                    wrong.push(format!("{}:{}: {room} imports {name}", inside.display(), i + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports that do not go downwards:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_lives_in_sys_alone() {
    for path in sources(&["src"]) {
        if path.starts_with(root().join("src/sys")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let words = ["{", "fn ", "impl ", "extern "].map(|what| ["unsafe ", what].concat());
        let code = |l: &&str| !l.trim_start().starts_with("//");
        let bad = text.lines().filter(code).find(|l| words.iter().any(|w| l.contains(w)));
        assert!(bad.is_none(), "{}: {}", path.display(), bad.unwrap_or_default());
    }
}

#[test]
fn every_room_says_what_it_owns() {
    for (room, _) in rooms() {
        let text = std::fs::read_to_string(root().join("src").join(&room).join("mod.rs")).unwrap();
        for word in ["//! Owns:", "//! May use:", "//! Never touches:"] {
            assert!(text.contains(word), "src/{room}/mod.rs does not say {word:?}");
        }
    }
}

#[test]
fn the_top_level_holds_what_belongs_there() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "benches",
        "conf.d",
        "fixtures",
        "fuzz",
        "grammar",
        "src",
        "target",
        "tests",
    ];
    // What a run in this folder leaves behind is no part of the project.
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().map(|l| l.trim_matches('/')).collect();
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let belongs = name.starts_with('.') || known.contains(&&*name) || ignored.contains(&&*name);
        assert!(belongs, "{name} lies at the top level");
    }
}
