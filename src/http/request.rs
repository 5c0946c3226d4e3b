//! Everything that is known about one request.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::first::FirstPeers;
use super::range::Ranges;
use super::secure::Secure;
use super::{Attempt, Captures, OutHead, ThreadState, Trace};
use crate::plan::{ListenAddr, ListenEntry, LocId, Location, Plan, Server, ServerId};
use crate::wire::proxy_protocol::Proxied;
use crate::wire::{Framing, Method, RequestHead, ResponseHead};

/// What stays the same for all requests of a connection.
#[derive(Debug, Clone)]
pub struct ConnInfo {
    /// nginx's `*NUMBER` in the error log and `$connection`.
    pub number: u64,
    /// `None`: a unix socket.
    pub client: Option<SocketAddr>,
    /// `$remote_addr`: the address without its port; `unix:` for a unix socket.
    pub client_text: Box<str>,
    /// Who is connected, when a trusted proxy gave another address for the request: `client` and `client_text` before.
    pub connected: Option<(Option<SocketAddr>, Box<str>)>,
    /// Where the client connected to.
    pub local: ListenAddr,
    /// The entry of the listener that `local` selects: index into `plan.listeners`, index into its `addrs`.
    pub listener: usize,
    pub entry: usize,
    pub tls: bool,
    /// What was agreed in the handshake, where `tls`.
    pub secure: Option<Rc<Secure>>,
    /// A plain connection to an address with TLS: no request of it is served.
    pub to_https: bool,
    /// Who the one who is connected speaks for (`listen … proxy_protocol`).
    pub proxied: Option<Rc<Proxied>>,
    /// Where its requests that had no session yet went; `None`: nobody asks (`sticky_parallel`). Streams of one
    /// connection share it.
    pub first: Option<Rc<FirstPeers>>,
    /// Milliseconds since 1970.
    pub started: u64,
    /// Requests of the connection so far, this one included.
    pub requests: u64,
}

impl ConnInfo {
    /// The port the client connected to; 0 on a unix socket.
    pub fn local_port(&self) -> u16 {
        match &self.local {
            ListenAddr::Inet(a) => a.port(),
            ListenAddr::Unix(_) => 0,
        }
    }

    pub fn listen_entry<'a>(&self, plan: &'a Plan) -> Option<&'a ListenEntry> {
        plan.listeners.get(self.listener)?.addrs.get(self.entry)
    }
}

/// Trailer fields; few answers have any.
#[derive(Debug, Default)]
pub struct Trailers {
    /// What the client gets after the body.
    pub sent: OutHead,
    /// What the peer sent after its body, with `proxy_pass_trailers`.
    pub upstream: OutHead,
}

/// One request, from the first byte of its head to its log line. There is one a connection: [`Request::reset`] makes
/// it ready for the next request and keeps the buffers.
#[derive(Debug)]
pub struct Request {
    pub plan: Arc<Plan>,
    pub thread: Rc<ThreadState>,
    pub conn: ConnInfo,
    /// The head as the client sent it.
    pub head: RequestHead,
    /// When its first byte came, milliseconds since 1970.
    pub started: u64,

    /// An internal redirect of `error_page` made it GET.
    pub method_is_get: bool,
    /// The path that locations are chosen by: decoded, normalised; changes with internal redirects.
    pub uri: Vec<u8>,
    pub args: Vec<u8>,
    /// The client's own target may be sent on as it is: no internal redirect changed it.
    pub valid_unparsed_uri: bool,

    pub server: ServerId,
    pub loc: LocId,
    /// The location that says what answers: another one than `loc` in an `if` that does not say it.
    pub(super) content: LocId,
    /// Asking for a variable may run a regex of its table.
    pub captures: RefCell<Captures>,
    /// Values of the variables that the configuration made.
    pub slots: RefCell<Vec<Option<Vec<u8>>>>,
    /// How many tables are being looked things up in, one for the other.
    pub(super) depth: Cell<u8>,

    /// The path is one that the location was chosen by: no `rewrite … break` changed it.
    pub valid_location: bool,
    /// One of our own, for the sake of another: nobody gets its answer.
    pub is_sub: bool,
    /// Reached by an internal redirect or a `rewrite`.
    pub internal: bool,
    /// Internal redirects left; 0: 500.
    pub uri_changes: u8,
    /// An `error_page` was taken and may not be taken again.
    pub error_page: bool,
    /// The status that error pages keep; 0: none.
    pub err_status: u16,

