//! What is measured.

/// One kind of work.
pub struct Case {
    pub name: &'static str,
    pub what: &'static str,
    /// Bytes of the backend's answer.
    pub body: usize,
    /// Ten fields as a browser sends them.
    pub browser: bool,
    /// The session is kept by a cookie, and the client holds one.
    pub sticky: bool,
    /// A connection a request.
    pub close: bool,
    /// Connections of the client at once.
    pub connections: usize,
}

const PLAIN: Case =
    Case { name: "", what: "", body: 1024, browser: false, sticky: false, close: false, connections: 32 };

pub const CASES: &[Case] = &[
    Case { name: "keepalive", what: "1 KiB, keep-alive on both sides", ..PLAIN },
    Case { name: "browser", what: "the same with ten browser header fields", browser: true, ..PLAIN },
    Case {
        name: "sticky",
        what: "the same with the session's cookie: session_sticky, HAProxy cookie insert indirect, \
               nginx sticky cookie (from 1.29.6; before that no stickiness at all)",
        browser: true,
        sticky: true,
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
