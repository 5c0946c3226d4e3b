//! What a look-up ends with.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Never empty. Fresh ones are in the name server's order, v4 first; those of the cache begin anywhere.
    pub list: Vec<IpAddr>,
    /// The last second, since 1970, at which this holds.
    pub valid: i64,
}

/// The servers of a service (`service=`, RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Of the lowest priority first.
    pub list: Vec<Target>,
    /// The last second at which this holds.
    pub valid: i64,
    /// Names of servers that have no address, and why.
    pub failed: Vec<(Box<[u8]>, Code)>,
}

/// One address of one server of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub addr: SocketAddr,
    pub name: Box<[u8]>,
    pub priority: u16,
    /// At least 1.
    pub weight: u16,
}

/// Why there is nothing, and until when it is not worth asking again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    /// Seconds since 1970.
    pub valid: i64,
    /// See [`Service::failed`].
    pub failed: Vec<(Box<[u8]>, Code)>,
}

/// A response code (RFC 1035 section 4.1.1), or that there was no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Rcode(u8),
    TimedOut,
}

impl Code {
    /// There is no such name, or it has no addresses.
    pub const NO_NAME: Self = Self::Rcode(3);
}

/// nginx's words: `3: Host not found`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, text) = match *self {
            Self::TimedOut => (libc::ETIMEDOUT, "Operation timed out"),
            Self::Rcode(n) => {
                let text = match n {
                    1 => "Format error",
                    2 => "Server failure",
                    3 => "Host not found",
                    4 => "Unimplemented",
                    5 => "Operation refused",
                    _ => "Unknown error",
                };
                (i32::from(n), text)
            }
        };
        write!(f, "{number}: {text}")
    }
}
