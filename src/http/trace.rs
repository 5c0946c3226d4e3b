//! What happened to a request, written down step by step for `explain`. Off while serving: a request that is not traced
//! pays one branch a step.

use std::cell::RefCell;
use std::net::SocketAddr;

use super::Request;
use crate::balance::NoPeer;
use crate::diag::Severity;
use crate::plan::{GateRule, LocId, PeerAddr, PeerId, RegexId, ServerId, SetTo, Test, UpstreamId};
use crate::sticky::Ticket;
use crate::wire::ClientConn;

/// One step.
#[derive(Debug, Clone)]
pub enum Event {
    /// A line of the error log. It is written nowhere else.
    Log {
        level: Severity,
        text: String,
    },
    /// The regex of a `server_name` was run.
    NameRegex {
        regex: RegexId,
        server: ServerId,
        matched: bool,
    },
    Server {
        server: ServerId,
        by: NamedBy,
    },
    /// A trusted proxy named another client.
    Client {
        was: Option<SocketAddr>,
        is: SocketAddr,
    },
    /// Locations of this block are looked at: the exact one, else the longest prefix, or one that lacks the path's `/`.
    Level {
        block: LocId,
        exact: Option<LocId>,
        prefix: Option<LocId>,
        redirect: Option<LocId>,
    },
    /// A regex location was tried; `None`: the regex could not be run.
    Regex {
        loc: LocId,
        matched: Option<bool>,
    },
    /// The search ended here.
    Location {
        loc: LocId,
        auto_redirect: bool,
        uri: Vec<u8>,
    },
    /// The settings of an `if` or a `limit_except` hold.
    Enter(LocId),
    Set {
        to: SetTo,
        value: Vec<u8>,
    },
    If {
        test: Test,
        holds: bool,
    },
    /// A `rewrite` was tried; what it made of the path and the arguments, or the URL that it redirects to.
    Rewrite {
        regex: RegexId,
        subject: Vec<u8>,
        to: Option<Rewritten>,
    },
    Break,
    Return {
        code: u16,
        text: Option<Vec<u8>>,
    },
    /// `allow` and `deny`; `rule`: the one that decided.
    Access {
        rule: Option<GateRule>,
        refused: bool,
    },
    /// A file or a directory of `try_files`.
    Try {
        path: Vec<u8>,
        dir: bool,
        found: bool,
    },
    /// The last one of `try_files`.
    TryLast,
    /// A file of `index`.
    Index {
        path: Vec<u8>,
        found: bool,
    },
    /// The file that answers.
    File {
        path: Vec<u8>,
        opened: bool,
    },
    /// What answers is that of this location.
    Content(LocId),
    /// The request ends with a status of its own.
    Status(u16),
    /// `error_page` takes it; `code`: the status that the client gets, where it says one.
    ErrorPage {
        status: u16,
        code: Option<u16>,
    },
    /// A page of the program itself.
    Page(u16),
    /// The phases begin anew with this path.
    Redirect {
        uri: Vec<u8>,
        args: Vec<u8>,
    },
    Named(LocId),
    /// `proxy_pass` of a location: to an upstream, or to an address that variables made.
    Pass {
        loc: LocId,
        upstream: Option<UpstreamId>,
        address: Box<str>,
    },
    /// Its peers are spoken to by TLS, with the settings of this location. `name`: what their certificates must be for, and
    /// what is sent; empty: neither.
    Tls {
        loc: LocId,
        name: Box<[u8]>,
    },
    /// What the request says of its session.
    Session {
        upstream: UpstreamId,
        ticket: Ticket,
    },
    Peer {
        peer: Option<PeerId>,
        name: Box<str>,
    },
    NoPeer(NoPeer),
}

/// What a `rewrite` made.
#[derive(Debug, Clone)]
pub enum Rewritten {
    Uri { path: Vec<u8>, args: Vec<u8> },
    Redirect(Vec<u8>),
}

/// Which of a server's names the host was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    Exact,
    /// `*.example.com`, `.example.com`: what it ends in is this long.
    Leading(usize),
    /// `www.example.*`: what it begins with is this long.
    Trailing(usize),
    Regex(RegexId),
    /// No name fits: the default server of the address.
    Default,
}

/// Stands in for the peers: gives a connection that ends in this process.
pub type Dial = Box<dyn Fn(&PeerAddr, &str) -> std::io::Result<ClientConn>>;

/// The steps of one request.
pub struct Trace {
    pub events: RefCell<Vec<Event>>,
    pub dial: Dial,
}

impl Trace {
    pub fn new(dial: Dial) -> Self {
        Self { events: RefCell::default(), dial }
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace").field("events", &self.events).finish_non_exhaustive()
    }
}

impl Request {
    /// Notes a step of a request that is traced.
    #[inline]
    pub(crate) fn note(&self, event: impl FnOnce() -> Event) {
        if let Some(trace) = &self.trace {
            trace.events.borrow_mut().push(event());
        }
    }
}
