//! Peers, how one is chosen, how a session stays, and what an exchange with one looks like.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Check, PeerId, StickyLearn, Template, UpstreamId};

/// An `upstream` block, or the one that a `proxy_pass` to an address makes.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub name: Box<str>,
    /// Made by `proxy_pass http://address`: no keepalive; several addresses of one name are balanced as usual.
    pub implicit: bool,
    /// The port of an implicit one; 0 for a block, which has none.
    pub port: u16,
    /// Primary peers in file order, one for each resolved address, then backups.
    pub peers: Vec<Peer>,
    /// How many of `peers` are primary.
    pub primary: usize,
    pub method: Method,
    pub sticky: Option<Sticky>,
    /// `zone NAME SIZE`: state is kept over a reload.
    pub zone: Option<Box<str>>,
    pub keepalive: UpstreamKeepalive,
    /// How its peers are checked; `None`: they are not.
    pub check: Option<Check>,
    /// What a session's cookie says for each peer, by [`PeerId`]; empty without `sticky`.
    pub sids: Vec<Box<[u8]>>,
    /// The way back; of two peers with one value the first has it.
    pub sid_index: PeerIndex,
    /// The same among the backups alone: with nginx's sessions they have their own once backups are due.
    pub backup_sids: PeerIndex,
    /// What the file asks for that is ours; `None`: nothing.
    pub pins: Option<Box<super::Pins>>,
    /// Servers whose addresses are looked up while running; none of them is among `peers`.
    pub dynamic: Option<Box<Dynamic>>,
}

/// The `server … resolve` lines of an upstream.
#[derive(Debug, Clone)]
pub struct Dynamic {
    pub resolver: super::ResolverId,
    /// `resolver_timeout`; 0: no limit.
    pub timeout: Duration,
    pub servers: Vec<DynamicServer>,
    /// Bytes of the upstream's zone, which bounds the peers.
    pub zone_size: usize,
    /// Works out again what hangs on the peers that there are.
    pub renew: Renew,
}

/// What is done to an upstream whose peers have changed.
#[derive(Clone)]
pub struct Renew(pub Arc<dyn Fn(&mut Upstream) + Send + Sync>);

impl std::fmt::Debug for Renew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renew")
    }
}

/// One `server … resolve` line.
#[derive(Debug, Clone)]
pub struct DynamicServer {
    pub host: Box<str>,
    /// `service=`; `None`: the host's own addresses.
    pub service: Option<Box<str>>,
    /// The port of peers without `service`.
    pub port: u16,
    /// What each of its peers is but for name and address.
    pub peer: Peer,
}

/// One address of one `server` line.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The text nginx names the peer by: resolved `ip:port`, `[v6]:port`, `unix:/path`.
    pub name: Box<str>,
    /// The `server` argument as written.
    pub server: Box<str>,
    pub addr: PeerAddr,
    pub weight: u32,
    /// 0: failures are not counted.
    pub max_fails: u32,
    pub fail_timeout: Duration,
    /// `slow_start=`: how long a peer that has come back takes to its whole weight; 0: no time.
    pub slow_start: Duration,
    /// 0: no limit.
    pub max_conns: u32,
    pub down: bool,
    pub backup: bool,
    pub drain: bool,
    /// `id=` (Tengine) or `route=` (nginx).
    pub id: Option<Box<str>>,
    /// `id=`: the session's value with Tengine's `hash=plain`.
    pub plain: Option<Box<[u8]>>,
    /// `route=`: the session's value with nginx's sessions.
    pub route: Option<Box<[u8]>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    Inet(SocketAddr),
    Unix(PathBuf),
}

/// The balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    RoundRobin,
    IpHash,
    Hash(Template),
    HashConsistent(Template),
    LeastConn,
    Random {
        two: bool,
    },
    /// `random two least_time=`: of two the one with the shorter time; `last_byte` is false: until the head.
    RandomLeastTime {
        last_byte: bool,
    },
    /// `least_time header|last_byte [inflight]`
    LeastTime {
        last_byte: bool,
        inflight: bool,
    },
    /// Tengine's `consistent_hash`.
    ConsistentHash(Template),
}

