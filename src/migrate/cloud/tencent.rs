//! Tencent Cloud's CLB: listeners, rules and their targets.

use super::super::can::Can;
use super::super::input::{Input, Problem};
use super::super::json::{Node, Value};
use super::super::model::{Line, Location, Model, Peer, Server, Session, Sticky, StickyKind};
use super::super::report::{Class, Report};
use super::check::{Check, plain};
use super::{Cx, Group, Listen, cookie_name, documents, endpoint, field, find, list, path, server_name};

const WHY: &str = "the cloud's cookie is its own: each session is balanced anew once";

pub(in super::super) fn convert(inputs: &[Input], can: Can, report: &mut Report) -> Result<Model, Problem> {
    documents(inputs, can, report, |cx, roots| {
        let mut listeners = Vec::new();
        for root in roots {
            find(root, &|n| field(n, "Protocol").is_some() && is_listener(n), &mut listeners);
        }
        if listeners.is_empty() {
            return Err("no listener is here: this is no configuration of a CLB");
        }
        let mut listens: Vec<Listen> = Vec::new();
        // The answers of two calls may tell of one listener: its rules, and its targets.
        for (i, node) in listeners.iter().enumerate() {
            let twin = |other: &Node| same(node, other);
            if listeners.iter().take(i).any(|other| twin(other)) {
                continue;
            }
            let later: Vec<&Node> = listeners.iter().skip(i + 1).copied().filter(|o| twin(o)).collect();
            listens.extend(listener(cx, node, &later));
        }
        for listen in &listens {
            cx.close(listen);
        }
        for node in roots {
            quiet(cx, node);
        }
        Ok(())
    })
}

fn is_listener(node: &Node) -> bool {
    let port = field(node, "Port").or_else(|| field(node, "Ports")).is_some();
    port && ["Rules", "Scheduler", "HealthCheck", "Targets", "SessionExpireTime", "ListenerId"]
        .iter()
        .any(|k| field(node, k).is_some())
}

fn said<'n>(node: &'n Node, name: &str) -> Option<&'n str> {
    match field(node, name).map(|n| &n.value) {
        Some(Value::Text(t) | Value::Number(t)) => Some(t),
        _ => None,
    }
}

/// Whether two objects are about one listener.
fn same(a: &Node, b: &Node) -> bool {
    let equal = |name: &str| said(a, name).is_some() && said(a, name) == said(b, name);
    equal("ListenerId") || (equal("Port") && equal("Protocol"))
}

fn quiet(cx: &mut Cx, node: &Node) {
    const NAMES: &[&str] = &[
        "RequestId",
        "TotalCount",
        "ListenerId",
        "ListenerName",
        "LocationId",
        "LoadBalancerId",
        "CreateTime",
        "EndPort",
        "TargetType",
        "AttrFlags",
        "BeAutoCreated",
        "Tags",
    ];
    cx.silent(node, NAMES);
    node.items().iter().for_each(|n| quiet(cx, n));
    node.fields().iter().for_each(|(_, n)| quiet(cx, n));
}

