//! Listeners and route rules: servers and locations.

use std::collections::BTreeSet;

use super::super::Class;
use super::super::json::{Node, Value};
use super::super::model::{Line, Location, Server};
use super::{Cx, Service};

pub(super) fn convert(cx: &mut Cx, root: &Node) {
    let mut ports = BTreeSet::new();
    for listener in root.get("Listeners").map_or(&[][..], Node::items) {
        if let Some(port) = open(cx, listener) {
            ports.insert(port);
        }
    }
    let Some(rules) = root.get("RouteRules") else { return };
    let mut routed = BTreeSet::new();
    for (key, hosts) in rules.fields() {
        for word in key.split(',').map(str::trim) {
            let port = word.parse::<u16>().ok().filter(|p| ports.contains(p));
            let Some(port) = port else {
                cx.ledger.drop_all(hosts, &format!("no HTTP listener has the port \"{word}\""));
                continue;
            };
            if !routed.insert(port) {
                cx.ledger.drop_all(hosts, &format!("the port {port} has rules already"));
                continue;
            }
            port_rules(cx, port, hosts);
        }
    }
}

/// A listener that can be opened: its port.
fn open(cx: &mut Cx, listener: &Node) -> Option<u16> {
    let (at, port) = cx.ledger.number(listener, "Port")?;
    let Some(port) = u16::try_from(port).ok().filter(|p| *p > 0) else {
        cx.ledger.drop_all(listener, "no such port");
        return None;
    };
    let protocol = listener.get("Protocol");
    match protocol.map(|n| &n.value) {
        None => {}
        Some(Value::Text(word)) if word == "HTTP" => {}
        Some(Value::Text(word)) if word == "HTTPS" && cx.can.ssl => {
            let lines = certificate(cx, listener, port);
            cx.secure.insert(port, lines);
        }
        Some(Value::Text(word)) => {
            let note = match word.as_str() {
                "HTTPS" | "TLS" => "needs TLS (listen … ssl)",
                "TCP" | "UDP" => "needs \"stream\"",
                _ => "no such protocol",
            };
            cx.ledger.drop_all(listener, note);
            return None;
        }
        Some(_) => {
            cx.ledger.drop_all(listener, "a text is expected here");
            return None;
        }
    }
    cx.ledger.exact(at, "");
    if let Some(n) = protocol {
        cx.ledger.exact(n, "");
    }
    if let Some((n, listen)) = cx.ledger.number(listener, "Listen") {
        if listen == u32::from(port) {
            cx.ledger.exact(n, "");
        } else {
            cx.ledger.dropped(n, "the port is listened on, not another one behind it");
        }
    }
    Some(port)
}

/// The certificates of a listener: their texts are in the input, files are not.
fn certificate(cx: &mut Cx, listener: &Node, port: u16) -> Vec<Line> {
    use super::super::certificates::{NOTE, clients, lines};
    let tls = listener.get("TLS");
    let name = format!("listener_{port}");
    let mut out = lines(Some(listener.place), &name, &name);
    let Some(tls) = tls else {
        if let Some(n) = listener.get("Protocol") {
            cx.ledger.approximated(n, NOTE);
        }
        return out;
    };
    let asked = tls.get("MTLS").is_some_and(|n| matches!(n.value, Value::Bool(true)));
    if asked {
        out.extend(clients(Some(tls.place), "on", &format!("{name}_ca")));
    }
    cx.ledger.all(tls, Class::Approximated, NOTE);
    out
}

