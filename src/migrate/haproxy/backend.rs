//! Servers, and what a location says that leads there.

use std::net::SocketAddr;

use super::super::model::{Line as Out, Peer, StickyKind, Upstream};
use super::super::report::Class;
use super::changes::Changes;
use super::condition::{Conditions, always};
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, frontend, http, mapped, rules, sessions, values};
use super::{balance, checks, chosen, resolve, tls};

/// A server of HAProxy's with what the sessions need of it.
pub(super) struct Server<'a> {
    pub(super) line: &'a Line,
    pub(super) peer: Peer,
    /// `cookie V`
    pub(super) cookie: Option<String>,
    pub(super) check: bool,
    /// `inter`, `rise`, `fall`, `port` as said, the defaults' first.
    pub(super) times: Vec<(String, String)>,
    pub(super) tls: tls::Said,
    /// `check-ssl`
    pub(super) check_tls: bool,
    /// `resolvers NAME`
    resolvers: Option<String>,
}

/// Parameters of `server` that take a value and have no counterpart.
const VALUED: &[(&str, &str)] = &[
    ("check-sni", "the check asks for a TLS hello"),
    ("check-alpn", "the check asks for a TLS hello"),
    ("proto", "HTTP/1.1 to servers"),
    ("addr", "needs \"check\""),
    ("redir", "no redirects by servers"),
    ("track", "needs \"check\""),
    ("source", "say proxy_bind"),
    ("agent-check", "no agents"),
    ("agent-port", "no agents"),
    ("agent-inter", "no agents"),
    ("namespace", "no namespaces"),
];

/// Those that lose little.
const NEARLY: &[(&str, &str)] = &[
    ("minconn", "the limit does not grow with the load"),
    ("maxqueue", "nobody waits"),
    ("observe", "failures of requests are counted anyway"),
    ("error-limit", "say max_fails"),
    ("on-error", "say max_fails"),
    ("on-marked-down", "connections end by themselves"),
    ("on-marked-up", "connections end by themselves"),
    ("resolve-prefer", "both families are asked"),
    ("resolve-opts", "every address is a server"),
    ("pool-max-conn", "say \"keepalive\""),
    ("pool-low-conn", "say \"keepalive\""),
    ("pool-purge-delay", "say \"keepalive_timeout\""),
    ("max-reuse", "say \"keepalive_requests\""),
    ("fastinter", "one interval, up or down"),
    ("downinter", "one interval, up or down"),
    ("error-limit", "say max_fails"),
];

