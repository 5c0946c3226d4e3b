//! The socket that a request comes to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ask::{Ask, Listen, Scheme};
use crate::http::server_of;
use crate::plan::{ListenAddr, ListenEntry, Plan, ServerId};

/// The socket, and why it is that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Index into the plan's listeners.
    pub listener: usize,
    pub entry: usize,
    /// Where the client is connected to.
    pub local: ListenAddr,
    pub why: String,
    /// The URL alone does not say so.
    pub assumed: bool,
    /// The connection is one of TLS.
    pub tls: bool,
}

/// Finds it; the error names those that there are.
pub fn find(plan: &Plan, ask: &Ask) -> Result<Socket, String> {
    let https = ask.scheme == Scheme::Https;
    let (found, why, assumed) = match &ask.listen {
        Some(Listen::Unix(path)) => {
            let same = |a: &ListenAddr| matches!(a, ListenAddr::Unix(p) if p.as_os_str() == path.as_str());
            (pick(plan, |a| same(a)), "--listen says so".to_owned(), false)
        }
        Some(Listen::Address(addr)) => (address(plan, *addr), "--listen says so".to_owned(), false),
        Some(Listen::Port(port)) => (named(plan, *port, ask), "--listen says so".to_owned(), false),
        None => match named(plan, ask.to_port(), ask) {
            Some(found) => {
                let alone = if several(plan, ask.to_port()) && ask.host.parse::<IpAddr>().is_err() {
                    ", one of several; --listen says which"
                } else {
                    ""
                };
                (Some(found), format!("port {}{alone}", ask.to_port()), false)
            }
            None if ask.port.is_none() => {
                let secure = if https { only_port(plan, true) } else { None };
                let only = secure.or_else(|| only_port(plan, false));
                let other = if secure.is_some() { "no other with \"ssl\"" } else { "no other" };
                let why = format!("nothing listens on port {}, and there is {other}", ask.to_port());
                (only.and_then(|port| named(plan, port, ask)), why, true)
            }
            None => (None, String::new(), false),
        },
    };
    let Some((listener, entry, local)) = found else { return Err(missing(plan, ask)) };
    let place = plan.listeners.get(listener).and_then(|l| l.addrs.get(entry));
    let ends_tls = place.is_some_and(|e| e.ssl);
    let mut socket = Socket { listener, entry, local, why, assumed, tls: https && ends_tls };
    if https && !ends_tls {
        socket.why += "; taken as what somebody in front passes on who ends TLS";
        socket.assumed = true;
    }
    if let Some(entry) = place.filter(|_| socket.tls)
        && let Some(server) = plan.servers.get(server(plan, entry, ask).0.ix())
        && server.reject_handshake
    {
        let host = &ask.host;
        return Err(format!(
            "the handshake for \"{host}\" is refused (\"ssl_reject_handshake\"): no request comes"
        ));
    }
    Ok(socket)
}

/// The server whose certificate is shown to a client that names the URL's host, and that name when it has it.
pub fn server(plan: &Plan, entry: &ListenEntry, ask: &Ask) -> (ServerId, Option<Box<[u8]>>) {
    let name = ask.host.trim_end_matches('.').to_ascii_lowercase();
    // Addresses are not sent (RFC 6066 section 3).
    let sent = name.parse::<IpAddr>().is_err().then(|| name.into_bytes());
    match sent.and_then(|name| Some((server_of(plan, entry, &name)?, Some(name.into())))) {
        Some(found) => found,
        None => (entry.default_server, None),
    }
}

type Place = (usize, usize, ListenAddr);

/// The first entry whose address fits.
fn pick(plan: &Plan, fits: impl Fn(&ListenAddr) -> bool) -> Option<Place> {
    plan.listeners.iter().enumerate().find_map(|(l, listener)| {
        let (e, entry) = listener.addrs.iter().enumerate().find(|(_, e)| fits(&e.addr))?;
        Some((l, e, entry.addr.clone()))
    })
}

/// Where a connection to this address ends: the address's own socket, else the wildcard of its port.
fn address(plan: &Plan, addr: SocketAddr) -> Option<Place> {
    let inet = ListenAddr::Inet(addr);
    let found = pick(plan, |a| *a == inet).or_else(|| {
        let any = |v6: bool| {
            move |a: &ListenAddr| {
                matches!(a, ListenAddr::Inet(a)
                if a.ip().is_unspecified() && a.port() == addr.port() && a.is_ipv6() == v6)
            }
        };
        // A v6 wildcard takes v4 connections as well when it is told to; the nearer one is the v4 one.
        pick(plan, any(addr.is_ipv6())).or_else(|| pick(plan, any(true)))
    })?;
    Some((found.0, found.1, inet))
}

/// The socket of a port for the URL's host. Names are not looked up: a wildcard socket takes every address.
fn named(plan: &Plan, port: u16, ask: &Ask) -> Option<Place> {
    if let Ok(ip) = ask.host.parse::<IpAddr>()
        && !ip.is_unspecified()
    {
        return address(plan, SocketAddr::new(ip, port));
    }
    let at = |a: &ListenAddr, wild: bool| {
        matches!(a, ListenAddr::Inet(a)
        if a.port() == port && a.ip().is_unspecified() == wild)
    };
    if let Some((l, e, ListenAddr::Inet(wild))) = pick(plan, |a| at(a, true)) {
        let ip = if wild.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
        return Some((l, e, ListenAddr::Inet(SocketAddr::new(ip, port))));
    }
    pick(plan, |a| at(a, false))
}

/// `ssl`: those of TLS alone.
fn ports(plan: &Plan, ssl: bool) -> Vec<u16> {
    let addrs = plan.listeners.iter().flat_map(|l| &l.addrs).filter(|e| e.ssl || !ssl);
    let mut ports: Vec<u16> = addrs
        .filter_map(|e| match e.addr {
            ListenAddr::Inet(a) => Some(a.port()),
            ListenAddr::Unix(_) => None,
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn only_port(plan: &Plan, ssl: bool) -> Option<u16> {
    match ports(plan, ssl)[..] {
        [port] => Some(port),
        _ => None,
    }
}

/// Whether the port has sockets of several addresses and none for all.
fn several(plan: &Plan, port: u16) -> bool {
    let addrs = plan.listeners.iter().flat_map(|l| &l.addrs);
    let of = addrs.filter_map(|e| match e.addr {
        ListenAddr::Inet(a) if a.port() == port => Some(a.ip().is_unspecified()),
        _ => None,
    });
    let of: Vec<bool> = of.collect();
    of.len() > 1 && !of.contains(&true)
}

fn missing(plan: &Plan, ask: &Ask) -> String {
    let all: Vec<String> = plan.listeners.iter().flat_map(|l| &l.addrs).map(|e| name(&e.addr)).collect();
    let asked = match &ask.listen {
        Some(Listen::Unix(path)) => format!("unix:{path}"),
        Some(Listen::Address(a)) => a.to_string(),
        Some(Listen::Port(port)) => format!("port {port}"),
        None => format!("port {} of \"{}\"", ask.to_port(), ask.host),
    };
    let all = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
    format!("nothing listens on {asked}; what does: {all}")
}

/// As in `listen`: `*:80`, `[::]:80`, `unix:/path`.
pub fn name(addr: &ListenAddr) -> String {
    match addr {
        ListenAddr::Inet(SocketAddr::V4(a)) if a.ip().is_unspecified() => format!("*:{}", a.port()),
        ListenAddr::Inet(a) => a.to_string(),
        ListenAddr::Unix(path) => format!("unix:{}", path.display()),
    }
}
