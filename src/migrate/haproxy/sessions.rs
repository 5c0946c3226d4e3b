//! `cookie`, `appsession`, `stick-table` and `stick`.

use std::net::SocketAddr;

use super::super::ids;
use super::super::model::{Cookie, LONGEST_ROUTE, Line as Out, Session, Sticky, StickyKind};
use super::super::report::{Fate, Sessions};
use super::backend::Server;
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, values};

pub(super) fn convert(
    cx: &mut Cx,
    proxy: &Proxy<'_>,
    servers: &mut [Server<'_>],
    upstream: &str,
    accepts: &mut Vec<Out>,
) -> Option<Sticky> {
    let line = proxy.last("cookie");
    let sticky = line.and_then(|l| cookie(cx, proxy, l, servers, upstream, accepts));
    if line.is_none() {
        for server in servers.iter().filter(|s| s.cookie.is_some()) {
            cx.account.exact(server.line, "cookie: without a \"cookie\" line it says nothing");
        }
    }
    let learnt = table(cx, proxy, upstream, sticky.is_some());
    sticky.or(learnt)
}

/// What a `cookie` line says.
#[derive(Default)]
struct Said<'a> {
    mode: Option<&'a str>,
    indirect: bool,
    httponly: bool,
    secure: bool,
    dynamic: bool,
    domain: Option<&'a str>,
    idle: Option<u64>,
    life: Option<u64>,
    samesite: Option<&'a str>,
    nocache: bool,
    postonly: bool,
    preserve: bool,
}

fn said<'a>(cx: &Cx, line: &'a Line) -> Option<Said<'a>> {
    let mut said = Said::default();
    let mut words = line.from(2).iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "rewrite" | "insert" | "prefix" if said.mode.is_some_and(|m| m != word) => {
                cx.account.dropped(line, "two modes at once, which HAProxy refuses");
                return None;
            }
            "rewrite" | "insert" | "prefix" => said.mode = Some(word),
            "indirect" => said.indirect = true,
            "httponly" => said.httponly = true,
            "secure" => said.secure = true,
            "dynamic" => said.dynamic = true,
            "nocache" => said.nocache = true,
            "postonly" => said.postonly = true,
            "preserve" => said.preserve = true,
            "domain" => match words.next() {
                Some(d) if said.domain.is_none() && plain(d) => said.domain = Some(d),
                _ => cx.account.dropped(line, "domain: one domain, without special characters"),
            },
            "maxidle" | "maxlife" => match words.next().and_then(|t| values::time(t, 1000)) {
                Some(ms) if word == "maxidle" => said.idle = Some(values::seconds(ms)),
                Some(ms) => said.life = Some(values::seconds(ms)),
                None => cx.account.dropped(line, &format!("{word}: a time is expected")),
            },
            "attr" => match words.next() {
                Some(a) if a.get(..9).is_some_and(|n| n.eq_ignore_ascii_case("samesite=")) => {
                    said.samesite = a.get(9..);
                }
                other => {
                    let other = other.unwrap_or_default();
                    cx.account.dropped(line, &format!("attr {other}: no other attributes"));
                }
            },
            other => cx.account.dropped(line, &format!("\"{other}\" is not known")),
        }
    }
    Some(said)
}

/// Names, values and domains that need no quotes anywhere.
fn plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !br#"$;,"'\{}"#.contains(&b))
}

