//! What an exchange writes to the error log: nginx's words, because people grep for them.

use std::fmt::{self, Arguments, Display};
use std::io;

use crate::diag::Severity;
use crate::http::{Request, ThreadState};
use crate::sys;
use crate::wire::tls::TlsStream;

/// What the exchange was doing: the text after `while`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Action {
    #[default]
    Connecting,
    Shaking,
    Sending,
    ReadingHead,
    ReadingBody,
    ToClient,
    Upgraded,
}

impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting to upstream",
            Self::Shaking => "SSL handshaking to upstream",
            Self::Sending => "sending request to upstream",
            Self::ReadingHead => "reading response header from upstream",
            Self::ReadingBody => "reading upstream",
            Self::ToClient => "sending to client",
            Self::Upgraded => "proxying upgraded connection",
        })
    }
}

/// `(111: Connection refused)`
pub(super) struct Os<'a>(pub(super) &'a io::Error);

impl Display for Os<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({})", sys::err_text(self.0))
    }
}

/// The level nginx gives an error of a connection: usual ways to fail are errors, the others alerts.
pub(super) fn connection_level(error: &io::Error) -> Severity {
    let usual = [
        libc::ECONNRESET,
        libc::EPIPE,
        libc::ENOTCONN,
        libc::ETIMEDOUT,
        libc::ECONNREFUSED,
        libc::ENETDOWN,
        libc::ENETUNREACH,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
    ];
    match error.raw_os_error() {
        Some(code) if !usual.contains(&code) => Severity::Alert,
        _ => Severity::Error,
    }
}

/// How a connection failed that was read from with `call`. A socket that breaks below TLS ends it, as nginx has it.
pub(super) fn read_failed(error: &io::Error, tls: bool, call: &str) -> (Severity, String) {
    match (tls, TlsStream::error(error)) {
        (true, Some(words)) => (Severity::Error, format!("SSL_read() failed ({words})")),
        (true, None) => (Severity::Error, "upstream prematurely closed connection".to_owned()),
        (false, _) => (connection_level(error), format!("{call}() failed {}", Os(error))),
    }
}

/// The same of one that was written to.
pub(super) fn write_failed(error: &io::Error, tls: bool) -> (Severity, String) {
    match (tls, TlsStream::error(error)) {
        (true, Some(words)) => (Severity::Error, format!("SSL_write() failed ({words})")),
        (true, None) => (Severity::Error, format!("SSL_write() failed {}", Os(error))),
        (false, _) => (connection_level(error), format!("writev() failed {}", Os(error))),
    }
}

/// `http://NAME/uri`; a unix socket's path and the URI are told apart by a colon.
pub(super) fn write_url(https: bool, name: &str, unix: bool, uri: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(if https { b"https://" } else { b"http://" });
    out.extend_from_slice(name.as_bytes());
    if unix {
        out.push(b':');
    }
    out.extend_from_slice(uri);
}

/// Writes a line about an attempt.
pub(super) fn log(
    thread: &ThreadState,
    req: &Request,
    level: Severity,
    url: &[u8],
    action: Action,
    text: Arguments<'_>,
) {
    let url = (!url.is_empty()).then_some(url);
    thread.log_error_upstream(req, level, format_args!("{text} while {action}"), url);
}