/// How a session stays with its peer.
#[derive(Debug, Clone)]
pub enum Sticky {
    /// Tengine's `session_sticky`.
    Tengine(SessionSticky),
    /// `sticky_cookie_insert NAME expires= domain= path=`, nginx's `sticky cookie`.
    Cookie(StickyCookie),
    /// nginx's `sticky route`: the first of these that is not empty is the peer's value.
    Route(Vec<Template>),
    /// nginx's `sticky learn`.
    Learn(StickyLearn),
    /// nginx-sticky-module-ng's `sticky`.
    Ng(StickyNg),
}

/// `sticky [name=] …` as nginx-sticky-module-ng has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyNg {
    /// `name=`, default `route`; compared without regard to case.
    pub name: Box<[u8]>,
    pub domain: Option<Box<[u8]>>,
    /// `path=`, default `/`.
    pub path: Box<[u8]>,
    /// Seconds, at least 1; `None`: a session cookie.
    pub expires: Option<i64>,
    pub secure: bool,
    pub httponly: bool,
    /// `no_fallback` is false: 502 when the session's own peer cannot be used.
    pub fallback: bool,
    /// `hide_cookie`: none is set; cookies that clients have name peers all the same.
    pub hide: bool,
    pub value: NgValue,
    pub input: NgInput,
}