fn cookie(
    cx: &mut Cx,
    proxy: &Proxy<'_>,
    line: &Line,
    servers: &mut [Server<'_>],
    upstream: &str,
    accepts: &mut Vec<Out>,
) -> Option<Sticky> {
    let name = line.word(1);
    if !plain(name) || name.contains('=') {
        cx.account.dropped(line, "this cannot be the name of a cookie");
        return None;
    }
    let said = said(cx, line)?;
    let key = proxy.last("dynamic-cookie-key");
    let mut dynamic = said.dynamic;
    if dynamic && key.is_none() {
        cx.account.dropped(line, "dynamic: no \"dynamic-cookie-key\" is said");
        dynamic = false;
    }
    if let Some(key) = key {
        cx.account.exact(key, if dynamic { "the values are computed" } else { "no cookie is dynamic" });
    }
    for server in servers.iter_mut() {
        let computed = key.filter(|_| dynamic && server.cookie.is_none()).and_then(|k| {
            let address: SocketAddr = server.peer.address.parse().ok()?;
            Some(ids::haproxy_dynamic(k.word(1), address))
        });
        if dynamic && computed.is_none() && server.cookie.is_none() {
            cx.account.dropped(server.line, "a dynamic cookie needs the address, not a name");
        }
        match server.cookie.clone().or(computed) {
            Some(value) if plain(&value) => server.peer.id = Some(value),
            Some(_) => {
                cx.account.dropped(server.line, "this value cannot be written; the address is the value")
            }
            None => cx.account.approximated(
                server.line,
                "without a value HAProxy keeps no session here; it gets one of its address",
            ),
        }
    }
    if servers.is_empty() {
        cx.account.dropped(line, "no servers");
        return None;
    }
    cx.account.exact(line, "");
    let dated = said.idle.is_some() || said.life.is_some();
    let mode = said.mode;
    let flags = said.httponly || said.secure || said.samesite.is_some();
    let wanted = said.samesite;
    let samesite = wanted.filter(|s| ["strict", "lax", "none"].contains(&s.to_ascii_lowercase().as_str()));
    if samesite.is_none() && wanted.is_some() {
        cx.account.dropped(line, "SameSite: Strict, Lax or None is expected");
    }
    let rules = [(said.nocache, "nocache"), (said.postonly, "postonly"), (said.preserve, "preserve")];
    let rules: Vec<&str> = rules.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    let short = servers.iter().all(|s| s.peer.id.as_ref().is_none_or(|id| id.len() <= LONGEST_ROUTE));
    let insert = mode == Some("insert");
    let nginx = flags && insert && !dated && short && !cx.can.session_flags;
    let ruled = cx.can.session_rules && insert && !nginx;
    if !rules.is_empty() && !ruled {
        let note = format!(
            "{}: the cookie comes with any method, beside the backend's, and may be kept by caches",
            rules.join(", ")
        );
        cx.account.dropped(line, &note);
    }
    let kind = if nginx {
        let note = "nginx's \"sticky cookie\" for the attributes' sake: it is sent with every answer";
        cx.account.approximated(line, note);
        if said.indirect {
            cx.account.dropped(line, "indirect: the backend sees the cookie");
        }
        StickyKind::Cookie(Cookie {
            name: name.to_owned(),
            expires: None,
            domain: said.domain.map(str::to_owned),
            path: Some("/".to_owned()),
            httponly: said.httponly,
            secure: said.secure,
            samesite: samesite.map(str::to_owned),
        })
    } else {
        if flags && !(cx.can.session_flags && insert) {
            let why = "httponly, secure, attr: such a cookie has no attributes here";
            cx.account.dropped(line, why);
        }
        let mut session = Session::insert(name);
        if cx.can.session_flags && insert {
            (session.secure, session.httponly) = (said.secure, said.httponly);
            session.samesite = samesite.map(str::to_ascii_lowercase);
        }
        if ruled {
            (session.nocache, session.postonly) = (said.nocache, said.postonly);
            session.preserve = said.preserve;
        }
        session.always = cx.can.session_always && insert;
        match mode {
            Some("insert") if session.always => {}
            Some("insert") => {
                cx.account.approximated(line, "answers with a status of 400 and above bring no cookie")
            }
            Some("prefix") => session.mode = "prefix",
            Some(_) => session.mode = "rewrite",
            None => {
                session.mode = "rewrite";
                cx.account.approximated(line, "the backend's cookie also gets the server's value");
            }
        }
        session.indirect = said.indirect && session.mode == "insert";
        if said.indirect && !session.indirect {
            cx.account.approximated(line, "indirect: of \"insert\" only");
        }
        session.domain = said.domain.map(str::to_owned).filter(|_| session.mode == "insert");
        (session.maxidle, session.maxlife) = (said.idle, said.life);
        if session.mode != "insert" {
            (session.maxidle, session.maxlife) = (None, None);
        }
        StickyKind::Session(session)
    };
    let (fate, why) = if dated && !cx.can.accept {
        let why = format!(
            "HAProxy's dates in \"{name}\" are written otherwise: each session is balanced anew once"
        );
        (Fate::Lost, why)
    } else {
        (Fate::KeptByAlias, format!("cookie \"{name}\": each server has the value that HAProxy gave it"))
    };
    if dated && cx.can.accept {
        // HAProxy's dates are read, and ours written in their place.
        accepts.push(Out::new(
            Some(line.place),
            ["sticky_accept".to_owned(), "haproxy".to_owned(), format!("cookie={name}")],
        ));
    }
    cx.model.sessions.push(Sessions { upstream: upstream.to_owned(), fate, why });
    Some(Sticky { cite: Some(line.place), kind })
}

/// `appsession` and the sticks.
fn table(cx: &mut Cx, proxy: &Proxy<'_>, upstream: &str, taken: bool) -> Option<Sticky> {
    let app = proxy.last("appsession");
    let table = proxy.last("stick-table");
    let sticks: Vec<&Line> = proxy.own().filter(|l| l.word(0) == "stick").collect();
    if app.is_none() && sticks.is_empty() {
        if let Some(table) = table {
            cx.account.exact(table, "of the backends that stick to it");
        }
        return None;
    }
    if taken {
        for line in app.into_iter().chain(table).chain(sticks) {
            cx.account.dropped(line, "the sessions of the \"cookie\" line hold; a second kind has no place");
        }
        return None;
    }
    learn(cx, app, table, &sticks, upstream)
}

/// The value after a word.
fn after<'a>(line: &'a Line, word: &str) -> Option<&'a str> {
    let at = line.words.iter().position(|w| w == word)?;
    line.words.get(at + 1).map(String::as_str)
}

