//! Annotations: how an Ingress wants its requests handled.

use super::super::json::{Node, Value};
use super::super::model::{Cookie, Line};
use super::super::report::Class;
use super::{Cx, at, snippets};

const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// What the annotations of one Ingress say.
#[derive(Default)]
pub(super) struct Settings<'n> {
    pub(super) affinity: Option<&'n Node>,
    pub(super) cookie: Option<Cookie>,
    pub(super) persistent: bool,
    /// Whether a server that fails is left.
    pub(super) change: bool,
    pub(super) method: Option<Line>,
    pub(super) service_upstream: bool,
    pub(super) secure_backend: bool,
    pub(super) regex: bool,
    pub(super) rewrite: Option<(&'n Node, String)>,
    pub(super) aliases: Vec<String>,
    pub(super) app_root: Option<Line>,
    /// A location that answers by itself.
    pub(super) answer: Option<Line>,
    /// Lines of every location, and of the server.
    pub(super) lines: Vec<Line>,
    pub(super) server: Vec<Line>,
    /// Whether, and because of what, requests without TLS are sent away.
    pub(super) tls: Option<bool>,
    pub(super) force_tls: Option<&'n Node>,
    /// `Host` for the servers.
    pub(super) host: Option<String>,
    pub(super) www: Option<&'n Node>,
}

/// The annotations that are one directive with the value as it is; the unit that a bare number needs.
const DIRECT: &[(&str, &str, &str)] = &[
    ("proxy-connect-timeout", "proxy_connect_timeout", "s"),
    ("proxy-read-timeout", "proxy_read_timeout", "s"),
    ("proxy-send-timeout", "proxy_send_timeout", "s"),
    ("proxy-body-size", "client_max_body_size", ""),
    ("client-body-buffer-size", "client_body_buffer_size", ""),
    ("proxy-buffering", "proxy_buffering", ""),
    ("proxy-buffer-size", "proxy_buffer_size", ""),
    ("proxy-max-temp-file-size", "proxy_max_temp_file_size", ""),
    ("proxy-request-buffering", "proxy_request_buffering", ""),
    ("proxy-http-version", "proxy_http_version", ""),
    ("proxy-next-upstream", "proxy_next_upstream", ""),
    ("proxy-next-upstream-timeout", "proxy_next_upstream_timeout", "s"),
    ("proxy-next-upstream-tries", "proxy_next_upstream_tries", ""),
    ("limit-rate", "limit_rate", "k"),
    ("limit-rate-after", "limit_rate_after", "k"),
];

/// What the controller says where no annotation does.
const DEFAULTS: &[(&str, &[&str])] = &[
    ("proxy-connect-timeout", &["proxy_connect_timeout", "5s"]),
    ("proxy-body-size", &["client_max_body_size", "1m"]),
    ("proxy-buffering", &["proxy_buffering", "off"]),
    ("proxy-next-upstream-tries", &["proxy_next_upstream_tries", "3"]),
];

/// Annotations without which somebody would get in who must not.
const GUARDS: &[&str] = &[
    "auth-type",
    "auth-url",
    "auth-tls-secret",
    "auth-tls-verify-client",
    "enable-modsecurity",
    "enable-global-auth",
];

/// Those that stand beside others and are spoken for with them.
const BESIDE: &[&str] = &[
    "session-cookie-name",
    "session-cookie-path",
    "session-cookie-domain",
    "session-cookie-expires",
    "session-cookie-max-age",
    "session-cookie-samesite",
    "session-cookie-secure",
    "session-cookie-change-on-failure",
    "affinity-mode",
    "affinity-canary-behavior",
    "permanent-redirect-code",
    "temporal-redirect-code",
];

pub(super) fn read<'n>(cx: &mut Cx<'n>, ingress: &'n Node) -> Settings<'n> {
    let mut out = Settings { change: false, ..Settings::default() };
    let Some(all) = at(ingress, &["metadata", "annotations"]) else {
        out.lines.extend(DEFAULTS.iter().map(|(_, words)| Line::new(None, words.iter().copied())));
        return out;
    };
    let of = |name: &str| {
        all.fields()
            .iter()
            .find(|(k, _)| k.strip_prefix(PREFIX) == Some(name))
            .and_then(|(_, n)| text(n).map(|t| (n, t)))
    };
    for (name, words) in DEFAULTS {
        if of(name).is_none() {
            out.lines.push(Line::new(None, words.iter().copied()));
        }
    }
    for (key, node) in all.fields() {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let Some(value) = text(node) else {
            cx.ledger.drop_all(node, "a text is expected here");
            continue;
        };
        one(cx, &mut out, name, node, value, &of);
    }
    out.aliases.sort();
    out.aliases.dedup();
    out
}

pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(t) | Value::Number(t) => Some(t),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        _ => None,
    }
}

fn one<'n>(
    cx: &mut Cx<'n>,
    out: &mut Settings<'n>,
    name: &str,
    node: &'n Node,
    value: &'n str,
    of: &impl Fn(&str) -> Option<(&'n Node, &'n str)>,
) {
    let cite = Some(node.place);
    let yes = value == "true";
    if let Some((_, directive, unit)) = DIRECT.iter().find(|(n, ..)| *n == name) {
        return direct(cx, out, node, value, directive, unit);
    }
    if GUARDS.contains(&name) && !matches!(value, "false" | "off" | "") {
        cx.ledger.dropped(node, "nobody gets in until you say who may");
        out.lines.push(Line::new(cite, ["deny", "all"]));
        return;
    }
    match name {
        _ if BESIDE.contains(&name) => {
            if of("affinity").is_none() && name.starts_with("session-cookie") {
                cx.ledger.exact(node, "without \"affinity: cookie\" it says nothing");
            }
        }
        "affinity" if value == "cookie" => affinity(cx, out, node, of),
        "affinity" => cx.ledger.dropped(node, "cookie is expected"),
        "upstream-hash-by" => {
            if value.is_empty() || value.contains(['\n', '\r']) {
                return cx.ledger.dropped(node, "this cannot be a key");
            }
            cx.ledger.approximated(
                node,
                "another ring than the controller's: each client changes its server once",
            );
            out.method = Some(Line::new(cite, ["hash", value, "consistent"]));
        }
        "load-balance" => match value {
            "round_robin" => cx.ledger.exact(node, ""),
            "ewma" if out.method.is_none() => {
                let words: &[&str] =
                    if cx.can.least_time { &["least_time", "header"] } else { &["least_conn"] };
                cx.ledger.approximated(node, "the least loaded server, measured otherwise");
                out.method = Some(Line::new(cite, words.iter().copied()));
            }
            "least_conn" if out.method.is_none() => {
                cx.ledger.exact(node, "");
                out.method = Some(Line::new(cite, ["least_conn"]));
            }
            "ip_hash" if out.method.is_none() => {
                cx.ledger.exact(node, "");
                out.method = Some(Line::new(cite, ["ip_hash"]));
            }
            _ => cx.ledger.dropped(node, "no such balancer here, or another one is said"),
        },
        "rewrite-target" if !value.contains(['\n', '\r']) => {
            cx.ledger.exact(node, "");
            out.rewrite = Some((node, value.to_owned()));
        }
        "use-regex" => {
            cx.ledger.exact(node, "");
            out.regex = yes;
        }
        "app-root" if value.starts_with('/') => {
            cx.ledger.exact(node, "");
            out.app_root = Some(Line::new(
                cite,
                ["return".to_owned(), "302".to_owned(), format!("$scheme://$http_host{value}")],
            ));
        }
        "whitelist-source-range" | "allowlist-source-range" => {
            let nets: Vec<&str> = value.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
            let bad = nets.iter().any(|n| crate::values::cidr(n.as_bytes()).is_none());
            if bad {
                cx.ledger
                    .dropped(node, "not all of these are networks: nobody gets in until you say who may");
            } else {
                cx.ledger.exact(node, "");
                out.lines.extend(nets.iter().map(|n| Line::new(cite, ["allow", n])));
            }
            out.lines.push(Line::new(cite, ["deny", "all"]));
        }
        "denylist-source-range" => {
            let nets: Vec<&str> = value.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
            if nets.iter().any(|n| crate::values::cidr(n.as_bytes()).is_none()) {
                cx.ledger
                    .dropped(node, "not all of these are networks: nobody gets in until you say who may");
                out.lines.push(Line::new(cite, ["deny", "all"]));
            } else {
                cx.ledger.exact(node, "");
                // Before the lines that let others in.
                out.lines.splice(0..0, nets.iter().map(|n| Line::new(cite, ["deny", n])));
            }
        }
        "ssl-redirect" => {
            cx.ledger.exact(node, "");
            out.tls = Some(yes);
        }
        "force-ssl-redirect" => {
            cx.ledger.exact(node, "");
            out.force_tls = yes.then_some(node);
        }
        "permanent-redirect" | "temporal-redirect" if !value.contains(['\n', '\r', ' ']) => {
            let (default, code) = if name.starts_with('p') {
                ("301", of("permanent-redirect-code"))
            } else {
                ("302", of("temporal-redirect-code"))
            };
            let status = code.map_or(default, |(_, c)| c);
            let known = matches!(status, "301" | "302" | "303" | "307" | "308");
            if let Some((n, _)) = code {
                let class = if known { Class::Exact } else { Class::Dropped };
                cx.ledger.mark(n, class, if known { "" } else { "a status of a redirect is expected" });
            }
            cx.ledger.exact(node, "");
            out.answer = Some(Line::new(cite, ["return", if known { status } else { default }, value]));
        }
        "server-alias" => {
            for alias in value.split([',', ' ']).map(str::trim).filter(|a| !a.is_empty()) {
                if alias.bytes().all(|b| b.is_ascii_alphanumeric() || b"*.-_".contains(&b)) {
                    cx.ledger.exact(node, "");
                    out.aliases.push(alias.to_owned());
                } else {
                    cx.ledger.dropped(node, &*format!("\"{alias}\" cannot be a server's name"));
                }
            }
        }
        "upstream-vhost" if !value.is_empty() && !value.contains(['\n', '\r']) => {
            cx.ledger.exact(node, "");
            out.host = Some(value.to_owned());
        }
        "x-forwarded-prefix" if !value.contains(['\n', '\r']) => {
            cx.ledger.exact(node, "");
            out.lines.push(Line::new(cite, ["proxy_set_header", "X-Forwarded-Prefix", value]));
        }
        "service-upstream" => {
            cx.ledger.exact(node, "");
            out.service_upstream = yes;
        }
        "backend-protocol" => match value.to_ascii_uppercase().as_str() {
            "HTTP" | "AUTO_HTTP" => cx.ledger.exact(node, ""),
            "HTTPS" if cx.can.proxy_ssl => {
                cx.ledger.exact(node, "");
                out.secure_backend = true;
            }
            _ => {
                cx.ledger.dropped(node, "only HTTP to the servers: 502");
                out.answer = Some(Line::new(cite, ["return", "502"]));
            }
        },
        "from-to-www-redirect" => {
            cx.ledger.exact(node, "");
            out.www = yes.then_some(node);
        }
        "proxy-cookie-domain" | "proxy-cookie-path" => {
            let directive = name.replace('-', "_");
            let words: Vec<&str> = value.split_whitespace().collect();
            if value == "off" || words.len() == 2 {
                cx.ledger.exact(node, "");
                out.lines.push(Line::new(cite, std::iter::once(directive.as_str()).chain(words)));
            } else {
                cx.ledger.dropped(node, "two words are expected");
            }
        }
        "proxy-buffers-number" => match value.parse::<u32>().ok().filter(|n| *n > 1) {
            Some(_) => {
                let size = of("proxy-buffer-size").map_or("4k", |(_, s)| s);
                cx.ledger.exact(node, "");
                out.lines.push(Line::new(cite, ["proxy_buffers", value, size]));
            }
            None => cx.ledger.dropped(node, "a number of 2 and more is expected"),
        },
        "enable-access-log" | "enable-rewrite-log" | "enable-opentelemetry" | "enable-opentracing" => {
            cx.ledger.exact(node, "logs are this machine's matter");
        }
        "configuration-snippet" | "server-snippet" => match snippets::lines(value, node.place) {
            Ok(lines) => {
                let note = "as written; what tenrec refuses of it is told";
                cx.ledger.approximated(node, note);
                if name.starts_with('s') { out.server.extend(lines) } else { out.lines.extend(lines) }
            }
            Err(why) => cx.ledger.dropped(node, &*why),
        },
        _ if name.starts_with("canary") => {}
        _ if matches!(value, "false" | "") => cx.ledger.exact(node, "it is off"),
        _ if name.starts_with("limit-") => cx.ledger.dropped(node, "needs limit_req and limit_conn"),
        _ if name.contains("cors") => cx.ledger.dropped(node, "say the headers of CORS with add_header"),
        _ => cx.ledger.mark(node, Class::Dropped, "no counterpart"),
    }
}