pub(super) fn convert(cx: &mut Cx, proxy: &Proxy<'_>) {
    let mut servers = Vec::new();
    let defaults: Vec<&Line> = proxy.all().filter(|l| l.word(0) == "default-server").collect();
    for line in &defaults {
        cx.account.exact(line, "carried into the servers");
    }
    for line in proxy.own().filter(|l| matches!(l.word(0), "server" | "server-template")) {
        servers.extend(server(cx, line, &defaults));
    }
    let has_servers = !servers.is_empty();
    let method = proxy.last("balance").and_then(|l| balance::line(cx, proxy, l));
    let name = if has_servers { cx.names.make(&proxy.section.name) } else { String::new() };
    let mut accepts = Vec::new();
    let sticky = sessions::convert(cx, proxy, &mut servers, &name, &mut accepts);
    let strict = method
        .as_ref()
        .is_some_and(|m| matches!(m.words.first().map(String::as_str), Some("hash" | "random")));
    let spare =
        cx.can.session_backup || !matches!(sticky.as_ref().map(|s| &s.kind), Some(StickyKind::Session(_)));
    balance::first(cx, proxy, &mut servers, spare);
    let resolver = looked_up(cx, &mut servers, &name);
    let all_backup = servers.iter().all(|s| s.peer.backup);
    for server in &mut servers {
        if server.peer.backup && all_backup {
            server.peer.backup = false;
            cx.account.approximated(server.line, "only spare servers: all are asked, not the first alone");
        } else if server.peer.backup && strict {
            (server.peer.backup, server.peer.down) = (false, true);
            cx.account.approximated(server.line, "this balancer takes no spare servers: it is down");
        }
        if server.peer.drain && sticky.is_none() {
            (server.peer.drain, server.peer.down) = (false, true);
        }
        if strict {
            server.peer.slow_start = None;
        }
        if !server.check {
            // HAProxy takes out only what it checks.
            server.peer.max_fails = Some((0, 10));
        }
    }
    let check = servers.iter().any(|s| s.check);
    let mut lines = Vec::new();
    let secure = towards(cx, &mut servers, &mut lines);
    checks::lines(cx, proxy, check, &mut lines, &servers);
    let redispatch = retries(cx, proxy, &mut lines);
    let mut sticky = sticky;
    if let Some(StickyKind::Session(s)) = sticky.as_mut().map(|s| &mut s.kind) {
        s.fallback = redispatch || check;
    }
    http::location(cx, proxy, &mut lines);
    http::options(cx, proxy);
    if proxy.section.kind == "backend" && proxy.own().any(|l| l.word(0) == "compression") {
        http::compression(cx, proxy, &mut lines);
    }
    if proxy.section.kind == "backend" && proxy.own().any(|l| l.word(0).starts_with("errorloc")) {
        http::error_places(cx, proxy, &mut lines);
    }
    let mut upstream: Vec<Out> =
        extract(&mut lines, |l| l.words.first().is_some_and(|w| w.starts_with("check")));
    let mut conditions = Conditions::new(cx, proxy);
    let changes = Changes::read(cx, proxy, &mut conditions);
    let mut answers = if proxy.section.kind == "backend" {
        frontend::acl_lines(cx, proxy, &mut conditions);
        answers(cx, proxy, &mut conditions)
    } else {
        Vec::new()
    };
    let ends = answers.last().is_some_and(|l| l.inside.is_none());
    if !has_servers || ends {
        if !ends {
            answers.push(Out::new(None, ["return", "503"]));
        }
        conditions.finish(cx);
        cx.backends.insert(proxy.section.name.clone(), answers);
        return;
    }
    lines.splice(0..0, answers);
    let mut lines = changes.on(&lines, true);
    upstream.splice(0..0, accepts);
    upstream.splice(0..0, resolver);
    if let Some(StickyKind::Session(s)) = sticky.as_ref().map(|s| &s.kind)
        && s.hides()
    {
        let words = ["session_sticky_hide_cookie".to_owned(), format!("upstream={name}")];
        lines.push(Out::new(None, words));
    }
    let peers: Vec<(&str, &Peer)> = servers.iter().map(|s| (s.line.word(1), &s.peer)).collect();
    let target = chosen::convert(cx, proxy, &peers, (&name, &upstream), &mut conditions);
    conditions.finish(cx);
    lines.push(Out::new(
        None,
        ["proxy_pass".to_owned(), format!("{}://{target}", if secure { "https" } else { "http" })],
    ));
    cx.model.upstreams.push(Upstream {
        name,
        cite: proxy.section.head.as_ref().map(|h| h.place),
        method,
        sticky,
        peers: servers.into_iter().map(|s| s.peer).collect(),
        lines: upstream,
    });
    cx.backends.insert(proxy.section.name.clone(), lines);
}

/// Whether the servers are spoken to with TLS, and what a location says for that.
fn towards(cx: &Cx, servers: &mut [Server<'_>], lines: &mut Vec<Out>) -> bool {
    for server in servers.iter_mut().filter(|s| cx.verify_none && s.tls.verify.is_none()) {
        server.tls.verify = Some("none".to_owned());
    }
    let Some(first) = servers.iter().find(|s| s.tls.on) else { return false };
    let host = first.peer.address.rsplit_once(':').map(|(host, _)| host.to_owned());
    let host = host.filter(|h| h.parse::<std::net::IpAddr>().is_err() && !h.starts_with(['[', 'u']));
    let (said, line) = (first.tls.clone(), first.line);
    lines.extend(said.towards(cx, line, host.as_deref()));
    for server in servers {
        if !server.tls.on {
            server.peer.down = true;
            cx.account.dropped(
                server.line,
                "without TLS beside servers with it: it is down; say an upstream of its own",
            );
        } else if server.tls != said {
            cx.account.approximated(server.line, "TLS as to the first of the servers");
        }
    }
    true
}

/// What a backend's own rules answer before a server is asked.
fn answers<'a>(cx: &mut Cx, proxy: &Proxy<'a>, conditions: &mut Conditions<'a>) -> Vec<Out> {
    let stages = rules::read(cx, proxy, conditions, false);
    let mut rest = stages.iter().flatten();
    if let (Some(first), None) = (rest.next(), rest.next())
        && first.when == always()
    {
        return first.then.clone().unwrap_or_default();
    }
    let mut out = Vec::new();
    for (cite, head, then) in mapped::chosen(conditions, &stages) {
        let mut inside = then.to_vec();
        inside.retain(|l| rules::fit_if(std::slice::from_ref(l)));
        if let Some(line) = proxy.own().find(|l| Some(l.place) == cite).filter(|_| inside.len() < then.len())
        {
            cx.account.approximated(line, "without the type of its text");
        }
        out.push(Out::block(cite, head, inside));
    }
    out
}

