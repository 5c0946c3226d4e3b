//! Persistence: which server a client stays with.

use super::super::ids;
use super::super::model::{Cookie, LONGEST_ROUTE, Line, Session, Sticky, StickyKind};
use super::super::report::{Class, Fate, Sessions};
use super::pools::Pool;
use super::read::{Entry, Object};
use super::{Cx, leaf, seconds};

/// What a profile of persistence is.
struct Profile<'o> {
    /// `cookie`, `source-addr`, …
    kind: String,
    /// `None`: one that every device has.
    object: Option<&'o Object>,
    /// The line that names it.
    at: &'o Entry,
}

impl<'o> Profile<'o> {
    fn get(&self, cx: &Cx<'o>, key: &str) -> Option<&'o Entry> {
        cx.inherited(self.object?, "ltm persistence", key)
    }

    fn text(&self, cx: &Cx<'o>, key: &str) -> &'o str {
        self.get(cx, key).map_or("", Entry::text)
    }

    fn on(&self, cx: &Cx<'o>, key: &str) -> bool {
        matches!(self.text(cx, key), "enabled" | "yes")
    }
}

/// The stickiness of an upstream, and the key of a learned one.
enum Found {
    Kind(StickyKind),
    /// `create=`, `lookup=`, the seconds without use.
    Keys(Vec<String>, Vec<String>, u64),
    /// The balancer does it.
    Hash,
}

/// The profiles of a virtual server as the stickiness of its upstream.
pub(super) fn convert<'o>(
    cx: &mut Cx<'o>,
    persist: Option<&'o Entry>,
    fallback: Option<&'o Entry>,
    pool: &mut Pool<'o>,
    upstream: &str,
) -> Option<Sticky> {
    let first = persist.and_then(|e| profile(cx, e.inside.first().unwrap_or(e)));
    if let Some(entry) = persist {
        let more = entry.inside.iter().skip(1);
        for other in more {
            cx.account.all(other, Class::Dropped, "the first profile holds");
        }
        if entry.text() == "none" {
            cx.account.exact(entry, "no sessions");
        } else if first.is_some() {
            cx.account.exact(entry, "");
            entry.inside.first().into_iter().for_each(|e| cx.account.all(e, Class::Exact, ""));
        } else {
            cx.account.all(
                entry,
                Class::Dropped,
                "this profile is not in the input and none that every device has",
            );
        }
    }
    let second = fallback.filter(|e| e.text() != "none").and_then(|e| profile(cx, e));
    let found = first.as_ref().and_then(|p| one(cx, p, pool, upstream));
    let Some(entry) = fallback else { return found.and_then(|f| finish(cx, f, first.as_ref(), upstream)) };
    if entry.text() == "none" {
        cx.account.exact(entry, "none");
        return found.and_then(|f| finish(cx, f, first.as_ref(), upstream));
    }
    let spare = second.as_ref().and_then(|p| one(cx, p, pool, upstream));
    let both = match (found, spare) {
        (Some(Found::Keys(mut create, mut lookup, time)), Some(Found::Keys(more, also, other))) => {
            create.extend(more);
            lookup.extend(also);
            if time == other {
                cx.account.exact(entry, "");
            } else {
                cx.account.approximated(entry, "one timeout for both keys");
            }
            Some(Found::Keys(create, lookup, time))
        }
        (Some(found), _) => {
            cx.account.dropped(entry, "one kind of stickiness: what comes without the first is balanced");
            Some(found)
        }
        (None, spare) => {
            cx.account.approximated(entry, "the only kind that has a counterpart");
            return spare.and_then(|f| finish(cx, f, second.as_ref(), upstream));
        }
    };
    both.and_then(|f| finish(cx, f, first.as_ref(), upstream))
}

/// The profile that an entry names: one of the input, or one that every device has.
fn profile<'o>(cx: &Cx<'o>, at: &'o Entry) -> Option<Profile<'o>> {
    let name = if at.inside.is_empty() && at.value.is_some() { at.text() } else { &at.key };
    if let Some(object) = cx.object("ltm persistence", name) {
        let kind = object.kind.rsplit(' ').next().unwrap_or_default().to_owned();
        return Some(Profile { kind, object: Some(object), at });
    }
    let kind = match leaf(name) {
        "cookie" => "cookie",
        "source_addr" => "source-addr",
        "dest_addr" => "dest-addr",
        "hash" => "hash",
        "universal" => "universal",
        "ssl" => "ssl",
        "sip_info" => "sip",
        "msrdp" => "msrdp",
        _ => return None,
    };
    Some(Profile { kind: kind.to_owned(), object: None, at })
}

fn finish<'o>(
    cx: &mut Cx<'o>,
    found: Found,
    profile: Option<&Profile<'o>>,
    upstream: &str,
) -> Option<Sticky> {
    let cite = profile.map(|p| p.object.map_or(p.at.place, |o| o.place));
    let kind = match found {
        Found::Hash => return None,
        Found::Kind(kind) => kind,
        Found::Keys(create, lookup, time) => {
            let why = "the device's table is in its memory: each session is balanced anew once".to_owned();
            cx.model.sessions.push(Sessions { upstream: upstream.to_owned(), fate: Fate::Lost, why });
            let mut words: Vec<String> = create.iter().map(|k| format!("create={k}")).collect();
            words.extend(lookup.iter().map(|k| format!("lookup={k}")));
            words.push(format!("zone={upstream}_sessions:4m"));
            words.push(format!("timeout={time}s"));
            StickyKind::Learn(words)
        }
    };
    Some(Sticky { cite, kind })
}

