//! What is measured.

use crate::peers::Peer;

/// One kind of work.
pub struct Case {
    pub name: &'static str,
    pub what: &'static str,
    /// Bytes of the backend's answer.
    pub body: usize,
    /// Ten fields as a browser sends them.
    pub browser: bool,
    /// How the session is kept; `None`: it is not.
    pub session: Option<Session>,
    /// A connection a request.
    pub close: bool,
    /// Connections of the client at once.
    pub connections: usize,
}

/// A way to keep a session, in the words of each proxy that has it.
pub struct Session {
    /// Lines of an `upstream`, or of HAProxy's `backend`; a proxy that is not named has no such thing.
    pub words: &'static [(Peer, &'static str)],
    /// The product whose way it is: what the others are compared with.
    pub of: Peer,
    pub by: By,
}

/// What the proxy knows the session by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The cookie that its first answer sets.
    Given,
    /// This cookie, which the client has anyhow.
    Own(&'static str),
    /// The client's address.
    Address,
}

impl Case {
    /// `None`: the proxy has no such thing.
    pub fn words(&self, peer: Peer) -> Option<&'static str> {
        match &self.session {
            None => Some(""),
            Some(s) => s.words.iter().find(|w| w.0 == peer).map(|w| w.1),
        }
    }
}

const PLAIN: Case =
    Case { name: "", what: "", body: 1024, browser: false, session: None, close: false, connections: 32 };

/// A product's own words, which are tenrec's as well.
macro_rules! same {
    ($peer:expr, $words:literal, $by:expr) => {
        Some(Session { words: &[(Peer::Tenrec, $words), ($peer, $words)], of: $peer, by: $by })
    };
}

pub const CASES: &[Case] = &[
    Case { name: "keepalive", what: "1 KiB, keep-alive on both sides", ..PLAIN },
    Case { name: "browser", what: "the same with ten browser header fields", browser: true, ..PLAIN },
    Case {
        name: "sticky",
        what: "the same with the session's cookie: session_sticky, HAProxy cookie insert indirect, nginx sticky cookie",
        browser: true,
        session: Some(Session {
            words: &[
                (Peer::Tenrec, "session_sticky cookie=SRV option=indirect;"),
                (Peer::Nginx, "sticky cookie SRV path=/;"),
                (Peer::Haproxy, "cookie SRV insert indirect"),
            ],
            of: Peer::Nginx,
            by: By::Given,
        }),
        ..PLAIN
    },
    Case {
        name: "cookie",
        what: "sticky cookie",
        session: same!(Peer::Nginx, "sticky cookie SRV path=/;", By::Given),
        ..PLAIN
    },
    Case {
        name: "route",
        what: "sticky route",
        session: same!(Peer::Nginx, "sticky route $cookie_SRV;", By::Own("SRV=r1")),
        ..PLAIN
    },
    Case {
        name: "learn",
        what: "sticky learn",
        session: same!(
            Peer::Nginx,
            "sticky learn create=$cookie_SRV lookup=$cookie_SRV zone=z:1m;",
            By::Own("SRV=x")
        ),
        ..PLAIN
    },
    Case { name: "ip_hash", what: "ip_hash", session: same!(Peer::Nginx, "ip_hash;", By::Address), ..PLAIN },
    Case {
        name: "hash",
        what: "hash",
        session: same!(Peer::Nginx, "hash $cookie_SRV;", By::Own("SRV=x")),
        ..PLAIN
    },
    Case {
        name: "consistent",
        what: "hash consistent",
        session: same!(Peer::Nginx, "hash $cookie_SRV consistent;", By::Own("SRV=x")),
        ..PLAIN
    },
    Case {
        name: "session_sticky",
        what: "session_sticky",
        session: same!(Peer::Tengine, "session_sticky cookie=SRV;", By::Given),
        ..PLAIN
    },
    Case {
        name: "maxidle",
        what: "session_sticky with dates, a cookie in every answer",
        session: same!(Peer::Tengine, "session_sticky cookie=SRV maxidle=600 maxlife=3600;", By::Given),
        ..PLAIN
    },
    Case {
        name: "consistent_hash",
        what: "consistent_hash",
        session: same!(Peer::Tengine, "consistent_hash $cookie_SRV;", By::Own("SRV=x")),
        ..PLAIN
    },
    Case {
        name: "insert",
        what: "HAProxy cookie insert, session_sticky hash=plain with its names",
        session: Some(Session {
            words: &[
                (Peer::Tenrec, "session_sticky cookie=SRV hash=plain;"),
                (Peer::Haproxy, "cookie SRV insert"),
            ],
            of: Peer::Haproxy,
            by: By::Given,
        }),
        ..PLAIN
    },
    Case { name: "body64k", what: "64 KiB bodies", body: 65536, ..PLAIN },
    Case { name: "connect", what: "a connection a request", close: true, ..PLAIN },
];

/// What a browser sends beside Host and Connection.
pub const BROWSER: &[&str] = &[
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://localhost/catalogue/shoes?page=2",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Priority: u=0, i",
];
