//! The properties of `properties.rs` on inputs that are nearly right: the fixtures and a few messages, changed here and
//! there. The same seed makes the same inputs; `TENREC_FUZZ_SEED` and `TENREC_FUZZ_SECONDS` (a property) ask for others
//! and for more.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::properties;

/// The longest that one input may take: what passes it hangs.
const LONG: Duration = Duration::from_secs(20);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs `property` on what `input` makes, `cases` of them or as many as fit in the time.
fn check(
    cases: usize,
    property: fn(&[u8]),
    mut input: impl FnMut(&mut SmallRng, usize) -> Vec<u8> + Send + 'static,
) {
    let seed = number("TENREC_FUZZ_SEED").unwrap_or(1);
    let asked = number("TENREC_FUZZ_SECONDS").map(Duration::from_secs);
    let (send, receive) = mpsc::channel::<Vec<u8>>();
    let worker = std::thread::spawn(move || {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (start, time) = (Instant::now(), asked.unwrap_or(Duration::from_secs(30)));
        for i in (0..).take_while(|i| (asked.is_some() || *i < cases) && start.elapsed() < time) {
            let input = input(&mut rng, i);
            let _ = send.send(input.clone());
            property(&input);
        }
        properties::clean();
    });
    // The input at hand is the last one that came; nothing more comes when the worker has ended.
    let mut last = Vec::new();
    loop {
        match receive.recv_timeout(LONG) {
            Ok(input) => last = input,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("more than {LONG:?}, seed {seed}: {}", String::from_utf8_lossy(&last))
            }
        }
    }
    if worker.join().is_err() {
        panic!("seed {seed}: {}\n{:?}", String::from_utf8_lossy(&last), last.escape_ascii().to_string());
    }
}

// ---- configurations --------------------------------------------------------------------------------------------

/// Every configuration that lies in `fixtures` and `conf.d`, the large ones left out.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("fixtures"), root.join("conf.d")];
    let mut paths: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "conf") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let texts: Vec<_> =
        paths.iter().map(|p| std::fs::read(p).unwrap()).filter(|t| t.len() < 20_000).collect();
    assert!(texts.len() > 200, "{} configurations", texts.len());
    // A name is an address here, so that no resolver has a say in how long a case takes.
    texts.iter().map(|t| String::from_utf8_lossy(t).replace(".example.com", ".0.0.1").into_bytes()).collect()
}

/// The fixtures of another system.
fn foreign(system: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/migrate").join(system);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "in"));
    paths.sort();
    paths.iter().map(|p| std::fs::read(p).unwrap()).collect()
}

type Property = fn(&[u8]);

#[test]
fn other_systems_files_that_are_changed_end_in_an_output_or_a_place() {
    let systems: [(&str, Property); 9] = [
        ("haproxy", |text| properties::migrate("haproxy", text)),
        ("fgw", |text| properties::migrate("fgw", text)),
        ("sticky-ng", |text| properties::migrate("sticky-ng", text)),
        ("plus", |text| properties::migrate("plus", text)),
        ("ingress-nginx", |text| properties::migrate("ingress-nginx", text)),
        ("aliyun", |text| properties::migrate("aliyun", text)),
        ("tencent", |text| properties::migrate("tencent", text)),
        ("f5", |text| properties::migrate("f5", text)),
        ("to-nginx", |text| properties::migrate("to-nginx", text)),
    ];
    for (system, property) in systems {
        let corpus = foreign(system);
        check(25, property, move |rng, _| mutated(rng, &corpus));
    }
}

/// Where the words of a text begin and end.
fn words(text: &[u8]) -> Vec<(usize, usize)> {
    let is_word = |b: u8| !b.is_ascii_whitespace() && !matches!(b, b';' | b'{' | b'}');
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let start = at;
        while at < text.len() && is_word(text[at]) {
            at += 1;
        }
        if at > start {
            found.push((start, at));
        }
        at += 1;
    }
    found
}