fn one<'o>(cx: &mut Cx<'o>, profile: &Profile<'o>, pool: &mut Pool<'o>, upstream: &str) -> Option<Found> {
    let found = match profile.kind.as_str() {
        "cookie" => match profile.text(cx, "method") {
            "hash" => keyed(cx, profile, &cookie_name(cx, profile, pool)),
            "passive" => passive(cx, profile, pool, upstream),
            method => insert(cx, profile, pool, upstream, method == "rewrite"),
        },
        "source-addr" => source(cx, profile, pool, upstream),
        "universal" => universal(cx, profile),
        _ => None,
    };
    let Some(object) = profile.object else {
        if found.is_none() {
            cx.account.dropped(profile.at, &format!("\"{}\" has no counterpart", profile.kind));
        }
        return found;
    };
    if found.is_none() {
        cx.account.object(object, Class::Dropped, &format!("\"{}\" has no counterpart", profile.kind));
        return None;
    }
    cx.account.mark(object.place, Class::Exact, "");
    entries(cx, object);
    found
}

/// What becomes of each line of a profile that holds.
fn entries(cx: &mut Cx<'_>, object: &Object) {
    for entry in &object.entries {
        let off = matches!(entry.text(), "disabled" | "none" | "0" | "" | "no");
        match entry.key.as_str() {
            "mirror" if !off => cx.account.dropped(entry, "the table is this machine's"),
            "match-across-pools" | "match-across-services" | "match-across-virtuals" if !off => {
                cx.account.dropped(entry, "sessions are kept for each upstream");
            }
            "override-connection-limit" if !off => {
                cx.account.dropped(entry, "past max_conns a session goes elsewhere");
            }
            "cookie-encryption" if !off => {
                cx.account.dropped(
                    entry,
                    "the device's key does not open its cookies here; see \"session_sticky_key\"",
                );
            }
            "cookie-encryption-passphrase" | "encrypt-cookie-poolname" if !off => {
                cx.account.dropped(entry, "the pool's name and the values are plain");
            }
            "hash-offset" | "hash-length" if !off => cx.account.dropped(entry, "the whole value is the key"),
            "timeout" if entry.text() == "indefinite" => cx.account.approximated(entry, "a day without use"),
            _ => cx.account.all(entry, Class::Exact, ""),
        }
    }
}

/// The cookie's name: `BIGipServer` and the pool's, unless one is said.
fn cookie_name<'o>(cx: &Cx<'o>, profile: &Profile<'o>, pool: &Pool<'o>) -> String {
    match profile.text(cx, "cookie-name") {
        "" | "none" => {
            let name = pool.object.name.trim_start_matches('/').split('/').collect::<Vec<_>>();
            match name.as_slice() {
                [folder, rest @ ..] if !rest.is_empty() && *folder != "Common" => {
                    format!("BIGipServer~{folder}~{}", rest.join("~"))
                }
                _ => format!("BIGipServer{}", leaf(&pool.object.name)),
            }
        }
        name => name.to_owned(),
    }
}