/// What is said of a table that several machines share.
pub(super) const SHARED: &str =
    "peers: the table is not shared; with --store redis://HOST it is, through Redis or Valkey";

/// A table as `sticky learn`.
fn learn(
    cx: &mut Cx,
    app: Option<&Line>,
    table: Option<&Line>,
    sticks: &[&Line],
    upstream: &str,
) -> Option<Sticky> {
    let (mut creates, mut lookups) = (Vec::new(), Vec::new());
    let mut other = None;
    if let Some(app) = app {
        let name = app.word(1);
        if !plain(name) || name.contains('-') {
            cx.account.dropped(app, "no variable has this cookie");
            return None;
        }
        creates.push(format!("create=$upstream_cookie_{name}"));
        let variable: String = format!("session_of_{upstream}")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let query = after(app, "mode") == Some("query-string");
        let (before, end) = if query { ("[?&]", "[^&#]") } else { (";", "[^?;]") };
        let regex = format!("~{before}{}=(?<{variable}_value>{end}+)", super::matches::escape(name));
        // In the path or the query first, as HAProxy looked; otherwise the cookie.
        cx.model.http.push(Out::block(
            Some(app.place),
            ["map".to_owned(), "$request_uri".to_owned(), format!("${variable}")],
            vec![
                Out::new(None, [regex, format!("${variable}_value")]),
                Out::new(None, ["default".to_owned(), format!("$cookie_{name}")]),
            ],
        ));
        if app.words.iter().any(|w| w == "request-learn") {
            creates.push(format!("create=${variable}"));
        }
        lookups.push(format!("lookup=${variable}"));
        cx.account.exact(app, "");
        if app.words.iter().any(|w| w == "prefix") {
            cx.account.approximated(app, "prefix: the cookie of this name, not those whose names begin so");
        }
        if after(app, "len").is_some() {
            cx.account.approximated(app, "len: sessions are told apart by their whole text");
        }
    }
    for line in sticks {
        if line.words.iter().any(|w| matches!(w.as_str(), "if" | "unless")) {
            cx.account.dropped(line, "a session on a condition has no counterpart");
            continue;
        }
        if let Some(name) = after(line, "table") {
            let Some(table) = cx.tables.get(name).cloned() else {
                cx.account.dropped(line, "there is no such table");
                continue;
            };
            cx.account.approximated(line, "a table of its own like that one");
            cx.account.exact(&table, "of the backends that stick to it");
            other = Some(table);
        }
        let sample = match line.word(1) {
            "store-response" => answer(line.word(2)),
            _ => values::sample(line.word(2)),
        };
        let Some(sample) = sample else {
            cx.account.dropped(line, "no variable has this sample");
            continue;
        };
        cx.account.exact(line, "");
        if line.word(1) != "match" {
            creates.push(format!("create={sample}"));
        }
        if matches!(line.word(1), "on" | "match") {
            lookups.push(format!("lookup={sample}"));
        }
    }
    let table = table.or(other.as_ref());
    let line = app.or(table).or(sticks.first().copied())?;
    // What answers bring first: it is the newer.
    creates.sort_by_key(|c| !c.starts_with("create=$upstream"));
    creates.dedup();
    if creates.is_empty() || lookups.is_empty() {
        cx.account.dropped(line, "nothing is both stored and looked up");
        return None;
    }
    let time = app.and_then(|a| after(a, "timeout")).or_else(|| table.and_then(|t| after(t, "expire")));
    let time = time.and_then(|t| values::time(t, 1)).filter(|ms| *ms > 0 && *ms < 1 << 31);
    if let Some(table) = table {
        cx.account.exact(table, "");
        if after(table, "expire").is_none() || time.is_none() {
            cx.account.approximated(table, "an entry that is not used for a day goes");
        }
        if after(table, "peers").is_some() {
            match &cx.asked.store {
                Some(_) => cx.account.approximated(table, "peers: shared through the store"),
                None => cx.account.dropped(table, SHARED),
            }
        }
        if after(table, "store").is_some() {
            cx.account.dropped(table, "store: nothing is counted");
        }
    }
    let entries = table.and_then(|t| after(t, "size")).and_then(entries);
    let size = entries.map_or(1, |n| n.div_ceil(8000)).clamp(1, 1024);
    let why = "HAProxy's table is in its memory: each session is balanced anew once".to_owned();
    cx.model.sessions.push(Sessions { upstream: upstream.to_owned(), fate: Fate::Lost, why });
    let mut words = creates;
    words.extend(lookups);
    words.push(format!("zone={upstream}_sessions:{size}m"));
    words.push(format!("timeout={}", values::shown(time.unwrap_or(86_400_000))));
    let shared = table.is_some_and(|t| after(t, "peers").is_some());
    words.extend(cx.asked.store.as_ref().filter(|_| shared).map(|url| format!("store={url}")));
    Some(Sticky { cite: Some(line.place), kind: StickyKind::Learn(words) })
}

/// The variable of a sample of the answer.
pub(super) fn answer(sample: &str) -> Option<String> {
    let (name, argument) = sample.strip_suffix(')')?.split_once('(')?;
    let fit = |dash: bool| {
        !argument.is_empty()
            && argument.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || (dash && b == b'-'))
    };
    match name {
        "set-cookie" | "res.cook" | "scook" if fit(false) => Some(format!("$upstream_cookie_{argument}")),
        "res.hdr" | "shdr" if fit(true) => {
            Some(format!("$upstream_http_{}", argument.to_ascii_lowercase().replace('-', "_")))
        }
        _ => None,
    }
}

/// A table's size: a number with `k` or `m`.
fn entries(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1 << 10),
        None => text.strip_suffix(['m', 'M']).map_or((text, 1), |n| (n, 1 << 20)),
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