/// Values at the edges of the types.
const EDGES: &[&str] = &[
    "0",
    "1",
    "-1",
    "00",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999",
    "2147483648",
    "4294967296",
    "1k",
    "8796093022207k",
    "9007199254740992g",
    "1y",
    "300y",
    "1ms",
    "0.5s",
    "on",
    "off",
    "''",
    "\"\"",
    "$",
    "${",
    "${}",
    "$host",
    "$1",
    "${host}x",
    "$no_such",
    "unix:",
    "unix:/s",
    "[::1]:1",
    "[",
    "]",
    "[::",
    ":",
    ":0",
    ":65536",
    "*:80",
    "*",
    "~",
    "~*",
    "^~",
    "=",
    "@",
    "@a",
    "/",
    "//",
    "http://",
    "http://u",
    "http://$host",
    "http://[::1",
    "=404",
    "~(",
    "~^(?<a>x)$",
    "\\",
    "'",
    "\"",
    "#",
    "{",
    "}",
    ";",
    ";;",
    "include",
    "\u{e9}",
    "weight=0",
    "max_fails=",
    "id=",
    "cookie=",
    "127.0.0.1:1-70000",
];

fn mutated(rng: &mut SmallRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut text = corpus.choose(rng).cloned().unwrap_or_default();
    for _ in 0..rng.random_range(1..4) {
        text = mutate(rng, text, corpus);
    }
    text.truncate(60_000);
    text
}

fn mutate(rng: &mut SmallRng, text: Vec<u8>, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|&b| b == b'\n').collect();
    let other = corpus.choose(rng).map_or(&[][..], |t| t);
    if lines.is_empty() {
        return other.to_vec();
    }
    let (a, b) = (rng.random_range(0..lines.len()), rng.random_range(0..lines.len()));
    match rng.random_range(0..12) {
        0 => drop(lines.remove(a)),
        1 => lines.insert(a, lines[a]),
        2 => lines.swap(a, b),
        3 => {
            let line = lines.remove(a);
            lines.insert(b.min(lines.len()), line);
        }
        // A line, or all lines, of another file.
        4 => {
            let theirs: Vec<&[u8]> = other.split_inclusive(|&b| b == b'\n').collect();
            lines.splice(a..a, theirs.choose(rng).copied());
        }
        5 => {
            lines.insert(a, other);
        }
        6..=9 => return with_word(rng, &text, other),
        // A byte, or the end.
        10 => {
            let mut text = text.clone();
            let at = rng.random_range(0..text.len());
            text[at] = *b"\0\r\n;{}'\"\\$#\xff ".choose(rng).unwrap_or(&0);
            return text;
        }
        _ => return text[..rng.random_range(0..text.len())].to_vec(),
    }
    lines.concat()
}

/// The text with a word replaced, dropped, doubled or changed.
fn with_word(rng: &mut SmallRng, text: &[u8], other: &[u8]) -> Vec<u8> {
    let Some(&(from, to)) = words(text).choose(rng) else { return text.to_vec() };
    let word = &text[from..to];
    let theirs = words(other);
    let new = match rng.random_range(0..6) {
        0 => Vec::new(),
        1 => [word, b" ", word].concat(),
        2 => word[..rng.random_range(0..word.len())].to_vec(),
        3 => theirs.choose(rng).map(|&(a, b)| other[a..b].to_vec()).unwrap_or_default(),
        // Behind the `=` of a parameter.
        4 => {
            let name = word.iter().position(|&b| b == b'=').map_or(0, |i| i + 1);
            [&word[..name], EDGES.choose(rng).unwrap_or(&"").as_bytes()].concat()
        }
        _ => EDGES.choose(rng).unwrap_or(&"").as_bytes().to_vec(),
    };
    [&text[..from], &new, &text[to..]].concat()
}

#[test]
fn a_changed_configuration_parses_and_prints_back() {
    let corpus = corpus();
    check(3000, properties::parse_conf, move |rng, i| match corpus.get(i) {
        Some(text) => text.clone(),
        None => mutated(rng, &corpus),
    });
}

#[test]
fn a_changed_configuration_is_checked_to_its_end() {
    let corpus = corpus();
    check(3000, properties::check_conf, move |rng, i| match corpus.get(i) {
        Some(text) => text.clone(),
        None => mutated(rng, &corpus),
    });
}

