//! Services: upstreams with their endpoints, sessions, checks and retries.

use super::super::json::{Node, Value};
use super::super::model::{Line, Peer, Session, Sticky, StickyKind, Upstream};
use super::super::report::{Fate, Sessions};
use super::super::{Class, ids};
use super::{Cx, Service};

/// FGW's cookie lasts an hour where nothing is said.
const EXPIRES: u64 = 3600;

pub(super) fn convert(cx: &mut Cx, root: &Node) {
    let Some(services) = root.get("Services") else { return };
    for (name, node) in services.fields() {
        let service = service(cx, name, node);
        cx.services.insert(name.clone(), service);
    }
}

fn service(cx: &mut Cx, name: &str, node: &Node) -> Service {
    let method = method(cx, node);
    let hashes = method.as_ref().is_some_and(|m| m.words.first().is_some_and(|w| w == "hash"));
    let sticky = sticky(cx, node);
    let mut lines = Vec::new();
    let passive = health(cx, node, &mut lines);
    let (peers, tls) = endpoints(cx, node, passive, hashes);
    let retry = retry(cx, node);
    circuit(cx, node);
    let named = if peers.is_empty() {
        // The rest of the service has nothing to stand on.
        if let (Some(_), Some(n)) = (&sticky, node.get("StickyCookieName")) {
            cx.ledger.dropped(n, "the service has no endpoint");
        }
        cx.ledger.drop_all(node, "the service has no endpoint");
        if let Some(endpoints) = node.get("Endpoints") {
            cx.ledger.dropped(endpoints, "no endpoint to write an upstream with");
        }
        None
    } else {
        Some(cx.names.make(name))
    };
    if let Some(upstream) = &named {
        if let Some(sticky) = &sticky {
            let why = "each server has the number that FGW on Linux gives its endpoint; cookies of a macOS build are balanced anew once";
            let StickyKind::Session(s) = &sticky.kind else {
                unreachable!("FGW's sessions are session_sticky")
            };
            let why = format!("cookie \"{}\": {why}", s.cookie);
            cx.model.sessions.push(Sessions { upstream: upstream.clone(), fate: Fate::KeptByAlias, why });
        }
        cx.model.upstreams.push(Upstream {
            name: upstream.clone(),
            cite: Some(node.place),
            method,
            sticky,
            peers,
            lines,
        });
    }
    Service { upstream: named, tls, retry }
}

fn method(cx: &mut Cx, node: &Node) -> Option<Line> {
    let (n, word) = cx.ledger.text(node, "Algorithm")?;
    let cite = Some(n.place);
    match word {
        "" | "RoundRobinLoadBalancer" => {
            cx.ledger.exact(n, "round robin");
            None
        }
        "LeastConnectionLoadBalancer" => {
            cx.ledger.exact(n, "least_conn");
            Some(Line::new(cite, ["least_conn"]))
        }
        "HashingLoadBalancer" => {
            let note =
                "a consistent hash of the address: each client changes its server once, and weights count";
            cx.ledger.approximated(n, note);
            Some(Line::new(cite, ["hash", "$remote_addr", "consistent"]))
        }
        _ => {
            cx.ledger.dropped(n, "no such balancer here; round robin");
            None
        }
    }
}

fn sticky(cx: &mut Cx, node: &Node) -> Option<Sticky> {
    let expires = cx.ledger.number(node, "StickyCookieExpires");
    let Some((n, name)) = cx.ledger.text(node, "StickyCookieName").filter(|(_, name)| !name.is_empty())
    else {
        if let Some((n, _)) = expires {
            cx.ledger.exact(n, "without a cookie's name it says nothing");
        }
        if let Some(n) =
            node.get("StickyCookieName").filter(|n| matches!(&n.value, Value::Text(t) if t.is_empty()))
        {
            cx.ledger.exact(n, "no sessions");
        }
        return None;
    };
    if !name.bytes().all(|b| b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}$"#.contains(&b)) {
        cx.ledger.dropped(n, "this cannot be the name of a cookie");
        if let Some((n, _)) = expires {
            cx.ledger.dropped(n, "its cookie was dropped");
        }
        return None;
    }
    let mut session = Session::insert(name);
    session.maxage = Some(match expires {
        Some((n, 0)) => {
            cx.ledger.exact(n, format!("FGW reads 0 as {EXPIRES}"));
            EXPIRES
        }
        Some((n, seconds)) => {
            cx.ledger.exact(n, "");
            u64::from(seconds)
        }
        None => EXPIRES,
    });
    let note =
        "answers with a status of 400 and above bring no cookie; its attributes come in Tengine's order";
    cx.ledger.approximated(n, note);
    Some(Sticky { cite: Some(n.place), kind: StickyKind::Session(session) })
}