    /// The body is not wanted: what comes of it is thrown away, and its size no longer matters.
    pub discard_body: bool,
    /// `Expect: 100-continue` needs no answer any more.
    pub expect_tested: bool,
    /// The path may be added to an alias of a regex location (`try_files` found it there).
    pub(super) add_uri_to_alias: bool,
    /// The body in memory or in a file, when it was read for a peer.
    pub body: super::body::Body,

    /// The connection may go on after this request.
    pub keepalive: bool,
    /// Bytes of the body may still come when the connection is closed.
    pub lingering: bool,

    /// The answer is not looked at by conditional requests (a peer's answer).
    pub disable_not_modified: bool,
    /// The handler can send parts of its body.
    pub allow_ranges: bool,
    /// The parts that are sent.
    pub ranges: Ranges,

    /// `set $limit_rate`, a peer's `X-Accel-Limit-Rate`, or once the answer is sent `limit_rate`; 0: no limit.
    pub limit_rate: Option<u64>,
    pub out: OutHead,
    /// The head of the answer is in the output buffer.
    pub head_sent: bool,
    /// No body goes with the answer: HEAD, 204, 304.
    pub header_only: bool,
    /// The answer's body is sent chunked.
    pub chunked: bool,
    /// Size of the answer's head.
    pub header_size: u64,
    /// Bytes given to the output buffer for this request.
    pub bytes_sent: u64,
    /// Bytes of head and body received.
    pub request_length: u64,
    /// The answer went out whole.
    pub completed: bool,

    /// What `limit_req` and `limit_conn` said.
    pub(super) limit_req: Option<super::limit::Limited>,
    pub(super) limit_conn: Option<super::limit::Limited>,
    /// The connections that the request is counted as.
    pub(super) seats: Vec<super::limit::Seat>,

    /// The client takes gzip, and may be given it; `None`: nobody asked yet.
    pub(super) gzip_ok: Option<bool>,
    /// What the answer's body goes through.
    pub transform: Option<Box<super::Transform>>,
    /// Bytes before and after compressing, when it is over: `$gzip_ratio`.
    pub(super) gzip_ratio: Option<(u64, u64)>,

    /// The answer has trailer fields of `add_trailer`.
    pub expect_trailers: bool,
    pub trailers: Option<Box<Trailers>>,

    pub attempts: Vec<Attempt>,
    /// Where the exchange with a peer left its response head: the source of `$upstream_http_*`.
    pub upstream_head: ResponseHead,
    pub has_upstream_head: bool,
    /// `$sticky_status` and `$sticky_peer`, set by the proxy.
    pub sticky_status: Option<&'static str>,
    pub sticky_peer: Option<Box<str>>,
    /// The answer is for this client alone, whatever else is said of caches: `Cache-Control: private`.
    pub private: bool,
    /// `$request_id`, made when it is first asked for.
    pub(super) id: Cell<Option<[u8; 16]>>,
    /// The request is explained, not served.
    pub trace: Option<Box<Trace>>,
}

impl Request {
    /// A request that nothing is known about yet.
    pub fn new(plan: Arc<Plan>, thread: Rc<ThreadState>, conn: ConnInfo) -> Self {
        let slots = plan.slots.len();
        let mut request = Self {
            plan,
            thread,
            conn,
            head: RequestHead::default(),
            started: 0,
            method_is_get: false,
            uri: Vec::new(),
            args: Vec::new(),
            valid_unparsed_uri: true,
            server: ServerId(0),
            loc: LocId(0),
            content: LocId(0),
            captures: RefCell::default(),
            slots: RefCell::new(vec![None; slots]),
            depth: Cell::new(0),
            valid_location: true,
            is_sub: false,
            internal: false,
            uri_changes: 0,
            error_page: false,
            err_status: 0,
            discard_body: false,
            expect_tested: false,
            add_uri_to_alias: false,
            body: super::body::Body::default(),
            keepalive: false,
            lingering: false,
            disable_not_modified: false,
            allow_ranges: false,
            ranges: Ranges::All,
            limit_rate: None,
            out: OutHead::default(),
            head_sent: false,
            header_only: false,
            chunked: false,
            header_size: 0,
            bytes_sent: 0,
            request_length: 0,
            completed: false,
            limit_req: None,
            limit_conn: None,
            seats: Vec::new(),
            gzip_ok: None,
            transform: None,
            gzip_ratio: None,
            expect_trailers: false,
            trailers: None,
            attempts: Vec::new(),
            upstream_head: ResponseHead::default(),
            has_upstream_head: false,
            sticky_status: None,
            sticky_peer: None,
            private: false,
            id: Cell::new(None),
            trace: None,
        };
        request.reset();
        request
    }

