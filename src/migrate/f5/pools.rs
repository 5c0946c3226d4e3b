//! Pools: members, the balancer, monitors.

use std::net::{IpAddr, SocketAddr};

use super::super::model::{Line, Peer};
use super::super::report::Class;
use super::read::{Entry, Object};
use super::{Cx, leaf};

/// A numeric address and its route domain.
type Numeric = (SocketAddr, Option<u32>);

/// A pool on its way to an upstream.
pub(super) struct Pool<'o> {
    pub(super) object: &'o Object,
    pub(super) peers: Vec<Peer>,
    /// Beside each peer: its address with the route domain, where it is numeric.
    pub(super) addresses: Vec<Option<Numeric>>,
    pub(super) method: Option<Line>,
    pub(super) lines: Vec<Line>,
}

/// The services that members name.
const SERVICES: &[(&str, u16)] = &[
    ("http", 80),
    ("https", 443),
    ("http-alt", 8080),
    ("webcache", 8080),
    ("ftp", 21),
    ("ssh", 22),
    ("smtp", 25),
    ("domain", 53),
    ("imap", 143),
    ("ldap", 389),
    ("mysql", 3306),
    ("pcsync-https", 8443),
    ("irdmi", 8000),
];

pub(super) fn port(text: &str) -> Option<u16> {
    let named = SERVICES.iter().find(|(name, _)| *name == text).map(|(_, p)| *p);
    named.or_else(|| text.parse().ok().filter(|p| *p > 0))
}

/// `/Common/10.0.0.1%2:80`, `/Common/2001:db8::1.80`: host, route domain, port.
pub(super) fn endpoint(text: &str) -> Option<(String, Option<u32>, u16)> {
    let text = leaf(text);
    // The last colon ends an IPv4 address or a name, the last point one of IPv6.
    let v6 = text.matches(':').count() > 1;
    let (host, service) = text.rsplit_once(if v6 { '.' } else { ':' })?;
    let (host, domain) = match host.split_once('%') {
        Some((host, domain)) => (host, Some(domain.parse().ok()?)),
        None => (host, None),
    };
    Some((host.to_owned(), domain, port(service)?))
}

fn written(host: &str, port: u16) -> Option<String> {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match host.parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, port).to_string()),
        Err(_) => (!host.is_empty() && host.chars().all(fit)).then(|| format!("{host}:{port}")),
    }
}

pub(super) fn pool<'o>(cx: &mut Cx<'o>, object: &'o Object) -> Pool<'o> {
    cx.account.mark(object.place, Class::Exact, "");
    let mut pool = Pool { object, peers: Vec::new(), addresses: Vec::new(), method: None, lines: Vec::new() };
    let mode = object.get("load-balancing-mode");
    let weights = mode.is_none_or(|m| m.text().contains("ratio") || m.text().contains("weighted"));
    let mut priorities = Vec::new();
    if let Some(members) = object.get("members") {
        cx.account.exact(members, "");
        for member in &members.inside {
            if let Some((peer, address)) = self::member(cx, member, weights, &mut priorities) {
                pool.peers.push(peer);
                pool.addresses.push(address);
            }
        }
    }
    groups(cx, object, &mut pool, &priorities);
    pool.method = mode.and_then(|m| balance(cx, m));
    for entry in &object.entries {
        match (entry.key.as_str(), entry.text()) {
            ("members" | "load-balancing-mode" | "min-active-members", _) => {}
            ("monitor", _) => pool.lines = monitor(cx, entry),
            ("description" | "app-service", _) | (_, "none" | "0" | "disabled") => {
                cx.account.all(entry, Class::Exact, "")
            }
            ("slow-ramp-time", ramp) => match ramp.parse::<u32>() {
                Ok(_) if ramp == "10" => cx.account.approximated(
                    entry,
                    "10 s, the device's default: a server that comes back gets its whole share at once",
                ),
                Ok(_) => cx.account.dropped(entry, "a server that comes back gets its whole share at once"),
                Err(_) => cx.account.dropped(entry, "a number is expected"),
            },
            ("service-down-action", "reselect") => cx.account.exact(entry, "another server is asked"),
            ("allow-nat" | "allow-snat", "yes") => {
                cx.account.exact(entry, "connections to servers come from here anyway")
            }
            _ => {}
        }
    }
    pool
}