fn port_rules(cx: &mut Cx, port: u16, hosts: &Node) {
    let mut caught = false;
    for (key, rule) in hosts.fields() {
        let names: Vec<String> =
            key.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
        let all = names.iter().any(|n| n == "*");
        let mut listen = vec!["listen".to_owned(), port.to_string()];
        if cx.secure.contains_key(&port) {
            listen.push("ssl".to_owned());
        }
        if all && !caught {
            listen.push("default_server".to_owned());
        }
        caught |= all;
        let bad = names.iter().find(|n| n.contains(|c: char| c.is_whitespace() || "$;{}\"'\\~/".contains(c)));
        if let Some(bad) = bad {
            cx.ledger.drop_all(rule, &format!("\"{bad}\" cannot be a server's name"));
            continue;
        }
        let server = Server {
            cite: Some(rule.place),
            listens: vec![Line::new(None, listen)],
            names: names.into_iter().map(|n| if n == "*" { "_".to_owned() } else { n }).collect(),
            lines: cx.secure.get(&port).cloned().unwrap_or_default(),
            locations: locations(cx, rule),
        };
        cx.model.servers.push(server);
    }
    if !caught {
        // A host without rules is not found, whatever other hosts the port has.
        let cite = Some(hosts.place);
        let mut lines = cx.secure.get(&port).cloned().unwrap_or_default();
        let port = port.to_string();
        let words = ["listen", &port]
            .into_iter()
            .chain((!lines.is_empty()).then_some("ssl"))
            .chain(["default_server"]);
        let listens = vec![Line::new(None, words)];
        lines.push(Line::new(None, ["return", "404"]));
        cx.model.servers.push(Server {
            cite,
            listens,
            names: vec!["_".to_owned()],
            lines,
            locations: Vec::new(),
        });
    }
}

fn locations(cx: &mut Cx, rule: &Node) -> Vec<Location> {
    if let Some((n, kind)) = cx.ledger.text(rule, "RouteType") {
        match kind {
            "HTTP" => cx.ledger.exact(n, ""),
            "HTTP2" => cx.ledger.approximated(n, "HTTP/1.1 to the servers"),
            _ => {
                cx.ledger.drop_all(rule, "needs grpc_pass");
                cx.ledger.dropped(n, "needs grpc_pass");
                return vec![not_found("/")];
            }
        }
    }
    let mut out: Vec<Location> = Vec::new();
    for one in rule.get("Matches").map_or(&[][..], Node::items) {
        if let Some(location) = location(cx, one) {
            if out.iter().any(|l| l.path == location.path && l.modifier == location.modifier) {
                cx.ledger.mark(one, Class::Dropped, "the path has a route already");
                continue;
            }
            out.push(location);
        }
    }
    if !out.iter().any(|l| l.path == "/" && l.modifier.is_empty()) {
        out.push(not_found("/"));
    }
    out
}

/// What no route matches.
fn not_found(path: &str) -> Location {
    Location { path: path.to_owned(), lines: vec![Line::new(None, ["return", "404"])], ..Location::default() }
}

fn location(cx: &mut Cx, one: &Node) -> Option<Location> {
    for key in ["Headers", "QueryParams", "Methods"] {
        let some = one.get(key).filter(|n| !n.items().is_empty() || !n.fields().is_empty());
        if some.is_some() {
            let note =
                format!("a route by {key} has no counterpart, and without them it would take too much");
            cx.ledger.drop_all(one, &note);
            return None;
        }
        if let Some(n) = one.get(key) {
            cx.ledger.exact(n, "");
        }
    }
    let (modifier, path, path_at) = path(cx, one)?;
    let mut location = Location { cite: Some(one.place), modifier, path, lines: Vec::new() };
    if let Some((n, root)) = cx.ledger.text(one, "ServerRoot") {
        if root.contains(['$', '\n', '\r']) {
            cx.ledger.dropped(n, "a folder with such a name cannot be written");
            return None;
        }
        cx.ledger.exact(n, "");
        location.lines.push(Line::new(Some(n.place), ["root", root]));
        return Some(location);
    }
    let services = one.get("BackendService").map_or(&[][..], Node::fields);
    let Some((service, at, target)) = choose(cx, services) else {
        if let Some(n) = path_at {
            cx.ledger.dropped(n, "the route leads to no service");
        }
        location.lines.push(Line::new(None, ["return", "503"]));
        return Some(location);
    };
    let cite = Some(at.place);
    let Some(upstream) = target.as_ref().or(service.upstream.as_ref()) else {
        cx.ledger.approximated(at, "the service has no endpoint: 503");
        location.lines.push(Line::new(cite, ["return", "503"]));
        return Some(location);
    };
    location.lines.push(Line::new(None, ["proxy_set_header", "Host", "$http_host"]));
    let forwarded = ["proxy_set_header", "X-Forwarded-For", "$proxy_add_x_forwarded_for"];
    location.lines.push(Line::new(None, forwarded));
    location.lines.extend(service.retry.iter().map(|w| Line::new(None, w.iter().cloned())));
    let scheme = if service.tls { "https" } else { "http" };
    location.lines.push(Line::new(cite, ["proxy_pass".to_owned(), format!("{scheme}://{upstream}")]));
    Some(location)
}

