//! Rules: servers and locations.

use std::collections::BTreeMap;

use super::super::json::{Node, Value};
use super::super::model::{Line, Location, Server};
use super::super::report::Class;
use super::annotations::{self, Settings};
use super::backends::{self, Service};
use super::canary::{self, Canary};
use super::{Cx, at, said};

/// A path of a rule on its way to a location.
struct Path<'n> {
    host: String,
    path: String,
    kind: Kind,
    service: Service,
    node: &'n Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    /// As nginx has prefixes.
    Plain,
}

/// The canaries of a host and a path: the settings, the service, how it is chosen.
type Canaries<'n> = BTreeMap<(String, String), (Service, Canary<'n>, &'n Node)>;

pub(super) fn convert<'n>(cx: &mut Cx<'n>, ingresses: &[&'n Node]) {
    let mut canaries: Canaries<'n> = BTreeMap::new();
    let mut kept = Vec::new();
    for ingress in ingresses.iter().copied() {
        if !ours(cx, ingress) {
            continue;
        }
        match canary::read(cx, ingress) {
            None => kept.push(ingress),
            Some(canary) => {
                let paths = paths(cx, ingress);
                let several = paths.len() > 1;
                for (i, path) in paths.into_iter().enumerate() {
                    if i > 0 && several {
                        cx.ledger.give_up(path.node, "a canary of one path is read");
                        continue;
                    }
                    canaries.insert((path.host, path.path), (path.service, canary.clone(), path.node));
                }
                annotations::read(cx, ingress);
                break_canary(cx, ingress);
            }
        }
    }
    for ingress in kept {
        one(cx, ingress, &mut canaries);
    }
    for (_, (_, _, node)) in canaries {
        cx.ledger.give_up(node, "there is no Ingress of this host and path that the canary could take from");
    }
    close(cx, "80");
}

/// Fields of a canary that its main Ingress says.
fn break_canary(cx: &mut Cx<'_>, ingress: &Node) {
    for path in [&["spec", "tls"][..], &["spec", "defaultBackend"], &["spec", "backend"]] {
        if let Some(n) = at(ingress, path) {
            cx.ledger.all(n, Class::Exact, "the main Ingress says it");
        }
    }
}

/// Whether the Ingress is nginx's.
fn ours(cx: &mut Cx<'_>, ingress: &Node) -> bool {
    let old = ["metadata", "annotations", "kubernetes.io/ingress.class"];
    for path in [&["spec", "ingressClassName"][..], &old] {
        let Some(n) = at(ingress, path) else { continue };
        match annotations::text(n) {
            Some(class) if class.contains("nginx") || class.is_empty() => cx.ledger.exact(n, ""),
            _ => {
                cx.ledger.give_up(ingress, "it is another controller's");
                return false;
            }
        }
    }
    true
}

