//! Listening sockets: which addresses are bound, and whose default server and names each has.

use std::collections::HashMap;

use super::Builder;
use crate::config::{self, Listen, Ssl, Step};
use crate::diag::Severity;
use crate::plan::{ListenAddr, ListenEntry, ListenOptions, Listener, ServerId};

/// Address family and port: what shares a wildcard.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Port {
    V4(u16),
    V6(u16),
    Unix,
}

struct Address {
    addr: ListenAddr,
    options: ListenOptions,
    set: bool,
    bind: bool,
    /// Some line said `default_server`.
    default_given: bool,
    default_server: ServerId,
    servers: Vec<ServerId>,
    proxy_protocol: bool,
    http2: bool,
    ssl: bool,
    protocols: Protocols,
}

/// nginx's memory of what the lines of an address said of protocols, for its warning.
#[derive(Default)]
struct Protocols {
    known: Option<u8>,
    changed: bool,
}

impl Address {
    fn new(addr: &ListenAddr, listen: &Listen, server: ServerId) -> Self {
        Self {
            addr: addr.clone(),
            options: listen.options.clone(),
            set: listen.set,
            bind: listen.bind,
            default_given: listen.default_server,
            default_server: server,
            servers: vec![server],
            proxy_protocol: listen.proxy_protocol,
            http2: listen.http2,
            ssl: listen.ssl,
            protocols: Protocols::default(),
        }
    }

    fn wildcard(&self) -> bool {
        matches!(&self.addr, ListenAddr::Inet(a) if a.ip().is_unspecified())
    }

    /// One more `listen` line for an address that is known: what nginx refuses, and whether it warns.
    fn join(&mut self, listen: &Listen, server: ServerId) -> Result<bool, String> {
        let shown = shown(&self.addr);
        if self.servers.contains(&server) {
            return Err(format!("a duplicate listen {shown}"));
        }
        self.servers.push(server);
        let was_set = self.set;
        if listen.set {
            if self.set {
                return Err(format!("duplicate listen options for {shown}"));
            }
            self.options = listen.options.clone();
            (self.set, self.bind) = (true, listen.bind);
        }
        if listen.default_server {
            if self.default_given {
                return Err(format!("a duplicate default server for {shown}"));
            }
            self.default_given = true;
            self.default_server = server;
        }
        let warn = self.redefines(listen, was_set);
        self.proxy_protocol |= listen.proxy_protocol;
        self.http2 |= listen.http2;
        self.ssl |= listen.ssl;
        Ok(warn)
    }

    fn redefines(&mut self, listen: &Listen, was_set: bool) -> bool {
        let now = protocols(listen.proxy_protocol, listen.ssl, listen.http2);
        let before = protocols(self.proxy_protocol, self.ssl, self.http2);
        let p = &mut self.protocols;
        let known_differs = p.known.is_some_and(|k| k != now);
        let (warn, known, changed) = if now & !before != 0 {
            let removed = before & !now != 0;
            ((was_set && !listen.set) || p.changed || removed, before, true)
        } else if before & !now != 0 {
            (listen.set || known_differs, now, true)
        } else {
            ((listen.set && p.changed) || known_differs, now, p.changed)
        };
        p.known = Some(known);
        p.changed = changed;
        warn
    }
}

/// What a line says of protocols, a bit each.
fn protocols(proxy_protocol: bool, ssl: bool, http2: bool) -> u8 {
    u8::from(proxy_protocol) | u8::from(ssl) << 1 | u8::from(http2) << 2
}

/// An address as nginx prints it.
fn shown(addr: &ListenAddr) -> String {
    match addr {
        ListenAddr::Inet(addr) => addr.to_string(),
        ListenAddr::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// Makes the listeners of all servers.
pub fn compile(b: &mut Builder<'_>) {
    let mut ports: Vec<Vec<Address>> = Vec::new();
    let mut by_port: HashMap<Port, usize> = HashMap::new();
    let mut by_addr: HashMap<ListenAddr, (usize, usize)> = HashMap::new();
    for (i, server) in b.http.servers.iter().enumerate() {
        let id = ServerId(i as u32);
        for listen in &server.listens {
            for addr in &listen.addrs {
                if let Some(&(port, at)) = by_addr.get(addr) {
                    let Some(known) = ports.get_mut(port).and_then(|p| p.get_mut(at)) else { continue };
                    match known.join(listen, id) {
                        Err(words) => b.found.emerg(listen.at, "duplicate", words),
                        Ok(true) => {
                            let words = format!("protocol options redefined for {}", shown(addr));
                            b.found.warn(listen.at, "redefined", words);
                        }
                        Ok(false) => {}
                    }
                    continue;
                }
                let port = *by_port.entry(port_of(addr)).or_insert_with(|| {
                    ports.push(Vec::new());
                    ports.len() - 1
                });
                let Some(list) = ports.get_mut(port) else { continue };
                by_addr.insert(addr.clone(), (port, list.len()));
                list.push(Address::new(addr, listen, id));
            }
        }
    }
    ports.iter().flatten().filter(|a| a.ssl).for_each(|a| certified(b, a));
    for port in ports {
        listeners_of(b, port);
    }
}

/// An address with TLS has a certificate for whoever names no server.
fn certified(b: &mut Builder<'_>, address: &Address) {
    let http = b.http;
    let of = |id: &ServerId| http.servers.get(id.ix());
    let lacks = |server: &config::Server| {
        let own = |ssl: &Ssl| ssl.certificates.as_ref().map(|c| !c.is_empty());
        let reject = server.ssl.reject.or(http.ssl.reject).unwrap_or(false);
        (own(&server.ssl).or(own(&http.ssl)) != Some(true), reject)
    };
    let Some(default) = of(&address.default_server) else { return };
    let missing = match lacks(default) {
        (false, _) => None,
        (true, false) => Some(default),
        // Then every other one must have a certificate, or refuse too.
        (true, true) => address.servers.iter().filter_map(of).find(|s| lacks(s) == (true, false)),
    };
    if let Some(server) = missing {
        let words = "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive";
        b.found.late(http.close, Step::Whole, Severity::Emerg, Some(server.at), words);
    }
}

fn port_of(addr: &ListenAddr) -> Port {
    match addr {
        ListenAddr::Inet(a) if a.is_ipv4() => Port::V4(a.port()),
        ListenAddr::Inet(a) => Port::V6(a.port()),
        ListenAddr::Unix(_) => Port::Unix,
    }
}

/// The listeners of one port: with a wildcard address, that one and those that are bound explicitly; else each.
fn listeners_of(b: &mut Builder<'_>, mut port: Vec<Address>) {
    port.sort_by_key(|a| (a.wildcard(), !a.bind));
    let has_wildcard = port.last().is_some_and(Address::wildcard);
    let mut waiting: Vec<ListenEntry> = Vec::new();
    for address in port {
        let entry = ListenEntry {
            addr: address.addr.clone(),
            default_server: address.default_server,
            names: b.name_router(&address.servers, &shown(&address.addr)),
            proxy_protocol: address.proxy_protocol,
            http2: address.http2,
            ssl: address.ssl,
        };
        if has_wildcard && !address.bind && !address.wildcard() {
            waiting.push(entry);
            continue;
        }
        let mut addrs = if address.wildcard() { std::mem::take(&mut waiting) } else { Vec::new() };
        addrs.push(entry);
        b.plan.listeners.push(Listener { bind: address.addr, options: address.options, addrs });
    }
}
