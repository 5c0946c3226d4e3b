//! Groups of servers: addresses, the scheduler, sessions, checks.

use super::super::super::json::Node;
use super::super::super::model::{Line, Peer, Sticky, StickyKind};
use super::super::super::report::Class;
use super::super::check::{Check, plain};
use super::super::{Cx, Group, cookie_name, endpoint, field, list};
use super::{Lb, WHY, servers_of};

/// The upstream of a listener or a rule: `settings` says how, `at` to whom.
pub(super) fn slb_group(
    cx: &mut Cx,
    lb: &Lb<'_>,
    settings: &Node,
    at: &Node,
    wanted: &str,
) -> Option<String> {
    let named = cx
        .text(at, "VServerGroupId")
        .or(cx.text(at, "MasterSlaveServerGroupId"))
        .or(cx.text(at, "ServerGroupId"));
    let holder = match named.filter(|(_, id)| !id.is_empty()) {
        Some((n, id)) => match lb.groups.get(id) {
            Some(group) => {
                cx.ledger.exact(n, "");
                *group
            }
            None => {
                cx.ledger.dropped(n, "the servers of this group are not in the input");
                return None;
            }
        },
        None if servers_of(at).is_some() => at,
        None => lb.default?,
    };
    let port = cx.number(settings, "BackendServerPort").or(cx.number(settings, "BackendPort"));
    port.into_iter().for_each(|(n, _)| cx.ledger.exact(n, ""));
    let mut peers = peers(cx, holder, port.map(|(_, p)| p));
    let method = scheduler(cx, settings, &mut peers);
    let hashes = method.as_ref().is_some_and(|m| m.words.first().is_some_and(|w| w == "hash"));
    let sticky = slb_sticky(cx, settings);
    fit(cx, &mut peers, hashes || sticky.as_ref().is_some_and(|s| is_session(s) && !cx.can.session_backup));
    let lines = slb_check(cx, settings);
    cx.absent(
        settings,
        &[
            ("PersistenceTimeout", "of listeners of TCP only"),
            ("EstablishedTimeout", "of listeners of TCP only"),
        ],
    );
    cx.upstream(Group { wanted: wanted.to_owned(), node: at, method, sticky, peers, lines }, WHY)
}

fn is_session(sticky: &Sticky) -> bool {
    matches!(sticky.kind, StickyKind::Session(_))
}

/// Spare servers where they cannot be.
fn fit(_: &mut Cx, peers: &mut [Peer], strict: bool) {
    for peer in peers.iter_mut().filter(|p| p.backup && strict) {
        (peer.backup, peer.down) = (false, true);
    }
}

pub(super) fn scheduler(cx: &mut Cx, settings: &Node, peers: &mut [Peer]) -> Option<Line> {
    let (n, word) = cx.text(settings, "Scheduler")?;
    let cite = Some(n.place);
    match word.to_ascii_lowercase().as_str() {
        "wrr" | "" => {
            cx.ledger.exact(n, "round robin");
            None
        }
        "rr" => {
            cx.ledger.exact(n, "round robin without weights");
            peers.iter_mut().for_each(|p| p.weight = 1);
            None
        }
        "wlc" => {
            cx.ledger.exact(n, "");
            Some(Line::new(cite, ["least_conn"]))
        }
        "sch" | "tch" | "qch" => {
            let note = "a consistent hash of the address: each client changes its server once";
            cx.ledger.approximated(n, note);
            Some(Line::new(cite, ["hash", "$remote_addr", "consistent"]))
        }
        "uch" => {
            let config = field(settings, "UchConfig");
            let value = config.and_then(|c| cx.text(c, "Value"));
            let token = |v: &str| !v.is_empty() && v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            match value.filter(|(_, v)| token(v)) {
                Some((v, name)) => {
                    cx.ledger.approximated(n, "another ring: each client changes its server once");
                    cx.ledger.exact(v, "");
                    if let Some(kind) = config.and_then(|c| field(c, "Type")) {
                        cx.ledger.exact(kind, "a parameter of the request");
                    }
                    Some(Line::new(
                        cite,
                        ["hash".to_owned(), format!("$arg_{name}"), "consistent".to_owned()],
                    ))
                }
                None => {
                    cx.ledger.dropped(n, "no variable has this parameter; round robin");
                    None
                }
            }
        }
        _ => {
            cx.ledger.dropped(n, "no such balancer here; round robin");
            None
        }
    }
}

