//! Servers, the balancer, and what a location says that leads there.

use super::super::model::{Line as Out, Peer, StickyKind, Upstream};
use super::super::report::Class;
use super::changes::Changes;
use super::condition::{Conditions, always};
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, frontend, http, mapped, rules, sessions, values};

/// A server of HAProxy's with what the sessions need of it.
pub(super) struct Server<'a> {
    pub(super) line: &'a Line,
    pub(super) peer: Peer,
    /// `cookie V`
    pub(super) cookie: Option<String>,
    pub(super) check: bool,
    /// `inter`, `rise`, `fall`, `port` as said, the defaults' first.
    times: Vec<(String, String)>,
}

/// Parameters of `server` that take a value and have no counterpart.
const VALUED: &[(&str, &str)] = &[
    ("minconn", "no queue that grows with the load"),
    ("maxqueue", "no queue"),
    ("verify", "needs proxy_ssl"),
    ("sni", "needs proxy_ssl"),
    ("ca-file", "needs proxy_ssl"),
    ("crl-file", "needs proxy_ssl"),
    ("crt", "needs proxy_ssl"),
    ("alpn", "HTTP/1.1 to servers"),
    ("proto", "HTTP/1.1 to servers"),
    ("addr", "needs \"check\""),
    ("observe", "failures are always counted"),
    ("error-limit", "say max_fails"),
    ("on-error", "say max_fails"),
    ("on-marked-down", "connections end by themselves"),
    ("on-marked-up", "connections end by themselves"),
    ("redir", "no redirects by servers"),
    ("track", "needs \"check\""),
    ("source", "say proxy_bind"),
    ("resolvers", "names are looked up once"),
    ("init-addr", "names are looked up once"),
    ("resolve-prefer", "names are looked up once"),
    ("agent-check", "no agents"),
    ("agent-port", "no agents"),
    ("agent-inter", "no agents"),
    ("pool-max-conn", "say \"keepalive\""),
    ("pool-purge-delay", "say \"keepalive_timeout\""),
    ("namespace", "no namespaces"),
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
    let method = proxy.last("balance").and_then(|l| balance(cx, proxy, l));
    let name = if has_servers { cx.names.make(&proxy.section.name) } else { String::new() };
    let mut accepts = Vec::new();
    let sticky = sessions::convert(cx, proxy, &mut servers, &name, &mut accepts);
    let strict = method
        .as_ref()
        .is_some_and(|m| matches!(m.words.first().map(String::as_str), Some("hash" | "random")));
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
    checks(cx, proxy, check, &mut lines, &servers);
    let redispatch = retries(cx, proxy, &mut lines);
    let mut sticky = sticky;
    if let Some(StickyKind::Session(s)) = sticky.as_mut().map(|s| &mut s.kind) {
        s.fallback = redispatch || check;
    }
    http::location(cx, proxy, &mut lines);
    http::options(cx, proxy);
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
    conditions.finish(cx);
    upstream.splice(0..0, accepts);
    if let Some(StickyKind::Session(s)) = sticky.as_ref().map(|s| &s.kind)
        && s.hides()
    {
        let words = ["session_sticky_hide_cookie".to_owned(), format!("upstream={name}")];
        lines.push(Out::new(None, words));
    }
    lines.push(Out::new(None, ["proxy_pass".to_owned(), format!("http://{name}")]));
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

fn server<'a>(cx: &Cx, line: &'a Line, defaults: &[&Line]) -> Option<Server<'a>> {
    if line.word(0) == "server-template" {
        cx.account.dropped(line, "a number of servers by one name: write them out");
        return None;
    }
    let address = match values::server(line.word(2)) {
        Ok(address) => address,
        Err(why) => {
            cx.account.dropped(line, why);
            return None;
        }
    };
    cx.account.exact(line, "");
    let peer = Peer { address, cite: Some(line.place), weight: 1, ..Peer::default() };
    let mut server = Server { line, peer, cookie: None, check: false, times: Vec::new() };
    for default in defaults {
        parameters(cx, &mut server, default.from(1));
    }
    parameters(cx, &mut server, line.from(3));
    Some(server)
}

