//! Heads: one buffer, and offsets into it.

use std::time::Duration;

use super::{Framing, KnownField, Method};
use crate::plan;

/// A range of a head's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// Heads are far smaller than 4 GiB: the buffers they are read into are bounded.
    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    #[inline]
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.end == self.start
    }
}

/// One field of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub name: Span,
    pub value: Span,
    pub id: KnownField,
}

/// `1000 * major + minor`, as nginx compares versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16);

impl Version {
    pub const HTTP_09: Self = Self(9);
    pub const HTTP_10: Self = Self(1000);
    pub const HTTP_11: Self = Self(1001);
    pub const HTTP_20: Self = Self(2000);
}

impl Default for Version {
    fn default() -> Self {
        Self::HTTP_11
    }
}

/// How a request head is read. nginx takes these from the address's default server until it knows the Host.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `client_header_buffer_size`, default 1k.
    pub header_buffer: usize,
    /// `large_client_header_buffers`, default 4 × 8k.
    pub large_buffers: (usize, usize),
    /// `ignore_invalid_headers`, default on: fields with unusual names are dropped.
    pub ignore_invalid_headers: bool,
    /// `underscores_in_headers`, default off: `_` makes a name invalid.
    pub underscores_in_headers: bool,
    /// `max_headers`, default 1000.
    pub max_headers: usize,
    /// `client_header_timeout`, default 60 s, for the whole head.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_buffer: 1024,
            large_buffers: (4, 8192),
            ignore_invalid_headers: true,
            underscores_in_headers: false,
            max_headers: 1000,
            timeout: Duration::from_secs(60),
        }
    }
}

impl Limits {
    pub fn of(server: &plan::Server) -> Self {
        Self {
            header_buffer: server.header_buffer,
            large_buffers: server.large_buffers,
            ignore_invalid_headers: server.ignore_invalid_headers,
            underscores_in_headers: server.underscores_in_headers,
            max_headers: server.max_headers,
            timeout: server.header_timeout,
        }
    }
}

/// The head of a request. It is reused for all requests of a connection.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    /// The head as it came (a lower-cased host may follow it). The spans point into it.
    pub buf: Vec<u8>,
    pub fields: Vec<Field>,
    /// The request line without its end; of a refused line, what came of it.
    pub line: Span,
    pub method: Span,
    pub method_id: Method,
    /// Path and arguments, of an absolute target too (`/` when it has no path); `?…` when `empty_path`.
    pub target: Span,
    /// An absolute target without a path but with arguments (`http://a?b`).
    pub empty_path: bool,
    /// The path needs no decoding: it is `target` up to the `?`.
    pub simple_path: bool,
    /// Where the arguments begin, when the path is simple.
    pub args: Option<u32>,
    pub scheme: Option<Span>,
    /// `HTTP/1.1` as sent; empty for HTTP/0.9.
    pub protocol: Span,
    pub version: Version,
    /// The host that chooses the server: of an absolute target, else of the Host field; lower-case, no port, no final dot.
    pub host: Option<Span>,
    /// The port that came with `host`; 0: none.
    pub port: u16,
    /// The Host field is there.
    pub host_field: bool,
    pub framing: Framing,
    /// The client lets the connection stay open (Connection, and the default of its version).
    pub keep_alive: bool,
    /// `Expect: 100-continue` from an HTTP/1.1 client.
    pub expect_continue: bool,
    /// Bytes of the head, as nginx counts them in `$request_length`.
    pub length: usize,
}

impl RequestHead {
    pub fn clear(&mut self) {
        let (mut buf, mut fields) = (std::mem::take(&mut self.buf), std::mem::take(&mut self.fields));
        buf.clear();
        fields.clear();
        *self = Self { buf, fields, ..Self::default() };
    }

    #[inline]
    pub fn text(&self, span: Span) -> &[u8] {
        span.of(&self.buf)
    }

    pub fn line(&self) -> &[u8] {
        self.text(self.line)
    }

    pub fn method(&self) -> &[u8] {
        self.text(self.method)
    }

    pub fn target(&self) -> &[u8] {
        self.text(self.target)
    }

    pub fn protocol(&self) -> &[u8] {
        self.text(self.protocol)
    }

    pub fn host(&self) -> Option<&[u8]> {
        self.host.map(|h| self.text(h))
    }

    /// The value of the first field of this name.
    #[inline]
    pub fn get(&self, id: KnownField) -> Option<&[u8]> {
        self.fields.iter().find(|f| f.id == id).map(|f| self.text(f.value))
    }

    /// … while its text is in `buf`.
    pub(super) fn get_in<'b>(&self, buf: &'b [u8], id: KnownField) -> Option<&'b [u8]> {
        self.fields.iter().find(|f| f.id == id).map(|f| f.value.of(buf))
    }

    /// Name, value and id of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], KnownField)> + Clone {
        self.fields.iter().map(|f| (self.text(f.name), self.text(f.value), f.id))
    }

    /// The value of the first field of any name, compared without regard to case.
    pub fn find(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(n, _, _)| n.eq_ignore_ascii_case(name)).map(|(_, v, _)| v)
    }
}

/// The head of a response from a peer. It is reused.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// The head as it came. The spans point into it.
    pub buf: Vec<u8>,
    pub fields: Vec<Field>,
    pub version: Version,
    pub status: u16,
    /// Status and reason as sent: `200 OK`, `404`.
    pub status_line: Span,
    /// What follows the head, the request's method taken into account.
    pub framing: Framing,
    /// Content-Length, also where no body follows (HEAD, 304).
    pub content_length: Option<u64>,
    pub chunked: bool,
    /// The peer lets the connection stay open.
    pub keep_alive: bool,
    /// `101` was answered.
    pub upgrade: bool,
}

impl ResponseHead {
    pub fn clear(&mut self) {
        let (mut buf, mut fields) = (std::mem::take(&mut self.buf), std::mem::take(&mut self.fields));
        buf.clear();
        fields.clear();
        *self = Self { buf, fields, ..Self::default() };
    }

    #[inline]
    pub fn text(&self, span: Span) -> &[u8] {
        span.of(&self.buf)
    }

    pub fn status_line(&self) -> &[u8] {
        self.text(self.status_line)
    }

    #[inline]
    pub fn get(&self, id: KnownField) -> Option<&[u8]> {
        self.fields.iter().find(|f| f.id == id).map(|f| self.text(f.value))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], KnownField)> {
        self.fields.iter().map(|f| (self.text(f.name), self.text(f.value), f.id))
    }

    pub fn find(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(n, _, _)| n.eq_ignore_ascii_case(name)).map(|(_, v, _)| v)
    }
}