/// The device's names for the members; `None` where there is no numeric address.
fn values(pool: &Pool<'_>) -> Vec<Option<String>> {
    pool.addresses.iter().map(|a| a.map(|(address, domain)| ids::f5(address, domain))).collect()
}

fn plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !br#"$;,"'\{}="#.contains(&b))
}

fn insert<'o>(
    cx: &mut Cx<'o>,
    profile: &Profile<'o>,
    pool: &mut Pool<'o>,
    upstream: &str,
    rewrite: bool,
) -> Option<Found> {
    let name = cookie_name(cx, profile, pool);
    if !plain(&name) {
        cx.account.dropped(profile.at, "this cannot be the name of a cookie");
        return None;
    }
    let values = values(pool);
    let encrypted = !matches!(profile.text(cx, "cookie-encryption"), "" | "disabled");
    let expires = profile.get(cx, "expiration").and_then(|e| seconds(e.text())).filter(|s| *s > 0);
    let (secure, httponly) = (profile.on(cx, "secure"), profile.on(cx, "httponly"));
    let always = profile.on(cx, "always-send");
    let short = values.iter().flatten().all(|v| v.len() <= LONGEST_ROUTE);
    let special =
        pool.peers.iter().any(|p| p.drain || (p.backup && !cx.can.session_backup) || p.max_conns > 0);
    let flags = (secure || httponly) && !cx.can.session_flags;
    for (peer, value) in pool.peers.iter_mut().zip(&values) {
        peer.id.clone_from(value);
    }
    let known = values.iter().filter(|v| v.is_some()).count();
    let (fate, why) = match known {
        _ if encrypted => (Fate::Lost, "its cookies are encrypted: each session is balanced anew once"),
        0 => (Fate::Lost, "names in place of addresses: the device's values are not known"),
        n if n == values.len() => (Fate::KeptByAlias, "each server has the value that the device gave it"),
        _ => (Fate::KeptByAlias, "servers with a numeric address have the value that the device gave them"),
    };
    let why = format!("cookie \"{name}\": {why}");
    cx.model.sessions.push(Sessions { upstream: upstream.to_owned(), fate, why });
    if rewrite {
        cx.account.approximated(
            profile.at,
            "rewrite: the cookie is put in; the backend's placeholder stays as it is",
        );
    }
    if (special || always || flags) && short {
        if !always {
            cx.account
                .approximated(profile.at, "the cookie comes with every answer, not only with the first");
        }
        return Some(Found::Kind(StickyKind::Cookie(Cookie {
            name,
            expires: expires.map(|s| format!("{s}s")),
            path: Some("/".to_owned()),
            secure,
            httponly,
            ..Cookie::default()
        })));
    }
    if flags {
        cx.account.dropped(profile.at, "secure, httponly: the values are too long for \"route=\"");
    }
    let mut session = Session::insert(name);
    session.maxage = expires;
    if cx.can.session_flags {
        (session.secure, session.httponly) = (secure, httponly);
    }
    session.always = cx.can.session_always;
    if !session.always {
        cx.account.approximated(profile.at, "answers with a status of 400 and above bring no cookie");
    }
    Some(Found::Kind(StickyKind::Session(session)))
}

/// The backend sends the cookie that says where it is.
fn passive<'o>(cx: &mut Cx<'o>, profile: &Profile<'o>, pool: &mut Pool<'o>, upstream: &str) -> Option<Found> {
    let name = cookie_name(cx, profile, pool);
    let values = values(pool);
    let variable = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !variable || values.iter().any(|v| v.as_ref().is_none_or(|v| v.len() > LONGEST_ROUTE)) {
        return None;
    }
    for (peer, value) in pool.peers.iter_mut().zip(values) {
        peer.id = value;
    }
    let why = format!("cookie \"{name}\": the backends' own, read as before");
    cx.model.sessions.push(Sessions { upstream: upstream.to_owned(), fate: Fate::Kept, why });
    Some(Found::Kind(StickyKind::Route(vec![format!("$cookie_{name}")])))
}