fn paths<'n>(cx: &mut Cx<'n>, ingress: &'n Node) -> Vec<Path<'n>> {
    let namespace = said(ingress, &["metadata", "namespace"]).unwrap_or("default").to_owned();
    let mut out = Vec::new();
    let default = at(ingress, &["spec", "defaultBackend"]).or_else(|| at(ingress, &["spec", "backend"]));
    if let Some(node) = default
        && let Some(service) = Service::read(cx, &namespace, node)
    {
        out.push(Path { host: String::new(), path: "/".to_owned(), kind: Kind::Plain, service, node });
    }
    for rule in at(ingress, &["spec", "rules"]).map_or(&[][..], Node::items) {
        let host = match rule.get("host") {
            Some(n) => match &n.value {
                Value::Text(h) if super::super::cloud::server_name(h).is_some() => {
                    cx.ledger.exact(n, "");
                    h.clone()
                }
                Value::Null => String::new(),
                Value::Text(h) if h.is_empty() => {
                    cx.ledger.exact(n, "any host");
                    String::new()
                }
                _ => {
                    cx.ledger.give_up(rule, "this cannot be a server's name");
                    continue;
                }
            },
            None => String::new(),
        };
        for node in at(rule, &["http", "paths"]).map_or(&[][..], Node::items) {
            let path = match node.get("path").map(|n| (n, annotations::text(n))) {
                Some((n, Some(text))) if text.starts_with('/') && !text.contains(['\n', '\r']) => {
                    cx.ledger.exact(n, "");
                    text.to_owned()
                }
                None => "/".to_owned(),
                Some((n, None)) if matches!(n.value, Value::Null) => "/".to_owned(),
                Some(_) => {
                    cx.ledger.give_up(node, "this is no path");
                    continue;
                }
            };
            let kind = match node.get("pathType").map(|n| (n, annotations::text(n))) {
                Some((n, Some("Exact"))) => {
                    cx.ledger.exact(n, "");
                    Kind::Exact
                }
                Some((n, Some("Prefix"))) => {
                    cx.ledger.exact(n, "");
                    Kind::Prefix
                }
                Some((n, Some("ImplementationSpecific"))) => {
                    cx.ledger.exact(n, "a prefix");
                    Kind::Plain
                }
                None => Kind::Plain,
                Some(_) => {
                    cx.ledger.give_up(node, "Exact, Prefix or ImplementationSpecific is expected");
                    continue;
                }
            };
            let Some(backend) = node.get("backend") else {
                cx.ledger.give_up(node, "a backend is missing");
                continue;
            };
            if let Some(service) = Service::read(cx, &namespace, backend) {
                out.push(Path { host: host.clone(), path, kind, service, node });
            }
        }
    }
    out
}

fn one<'n>(cx: &mut Cx<'n>, ingress: &'n Node, canaries: &mut Canaries<'n>) {
    let settings = annotations::read(cx, ingress);
    let paths = paths(cx, ingress);
    let secure: Vec<String> = at(ingress, &["spec", "tls"])
        .map_or(&[][..], Node::items)
        .iter()
        .flat_map(|t| t.get("hosts").map_or(&[][..], Node::items))
        .filter_map(annotations::text)
        .map(str::to_owned)
        .collect();
    let certificates = certificates(cx, ingress);
    for path in paths {
        let upstream = backends::upstream(cx, &path.service, &settings, path.node);
        let canary = canaries.remove(&(path.host.clone(), path.path.clone()));
        let target = match (upstream, canary) {
            (Some(main), Some((service, canary, node))) => {
                let other = backends::upstream(cx, &service, &settings, node);
                match other {
                    Some(other) => {
                        let number = cx.model.http.len() + 1;
                        let (lines, variable) = canary.choose(&main, &other, number);
                        cx.model.http.extend(lines);
                        Some((variable, vec![main, other]))
                    }
                    None => Some((main.clone(), vec![main])),
                }
            }
            (Some(main), None) => Some((main.clone(), vec![main])),
            (None, _) => None,
        };
        let redirect = redirect(cx.can.ssl, &settings, &path, &secure);
        let mut lines: Vec<Line> = redirect.into_iter().collect();
        lines.extend(location(cx, &settings, &path, target));
        place(cx, &settings, &path, lines, ingress);
        open(cx, &path.host, &certificates);
    }
}

/// Hosts and the name of their certificate; no host: all of them.
type Certificates<'n> = Vec<(&'n Node, Vec<String>, String)>;

/// `spec.tls`
fn certificates<'n>(cx: &mut Cx<'n>, ingress: &'n Node) -> Certificates<'n> {
    let Some(tls) = at(ingress, &["spec", "tls"]) else { return Vec::new() };
    if !cx.can.ssl {
        cx.ledger.give_up(tls, "needs TLS (listen … ssl), and the certificate is in a Secret");
        return Vec::new();
    }
    cx.ledger.all(tls, Class::Approximated, super::super::certificates::NOTE);
    let one = |t: &'n Node| {
        let hosts = t.get("hosts").map_or(&[][..], Node::items).iter().filter_map(annotations::text);
        let name = t.get("secretName").and_then(annotations::text).unwrap_or("default");
        (t, hosts.map(str::to_owned).collect(), name.to_owned())
    };
    tls.items().iter().map(one).collect()
}

