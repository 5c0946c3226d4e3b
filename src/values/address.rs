//! `listen`, `server` and `url`: addresses as the three kinds of directives write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nom::bytes::complete::{tag, tag_no_case, take_till, take_until, take_while};
use nom::combinator::map_opt;
use nom::{IResult, Parser};

use super::number::number;
use super::whole;

/// An address as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address<'t> {
    pub host: Host<'t>,
    /// The host as written, a v6 address with its brackets; empty when `listen` gives a port only.
    pub host_text: &'t [u8],
    pub port: Option<u16>,
    /// The end of a range of ports (`listen` only).
    pub last_port: Option<u16>,
    /// What follows host and port, from the `/` or `?` on (`url` only); after a unix path, what follows its `:`.
    pub uri: &'t [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'t> {
    /// `*` and a port alone read as `0.0.0.0`.
    Ip(IpAddr),
    /// To be looked up.
    Name(&'t [u8]),
    /// A path, without `unix:`.
    Unix(&'t [u8]),
}

impl Address<'_> {
    /// The socket address, when no look-up is needed.
    pub fn socket_addr(&self, default_port: u16) -> Option<SocketAddr> {
        match self.host {
            Host::Ip(ip) => Some(SocketAddr::new(ip, self.port.unwrap_or(default_port))),
            Host::Name(_) | Host::Unix(_) => None,
        }
    }

    /// Whether it stands for every address of the machine.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host, Host::Ip(ip) if ip.is_unspecified())
    }
}

/// The scheme's own port of an `http://` or `https://` URL, and what follows the scheme.
pub fn http_url(url: &[u8]) -> Option<(u16, &[u8])> {
    let after = |scheme: &[u8]| {
        let (start, rest) = url.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    after(b"http://").map(|rest| (80, rest)).or_else(|| after(b"https://").map(|rest| (443, rest)))
}

/// Why a text is no address, in nginx's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("invalid host")]
    InvalidHost,
    #[error("invalid port")]
    InvalidPort,
    #[error("invalid port range")]
    InvalidPortRange,
    #[error("no host")]
    NoHost,
    #[error("invalid IPv6 address")]
    InvalidV6,
    #[error("no path in the unix domain socket")]
    NoUnixPath,
    #[error("too long path in the unix domain socket")]
    LongUnixPath,
}

/// The longest path of a unix socket: `sun_path` less its closing zero.
const UNIX_PATH_MAX: usize = 107;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Listen,
    Server,
    Url,
}

/// The argument of `listen`: `80`, `*:80`, `127.0.0.1`, `[::]:80-90`, `unix:/path`.
pub fn listen(text: &[u8]) -> Result<Address<'_>, AddressError> {
    address(text, Kind::Listen)
}

/// The argument of an upstream's `server`: a host with or without a port, or a unix socket.
pub fn server(text: &[u8]) -> Result<Address<'_>, AddressError> {
    address(text, Kind::Server)
}

/// What follows `http://` in `proxy_pass`: an address and a URI.
pub fn url(text: &[u8]) -> Result<Address<'_>, AddressError> {
    address(text, Kind::Url)
}

fn address(text: &[u8], kind: Kind) -> Result<Address<'_>, AddressError> {
    if let Ok((path, _)) = unix_scheme(text) {
        return unix(path, kind);
    }
    if let Ok((inner, _)) = v6_open(text) {
        return v6(text, inner, kind);
    }
    inet(text, kind)
}

fn unix(text: &[u8], kind: Kind) -> Result<Address<'_>, AddressError> {
    let (path, uri) = match unix_path(text) {
        Ok((uri, path)) if kind == Kind::Url => (path, uri.get(1..).unwrap_or_default()),
        _ => (text, &b""[..]),
    };
    match path.len() {
        0 => Err(AddressError::NoUnixPath),
        n if n > UNIX_PATH_MAX => Err(AddressError::LongUnixPath),
        _ => Ok(Address { host: Host::Unix(path), host_text: path, port: None, last_port: None, uri }),
    }
}

fn v6<'t>(text: &'t [u8], inner: &'t [u8], kind: Kind) -> Result<Address<'t>, AddressError> {
    let (after, host) = v6_host(inner).map_err(|_| AddressError::InvalidHost)?;
    let (uri, port) = v6_port_text(after).unwrap_or((b"", after));
    if !uri.is_empty() && kind != Kind::Url {
        return Err(AddressError::InvalidHost);
    }
    let (port, last_port) = match port {
        [] => (None, None),
        [b':', digits @ ..] => ports(digits, kind)?,
        _ => return Err(AddressError::InvalidHost),
    };
    if host.is_empty() {
        return Err(AddressError::NoHost);
    }
    let ip = std::str::from_utf8(host).ok().and_then(|h| h.parse::<Ipv6Addr>().ok());
    let ip = ip.ok_or(AddressError::InvalidV6)?;
    let host_text = text.get(..host.len() + 2).unwrap_or(text);
    Ok(Address { host: Host::Ip(IpAddr::V6(ip)), host_text, port, last_port, uri })
}

