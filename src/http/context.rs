//! The tail of an error-log line: who asked for what.

use std::fmt;

use super::Request;
use crate::wire::KnownField;

/// Shown as `, client: …, server: …, request: "…", upstream: "…", host: "…", referrer: "…"`.
pub(super) struct Tail<'a> {
    pub(super) req: &'a Request,
    pub(super) upstream: Option<&'a [u8]>,
}

impl fmt::Display for Tail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let req = self.req;
        write!(f, ", client: {}, server: {}", req.conn.client_text, Bytes(&req.server().name))?;
        let quoted = [
            ("request", Some(req.head.line()).filter(|l| !l.is_empty())),
            ("subrequest", req.is_sub.then_some(&req.uri[..])),
            ("upstream", self.upstream),
            ("host", req.head.get(KnownField::Host)),
            ("referrer", req.head.get(KnownField::Referer)),
        ];
        for (what, value) in quoted {
            if let Some(value) = value {
                write!(f, ", {what}: \"{}\"", Bytes(value))?;
            }
        }
        Ok(())
    }
}

/// Bytes in a log line.
pub struct Bytes<'a>(pub &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}
