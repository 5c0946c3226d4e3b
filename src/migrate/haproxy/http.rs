//! Headers, timeouts and options.

use super::super::model::Line as Out;
use super::super::report::Class;
use super::dispatch::Dispatch;
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, values};

/// What a location says that leads to a backend, or what a server says for a frontend.
pub(super) fn location(cx: &Cx, proxy: &Proxy<'_>, lines: &mut Vec<Out>) {
    let kind = proxy.section.kind.as_str();
    if kind != "frontend" {
        lines.push(Out::new(None, ["proxy_set_header", "Host", "$http_host"]));
        time(cx, proxy, "connect", &["proxy_connect_timeout"], Class::Exact, "", lines);
        let note = "between two reads from the server";
        time(cx, proxy, "server", &["proxy_read_timeout", "proxy_send_timeout"], Class::Exact, note, lines);
    }
    headers(cx, proxy, lines);
}

/// Timeouts towards the client.
pub(super) fn client(cx: &Cx, proxy: &Proxy<'_>, lines: &mut Vec<Out>) {
    let note = "between two reads of a body and two writes";
    time(cx, proxy, "client", &["client_body_timeout", "send_timeout"], Class::Approximated, note, lines);
    time(cx, proxy, "http-request", &["client_header_timeout"], Class::Exact, "", lines);
    time(cx, proxy, "http-keep-alive", &["keepalive_timeout"], Class::Exact, "", lines);
}

fn time(
    cx: &Cx,
    proxy: &Proxy<'_>,
    name: &str,
    names: &[&str],
    class: Class,
    note: &str,
    lines: &mut Vec<Out>,
) {
    let Some(line) = proxy.timeout(name) else { return };
    // nginx's times end at 2^31 milliseconds, some of them earlier.
    match values::time(line.word(2), 1).filter(|ms| *ms < 1 << 31) {
        Some(ms) => {
            cx.account.mark(line, class, note);
            for name in names {
                lines.push(Out::new(Some(line.place), [(*name).to_owned(), values::shown(ms)]));
            }
        }
        None => cx.account.dropped(line, "this is no time below 24 days"),
    }
}

fn headers(cx: &Cx, proxy: &Proxy<'_>, lines: &mut Vec<Out>) {
    if let Some(line) = proxy.option("forwardfor") {
        let words = line.from(2);
        let after = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1));
        let header = after("header").map_or("X-Forwarded-For", String::as_str);
        let set = words.iter().any(|w| w == "if-none");
        if proxy.section.kind == "frontend" || !is_name(header) {
            if !is_name(header) {
                cx.account.dropped(line, "this is no header's name");
            }
        } else {
            let value = if header.eq_ignore_ascii_case("x-forwarded-for") {
                "$proxy_add_x_forwarded_for"
            } else {
                "$remote_addr"
            };
            lines.push(Out::new(Some(line.place), ["proxy_set_header", header, value]));
            let note = "the address is added to the header's line, not as a second line";
            cx.account.approximated(line, note);
            if set {
                cx.account.dropped(line, "if-none: the address is added to what is there");
            }
            if after("except").is_some() {
                cx.account.dropped(line, "except: the address is added for all clients");
            }
        }
    }
    for line in proxy.own() {
        let (rule, action) = (line.word(0), line.word(1));
        let condition = line.words.iter().any(|w| matches!(w.as_str(), "if" | "unless"));
        match (rule, action) {
            ("http-request" | "http-response", _)
                if condition && action.ends_with("-header") && proxy.section.kind != "frontend" =>
            {
                cx.account.dropped(line, "a header on a condition is read in frontends");
            }
            ("http-request", "set-header") if proxy.section.kind != "frontend" => {
                let (name, value) = (line.word(2), values::format(line.word(3)));
                match value.filter(|v| is_name(name) && !v.is_empty()) {
                    Some(value) => {
                        cx.account.exact(line, "");
                        let old = |l: &Out| {
                            let is = |i: usize, word: &str| {
                                l.words.get(i).is_some_and(|w| w.eq_ignore_ascii_case(word))
                            };
                            is(0, "proxy_set_header") && is(1, name)
                        };
                        lines.retain(|l| !old(l));
                        lines.push(Out::new(Some(line.place), ["proxy_set_header", name, &value]));
                    }
                    None => cx.account.dropped(line, "no variable has this"),
                }
            }
            ("http-request", "del-header") if proxy.section.kind != "frontend" && is_name(line.word(2)) => {
                cx.account.exact(line, "");
                lines.push(Out::new(Some(line.place), ["proxy_set_header", line.word(2), ""]));
            }
            ("http-response", "del-header") if proxy.section.kind != "frontend" && is_name(line.word(2)) => {
                cx.account.exact(line, "");
                lines.push(Out::new(Some(line.place), ["proxy_hide_header", line.word(2)]));
            }
            ("http-response", "set-header" | "add-header") if proxy.section.kind != "frontend" => {
                let (name, value) = (line.word(2), values::format(line.word(3)));
                match value.filter(|v| is_name(name) && !v.is_empty()) {
                    Some(value) => {
                        if action == "set-header" {
                            lines.push(Out::new(Some(line.place), ["proxy_hide_header", name]));
                        }
                        cx.account.exact(line, "");
                        lines.push(Out::new(Some(line.place), ["add_header", name, &value, "always"]));
                    }
                    None => cx.account.dropped(line, "no variable has this"),
                }
            }
            ("http-request" | "http-response", word)
                if word.ends_with("-header") && proxy.section.kind == "frontend" => {}
            ("http-request" | "http-response", word) if word.ends_with("-header") => {
                cx.account.dropped(line, "no counterpart, or no header's name");
            }
            _ => {}
        }
    }
}

