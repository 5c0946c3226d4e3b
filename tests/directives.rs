//! The table of directives against what is known of nginx and Tengine, and the check against nginx itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tenrec::diag::{Diags, SourceMap, render_nginx};
use tenrec::directives::{self, CONTEXTS, Context, Count, FAMILIES, Kind, Origin, Row, Status};
use tenrec::plan::VarId;
use tenrec::source::Conf;
use tenrec::syntax;

use super::support::{daemon, skipped};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A configuration of one file.
fn conf(name: &str, text: &[u8]) -> (Conf, Diags) {
    let mut map = SourceMap::new();
    let mut diags = Diags::new();
    let file = map.add(name.to_owned(), text.into(), None);
    let tree = syntax::parse(&map, file, &mut diags);
    (Conf { map, trees: vec![tree], roots: vec![file], ..Conf::default() }, diags)
}

/// What is wrong with `text`, a line each.
fn said(name: &str, text: &str) -> Vec<String> {
    let (conf, mut diags) = conf(name, text.as_bytes());
    directives::check(&conf, &mut diags);
    diags.iter().filter(|d| d.severity.is_fatal()).map(|d| render_nginx(&conf.map, d)).collect()
}

#[test]
fn rows_are_complete_and_in_order() {
    let mut last = "";
    for row in directives::all() {
        assert!(row.name >= last, "{} stands after {last}", row.name);
        last = row.name;
        assert!(!row.contexts.is_empty(), "{}: no context", row.name);
        assert!(row.help.ends_with('.') && row.help.len() > 10, "{}: {:?}", row.name, row.help);
        assert!(!row.help.contains("To be described"), "{}", row.name);
        assert!(FAMILIES.iter().any(|(f, _)| *f == row.family), "{}: {}", row.name, row.family);
        // A flag that nginx does not look at any more is custom.
        let flag = row.kind == Kind::Flag && row.arity.count != Count::OneOf(2);
        assert!((row.arity.count == Count::Flag) == flag || row.kind == Kind::Custom, "{}", row.name);
        assert!(row.opens.is_empty() || row.arity.block, "{}", row.name);
        assert_eq!(directives::id(row.name), Some(row.id));
        assert_eq!(row.id.name(), row.name);
        assert!(directives::lookup(row.name).iter().any(|r| std::ptr::eq(r, row)));
    }
    assert!(directives::lookup("no_such_directive").is_empty());
}

#[test]
fn a_directive_of_a_block_that_starts_can_be_reached() {
    for row in directives::all().iter().filter(|r| r.status.starts() && r.contexts != Context::MAIN) {
        let opened = directives::all().iter().filter(|r| r.opens.intersects(row.contexts));
        assert!(opened.count() > 0, "{}: nothing opens its context", row.name);
    }
}

/// Where a row says something else than the sources, and why.
const WIDER: &[(&str, &str)] = &[
    ("session_sticky", "with no argument as well: all have defaults"),
    ("session_sticky_header", "the older form has switch= too"),
    ("set_by_lua_block", "a block that follows an argument"),
    ("sticky", "nginx-sticky-module-ng's forms, down to no argument"),
    ("dyups_read_msg_log", "a flag by another name"),
];

#[test]
fn every_directive_of_nginx_and_tengine_has_a_row() {
    let text = std::fs::read_to_string(root().join("fixtures/vectors/directives.tsv")).unwrap();
    let (mut missing, mut rows) = (Vec::new(), 0);
    for line in text.lines().filter(|l| !l.starts_with('#')).skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, origin, module, contexts, args, _kind] = columns[..] else { panic!("{line:?}") };
        rows += 1;
        let found = directives::lookup(name).iter().find(|row| {
            row.origin.word() == origin && row.module == module && known_contexts(contexts, row.contexts)
        });
        let Some(row) = found else {
            missing.push(line.to_owned());
            continue;
        };
        if !WIDER.iter().any(|(n, _)| *n == name) && known_count(args) != (row.arity.block, row.arity.count) {
            missing.push(format!("{line}: the row has {:?}", row.arity));
        }
    }
    assert!(rows > 1100, "{rows} rows read");
    assert!(missing.is_empty(), "{} rows differ:\n{}", missing.len(), missing.join("\n"));
}

