//! The request that is asked about: from the words of the command line to the bytes that a client would send.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::http::status_line;
use crate::values;

/// A client's port when nobody says one.
const PORT: u16 = 49_152;
/// The longest body of a supposed answer.
const BODY: usize = 1024 * 1024;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub method: String,
    pub scheme: Scheme,
    /// As in the URL, without the port; a v6 address without its brackets.
    pub host: String,
    /// The port, when the URL says one.
    pub port: Option<u16>,
    /// Path and query, as they go into the request line.
    pub target: Vec<u8>,
    /// `HTTP/1.1`
    pub version: String,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    pub client: SocketAddr,
    /// The socket that the client is connected to, when it is not the URL's.
    pub listen: Option<Listen>,
    pub answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// `ADDRESS:PORT`, `:PORT`, `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Address(SocketAddr),
    Port(u16),
    Unix(String),
}

/// What the backend is supposed to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Somebody said so, and it is not only what stands for what is not known.
    pub said: bool,
}

impl Default for Answer {
    fn default() -> Self {
        Self { status: 200, headers: Vec::new(), said: false }
    }
}

/// What is wrong with a word of the command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

fn malformed<T>(text: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(text.into()))
}

impl Ask {
    /// `[METHOD] URL [VERSION]`: `GET https://host/path`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (method, url, version) = match words[..] {
            [] => return malformed("no request: say 'GET http://host/path'"),
            [url] => ("GET", url, "HTTP/1.1"),
            [first, second] if second.starts_with("HTTP/") && first.contains("://") => ("GET", first, second),
            [method, url] => (method, url, "HTTP/1.1"),
            [method, url, version] => (method, url, version),
            _ => {
                return malformed(format!(
                    "\"{text}\": a request is METHOD URL; a space in a URL is written %20"
                ));
            }
        };
        if method.is_empty() || !method.bytes().all(is_token) {
            return malformed(format!("invalid method \"{method}\""));
        }
        if !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
            return malformed(format!("invalid version \"{version}\": HTTP/1.0 or HTTP/1.1"));
        }
        let (scheme, host, port, target) = url_parts(url)?;
        Ok(Self {
            method: method.to_owned(),
            scheme,
            host,
            port,
            target,
            version: version.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            client: SocketAddr::new(IpAddr::from([127, 0, 0, 1]), PORT),
            listen: None,
            answer: Answer::default(),
        })
    }

    /// `NAME: VALUE`
    pub fn add_header(&mut self, text: &[u8]) -> Result<(), Malformed> {
        self.headers.push(field(text)?);
        Ok(())
    }

    /// The value of a `Cookie` field.
    pub fn add_cookie(&mut self, text: &[u8]) -> Result<(), Malformed> {
        self.headers.push((b"Cookie".to_vec(), value(text)?));
        Ok(())
    }

    /// `ADDRESS` or `ADDRESS:PORT`.
    pub fn set_client(&mut self, text: &str) -> Result<(), Malformed> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let parsed = bare.parse().map(|ip| SocketAddr::new(ip, PORT)).or_else(|_| text.parse());
        self.client = parsed.map_err(|_| Malformed(format!("invalid client address \"{text}\"")))?;
        Ok(())
    }

    pub fn set_listen(&mut self, text: &str) -> Result<(), Malformed> {
        let port = text.strip_prefix(':').unwrap_or(text).parse();
        self.listen = Some(match (text.strip_prefix("unix:"), port, text.parse()) {
            (Some(path), ..) if !path.is_empty() => Listen::Unix(path.to_owned()),
            (_, Ok(port), _) => Listen::Port(port),
            (.., Ok(addr)) => Listen::Address(addr),
            _ => return malformed(format!("invalid socket \"{text}\": ADDRESS:PORT, PORT or unix:PATH")),
        });
        Ok(())
    }

    /// `STATUS`: what the backend is supposed to answer.
    pub fn set_answer(&mut self, text: &str) -> Result<(), Malformed> {
        match text.parse() {
            Ok(status @ 200..=599) => {
                self.answer.status = status;
                self.answer.said = true;
                Ok(())
            }
            _ => malformed(format!("invalid status \"{text}\": 200 to 599")),
        }
    }

    pub fn add_answer_header(&mut self, text: &[u8]) -> Result<(), Malformed> {
        let (name, value) = field(text)?;
        if name.eq_ignore_ascii_case(b"content-length")
            && values::number(&value).is_none_or(|n| n > BODY as u64)
        {
            return malformed(format!("the Content-Length of the supposed answer is a number up to {BODY}"));
        }
        self.answer.headers.push((name, value));
        self.answer.said = true;
        Ok(())
    }

    /// The port that the client connects to.
    pub fn to_port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.port())
    }

    /// Host and, where the URL says one that is not the scheme's, port: the `Host` field.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port.filter(|p| *p != self.scheme.port()) {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.body.len());
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        for part in [self.method.as_bytes(), b" ", &self.target, b" ", self.version.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
        if !has("host") {
            line(&mut out, b"Host", self.authority().as_bytes());
        }
        for (name, value) in &self.headers {
            line(&mut out, name, value);
        }
        if !self.body.is_empty() && !has("content-length") && !has("transfer-encoding") {
            line(&mut out, b"Content-Length", self.body.len().to_string().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

impl Answer {
    /// The answer as a backend would send it. Its body is empty unless its head says that it is not.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let reason = status_line(self.status).map_or_else(|| self.status.to_string(), str::to_owned);
        let mut out = format!("HTTP/1.1 {reason}\r\n").into_bytes();
        let mut framed = false;
        let mut body = Vec::new();
        for (name, value) in &self.headers {
            line(&mut out, name, value);
            if name.eq_ignore_ascii_case(b"transfer-encoding") {
                (framed, body) = (true, b"0\r\n\r\n".to_vec());
            } else if name.eq_ignore_ascii_case(b"content-length") {
                let length = values::number(value).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
                (framed, body) = (true, vec![b' '; length.min(BODY)]);
            }
        }
        if !framed && !matches!(self.status, 204 | 304) {
            line(&mut out, b"Content-Length", b"0");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&body);
        out
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = String::from_utf8_lossy(&self.target);
        write!(f, "{} {}://{}{target}", self.method, self.scheme.word(), self.authority())
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn url_parts(url: &str) -> Result<(Scheme, String, Option<u16>, Vec<u8>), Malformed> {
    let wrong = |why: &str| Malformed(format!("invalid URL \"{url}\": {why}"));
    if url.bytes().any(|b| b.is_ascii_control()) {
        return Err(wrong("a control character in it"));
    }
    let Some((scheme, rest)) = url.split_once("://") else { return Err(wrong("http:// or https:// first")) };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(wrong("http:// or https:// first")),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.contains('@') {
        return Err(wrong("names and passwords are given by a header: \"Authorization: Basic …\""));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or_else(|| wrong("no \"]\" behind the address"))?;
            let ip: Result<std::net::Ipv6Addr, _> = host.parse();
            ip.map_err(|_| wrong("no IPv6 address in the brackets"))?;
            if !port.is_empty() && !port.starts_with(':') {
                return Err(wrong("only a port can follow the brackets"));
            }
            (host, port.strip_prefix(':'))
        }
        None => authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p))),
    };
    if host.is_empty() {
        return Err(wrong("no host"));
    }
    if !host.is_ascii() {
        return Err(wrong("a host of other letters than ASCII is written in punycode (xn--…)"));
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => match port.parse() {
            Ok(port @ 1..) => Some(port),
            _ => return Err(wrong("the port is 1 to 65535")),
        },
    };
    // What follows a "#" stays with the client.
    let path = rest.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((scheme, host.to_owned(), port, format!("{slash}{path}").into_bytes()))
}

fn field(text: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
    let shown = || String::from_utf8_lossy(text).into_owned();
    let Some(colon) = text.iter().position(|b| *b == b':') else {
        return malformed(format!("invalid header \"{}\": NAME: VALUE", shown()));
    };
    let name = &text[..colon];
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return malformed(format!("invalid header \"{}\": the name is letters, digits and \"-\"", shown()));
    }
    Ok((name.to_vec(), value(text.get(colon + 1..).unwrap_or_default())?))
}

fn value(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    if text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return malformed("a header's value is one line");
    }
    Ok(text.trim_ascii().to_vec())
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