fn member(
    cx: &mut Cx<'_>,
    member: &Entry,
    weights: bool,
    priorities: &mut Vec<u32>,
) -> Option<(Peer, Option<Numeric>)> {
    let Some((host, domain, port)) = endpoint(&member.key) else {
        cx.account.all(member, Class::Dropped, "a member is \"address:port\"");
        return None;
    };
    let node = cx.object("ltm node", &host);
    let said = member.get("address").or_else(|| node.and_then(|n| n.get("address")));
    let fqdn = |e: &Entry| e.get("name").map(|n| n.text().to_owned());
    let name = node.and_then(|n| n.get("fqdn")).and_then(fqdn).or_else(|| member.get("fqdn").and_then(fqdn));
    let (host, domain) = match (said.map(Entry::text), name) {
        (Some(address), _) if !matches!(address, "any6" | "any") => match address.split_once('%') {
            Some((a, d)) => (a.to_owned(), d.parse().ok()),
            None => (address.to_owned(), domain),
        },
        (_, Some(name)) => (name, None),
        _ => (host, domain),
    };
    let Some(address) = written(&host, port) else {
        cx.account.all(member, Class::Dropped, "this is no address");
        return None;
    };
    cx.account.mark(member.place, Class::Exact, "");
    let mut peer = Peer { address, cite: Some(member.place), weight: 1, ..Peer::default() };
    let mut priority = 0;
    let entries = member.inside.iter();
    let states =
        node.into_iter().flat_map(|n| &n.entries).filter(|e| matches!(e.key.as_str(), "session" | "state"));
    for entry in states {
        state(&mut peer, entry);
    }
    for entry in entries {
        let number = entry.text().parse::<u32>().ok();
        match (entry.key.as_str(), entry.text(), number) {
            ("ratio", _, Some(n)) if n > 0 && weights => {
                cx.account.exact(entry, "");
                peer.weight = n;
            }
            ("ratio", _, Some(_)) => cx.account.exact(entry, "this balancer counts no ratio"),
            ("priority-group", _, Some(n)) => priority = n,
            ("connection-limit", _, Some(n)) => {
                peer.max_conns = n;
                if n > 0 {
                    cx.account.approximated(entry, "past it another server is asked");
                } else {
                    cx.account.exact(entry, "");
                }
            }
            ("session" | "state", _, _) => {
                state(&mut peer, entry);
                cx.account.exact(entry, "");
            }
            ("address", ..) | ("fqdn", ..) => cx.account.all(entry, Class::Exact, ""),
            ("description" | "app-service" | "logging" | "ephemeral", ..) | ("monitor", "default", _) => {
                cx.account.all(entry, Class::Exact, "says nothing of the traffic");
            }
            ("monitor", ..) => cx.account.dropped(entry, "one check for all servers of an upstream"),
            ("dynamic-ratio", "1", _) | ("rate-limit", "0" | "disabled", _) => cx.account.exact(entry, ""),
            ("inherit-profile", "enabled", _) => cx.account.exact(entry, ""),
            _ => {}
        }
    }
    priorities.push(priority);
    let numeric = host.parse::<IpAddr>().ok().map(|ip| (SocketAddr::new(ip, port), domain));
    Some((peer, numeric))
}

fn state(peer: &mut Peer, entry: &Entry) {
    match (entry.key.as_str(), entry.text()) {
        ("session", "user-disabled") => peer.drain = true,
        ("state", "user-down") => peer.down = true,
        _ => {}
    }
}

/// Priority groups: the highest serves, the others are spare.
fn groups(cx: &mut Cx<'_>, object: &Object, pool: &mut Pool<'_>, priorities: &[u32]) {
    let least = object.get("min-active-members");
    let active = least.is_some_and(|e| e.text().parse::<u32>().is_ok_and(|n| n > 0));
    let mut distinct: Vec<u32> = priorities.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let highest = distinct.last().copied().unwrap_or(0);
    if let Some(entry) = least {
        match entry.text() {
            "0" => cx.account.exact(entry, "priority groups are off"),
            "1" => cx.account.exact(entry, ""),
            _ => cx.account.approximated(entry, "spare servers are asked when no other one is left"),
        }
    }
    let members = object.get("members").map_or(&[][..], |m| &m.inside);
    for entry in members.iter().filter_map(|m| m.get("priority-group")) {
        let number = entry.text().parse::<u32>().unwrap_or(0);
        match (active, distinct.len()) {
            (false, _) => cx.account.exact(entry, "priority groups are off"),
            (true, 0..=2) => cx.account.exact(entry, if number < highest { "backup" } else { "" }),
            (true, _) if number == highest => cx.account.exact(entry, ""),
            (true, _) => cx.account.approximated(entry, "backup: all lower groups are one"),
        }
    }
    if active {
        for (peer, priority) in pool.peers.iter_mut().zip(priorities) {
            peer.backup = *priority < highest;
        }
    }
}