fn slb_sticky(cx: &mut Cx, settings: &Node) -> Option<Sticky> {
    let (n, on) = cx.switch(settings, "StickySession")?;
    sticky(cx, n, on, settings)
}

/// `at` is the switch; type, cookie and time stand in `of`.
pub(super) fn sticky(cx: &mut Cx, at: &Node, on: bool, of: &Node) -> Option<Sticky> {
    let kind = cx.text(of, "StickySessionType");
    let cookie = cx.text(of, "Cookie");
    let timeout = cx.number(of, "CookieTimeout");
    if !on {
        cx.ledger.exact(at, "");
        let rest = [kind.map(|k| k.0), cookie.map(|c| c.0), timeout.map(|t| t.0)];
        rest.into_iter().flatten().for_each(|n| cx.ledger.exact(n, "sessions are off"));
        return None;
    }
    cx.ledger.exact(at, "");
    if kind.is_some_and(|(_, k)| k.eq_ignore_ascii_case("server")) {
        kind.into_iter().for_each(|(n, _)| cx.ledger.exact(n, "mode=rewrite"));
        timeout.into_iter().for_each(|(n, _)| cx.ledger.exact(n, "of \"insert\" only"));
        let Some((n, name)) = cookie.filter(|(_, name)| cookie_name(name)) else {
            cx.ledger
                .dropped(cookie.map_or(at, |(n, _)| n), "the cookie's name is missing or cannot be written");
            return None;
        };
        let note = "the cookie's value becomes the server's name: the application must not need its own";
        cx.ledger.approximated(n, note);
        let mut sticky = cx.inserted(n, name, None, false);
        if let StickyKind::Session(s) = &mut sticky.kind {
            s.mode = "rewrite";
        }
        return Some(sticky);
    }
    match kind {
        Some((n, k)) if k.eq_ignore_ascii_case("insert") => cx.ledger.exact(n, ""),
        Some((n, _)) => {
            cx.ledger.dropped(n, "insert or server is expected");
            return None;
        }
        None => {}
    }
    cookie.into_iter().for_each(|(n, _)| cx.ledger.exact(n, "of \"server\" only"));
    let seconds = match timeout {
        Some((n, s)) => {
            cx.ledger.approximated(
                n,
                "an idle time; whether the cloud counts from the first visit is not documented",
            );
            Some(s)
        }
        None => Some(1000),
    };
    let cite = timeout.map_or(at, |(n, _)| n);
    Some(cx.inserted(cite, "SERVERID", seconds.filter(|s| *s > 0), false))
}

fn slb_check(cx: &mut Cx, of: &Node) -> Vec<Line> {
    let Some((n, on)) = cx.switch(of, "HealthCheck") else { return Vec::new() };
    const FIELDS: &[&str] = &[
        "HealthCheckType",
        "HealthCheckURI",
        "HealthCheckDomain",
        "HealthCheckConnectPort",
        "HealthyThreshold",
        "UnhealthyThreshold",
        "HealthCheckTimeout",
        "HealthCheckInterval",
        "HealthCheckHttpCode",
        "HealthCheckMethod",
        "HealthCheckConnectTimeout",
        "HealthCheckHttpVersion",
    ];
    if !on {
        cx.ledger.exact(n, "");
        for name in FIELDS {
            if let Some(f) = field(of, name) {
                cx.ledger.all(f, Class::Exact, "checks are off");
            }
        }
        return Vec::new();
    }
    let number = |cx: &mut Cx, name: &str, or: u32| cx.number(of, name).map_or(or, |(_, n)| n);
    let tcp = cx.text(of, "HealthCheckType").is_some_and(|(_, t)| t.eq_ignore_ascii_case("tcp"));
    let text = |cx: &mut Cx, name: &str| cx.text(of, name).map(|(_, t)| t.to_owned()).filter(|t| plain(t));
    let method = text(cx, "HealthCheckMethod").unwrap_or_else(|| "head".to_owned()).to_ascii_uppercase();
    let uri = text(cx, "HealthCheckURI").filter(|u| u.starts_with('/')).unwrap_or_else(|| "/".to_owned());
    let domain = text(cx, "HealthCheckDomain").filter(|d| d != "$_ip" && !d.contains('$'));
    let port = cx.number(of, "HealthCheckConnectPort").map(|(_, p)| p).filter(|p| (1..=65535).contains(p));
    let check = Check {
        at: n,
        interval: number(cx, "HealthCheckInterval", 2),
        timeout: number(cx, "HealthCheckTimeout", 5),
        rise: number(cx, "HealthyThreshold", 3),
        fall: number(cx, "UnhealthyThreshold", 3),
        http: (!tcp).then_some((method, uri, domain)),
        port,
        classes: classes(cx.text(of, "HealthCheckHttpCode").map_or("http_2xx", |(_, t)| t)),
        said: std::iter::once(n).chain(FIELDS.iter().filter_map(|f| field(of, f))).collect(),
    };
    check.lines(cx)
}