fn endpoints(cx: &mut Cx, node: &Node, passive: Option<(u32, u32)>, hashes: bool) -> (Vec<Peer>, bool) {
    let mut peers = Vec::new();
    let mut secure = Vec::new();
    let mut zero = Vec::new();
    for (address, endpoint) in node.get("Endpoints").map_or(&[][..], Node::fields) {
        if !is_address(address) {
            cx.ledger.drop_all(endpoint, "its key is no \"host:port\"");
            continue;
        }
        let mut peer = Peer {
            address: address.clone(),
            cite: Some(endpoint.place),
            weight: 1,
            max_fails: passive,
            id: Some(ids::fgw(address).to_string()),
            ..Peer::default()
        };
        if endpoint.fields().is_empty() {
            cx.ledger.exact(endpoint, "");
        }
        match cx.ledger.number(endpoint, "Weight") {
            Some((n, 0)) => {
                (peer.backup, peer.down) = (!hashes, hashes);
                zero.push(n);
            }
            Some((n, weight)) => {
                cx.ledger.exact(n, "");
                peer.weight = weight;
            }
            None => {}
        }
        if let Some(n) = endpoint.get("UseSSL") {
            match n.value {
                Value::Bool(true) if cx.can.proxy_ssl => {
                    cx.ledger.exact(n, "proxy_pass https://");
                    secure.push(n);
                }
                Value::Bool(true) => cx.ledger.dropped(n, "needs TLS to servers (proxy_ssl)"),
                _ => cx.ledger.exact(n, ""),
            }
        }
        for (key, note) in [
            ("UpstreamCert", "needs proxy_ssl_certificate"),
            ("Tags", "tags choose nothing here"),
            ("Host", "one Host is sent to all servers of an upstream"),
        ] {
            if let Some(n) = endpoint.get(key) {
                cx.ledger.drop_all(n, note);
            }
        }
        peers.push(peer);
    }
    let all_zero = peers.iter().all(|p| p.backup || p.down);
    for n in zero {
        if all_zero {
            cx.ledger.approximated(n, "every endpoint is a spare one: all are servers");
        } else if hashes {
            cx.ledger.approximated(n, "a hash takes no spare servers: this one is down");
        } else {
            cx.ledger
                .approximated(n, "backup: asked when no other server can be, not after a status above 499");
        }
    }
    if all_zero {
        peers.iter_mut().for_each(|p| (p.backup, p.down) = (false, false));
    }
    let tls = !secure.is_empty() && secure.len() == peers.len();
    if !tls {
        for n in secure {
            cx.ledger.dropped(n, "servers with and without TLS in one upstream");
        }
    }
    (peers, tls)
}