/// The server of a host listens with TLS too, where there is a certificate for it.
fn open(cx: &mut Cx<'_>, host: &str, certificates: &Certificates<'_>) {
    let of = |hosts: &[String]| {
        let wild = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        hosts.is_empty() || hosts.iter().any(|h| h == host || Some(h) == wild.as_ref())
    };
    let Some((node, _, name)) = certificates.iter().find(|(_, hosts, _)| of(hosts)) else { return };
    let wanted = if host.is_empty() { "_" } else { host };
    let server = cx.model.servers.iter_mut().find(|s| s.names.first().is_some_and(|n| n == wanted));
    let Some(server) = server.filter(|s| s.listens.len() == 1) else { return };
    let cite = Some(node.place);
    let mut words = vec!["listen", "443", "ssl"];
    if wanted == "_" {
        words.push("default_server");
    }
    server.listens.push(Line::new(cite, words));
    let mut lines = super::super::certificates::lines(cite, name, name);
    if cx.can.h2 {
        lines.insert(0, Line::new(None, ["http2", "on"]));
    }
    server.lines.splice(0..0, lines);
}

/// The line that sends requests without TLS away.
fn redirect(tls: bool, settings: &Settings<'_>, path: &Path<'_>, secure: &[String]) -> Option<Line> {
    let by_host = secure.contains(&path.host) && settings.tls != Some(false);
    if !by_host && settings.force_tls.is_none() {
        return None;
    }
    // Whoever ends TLS in front says so.
    let cite = Some(settings.force_tls.unwrap_or(path.node).place);
    let inside = vec![Line::new(None, ["return", "308", "https://$host$request_uri"])];
    if by_host && tls {
        return Some(Line::block(cite, ["if", "($https", "!=", "on)"], inside));
    }
    Some(Line::block(cite, ["if", "($http_x_forwarded_proto", "!=", "https)"], inside))
}

fn location(
    cx: &Cx<'_>,
    settings: &Settings<'_>,
    path: &Path<'_>,
    target: Option<(String, Vec<String>)>,
) -> Vec<Line> {
    if let Some(answer) = &settings.answer {
        return vec![answer.clone()];
    }
    let Some((target, upstreams)) = target else {
        return vec![Line::new(Some(path.node.place), ["return", "503"])];
    };
    let mut lines = settings.lines.clone();
    let host = settings.host.as_deref().unwrap_or("$http_host");
    for (name, value) in [
        ("Host", host),
        ("X-Request-ID", "$request_id"),
        ("X-Real-IP", "$remote_addr"),
        ("X-Forwarded-For", "$remote_addr"),
        ("X-Forwarded-Host", "$http_host"),
        ("X-Forwarded-Port", "$server_port"),
        ("X-Forwarded-Proto", "$scheme"),
        ("X-Forwarded-Scheme", "$scheme"),
        ("X-Scheme", "$scheme"),
        ("Proxy", ""),
    ] {
        let own = |l: &Line| {
            l.words.first().is_some_and(|w| w == "proxy_set_header")
                && l.words.get(1).is_some_and(|w| w.eq_ignore_ascii_case(name))
        };
        if !lines.iter().any(own) {
            lines.push(Line::new(None, ["proxy_set_header", name, value]));
        }
    }
    if let Some((node, to)) = &settings.rewrite {
        let words = ["rewrite".to_owned(), format!("(?i){}", path.path), to.clone(), "break".to_owned()];
        lines.push(Line::new(Some(node.place), words));
    }
    for upstream in upstreams {
        let sticky = cx.model.upstreams.iter().find(|u| u.name == upstream).and_then(|u| u.sticky.as_ref());
        let hides =
            matches!(sticky.map(|s| &s.kind), Some(super::super::model::StickyKind::Session(s)) if s.hides());
        if hides {
            lines.push(Line::new(
                None,
                ["session_sticky_hide_cookie".to_owned(), format!("upstream={upstream}")],
            ));
        }
    }
    let scheme = if settings.secure_backend { "https" } else { "http" };
    lines.push(Line::new(Some(path.node.place), ["proxy_pass".to_owned(), format!("{scheme}://{target}")]));
    lines
}