fn direct(cx: &mut Cx<'_>, out: &mut Settings<'_>, node: &Node, value: &str, directive: &str, unit: &str) {
    let number = value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty();
    let words: Vec<String> = if number {
        vec![format!("{value}{}", if value == "0" { "" } else { unit })]
    } else {
        value.split_whitespace().map(str::to_owned).collect()
    };
    if words.is_empty() {
        return cx.ledger.dropped(node, "a value is expected");
    }
    cx.ledger.exact(node, "");
    out.lines.push(Line::new(Some(node.place), std::iter::once(directive.to_owned()).chain(words)));
}

fn affinity<'n>(
    cx: &mut Cx<'n>,
    out: &mut Settings<'n>,
    node: &'n Node,
    of: &impl Fn(&str) -> Option<(&'n Node, &'n str)>,
) {
    out.affinity = Some(node);
    cx.ledger.exact(node, "");
    let plain =
        |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic() && !br#"$;,"'\{}="#.contains(&b));
    let mut cookie = Cookie {
        name: "INGRESSCOOKIE".to_owned(),
        path: Some("/".to_owned()),
        httponly: true,
        ..Cookie::default()
    };
    if let Some((n, name)) = of("session-cookie-name") {
        if plain(name) {
            cx.ledger.exact(n, "");
            cookie.name = name.to_owned();
        } else {
            cx.ledger.dropped(n, "this cannot be the name of a cookie");
        }
    }
    match of("session-cookie-path") {
        Some((n, path)) if plain(path) => {
            cx.ledger.exact(n, "");
            cookie.path = Some(path.to_owned());
        }
        Some((n, _)) => cx.ledger.dropped(n, "this cannot be the path of a cookie"),
        None => cx.ledger.approximated(node, "the cookie's path is \"/\", not the path of the rule"),
    }
    if let Some((n, domain)) = of("session-cookie-domain") {
        if plain(domain) {
            cx.ledger.exact(n, "");
            cookie.domain = Some(domain.to_owned());
        } else {
            cx.ledger.dropped(n, "this cannot be the domain of a cookie");
        }
    }
    let (age, expires) = (of("session-cookie-max-age"), of("session-cookie-expires"));
    for (n, value) in [expires, age].into_iter().flatten() {
        match value.parse::<u32>().ok().filter(|s| *s > 0) {
            Some(seconds) => {
                cx.ledger.exact(n, "");
                cookie.expires = Some(format!("{seconds}s"));
            }
            None => cx.ledger.dropped(n, "a number of seconds is expected"),
        }
    }
    if let (Some((n, a)), Some((_, e))) = (expires, age)
        && a != e
    {
        cx.ledger.approximated(n, "both ends are those of max-age");
    }
    if let Some((n, samesite)) = of("session-cookie-samesite") {
        let lower = samesite.to_ascii_lowercase();
        if ["strict", "lax", "none"].contains(&lower.as_str()) {
            cx.ledger.exact(n, "");
            cookie.samesite = Some(lower);
        } else {
            cx.ledger.dropped(n, "Strict, Lax or None is expected");
        }
    }
    match of("session-cookie-secure") {
        Some((n, value)) => {
            cx.ledger.exact(n, "");
            cookie.secure = value == "true";
        }
        None => cookie.secure = cookie.samesite.as_deref() == Some("none"),
    }
    if let Some((n, value)) = of("session-cookie-change-on-failure") {
        out.change = value == "true";
        if out.change {
            cx.ledger.exact(n, "");
        } else {
            cx.ledger.approximated(n, "a pod that fails is left; the controller asks it again");
        }
    }
    if let Some((n, mode)) = of("affinity-mode") {
        out.persistent = mode == "persistent";
        if matches!(mode, "persistent" | "balanced") {
            cx.ledger.exact(n, "")
        } else {
            cx.ledger.dropped(n, "balanced or persistent is expected")
        }
    }
    if let Some((n, mode)) = of("affinity-canary-behavior") {
        if mode == "legacy" {
            cx.ledger.exact(n, "")
        } else {
            cx.ledger.dropped(n, "who goes to the canary is chosen for each request")
        }
    }
    if !out.persistent {
        cx.ledger.approximated(node, "the cookie comes with every answer, not only with the first");
    }
    out.cookie = Some(cookie);
}
