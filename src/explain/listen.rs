//! The socket that a request comes to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ask::{Ask, Listen, Scheme};
use crate::plan::{ListenAddr, Plan};

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
}

/// Finds it; the error names those that there are.
pub fn find(plan: &Plan, ask: &Ask) -> Result<Socket, String> {
    let tls = |found: Option<&Place>| match (ask.scheme, found) {
        (Scheme::Https, Some((l, e, _))) if ends_tls(plan, *l, *e) => "",
        (Scheme::Https, _) => "; taken as what somebody in front passes on who ends TLS",
        (Scheme::Http, _) => "",
    };
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
                let tls = tls(Some(&found));
                (Some(found), format!("port {}{alone}{tls}", ask.to_port()), !tls.is_empty())
            }
            None if ask.port.is_none() => {
                let found = only_port(plan).and_then(|port| named(plan, port, ask));
                let tls = tls(found.as_ref());
                (
                    found,
                    format!("nothing listens on port {}, and there is no other{tls}", ask.to_port()),
                    true,
                )
            }
            None => (None, String::new(), false),
        },
    };
    let Some((listener, entry, local)) = found else { return Err(missing(plan, ask)) };
    Ok(Socket { listener, entry, local, why, assumed })
}

type Place = (usize, usize, ListenAddr);

/// Whether the entry of a listener has `ssl`.
pub fn ends_tls(plan: &Plan, listener: usize, entry: usize) -> bool {
    plan.listeners.get(listener).and_then(|l| l.addrs.get(entry)).is_some_and(|e| e.ssl)
}

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

fn ports(plan: &Plan) -> Vec<u16> {
    let addrs = plan.listeners.iter().flat_map(|l| &l.addrs);
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

fn only_port(plan: &Plan) -> Option<u16> {
    match ports(plan)[..] {
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