/// What the cookie says of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NgValue {
    /// `hash=index`: its place among the peers, from 0.
    Index,
    /// `hash=md5|sha1`
    Hash(NgDigest),
    /// `hmac=md5|sha1 hmac_key=`
    Hmac(NgDigest, Box<[u8]>),
    /// `text=raw`, or a digest of that text.
    Text(Option<NgDigest>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NgDigest {
    Md5,
    Sha1,
}

/// What stands for the peer in a digest or a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NgInput {
    /// Up to version 1.2.6: the address as the C library has it, in texts `ip:port`.
    Address,
    /// From 1.2.7 on: the `server` argument as written.
    Server,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSticky {
    /// `cookie=`, default `route`.
    pub cookie: Box<[u8]>,
    pub domain: Option<Box<[u8]>>,
    /// `path=`, default `/`.
    pub path: Option<Box<[u8]>>,
    /// Seconds; `None`: a session cookie.
    pub maxage: Option<i64>,
    pub maxidle: Option<i64>,
    pub maxlife: Option<i64>,
    pub mode: StickyMode,
    /// `option=indirect`
    pub indirect: bool,
    /// `fallback=on`
    pub fallback: bool,
    /// `hash=plain` is false.
    pub md5: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StickyMode {
    Insert,
    Rewrite,
    Prefix,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyCookie {
    pub name: Box<[u8]>,
    pub expires: StickyExpires,
    pub domain: Option<Template>,
    pub path: Option<Box<[u8]>>,
    pub httponly: bool,
    pub secure: bool,
    pub samesite: Option<Template>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StickyExpires {
    Session,
    Max,
    Seconds(i64),
}

/// `keepalive` in an upstream (nginx 1.29.7 and later: on by default, 32, `local` unless said).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamKeepalive {
    /// Idle connections kept by each thread; 0: none.
    pub idle: usize,
    /// `local`: a kept connection is used again only by the location (`proxy_pass`) that opened it.
    pub local: bool,
    pub requests: u64,
    pub time: Duration,
    pub timeout: Duration,
}

/// `proxy_pass` and what goes with it. The inherited settings are in `set`, shared, and read as if they were here.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub to: ProxyTo,
    /// The URI part of `proxy_pass`; `None`: the client's own target goes on unchanged.
    pub uri: Option<Template>,
    /// How many bytes of the path `uri` replaces (a prefix location's length); 0 when `uri` has variables.
    pub replaces: usize,
    /// `$proxy_host`: host and, when not 80, port, as written.
    pub host: Template,
    /// `$proxy_port`.
    pub port: Box<[u8]>,
    /// `https://`; of one with variables each request's own text says so.
    pub https: bool,
    /// There when it is `https`, or may be.
    pub tls: Option<Arc<super::ProxyTls>>,
    /// `proxy_redirect`; the default one is made of this `proxy_pass`.
    pub redirect: ProxyRedirect,
    pub set: Arc<ProxySet>,
}

impl Deref for Proxy {
    type Target = ProxySet;

    fn deref(&self) -> &ProxySet {
        &self.set
    }
}

/// The `proxy_*` settings that locations inherit.
#[derive(Debug, Clone)]
pub struct ProxySet {
    pub http_version: ProxyVersion,
    pub method: Option<Template>,
    /// `proxy_set_body`.
    pub set_body: Option<Template>,
    pub pass_request_headers: bool,
    pub pass_request_body: bool,
    /// `proxy_set_header` in effect, in the order in which the fields are written: `Host` first (its last value, or
    /// `$proxy_host`; over HTTP/1.1 one that comes out empty means `$proxy_host` as well), then the file's, then
    /// nginx's defaults: `Connection`, `Proxy-Connection`, `TE`, `Keep-Alive`, `Expect` and `Upgrade`, all empty. The
    /// client's fields of these names are not passed, and an empty value writes no field. `Content-Length` and
    /// `Transfer-Encoding` are here only when the file sets them: the proxy's own framing fields come last
    /// otherwise. Names compare without regard to case.
    pub set_headers: Vec<(Box<[u8]>, Template)>,
    /// Lower-case names not passed to the client: nginx's defaults plus `proxy_hide_header` less `proxy_pass_header`.
    pub hide: Vec<Box<[u8]>>,
    pub pass_server: bool,
    pub pass_date: bool,
    pub connect_timeout: Duration,
    pub send_timeout: Duration,
    pub read_timeout: Duration,
    pub next_upstream: NextUpstream,
    /// 0: as many as there are peers.
    pub next_tries: u32,
    /// 0: no limit.
    pub next_timeout: Duration,
    pub buffering: bool,
    pub request_buffering: bool,
    /// `proxy_buffer_size`: the response head must fit.
    pub buffer_size: usize,
    pub buffers: (usize, usize),
    pub busy_buffers_size: usize,
    /// `proxy_max_temp_file_size`, default 1024m; 0: none.
    pub max_temp_file_size: u64,
    pub temp_path: PathBuf,
    pub intercept_errors: bool,
    /// A leading dot is gone from both.
    pub cookie_domain: Vec<(RedirectFrom, Template)>,
    pub cookie_path: Vec<(RedirectFrom, Template)>,
    /// Which cookies, and the flags to set or unset (`secure`, `nohttponly`, `samesite=lax` …).
    pub cookie_flags: Vec<(RedirectFrom, Vec<Template>)>,
    pub pass_trailers: bool,
    pub ignore_client_abort: bool,
    /// Lower-case header names of `proxy_ignore_headers`.
    pub ignore_headers: Vec<Box<[u8]>>,
    pub force_ranges: bool,
    pub socket_keepalive: bool,
    pub limit_rate: Option<Template>,
    /// `proxy_bind`.
    pub bind: Option<Template>,
    /// `session_sticky_hide_cookie upstream=` and `session_sticky_header … switch=on`: the upstreams named.
    pub hide_sticky: Vec<UpstreamId>,
    /// `session_sticky_header upstream= switch=off`: the upstreams named. Others are hidden when their mode needs it.
    pub show_sticky: Vec<UpstreamId>,
    /// `sticky_no_fallback`: a request whose own peer cannot be used gets 502, whatever the upstream says.
    pub sticky_no_fallback: bool,
    /// `sticky_hide_cookie`: nginx-sticky-module-ng's cookie is not set.
    pub sticky_hide_cookie: bool,
}

#[derive(Debug, Clone)]
pub enum ProxyTo {
    Upstream(UpstreamId),
    /// The address has variables: evaluated, looked up among the upstreams' names, else parsed as an address.
    Variable(Template),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersion {
    Http10,
    Http11,
}

/// `proxy_redirect`.
#[derive(Debug, Clone)]
pub enum ProxyRedirect {
    Off,
    Rules(Vec<(RedirectFrom, Template)>),
}

#[derive(Debug, Clone)]
pub enum RedirectFrom {
    Text(Template),
    Regex(super::RegexId),
}

bitflags::bitflags! {
    /// `proxy_next_upstream`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct NextUpstream: u32 {
        const ERROR = 1;
        const TIMEOUT = 1 << 1;
        const INVALID_HEADER = 1 << 2;
        const HTTP_500 = 1 << 3;
        const HTTP_502 = 1 << 4;
        const HTTP_503 = 1 << 5;
        const HTTP_504 = 1 << 6;
        const HTTP_403 = 1 << 7;
        const HTTP_404 = 1 << 8;
        const HTTP_429 = 1 << 9;
        const NON_IDEMPOTENT = 1 << 10;
        const OFF = 1 << 11;
    }
}

/// What a peer's cookie value is looked up in: see `sticky`.
pub type PeerIndex = std::collections::HashMap<Box<[u8]>, PeerId>;
