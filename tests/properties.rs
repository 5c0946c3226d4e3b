//! What holds for any bytes at all. `mutations.rs` runs these in the tests, `fuzz/` runs the same ones under libFuzzer;
//! so this file stands alone and uses what the library publishes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use tenrec::compile::{self, Loaded};
use tenrec::diag::{Diags, SourceMap, render_nginx};
use tenrec::migrate::{Can, Dialect, Input, convert, to_nginx};
use tenrec::plan::{PeerId, Upstream};
use tenrec::sticky::{Answer, Change, hide, read};
use tenrec::syntax;
use tenrec::wire::body::{Decoder, Step};
use tenrec::wire::parse::{RequestParser, parse_response};
use tenrec::wire::{Framing, Limits, RequestHead, ResponseHead};

/// A file is its tree printed; what is formatted once stays as it is; diagnostics name places that exist.
pub fn parse_conf(text: &[u8]) {
    let mut map = SourceMap::new();
    let mut diags = Diags::new();
    let file = map.add("f".to_owned(), text.into(), None);
    let tree = syntax::parse(&map, file, &mut diags);
    assert!(syntax::print(&map, &tree) == text, "the tree prints as another text");
    for diag in diags.iter() {
        assert!(render_nginx(&map, diag).starts_with("nginx: ["));
    }
    if diags.fatal() {
        return;
    }
    let Some(once) = syntax::format(&map, &tree) else { return };
    let mut diags = Diags::new();
    let file = map.add("g".to_owned(), once.as_slice().into(), None);
    let tree = syntax::parse(&map, file, &mut diags);
    assert!(!diags.fatal(), "what was formatted does not parse");
    let twice = syntax::format(&map, &tree);
    assert!(twice.as_ref() == Some(&once), "formatted twice it is another text");
}

/// A file is read, checked and compiled: there is a plan exactly when nothing fatal was said, and every line of it can
/// be told.
pub fn check_conf(text: &[u8]) {
    let dir = folder();
    let path = dir.join("nginx.conf");
    std::fs::write(&path, text).expect("the folder of this thread is writable");
    let Loaded { conf, diags, plan } = compile::load(&path, &dir, None);
    assert_eq!(plan.is_none(), diags.fatal(), "a plan and a fatal error");
    for diag in diags.iter() {
        assert!(render_nginx(&conf.map, diag).starts_with("nginx: ["));
    }
}