// ---- messages --------------------------------------------------------------------------------------------------

/// A whole with some bytes of it lost, doubled, changed, or something of `bits` put in; a leading byte says how a property
/// splits it.
fn spoiled(rng: &mut SmallRng, seeds: &[&str], bits: &[&str], lead: bool) -> Vec<u8> {
    let mut text = seeds.choose(rng).map(|s| s.as_bytes().to_vec()).unwrap_or_default();
    for _ in 0..rng.random_range(0..5) {
        let (a, b) = (rng.random_range(0..=text.len()), rng.random_range(0..=text.len()));
        let (a, b) = (a.min(b), a.max(b).min(a.min(b) + 12));
        match rng.random_range(0..6) {
            0 => drop(text.drain(a..b)),
            1 => drop(text.splice(a..a, text[a..b].to_vec())),
            2 => text[a..b].iter_mut().take(1).for_each(|byte| *byte = rng.random()),
            _ => drop(text.splice(a..a, bits.choose(rng).unwrap_or(&"").bytes())),
        }
    }
    if lead {
        text.insert(0, rng.random());
    }
    text
}

const BITS: &[&str] = &[
    "\r",
    "\n",
    "\r\n",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    "\0",
    "%",
    "%2",
    "/../",
    "//",
    "#",
    "?",
    "\u{80}",
    ",",
    ";",
    "=",
    "\"",
    "\\",
    "Host: a\r\n",
    "Host: [::1]:8\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close, keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "X: ",
    " HTTP/1.1",
    "HTTP/2.0",
];

#[test]
fn a_spoiled_request_head_reads_alike_in_pieces() {
    let seeds = [
        "GET /a/../b%20c?d=e HTTP/1.1\r\nHost: www.example.com:80\r\nX-A: b \r\nCookie: a=b; c=d\r\n\r\nGET",
        "POST http://u@a.example:81/x HTTP/1.1\r\nhost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
        "PUT * HTTP/1.0\r\nConnection: Keep-Alive, TE\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /\r\n",
    ];
    check(20_000, properties::request_head, move |rng, _| spoiled(rng, &seeds, BITS, true));
}

#[test]
fn a_spoiled_response_head_is_whole_or_not() {
    let seeds = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b; Path=/\r\nX-Accel-Redirect: /x\r\n\r\nhello",
        "HTTP/1.0 404\r\nServer: x\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: upgrade\n\n",
        "HTTP/1.1 200 OK\r\nHTTP/1.1 302 Found\r\nLocation: /\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    check(20_000, properties::response_head, move |rng, _| spoiled(rng, &seeds, BITS, false));
}

#[test]
fn a_spoiled_chunked_body_reads_alike_in_pieces() {
    let seeds = [
        "5\r\nhello\r\n0\r\n\r\nGET",
        "a;x=\"y\"\r\n0123456789\r\n1 \r\nz\r\n0\r\nT: 1\r\nU: 2\r\n\r\n",
        "0\r\n\r\n",
    ];
    let bits = [
        "\r",
        "\n",
        "\r\n",
        "0",
        "f",
        "7fffffffffffffff",
        ";",
        " ",
        "0\r\n",
        "\r\n\r\n",
        "1\r\na\r\n",
        "g",
        "-",
    ];
    check(20_000, properties::chunked_body, move |rng, _| spoiled(rng, &seeds, &bits, true));
}

#[test]
fn a_spoiled_cookie_line_hides_ours_alone() {
    let seeds = [
        "route=a44db3549e461fcd8a5ae22f73f91140; other=1",
        "a=b; route=a44db3549e461fcd8a5ae22f73f91140|1795252184|1795252184; xroute=1; route=\"x~y\"",
        "route",
        " ; ;route = 127.0.0.1:1~value ;; route=",
    ];
    let bits = [
        "route", "route=", "=", ";", "; ", " ", "\t", "~", "|", "\"", ",", "$", "\0", "\r\n", "\u{80}",
        "Route=1",
    ];
    check(20_000, properties::cookie_hide, move |rng, _| spoiled(rng, &seeds, &bits, false));
}