/// The headers that a frontend sets, for the places that it leads to.
pub(super) struct Headers<'a> {
    /// With the line that says it.
    lines: Vec<(&'a Line, Out)>,
}

impl<'a> Headers<'a> {
    pub(super) fn read(cx: &mut Cx, proxy: &Proxy<'a>) -> Self {
        let mut out = Self { lines: Vec::new() };
        if proxy.section.kind != "frontend" {
            return out;
        }
        let mut dispatch = Dispatch::new(proxy, &format!("{}_headers", proxy.section.name));
        for (i, line) in proxy.own().filter(|l| l.word(1).ends_with("-header")).enumerate() {
            let (rule, action, name) = (line.word(0), line.word(1), line.word(2));
            let value = values::format(line.word(3)).filter(|v| !v.is_empty());
            let value = if action == "del-header" { Some(String::new()) } else { value };
            let Some(value) = value.filter(|_| is_name(name)) else {
                cx.account.dropped(line, "no variable has this");
                continue;
            };
            let words = super::frontend::condition(line);
            let conditional = !words.is_empty();
            let value = if conditional {
                let field = name.to_ascii_lowercase().replace('-', "_");
                let own = match (rule, action) {
                    ("http-request", "set-header" | "del-header") => format!("$http_{field}"),
                    ("http-response", "add-header") => String::new(),
                    _ => {
                        cx.account.dropped(line, "this on a condition has no counterpart");
                        continue;
                    }
                };
                let step = format!("value{i}");
                match dispatch.condition(words) {
                    Ok(any) => {
                        cx.account.exact(line, "");
                        let maps = dispatch.maps(&step, &[(any, value)], &own);
                        cx.model.http.extend(maps);
                    }
                    Err(why) => {
                        cx.account.dropped(line, why);
                        continue;
                    }
                }
                dispatch.variable(&step)
            } else {
                cx.account.exact(line, "");
                value
            };
            let cite = Some(line.place);
            match (rule, action) {
                ("http-request", "set-header" | "del-header") => {
                    out.lines.push((line, Out::new(cite, ["proxy_set_header", name, &value])));
                }
                ("http-response", "del-header") => {
                    out.lines.push((line, Out::new(cite, ["proxy_hide_header", name])))
                }
                ("http-response", "set-header" | "add-header") => {
                    if action == "set-header" {
                        out.lines.push((line, Out::new(cite, ["proxy_hide_header", name])));
                    }
                    out.lines.push((line, Out::new(cite, ["add_header", name, &value, "always"])));
                }
                _ => cx.account.dropped(line, "no counterpart"),
            }
        }
        // Before the maps that use them: nginx does not mind, a reader does.
        let asked = dispatch.asked();
        cx.model.http.splice(0..0, asked);
        out
    }