type Path<'n> = (&'static str, String, Option<&'n Node>);

fn path<'n>(cx: &mut Cx, one: &'n Node) -> Option<Path<'n>> {
    let Some(path) = one.get("Path") else { return Some(("", "/".to_owned(), None)) };
    let kind = cx.ledger.text(path, "Type");
    let Some((at, text)) = cx.ledger.text(path, "Path") else {
        cx.ledger.drop_all(one, "the route's path cannot be read");
        return None;
    };
    let modifier = match kind.map_or("Prefix", |(_, k)| k) {
        "Prefix" => "",
        "Exact" => "=",
        "Regex" => "~",
        other => {
            cx.ledger.drop_all(one, &format!("no paths of the kind \"{other}\""));
            return None;
        }
    };
    if text.is_empty() || text.contains(['\n', '\r']) || (modifier != "~" && !text.starts_with('/')) {
        cx.ledger.drop_all(one, "this is no path");
        return None;
    }
    if let Some((n, _)) = kind {
        cx.ledger.exact(n, "");
    }
    cx.ledger.exact(at, "");
    Some((modifier, text.to_owned(), Some(at)))
}

/// The service of a route and, where several share the requests, the variable that names the one of a request.
fn choose<'n>(cx: &mut Cx, services: &'n [(String, Node)]) -> Option<(Service, &'n Node, Option<String>)> {
    let mut known: Vec<(u32, Service, &'n Node)> = Vec::new();
    for (name, node) in services {
        let weight = cx.ledger.number(node, "Weight").map_or(1, |(_, n)| n);
        match cx.services.get(name).cloned() {
            Some(service) => known.push((weight, service, node)),
            None => {
                cx.ledger.drop_all(node, "there is no such service");
                if node.fields().is_empty() {
                    cx.ledger.dropped(node, "there is no such service");
                }
            }
        }
    }
    let sum: u64 = known.iter().map(|(w, ..)| u64::from(*w)).sum();
    let (_, first, at) = known.iter().max_by_key(|(w, ..)| *w).cloned()?;
    let alike =
        known.iter().all(|(_, s, _)| s.upstream.is_some() && s.tls == first.tls && s.retry == first.retry);
    if known.len() > 1 && alike && sum > 0 {
        let variable = format!("$route_{}", cx.model.http.len() + 1);
        let mut inside = Vec::new();
        let shares: Vec<_> = known.iter().filter(|(w, ..)| *w > 0).collect();
        for (i, (weight, service, node)) in shares.iter().enumerate() {
            let share = if i + 1 == shares.len() {
                "*".to_owned()
            } else {
                format!("{:.2}%", f64::from(*weight) * 100.0 / sum as f64)
            };
            let upstream = service.upstream.clone().unwrap_or_default();
            inside.push(Line::new(Some(node.place), [share, upstream]));
        }
        for (weight, _, node) in &known {
            let note = if *weight == 0 { "no requests" } else { "its share of the requests" };
            cx.ledger.all(node, Class::Exact, note);
        }
        let words = ["split_clients".to_owned(), "$request_id".to_owned(), variable.clone()];
        cx.model.http.push(Line::block(Some(at.place), words, inside));
        return Some((first, at, Some(variable)));
    }
    for (_, _, node) in known.iter().filter(|(_, _, node)| !std::ptr::eq(*node, at)) {
        let note = "one service takes all requests: the others have no server, or other retries";
        cx.ledger.give_up(node, note);
    }
    if at.fields().is_empty() {
        cx.ledger.exact(at, "");
    } else if services.len() == 1 {
        cx.ledger.all(at, Class::Exact, "the only service");
    } else {
        cx.ledger.all(at, Class::Approximated, "all requests");
    }
    Some((first, at, None))
}