fn extract(lines: &mut Vec<Out>, which: impl Fn(&Out) -> bool) -> Vec<Out> {
    let (taken, left) = std::mem::take(lines).into_iter().partition(|l| which(l));
    *lines = left;
    taken
}

/// The servers whose names are looked up while tenrec runs, and the lines of whom to ask.
fn looked_up(cx: &Cx, servers: &mut [Server<'_>], upstream: &str) -> Vec<Out> {
    let mut out = Vec::new();
    for server in servers {
        let by_service = server.peer.service.is_some();
        let lines = server.resolvers.as_ref().filter(|_| cx.can.resolve);
        let lines = lines.and_then(|name| resolve::lines(&cx.resolvers, name));
        match lines {
            Some(lines) => {
                server.peer.resolve = server.peer.address.parse::<SocketAddr>().is_err();
                if out.is_empty() {
                    out.push(Out::new(
                        None,
                        ["zone".to_owned(), format!("{upstream}_peers"), "1m".to_owned()],
                    ));
                    out.extend(lines);
                }
                if server.peer.resolve {
                    cx.account
                        .approximated(server.line, "each address of the name is a server, not one of them");
                }
            }
            None if by_service => {
                server.peer.service = None;
                server.peer.address.push_str(":80");
                server.peer.down = true;
                cx.account.dropped(
                    server.line,
                    "a service is looked up with \"resolvers\" that name an address; it is down",
                );
            }
            None if server.resolvers.is_some() => {
                cx.account
                    .approximated(server.line, "looked up once, when tenrec starts: nobody is known to ask");
            }
            None => {}
        }
    }
    out
}

fn server<'a>(cx: &Cx, line: &'a Line, defaults: &[&Line]) -> Option<Server<'a>> {
    // `server-template PREFIX NUMBER ADDRESS`
    let template = line.word(0) == "server-template";
    let at = if template { 3 } else { 2 };
    let service = resolve::service(line.word(at));
    let address = match service.map_or_else(|| values::server(line.word(at)), |(host, _)| Ok(host.to_owned()))
    {
        Ok(address) => address,
        Err(why) => {
            cx.account.dropped(line, why);
            return None;
        }
    };
    cx.account.exact(line, "");
    if template {
        let note = "as many servers as the name has addresses, whatever their number";
        cx.account.approximated(line, note);
    }
    let service = service.map(|(_, service)| service.to_owned());
    let peer = Peer { address, cite: Some(line.place), weight: 1, service, ..Peer::default() };
    let mut server = Server {
        line,
        peer,
        cookie: None,
        check: false,
        times: Vec::new(),
        tls: tls::Said::default(),
        check_tls: false,
        resolvers: None,
    };
    for default in defaults {
        parameters(cx, &mut server, default.from(1));
    }
    parameters(cx, &mut server, line.from(at + 1));
    Some(server)
}