fn inet(text: &[u8], kind: Kind) -> Result<Address<'_>, AddressError> {
    let (uri, authority) = authority(text).unwrap_or((b"", text));
    if !uri.is_empty() && kind != Kind::Url {
        return Err(AddressError::InvalidHost);
    }
    let (port_text, host) = host(authority).unwrap_or((b"", authority));
    let (port, last_port) = match port_text {
        [b':', digits @ ..] => ports(digits, kind)?,
        _ => match if kind == Kind::Listen { ports_alone(host)? } else { None } {
            Some((port, last_port)) => {
                let host = Host::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                return Ok(Address { host, host_text: b"", port: Some(port), last_port, uri });
            }
            None => (None, None),
        },
    };
    let found = match host {
        b"" => return Err(AddressError::NoHost),
        b"*" if kind == Kind::Listen => Host::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        _ => whole(ipv4, host).map_or(Host::Name(host), |ip| Host::Ip(IpAddr::V4(ip))),
    };
    Ok(Address { host: found, host_text: host, port, last_port, uri })
}

/// A port, or a range where `listen` allows one.
fn ports(text: &[u8], kind: Kind) -> Result<(Option<u16>, Option<u16>), AddressError> {
    let (first, last) = match port_range(text) {
        Ok((last, first)) if kind == Kind::Listen => (first, Some(port(last)?)),
        _ => (text, None),
    };
    let first = port(first)?;
    if last.is_some_and(|last| first > last) {
        return Err(AddressError::InvalidPortRange);
    }
    Ok((Some(first), last))
}

/// `listen` without a colon: a port or a range when it is all digits, else a host.
fn ports_alone(text: &[u8]) -> Result<Option<(u16, Option<u16>)>, AddressError> {
    let (first, last) = match port_range(text) {
        Ok((last, first)) => (first, Some(last)),
        Err(_) => (text, None),
    };
    if number(first).is_none() || last.is_some_and(|l| number(l).is_none()) {
        return Ok(None);
    }
    ports(text, Kind::Listen).map(|(first, last)| first.map(|f| (f, last)))
}

fn port(text: &[u8]) -> Result<u16, AddressError> {
    let n = number(text).and_then(|n| u16::try_from(n).ok());
    n.filter(|&n| n > 0).ok_or(AddressError::InvalidPort)
}

fn unix_scheme(i: &[u8]) -> IResult<&[u8], &[u8]> {
    tag_no_case("unix:").parse(i)
}

/// A unix path up to the `:` that a URI follows.
fn unix_path(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_until(":").parse(i)
}

fn v6_open(i: &[u8]) -> IResult<&[u8], &[u8]> {
    tag("[").parse(i)
}

/// What stands between the brackets.
fn v6_host(i: &[u8]) -> IResult<&[u8], &[u8]> {
    let (i, host) = take_until("]").parse(i)?;
    let (i, _) = tag("]").parse(i)?;
    Ok((i, host))
}

/// What stands between `]` and the URI.
fn v6_port_text(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_till(|b| b == b'/').parse(i)
}

/// Host and port: all before the first `/` or `?`.
fn authority(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_till(|b| b == b'/' || b == b'?').parse(i)
}

/// The host: all before the first `:`.
fn host(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_till(|b| b == b':').parse(i)
}

/// `first-last`: the first; the last is what remains.
fn port_range(i: &[u8]) -> IResult<&[u8], &[u8]> {
    let (i, first) = take_until("-").parse(i)?;
    let (i, _) = tag("-").parse(i)?;
    Ok((i, first))
}

/// nginx's own reader: octets may be empty or have leading zeros; `255.255.255.255` is no address to it.
pub(super) fn ipv4(i: &[u8]) -> IResult<&[u8], Ipv4Addr> {
    map_opt((octet, tag("."), octet, tag("."), octet, tag("."), octet), |(a, _, b, _, c, _, d)| {
        let ip = Ipv4Addr::new(a, b, c, d);
        (!ip.is_broadcast()).then_some(ip)
    })
    .parse(i)
}

fn octet(i: &[u8]) -> IResult<&[u8], u8> {
    map_opt(take_while(|b: u8| b.is_ascii_digit()), |d: &[u8]| {
        d.iter().try_fold(0u8, |n, b| n.checked_mul(10)?.checked_add(b - b'0'))
    })
    .parse(i)
}
