//! Files and includes: what is read, in which order, and what is said when it cannot be.

use std::fs;
use std::path::Path;

use crate::diag::{Diags, render_nginx};
use crate::source::{Conf, load};

/// A directory with files in it.
fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// Loads `main` and gives the configuration and the errors, the directory's name written `DIR`.
fn read(dir: &Path, main: &str, globals: Option<&str>) -> (Conf, Vec<String>) {
    let mut diags = Diags::new();
    let conf = load(Path::new(main), dir, globals, &mut diags);
    let lines =
        diags.iter().map(|d| render_nginx(&conf.map, d).replace(dir.to_str().unwrap(), "DIR")).collect();
    (conf, lines)
}

/// The names of the directives, includes followed, blocks in braces.
fn names(conf: &Conf) -> String {
    fn list<'c>(dirs: impl Iterator<Item = crate::source::Dir<'c>>) -> String {
        let all: Vec<String> = dirs
            .map(|d| match d.has_block() {
                true => format!("{}{{{}}}", d.name(), list(d.children())),
                false => d.name().to_string(),
            })
            .collect();
        all.join(" ")
    }
    list(conf.main())
}

#[test]
fn includes_stand_where_they_are_written() {
    let dir = dir(&[
        ("conf/main.conf", "a; include x/*.conf; http { b; include sub.conf; c; } d;"),
        ("conf/x/2.conf", "x2;"),
        ("conf/x/10.conf", "x10; include sub.conf;"),
        ("conf/x/.hidden.conf", "hidden;"),
        ("conf/x/1.txt", "txt;"),
        ("conf/sub.conf", "s { t; }"),
    ]);
    let (conf, errors) = read(dir.path(), "conf/main.conf", None);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(names(&conf), "a x10 s{t} x2 http{b s{t} c} d");
    let mut dump = Vec::new();
    conf.dump(&mut dump);
    let dump = String::from_utf8(dump).unwrap().replace(dir.path().to_str().unwrap(), "DIR");
    let heads: Vec<&str> = dump.lines().filter(|l| l.starts_with('#')).collect();
    let want = ["main.conf", "x/10.conf", "sub.conf", "x/2.conf"];
    assert_eq!(heads, want.map(|n| format!("# configuration file DIR/conf/{n}:")));
    assert!(dump.contains("DIR/conf/x/2.conf:\nx2;\n"));
}

#[test]
fn a_glob_may_match_nothing_a_name_may_not() {
    let dir = dir(&[("m.conf", "a;\ninclude no/*.conf;\ninclude no.conf;\nb;")]);
    let (conf, errors) = read(dir.path(), "m.conf", None);
    assert_eq!(
        errors,
        ["nginx: [emerg] open() \"DIR/no.conf\" failed (2: No such file or directory) in DIR/m.conf:3"]
    );
    assert_eq!(names(&conf), "a b");
}

#[test]
fn what_is_no_file() {
    let dir = dir(&[("m.conf", "include d;\ninclude /dev/null;\n;"), ("d/x", "")]);
    let (_, errors) = read(dir.path(), "m.conf", None);
    let want = [
        "nginx: [crit] pread() \"DIR/d\" failed (21: Is a directory)",
        "nginx: [emerg] unexpected \";\" in DIR/m.conf:3",
    ];
    assert_eq!(errors, want);
    let (conf, errors) = read(dir.path(), "nope", None);
    assert_eq!(errors, ["nginx: [emerg] open() \"DIR/nope\" failed (2: No such file or directory)"]);
    assert!(conf.roots.is_empty() && conf.main_file.is_none());
    let (_, errors) = read(dir.path(), "d", None);
    assert_eq!(errors, ["nginx: [crit] pread() \"DIR/d\" failed (21: Is a directory)"]);
}

#[test]
fn a_cycle_is_told_once_and_ends() {
    let dir = dir(&[
        ("m.conf", "a;\ninclude b.conf;\nc;"),
        ("b.conf", "b;\n\ninclude c.conf;"),
        ("c.conf", "include b.conf; d;"),
        ("self.conf", "x;\ninclude self.conf;"),
    ]);
    let (conf, errors) = read(dir.path(), "m.conf", None);
    assert_eq!(
        errors,
        ["nginx: [emerg] include cycle: DIR/b.conf -> DIR/c.conf -> DIR/b.conf in DIR/c.conf:1"]
    );
    assert_eq!(names(&conf), "a b d c");
    let (conf, errors) = read(dir.path(), "self.conf", None);
    assert_eq!(errors, ["nginx: [emerg] \"DIR/self.conf\" includes itself in DIR/self.conf:2"]);
    assert_eq!(names(&conf), "x");
}

