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
    // nor does it put its own name in the place of the server's.
    lines.push(Out::new(None, ["proxy_pass_header", "Server"]));
    lines.push(Out::new(None, ["proxy_set_header", "Upgrade", "$http_upgrade"]));
    lines.push(Out::new(None, ["proxy_set_header", "Connection", UPGRADES]));
    time(cx, proxy, "connect", &["proxy_connect_timeout"], Class::Exact, "", lines);
    let note = "between two reads from the server";
    time(cx, proxy, "server", &["proxy_read_timeout", "proxy_send_timeout"], Class::Exact, note, lines);
    lines.extend(forwardfor(cx, proxy));
}

/// What is said of the connection to a server.
const UPGRADES: &str = "$haproxy_connection";

/// `compression`, where this tenrec compresses.
pub(super) fn compression(cx: &Cx, proxy: &Proxy<'_>, lines: &mut Vec<Out>) {
    let said: Vec<&Line> = proxy.all().filter(|l| l.word(0) == "compression").collect();
    let on = said.iter().any(|l| l.word(1).starts_with("algo"));
    for line in &said {
        match line.word(1) {
            _ if !cx.can.gzip => cx.account.approximated(line, "answers go out as the servers make them"),
            "algo" | "algo-res" => {
                cx.account.approximated(line, "gzip, by nginx's rules of what is worth it");
                lines.push(Out::new(Some(line.place), ["gzip", "on"]));
                lines.push(Out::new(Some(line.place), ["gzip_proxied", "any"]));
                if !said.iter().any(|l| l.word(1).starts_with("type")) {
                    lines.push(Out::new(Some(line.place), ["gzip_types", "*"]));
                }
            }
            "type" | "type-res" if on => {
                let fits = |t: &&String| !t.contains(['$', '"', ';']) && *t != "text/html";
                let types: Vec<&str> = line.from(2).iter().filter(fits).map(String::as_str).collect();
                if !types.is_empty() {
                    lines.push(Out::new(Some(line.place), ["gzip_types"].into_iter().chain(types)));
                }
                cx.account.approximated(line, "text/html too, always");
            }
            "offload" => cx.account.approximated(line, "servers may still compress by themselves"),
            _ => cx.account.dropped(line, "no counterpart"),
        }
    }
}

