//! nginx-sticky-module-ng: `sticky` as it was before nginx had one.

use std::net::SocketAddr;

use super::super::can::Can;
use super::super::ids::{self, Digest};
use super::super::input::{Input, Problem};
use super::super::model::LONGEST_ROUTE;
use super::super::report::{Class, Fate as Kept, Report, Sessions};
use super::super::writer::Text;
use super::doc::{Fate, Item};
use super::settle::{self, For};
use super::{Cx, beside_pass, blocks, rewrite};
use crate::values;

pub(in super::super) fn sticky_ng(inputs: &[Input], can: Can, report: &mut Report) -> Result<Text, Problem> {
    rewrite(inputs, can, report, "nginx-sticky-module-ng", |cx, items| {
        let hide = location_lines(items);
        upstreams(cx, items, hide, For::Tenrec);
        settle::settle(cx, items, For::Tenrec);
    })
}

/// Whether a line is the module's and not nginx's own.
pub(super) fn is_ng(item: &Item) -> bool {
    item.is("sticky") && !matches!(item.arg(0), "cookie" | "route" | "learn")
}

/// The newer forks' lines in locations. Whether one of them hides the cookie.
fn location_lines(items: &mut Vec<Item>) -> bool {
    let mut hide = false;
    blocks(items, "main", &mut |items, _| {
        for item in items.iter_mut() {
            if item.is("sticky_hide_cookie") {
                hide = true;
                item.retire(Class::Exact, "\"session_sticky_hide_cookie\" beside each \"proxy_pass\"");
            } else if item.is("sticky_no_fallback") {
                item.drop("fallback is a matter of the upstream: say \"fallback=off\" there");
            }
        }
    });
    hide
}

/// What names a server in the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    /// The digest of the address as bytes.
    Address(Digest),
    /// The digest of the address as text.
    Text(Digest),
    /// The address as text.
    Raw,
    Index,
}

struct Said {
    cookie: String,
    domain: Option<String>,
    path: String,
    expires: Option<u64>,
    secure: bool,
    httponly: bool,
    no_fallback: bool,
    hide: bool,
    name: Name,
}

/// Reads the line; `None`: it cannot be read and was dropped.
fn said(item: &mut Item) -> Option<Said> {
    let mut out = Said {
        cookie: "route".to_owned(),
        domain: None,
        path: "/".to_owned(),
        expires: None,
        secure: false,
        httponly: false,
        no_fallback: false,
        hide: false,
        name: Name::Address(Digest::Md5),
    };
    let (mut hmac, mut key) = (None, None);
    let words: Vec<String> = item.args.iter().map(|w| w.value.clone()).collect();
    for word in &words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match (name, value) {
            ("name", v) if !v.is_empty() => out.cookie = v.to_owned(),
            ("domain", v) if !v.is_empty() => out.domain = Some(v.to_owned()),
            ("path", v) if !v.is_empty() => out.path = v.to_owned(),
            ("expires", v) => match values::sec(v.as_bytes()).filter(|n| *n >= 1) {
                Some(n) => out.expires = Some(n),
                None => item.mark(Class::Dropped, "expires: a time of a second and more is expected"),
            },
            ("secure", "") => out.secure = true,
            ("httponly", "") => out.httponly = true,
            ("no_fallback", "") => out.no_fallback = true,
            ("hide_cookie", "") => out.hide = true,
            ("hash", "md5") => out.name = Name::Address(Digest::Md5),
            ("hash", "sha1") => out.name = Name::Address(Digest::Sha1),
            ("hash", "index") => out.name = Name::Index,
            ("text", "raw") => out.name = Name::Raw,
            ("text", "md5") => out.name = Name::Text(Digest::Md5),
            ("text", "sha1") => out.name = Name::Text(Digest::Sha1),
            ("hmac", "md5" | "sha1") => hmac = Some(value.to_owned()),
            ("hmac_key", v) => key = Some(v.as_bytes().to_vec()),
            ("transfer" | "delimiter", _) => {
                item.mark(Class::Dropped, &format!("{name}: the backend's cookie is not joined to ours"));
            }
            _ => item.mark(Class::Dropped, &format!("\"{word}\" is not known")),
        }
    }
    if let Some(kind) = hmac {
        let Some(key) = key.filter(|k| !k.is_empty()) else {
            item.drop("hmac: \"hmac_key=\" is missing");
            return None;
        };
        out.name = Name::Address(if kind == "md5" { Digest::HmacMd5(key) } else { Digest::HmacSha1(key) });
    }
    let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic() && !b";,\"$=".contains(&b));
    if !plain(&out.cookie) {
        item.drop("this cannot be the name of a cookie");
        return None;
    }
    Some(out)
}

/// Rewrites the module's line in every upstream.
pub(super) fn upstreams(cx: &mut Cx<'_>, items: &mut Vec<Item>, hide_all: bool, whom: For) {
    let mut hidden = Vec::new();
    blocks(items, "main", &mut |items, _| {
        for upstream in items.iter_mut().filter(|i| i.is("upstream")) {
            let name = upstream.arg(0).to_owned();
            let Some(inside) = upstream.inside_mut() else { continue };
            if upstream_of(cx, inside, &name, hide_all, whom) {
                hidden.push(name);
            }
        }
    });
    for name in hidden {
        let place = items.first().map(|i| i.place);
        if let Some(place) = place {
            let words = ["session_sticky_hide_cookie".to_owned(), format!("upstream={name}")];
            beside_pass(items, &name, &Item::new(place, words));
        }
    }
}

