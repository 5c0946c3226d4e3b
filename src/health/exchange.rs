//! One probe of one peer, without the socket.

use super::fastcgi::Fastcgi;
use super::hello;
use super::http::Http;
use crate::plan::{Check, CheckAlive, CheckKind};

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// Good, and it asks for no new sessions.
    Drain,
    Bad(Fault),
}

impl Verdict {
    pub fn good(self) -> bool {
        !matches!(self, Self::Bad(_))
    }
}

/// What was wrong with an answer, as the log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It ended too soon.
    Incomplete,
    /// A whole answer that is not a good one.
    Refused,
    StatusLine,
    Headers,
    /// A head without end.
    TooLong,
    FastcgiRecord,
    FastcgiType(u8),
    FastcgiEmpty,
    FastcgiStderr,
    FastcgiStatus,
}

impl Fault {
    /// What Tengine logs before `check protocol TYPE error with peer`.
    pub fn text(self, peer: &str) -> Option<String> {
        Some(match self {
            Self::Refused => return None,
            Self::Incomplete => {
                format!("check peer closed connection with an incomplete response, peer: {peer} ")
            }
            Self::StatusLine => format!("http parse status line error with peer: {peer} "),
            Self::Headers => format!("http parse headers error with peer: {peer} "),
            Self::TooLong => format!("check too long answer from peer: {peer} "),
            Self::FastcgiRecord => format!("check fastcgi parse status line error with peer: {peer}"),
            Self::FastcgiType(kind) => format!("check fastcgi sent unexpected FastCGI record: {kind}"),
            Self::FastcgiEmpty => "check fastcgi prematurely closed FastCGI stdout".to_owned(),
            Self::FastcgiStderr => "fastcgi check error".to_owned(),
            Self::FastcgiStatus => format!("fastcgi http parse status line error with peer: {peer} "),
        })
    }
}

/// What of an answer is still to come when the verdict is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing: the connection can be asked again.
    Nothing,
    /// More, to be given to [`Exchange::take`].
    More,
    /// It cannot be told, or the connection is spoilt.
    Unknown,
}

/// The most that is read of an answer before there is a verdict.
pub(super) const MOST: usize = 64 * 1024;

/// One question and its answer.
#[derive(Debug)]
pub struct Exchange<'c> {
    check: &'c Check,
    hello: Vec<u8>,
    answer: Answer,
    /// Bytes before the verdict.
    seen: usize,
    verdict: Option<Verdict>,
}

#[derive(Debug)]
enum Answer {
    /// Being connected is enough.
    Nothing,
    Http(Box<Http>),
    Fastcgi(Box<Fastcgi>),
    /// So many bytes tell; the first ones of them.
    Bytes {
        want: usize,
        got: Vec<u8>,
    },
}

impl<'c> Exchange<'c> {
    /// `keep`: the connection is to be used again, so that the end of the answer has to be found. `random`: fresh
    /// bytes for a ClientHello.
    pub fn new(check: &'c Check, keep: bool, random: [u8; 32]) -> Self {
        let bytes = |want| Answer::Bytes { want, got: Vec::with_capacity(want) };
        let answer = match check.kind {
            CheckKind::Tcp => Answer::Nothing,
            CheckKind::Http => Answer::Http(Box::new(Http::new(keep, check.send.starts_with(b"HEAD ")))),
            CheckKind::Fastcgi => Answer::Fastcgi(Box::new(Fastcgi::new(!check.alive.is_empty()))),
            CheckKind::SslHello => bytes(hello::LEAST),
            CheckKind::Mysql => bytes(5),
            CheckKind::Ajp => bytes(CPONG.len()),
        };
        let hello = if check.kind == CheckKind::SslHello { hello::client_hello(random) } else { Vec::new() };
        Self { check, hello, answer, seen: 0, verdict: None }
    }

    /// What is sent first; nothing to a peer that speaks first.
    pub fn request(&self) -> &[u8] {
        match self.check.kind {
            CheckKind::SslHello => &self.hello,
            CheckKind::Ajp => CPING,
            _ => &self.check.send,
        }
    }

    /// Whether anything is waited for; `false`: a connection is the whole proof.
    pub fn expects_answer(&self) -> bool {
        !matches!(self.answer, Answer::Nothing)
    }

    /// Reads on; the verdict as soon as it is certain. Later bytes are the rest of the answer.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Verdict> {
        if self.verdict.is_none() {
            self.seen += bytes.len();
        }
        let verdict = match &mut self.answer {
            Answer::Nothing => Some(Verdict::Good),
            Answer::Http(http) => http
                .take(bytes)
                .map(|done| done.map_or_else(Verdict::Bad, |status| judge(self.check, status))),
            Answer::Fastcgi(fastcgi) => fastcgi.take(bytes).map(|done| match done {
                Err(fault) => Verdict::Bad(fault),
                Ok(None) => Verdict::Good,
                Ok(Some(status)) => judge(self.check, status),
            }),
            Answer::Bytes { want, got } => {
                let missing = want.saturating_sub(got.len()).min(bytes.len());
                got.extend_from_slice(&bytes[..missing]);
                greeting(self.check.kind, got, *want)
            }
        };
        let verdict = verdict.or((self.seen > MOST).then_some(Verdict::Bad(Fault::TooLong)));
        self.verdict = self.verdict.or(verdict);
        self.verdict
    }

    /// The peer has closed.
    pub fn end(&mut self) -> Verdict {
        *self.verdict.get_or_insert(Verdict::Bad(Fault::Incomplete))
    }

    /// After the verdict: whether the connection can serve another probe.
    pub fn rest(&self) -> Rest {
        match &self.answer {
            Answer::Http(http) => http.rest(),
            _ => Rest::Unknown,
        }
    }
}

/// What a status means to this check.
fn judge(check: &Check, status: u16) -> Verdict {
    if check.drain == Some(status) {
        Verdict::Drain
    } else if check.alive.intersects(CheckAlive::class(status)) {
        Verdict::Good
    } else {
        Verdict::Bad(Fault::Refused)
    }
}

/// AJP 1.3: CPING to the container, CPONG back.
const CPING: &[u8] = &[0x12, 0x34, 0, 1, 0x0a];
const CPONG: &[u8] = &[b'A', b'B', 0, 1, 0x09];

/// The first bytes of a protocol that greets.
fn greeting(kind: CheckKind, got: &[u8], want: usize) -> Option<Verdict> {
    let wrong = match kind {
        // A handshake record that holds a ServerHello (RFC 8446, sections 4 and 5.1).
        CheckKind::SslHello => {
            got.first().is_some_and(|b| *b != 0x16) || got.get(5).is_some_and(|b| *b != 0x02)
        }
        // The first packet of a connection has number 0.
        CheckKind::Mysql => got.get(3).is_some_and(|b| *b != 0),
        _ => !CPONG.starts_with(got),
    };
    if wrong {
        return Some(Verdict::Bad(Fault::Refused));
    }
    (got.len() >= want).then_some(Verdict::Good)
}