fn timeout<'o>(cx: &Cx<'o>, profile: &Profile<'o>) -> u64 {
    match profile.text(cx, "timeout") {
        "indefinite" => 86_400,
        text => text.parse::<u64>().ok().filter(|n| *n > 0 && *n < 1 << 21).unwrap_or(180),
    }
}

fn keyed<'o>(cx: &Cx<'o>, profile: &Profile<'o>, cookie: &str) -> Option<Found> {
    let fit = !cookie.is_empty() && cookie.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let create = vec![format!("$upstream_cookie_{cookie}"), format!("$cookie_{cookie}")];
    fit.then(|| Found::Keys(create, vec![format!("$cookie_{cookie}")], timeout(cx, profile)))
}

fn source<'o>(cx: &mut Cx<'o>, profile: &Profile<'o>, pool: &mut Pool<'o>, upstream: &str) -> Option<Found> {
    if profile.text(cx, "hash-algorithm") == "carp" {
        cx.account.approximated(
            profile.at,
            "a consistent hash of the address: each client changes its server once",
        );
        pool.method = Some(Line::new(Some(profile.at.place), ["hash", "$remote_addr", "consistent"]));
        pool.peers.iter_mut().filter(|p| p.backup).for_each(|p| (p.backup, p.down) = (false, true));
        pool.peers.iter_mut().filter(|p| p.drain).for_each(|p| (p.drain, p.down) = (false, true));
        let why = "another hash than the device's: each client changes its server once".to_owned();
        cx.model.sessions.push(Sessions { upstream: upstream.to_owned(), fate: Fate::Lost, why });
        return Some(Found::Hash);
    }
    let octets = match profile.text(cx, "mask") {
        "" | "none" | "255.255.255.255" => None,
        "255.255.255.0" => Some(3),
        "255.255.0.0" => Some(2),
        "255.0.0.0" => Some(1),
        other => {
            let note = format!("mask {other}: the whole address is the key");
            cx.account.approximated(profile.at, &note);
            None
        }
    };
    let key = match octets {
        None => "$remote_addr".to_owned(),
        Some(n) => {
            let variable: String = format!("source_of_{upstream}")
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect();
            let group = r"\d+\.".repeat(n);
            let place = Some(profile.at.place);
            cx.model.http.push(Line::block(
                place,
                ["map".to_owned(), "$remote_addr".to_owned(), format!("${variable}")],
                vec![
                    Line::new(None, [format!("~^(?<{variable}_net>{group})"), format!("${variable}_net")]),
                    Line::new(None, ["default", "$remote_addr"]),
                ],
            ));
            format!("${variable}")
        }
    };
    Some(Found::Keys(vec![key.clone()], vec![key], timeout(cx, profile)))
}

/// An iRule that takes a cookie or a header as the key.
fn universal<'o>(cx: &mut Cx<'o>, profile: &Profile<'o>) -> Option<Found> {
    let rule = cx.object("ltm rule", profile.text(cx, "rule"))?;
    let script = rule.script.as_deref()?;
    if !script.contains("persist") {
        return None;
    }
    let named = |what: &str| {
        let at = script.find(what)?;
        let rest = script.get(at + what.len()..)?.trim_start();
        let rest =
            rest.strip_prefix("exists").or_else(|| rest.strip_prefix("value")).unwrap_or(rest).trim_start();
        let rest = rest.trim_start_matches(['"', '{']);
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-')).unwrap_or(rest.len());
        rest.get(..end).filter(|n| !n.is_empty()).map(str::to_owned)
    };
    let time = timeout(cx, profile);
    let found = match (named("HTTP::cookie").filter(|n| !n.contains('-')), named("HTTP::header")) {
        (Some(cookie), _) => {
            let answers = script.contains("HTTP_RESPONSE") || script.contains("persist add");
            let own = format!("$cookie_{cookie}");
            let create =
                answers.then(|| format!("$upstream_cookie_{cookie}")).into_iter().chain([own.clone()]);
            Found::Keys(create.collect(), vec![own], time)
        }
        (None, Some(header)) => {
            let key = format!("$http_{}", header.to_ascii_lowercase().replace('-', "_"));
            Found::Keys(vec![key.clone()], vec![key], time)
        }
        (None, None) => return None,
    };
    cx.account.mark(
        rule.place,
        Class::Approximated,
        "its key is learned; the rest of the script is not carried out",
    );
    Some(found)
}