    /// The lines of a location with the headers; what the backend says itself comes later and holds.
    pub(super) fn on(&self, lines: &[Out]) -> Vec<Out> {
        if !lines.iter().any(|l| l.words.first().is_some_and(|w| w == "proxy_pass")) {
            return lines.to_vec();
        }
        let same = |a: &Out, b: &Out| {
            let is = |i: usize| match (a.words.get(i), b.words.get(i)) {
                (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                _ => false,
            };
            is(0) && is(1) && a.words.first().is_some_and(|w| w != "add_header")
        };
        let mut out: Vec<Out> = lines.to_vec();
        for (_, line) in &self.lines {
            let own = lines.iter().find(|l| same(l, line));
            // The Host that is passed on by itself gives way.
            let default = own.is_some_and(|l| l.cite.is_none());
            if own.is_none() || default {
                out.retain(|l| !same(l, line) || l.cite.is_some());
                out.insert(out.len().saturating_sub(1), line.clone());
            }
        }
        out
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Lines that need nothing, or that nothing here can do.
pub(super) fn options(cx: &Cx, proxy: &Proxy<'_>) {
    const NOTHING: &[(&str, &str)] = &[
        ("http-keep-alive", "kept connections are the default"),
        ("httplog", "the form of a log that has no counterpart here"),
        ("tcplog", "the form of a log that has no counterpart here"),
        ("dontlognull", "connections without a request are not logged"),
        ("abortonclose", "a request whose client has gone is given up"),
        ("http-use-htx", "a matter of HAProxy's inside"),
        ("splice-auto", "a matter of HAProxy's inside"),
        ("clitcpka", "say \"listen … so_keepalive=on\" if it matters"),
        ("tcpka", "say \"proxy_socket_keepalive on\" if it matters"),
    ];
    for line in proxy.all() {
        match (line.word(0), line.word(1)) {
            ("mode", "http") => cx.account.exact(line, ""),
            ("option", name) => match NOTHING.iter().find(|(n, _)| *n == name) {
                Some((_, note)) => cx.account.exact(line, note),
                None => option(cx, line, name),
            },
            ("no", "option") => cx.account.exact(line, ""),
            ("timeout", "tunnel" | "client-fin" | "server-fin" | "queue" | "tarpit") => {
                cx.account.dropped(line, "there is no such time");
            }
            ("timeout", "check") if !cx.can.check => cx.account.exact(line, "nothing checks"),
            ("log" | "log-format" | "log-tag" | "unique-id-format" | "unique-id-header" | "capture", _) => {
                cx.account.dropped(line, "HAProxy's log lines have no counterpart; say \"access_log\"");
            }
            ("stats", _) => cx.account.dropped(line, "no page of statistics"),
            ("errorfile" | "errorloc" | "errorloc302" | "errorloc303", _) => {
                cx.account.dropped(line, "HAProxy's file has a head of its own; say \"error_page\"");
            }
            ("fullconn" | "maxconn", _) => {
                cx.account.dropped(line, "connections are limited for the whole process")
            }
            ("description" | "id" | "enabled", _) => cx.account.exact(line, "says nothing of the traffic"),
            ("http-reuse", word) => {
                let class = if word == "never" { Class::Dropped } else { Class::Exact };
                cx.account.mark(line, class, "idle connections to servers are used again");
            }
            ("ignore-persist" | "force-persist", _) => {
                cx.account.dropped(line, "stickiness on a condition has no counterpart")
            }
            (
                "http-after-response"
                | "tcp-request"
                | "tcp-response"
                | "filter"
                | "compression"
                | "email-alert",
                _,
            ) => {
                cx.account.dropped(line, "no counterpart");
            }
            _ => {}
        }
    }
}

fn option(cx: &Cx, line: &Line, name: &str) {
    match name {
        // Spoken for where they are carried out.
        "forwardfor" | "redispatch" | "httpchk" => {}
        "httpclose" | "forceclose" | "http-server-close" | "http-tunnel" | "http-pretend-keepalive" => {
            cx.account.approximated(line, "connections are kept on both sides");
        }
        "persist" => cx.account.dropped(line, "a server that is down is not asked"),
        "allbackups" => cx.account.exact(line, "all spare servers are asked"),
        "httpchk-disable" | "ssl-hello-chk" | "mysql-check" | "pgsql-check" | "redis-check" | "smtpchk"
        | "ldap-check" | "tcp-check" | "external-check" => {
            cx.account.dropped(line, "needs \"check\" of this kind")
        }
        _ => cx.account.dropped(line, "no counterpart"),
    }
}
