//! Headers, timeouts and options.

use super::super::model::Line as Out;
use super::super::report::Class;
use super::changes::is_name;
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, values};

/// What a location says that leads to a backend, or what a server says for a frontend.
pub(super) fn location(cx: &mut Cx, proxy: &Proxy<'_>, lines: &mut Vec<Out>) {
    // HAProxy passes on a change of protocol (WebSocket) by itself.
    if !cx.model.http.iter().any(|l| l.words.get(2).is_some_and(|w| w == UPGRADES)) {
        let inside = vec![Out::new(None, ["", ""]), Out::new(None, ["default", "upgrade"])];
        cx.model.http.push(Out::block(None, ["map", "$http_upgrade", UPGRADES], inside));
    }
    lines.push(Out::new(None, ["proxy_set_header", "Host", "$http_host"]));
    lines.push(Out::new(None, ["proxy_set_header", "Upgrade", "$http_upgrade"]));
    lines.push(Out::new(None, ["proxy_set_header", "Connection", UPGRADES]));
    time(cx, proxy, "connect", &["proxy_connect_timeout"], Class::Exact, "", lines);
    let note = "between two reads from the server";
    time(cx, proxy, "server", &["proxy_read_timeout", "proxy_send_timeout"], Class::Exact, note, lines);
    headers(cx, proxy, lines);
}

/// What is said of the connection to a server.
const UPGRADES: &str = "$haproxy_connection";

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

fn headers(cx: &mut Cx, proxy: &Proxy<'_>, lines: &mut Vec<Out>) {
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
            let value = forwarded(cx, proxy, line, header, set, after("except").map(String::as_str));
            lines.push(Out::new(Some(line.place), ["proxy_set_header", header, &value]));
            let note = "the address is added to the header's line, not as a second line";
            cx.account.approximated(line, note);
        }
    }
}

/// What `option forwardfor` sends: the address behind what came, or one of them.
fn forwarded(
    cx: &mut Cx,
    proxy: &Proxy<'_>,
    line: &Line,
    header: &str,
    if_none: bool,
    except: Option<&str>,
) -> String {
    let stem = header.to_ascii_lowercase().replace('-', "_");
    let came = format!("$http_{stem}");
    let added = match stem.as_str() {
        "x_forwarded_for" => "$proxy_add_x_forwarded_for",
        _ => "$remote_addr",
    };
    let net = except.map(super::matches::network);
    if net == Some(None) {
        cx.account.dropped(line, "except: the address is added for all clients");
    }
    if !if_none && net.is_none() {
        return added.to_owned();
    }
    let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let stem: String = proxy.section.name.chars().map(fit).collect();
    let mut last = added.to_owned();
    if if_none {
        let variable = format!("${}", cx.variables.make(&format!("{stem}_for")));
        let inside = vec![Out::new(None, ["", "$remote_addr"]), Out::new(None, ["default", &came])];
        cx.model.http.push(Out::block(Some(line.place), ["map", &came, &variable], inside));
        last = variable;
    }
    if let Some(net) = net.flatten() {
        let variable = format!("${}", cx.variables.make(&format!("{stem}_for")));
        let inside = vec![Out::new(None, [&net, &came]), Out::new(None, ["default", &last])];
        cx.model.http.push(Out::block(Some(line.place), ["map", "$remote_addr", &variable], inside));
        last = variable;
    }
    last
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
