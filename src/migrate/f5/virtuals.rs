//! Virtual servers: where is listened, and to which pool it leads.

use std::collections::BTreeMap;

use super::super::certificates;
use super::super::input::Place;
use super::super::model::{Line, Location, Server, StickyKind, Upstream};
use super::super::report::Class;
use super::read::{Entry, Object};
use super::{Cx, closed, leaf, persist, pools, tls};

pub(super) fn convert(cx: &mut Cx<'_>) {
    let objects = cx.objects;
    let virtuals: Vec<&Object> = objects.iter().filter(|o| o.kind == "ltm virtual").collect();
    // A port that one virtual server has alone needs no address: it may move to another machine.
    let mut ports: BTreeMap<u16, usize> = BTreeMap::new();
    for object in &virtuals {
        if let Some((_, _, port)) = object.get("destination").and_then(|d| pools::endpoint(d.text())) {
            *ports.entry(port).or_default() += 1;
        }
    }
    let mut used = Vec::new();
    for object in &virtuals {
        let pool = one(cx, object, &ports);
        used.extend(pool);
    }
    // A pool that no virtual server of the input names may be named by what is not in the input.
    for object in objects.iter().filter(|o| o.kind == "ltm pool" && !used.contains(&o.name)) {
        if used.iter().any(|u| leaf(u) == leaf(&object.name)) {
            continue;
        }
        let pool = pools::pool(cx, object);
        upstream(cx, pool, None, None);
        cx.account.mark(object.place, Class::Exact, "no virtual server of the input leads there");
    }
}

/// Writes the virtual server; the name of its pool.
fn one<'o>(cx: &mut Cx<'o>, object: &'o Object, ports: &BTreeMap<u16, usize>) -> Option<String> {
    let pool = object.get("pool").filter(|p| p.text() != "none");
    let name = pool.map(|p| p.text().to_owned());
    let Some(destination) = object.get("destination") else {
        cx.account.object(object, Class::Dropped, "no destination is said");
        return None;
    };
    let Some((host, domain, port)) = pools::endpoint(destination.text()) else {
        cx.account.object(object, Class::Dropped, "this destination is no address with a port");
        return None;
    };
    if object.get("disabled").is_some() {
        cx.account.object(object, Class::Exact, "it is disabled: not opened");
        return None;
    }
    let kind = traffic(cx, object)?;
    cx.account.mark(object.place, Class::Exact, "");
    let alone = ports.get(&port).is_some_and(|n| *n == 1);
    let wild = matches!(host.as_str(), "0.0.0.0" | "any" | "any6" | "::" | "0");
    let listen = match host.parse::<std::net::IpAddr>() {
        Ok(ip) if !wild && !alone => std::net::SocketAddr::new(ip, port).to_string(),
        _ => port.to_string(),
    };
    if wild {
        cx.account.exact(destination, "");
    } else if alone {
        cx.account.approximated(destination, "the port on every address of the machine");
    } else {
        cx.account.exact(destination, "");
    }
    if domain.is_some() {
        cx.account.approximated(destination, "route domains are the machine's matter");
    }
    let mut server = Server {
        cite: Some(object.place),
        listens: vec![Line::new(
            Some(destination.place),
            ["listen".to_owned(), listen].into_iter().chain((!kind.tls.is_empty()).then(|| "ssl".to_owned())),
        )],
        lines: kind.tls.clone(),
        ..Server::default()
    };
    // The clients that are let in.
    if let Some(source) = object.get("source").filter(|s| !s.text().ends_with("/0")) {
        let net = source.text();
        let fit = crate::values::cidr(net.as_bytes()).is_some();
        let allow = fit.then(|| Line::new(Some(source.place), ["allow", net]));
        server.lines.extend(allow);
        server.lines.push(Line::new(Some(source.place), ["deny", "all"]));
        if !fit {
            cx.account
                .dropped(source, "these clients cannot be written: nobody gets in until you say who may");
        }
    }
    let mut lines = vec![Line::new(None, ["proxy_set_header", "Host", "$http_host"])];
    if kind.forwarded {
        lines.push(Line::new(None, ["proxy_set_header", "X-Forwarded-For", "$proxy_add_x_forwarded_for"]));
    }
    entries(cx, object);
    if let Some(place) = kind.shut.or_else(|| closed::entries(cx, object)) {
        let mut line = Line::new(Some(place), ["deny", "all"]);
        line.says = Some("closed: say who may pass, then take this out".to_owned());
        server.lines.retain(|l| l.words.first().is_none_or(|w| w != "allow" && w != "deny"));
        server.lines.push(line);
    }
    let target = pool.and_then(|p| {
        let found = cx.object("ltm pool", p.text());
        match found {
            Some(_) => cx.account.exact(p, ""),
            None => cx.account.dropped(p, "this pool is not in the input: 503"),
        }
        found
    });
    let made = target.and_then(|target| {
        let pool = pools::pool(cx, target);
        upstream(cx, pool, object.get("persist"), object.get("fallback-persistence"))
    });
    if target.is_none() {
        for entry in object.get("persist").into_iter().chain(object.get("fallback-persistence")) {
            cx.account.all(entry, Class::Dropped, "there is no pool");
        }
    }
    match made {
        Some(name) => lines.push(Line::new(
            pool.map(|p| p.place),
            ["proxy_pass".to_owned(), format!("{}://{name}", if kind.secure { "https" } else { "http" })],
        )),
        None => lines = vec![Line::new(None, ["return", "503"])],
    }
    let rules = object.get("rules").map_or(&[][..], |r| &r.inside);
    if let Some(rule) = rules.iter().find(|r| leaf(&r.key) == closed::REDIRECT) {
        let words = ["return", "302", "https://$host$request_uri"];
        lines = vec![Line::new(Some(rule.place), words)];
    }
    server.locations.push(Location { cite: None, modifier: "", path: "/".to_owned(), lines });
    cx.model.servers.push(server);
    name
}