/// The active check as lines of the upstream, or the passive one as `max_fails` and `fail_timeout`.
fn health(cx: &mut Cx, node: &Node, lines: &mut Vec<Line>) -> Option<(u32, u32)> {
    let health = node.get("HealthCheck")?;
    let interval = cx.ledger.number(health, "Interval");
    let fails = cx.ledger.number(health, "MaxFails");
    let timeout = cx.ledger.number(health, "FailTimeout");
    let path = cx.ledger.text(health, "Path");
    let Some((at, seconds)) = interval.filter(|(_, n)| *n > 0) else {
        if let Some((n, _)) = interval {
            cx.ledger.exact(n, "0: no checks, failures are counted");
        }
        let count = fails.map_or(1, |(_, n)| n);
        let rest = timeout.map_or(10, |(_, n)| n);
        for (n, _) in [fails, timeout].into_iter().flatten() {
            cx.ledger.exact(n, "");
        }
        cx.ledger.drop_all(health, "without an Interval nothing is checked");
        return Some((count, rest));
    };
    let cite = Some(at.place);
    let needs = |l: Line, cx: &Cx| l.needs(cx.can.check, "check");
    let fall = fails.map_or(3, |(_, n)| n).to_string();
    let kind = if path.is_some() { "http" } else { "tcp" };
    let words = [
        "check".to_owned(),
        format!("interval={}", u64::from(seconds) * 1000),
        "rise=1".to_owned(),
        format!("fall={fall}"),
        "timeout=1000".to_owned(),
        // Servers are up until a check says otherwise.
        "default_down=false".to_owned(),
        format!("type={kind}"),
    ];
    lines.push(needs(Line::new(cite, words), cx));
    let mut said = vec![at];
    said.extend(fails.map(|(n, _)| n));
    if let Some((n, path)) = path {
        let send = format!("GET {path} HTTP/1.0\r\n\r\n");
        lines.push(needs(Line::new(Some(n.place), ["check_http_send".to_owned(), send]), cx));
        lines.push(needs(Line::new(Some(n.place), ["check_http_expect_alive", "http_2xx"]), cx));
        said.push(n);
    }
    if let Some((n, _)) = timeout {
        cx.ledger.exact(n, "FGW reads it for passive checks only");
    }
    for n in said {
        if cx.can.check {
            cx.ledger.exact(n, "");
        } else {
            cx.ledger.dropped(n, "needs \"check\"; failures of requests still take a server out for 10 s");
        }
    }
    for one in health.get("Matches").map_or(&[][..], Node::items) {
        if let Some(codes) = one.get("StatusCodes") {
            let plain =
                codes.items().iter().all(|c| matches!(&c.value, Value::Number(n) if n.starts_with('2')));
            if cx.can.check && plain {
                cx.ledger.all(codes, Class::Approximated, "http_2xx: the whole class");
            } else {
                cx.ledger.drop_all(codes, "needs checks that look at single statuses");
            }
        }
    }
    cx.ledger.drop_all(health, "no counterpart among the checks");
    None
}

fn retry(cx: &mut Cx, node: &Node) -> Vec<Vec<String>> {
    let mut words: Vec<String> = ["proxy_next_upstream", "error", "timeout"].map(str::to_owned).to_vec();
    let mut tries = None;
    let Some(retry) = node.get("Retry").or(node.get("RetryPolicy")) else {
        // FGW asks one server; a failed connection is an error of the request.
        return vec![["proxy_next_upstream", "off"].map(str::to_owned).to_vec()];
    };
    match cx.ledger.text(retry, "RetryOn") {
        Some((n, on)) => {
            let mut lost = Vec::new();
            for code in on.split(',').map(str::trim).filter(|c| !c.is_empty()) {
                match code {
                    "5xx" => {
                        words.extend(["http_500", "http_502", "http_503", "http_504"].map(str::to_owned))
                    }
                    "500" | "502" | "503" | "504" | "403" | "404" | "429" => {
                        words.push(format!("http_{code}"))
                    }
                    other => lost.push(other),
                }
            }
            if !lost.is_empty() {
                cx.ledger.dropped(n, format!("no retry on {}", lost.join(", ")));
            } else if on.contains("5xx") {
                cx.ledger.approximated(n, "500, 502, 503 and 504");
            } else {
                cx.ledger.exact(n, "");
            }
        }
        None => words.extend(["http_500", "http_502", "http_503", "http_504"].map(str::to_owned)),
    }
    words.dedup();
    words.push("non_idempotent".to_owned());
    if let Some((n, count)) = cx.ledger.number(retry, "NumRetries") {
        cx.ledger.exact(n, "the first try counts here");
        tries = Some(vec!["proxy_next_upstream_tries".to_owned(), (u64::from(count) + 1).to_string()]);
    }
    if let Some(n) = retry.get("BackoffBaseInterval") {
        cx.ledger.drop_all(n, "another server is asked at once");
    }
    std::iter::once(words).chain(tries).collect()
}

fn circuit(cx: &mut Cx, node: &Node) {
    for key in ["CircuitBreaking", "OutlierDetection", "RateLimit", "ConnectionSettings"] {
        if let Some(n) = node.get(key) {
            cx.ledger.drop_all(n, "no counterpart");
        }
    }
}

/// `host:port` and `[v6]:port`, of characters that a `server` line takes.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    !host.is_empty() && host.chars().all(fit) && port.parse::<u16>().is_ok_and(|p| p > 0)
}