/// A folder for this thread of this process.
fn folder() -> std::path::PathBuf {
    let thread = format!("{:?}", std::thread::current().id()).replace(|c: char| !c.is_ascii_digit(), "");
    let dir = std::env::temp_dir().join(format!("tenrec-properties-{}-{thread}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary folder can be made");
    dir
}

/// Removes what [`check_conf`] left behind for this thread.
#[allow(dead_code, reason = "a fuzzer ends without notice")]
pub fn clean() {
    let _ = std::fs::remove_dir_all(folder());
}

/// Another system's file (`to-nginx`: one of ours that goes out): an output that loads and a report, or a message that
/// names a place inside of the input.
pub fn migrate(system: &str, text: &[u8]) {
    let inputs = [Input { name: "input".to_owned(), bytes: text.to_vec() }];
    let done = match Dialect::named(system) {
        Some(dialect) => convert(dialect, &inputs, Can::default(), Path::new("/")),
        None => to_nginx(&inputs, Can::default()),
    };
    let lines = text.iter().filter(|b| **b == b'\n').count() as u32 + 2;
    match done {
        Ok(done) => {
            assert!(!done.report.rows.is_empty(), "an output of nothing");
            assert!(done.report.rows.iter().all(|r| r.place.line >= 1 && r.place.line <= lines));
            if system != "to-nginx" {
                loads(&done.conf);
            }
            if system == "haproxy" {
                let rows: BTreeSet<u32> = done.report.rows.iter().map(|r| r.place.line).collect();
                let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
                for (i, line) in text.split(|b| *b == b'\n').enumerate() {
                    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r');
                    let first = line.iter().find(|b| !blank(b));
                    let said = rows.contains(&u32::try_from(i + 1).expect("a short input"));
                    assert!(
                        said || matches!(first, None | Some(b'#')),
                        "line {} is not in the report",
                        i + 1
                    );
                }
            }
        }
        Err(problem) => {
            assert!(problem.line >= 1 && problem.line <= lines && problem.column >= 1, "{problem}");
            assert!(!problem.message.is_empty() && problem.file == "input", "{problem}");
        }
    }
}

/// What a converter writes is taken by `-t`, but for hosts, users and files that other machines have.
fn loads(conf: &str) {
    let dir = folder();
    let path = dir.join("converted.conf");
    std::fs::write(&path, conf).expect("the folder of this thread is writable");
    let Loaded { conf: read, diags, .. } = compile::load(&path, &dir, None);
    let elsewhere = ["host not found", "getpwnam(", "getgrnam("];
    let files =
        ["open() ", "cannot load certificate", "SSL_CTX_load_verify_locations(", "SSL_CTX_set_default"];
    let away = |message: &str| {
        elsewhere.iter().any(|e| message.starts_with(e))
            || (files.iter().any(|f| message.starts_with(f)) && message.contains("No such file"))
    };
    let bad = diags.iter().find(|d| d.severity.is_fatal() && !away(&d.message));
    if let Some(bad) = bad {
        panic!("{}\n{conf}", render_nginx(&read.map, bad));
    }
}

/// A head reads the same in one piece and in two, names nothing outside itself, and its end is where it says.
pub fn request_head(input: &[u8]) {
    let Some((&at, input)) = input.split_first() else { return };
    let limits = Limits::default();
    let whole = requested(&limits, &[input]);
    let split = requested(&limits, &[&input[..input.len().min(usize::from(at))], input]);
    match (&whole, &split) {
        // A refusal may name the line before all of it is there.
        (Err(a), Err(b)) => assert_eq!(a, b),
        _ => assert_eq!(whole, split, "{}", input.escape_ascii()),
    }
    let Ok(Some((len, ..))) = whole else { return };
    assert!(len <= input.len());
    assert_eq!(requested(&limits, &[&input[..len]]), whole, "what follows the head does not matter");
}

/// Length, line, host, framing and fields of a head.
type Requested = (usize, Vec<u8>, Option<Vec<u8>>, Framing, Vec<(Vec<u8>, Vec<u8>)>);

fn requested(limits: &Limits, inputs: &[&[u8]]) -> Result<Option<Requested>, u16> {
    let mut parser = RequestParser::new(limits);
    let mut head = RequestHead::default();
    let mut last = None;
    for input in inputs {
        last = parser.parse(input, &mut head, limits).map_err(|r| r.status)?;
        if last.is_some() {
            break;
        }
    }
    Ok(last.map(|len| {
        let fields = head.iter().map(|(n, v, _)| (n.to_vec(), v.to_vec())).collect();
        let _ = (head.method(), head.target(), head.protocol());
        (len, head.line().to_vec(), head.host().map(<[u8]>::to_vec), head.framing, fields)
    }))
}

/// A response head is whole only at its end, and nothing of it can break a line of the head that goes on.
pub fn response_head(input: &[u8]) {
    let mut head = ResponseHead::default();
    let Ok(Some(len)) = parse_response(input, &mut head, false) else { return };
    assert!(len <= input.len());
    let _ = head.status_line();
    for (name, value, _) in head.iter() {
        assert!(!name.is_empty() && !name.contains(&b':'), "{}", name.escape_ascii());
        assert!(
            !name.iter().chain(value).any(|b| matches!(b, b'\r' | b'\n' | 0)),
            "{}",
            value.escape_ascii()
        );
    }
    for cut in [len - 1, len / 2, len / 3] {
        let partial = parse_response(&input[..cut], &mut head, false);
        assert!(matches!(partial, Ok(None)), "a head at {cut} of {len}: {partial:?}");
    }
}

/// A chunked body reads the same however it is split, and takes nothing of what follows it.
pub fn chunked_body(input: &[u8]) {
    let Some((&step, input)) = input.split_first() else { return };
    let whole = decoded(input, input.len());
    assert_eq!(decoded(input, usize::from(step) % 64 + 1), whole);
    if let Ok((data, Some(end))) = whole {
        assert!(data.len() < end && end <= input.len());
        assert_eq!(
            decoded(&input[..end], end),
            Ok((data, Some(end))),
            "what follows the body does not matter"
        );
    }
}

/// The data, and where the body ended; an error when it is none.
fn decoded(input: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), ()> {
    let mut decoder = Decoder::new(Framing::Chunked);
    let (mut data, mut at, mut seen) = (Vec::new(), 0, 0);
    while seen < input.len() {
        seen = (seen + step).min(input.len());
        while at < seen {
            match decoder.step(&input[at..seen]).map_err(|_| ())? {
                Step::Data(range) => {
                    data.extend_from_slice(&input[at..][range.clone()]);
                    assert!(range.end > 0, "no progress");
                    at += range.end;
                }
                Step::More(n) => {
                    at += n;
                    break;
                }
                Step::Done(n) => return Ok((data, Some(at + n))),
            }
        }
    }
    Ok((data, None))
}

/// Of a cookie line what is ours is hidden and nothing else, whatever the mode; what a client sends breaks no answer.
pub fn cookie_hide(line: &[u8]) {
    thread_local! {
        static UPSTREAMS: RefCell<Vec<Upstream>> = const { RefCell::new(Vec::new()) };
    }
    UPSTREAMS.with_borrow_mut(|upstreams| {
        if upstreams.is_empty() {
            *upstreams = sticky_upstreams();
        }
        for upstream in &*upstreams {
            let mut out = Vec::new();
            let change = hide(&[upstream], line, &mut out);
            let hidden = &*upstream.name == "hidden";
            match change {
                Change::Keep => assert!(!hidden || !ours(line), "{}", line.escape_ascii()),
                Change::Drop => assert!(hidden && out.is_empty()),
                Change::Replace => {
                    assert!(!out.is_empty() && out.len() <= line.len() * 2);
                    assert!(!hidden || !ours(&out), "{} of {}", out.escape_ascii(), line.escape_ascii());
                    if hidden {
                        let mut again = Vec::new();
                        assert!(hide(&[upstream], &out, &mut again) == Change::Keep);
                    }
                }
            }
            let ticket = read(upstream, [line], 1_795_252_184);
            let mut out = Vec::new();
            let mut answer = Answer::new(upstream, &ticket, PeerId(0), 200, true, 1_795_252_184);
            answer.relay(line, &mut out);
            out.clear();
            answer.issue(|_, _| {}, &mut out);
            assert!(!out.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{}", out.escape_ascii());
        }
    });
}

/// Whether a pair of the line is named `route`.
fn ours(line: &[u8]) -> bool {
    line.split(|&b| b == b';').any(|pair| {
        let mut halves = pair.splitn(2, |&b| b == b'=');
        let name = trimmed(halves.next().unwrap_or_default());
        halves.next().is_some() && name == b"route"
    })
}

/// Without blanks and tabs at its ends; a head holds no other white space.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn sticky_upstreams() -> Vec<Upstream> {
    let servers = "server 127.0.0.1:1; server 127.0.0.1:2 id=two;";
    let forms = [
        ("hidden", "session_sticky cookie=route option=indirect;"),
        ("prefix", "session_sticky cookie=route mode=prefix;"),
        ("timed", "session_sticky cookie=route maxidle=60 maxlife=600;"),
        ("plain", "session_sticky cookie=route mode=rewrite hash=plain fallback=off;"),
        ("older", "sticky_cookie_insert route expires=1h;"),
    ];
    let blocks: String =
        forms.iter().map(|(n, form)| format!("upstream {n} {{ {servers} {form} }}\n")).collect();
    let dir = folder();
    let path = dir.join("sticky.conf");
    std::fs::write(&path, format!("events {{ }}\nhttp {{\n{blocks}}}\n")).expect("a folder of ours");
    let Loaded { conf, diags, plan } = compile::load(&path, Path::new("/nonexistent"), None);
    let said: Vec<_> = diags.iter().map(|d| render_nginx(&conf.map, d)).collect();
    plan.unwrap_or_else(|| panic!("{said:#?}")).upstreams
}