fn place<'n>(cx: &mut Cx<'n>, settings: &Settings<'n>, path: &Path<'n>, lines: Vec<Line>, ingress: &'n Node) {
    let regex = settings.regex || settings.rewrite.is_some();
    let spots: Vec<(&'static str, String)> = match path.kind {
        _ if regex => vec![("~*", format!("^{}", path.path))],
        Kind::Exact => vec![("=", path.path.clone())],
        Kind::Prefix if path.path != "/" => {
            let stem = path.path.trim_end_matches('/');
            vec![("=", stem.to_owned()), ("", format!("{stem}/"))]
        }
        Kind::Prefix | Kind::Plain => vec![("", path.path.clone())],
    };
    let name = if path.host.is_empty() { "_" } else { &path.host };
    let at = match cx.model.servers.iter().position(|s| s.names.first().is_some_and(|n| n == name)) {
        Some(at) => at,
        None => {
            let mut words = vec!["listen", "80"];
            if name == "_" {
                words.push("default_server");
            }
            cx.model.servers.push(Server {
                cite: Some(ingress.place),
                listens: vec![Line::new(None, words)],
                names: vec![name.to_owned()],
                lines: Vec::new(),
                locations: Vec::new(),
            });
            cx.model.servers.len() - 1
        }
    };
    if let Some(www) = settings.www {
        other_name(cx, www, name);
    }
    let Some(server) = cx.model.servers.get_mut(at) else { return };
    for alias in &settings.aliases {
        if !server.names.contains(alias) && name != "_" {
            server.names.push(alias.clone());
        }
    }
    for line in &settings.server {
        if !server.lines.iter().any(|l| l.words == line.words) {
            server.lines.push(line.clone());
        }
    }
    if let Some(root) = &settings.app_root
        && !server.locations.iter().any(|l| l.modifier == "=" && l.path == "/")
    {
        let lines = vec![root.clone()];
        server.locations.push(Location { cite: root.cite, modifier: "=", path: "/".to_owned(), lines });
    }
    let mut taken = false;
    for (modifier, text) in spots {
        if server.locations.iter().any(|l| l.modifier == modifier && l.path == text) {
            taken = true;
            continue;
        }
        let cite = Some(path.node.place);
        server.locations.push(Location { cite, modifier, path: text, lines: lines.clone() });
    }
    if taken {
        cx.ledger.mark(path.node, Class::Dropped, "an earlier rule has the host and the path");
    }
}

/// `www.` in front of a host, or a host without it, leads to the other one.
fn other_name<'n>(cx: &mut Cx<'n>, node: &'n Node, name: &str) {
    let other = match name.strip_prefix("www.") {
        Some(rest) => rest.to_owned(),
        None => format!("www.{name}"),
    };
    if name == "_" || name.starts_with("*.") || cx.model.servers.iter().any(|s| s.names.contains(&other)) {
        return cx.ledger.approximated(node, "a host that has rules of its own, or none, is not led away");
    }
    let words = ["return".to_owned(), "308".to_owned(), format!("$scheme://{name}$request_uri")];
    cx.model.servers.push(Server {
        cite: Some(node.place),
        listens: vec![Line::new(None, ["listen", "80"])],
        names: vec![other],
        lines: vec![Line::new(Some(node.place), words)],
        locations: Vec::new(),
    });
}

/// What no rule takes gets 404, an unknown host too.
fn close(cx: &mut Cx<'_>, port: &str) {
    let nowhere = || Location {
        path: "/".to_owned(),
        lines: vec![Line::new(None, ["return", "404"])],
        ..Location::default()
    };
    let mut default = false;
    for server in &mut cx.model.servers {
        default |= server.listens.iter().any(|l| l.words.iter().any(|w| w == "default_server"));
        let answers = server.lines.iter().any(|l| l.words.first().is_some_and(|w| w == "return"));
        if !answers && !server.locations.iter().any(|l| l.path == "/" && l.modifier.is_empty()) {
            server.locations.push(nowhere());
        }
    }
    if !default {
        cx.model.servers.push(Server {
            cite: None,
            listens: vec![Line::new(None, ["listen", port, "default_server"])],
            names: vec!["_".to_owned()],
            lines: Vec::new(),
            locations: vec![nowhere()],
        });
    }
}
