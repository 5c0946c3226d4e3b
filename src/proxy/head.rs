//! The request head that a peer gets, planned once a location.

use crate::plan::{Proxy, ProxyVersion, Template};
use crate::vars::{self, Source};
use crate::wire::KnownField;

/// Names of fields: a bit for each that has an id, the others by text.
#[derive(Debug, Clone, Default)]
pub(super) struct FieldSet {
    known: u128,
    /// Lower-case.
    other: Vec<Box<[u8]>>,
}

impl FieldSet {
    pub(super) fn insert(&mut self, name: &[u8]) {
        match bit(KnownField::of(name)) {
            Some(bit) => self.known |= bit,
            None => self.other.push(name.to_ascii_lowercase().into()),
        }
    }

    pub(super) fn contains(&self, id: KnownField, name: &[u8]) -> bool {
        match bit(id) {
            Some(bit) => self.known & bit != 0,
            None => self.other.iter().any(|n| n.eq_ignore_ascii_case(name)),
        }
    }
}

impl<N: AsRef<[u8]>> FromIterator<N> for FieldSet {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        let mut set = Self::default();
        names.into_iter().for_each(|n| set.insert(n.as_ref()));
        set
    }
}

fn bit(id: KnownField) -> Option<u128> {
    if id == KnownField::Other { None } else { 1u128.checked_shl(id as u32) }
}

/// What a location makes of every request head.
#[derive(Debug)]
pub(super) struct HeadPlan {
    lines: Vec<Line>,
    /// The client's fields that are not passed.
    pub(super) dropped: FieldSet,
    own_length: bool,
    own_chunked: bool,
    version: &'static [u8],
}

#[derive(Debug)]
enum Line {
    /// Whole lines.
    Fixed(Vec<u8>),
    /// `Name: ` and a value; written when the value is not empty.
    Made { name: Vec<u8>, value: Template },
    /// `Host`, which over HTTP/1.1 is `$proxy_host` when it would be empty.
    Host { value: Template },
}

/// How the body is framed for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

impl HeadPlan {
    pub(super) fn new(proxy: &Proxy) -> Self {
        let mut lines = Vec::new();
        for (name, value) in &proxy.set_headers {
            if name.eq_ignore_ascii_case(b"host") {
                lines.push(Line::Host { value: value.clone() });
                continue;
            }
            match value.as_text() {
                Some(b"") => {}
                Some(text) => {
                    let line = [name, &b": "[..], text, b"\r\n"].concat();
                    match lines.last_mut() {
                        Some(Line::Fixed(lines)) => lines.extend_from_slice(&line),
                        _ => lines.push(Line::Fixed(line)),
                    }
                }
                None => lines.push(Line::Made { name: [name, &b": "[..]].concat(), value: value.clone() }),
            }
        }
        let sets = |wanted: &[u8]| proxy.set_headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(wanted));
        let (own_length, own_chunked) = (!sets(b"content-length"), !sets(b"transfer-encoding"));
        let mut dropped: FieldSet = proxy.set_headers.iter().map(|(name, _)| name).collect();
        dropped.insert(b"content-length");
        dropped.insert(b"transfer-encoding");
        let version: &[u8] = match proxy.http_version {
            ProxyVersion::Http10 => b" HTTP/1.0\r\n",
            ProxyVersion::Http11 => b" HTTP/1.1\r\n",
        };
        Self { lines, dropped, own_length, own_chunked, version }
    }

    /// Appends what comes between the URI and the client's own fields.
    pub(super) fn write_top<S: Source>(
        &self,
        proxy: &Proxy,
        framing: Framing,
        source: &S,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(self.version);
        for line in &self.lines {
            match line {
                Line::Fixed(lines) => out.extend_from_slice(lines),
                Line::Made { name, value } => {
                    field(out, name, |out| vars::eval(value, source, out));
                }
                Line::Host { value } => {
                    let given = field(out, b"Host: ", |out| vars::eval(value, source, out));
                    if !given && proxy.http_version == ProxyVersion::Http11 {
                        field(out, b"Host: ", |out| vars::eval(&proxy.host, source, out));
                    }
                }
            }
        }
        match framing {
            Framing::Length(n) if self.own_length => {
                out.extend_from_slice(b"Content-Length: ");
                out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Framing::Chunked if self.own_chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            _ => {}
        }
    }
}

/// Appends a line unless its value turns out empty.
fn field(out: &mut Vec<u8>, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    out.extend_from_slice(name);
    let before = out.len();
    value(out);
    if out.len() == before {
        out.truncate(start);
        return false;
    }
    out.extend_from_slice(b"\r\n");
    true
}
