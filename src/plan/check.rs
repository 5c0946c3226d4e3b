//! Health checks of peers (Tengine's `check`).

use std::time::Duration;

use super::{PeerAddr, PeerId, UpstreamId};

/// How the peers of an upstream are asked whether they live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub kind: CheckKind,
    /// `port=`; 0: the peer's own.
    pub port: u16,
    /// From the start of one probe to the start of the next. Never zero.
    pub interval: Duration,
    /// For a whole probe: connecting, asking, answering. Never zero.
    pub timeout: Duration,
    /// Bad answers in a row after which a peer is down; at least 1.
    pub fall: u32,
    /// Good answers in a row after which it is up again; at least 1.
    pub rise: u32,
    /// Down until it has risen.
    pub default_down: bool,
    /// `unique=true`: a peer that another upstream checks in the same way is not asked twice.
    pub unique: bool,
    /// What is sent once the connection is there; may be empty.
    pub send: Box<[u8]>,
    /// Status classes of a good answer; none: any answer is good.
    pub alive: CheckAlive,
    /// Probes of one connection (`type=http`); at least 1.
    pub keepalive_requests: u64,
    /// `drain=CODE`: a good answer that asks for no new sessions.
    pub drain: Option<u16>,
}

/// `type=`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckKind {
    /// It accepts connections.
    Tcp,
    /// The class of an HTTP answer's status.
    Http,
    /// A FastCGI responder answers; the class of its `Status` when classes are asked for.
    Fastcgi,
    /// It answers a TLS ClientHello with a ServerHello.
    SslHello,
    /// It sends MySQL's greeting.
    Mysql,
    /// It answers AJP's CPING with CPONG.
    Ajp,
}

impl CheckKind {
    pub const ALL: [Self; 6] = [Self::Tcp, Self::Http, Self::Fastcgi, Self::SslHello, Self::Mysql, Self::Ajp];

    /// As `type=` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Fastcgi => "fastcgi",
            Self::SslHello => "ssl_hello",
            Self::Mysql => "mysql",
            Self::Ajp => "ajp",
        }
    }
}

bitflags::bitflags! {
    /// `check_http_expect_alive`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct CheckAlive: u8 {
        const HTTP_1XX = 1 << 1;
        const HTTP_2XX = 1 << 2;
        const HTTP_3XX = 1 << 3;
        const HTTP_4XX = 1 << 4;
        const HTTP_5XX = 1 << 5;
    }
}

impl CheckAlive {
    /// The class of a status; none for one that is no HTTP status.
    pub fn class(status: u16) -> Self {
        match status / 100 {
            0 if status > 0 => Self::HTTP_1XX,
            n @ 1..=5 => Self::from_bits_truncate(1 << n),
            _ => Self::empty(),
        }
    }
}

/// A peer that is checked, as `check_status` lists it.
#[derive(Debug, Clone)]
pub struct Checked {
    pub upstream: UpstreamId,
    pub peer: PeerId,
    /// Where the probe goes.
    pub addr: PeerAddr,
    /// That address in log lines.
    pub name: Box<str>,
    /// Peers of other upstreams (`unique=true`) that its answers are taken for.
    pub also: Vec<(UpstreamId, PeerId)>,
}

/// What `check_status` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFormat {
    Html,
    Csv,
    Json,
    Prometheus,
}

impl StatusFormat {
    pub const ALL: [Self; 4] = [Self::Html, Self::Csv, Self::Json, Self::Prometheus];

    /// As `check_status` and `?format=` have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Prometheus => "prometheus",
        }
    }

    pub fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name().as_bytes() == name)
    }
}
