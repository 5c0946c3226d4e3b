//! Out again: what is Tengine's, sticky-module-ng's or tenrec's own in the words of the open nginx 1.31.

use super::super::can::Can;
use super::super::input::{Input, Problem};
use super::super::model::LONGEST_ROUTE;
use super::super::report::{Class, Fate as Kept, Report, Sessions};
use super::super::writer::Text;
use super::doc::Item;
use super::settle::{self, For};
use super::{Cx, blocks, ng, plus, rewrite};

pub(in super::super) fn stock(inputs: &[Input], can: Can, report: &mut Report) -> Result<Text, Problem> {
    rewrite(inputs, can, report, "nginx's file for the open nginx", |cx, items| {
        ng::upstreams(cx, items, false, For::Nginx);
        sessions(cx, items);
        blocks(items, "main", &mut |items, within| {
            for item in items.iter_mut() {
                line(item, within);
            }
        });
        settle::settle(cx, items, For::Nginx);
        plus::sessions(cx, items);
    })
}

/// Parameters of `sticky cookie|route|learn` that nginx has.
const COOKIE: &[&str] = &["expires", "domain", "path", "samesite"];
const LEARN: &[&str] = &["create", "lookup", "zone", "timeout"];
/// Parameters of `server` in an upstream that nginx has.
const SERVER: &[&str] = &["weight", "max_conns", "max_fails", "fail_timeout", "route", "service"];
const SERVER_WORDS: &[&str] = &["backup", "down", "drain", "resolve"];

fn line(item: &mut Item, within: &str) {
    match (item.name.as_str(), within) {
        _ if item.is_comment() => {}
        (
            "check" | "check_http_send" | "check_http_expect_alive" | "check_keepalive_requests",
            "upstream",
        )
        | ("check_fastcgi_param", "upstream") => {
            item.drop("nginx asks no server by itself; \"max_fails\" counts failures of requests");
        }
        ("session_sticky_hide_cookie" | "session_sticky_header", _) => {
            item.drop("the backend sees the session cookie");
        }
        ("consistent_hash", "upstream") => {
            let key = item.arg(0).to_owned();
            item.become_words(["hash", &key, "consistent"]);
            item.mark(
                Class::Approximated,
                "nginx's ring, not Tengine's: each client changes its server once",
            );
        }
        ("vnswrr" | "iwrr", "upstream") => {
            item.retire(Class::Approximated, "nginx's own round robin");
        }
        ("sticky", "upstream") => sticky(item),
        ("sticky_cookie_insert", "upstream") => {
            let words: Vec<String> = ["sticky".to_owned(), "cookie".to_owned()]
                .into_iter()
                .chain(item.args.iter().map(|w| w.value.clone()))
                .collect();
            item.become_words(words);
            item.mark(Class::Exact, "its later name");
        }
        ("server", "upstream") => server(item),
        _ => {}
    }
}

fn sticky(item: &mut Item) {
    let kind = item.arg(0).to_owned();
    let extra: Vec<String> = item
        .args
        .iter()
        .skip(if kind == "cookie" { 2 } else { 1 })
        .map(|w| w.value.clone())
        .filter(|w| {
            let name = w.split('=').next().unwrap_or(w);
            match kind.as_str() {
                "cookie" if w.contains('=') => {
                    !COOKIE.contains(&name) || (name == "samesite" && w.ends_with("=auto"))
                }
                "cookie" => !matches!(name, "httponly" | "secure"),
                "learn" if w.contains('=') => !LEARN.contains(&name),
                "learn" => name != "header",
                _ => !w.starts_with('$'),
            }
        })
        .collect();
    if extra.is_empty() {
        return;
    }
    item.remove(|w| extra.iter().any(|e| e == w));
    item.mark(Class::Dropped, &format!("nginx has no {}", extra.join(", ")));
}

fn server(item: &mut Item) {
    let extra: Vec<String> = item
        .args
        .iter()
        .skip(1)
        .map(|w| w.value.clone())
        .filter(|w| match w.split_once('=') {
            Some((name, _)) => !SERVER.contains(&name),
            None => !SERVER_WORDS.contains(&w.as_str()),
        })
        .collect();
    if extra.is_empty() {
        return;
    }
    item.remove(|w| extra.iter().any(|e| e == w));
    let (ids, others): (Vec<String>, Vec<String>) = extra.into_iter().partition(|w| w.starts_with("id="));
    if !others.is_empty() {
        item.mark(Class::Dropped, &format!("nginx has no {}", others.join(", ")));
    }
    if !ids.is_empty() && item.param("route").is_none() {
        item.mark(Class::Exact, "the id named the server in no cookie of the output");
    }
}

/// What `session_sticky` says.
struct Said {
    cookie: String,
    mode: String,
    plain: bool,
    domain: Option<String>,
    path: String,
    maxage: Option<String>,
    dated: bool,
    flags: Vec<String>,
    lost: Vec<String>,
}