fn listener(cx: &mut Cx, node: &Node, later: &[&Node]) -> Option<Listen> {
    let dropped = |cx: &mut Cx, why: &str| {
        cx.ledger.give_up(node, why);
        later.iter().for_each(|n| cx.ledger.give_up(n, why));
    };
    let many = field(node, "Ports").filter(|n| !n.items().is_empty());
    let port = match many.and_then(|n| n.items().first()) {
        Some(first) => {
            let number = match &first.value {
                Value::Number(t) | Value::Text(t) => t.parse().ok(),
                _ => None,
            };
            for more in many.map_or(&[][..], Node::items).iter().skip(1) {
                cx.ledger.dropped(more, "one port a listener");
            }
            number.map(|n: u32| (first, n))
        }
        None => cx.number(node, "Port"),
    };
    let port = port.and_then(|(n, p)| Some((n, u16::try_from(p).ok().filter(|p| *p > 0)?)));
    let Some((at, port)) = port else {
        dropped(cx, "no such port");
        return None;
    };
    let (n, protocol) = cx.text(node, "Protocol")?;
    let mut tls = false;
    match protocol.to_ascii_uppercase().as_str() {
        "HTTP" => {}
        "HTTPS" if cx.can.ssl => tls = true,
        "HTTPS" | "QUIC" => {
            dropped(cx, "needs TLS (listen … ssl), and the certificate is not in the input");
            return None;
        }
        "TCP" | "UDP" | "TCP_SSL" => {
            dropped(cx, "needs \"stream\"");
            return None;
        }
        _ => {
            dropped(cx, "no such protocol");
            return None;
        }
    }
    cx.ledger.exact(n, "");
    cx.ledger.exact(at, "");
    for twin in later {
        for name in ["Port", "Ports", "Protocol"] {
            if let Some(n) = field(twin, name) {
                cx.ledger.all(n, Class::Exact, "the same listener");
            }
        }
    }
    const NONE: &[(&str, &str)] = &[
        ("MaxConn", "connections are limited for the whole process"),
        ("MaxCps", "no limit on new connections"),
        ("SnatEnable", "connections to servers come from here anyway"),
        ("ProxyProtocol", "the PROXY protocol is not sent"),
        ("DataCompressMode", "say \"gzip\""),
    ];
    cx.absent(node, NONE);
    let mut lines = Vec::new();
    if tls {
        let rules = field(node, "Rules").map_or(&[][..], list);
        let of = field(node, "Certificate").or_else(|| rules.iter().find_map(|r| field(r, "Certificate")));
        lines.extend(certificate(cx, at, of, port));
        if let Some(n) = field(node, "SniSwitch") {
            cx.ledger.all(n, Class::Approximated, "certificates are chosen by \"server_name\"");
        }
    } else {
        cx.absent(
            node,
            &[
                ("Certificate", "without HTTPS it says nothing"),
                ("SniSwitch", "without HTTPS it says nothing"),
            ],
        );
    }
    match cx.switch(node, "KeepaliveEnable") {
        Some((n, false)) => cx.ledger.approximated(
            n,
            "connections to servers are kept only where \"keepalive\" says so; towards clients they are",
        ),
        Some((n, true)) => cx.ledger.exact(n, ""),
        None => {}
    }
    if let Some((n, seconds)) = cx.number(node, "IdleConnectTimeout") {
        cx.ledger.exact(n, "");
        lines.push(Line::new(Some(n.place), ["keepalive_timeout".to_owned(), format!("{seconds}s")]));
    }
    let listen = Listen { port, at: at.place, lines, tls };
    let rules = field(node, "Rules").map_or(&[][..], list);
    for rule in rules {
        // The targets of the rule: its own, or those that a later answer tells.
        let twin = |other: &&Node| {
            let equal = |name: &str| said(rule, name).is_some() && said(rule, name) == said(other, name);
            equal("LocationId") || (equal("Domain") && equal("Url"))
        };
        let later: Vec<&Node> =
            later.iter().flat_map(|l| field(l, "Rules").map_or(&[][..], list)).filter(twin).collect();
        one_rule(cx, &listen, rule, &later);
        for other in later {
            for name in ["Domain", "Url", "Domains"] {
                if let Some(n) = field(other, name) {
                    cx.ledger.all(n, Class::Exact, "the same rule");
                }
            }
        }
    }
    if !rules.is_empty() {
        for name in ["Scheduler", "SessionExpireTime", "SessionType", "HealthCheck"] {
            if let Some(n) = field(node, name) {
                cx.ledger.all(n, Class::Exact, "the rules say it");
            }
        }
    } else {
        let upstream = group(cx, node, later, &format!("lb_{port}"), None);
        let lines = lines_of(cx, upstream.as_deref());
        let location = Location { cite: Some(node.place), modifier: "", path: "/".to_owned(), lines };
        let _ = cx.place(&listen, "", location);
    }
    Some(listen)
}

/// The lines of a certificate: those of the listener, or of the first of its rules.
fn certificate(cx: &mut Cx, at: &Node, of: Option<&Node>, port: u16) -> Vec<Line> {
    let id = of.and_then(|n| cx.text(n, "CertId").or_else(|| cx.text(n, "SSLCertId")));
    let cite = Some(id.map_or(at.place, |(n, _)| n.place));
    let name = id.map_or_else(|| format!("lb_{port}"), |(_, id)| id.to_owned());
    let mut lines = super::super::certificates::lines(cite, &name, &name);
    let Some(of) = of else {
        cx.ledger.approximated(at, super::super::certificates::NOTE);
        return lines;
    };
    let mutual = cx.text(of, "SSLMode").is_some_and(|(_, mode)| mode.eq_ignore_ascii_case("mutual"));
    let authority = cx.text(of, "CertCaId").map(|(_, id)| id.to_owned());
    if mutual {
        let authority = authority.unwrap_or_else(|| format!("lb_{port}_ca"));
        lines.extend(super::super::certificates::clients(cite, "on", &authority));
    }
    cx.ledger.all(of, Class::Approximated, super::super::certificates::NOTE);
    lines
}

