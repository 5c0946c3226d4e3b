//! Virtual servers: names, and what holds before a location is known.

use std::collections::HashMap;
use std::time::Duration;

use super::{LocId, RegexId, ServerId};

/// One `server` block of `http`.
#[derive(Debug, Clone)]
pub struct Server {
    /// The first `server_name`, as `$server_name` gives it.
    pub name: Box<[u8]>,
    /// The location that stands for the server block itself (settings of requests that no location takes).
    pub root: LocId,
    /// How a path finds its location.
    pub router: LocRouter,
    /// Named locations, `@` included.
    pub named: HashMap<Box<[u8]>, LocId>,
    /// `client_header_timeout`, default 60 s.
    pub header_timeout: Duration,
    /// `client_header_buffer_size`, default 1k.
    pub header_buffer: usize,
    /// `large_client_header_buffers`, default 4 × 8k.
    pub large_buffers: (usize, usize),
    /// `ignore_invalid_headers`, default on.
    pub ignore_invalid_headers: bool,
    /// `underscores_in_headers`, default off.
    pub underscores_in_headers: bool,
    /// `merge_slashes`, default on.
    pub merge_slashes: bool,
    /// `max_headers`, default 1000.
    pub max_headers: usize,
    pub http2: Http2,
    /// The certificates that it shows; `None`: it has none, and on a name of its own the address's default ones are shown.
    pub tls: Option<super::Tls>,
    /// `ssl_reject_handshake`
    pub reject_handshake: bool,
    /// `ssl_verify_client`
    pub verify_client: super::VerifyClient,
}

/// `http2` and its kin; a connection has those of its address's default server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2 {
    /// `http2`, default off.
    pub on: bool,
    /// `http2_max_concurrent_streams`, default 128.
    pub streams: u32,
    /// `http2_body_preread_size`, bytes of a body that come before it is asked for, default 64k.
    pub preread: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Self { on: false, streams: 128, preread: 64 << 10 }
    }
}

/// `server_name`: which server a Host belongs to. nginx's order: exact, longest `*.x`, longest `x.*`, first regex.
#[derive(Debug, Clone, Default)]
pub struct NameRouter {
    /// Lower-case names.
    pub exact: HashMap<Box<[u8]>, ServerId>,
    /// `*.example.com` kept as `.example.com`; `.example.com` is here and in `exact`. Longest first.
    pub head: Vec<(Box<[u8]>, ServerId)>,
    /// `www.example.*` kept as `www.example.`. Longest first.
    pub tail: Vec<(Box<[u8]>, ServerId)>,
    /// In the order of the file.
    pub regexes: Vec<(RegexId, ServerId)>,
}

impl NameRouter {
    /// Nothing is asked of a name: the socket has one server.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.head.is_empty() && self.tail.is_empty() && self.regexes.is_empty()
    }
}

/// The locations directly inside a server or a location.
///
/// `prefixes` is sorted by text, an exact one before a prefix of the same text. The longest prefix of a path is the
/// greatest entry not above the path, or one reached from it by `shorter`.
#[derive(Debug, Clone, Default)]
pub struct LocRouter {
    pub exact: HashMap<Box<[u8]>, LocId>,
    pub prefixes: Vec<PrefixEntry>,
    /// In the order of the file.
    pub regexes: Vec<(RegexId, LocId)>,
}

#[derive(Debug, Clone)]
pub struct PrefixEntry {
    pub text: Box<[u8]>,
    pub loc: LocId,
    /// The entry with the longest text that is a proper prefix of this one's.
    pub shorter: Option<u32>,
}