fn said(item: &Item) -> Said {
    let param = |name: &str, default: &str| item.param(name).unwrap_or(default).to_owned();
    let mut out = Said {
        cookie: param("cookie", "route"),
        mode: param("mode", "insert"),
        plain: item.param("hash") == Some("plain"),
        domain: item.param("domain").map(str::to_owned),
        path: param("path", "/"),
        maxage: item.param("maxage").map(str::to_owned),
        dated: item.param("maxidle").is_some() || item.param("maxlife").is_some(),
        flags: Vec::new(),
        lost: Vec::new(),
    };
    for word in item.args.iter().map(|w| w.value.as_str()) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match (name, value) {
            ("cookie" | "mode" | "hash" | "domain" | "path" | "maxage", _)
            | ("fallback", "on")
            | ("option", "direct") => {}
            ("httponly" | "secure", "") => out.flags.push(word.to_owned()),
            ("samesite", v) if v != "auto" => out.flags.push(word.to_owned()),
            // nginx's cookie comes with every answer of every status.
            ("always", "") => {}
            _ => out.lost.push(word.to_owned()),
        }
    }
    out
}

/// `session_sticky` as `sticky cookie`, or as `sticky learn` where the cookie is the application's.
fn sessions(cx: &mut Cx<'_>, items: &mut Vec<Item>) {
    blocks(items, "main", &mut |items, _| {
        for upstream in items.iter_mut().filter(|i| i.is("upstream")) {
            let name = upstream.arg(0).to_owned();
            let Some(inside) = upstream.inside_mut() else { continue };
            let Some(at) = inside.iter().position(|i| i.is("session_sticky")) else { continue };
            let Some(mut line) = inside.get(at).cloned() else { continue };
            let said = said(&line);
            let (fate, why) = session(&mut line, &said, inside, &name);
            cx.report.sessions.push(Sessions { upstream: name, fate, why });
            // nginx takes the balancer first: a later one would take the stickiness away.
            let method = |i: &Item| {
                ["least_conn", "ip_hash", "hash", "random", "consistent_hash", "least_time"]
                    .iter()
                    .any(|m| i.is(m))
            };
            inside.remove(at);
            let to = inside.iter().rposition(method).map_or(at, |m| at.max(m + 1)).min(inside.len());
            inside.insert(to, line);
        }
    });
}

fn session(line: &mut Item, said: &Said, inside: &mut [Item], upstream: &str) -> (Kept, String) {
    if !said.lost.is_empty() {
        line.mark(Class::Dropped, &format!("nginx has no {}", said.lost.join(", ")));
    }
    if said.mode != "insert" {
        let words = [
            "sticky".to_owned(),
            "learn".to_owned(),
            format!("create=$upstream_cookie_{}", said.cookie),
            format!("lookup=$cookie_{}", said.cookie),
            format!("zone={upstream}_sessions:1m"),
            "timeout=24h".to_owned(),
        ];
        line.become_words(words);
        line.mark(Class::Approximated, "the application's cookie is learned and stays as it is");
        return (
            Kept::Lost,
            format!("cookie \"{}\": it held the server's name, which nginx does not read", said.cookie),
        );
    }
    let mut kept = true;
    if said.plain {
        for server in inside.iter_mut().filter(|i| i.is("server")) {
            let id = server.param("id").map(str::to_owned);
            let id = id.or_else(|| ng::address(server.arg(0)).map(|a| a.to_string()));
            match id.filter(|id| !id.is_empty() && id.len() <= LONGEST_ROUTE) {
                Some(id) => {
                    server.remove(|w| w.starts_with("id="));
                    server.args.push(super::doc::Word::new(format!("route={id}")));
                    server.changed();
                }
                None => {
                    kept = false;
                    server.mark(
                        Class::Approximated,
                        "its name does not fit into \"route=\": another one is made",
                    );
                }
            }
        }
    }
    let mut words = vec!["sticky".to_owned(), "cookie".to_owned(), said.cookie.clone()];
    words.extend(said.maxage.as_ref().map(|n| format!("expires={n}")));
    words.extend(said.domain.as_ref().map(|d| format!("domain={d}")));
    words.extend(said.flags.clone());
    words.push(format!("path={}", said.path));
    line.become_words(words);
    line.mark(Class::Approximated, "the cookie comes with every answer, of every status");
    let cookie = &said.cookie;
    if said.dated {
        return (
            Kept::Lost,
            format!("cookie \"{cookie}\": nginx reads no dates in it: each session is balanced anew once"),
        );
    }
    match (kept, said.plain) {
        (true, true) => {
            (Kept::KeptByAlias, format!("cookie \"{cookie}\": each server's \"route\" is its old name"))
        }
        (true, false) => (Kept::Kept, format!("cookie \"{cookie}\": the values are the same")),
        (false, _) => (Kept::Lost, format!("cookie \"{cookie}\": some servers have another name now")),
    }
}