/// The CLB tells the servers who asks, and with what.
fn lines_of(cx: &Cx, upstream: Option<&str>) -> Vec<Line> {
    let mut lines = Vec::new();
    if upstream.is_some() {
        lines.push(Line::new(None, ["proxy_set_header", "X-Forwarded-For", "$proxy_add_x_forwarded_for"]));
        lines.push(Line::new(None, ["proxy_set_header", "X-Forwarded-Proto", "$scheme"]));
    }
    lines.extend(cx.pass(upstream));
    lines
}

fn one_rule(cx: &mut Cx, listen: &Listen, rule: &Node, later: &[&Node]) {
    let mut hosts = Vec::new();
    let many = field(rule, "Domains").map_or(&[][..], Node::items);
    let one = field(rule, "Domain").filter(|_| many.is_empty());
    for node in many.iter().chain(one) {
        match &node.value {
            Value::Text(t) if server_name(t).is_some() => {
                cx.ledger.exact(node, "");
                hosts.push(t.clone());
            }
            Value::Text(t) if t.is_empty() => {
                cx.ledger.exact(node, "any host");
                hosts.push(String::new());
            }
            Value::Text(t) if t.starts_with('~') && !t.contains([' ', ';', '{', '}', '"', '\n', '$']) => {
                cx.ledger.exact(node, "a regular expression");
                hosts.push(t.clone());
            }
            _ => cx.ledger.drop_all(node, "this cannot be a server's name"),
        }
    }
    if !many.is_empty()
        && let Some(n) = field(rule, "Domain")
    {
        cx.ledger.exact(n, "the first of \"Domains\"");
    }
    if hosts.is_empty() {
        if field(rule, "Domain").is_some() {
            return cx.ledger.give_up(rule, "no host is left");
        }
        hosts.push(String::new());
    }
    let url = cx.text(rule, "Url").filter(|(_, u)| !u.is_empty());
    let Some((modifier, path)) = path(url.map_or("/", |(_, u)| u)) else {
        return cx.ledger.give_up(rule, "this is no path");
    };
    url.into_iter().for_each(|(n, _)| cx.ledger.exact(n, ""));
    match cx.text(rule, "ForwardType") {
        Some((n, kind)) if kind.eq_ignore_ascii_case("http") || kind.is_empty() => cx.ledger.exact(n, ""),
        Some((n, kind)) if kind.eq_ignore_ascii_case("https") && cx.can.proxy_ssl => cx.ledger.exact(n, ""),
        Some((_, _)) => return cx.ledger.give_up(rule, "only HTTP to the servers"),
        None => {}
    }
    const NONE: &[(&str, &str)] = &[
        ("Certificate", "one certificate a listener: say a server for the names of this one"),
        ("Http2", "say \"http2 on\""),
        ("Quic", "no HTTP/3"),
        ("QuicStatus", "no HTTP/3"),
        ("TrpcCallee", "no tRPC"),
        ("TrpcFunc", "no tRPC"),
        ("RewriteTarget", "say it with \"return\""),
        ("OAuth", "nobody is asked to log in"),
    ];
    cx.absent(rule, NONE);
    let stem: String = hosts.first().map_or("lb", |h| h.split('.').next().unwrap_or("lb")).to_owned();
    let wanted = format!(
        "{}{}",
        if stem.is_empty() { "lb" } else { &stem },
        path.trim_end_matches('/').replace('/', "_")
    );
    let upstream = group(cx, rule, later, &wanted, hosts.first().map(String::as_str));
    let lines = lines_of(cx, upstream.as_deref());
    for host in &hosts {
        let location =
            Location { cite: Some(rule.place), modifier, path: path.clone(), lines: lines.clone() };
        if let Err(why) = cx.place(listen, host, location) {
            cx.ledger.dropped(rule, why);
        }
    }
    if let Some((n, true)) = cx.switch(rule, "DefaultServer") {
        cx.ledger.exact(n, "");
        let port = listen.port.to_string();
        let mine = |s: &&mut Server| hosts.first().is_some_and(|h| s.names.contains(h));
        let listens = |s: &Server, word: &str| {
            s.listens.iter().any(|l| l.words.get(1) == Some(&port) && l.words.iter().any(|w| w == word))
        };
        if !cx.model.servers.iter().any(|s| listens(s, "default_server")) {
            let mut servers = cx.model.servers.iter_mut().filter(mine);
            if let Some(server) = servers.find(|s| listens(s, "listen")) {
                server.listens.iter_mut().for_each(|l| l.words.push("default_server".to_owned()));
            }
        } else {
            cx.ledger.dropped(n, "the port has a default server already");
        }
    }
    if let Some((n, false)) = cx.switch(rule, "DefaultServer") {
        cx.ledger.exact(n, "");
    }
}

