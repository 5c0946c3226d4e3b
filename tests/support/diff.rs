//! The same file and the same requests through nginx and tenrec, heads and bodies compared.

use super::client::Client;
use super::daemon::{Daemon, Program, nginx};
use super::skipped;

/// One exchange to compare: bytes to the port that stands for `port` in the configuration.
pub struct Exchange<'a> {
    pub port: u16,
    pub bytes: &'a [u8],
}

/// Sends each exchange on a connection of its own (with `Connection: close`, if a backend is behind it) to
/// nginx and to tenrec on the same configuration, and fails unless the answers are the same but for dates and versions.
#[track_caller]
pub fn same(test: &str, conf: &str, files: &[(&str, &[u8])], exchanges: &[Exchange<'_>]) {
    same_where(test, conf, files, exchanges, |_| true);
}

/// As [`same`], the exchanges left out where nginx's answer is not what `counts` asks for. The client closes its side
/// after the request, so that every connection ends.
#[track_caller]
pub fn same_where(
    test: &str,
    conf: &str,
    files: &[(&str, &[u8])],
    exchanges: &[Exchange<'_>],
    counts: impl Fn(&str) -> bool,
) {
    let Some(reference) = nginx() else {
        return skipped(test, "no nginx to compare with");
    };
    let answers = |program: Program| -> Vec<String> {
        let daemon = Daemon::run(program, conf, files);
        let ask = |e: &Exchange<'_>| {
            let mut client = Client::connect(daemon.port(e.port));
            client.send(e.bytes);
            if !e.bytes.windows(17).any(|w| w.eq_ignore_ascii_case(b"Connection: close")) {
                client.half_close();
            }
            client.rest()
        };
        exchanges.iter().map(|e| normal(&ask(e), &daemon)).collect()
    };
    let (theirs, ours) = (answers(reference), answers(Program::Tenrec));
    assert!(theirs.iter().any(|t| counts(t)), "{test}: nothing to compare: {theirs:#?}");
    for ((exchange, theirs), ours) in exchanges.iter().zip(&theirs).zip(&ours) {
        if !counts(theirs) {
            continue;
        }
        let request = String::from_utf8_lossy(exchange.bytes);
        assert_eq!(theirs, ours, "{test}: nginx (left) and tenrec (right) differ on {request}");
    }
}

/// An answer without what may differ between two runs: dates, versions, ports, the prefix.
fn normal(bytes: &[u8], daemon: &Daemon) -> String {
    let bytes = unpacked(bytes).unwrap_or_else(|| unchunked(bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let name = line.split(':').next().unwrap_or_default();
        match name {
            "ETag" if line.contains(": W/") => out.push_str("ETag: W/…\r\n"),
            "Date" | "Last-Modified" | "ETag" | "Expires" => out.push_str(&format!("{name}: …\r\n")),
            _ => out.push_str(line),
        }
    }
    for (name, port) in daemon.ports() {
        out = out.replace(&format!(":{port}"), &format!(":%%{name}%%"));
    }
    out = out.replace(&daemon.prefix().display().to_string(), "%%DIR%%");
    without_version(&out)
}

/// A compressed answer with its body unpacked: two compressors need not make the same bytes.
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    if !String::from_utf8_lossy(&bytes[..end]).contains("Content-Encoding: gzip") {
        return None;
    }
    let whole = unchunked(bytes);
    let (head, body) = whole.split_at(end);
    let from = body.windows(2).take(16).position(|w| w == b"\x1f\x8b")?;
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::bufread::GzDecoder::new(&body[from..]), &mut text).ok()?;
    Some([head, b"(gzip) ", &text[..]].concat())
}

/// A chunked answer with its body in one chunk: where a sender cuts is its own affair.
pub fn unchunked(bytes: &[u8]) -> Vec<u8> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|i| i + 4) else {
        return bytes.to_vec();
    };
    let (head, mut rest) = bytes.split_at(end);
    if !String::from_utf8_lossy(head).contains("Transfer-Encoding: chunked") {
        return bytes.to_vec();
    }
    let mut body = Vec::new();
    loop {
        let size = rest.windows(2).position(|w| w == b"\r\n").and_then(|i| {
            let line = std::str::from_utf8(&rest[..i]).ok()?;
            Some((i + 2, usize::from_str_radix(line, 16).ok()?))
        });
        let Some((line, size)) = size else { return bytes.to_vec() };
        if size == 0 || rest.len() < line + size + 2 {
            return [head, format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n", rest].concat();
        }
        body.extend_from_slice(&rest[line..line + size]);
        rest = &rest[line + size + 2..];
    }
}

fn without_version(text: &str) -> String {
    let mut parts = text.split("nginx/1.");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("nginx/1.x");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.'));
    }
    out
}
