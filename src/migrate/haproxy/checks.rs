//! Active checks: `check`, `option httpchk`, `http-check`.

use super::super::model::Line as Out;
use super::backend::Server;
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, values};

pub(super) fn lines(cx: &Cx, proxy: &Proxy<'_>, check: bool, lines: &mut Vec<Out>, servers: &[Server<'_>]) {
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
    let secure = first.tls.on || first.check_tls;
    let http = http.filter(|line| {
        if secure {
            cx.account.approximated(line, "a server that answers a TLS hello is up, whatever its status");
        }
        !secure
    });
    let kind = match (secure, http) {
        (true, _) => "ssl_hello",
        (false, Some(_)) => "http",
        (false, None) => "tcp",
    };
    let words = [
        "check".to_owned(),
        format!("interval={inter}"),
        format!("rise={}", number("rise", 2)),
        format!("fall={}", number("fall", 3)),
        format!("timeout={wait}"),
        // Servers are up until a check says otherwise.
        "default_down=false".to_owned(),
        format!("type={kind}"),
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
    if secure {
        for line in proxy.all().filter(|l| l.word(0) == "http-check") {
            cx.account.approximated(line, "a server that answers a TLS hello is up, whatever its status");
        }
    }
    let unused =
        |l: &&Line| l.word(0) == "tcp-check" || (l.word(0) == "http-check" && http.is_none() && !secure);
    for line in proxy.all().filter(unused) {
        cx.account.dropped(line, "a check is one request");
    }
}
