//! What the program that the output is for does not know is taken out, and a place that it guarded is closed.

use super::super::report::Class;
use super::doc::{Fate, Item};
use super::{Cx, blocks};
use crate::directives::{self, Origin};

/// Directives that decide who gets in: without them a place would be open.
const GUARDS: &[&str] = &[
    "access_by_lua",
    "access_by_lua_block",
    "access_by_lua_file",
    "auth_basic",
    "auth_digest",
    "auth_jwt",
    "auth_jwt_require",
    "auth_oidc",
    "auth_request",
    "auth_require",
    "auth_spnego",
    "deny",
    "js_access",
    "modsecurity",
    "ssl_verify_client",
    "valid_referers",
];

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Tenrec,
    Nginx,
}

/// Why a directive cannot stay; `None`: it can.
fn unknown(item: &Item, whom: For) -> Option<String> {
    let rows = directives::lookup(&item.name);
    if item.name == "include" || item.fate == Fate::New {
        return None;
    }
    match whom {
        For::Tenrec => {
            if rows.is_empty() {
                return Some(format!("tenrec does not know \"{}\"", item.name));
            }
            (!rows.iter().any(|r| r.status.starts()))
                .then(|| format!("tenrec does not carry out \"{}\"", item.name))
        }
        For::Nginx => {
            if rows.is_empty() {
                return Some(format!("nginx does not know \"{}\"", item.name));
            }
            (!rows.iter().any(|r| r.origin == Origin::Nginx))
                .then(|| format!("nginx has no \"{}\"", item.name))
        }
    }
}

/// Blocks whose inside is data, not directives.
pub(super) fn is_table(name: &str) -> bool {
    matches!(
        name,
        "map" | "geo" | "split_clients" | "types" | "charset_map" | "match" | "limit_req_whitelist"
    )
}

/// Takes out what `whom` does not know.
pub(super) fn settle(cx: &Cx<'_>, items: &mut Vec<Item>, whom: For) {
    let ssl = whom == For::Nginx || cx.can.ssl;
    blocks(items, "main", &mut |items, within| {
        if is_table(within) {
            return;
        }
        let mut closed = Vec::new();
        for (i, item) in items.iter_mut().enumerate() {
            if item.is_comment() || item.fate == Fate::Gone {
                continue;
            }
            let secure = item.is("server")
                && item.inside().iter().any(|i| i.is("listen") && i.args.iter().any(|w| needs_tls(&w.value)));
            if secure && !ssl {
                item.drop("needs TLS (listen … ssl)");
                continue;
            }
            let Some(why) = unknown(item, whom) else { continue };
            let off = item.arg(0) == "off";
            if off {
                item.retire(Class::Exact, "it is off");
                continue;
            }
            item.drop(&why);
            if GUARDS.contains(&item.name.as_str()) {
                item.mark(Class::Dropped, "nobody gets in here until you say who may");
                closed.push((i, item.place));
            }
        }
        if let Some((i, place)) = closed.first().copied() {
            let words: &[&str] = match within {
                "server" | "location" | "if" => &["return", "403"],
                "http" | "limit_except" => &["deny", "all"],
                _ => return,
            };
            items.insert(i + 1, Item::new(place, words.iter().copied()));
        }
        // A place that answered by what was taken out answers nothing now.
        let answered = items.iter().any(|i| i.fate == Fate::Gone && ANSWERS.contains(&i.name.as_str()));
        if within == "location" && answered && closed.is_empty() {
            let place = items.first().map(|i| i.place);
            items.extend(place.map(|p| Item::new(p, ["return", "404"])));
        }
    });
    dead_pass(items);
}

/// Directives that make a location's answer.
const ANSWERS: &[&str] = &[
    "api",
    "check_status",
    "content_by_lua",
    "content_by_lua_block",
    "content_by_lua_file",
    "dashboard",
    "dyups_interface",
    "fastcgi_pass",
    "grpc_pass",
    "js_content",
    "memcached_pass",
    "scgi_pass",
    "status",
    "upstream_conf",
    "uwsgi_pass",
];

fn needs_tls(word: &str) -> bool {
    matches!(word, "ssl" | "quic")
}

/// An upstream without a server left cannot stand: what leads there answers 502.
fn dead_pass(items: &mut Vec<Item>) {
    let mut dead = Vec::new();
    blocks(items, "main", &mut |items, _| {
        for item in items.iter_mut().filter(|i| i.is("upstream")) {
            let lost = item.inside().iter().any(|i| i.name == "server" && i.fate == Fate::Gone);
            if lost && !item.inside().iter().any(|i| i.is("server")) {
                item.drop("no server of it is left");
                dead.push(item.arg(0).to_owned());
            }
        }
    });
    if dead.is_empty() {
        return;
    }
    blocks(items, "main", &mut |items, _| {
        for item in items.iter_mut() {
            let led = super::passes_to(item).is_some_and(|u| dead.iter().any(|d| d == u));
            if led {
                item.mark(Class::Dropped, "the upstream has no server: 502");
                item.become_words(["return", "502"]);
            }
        }
    });
}