/// `errorloc`: where somebody is sent instead of an error.
pub(super) fn error_places(cx: &Cx, proxy: &Proxy<'_>, lines: &mut Vec<Out>) {
    for line in proxy.all().filter(|l| l.word(0).starts_with("errorloc")) {
        let (code, url) = (line.word(1), line.word(2));
        let known = matches!(
            code,
            "400" | "403" | "404" | "405" | "408" | "413" | "429" | "500" | "502" | "503" | "504"
        );
        if !known || !url.starts_with("http") || url.contains('$') {
            cx.account.dropped(line, "a status of an error and a whole URL are expected; say \"error_page\"");
            continue;
        }
        cx.account.approximated(line, "503 of HAProxy's is 502 here: both");
        let mut words = vec!["error_page"];
        // A server that cannot be connected to is a 502 here.
        words.extend((code == "503").then_some("502"));
        words.push(code);
        words.extend((line.word(0) == "errorloc303").then_some("=303"));
        words.push(url);
        lines.push(Out::new(Some(line.place), words));
    }
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

/// `option forwardfor`
pub(super) fn forwardfor(cx: &mut Cx, proxy: &Proxy<'_>) -> Option<Out> {
    let line = proxy.option("forwardfor")?;
    let words = line.from(2);
    let after = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1));
    let header = after("header").map_or("X-Forwarded-For", String::as_str);
    if !is_name(header) {
        cx.account.dropped(line, "this is no header's name");
        return None;
    }
    let if_none = words.iter().any(|w| w == "if-none");
    let value = forwarded(cx, proxy, line, header, if_none, after("except").map(String::as_str));
    cx.account.approximated(line, "the address is added to the header's line, not as a second line");
    Some(Out::new(Some(line.place), ["proxy_set_header", header, &value]))
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
            ("timeout", "tunnel") => {
                cx.account.approximated(
                    line,
                    "upgraded connections end with the times of \"server\" and \"client\"",
                );
            }
            ("timeout", "client-fin" | "server-fin") => {
                cx.account.approximated(line, "half closed connections end with the other times");
            }
            ("timeout", "queue") => cx.account.approximated(line, "nobody waits for a server"),
            ("timeout", "tarpit") => cx.account.approximated(line, "answered at once"),
            ("timeout", "check") if !cx.can.check => cx.account.exact(line, "nothing checks"),
            ("log", _) => {}
            ("no", "log") => cx.account.exact(line, ""),
            ("log-format" | "log-format-sd" | "error-log-format" | "log-tag" | "capture", _) => {
                cx.account.approximated(line, "nginx's form of a line; say \"log_format\"");
            }
            ("unique-id-format", _) => cx.account.approximated(line, "$request_id: 32 hexadecimal digits"),
            ("unique-id-header", _) => {}
            ("stick-table", _) if proxy.section.kind == "frontend" => {
                cx.account.dropped(line, "nothing here counts");
            }
            ("http-response", "cache-store") => {
                cx.account.approximated(line, "nothing is kept: every request goes to a server");
            }
            ("stats", _) if proxy.section.kind == "backend" && proxy.own().any(|l| l.place == line.place) => {
                cx.account.dropped(line, "of a backend: say a location with \"check_status\"");
            }
            ("errorfile" | "errorfiles" | "http-error", _) => {
                let note = "tenrec's own page of that status: HAProxy's file has a head of its own; say \"error_page\"";
                cx.account.approximated(line, note);
            }
            ("errorloc" | "errorloc302" | "errorloc303", _) => {}
            ("fullconn" | "maxconn", _) => cx
                .account
                .approximated(line, "connections are limited for the whole process (worker_connections)"),
            ("rate-limit", "sessions") => cx.account.dropped(line, "nothing here counts"),
            ("backlog", _) => cx.account.approximated(line, "the system's; say \"listen … backlog=\""),
            ("description" | "id" | "enabled", _) => cx.account.exact(line, "says nothing of the traffic"),
            ("http-reuse", word) => {
                let class = if word == "never" { Class::Dropped } else { Class::Exact };
                cx.account.mark(line, class, "idle connections to servers are used again");
            }
            ("ignore-persist" | "force-persist", _) => {
                cx.account.dropped(line, "stickiness on a condition has no counterpart")
            }
            ("http-after-response", _) if super::changes::is(line) => {}
            ("http-after-response" | "filter" | "email-alert", _) => {
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
        "log-health-checks"
        | "log-separate-errors"
        | "socket-stats"
        | "contstats"
        | "logasap"
        | "dontlog-normal"
        | "http-buffer-request"
        | "checkcache"
        | "prefer-last-server"
        | "accept-invalid-http-request"
        | "accept-invalid-http-response"
        | "http-no-delay"
        | "tcp-smart-accept"
        | "tcp-smart-connect"
        | "nolinger"
        | "independent-streams"
        | "splice-request"
        | "splice-response"
        | "http-ignore-probes"
        | "idle-close-on-response"
        | "http-use-proxy-header"
        | "disable-h2-upgrade"
        | "h1-case-adjust-bogus-client"
        | "h1-case-adjust-bogus-server"
        | "http-restrict-req-hdr-names"
        | "srvtcpka"
        | "clitcpka-cnt" => {
            cx.account.approximated(line, "a matter of HAProxy's inside or of its log");
        }
        "originalto" => {}
        "persist" => cx.account.dropped(line, "a server that is down is not asked"),
        "allbackups" => cx.account.exact(line, "all spare servers are asked"),
        "httpchk-disable" | "ssl-hello-chk" | "mysql-check" | "pgsql-check" | "redis-check" | "smtpchk"
        | "ldap-check" | "tcp-check" | "external-check" => {
            cx.account.dropped(line, "needs \"check\" of this kind")
        }
        _ => cx.account.dropped(line, "no counterpart"),
    }
}
