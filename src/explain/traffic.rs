//! Requests out of a file: a list of URLs, or an access log in the combined format. Read line by line: a file may be of
//! any size.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufRead};
use std::net::IpAddr;

use super::ask::Ask;

/// A line longer than this is not decoded.
const LINE: usize = 64 * 1024;

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `[METHOD] URL`, or a path; empty lines and those that begin with `#` are left out.
    Urls,
    /// `ADDRESS - USER [TIME] "REQUEST" STATUS BYTES "REFERER" "AGENT"`; a host, or `HOST:PORT`, may stand before.
    Combined,
}

/// How many lines a file had, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub lines: u64,
    /// They are no requests.
    pub undecodable: u64,
    /// Requests that had been asked about already.
    pub repeated: u64,
    /// Requests that were not asked about any more, because there were as many as were to be.
    pub left: u64,
}

/// Reads requests, each one once.
pub struct Traffic<R> {
    from: R,
    form: Form,
    /// Of requests that name no host.
    host: String,
    limit: usize,
    /// Hashes: what was asked is remembered and not kept.
    seen: HashSet<u64>,
    hasher: RandomState,
    pub counts: Counts,
}

impl<R: BufRead> Traffic<R> {
    /// At most `limit` requests are given.
    pub fn new(from: R, form: Form, host: &str, limit: usize) -> Self {
        let (seen, hasher) = (HashSet::new(), RandomState::new());
        Self { from, form, host: host.to_owned(), limit, seen, hasher, counts: Counts::default() }
    }

    /// The next request that was not there before.
    pub fn next_request(&mut self) -> io::Result<Option<Ask>> {
        let mut line = Vec::new();
        loop {
            let Some(whole) = read_line(&mut self.from, &mut line)? else { return Ok(None) };
            let text = line.trim_ascii();
            if whole && (text.is_empty() || (self.form == Form::Urls && text.starts_with(b"#"))) {
                continue;
            }
            self.counts.lines += 1;
            let asked = whole.then_some(text).and_then(|text| match self.form {
                Form::Urls => url(text, &self.host),
                Form::Combined => combined(text, &self.host),
            });
            let Some(ask) = asked else {
                self.counts.undecodable += 1;
                continue;
            };
            let key = self.hasher.hash_one((ask.client.ip(), ask.bytes()));
            if self.seen.contains(&key) {
                self.counts.repeated += 1;
            } else if self.seen.len() >= self.limit {
                self.counts.left += 1;
            } else {
                self.seen.insert(key);
                return Ok(Some(ask));
            }
        }
    }
}

/// A line without its end; `false`: it was too long, and only its beginning is there.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let (mut any, mut whole) = (false, true);
    loop {
        let part = from.fill_buf()?;
        if part.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = memchr::memchr(b'\n', part);
        let (text, used) = end.map_or((part, part.len()), |at| (&part[..at], at + 1));
        if line.len() + text.len() <= LINE {
            line.extend_from_slice(text);
        } else {
            whole = false;
        }
        from.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

fn url(text: &[u8], host: &str) -> Option<Ask> {
    let text = std::str::from_utf8(text).ok()?;
    if text.contains("://") {
        return Ask::parse(text).ok();
    }
    let (method, path) = text.split_once(' ').unwrap_or(("GET", text));
    path.starts_with('/').then(|| Ask::parse(&format!("{method} http://{host}{path}")).ok())?
}

fn combined(text: &[u8], host: &str) -> Option<Ask> {
    let text = std::str::from_utf8(text).ok()?;
    let (before, rest) = text.split_once(" [")?;
    let mut words = before.split_ascii_whitespace();
    let first = words.next()?;
    let (host, client) = match first.parse::<IpAddr>() {
        Ok(client) => (host, client),
        Err(_) if first == "unix:" => (host, IpAddr::from([127, 0, 0, 1])),
        // Another format's line: the host stands first, perhaps with its port.
        Err(_) => (first, words.next()?.parse().ok()?),
    };
    let (_, request) = rest.split_once("] \"")?;
    let request = request_of(request)?;
    let mut words = request.split(|b| *b == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next());
    if words.next().is_some() || !version.is_some_and(|v| v.starts_with(b"HTTP/")) {
        return None;
    }
    let method = std::str::from_utf8(method).ok()?;
    let mut ask = match target.strip_prefix(b"/") {
        Some(_) => Ask::parse(&format!("{method} http://{host}/")).ok()?,
        None => return Ask::parse(&format!("{method} {}", std::str::from_utf8(target).ok()?)).ok(),
    };
    if target.iter().any(|b| b.is_ascii_control()) {
        return None;
    }
    ask.target = target.to_vec();
    ask.client.set_ip(client);
    Some(ask)
}

/// The text up to the quote that ends it, `\xHH` and `\"` undone.
fn request_of(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (b'"', _) => return Some(out),
            (b'\\', Some(b'x')) => {
                let hex = text.get(at + 2..at + 4)?;
                out.push(u8::from_str_radix(hex, 16).ok()?);
                at += 4;
            }
            (b'\\', Some(&next)) => {
                out.push(next);
                at += 2;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
}