#[test]
fn a_long_chain_of_files() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..3000 {
        fs::write(dir.path().join(format!("{i}")), format!("a; include {};", i + 1)).unwrap();
    }
    fs::write(dir.path().join("3000"), "b;").unwrap();
    let (conf, errors) = read(dir.path(), "0", None);
    assert!(errors.is_empty());
    assert_eq!(conf.main().count(), 3001);
}

#[test]
fn errors_come_in_reading_order() {
    let dir = dir(&[
        ("m.conf", ";\ninclude a.conf;\n;\ninclude a.conf; include b.conf;\n}"),
        ("a.conf", ";\ninclude b.conf;\n;"),
        ("b.conf", "\n\n;"),
    ]);
    let (conf, errors) = read(dir.path(), "m.conf", Some(";"));
    let places: Vec<&str> = errors.iter().map(|e| e.rsplit(' ').next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "line",
            "DIR/m.conf:1",
            "DIR/a.conf:1",
            "DIR/b.conf:3",
            "DIR/a.conf:3",
            "DIR/m.conf:3",
            "DIR/m.conf:5"
        ]
    );
    assert_eq!(conf.trees.len(), 4);
}

#[test]
fn the_command_line_is_read_first_and_may_include() {
    let dir = dir(&[("m.conf", "a;"), ("g.conf", "g;")]);
    let (conf, errors) = read(dir.path(), "m.conf", Some("x y; include g.conf; include n.conf;"));
    assert_eq!(
        errors,
        ["nginx: [emerg] open() \"DIR/n.conf\" failed (2: No such file or directory) in command line"]
    );
    assert_eq!(names(&conf), "x g a");
    let mut dump = Vec::new();
    conf.dump(&mut dump);
    assert!(!String::from_utf8(dump).unwrap().contains("command line"));
}

#[test]
fn a_pipe_is_read_to_its_end() {
    let dir = dir(&[("m.conf", "include pipe; b;")]);
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let writer = std::thread::spawn(move || fs::write(pipe, "from_pipe;").unwrap());
    let (conf, errors) = read(dir.path(), "m.conf", None);
    writer.join().unwrap();
    assert!(errors.is_empty());
    assert_eq!(names(&conf), "from_pipe b");
}

#[test]
fn include_with_a_block_or_more_words_is_left_to_the_check() {
    let dir = dir(&[("m.conf", "include a b; include x { } include;")]);
    let (conf, errors) = read(dir.path(), "m.conf", None);
    assert!(errors.is_empty());
    assert_eq!(names(&conf), "include include{} include");
}

#[test]
fn patterns_are_those_of_the_system() {
    let dir = dir(&[
        ("m.conf", "include d/[bc]?.conf; include 'd/x y.conf'; include d/[!a-c]*;"),
        ("d/b1.conf", "b1;"),
        ("d/c1.conf", "c1;"),
        ("d/a1.conf", "a1;"),
        ("d/x y.conf", "xy;"),
    ]);
    let (conf, errors) = read(dir.path(), "m.conf", None);
    assert!(errors.is_empty());
    assert_eq!(names(&conf), "b1 c1 xy xy");
}

#[test]
fn includes_that_multiply_are_bounded() {
    let link = |i: usize| format!("a{i};\ninclude {n};\ninclude {n};\n", n = i + 1);
    let links: Vec<(String, String)> = (0..40).map(|i| (i.to_string(), link(i))).collect();
    let mut files: Vec<(&str, &str)> = links.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    files.extend([("40", "last;"), ("main.conf", "include 0;\ninclude 40;\n")]);
    let dir = dir(&files);
    let (conf, errors) = read(dir.path(), "main.conf", None);
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert!(error.starts_with("nginx: [emerg] too many directives by repeated includes"), "{error}");
    assert!(error.ends_with(":3"), "the second include of a file: {error}");
    let last = conf.main().take(5_000_000).last();
    assert_eq!(
        last.map(|d| d.name()),
        Some("last"),
        "what is left is short enough, and other includes are kept"
    );
}