fn parameters(cx: &Cx, server: &mut Server<'_>, words: &[String]) {
    let line = server.line;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if server.tls.take(cx, line, word, &mut words, true) {
            continue;
        }
        match word {
            "weight" => match words.next().and_then(|w| w.parse::<u32>().ok()).filter(|n| *n <= 256) {
                Some(0) => {
                    server.peer.drain = true;
                    cx.account.exact(line, "weight 0: those whom a cookie brings, nobody else");
                }
                Some(n) => (server.peer.weight, server.peer.drain) = (n, false),
                None => cx.account.dropped(line, "weight: a number up to 256 is expected"),
            },
            "cookie" => server.cookie = words.next().map(str::to_owned),
            "maxconn" => match words.next().and_then(|w| w.parse().ok()) {
                Some(n) => {
                    server.peer.max_conns = n;
                    if n > 0 {
                        cx.account
                            .approximated(line, "maxconn: past it another server is asked, nobody waits");
                    }
                }
                None => cx.account.dropped(line, "maxconn: a number is expected"),
            },
            "check" => server.check = true,
            "no-check" => server.check = false,
            "backup" => server.peer.backup = true,
            "no-backup" => server.peer.backup = false,
            "disabled" => server.peer.down = true,
            "enabled" => server.peer.down = false,
            "inter" | "rise" | "fall" | "port" => {
                if let Some(value) = words.next() {
                    server.times.push((word.to_owned(), value.to_owned()));
                }
                if !cx.can.check {
                    cx.account.dropped(line, &format!("{word} needs \"check\""));
                }
            }
            "slowstart" => match words.next().and_then(|t| values::time(t, 1)).filter(|ms| *ms < 1 << 31) {
                Some(ms) if cx.can.slow_start => server.peer.slow_start = Some(values::shown(ms)),
                Some(_) => cx.account.dropped(line, "slowstart: no slow start"),
                None => cx.account.dropped(line, "slowstart: a time is expected"),
            },
            "resolvers" => server.resolvers = words.next().map(str::to_owned),
            "init-addr" => {
                let how = words.next().unwrap_or_default();
                cx.account.approximated(
                    line,
                    &format!("init-addr {how}: a name that is looked up need not be known at the start"),
                );
            }
            "id" => {
                words.next();
                cx.account.exact(line, "id: a number for HAProxy's statistics");
            }
            "ssl" | "check-ssl" if !cx.can.proxy_ssl => {
                cx.account.dropped(line, "needs TLS to servers (proxy_ssl)");
            }
            "ssl" => server.tls.on = true,
            "no-ssl" => server.tls.on = false,
            "no-check-ssl" => {}
            "check-ssl" => server.check_tls = true,
            "force-sslv3" | "no-send-proxy" | "no-tls-tickets-for" => {}
            "send-proxy" | "send-proxy-v2" | "send-proxy-v2-ssl" | "check-send-proxy" => {
                cx.account.dropped(line, "the PROXY protocol is not sent");
            }
            nearly if NEARLY.iter().any(|(name, _)| *name == nearly) => {
                words.next();
                let why = NEARLY.iter().find(|(name, _)| *name == nearly).map_or("", |(_, why)| *why);
                cx.account.approximated(line, &format!("{nearly}: {why}"));
            }
            other => match VALUED.iter().find(|(name, _)| *name == other) {
                Some((name, why)) => {
                    words.next();
                    cx.account.dropped(line, &format!("{name}: {why}"));
                }
                None => cx.account.dropped(line, &format!("\"{other}\" is not known")),
            },
        }
    }
}

/// Whether another server is asked when one cannot be connected to.
fn retries(cx: &Cx, proxy: &Proxy<'_>, lines: &mut Vec<Out>) -> bool {
    let redispatch = proxy.option("redispatch").or(proxy.last("redispatch"));
    let retries = proxy.last("retries");
    let on = proxy.last("retry-on");
    let Some(line) = redispatch else {
        lines.push(Out::new(None, ["proxy_next_upstream", "off"]));
        for line in retries.into_iter().chain(on) {
            let zero = line.word(1) == "0" || line.word(1) == "none";
            let class = if zero { Class::Exact } else { Class::Dropped };
            cx.account.mark(
                line,
                class,
                if zero { "" } else { "one server is asked once; say \"option redispatch\"" },
            );
        }
        return false;
    };
    cx.account.approximated(line, "the next server is asked at once, not after the retries on the first");
    let mut words = vec!["proxy_next_upstream", "error", "timeout"];
    if let Some(on) = on {
        let mut lost = Vec::new();
        for word in on.from(1) {
            match word.as_str() {
                "500" => words.push("http_500"),
                "502" => words.push("http_502"),
                "503" => words.push("http_503"),
                "504" => words.push("http_504"),
                "404" => words.push("http_404"),
                "conn-failure" | "empty-response" | "response-timeout" => {}
                "all-retryable-errors" => words.extend(["http_500", "http_502", "http_503", "http_504"]),
                other => lost.push(other),
            }
        }
        if lost.is_empty() {
            cx.account.exact(on, "");
        } else {
            cx.account.dropped(on, &format!("no retry on {}", lost.join(", ")));
        }
    }
    words.dedup();
    lines.push(Out::new(Some(line.place), words));
    if let Some(line) = retries {
        match line.word(1).parse::<u32>() {
            Ok(n) => {
                cx.account.approximated(line, "of other servers; the first try counts here");
                let tries = n.saturating_add(1).to_string();
                lines.push(Out::new(Some(line.place), ["proxy_next_upstream_tries", &tries]));
            }
            Err(_) => cx.account.dropped(line, "a number is expected"),
        }
    }
    true
}
