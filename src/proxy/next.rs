//! Whether a request goes to another peer after a failure: `proxy_next_upstream` and its limits.

use std::time::Duration;

use crate::plan::NextUpstream;

/// How an attempt ended without an answer to pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Connecting, sending or reading failed, or the peer closed before its head was complete.
    Error,
    Timeout,
    InvalidHeader,
    /// No peer could be chosen.
    NoLive,
    /// An answer with a status that `proxy_next_upstream` may name.
    Status(u16),
}

impl Fault {
    /// The words of `proxy_next_upstream` that must be there for a retry; `None`: never retried.
    fn mask(self) -> Option<NextUpstream> {
        Some(match self {
            Self::Error => NextUpstream::ERROR,
            Self::Timeout => NextUpstream::TIMEOUT,
            Self::InvalidHeader => NextUpstream::INVALID_HEADER,
            Self::NoLive => return None,
            Self::Status(500) => NextUpstream::HTTP_500,
            Self::Status(502) => NextUpstream::HTTP_502,
            Self::Status(503) => NextUpstream::HTTP_503,
            Self::Status(504) => NextUpstream::HTTP_504,
            Self::Status(403) => NextUpstream::HTTP_403,
            Self::Status(404) => NextUpstream::HTTP_404,
            Self::Status(429) => NextUpstream::HTTP_429,
            Self::Status(_) => return None,
        })
    }

    /// What the client gets, and `$upstream_status` shows, when no other peer is tried.
    pub fn status(self) -> u16 {
        match self {
            Self::Timeout => 504,
            Self::Status(code) => code,
            Self::Error | Self::InvalidHeader | Self::NoLive => 502,
        }
    }

    /// 403 and 404 say nothing against the peer.
    pub fn blames_peer(self) -> bool {
        !matches!(self, Self::Status(403 | 404))
    }
}

/// A request as the retry rule sees it.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    pub rules: NextUpstream,
    /// Attempts left, this one not counted any more.
    pub tries: u32,
    /// The method is POST, LOCK or PATCH.
    pub non_idempotent: bool,
    /// Something of the request may have reached the peer.
    pub sent: bool,
    /// The body is passed on while it is read: once sent it cannot be sent again.
    pub streaming: bool,
    /// Since the first attempt.
    pub elapsed: Duration,
    /// `proxy_next_upstream_timeout`; zero: none.
    pub timeout: Duration,
}

impl Situation {
    pub fn may_retry(&self, fault: Fault) -> bool {
        let Some(mut mask) = fault.mask() else { return false };
        if self.sent && self.non_idempotent {
            mask |= NextUpstream::NON_IDEMPOTENT;
        }
        self.tries > 0
            && self.rules.contains(mask)
            && !(self.sent && self.streaming)
            && (self.timeout.is_zero() || self.elapsed < self.timeout)
    }
}

/// POST, LOCK and PATCH: a second one may do a second thing.
pub fn is_non_idempotent(method: &[u8]) -> bool {
    matches!(method, b"POST" | b"LOCK" | b"PATCH")
}
