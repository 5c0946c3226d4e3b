//! What can go wrong on a connection. The texts are nginx's log lines.

use std::io;

/// A message that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the client is answered: 400, 405, 414, 494 (shown as 400), 501, 505.
    pub status: u16,
    /// nginx's line of the error log.
    pub text: String,
}

impl Refusal {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }
}

/// No request head came.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The client closed before it sent a byte of a request: nothing to answer or log.
    #[error("client closed connection")]
    Closed,
    /// It closed in the middle of a head: logged with status 400, not answered.
    #[error("client prematurely closed connection")]
    Aborted,
    /// `client_header_timeout`: logged with status 408, not answered.
    #[error("client timed out")]
    Timeout,
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Answered with the status, then the connection is closed.
    #[error("{}", .0.text)]
    Refused(Refusal),
}

impl HeadError {
    /// The status that nginx logs.
    pub fn status(&self) -> u16 {
        match self {
            Self::Timeout => 408,
            Self::Refused(r) => r.status,
            Self::Closed | Self::Aborted | Self::Io(_) => 400,
        }
    }
}

impl From<Refusal> for HeadError {
    fn from(r: Refusal) -> Self {
        Self::Refused(r)
    }
}

/// A body that does not arrive whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The peer closed too early.
    #[error("prematurely closed connection")]
    Closed,
    #[error("timed out")]
    Timeout,
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A bad chunk or trailer.
    #[error("sent invalid chunked body")]
    Invalid,
}

/// Bytes that could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("timed out")]
    Timeout,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// No response head came.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    #[error("upstream prematurely closed connection")]
    Closed,
    #[error("upstream timed out")]
    Timeout,
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not a status line. The bytes stay unread: nginx passes them on as an HTTP/0.9 answer.
    #[error("upstream sent no valid HTTP/1.0 header")]
    NotHttp,
    /// More than the buffer holds.
    #[error("upstream sent too big header")]
    TooBig,
    /// nginx's text, without `while reading response header from upstream`.
    #[error("{0}")]
    Invalid(String),
}