fn balance(cx: &mut Cx<'_>, entry: &Entry) -> Option<Line> {
    let cite = Some(entry.place);
    match entry.text() {
        "round-robin" | "ratio-member" | "ratio-node" | "ratio-session" => {
            cx.account.exact(entry, "round robin");
            None
        }
        "least-connections-member"
        | "least-connections-node"
        | "ratio-least-connections-member"
        | "ratio-least-connections-node" => {
            cx.account.exact(entry, "");
            Some(Line::new(cite, ["least_conn"]))
        }
        "weighted-least-connections-member" | "weighted-least-connections-node" | "least-sessions" => {
            cx.account.approximated(entry, "the fewest connections by weight");
            Some(Line::new(cite, ["least_conn"]))
        }
        mode if ["fastest", "observed", "predictive", "dynamic"].iter().any(|m| mode.starts_with(m)) => {
            if cx.can.least_time {
                cx.account.approximated(entry, "least_time");
                return Some(Line::new(cite, ["least_time", "header"]));
            }
            cx.account.approximated(entry, "the fewest connections");
            Some(Line::new(cite, ["least_conn"]))
        }
        _ => {
            cx.account.dropped(entry, "no such balancer here; round robin");
            None
        }
    }
}

/// The check of a pool: that of its first monitor.
fn monitor(cx: &mut Cx<'_>, entry: &Entry) -> Vec<Line> {
    let names: Vec<String> = entry
        .text()
        .split_whitespace()
        .filter(|w| !matches!(*w, "and" | "min" | "of") && w.parse::<u32>().is_err())
        .map(str::to_owned)
        .chain(entry.inside.iter().flat_map(|e| [Some(e.key.clone()), e.value.clone()].into_iter().flatten()))
        .collect();
    for inner in &entry.inside {
        cx.account.all(inner, Class::Approximated, "one check for all servers");
    }
    let Some(name) = names.first() else {
        cx.account.all(entry, Class::Exact, "no check");
        return Vec::new();
    };
    if name == "none" || name == "default" {
        cx.account.exact(entry, "no check");
        return Vec::new();
    }
    let object = cx.object("ltm monitor", name);
    let kind = object.map_or(leaf(name), |o| o.kind.rsplit(' ').next().unwrap_or("tcp"));
    let http = matches!(kind, "http" | "https");
    let find = |key: &str| object.and_then(|o| cx.inherited(o, "ltm monitor", key));
    let number = |key: &str, or: u32| find(key).and_then(|e| e.text().parse().ok()).unwrap_or(or).max(1);
    let (interval, timeout) = (number("interval", 5), number("timeout", 16));
    // The device waits for so long without an answer.
    let fall = timeout.saturating_sub(1).div_ceil(interval).max(1);
    let send = find("send").map_or("GET /\\r\\n".to_owned(), |e| e.text().to_owned());
    let send = send.replace("\\r", "\r").replace("\\n", "\n");
    let send = if send.ends_with("\r\n\r\n") { send } else { format!("{}\r\n\r\n", send.trim_end()) };
    let can = cx.can.check;
    let why = "needs \"check\"; failures of requests take a server out for 10 s";
    let recv = find("recv").filter(|e| !matches!(e.text(), "none" | ""));
    if let Some(object) = object {
        let class = if can { Class::Approximated } else { Class::Dropped };
        cx.account.mark(object.place, class, if can { "one check for all servers" } else { why });
        for entry in &object.entries {
            match entry.key.as_str() {
                "interval" | "timeout" | "send" | "destination" if can => cx.account.exact(entry, ""),
                "interval" | "timeout" | "send" => cx.account.dropped(entry, why),
                "destination" | "defaults-from" | "description" | "app-service" | "ip-dscp"
                | "time-until-up" | "adaptive" => cx.account.exact(entry, ""),
                "recv" if recv.is_some() => cx.account.dropped(entry, "checks look at the status only"),
                _ if matches!(entry.text(), "none" | "disabled") => cx.account.exact(entry, ""),
                _ => {}
            }
        }
    }
    if !can {
        cx.account.dropped(entry, why);
        return Vec::new();
    }
    if kind == "gateway-icmp" || kind == "gateway_icmp" || kind == "icmp" {
        cx.account.approximated(entry, "whether it can be connected to, not whether it answers a ping");
    } else if names.len() > 1 {
        cx.account.dropped(entry, "the first of these monitors is the check");
    } else {
        cx.account.approximated(entry, "one check for all servers");
    }
    let words = [
        "check".to_owned(),
        format!("interval={}", u64::from(interval) * 1000),
        "rise=1".to_owned(),
        format!("fall={fall}"),
        format!("timeout={}", u64::from(interval) * 1000),
        // Servers are up until a check says otherwise.
        "default_down=false".to_owned(),
        format!("type={}", if http { "http" } else { "tcp" }),
    ];
    let cite = Some(object.map_or(entry.place, |o| o.place));
    let mut out = vec![Line::new(cite, words)];
    if http {
        out.push(Line::new(cite, ["check_http_send".to_owned(), send]));
        out.push(Line::new(cite, ["check_http_expect_alive", "http_2xx", "http_3xx"]));
    }
    out
}