    /// Forgets the request, keeps the connection and the buffers.
    pub fn reset(&mut self) {
        if let Some((client, text)) = self.conn.connected.take() {
            (self.conn.client, self.conn.client_text) = (client, text);
        }
        let entry = self.conn.listen_entry(&self.plan);
        let by_name = self.conn.secure.as_ref().map(|s| s.server);
        self.server = by_name.or(entry.map(|e| e.default_server)).unwrap_or(ServerId(0));
        self.loc = self.plan.servers.get(self.server.ix()).map_or(LocId(0), |s| s.root);
        self.started = crate::rt::clock::unix_millis();
        self.method_is_get = false;
        self.uri.clear();
        self.args.clear();
        self.valid_unparsed_uri = true;
        self.content = self.loc;
        self.captures.get_mut().clear();
        self.slots.get_mut().fill(None);
        self.depth.set(0);
        self.valid_location = true;
        self.internal = false;
        self.uri_changes = MAX_URI_CHANGES;
        self.error_page = false;
        self.err_status = 0;
        self.discard_body = false;
        self.expect_tested = false;
        self.add_uri_to_alias = false;
        self.body.clear();
        self.keepalive = false;
        self.lingering = false;
        self.disable_not_modified = false;
        self.allow_ranges = false;
        self.ranges = Ranges::All;
        self.limit_rate = None;
        self.out.clear();
        self.head_sent = false;
        self.header_only = false;
        self.chunked = false;
        self.header_size = 0;
        self.bytes_sent = 0;
        self.request_length = 0;
        self.completed = false;
        self.limit_req = None;
        self.limit_conn = None;
        self.seats.clear();
        self.gzip_ok = None;
        self.transform = None;
        self.gzip_ratio = None;
        self.expect_trailers = false;
        self.trailers = None;
        self.attempts.clear();
        self.has_upstream_head = false;
        self.sticky_status = None;
        self.sticky_peer = None;
        self.private = false;
        self.id.set(None);
    }

    /// The request is over: what only its end gives back.
    pub fn end(&mut self) {
        self.body.drop_file();
        self.seats.clear();
    }

    pub fn server(&self) -> &Server {
        self.plan.servers.get(self.server.ix()).expect("a request is always in a server of its plan")
    }

    pub fn location(&self) -> &Location {
        self.plan.locations.get(self.loc.ix()).expect("a request is always in a location of its plan")
    }

    /// The method that counts: an `error_page` may have made it GET.
    pub fn method(&self) -> Method {
        if self.method_is_get { Method::Get } else { self.head.method_id }
    }

    /// The method to be shown and sent on.
    pub fn method_text(&self) -> &[u8] {
        if self.method_is_get { b"GET" } else { self.head.method() }
    }

    /// The request has a body (of any length but 0).
    pub fn has_body(&self) -> bool {
        matches!(self.head.framing, Framing::Chunked | Framing::Length(1..))
    }

    /// Whether the client speaks TLS: to us, or to the proxy between, if that one is trusted (`set_real_ip_from`) and says
    /// so in its last `X-Forwarded-Proto`.
    pub fn is_client_tls(&self) -> bool {
        self.conn.tls || super::realip::says_tls(self)
    }

    /// Whether a proxy that is trusted (`set_real_ip_from`) is connected: its connections are many clients'.
    pub fn is_by_proxy(&self) -> bool {
        super::realip::by_proxy(self)
    }

    /// The declared length of the body; `None`: none was declared.
    pub fn content_length(&self) -> Option<u64> {
        match self.head.framing {
            Framing::Length(n) => Some(n),
            _ => None,
        }
    }
}

/// nginx's `NGX_HTTP_MAX_URI_CHANGES` + 1: the tenth internal redirect is answered 500.
const MAX_URI_CHANGES: u8 = 11;