fn group(cx: &mut Cx, of: &Node, later: &[&Node], wanted: &str, host: Option<&str>) -> Option<String> {
    let mut peers = Vec::new();
    for holder in std::iter::once(&of).chain(later) {
        targets(cx, holder, &mut peers);
    }
    let scheduler = cx.text(of, "Scheduler");
    let word = scheduler.map_or("WRR".to_owned(), |(_, s)| s.to_ascii_uppercase());
    let cite = scheduler.map(|(n, _)| n.place);
    let method = match word.as_str() {
        "WRR" | "" => None,
        "LEAST_CONN" => Some(Line::new(cite, ["least_conn"])),
        "IP_HASH" => Some(Line::new(cite, ["hash", "$remote_addr", "consistent"])),
        _ => None,
    };
    match scheduler {
        Some((n, _)) if matches!(word.as_str(), "WRR" | "" | "LEAST_CONN") => cx.ledger.exact(n, ""),
        Some((n, _)) if word == "IP_HASH" => {
            cx.ledger
                .approximated(n, "a consistent hash of the address: each client changes its server once");
        }
        Some((n, _)) => cx.ledger.dropped(n, "no such balancer here; round robin"),
        None => {}
    }
    let sticky = sticky(cx, of, &word);
    let lines = check(cx, of, host);
    if let Some((n, kind)) = cx.text(of, "SessionType") {
        if kind.eq_ignore_ascii_case("normal") {
            cx.ledger.exact(n, "");
        } else {
            cx.ledger.dropped(n, "sessions of QUIC have no counterpart");
        }
    }
    cx.upstream(Group { wanted: wanted.to_owned(), node: of, method, sticky, peers, lines }, WHY)
}

fn sticky(cx: &mut Cx, of: &Node, scheduler: &str) -> Option<Sticky> {
    let cookie = cx.text(of, "CookieName").filter(|(_, c)| !c.is_empty());
    let (n, seconds) = cx.number(of, "SessionExpireTime")?;
    if seconds == 0 {
        cx.ledger.exact(n, "sessions are off");
        cookie.into_iter().for_each(|(c, _)| cx.ledger.exact(c, "sessions are off"));
        return None;
    }
    if scheduler == "LEAST_CONN" {
        cx.ledger.exact(n, "the cloud keeps no sessions with LEAST_CONN");
        cookie.into_iter().for_each(|(c, _)| cx.ledger.exact(c, "no sessions"));
        return None;
    }
    if scheduler == "IP_HASH" {
        cx.ledger.dropped(n, "a hash of the address does not expire");
        cookie.into_iter().for_each(|(c, _)| cx.ledger.dropped(c, "the hash keeps the sessions"));
        return None;
    }
    let note = "an idle time; whether the cloud counts from the first visit is not documented";
    cx.ledger.approximated(n, note);
    let name = match cookie {
        Some((c, name)) if cookie_name(name) => {
            cx.ledger.exact(c, "");
            name
        }
        Some((c, _)) => {
            cx.ledger.dropped(c, "this cannot be the name of a cookie");
            "route"
        }
        None => "route",
    };
    let mut session = Session::insert(name);
    session.maxidle = Some(u64::from(seconds));
    session.indirect = true;
    session.plain = false;
    Some(Sticky { cite: Some(n.place), kind: StickyKind::Session(session) })
}