fn parameters(cx: &Cx, server: &mut Server<'_>, words: &[String]) {
    let line = server.line;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
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
            "inter" | "fastinter" | "downinter" | "rise" | "fall" | "port" => {
                if let Some(value) = words.next() {
                    server.times.push((word.to_owned(), value.to_owned()));
                }
                if !cx.can.check || matches!(word, "fastinter" | "downinter") {
                    cx.account.dropped(line, &format!("{word} needs \"check\""));
                }
            }
            "slowstart" => match words.next().and_then(|t| values::time(t, 1)).filter(|ms| *ms < 1 << 31) {
                Some(ms) if cx.can.slow_start => server.peer.slow_start = Some(values::shown(ms)),
                Some(_) => cx.account.dropped(line, "slowstart: no slow start"),
                None => cx.account.dropped(line, "slowstart: a time is expected"),
            },
            "id" => {
                words.next();
                cx.account.exact(line, "id: a number for HAProxy's statistics");
            }
            "ssl" | "check-ssl" => cx.account.dropped(line, "needs TLS to servers (proxy_ssl)"),
            "send-proxy" | "send-proxy-v2" | "send-proxy-v2-ssl" | "check-send-proxy" => {
                cx.account.dropped(line, "the PROXY protocol is not sent");
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

fn balance(cx: &Cx, proxy: &Proxy<'_>, line: &Line) -> Option<Out> {
    let cite = Some(line.place);
    let out = |words: &[&str]| Some(Out::new(cite, words.iter().copied()));
    let hashed = |key: &str, note: &str| {
        let kind = proxy.last("hash-type");
        let consistent = kind.is_some_and(|l| l.word(1) == "consistent");
        if let Some(kind) = kind {
            cx.account.approximated(kind, "another hash than HAProxy's");
        }
        cx.account.approximated(
            line,
            &format!("{note}another hash than HAProxy's: each client changes its server once"),
        );
        let words = ["hash", key].into_iter().chain(consistent.then_some("consistent"));
        Some(Out::new(cite, words))
    };
    let algorithm = line.word(1);
    let (name, inside) =
        algorithm.split_once('(').map_or((algorithm, ""), |(n, r)| (n, r.trim_end_matches(')')));
    match name {
        "roundrobin" => {
            cx.account.exact(line, "");
            None
        }
        "static-rr" => {
            cx.account.exact(line, "round robin");
            None
        }
        "leastconn" => {
            cx.account.exact(line, "");
            out(&["least_conn"])
        }
        "random" if matches!(inside, "" | "2") => {
            cx.account.exact(line, "");
            out(&["random", "two", "least_conn"])
        }
        "random" => {
            cx.account.approximated(line, "two draws at most");
            if inside == "1" { out(&["random"]) } else { out(&["random", "two", "least_conn"]) }
        }
        "source" => hashed("$remote_addr", ""),
        "uri" if line.word(2) == "whole" => hashed("$request_uri", ""),
        "uri" => {
            if line.words.len() > 2 {
                cx.account.dropped(line, "len, depth: the whole path is hashed");
            }
            hashed("$uri", "the path after its escapes are resolved; ")
        }
        "url_param" => match values::sample(&format!("urlp({})", line.word(2))) {
            Some(key) => {
                if line.words.len() > 3 {
                    cx.account.dropped(line, "check_post: bodies are not looked into");
                }
                hashed(&key, "")
            }
            None => {
                cx.account.dropped(line, "no variable has this parameter");
                None
            }
        },
        "hdr" => match values::sample(&format!("hdr({inside})")) {
            Some(key) => {
                if line.words.len() > 2 {
                    cx.account.dropped(line, "use_domain_only: the whole header is hashed");
                }
                hashed(&key, "")
            }
            None => {
                cx.account.dropped(line, "no variable has this header");
                None
            }
        },
        "hash" => match values::sample(line.word(2)) {
            Some(key) => hashed(&key, ""),
            None => {
                cx.account.dropped(line, "no variable has this sample");
                None
            }
        },
        _ => {
            cx.account.dropped(line, "no such balancer here; round robin");
            None
        }
    }
}

fn checks(cx: &Cx, proxy: &Proxy<'_>, check: bool, lines: &mut Vec<Out>, servers: &[Server<'_>]) {
    let http = proxy.option("httpchk");
    if !check {
        if let Some(line) = http {
            cx.account.exact(line, "no server is checked");
        }
        return;
    }
    let checked = servers.iter().find(|s| s.check);
    let Some(first) = checked else { return };
    let after = |name: &str| first.times.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v);
    let number = |name: &str, default: u64| after(name).and_then(|w| w.parse().ok()).unwrap_or(default);
    let inter = after("inter").and_then(|w| values::time(w, 1)).unwrap_or(2000);
    let timeout = proxy.timeout("check");
    let wait = timeout.and_then(|l| values::time(l.word(2), 1)).unwrap_or(inter);
    let cite = Some(first.line.place);
    let words = [
        "check".to_owned(),
        format!("interval={inter}"),
        format!("rise={}", number("rise", 2)),
        format!("fall={}", number("fall", 3)),
        format!("timeout={wait}"),
        // Servers are up until a check says otherwise.
        "default_down=false".to_owned(),
        format!("type={}", if http.is_some() { "http" } else { "tcp" }),
    ];
    let port = after("port").filter(|p| p.parse::<u16>().is_ok_and(|p| p > 0)).map(|p| format!("port={p}"));
    lines.push(Out::new(cite, words.into_iter().chain(port)).needs(cx.can.check, "check"));
    let mut said: Vec<&Line> = servers.iter().filter(|s| s.check).map(|s| s.line).collect();
    if let Some(line) = http {
        let (mut method, mut uri, mut version) = match line.from(2) {
            [] => ("OPTIONS", "/", "HTTP/1.0".to_owned()),
            [uri] => ("OPTIONS", uri.as_str(), "HTTP/1.0".to_owned()),
            [method, uri] => (method.as_str(), uri.as_str(), "HTTP/1.0".to_owned()),
            [method, uri, version @ ..] => (method.as_str(), uri.as_str(), version.join(" ")),
        };
        let mut fields = String::new();
        let mut classes: Vec<&str> = vec!["http_2xx", "http_3xx"];
        for step in proxy.all().filter(|l| l.word(0) == "http-check") {
            let words = step.from(2);
            let after = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1));
            match step.word(1) {
                "send" => {
                    method = after("meth").map_or(method, String::as_str);
                    uri = after("uri").map_or(uri, String::as_str);
                    if let Some(said) = after("ver") {
                        version.clone_from(said);
                    }
                    for (i, _) in words.iter().enumerate().filter(|(_, w)| *w == "hdr") {
                        if let (Some(name), Some(value)) = (words.get(i + 1), words.get(i + 2)) {
                            fields.push_str(&format!("{name}: {value}\r\n"));
                        }
                    }
                    if after("body").is_some() {
                        cx.account.dropped(step, "body: a check has none");
                    }
                    said.push(step);
                }
                "expect" => {
                    let (no, rest) = match words.first().map(String::as_str) {
                        Some("!") => (true, words.get(1..).unwrap_or_default()),
                        _ => (false, words),
                    };
                    let kind = rest.first().map(String::as_str);
                    let text = rest.get(1).map_or("", String::as_str);
                    if matches!(kind, Some("status" | "rstatus")) {
                        const ALL: [(char, &str); 4] =
                            [('2', "http_2xx"), ('3', "http_3xx"), ('4', "http_4xx"), ('5', "http_5xx")];
                        let is = |c: char| {
                            text.split([',', '-'])
                                .any(|w| w.trim_start_matches(['^', '(', '[']).starts_with(c))
                        };
                        let some: Vec<&str> =
                            ALL.iter().filter(|(c, _)| is(*c) != no).map(|(_, n)| *n).collect();
                        if !some.is_empty() {
                            classes = some;
                        }
                        cx.account.approximated(step, "whole classes of statuses");
                        said.push(step);
                    } else {
                        cx.account.dropped(step, "checks look at the status only");
                    }
                }
                "disable-on-404" => cx.account.dropped(step, "say \"drain=404\" in the check"),
                _ => cx.account.dropped(step, "a check is one request"),
            }
        }
        let close = if version.ends_with("1.1") && fields.is_empty() { "Host: localhost\r\n" } else { "" };
        let send = format!("{method} {uri} {version}\r\n{close}{fields}Connection: close\r\n\r\n");
        let send = Out::new(Some(line.place), ["check_http_send", &send]);
        lines.push(send.needs(cx.can.check, "check"));
        let alive = std::iter::once("check_http_expect_alive").chain(classes);
        lines.push(Out::new(Some(line.place), alive).needs(cx.can.check, "check"));
        said.push(line);
    }
    said.extend(timeout);
    for line in said {
        if cx.can.check {
            cx.account.approximated(line, "one check for all servers of the upstream");
        } else {
            cx.account.dropped(line, "needs \"check\"; failures of requests take a server out for 10 s");
        }
    }
    let unused = |l: &&Line| l.word(0) == "tcp-check" || (l.word(0) == "http-check" && http.is_none());
    for line in proxy.all().filter(unused) {
        cx.account.dropped(line, "a check is one request");
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
