//! Name servers.

use std::net::SocketAddr;
use std::time::Duration;

/// A `resolver` directive. Those who inherit it share it, and its cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// Asked in turn; never empty.
    pub servers: Vec<NameServer>,
    /// `valid=`: how long an answer holds, whatever its TTL says; `None` or zero: as long as that.
    pub valid: Option<Duration>,
    /// `ipv4=off` is false: no A records are asked for.
    pub ipv4: bool,
    /// `ipv6=off` is false: no AAAA records are asked for.
    pub ipv6: bool,
}

/// One address of a `resolver` directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    pub addr: SocketAddr,
    /// As nginx names it in logs.
    pub name: Box<str>,
}