fn check(cx: &mut Cx, of: &Node, host: Option<&str>) -> Vec<Line> {
    let Some(config) = field(of, "HealthCheck") else { return Vec::new() };
    let Some((n, on)) = cx.switch(config, "HealthSwitch") else {
        cx.ledger.drop_all(config, "whether checks are on is not said");
        return Vec::new();
    };
    if !on {
        cx.ledger.all(config, Class::Exact, "checks are off");
        return Vec::new();
    }
    let number = |cx: &mut Cx, name: &str, or: u32| cx.number(config, name).map_or(or, |(_, n)| n);
    let kind = cx.text(config, "CheckType").map_or("HTTP".to_owned(), |(_, t)| t.to_ascii_uppercase());
    let text =
        |cx: &mut Cx, name: &str| cx.text(config, name).map(|(_, t)| t.to_owned()).filter(|t| plain(t));
    let method = text(cx, "HttpCheckMethod").unwrap_or_else(|| "HEAD".to_owned()).to_ascii_uppercase();
    let path = text(cx, "HttpCheckPath").filter(|p| p.starts_with('/')).unwrap_or_else(|| "/".to_owned());
    let domain = text(cx, "HttpCheckDomain")
        .or_else(|| host.map(str::to_owned))
        .filter(|d| plain(d) && !d.contains(['*', '~', '$']));
    let mask = number(cx, "HttpCode", 31);
    let classes: Vec<&'static str> = [(2, "http_2xx"), (4, "http_3xx"), (8, "http_4xx"), (16, "http_5xx")]
        .into_iter()
        .filter(|(bit, _)| mask & bit != 0)
        .map(|(_, c)| c)
        .collect();
    if let Some(n) = field(config, "HttpCode").filter(|_| mask & 1 != 0 || classes.is_empty()) {
        cx.ledger.approximated(n, "1xx is no answer to a check");
    }
    // -1: the port of the server itself.
    let port =
        cx.text(config, "CheckPort").and_then(|(_, p)| p.parse().ok()).filter(|p| (1..=65535).contains(p));
    let mut told = vec![n];
    for name in [
        "TimeOut",
        "IntervalTime",
        "HealthNum",
        "UnHealthNum",
        "HttpCode",
        "HttpCheckPath",
        "HttpCheckDomain",
        "HttpCheckMethod",
        "CheckPort",
        "CheckType",
        "HttpVersion",
        "SourceIpType",
    ] {
        told.extend(field(config, name));
    }
    cx.absent(
        config,
        &[
            ("ContextType", "a check's own text has no counterpart"),
            ("SendContext", "a check's own text has no counterpart"),
            ("RecvContext", "a check's own text has no counterpart"),
            ("ExtendedCode", "whole classes of statuses"),
        ],
    );
    let check = Check {
        at: n,
        interval: number(cx, "IntervalTime", 5),
        timeout: number(cx, "TimeOut", 2),
        rise: number(cx, "HealthNum", 3),
        fall: number(cx, "UnHealthNum", 3),
        http: matches!(kind.as_str(), "HTTP" | "HTTPS").then_some((method, path, domain)),
        port,
        classes: if classes.is_empty() { vec!["http_2xx"] } else { classes },
        said: told,
    };
    check.lines(cx)
}

fn targets(cx: &mut Cx, of: &Node, out: &mut Vec<Peer>) {
    let Some(targets) = field(of, "Targets") else { return };
    for target in list(targets) {
        const IPS: [&str; 4] = ["PrivateIpAddresses", "PublicIpAddresses", "IPv6Addresses", "EniIp"];
        let first = IPS.iter().find_map(|name| {
            let node = field(target, name)?;
            let node = node.items().first().unwrap_or(node);
            if let Value::Text(t) = &node.value { Some((node, t.as_str())) } else { None }
        });
        let id = cx.text(target, "InstanceId").filter(|(_, t)| t.parse::<std::net::IpAddr>().is_ok());
        let port = cx.number(target, "Port");
        let Some((at, host)) = first.or(id) else {
            cx.ledger
                .give_up(target, "the address of this instance is not in the input: write it as \"EniIp\"");
            continue;
        };
        let Some(address) = port.and_then(|(_, p)| endpoint(host, p)) else {
            cx.ledger.give_up(target, "no port is said, or this is no address");
            continue;
        };
        cx.ledger.exact(at, "");
        port.into_iter().for_each(|(n, _)| cx.ledger.exact(n, ""));
        let mut peer = Peer { address, cite: Some(target.place), weight: 10, ..Peer::default() };
        match cx.number(target, "Weight") {
            Some((n, 0)) => {
                cx.ledger.exact(n, "nobody is sent there");
                (peer.down, peer.weight) = (true, 1);
            }
            Some((n, w)) => {
                cx.ledger.exact(n, "");
                peer.weight = w;
            }
            None => {}
        }
        const SILENT: &[&str] = &[
            "InstanceId",
            "InstanceName",
            "Type",
            "RegisteredTime",
            "EniId",
            "EniIp",
            "Tag",
            "Zone",
            "PrivateIpAddresses",
            "PublicIpAddresses",
            "IPv6Addresses",
        ];
        cx.silent(target, SILENT);
        if out.iter().any(|p| p.address == peer.address) {
            cx.ledger.mark(at, Class::Dropped, "the group has this server already");
        } else {
            out.push(peer);
        }
    }
}