/// What a virtual server speaks.
struct Traffic {
    /// TLS to the servers.
    secure: bool,
    forwarded: bool,
    /// What a listener with TLS says; empty without.
    tls: Vec<Line>,
    /// Who kept somebody out and cannot be carried over.
    shut: Option<Place>,
}

/// `None`: what it speaks has no counterpart, and it was dropped.
fn traffic(cx: &mut Cx<'_>, object: &Object) -> Option<Traffic> {
    let mut out = Traffic { secure: false, forwarded: false, tls: Vec::new(), shut: None };
    let (mut http, mut secure) = (false, false);
    let Some(profiles) = object.get("profiles") else {
        // A piece of a file, as documents show it.
        return Some(out);
    };
    for profile in &profiles.inside {
        let found = cx.object("ltm profile", &profile.key);
        let kind = found.map_or(leaf(&profile.key), |o| o.kind.rsplit(' ').next().unwrap_or_default());
        let known = match kind {
            "http" | "http-transparent" => {
                http = true;
                let on = found.and_then(|o| cx.inherited(o, "ltm profile", "insert-xforwarded-for"));
                out.forwarded |= on.is_some_and(|e| e.text() == "enabled");
                true
            }
            "client-ssl" | "clientssl" | "clientssl-insecure-compatible" | "wom-default-clientssl" => {
                secure = true;
                if cx.can.ssl && out.tls.is_empty() {
                    out.tls = tls::client(cx, profile, found);
                    cx.account.all(profile, Class::Approximated, certificates::NOTE);
                }
                true
            }
            "server-ssl" | "serverssl" => {
                out.secure = cx.can.proxy_ssl;
                cx.can.proxy_ssl
            }
            kind => {
                kind.starts_with("tcp")
                    || matches!(kind, "oneconnect" | "one-connect" | "fastL4" | "mptcp-mobile-optimized")
            }
        };
        if known {
            let class = if kind.starts_with("tcp") { Class::Approximated } else { Class::Exact };
            let note = if kind.starts_with("tcp") { "the machine's own TCP" } else { "" };
            cx.account.all(profile, class, note);
        } else if closed::profile(kind, leaf(&profile.key)) {
            cx.account.all(profile, Class::Dropped, closed::NOTE);
            out.shut.get_or_insert(profile.place);
        } else {
            cx.account.all(profile, Class::Dropped, "no such profile here");
        }
    }
    let persist = object.get("persist").and_then(|p| p.inside.first());
    let cookie = persist.is_some_and(|p| {
        cx.object("ltm persistence", &p.key).map_or(leaf(&p.key) == "cookie", |o| o.kind.ends_with(" cookie"))
    });
    if secure && !cx.can.ssl {
        cx.account.object(
            object,
            Class::Dropped,
            "needs TLS (listen … ssl), and the certificate is not in the input",
        );
        return None;
    }
    if !http && !cookie && !profiles.inside.is_empty() {
        cx.account.object(object, Class::Dropped, "no profile of HTTP: needs \"stream\"");
        return None;
    }
    cx.account.exact(profiles, "");
    Some(out)
}