fn known_contexts(words: &str, contexts: Context) -> bool {
    match words {
        "?" => !contexts.is_empty(),
        "any" => contexts == Context::all(),
        _ => {
            let named = |w: &str| CONTEXTS.iter().find(|(_, n, _)| *n == w).map(|(c, ..)| *c);
            contexts == words.split(' ').filter_map(named).fold(Context::empty(), |all, c| all | c)
        }
    }
}

fn known_count(text: &str) -> (bool, Count) {
    let rest = text.strip_prefix("block,");
    let count = match rest.unwrap_or(text) {
        "any" => Count::Any,
        "flag" => Count::Flag,
        "1+" => Count::AtLeast(1),
        "2+" => Count::AtLeast(2),
        list => Count::OneOf(list.split(',').map(|n| 1 << n.parse::<u8>().unwrap()).sum()),
    };
    (rest.is_some(), count)
}

#[test]
fn the_variables_that_are_carried_out_are_those_of_the_table() {
    let full = directives::variables().iter().filter(|v| v.status == Status::Full && !v.prefix);
    let table: Vec<&str> = full.map(|v| v.name).collect();
    let mut known: Vec<&str> = VarId::ALL.iter().map(|id| id.name()).collect();
    known.sort_unstable();
    assert_eq!(table, known);
    assert_eq!(directives::variable("http_x_y").map(|v| v.name), Some("http_"));
    assert_eq!(directives::variable("http2").map(|v| v.name), Some("http2"));
    assert!(directives::variable("http_").is_none() && directives::variable("nothing").is_none());
}

// ---- the check -------------------------------------------------------------------------------------------------

#[test]
fn all_faults_are_told_in_one_run() {
    let text = "evnts {}\nevents { worker_connections; }\nhttp {\n    root\n    /a\n    ;\n    daemon on;\n    etag maybe;\n    \
                server { listen 80 {} }\n    server;\n    etag on;\n}\n";
    let want = [
        "unknown directive \"evnts\" in c:1",
        "invalid number of arguments in \"worker_connections\" directive in c:2",
        "\"daemon\" directive is not allowed here in c:7",
        "invalid value \"maybe\" in \"etag\" directive, it must be \"on\" or \"off\" in c:8",
        "directive \"listen\" is not terminated by \";\" in c:9",
        "directive \"server\" has no opening \"{\" in c:10",
        "\"etag\" directive is duplicate in c:11",
    ];
    assert_eq!(said("c", text), want.map(|w| format!("nginx: [emerg] {w}")));
}

#[test]
fn what_is_not_carried_out_is_refused_once_and_off_is_off() {
    let planned = directives::all().iter().find(|r| {
        r.status == Status::Planned && r.contexts.contains(Context::HTTP) && r.default == Some("off")
    });
    let Some(row) = planned else { return };
    let on = said("c", &format!("http {{ {} on; }}", row.name));
    assert!(on.len() == 1 && on[0].contains("is not supported by tenrec yet"), "{on:?}");
    assert_eq!(said("c", &format!("http {{ {} off; }}", row.name)), Vec::<String>::new());
}

#[test]
fn a_refused_block_is_named_once_and_still_read() {
    let lines = said("c", "mail {\n server {\n  listen 25;\n  protocol smtp;\n  frobnicate;\n }\n}\n");
    assert_eq!(
        lines,
        [
            "nginx: [emerg] \"mail\" directive is not supported by tenrec in c:1",
            "nginx: [emerg] unknown directive \"frobnicate\" in c:5"
        ]
    );
}

