//! Upstreams: host names looked up, peers in their order, what a session's cookie says for each.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use md5::Digest;

use super::ng;
use super::pins;
use crate::config::{sticky, upstream as settings};
use crate::diag::{Diag, Diags, FileId, Severity};
use crate::plan::{
    Dynamic, DynamicServer, LearnSnapshot, Method, Peer, PeerAddr, PeerId, PeerIndex, Renew, ResolverId,
    Sticky, StickyCookie, StickyLearn, Template, Upstream, UpstreamId, UpstreamKeepalive,
};
use crate::sys;
use crate::values::{self, Address, Host};

type Place = (FileId, u32);

/// What a template is made of.
#[derive(Debug, Clone, Copy)]
pub enum Source<'t> {
    /// A text with variables, well formed.
    Text(&'t [u8]),
    /// The name of one variable, whatever is in it: `$cookie_my-session`.
    Variable(&'t str),
}

/// Makes templates; it says itself what is wrong with the variables.
pub type Templates<'a> = &'a mut dyn FnMut(Source<'_>) -> Template;

/// Makes an upstream of its block. A server that cannot be looked up is said and left out.
pub fn upstream(block: &settings::Upstream, diags: &mut Diags, make: Templates<'_>) -> Upstream {
    let mut template = |text: &[u8]| make(Source::Text(text));
    let mut peers = Vec::new();
    for backup in [false, true] {
        for server in block.servers.iter().filter(|s| s.backup == backup && s.name().is_none()) {
            match addresses(&server.address, 80) {
                Ok(addrs) => peers.extend(addrs.into_iter().map(|addr| peer(server, addr))),
                Err(e) => {
                    let message = format!("{e} in upstream \"{}\"", show(&server.address));
                    emerg(diags, "host-not-found", message, server.at);
                }
            }
        }
    }
    let primary = peers.iter().filter(|p| !p.backup).count();
    if !block.servers.is_empty() && block.servers.iter().all(|s| s.backup) {
        let message = format!("no servers in upstream \"{}\"", show(&block.name));
        emerg(diags, "no-servers", message, block.at);
    }
    let method = match &block.method {
        settings::Method::RoundRobin => Method::RoundRobin,
        settings::Method::IpHash => Method::IpHash,
        settings::Method::Hash { key, consistent: false } => Method::Hash(template(key)),
        settings::Method::Hash { key, consistent: true } => Method::HashConsistent(template(key)),
        settings::Method::LeastConn => Method::LeastConn,
        settings::Method::Random { two } => Method::Random { two: *two },
        settings::Method::RandomLeastTime { last_byte } => Method::RandomLeastTime { last_byte: *last_byte },
        settings::Method::LeastTime { last_byte, inflight } => {
            Method::LeastTime { last_byte: *last_byte, inflight: *inflight }
        }
        settings::Method::ConsistentHash(key) => Method::ConsistentHash(template(key)),
    };
    let variables = |names: &[Box<str>], make: Templates<'_>| {
        names.iter().map(|name| make(Source::Variable(name))).collect()
    };
    let sticky = block.sticky.as_ref().map(|s| match s {
        sticky::Sticky::Tengine(s) => Sticky::Tengine(s.clone()),
        sticky::Sticky::Cookie(c) => Sticky::Cookie(StickyCookie {
            name: c.name.clone(),
            expires: c.expires,
            domain: c.domain.as_ref().map(|d| make(Source::Text(d))),
            path: c.path.clone(),
            httponly: c.httponly,
            secure: c.secure,
            samesite: c.samesite.as_ref().map(|s| make(Source::Text(s))),
        }),
        sticky::Sticky::Route(keys) => Sticky::Route(variables(keys, make)),
        sticky::Sticky::Learn(l) => Sticky::Learn(StickyLearn {
            create: variables(&l.create, make),
            lookup: variables(&l.lookup, make),
            zone: show(&l.zone).into(),
            size: l.size,
            timeout: l.timeout,
            header: l.header,
            snapshot: l.snapshot.clone().map(|path| LearnSnapshot { path, interval: l.snapshot_interval }),
            store: l.store.clone().map(Arc::new),
        }),
        sticky::Sticky::Ng(s) => Sticky::Ng(s.clone()),
    });
    let mut upstream = Upstream {
        name: show(&block.name).into(),
        implicit: false,
        port: 0,
        peers,
        primary,
        method,
        sticky,
        zone: block.zone.as_ref().map(|z| show(z).into()),
        keepalive: block.keepalive.clone(),
        check: block.checking.finish(),
        sids: Vec::new(),
        sid_index: PeerIndex::default(),
        backup_sids: PeerIndex::default(),
        pins: None,
        dynamic: None,
    };
    name_sessions(&mut upstream);
    pins::add(&mut upstream, block, diags, make);
    upstream
}

/// The upstream of a `proxy_pass` to an address: nothing is kept, several addresses of a name go round.
pub fn implicit(name: &str, port: u16, addrs: Vec<PeerAddr>) -> Upstream {
    let peers: Vec<Peer> = addrs
        .into_iter()
        .map(|addr| Peer {
            name: peer_name(&addr),
            server: name.into(),
            addr,
            weight: 1,
            max_fails: 1,
            fail_timeout: Duration::from_secs(10),
            slow_start: Duration::ZERO,
            max_conns: 0,
            down: false,
            backup: false,
            drain: false,
            id: None,
            plain: None,
            route: None,
        })
        .collect();
    Upstream {
        name: name.into(),
        implicit: true,
        port,
        primary: peers.len(),
        peers,
        method: Method::RoundRobin,
        sticky: None,
        zone: None,
        keepalive: UpstreamKeepalive {
            idle: 0,
            local: false,
            requests: 0,
            time: Duration::ZERO,
            timeout: Duration::ZERO,
        },
        check: None,
        sids: Vec::new(),
        sid_index: PeerIndex::default(),
        backup_sids: PeerIndex::default(),
        pins: None,
        dynamic: None,
    }
}

/// The addresses that a `server` or a `proxy_pass` means, looked up where it is a name. The error is nginx's.
pub fn addresses(text: &[u8], default_port: u16) -> Result<Vec<PeerAddr>, String> {
    let address = values::server(text).map_err(|e| e.to_string())?;
    look_up(&address, default_port)
}

/// The same for an address that was read already.
pub fn look_up(address: &Address<'_>, default_port: u16) -> Result<Vec<PeerAddr>, String> {
    let port = address.port.unwrap_or(default_port);
    match address.host {
        Host::Ip(ip) => Ok(vec![PeerAddr::Inet(SocketAddr::new(ip, port))]),
        Host::Unix(path) => Ok(vec![PeerAddr::Unix(PathBuf::from(std::ffi::OsStr::from_bytes(path)))]),
        Host::Name(name) => {
            let found = sys::resolve(name).ok_or("host not found")?;
            Ok(found.into_iter().map(|ip| PeerAddr::Inet(SocketAddr::new(ip, port))).collect())
        }
    }
}

/// The name as nginx prints it (`$upstream_addr`, logs) and as Tengine and nginx hash it into cookies.
pub fn peer_name(addr: &PeerAddr) -> Box<str> {
    match addr {
        PeerAddr::Inet(SocketAddr::V4(a)) => a.to_string().into(),
        PeerAddr::Inet(SocketAddr::V6(a)) => format!("[{}]:{}", v6_text(a.ip().octets()), a.port()).into(),
        PeerAddr::Unix(path) => format!("unix:{}", path.display()).into(),
    }
}

/// What a location says about the cookies of upstreams, by their ids: those hidden, and those shown (`switch=off`).
/// A name that no block has is nginx's implicit upstream, which has no port.
pub fn hiding(
    named: &sticky::Hiding,
    upstreams: &[Upstream],
    diags: &mut Diags,
) -> (Vec<UpstreamId>, Vec<UpstreamId>) {
    let (mut hide, mut show_) = (Vec::new(), Vec::new());
    for one in &named.upstreams {
        let same = |u: &Upstream| !u.implicit && u.name.as_bytes().eq_ignore_ascii_case(&one.name);
        match upstreams.iter().position(same) {
            Some(i) => (if one.hide { &mut hide } else { &mut show_ }).push(UpstreamId(i as u32)),
            None => {
                let message = format!("no port in upstream \"{}\"", show(&one.name));
                emerg(diags, "unknown-upstream", message, one.at);
            }
        }
    }
    (hide, show_)
}

/// Warns of a location that passes to an upstream whose mode needs `session_sticky_hide_cookie`, and has none. `at` is
/// where `proxy_pass` ends.
pub fn warn_not_hidden(
    upstream: &Upstream,
    id: UpstreamId,
    hide: &[UpstreamId],
    shown: &[UpstreamId],
    at: Place,
    diags: &mut Diags,
) {
    use crate::plan::StickyMode;
    let Some(Sticky::Tengine(s)) = &upstream.sticky else { return };
    let what = match s.mode {
        StickyMode::Prefix => "mode=prefix",
        StickyMode::Insert if s.indirect => "option=indirect",
        StickyMode::Insert | StickyMode::Rewrite => return,
    };
    if hide.contains(&id) || shown.contains(&id) {
        return;
    }
    let name = &upstream.name;
    diags.push(Diag {
        severity: Severity::Warn,
        code: "sticky-not-hidden",
        message: format!(
            "upstream \"{name}\" has \"{what}\", \
             but there is no \"session_sticky_hide_cookie upstream={name}\" here"
        ),
        span: None,
        at: Some(at),
        hint: Some("the cookie is hidden all the same; Tengine would keep no session here".to_owned()),
    });
}

fn peer(server: &settings::Server, addr: PeerAddr) -> Peer {
    Peer {
        name: peer_name(&addr),
        server: show(&server.address).into(),
        addr,
        weight: server.weight,
        max_fails: server.max_fails,
        fail_timeout: server.fail_timeout,
        slow_start: server.slow_start,
        max_conns: server.max_conns,
        down: server.down,
        backup: server.backup,
        drain: server.drain,
        id: server.id.as_ref().or(server.route.as_ref()).map(|i| show(i).into()),
        plain: server.id.clone(),
        route: server.route.clone(),
    }
}

/// The servers of a block that are looked up while running. `zone_size`: bytes of its zone.
pub fn dynamic(
    block: &settings::Upstream,
    resolver: ResolverId,
    timeout: Duration,
    zone_size: usize,
) -> Option<Box<Dynamic>> {
    let server = |s: &settings::Server| {
        let (host, port) = s.name()?;
        // An address of no meaning, until there is one.
        let addr = PeerAddr::Inet(SocketAddr::new([0, 0, 0, 0].into(), port));
        Some(DynamicServer {
            host: show(host).into(),
            service: s.service.as_ref().map(|s| show(s).into()),
            port,
            peer: Peer { name: Box::default(), ..peer(s, addr) },
        })
    };
    let servers: Vec<_> = block.servers.iter().filter_map(server).collect();
    let pins = block.pins.clone();
    let renew = Renew(Arc::new(move |upstream: &mut Upstream| pins::tables(upstream, &pins)));
    (!servers.is_empty()).then(|| Box::new(Dynamic { resolver, timeout, servers, zone_size, renew }))
}

/// An upstream with other peers; `primary` of them are no backups.
pub fn with_peers(upstream: &Upstream, peers: Vec<Peer>, primary: usize) -> Upstream {
    let mut upstream = Upstream { peers, primary, ..upstream.clone() };
    upstream.sids.clear();
    upstream.sid_index.clear();
    upstream.backup_sids.clear();
    name_sessions(&mut upstream);
    if let Some(renew) = upstream.dynamic.as_ref().map(|d| d.renew.clone()) {
        (renew.0)(&mut upstream);
    }
    upstream
}

/// Works out what the cookie says for each peer, both ways.
fn name_sessions(upstream: &mut Upstream) {
    let Some(sticky) = &upstream.sticky else { return };
    if let Sticky::Ng(s) = sticky {
        // The module leaves an only server alone.
        if upstream.peers.len() > 1 {
            upstream.sids = ng::values(&s.value, s.input, &upstream.peers);
        }
        return index_sessions(upstream);
    }
    let sid = |peer: &Peer| match sticky {
        // `id=` is Tengine's and `route=` is nginx's; each knows its own only.
        Sticky::Tengine(s) if s.md5 => md5_hex(peer.name.as_bytes()),
        Sticky::Tengine(_) => peer.plain.clone().unwrap_or_else(|| peer.name.as_bytes().into()),
        Sticky::Cookie(_) | Sticky::Route(_) | Sticky::Learn(_) => {
            peer.route.clone().unwrap_or_else(|| md5_hex(peer.name.as_bytes()))
        }
        Sticky::Ng(_) => Box::default(),
    };
    upstream.sids = upstream.peers.iter().map(sid).collect();
    index_sessions(upstream);
}

/// The way back from values to peers.
fn index_sessions(upstream: &mut Upstream) {
    for (i, sid) in upstream.sids.iter().enumerate() {
        upstream.sid_index.entry(sid.clone()).or_insert(PeerId(i as u32));
        if i >= upstream.primary {
            upstream.backup_sids.entry(sid.clone()).or_insert(PeerId(i as u32));
        }
    }
}

pub(super) fn md5_hex(text: &[u8]) -> Box<[u8]> {
    ng::hex(&md5::Md5::digest(text))
}

/// nginx's text of a v6 address. It differs from the usual one in addresses that hold a v4 one.
fn v6_text(ip: [u8; 16]) -> String {
    use std::fmt::Write;
    let groups: Vec<u16> = ip.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
    // The first longest run of at least two zero groups.
    let (mut start, mut run) = (0, 1);
    let mut i = 0;
    while i < 8 {
        let n = groups[i..].iter().take_while(|g| **g == 0).count();
        if n > run {
            (start, run) = (i, n);
        }
        i += n.max(1);
    }
    let squeezed = run > 1;
    let v4 = squeezed
        && start == 0
        && ((run == 5 && groups[5] == 0xffff) || run == 6 || (run == 7 && ip[14] != 0 && ip[15] != 1));
    let end = if v4 { 6 } else { 8 };
    let mut text = String::new();
    if squeezed && start == 0 {
        text.push(':');
    }
    let mut i = 0;
    while i < end {
        if squeezed && i == start {
            text.push(':');
            i += run;
            continue;
        }
        let _ = write!(text, "{:x}", groups[i]);
        if i < 7 {
            text.push(':');
        }
        i += 1;
    }
    if v4 {
        let _ = write!(text, "{}.{}.{}.{}", ip[12], ip[13], ip[14], ip[15]);
    }
    text
}

fn show(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

pub(super) fn emerg(diags: &mut Diags, code: &'static str, message: String, at: Place) {
    diags.push(Diag { severity: Severity::Emerg, code, message, span: None, at: Some(at), hint: None });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_named_as_nginx_names_them() {
        let name = |text: &str| peer_name(&addresses(text.as_bytes(), 80).unwrap()[0]).into_string();
        for (text, expect) in [
            ("127.0.0.1", "127.0.0.1:80"),
            ("[::1]:8080", "[::1]:8080"),
            ("[2001:db8:0:0:1:0:0:1]", "[2001:db8::1:0:0:1]:80"),
            ("[2001:db8:0:1:1:1:1:1]", "[2001:db8:0:1:1:1:1:1]:80"),
            ("[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]:80"),
            ("[::10.0.0.1]", "[::10.0.0.1]:80"),
            ("[1::]", "[1::]:80"),
            ("[0:1::]", "[0:1::]:80"),
            ("[0:0:0:0:0:0:12:1]", "[::0.18.0.1]:80"),
            ("[::1:2:3]", "[::1:2:3]:80"),
            ("[::ffff:0:0:1]", "[::ffff:0:0:1]:80"),
            ("[1:0:0:2:0:0:0:3]", "[1:0:0:2::3]:80"),
            ("[::]", "[::]:80"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(name(text), expect, "{text}");
        }
    }

    #[test]
    fn a_host_that_there_is_not_is_nginx_s_error() {
        assert_eq!(addresses(b"no-such-host.invalid:80", 80), Err("host not found".to_owned()));
        assert_eq!(addresses(b"a:0", 80), Err("invalid port".to_owned()));
    }
}
