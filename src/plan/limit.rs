//! `limit_req` and `limit_conn`: who may come how often, and how many at once.

use super::Template;
use crate::diag::Severity;

/// `limit_req_zone` or `limit_conn_zone`
#[derive(Debug, Clone)]
pub struct LimitZone {
    pub name: Box<str>,
    pub kind: LimitKind,
    pub key: Template,
    /// The key as written.
    pub key_text: Box<[u8]>,
    pub bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// Thousandths of a request a second.
    Requests {
        rate: u64,
    },
    Connections,
}

/// The limits of a location, each list in the order of the file.
#[derive(Debug, Clone)]
pub struct Limits {
    pub requests: Vec<RequestLimit>,
    pub requests_refused: Refusal,
    pub connections: Vec<ConnectionLimit>,
    pub connections_refused: Refusal,
}

/// One `limit_req`.
#[derive(Debug, Clone)]
pub struct RequestLimit {
    /// Index into [`super::Plan::limit_zones`].
    pub zone: usize,
    /// Thousandths of a request; default 0.
    pub burst: u64,
    /// Thousandths of a request from which on a request waits; default 0, `nodelay`: never.
    pub delay: u64,
}

/// One `limit_conn`.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    /// Index into [`super::Plan::limit_zones`].
    pub zone: usize,
    /// 1 to 65535.
    pub most: u64,
}

/// What becomes of who is over a limit.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// 400 to 599, default 503.
    pub status: u16,
    /// Default error.
    pub level: Severity,
    /// Nothing is refused, only counted and logged.
    pub dry_run: bool,
}