#[test]
fn a_part_of_http_without_its_http_is_named_once() {
    let lines = said("c", "upstream u {\n server 127.0.0.1:1;\n ip_hash;\n}\n");
    assert_eq!(lines, ["nginx: [emerg] \"upstream\" directive is not allowed here in c:1"]);
}

#[test]
fn bodies_that_are_no_directives_are_left_alone() {
    assert_eq!(said("c", "http { types { a/b html root; } }"), Vec::<String>::new());
}

#[test]
fn ignored_directives_are_listed() {
    let (conf, _) = conf("c", b"http { sendfile on; server { tcp_nopush on; root x; } }");
    let names: Vec<&str> = directives::inert(&conf).iter().map(|i| i.row.name).collect();
    assert_eq!(names, ["sendfile", "tcp_nopush"]);
    assert_eq!(said("c", "http { sendfile_max_chunk z; }").len(), 1);
}

#[test]
fn hints_name_what_was_meant_where_it_belongs_and_where_it_comes_from() {
    let (conf, mut diags) =
        conf("c", b"http { sever {} proxy_pass http://a; }\nhealth_check;\nlisten a b;\n");
    directives::check(&conf, &mut diags);
    let hints: Vec<_> = diags.iter().map(|d| d.hint.clone().unwrap_or_default()).collect();
    assert_eq!(
        hints,
        [
            "did you mean \"server\"?",
            "it may stand in location, if-in-location, limit_except",
            "\"health_check\" is a directive of NGINX Plus; Tengine's \"check\" is its like",
            "it may stand in server, stream-server, mail-server",
        ]
    );
}

#[test]
fn a_wide_and_a_deep_file_take_no_stack_and_little_time() {
    let mut wide = String::from("http { server {");
    for i in 0..100_000 {
        let _ = writeln!(wide, "location /{i} {{ root x; }}");
    }
    wide.push_str("} }");
    let mut deep = String::from("http { server {");
    deep.extend(std::iter::repeat_n("location / {", 10_000));
    deep.extend(std::iter::repeat_n("}", 10_000));
    deep.push_str("} }");
    let unknown = "frobnicate_it a;\n".repeat(100_000);
    for (text, faults) in [(&wide, 0), (&deep, 0), (&unknown, 1_001)] {
        let (conf, mut diags) = conf("c", text.as_bytes());
        let start = std::time::Instant::now();
        directives::check(&conf, &mut diags);
        let took = start.elapsed();
        assert_eq!(diags.iter().count(), faults);
        assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    }
}

// ---- against nginx ---------------------------------------------------------------------------------------------

/// Contexts that every nginx has and that tenrec opens, with the text around a directive there.
const AROUND: &[(Context, &str, &str)] = &[
    (Context::MAIN, "", "\nevents {}\n"),
    (Context::EVENTS, "events {\n", "\n}\n"),
    (Context::HTTP, "events {}\nhttp {\n", "\n}\n"),
    (Context::SERVER, "events {}\nhttp { server {\n", "\n} }\n"),
    (Context::LOCATION, "events {}\nhttp { server { location / {\n", "\n} } }\n"),
    (Context::UPSTREAM, "events {}\nhttp { upstream u { server 127.0.0.1:1;\n", "\n} }\n"),
];

fn written(row: &Row, args: &[&str], block: bool) -> String {
    let words = std::iter::once(row.name).chain(args.iter().copied()).collect::<Vec<_>>().join(" ");
    if block { format!("{words} {{\n}}") } else { format!("{words};") }
}

fn at(context: Context, text: &str) -> String {
    let (_, before, after) = AROUND.iter().find(|(c, ..)| *c == context).unwrap();
    format!("{before}{text}{after}")
}

/// A value that the row's type takes.
fn value(row: &Row) -> Option<Vec<&'static str>> {
    Some(match row.kind {
        Kind::Flag => vec!["on"],
        // Levels go to 9, statuses begin with 400.
        Kind::Number => vec![if row.name.ends_with("_status") { "500" } else { "8" }],
        Kind::Size | Kind::Offset => vec!["8k"],
        Kind::Msec | Kind::Sec => vec!["1s"],
        Kind::Bufs => vec!["4", "8k"],
        Kind::Enum => vec![row.values.first().copied()?],
        Kind::String | Kind::Value => vec!["x"],
        Kind::ValueSize => vec!["1k"],
        _ => return None,
    })
}

