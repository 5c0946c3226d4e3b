//! `balance` and `hash-type`.

use super::super::model::Line as Out;
use super::backend::Server;
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, values};

pub(super) fn line(cx: &Cx, proxy: &Proxy<'_>, line: &Line) -> Option<Out> {
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
        "first" => None,
        _ => {
            cx.account.dropped(line, "no such balancer here; round robin");
            None
        }
    }
}

/// `first`: the servers after the first are asked when it is full or away.
pub(super) fn first(cx: &Cx, proxy: &Proxy<'_>, servers: &mut [Server<'_>], spare: bool) {
    let Some(line) = proxy.last("balance").filter(|l| l.word(1) == "first") else { return };
    if !spare {
        return cx.account.dropped(line, "sessions of cookies take no spare servers here; round robin");
    }
    let mut main = servers.iter_mut().filter(|s| !s.peer.backup);
    main.next();
    let rest = main.map(|s| s.peer.backup = true).count();
    let note = if rest > 1 { ", those after it alike" } else { "" };
    cx.account.approximated(line, &format!("the first server until it is full (maxconn) or down{note}"));
}