/// Whether the cookie is to be hidden.
fn upstream_of(cx: &mut Cx<'_>, inside: &mut [Item], upstream: &str, hide: bool, whom: For) -> bool {
    let backup = inside.iter().any(|i| i.is("server") && i.args.iter().any(|w| w.value == "backup"));
    let Some(at) = inside.iter().position(is_ng) else { return false };
    let Some(said) = inside.get_mut(at).and_then(said) else { return false };
    let values = names(inside, &said.name);
    let short = values.iter().all(|v| v.as_ref().is_none_or(|v| v.len() <= LONGEST_ROUTE));
    let flags = said.secure || said.httponly;
    let session =
        whom == For::Tenrec && (!flags || cx.can.session_flags) && (!backup || cx.can.session_backup);
    // nginx's own md5 is that of the text.
    let native = said.name == Name::Text(Digest::Md5);
    let raw_session = session && said.name == Name::Raw;
    let lost: Vec<bool> = values.iter().map(Option::is_none).collect();
    let servers = inside.iter_mut().filter(|i| i.is("server"));
    for (server, value) in servers.zip(values) {
        match value {
            _ if native || raw_session => {}
            Some(value) if session => {
                server.args.push(super::doc::Word::new(format!("id={value}")));
                server.changed();
            }
            Some(value) if short => {
                server.args.push(super::doc::Word::new(format!("route={value}")));
                server.changed();
            }
            Some(_) => server.mark(Class::Approximated, "its name in the cookie is too long for \"route=\""),
            None => server
                .mark(Class::Approximated, "without a numeric address its name in the cookie is not known"),
        }
    }
    let kept = native || ((session || short) && lost.iter().any(|l| !l));
    let some = kept && !native && !raw_session && lost.iter().any(|l| *l);
    let why = if !kept {
        format!(
            "cookie \"{}\": the values are not those of the old one: each session is balanced anew once",
            said.cookie
        )
    } else if some {
        format!(
            "cookie \"{}\": but for servers without a numeric address, which are balanced anew once",
            said.cookie
        )
    } else if matches!(said.name, Name::Address(_)) {
        format!(
            "cookie \"{}\": the values of versions up to 1.2.6; newer forks hash the server's text",
            said.cookie
        )
    } else {
        format!("cookie \"{}\": the values are the same", said.cookie)
    };
    let fate = match (kept, native || raw_session) {
        (false, _) => Kept::Lost,
        (true, true) => Kept::Kept,
        (true, false) => Kept::KeptByAlias,
    };
    cx.report.sessions.push(Sessions { upstream: upstream.to_owned(), fate, why });
    let Some(line) = inside.get_mut(at) else { return false };
    let hides = said.hide || hide;
    if session {
        let mut words =
            vec!["session_sticky".to_owned(), format!("cookie={}", said.cookie), "mode=insert".to_owned()];
        words.extend(hides.then(|| "option=indirect".to_owned()));
        words.extend(said.domain.as_ref().map(|d| format!("domain={d}")));
        words.push(format!("path={}", said.path));
        words.extend(said.expires.map(|n| format!("maxage={n}")));
        words.extend((!native).then(|| "hash=plain".to_owned()));
        words.push(format!("fallback={}", if said.no_fallback { "off" } else { "on" }));
        words.extend(said.secure.then(|| "secure".to_owned()));
        words.extend(said.httponly.then(|| "httponly".to_owned()));
        if cx.can.session_always {
            words.push("always".to_owned());
            line.mark(Class::Exact, "the same values; Max-Age comes beside Expires");
        } else {
            let note = "answers with a status of 400 and above bring no cookie; Max-Age comes beside Expires";
            line.mark(Class::Approximated, note);
        }
        line.become_words(words);
        return hides;
    }
    let mut words = vec!["sticky".to_owned(), "cookie".to_owned(), said.cookie.clone()];
    words.extend(said.expires.map(|n| format!("expires={n}s")));
    words.extend(said.domain.as_ref().map(|d| format!("domain={d}")));
    words.extend(said.httponly.then(|| "httponly".to_owned()));
    words.extend(said.secure.then(|| "secure".to_owned()));
    words.push(format!("path={}", said.path));
    line.mark(Class::Approximated, "the cookie comes with every answer, not only with the first");
    if said.no_fallback {
        line.mark(Class::Dropped, "no_fallback: a server that is down gives way to another one");
    }
    if hides {
        line.mark(Class::Dropped, "hide_cookie: the backend sees the cookie");
    }
    line.become_words(words);
    false
}

/// The servers' names in the cookie; `None`: it cannot be known.
fn names(inside: &[Item], name: &Name) -> Vec<Option<String>> {
    let mut index = 0;
    let servers = inside.iter().filter(|i| i.is("server") && i.fate != Fate::Gone);
    servers
        .map(|server| {
            let address = address(server.arg(0));
            match name {
                Name::Address(digest) => address.map(|a| digest.hex(&ids::sockaddr(a))),
                Name::Text(digest) => address.map(|a| digest.hex(a.to_string().as_bytes())),
                Name::Raw => address.map(|a| a.to_string()),
                Name::Index if server.args.iter().any(|w| w.value == "backup") => None,
                Name::Index => {
                    index += 1;
                    Some((index - 1).to_string())
                }
            }
        })
        .collect()
}

/// A numeric address; the port is 80 where none is said.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    let port = || text.parse::<std::net::IpAddr>().ok().map(|ip| SocketAddr::new(ip, 80));
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(|ip| SocketAddr::new(ip, 80));
    text.parse().ok().or_else(port).or_else(bare)
}