/// Files that are wrong in one way each, for a row.
fn wrong(row: &Row, nth: usize) -> Vec<String> {
    let home = AROUND.iter().find(|(c, ..)| row.contexts.contains(*c)).map(|(c, ..)| *c);
    let Some(home) = home else { return Vec::new() };
    let few: Vec<&str> = (0..8).find(|n| row.arity.count.allows(*n)).map(|n| vec!["x"; n]).unwrap();
    let mut files = Vec::new();
    let away: Vec<_> = AROUND.iter().map(|(c, ..)| *c).filter(|c| directives_none(row.name, *c)).collect();
    if !away.is_empty() {
        files.push(at(away[nth % away.len()], &written(row, &few, row.arity.block)));
    }
    let counts = (0..8).filter(|n| !row.arity.count.allows(*n));
    for n in counts.take(if row.status.starts() { 8 } else { 1 }) {
        files.push(at(home, &written(row, &vec!["x"; n], row.arity.block)));
    }
    files.push(at(home, &written(row, &few, !row.arity.block)));
    if !row.status.starts() {
        return files;
    }
    if row.kind == Kind::Flag {
        files.push(at(home, &written(row, &["maybe"], false)));
    }
    if let Some(value) = value(row).filter(|_| !row.repeat) {
        let line = written(row, &value, false);
        files.push(at(home, &format!("{line}\n{line}")));
    }
    files
}

fn directives_none(name: &str, context: Context) -> bool {
    directives::lookup(name).iter().all(|row| !row.contexts.contains(context))
}

#[test]
fn nginx_says_the_same_of_wrong_files() {
    let Some(nginx) = daemon::nginx() else { return skipped("nginx_says_the_same", "no nginx here") };
    let rows = directives::all().iter().filter(|r| r.origin == Origin::Nginx && r.name != "include");
    let files: Vec<String> = rows.enumerate().flat_map(|(i, row)| wrong(row, i)).collect();
    let same_version = daemon::nginx_is_current(&nginx);
    let mut differ = Vec::new();
    let mut unknown = 0;
    std::thread::scope(|scope| {
        let halves = files.chunks(files.len().div_ceil(2)).map(|part| {
            let nginx = &nginx;
            scope.spawn(move || {
                let dir = daemon::prefix(&[]);
                part.iter().map(|text| (text, first(nginx, dir.path(), text))).collect::<Vec<_>>()
            })
        });
        for half in halves.collect::<Vec<_>>() {
            for (text, (theirs, ours)) in half.join().unwrap() {
                let newer = !same_version && theirs.contains("is not allowed here");
                if theirs.contains("unknown directive") || newer && theirs != ours {
                    unknown += 1;
                } else if theirs != ours {
                    differ.push(format!("{text}nginx:  {theirs}\ntenrec: {ours}\n"));
                }
            }
        }
    });
    println!(
        "{} wrong files compared, {unknown} with directives that this nginx lacks",
        files.len() - unknown
    );
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), files.len(), differ.join("\n"));
    assert!(files.len() > unknown * 4, "this nginx knows too little");
}

/// The first error of nginx and of the check.
fn first(nginx: &daemon::Program, dir: &Path, text: &str) -> (String, String) {
    let path = dir.join("nginx.conf");
    std::fs::write(&path, text).unwrap();
    let output = daemon::command(nginx, dir).arg("-t").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let theirs = stderr.lines().find(|l| l.contains("[emerg]")).unwrap_or("nothing").to_owned();
    let name = path.display().to_string();
    let ours = said(&name, text).into_iter().next().unwrap_or_else(|| "nothing".to_owned());
    (theirs, ours)
}