fn entries(cx: &mut Cx<'_>, object: &Object) {
    for entry in &object.entries {
        match (entry.key.as_str(), entry.text()) {
            ("destination" | "pool" | "persist" | "fallback-persistence" | "profiles", _) => {}
            ("ip-protocol", "tcp")
            | ("mask", _)
            | ("source", "0.0.0.0/0" | "::/0" | "0.0.0.0%0/0")
            | ("translate-address" | "translate-port", "enabled")
            | (
                "enabled" | "description" | "vs-index" | "partition" | "creation-time" | "last-modified-time"
                | "app-service",
                _,
            )
            | ("connection-limit" | "rate-limit", "0" | "disabled")
            | ("nat64" | "mirror" | "auto-lasthop" | "gtm-score" | "serverssl-use-sni", _)
            | (_, "none") => cx.account.all(entry, Class::Exact, ""),
            ("source-address-translation" | "snat" | "snatpool", _) => {
                cx.account.all(entry, Class::Exact, "connections to servers come from here anyway");
            }
            ("vlans" | "vlans-disabled", _) if object.get("vlans-enabled").is_none() => {
                cx.account.all(entry, Class::Dropped, "who may reach the port is the machine's matter");
            }
            ("vlans-enabled" | "vlans", _) => {}
            ("source", _) => {
                cx.account.all(entry, Class::Exact, "\"allow\" and \"deny\"");
            }
            ("rules" | "policies", _) => {}
            ("connection-limit" | "rate-limit", _) => cx.account.dropped(entry, "no limit for one server"),
            _ => {}
        }
    }
}

/// The upstream of a pool; `None`: it has no member.
fn upstream<'o>(
    cx: &mut Cx<'o>,
    mut pool: pools::Pool<'o>,
    persist: Option<&'o Entry>,
    fallback: Option<&'o Entry>,
) -> Option<String> {
    if pool.peers.is_empty() {
        cx.account.mark(pool.object.place, Class::Dropped, "it has no member");
        for entry in persist.into_iter().chain(fallback) {
            cx.account.all(entry, Class::Dropped, "the pool has no member");
        }
        return None;
    }
    let name = cx.names.make(leaf(&pool.object.name));
    let sticky = persist::convert(cx, persist, fallback, &mut pool, &name);
    let drains = matches!(
        sticky.as_ref().map(|s| &s.kind),
        Some(StickyKind::Cookie(_) | StickyKind::Route(_) | StickyKind::Learn(_))
    );
    for peer in pool.peers.iter_mut().filter(|p| p.drain && !drains) {
        (peer.drain, peer.down) = (false, true);
    }
    if pool.peers.iter().all(|p| p.backup) {
        pool.peers.iter_mut().for_each(|p| p.backup = false);
    }
    cx.model.upstreams.push(Upstream {
        name: name.clone(),
        cite: Some(pool.object.place),
        method: pool.method,
        sticky,
        peers: pool.peers,
        lines: pool.lines,
    });
    Some(name)
}