/// The classes of `http_2xx,http_3xx`.
pub(super) fn classes(text: &str) -> Vec<&'static str> {
    let known = ["http_2xx", "http_3xx", "http_4xx", "http_5xx"];
    let out: Vec<&'static str> = known.into_iter().filter(|c| text.contains(c)).collect();
    if out.is_empty() { vec!["http_2xx"] } else { out }
}

/// The servers of a group.
pub(super) fn peers(cx: &mut Cx, holder: &Node, default_port: Option<u32>) -> Vec<Peer> {
    let mut out = Vec::new();
    let Some(servers) = servers_of(holder) else { return out };
    for server in list(servers) {
        let ip = cx
            .text(server, "ServerIp")
            .or(cx.text(server, "EniHost"))
            .or(cx.text(server, "PrivateIpAddress"));
        let id = cx.text(server, "ServerId");
        let numeric = id.filter(|(_, t)| t.parse::<std::net::IpAddr>().is_ok());
        let Some((at, host)) = ip.filter(|(_, t)| !t.is_empty()).or(numeric) else {
            cx.ledger.give_up(
                server,
                "the address of this instance is not in the input: write it as \"ServerIp\"",
            );
            continue;
        };
        let port = cx.number(server, "Port").filter(|(_, p)| *p > 0);
        let number = port.map(|(_, p)| p).or(default_port);
        let Some(address) = number.and_then(|p| endpoint(host, p)) else {
            cx.ledger.give_up(server, "no port is said, or this is no address");
            continue;
        };
        cx.ledger.exact(at, "");
        port.into_iter().for_each(|(n, _)| cx.ledger.exact(n, ""));
        let mut peer = Peer { address, cite: Some(server.place), weight: 1, ..Peer::default() };
        match cx.number(server, "Weight") {
            Some((n, 0)) => {
                cx.ledger.exact(n, "nobody is sent there");
                peer.down = true;
            }
            Some((n, w)) => {
                cx.ledger.exact(n, "");
                peer.weight = w;
            }
            None => {}
        }
        if let Some((n, kind)) = cx.text(server, "ServerType") {
            if kind.eq_ignore_ascii_case("slave") {
                cx.ledger.approximated(n, "backup");
                peer.backup = true;
            } else {
                cx.ledger.exact(n, "");
            }
        }
        const SILENT: &[&str] = &[
            "ServerId",
            "Type",
            "Description",
            "ZoneId",
            "InstanceId",
            "ServerGroupId",
            "Status",
            "RemoteIpEnabled",
            "InstanceName",
        ];
        cx.silent(server, SILENT);
        if out.iter().any(|p: &Peer| p.address == peer.address) {
            cx.ledger.mark(at, Class::Dropped, "the group has this server already");
        } else {
            out.push(peer);
        }
    }
    if out.iter().all(|p| p.backup) {
        out.iter_mut().for_each(|p| p.backup = false);
    }
    out
}
