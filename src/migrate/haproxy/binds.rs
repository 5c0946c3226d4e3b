//! `bind`: where a frontend listens, with TLS or without.

use super::super::model::Line as Out;
use super::super::report::Class;
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, tls, values};

/// Listeners of one kind: a server listens on all of them.
#[derive(Default)]
pub(super) struct Group {
    pub(super) listens: Vec<Out>,
    /// What the server says for their sake: certificates and protocols. Empty without TLS.
    pub(super) lines: Vec<Out>,
    pub(super) tls: bool,
}

/// The listeners without TLS, and those with each set of certificates.
pub(super) fn groups(cx: &Cx, proxy: &Proxy<'_>) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    // `listen NAME ADDRESS`, as it was written before `bind`.
    let head = proxy.section.head.iter().filter(|h| h.word(2).contains(':')).map(|h| (h, 2));
    for (line, at) in head.chain(proxy.own().filter(|l| l.word(0) == "bind").map(|l| (l, 1))) {
        let Some(group) = one(cx, line, at) else { continue };
        let words = |g: &Group| g.lines.iter().map(|l| l.words.clone()).collect::<Vec<_>>();
        match out.iter_mut().find(|g| g.tls == group.tls && words(g) == words(&group)) {
            Some(same) => same.listens.extend(group.listens),
            None => out.push(group),
        }
    }
    out.sort_by_key(|g| g.tls);
    out
}

fn one(cx: &Cx, line: &Line, at: usize) -> Option<Group> {
    let Some(addresses) = values::bind(line.word(at)) else {
        cx.account.dropped(line, "this is no address to listen on, or a range of ports");
        return None;
    };
    let words = line.from(at + 1);
    let secure = words.iter().any(|w| w == "ssl");
    if secure && !cx.can.ssl {
        cx.account.dropped(line, "needs TLS (listen … ssl)");
        return None;
    }
    cx.account.exact(line, "");
    let mut more = Vec::new();
    let mut said = tls::Said::default();
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        if said.take(cx, line, word, &mut rest, secure) {
            continue;
        }
        match word {
            "ssl" => more.push("ssl"),
            "accept-proxy" => more.push("proxy_protocol"),
            "v4v6" => more.push("ipv6only=off"),
            "v6only" => more.push("ipv6only=on"),
            "name" | "id" | "level" | "maxconn" | "backlog" | "nice" | "process" | "thread" | "shards"
            | "proto" => {
                let value = rest.next().unwrap_or_default();
                let class = match (word, value) {
                    ("name" | "id", _) | ("proto", "h1") => Class::Exact,
                    ("proto", _) => Class::Dropped,
                    _ => Class::Approximated,
                };
                cx.account.mark(line, class, &format!("{word} {value}: a matter of HAProxy's inside"));
            }
            "user" | "uid" | "group" | "gid" | "mode" => {
                rest.next();
                cx.account.approximated(line, "a socket is of the user who starts tenrec");
            }
            "tfo" => more.push("fastopen=256"),
            "defer-accept" => more.push("deferred"),
            "transparent" => cx.account.dropped(line, "transparent: no counterpart"),
            valued => {
                let value = rest.next().unwrap_or_default();
                cx.account.dropped(line, &format!("{valued} {value}: say it with \"listen\" or \"ssl_…\""));
            }
        }
    }
    let lines = if secure { said.lines(cx, line) } else { Vec::new() };
    let listen = |address: String| {
        let words = ["listen".to_owned(), address].into_iter().chain(more.iter().map(|w| (*w).to_owned()));
        Out::new(Some(line.place), words)
    };
    Some(Group { listens: addresses.into_iter().map(listen).collect(), lines, tls: secure })
}
