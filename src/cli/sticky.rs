//! `tenrec sticky encode|decode|fingerprint`: session cookies written, read, and their keys told apart.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::compile::load_key;
use crate::plan::{PeerId, Plan, Sticky, Upstream};
use crate::rt::clock;
use crate::sticky::{self, Own, Status};
use crate::values::{self, Pin};
use crate::vars::iso8601;

use super::explain::{is_json, load};
use super::sub::{Flag, Words, print, say};

/// It was said.
const DONE: u8 = 0;
/// The cookie means no server.
const NOBODY: u8 = 1;
const FAILED: u8 = 2;

pub(super) const FLAGS: &[Flag] = &[
    Flag { name: "c", value: Some("FILE"), about: "the configuration (as with -t)" },
    Flag { name: "p", value: Some("DIR"), about: "the prefix of its relative paths" },
    Flag { name: "g", value: Some("DIRECTIVES"), about: "global directives beside those of the file" },
    Flag { name: "upstream", value: Some("NAME"), about: "decode: ask this upstream alone" },
    Flag {
        name: "last",
        value: Some("TIME"),
        about: "encode: when the cookie was written, seconds since 1970 (now)",
    },
    Flag { name: "first", value: Some("TIME"), about: "encode: when the session began (as --last)" },
    Flag { name: "format", value: Some("text|json"), about: "the form (text)" },
    Flag { name: "json", value: None, about: "the same as --format=json" },
];

/// What there is to print, and the exit code.
type Told = (String, Value, u8);

pub(super) fn run(words: Words) -> Result<u8, String> {
    let told = is_json(&words).and_then(|json| Ok((work(&words)?, json || words.has("json"))));
    match told {
        Ok(((text, value, code), json)) => {
            let text = if json { format!("{value:#}\n") } else { text };
            print(text.as_bytes());
            Ok(code)
        }
        Err(text) => {
            say(&format!("sticky: {text}"));
            Ok(FAILED)
        }
    }
}

fn work(words: &Words) -> Result<Told, String> {
    let operands: Vec<&[u8]> = words.operands.iter().map(|w| w.as_bytes()).collect();
    match &operands[..] {
        [b"encode", upstream, server] => encode(words, upstream, server),
        [b"encode", ..] => Err("\"encode\" needs an upstream and one of its servers".to_owned()),
        [b"decode", cookie] => match words.has("c") {
            true => decode(words, cookie),
            false => Ok(guess(cookie)),
        },
        [b"decode", ..] => Err("\"decode\" needs one cookie, NAME=VALUE or its value".to_owned()),
        [b"fingerprint"] => fingerprints(&plan(words)?),
        [b"fingerprint", files @ ..] => fingerprint(files),
        _ => Err("one of \"encode\", \"decode\" and \"fingerprint\" is needed".to_owned()),
    }
}

fn plan(words: &Words) -> Result<Plan, String> {
    load(words)?.plan.ok_or_else(|| "the configuration cannot run".to_owned())
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn time(seconds: i64) -> String {
    let mut out = Vec::new();
    iso8601(seconds, 0, &mut out);
    show(&out)
}

fn now() -> i64 {
    clock::refresh();
    i64::try_from(clock::unix_secs()).unwrap_or(i64::MAX)
}

fn dialect(upstream: &Upstream) -> &'static str {
    match upstream.sticky {
        None => "no sessions",
        Some(Sticky::Tengine(_)) => "session_sticky",
        Some(Sticky::Cookie(_)) => "sticky cookie",
        Some(Sticky::Route(_)) => "sticky route",
        Some(Sticky::Learn(_)) => "sticky learn",
        Some(Sticky::Ng(_)) => "sticky (nginx-sticky-module-ng)",
    }
}

fn encode(words: &Words, name: &[u8], server: &[u8]) -> Result<Told, String> {
    let plan = plan(words)?;
    let upstream = plan
        .upstreams
        .iter()
        .find(|u| !u.implicit && u.name.as_bytes().eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("there is no upstream \"{}\"", show(name)))?;
    let names = |p: &crate::plan::Peer| {
        p.name.as_bytes() == server
            || p.server.as_bytes() == server
            || p.id.as_ref().is_some_and(|i| i.as_bytes() == server)
    };
    let peer = upstream.peers.iter().position(names);
    let peer = peer.ok_or_else(|| format!("there is no server \"{}\" in it", show(server)))?;
    let cookie = sticky::cookie_of(upstream)
        .ok_or_else(|| format!("\"{}\" sets no cookie: {}", upstream.name, dialect(upstream)))?;
    if upstream.pins.as_ref().and_then(|p| p.seal.as_ref()).is_some_and(|s| s.random) {
        return Err("the running server's key was made up when it started: nobody else can sign".to_owned());
    }
    let seconds = |name: &'static str, other: i64| match words.value(name).map(|v| v.as_bytes()) {
        None => Ok(other),
        Some(text) => values::number(text)
            .and_then(|n| i64::try_from(n).ok())
            .ok_or_else(|| format!("\"--{name}={}\" is no time", show(text))),
    };
    let last = seconds("last", now())?;
    let first = seconds("first", last)?;
    let mut value = Vec::new();
    sticky::value(upstream, PeerId(peer as u32), (last, first), &mut value);
    if value.is_empty() {
        return Err("an upstream with one server has no sessions in this dialect".to_owned());
    }
    let text = format!("{}={}\n", show(cookie), show(&value));
    let json = json!({
        "upstream": &*upstream.name, "peer": upstream.peers.get(peer).map(|p| &*p.name),
        "dialect": dialect(upstream), "name": show(cookie), "value": show(&value),
    });
    Ok((text, json, DONE))
}

/// Reads a cookie with the configuration: every upstream that has one of the name says what it takes it for.
fn decode(words: &Words, cookie: &[u8]) -> Result<Told, String> {
    let plan = plan(words)?;
    let cut = cookie.iter().position(|b| *b == b'=').map(|i| (&cookie[..i], &cookie[i + 1..]));
    let (text_of, mut found) = (|u: &Upstream| Some(sticky::cookie_of(u)?.to_vec()), Vec::new());
    let only = words.value("upstream").map(|n| n.as_bytes());
    for upstream in plan.upstreams.iter().filter(|u| !u.implicit) {
        let (Some(own), true) =
            (text_of(upstream), only.is_none_or(|n| upstream.name.as_bytes().eq_ignore_ascii_case(n)))
        else {
            continue;
        };
        let accepts = upstream.pins.iter().flat_map(|p| &p.accepts).map(|a| a.cookie.to_vec());
        let names: Vec<Vec<u8>> = [own].into_iter().chain(accepts).collect();
        let known = |n: &[u8]| names.iter().any(|k| k.eq_ignore_ascii_case(n));
        let lines: Vec<Vec<u8>> = match cut {
            Some((name, _)) if known(name) => vec![cookie.to_vec()],
            Some((name, _))
                if name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) =>
            {
                continue;
            }
            _ => names.iter().map(|name| [name, &b"="[..], cookie].concat()).collect(),
        };
        found.push(one(upstream, &lines, cut.map_or(cookie, |(_, value)| value)));
    }
    if found.is_empty() {
        let said = "no upstream of the configuration has a cookie of this name";
        return Ok((format!("{said}\n"), json!({ "error": said }), NOBODY));
    }
    let code = if found.iter().any(|(.., peer)| *peer) { DONE } else { NOBODY };
    let text = found.iter().map(|(text, ..)| text.as_str()).collect();
    Ok((text, found.into_iter().map(|(_, value, _)| value).collect(), code))
}

/// What one upstream takes it for: text, JSON, and whether it means a peer.
fn one(upstream: &Upstream, lines: &[Vec<u8>], value: &[u8]) -> (String, Value, bool) {
    let ticket = sticky::read(upstream, lines.iter().map(|l| &l[..]), now());
    let peer = ticket.pin().and_then(|p| upstream.peers.get(p.ix()));
    let status = match ticket.status(ticket.pin(), Own::Open) {
        Status::New => "new (no session in it)",
        status => status.as_str(),
    };
    let value = value.split(|b| *b == b'~').next().unwrap_or_default();
    let pin = Pin::read(value);
    let seal = upstream.pins.as_ref().and_then(|p| p.seal.as_ref());
    let key = seal.zip(pin.as_ref()).and_then(|(seal, pin)| seal.signed_by(pin)).map(|k| k.fingerprint());
    let dates = pin.filter(|_| key.is_some()).map(|p| (p.last(), p.first())).or_else(|| {
        let first = ticket.first_seen()?;
        Some((dated(value).map_or(first, |(_, last, _)| last), first))
    });
    let mut text = format!("{} ({}): {status}", upstream.name, dialect(upstream));
    if let Some(peer) = peer {
        text += &format!(", {}", peer.name);
    }
    if let Some(key) = &key {
        text += &format!("\n  signed with key {key}");
    } else if seal.is_some() {
        text += "\n  not signed with a key of this upstream";
    }
    if let Some((last, first)) = dates {
        text += &format!("\n  written {}, session began {}", time(last), time(first));
    }
    let json = json!({
        "upstream": &*upstream.name, "dialect": dialect(upstream),
        "status": ticket.status(ticket.pin(), Own::Open).as_str(),
        "peer": peer.map(|p| &*p.name), "key": key,
        "signed": seal.is_some().then_some(key.is_some()),
        "last": dates.map(|d| d.0), "first": dates.map(|d| d.1),
    });
    (text + "\n", json, peer.is_some())
}

/// `VALUE|LAST|FIRST` of decimal seconds.
fn dated(value: &[u8]) -> Option<(&[u8], i64, i64)> {
    let mut parts = value.rsplitn(3, |b| *b == b'|');
    let mut number = || i64::try_from(values::number(parts.next()?)?).ok();
    let (first, last) = (number()?, number()?);
    Some((parts.next()?, last, first))
}

/// Says what a cookie looks like when there is no configuration to ask.
fn guess(cookie: &[u8]) -> Told {
    let value = match cookie.iter().position(|b| *b == b'=') {
        Some(i) if i + 1 < cookie.len() => &cookie[i + 1..],
        _ => cookie,
    };
    let (value, rest) = match value.iter().position(|b| *b == b'~') {
        Some(i) => (&value[..i], Some(show(&value[i + 1..]))),
        None => (value, None),
    };
    let (mut form, mut peer, mut dates) = ("unknown", None, None);
    if let Some(pin) = Pin::read(value) {
        form = "signed pin of tenrec, version 1";
        dates = Some((pin.last(), pin.first()));
    } else if let Some(addr) = f5(value) {
        form = "F5 BIGipServer";
        peer = Some(addr.to_string());
    } else {
        let bare = match (dated(value), value.iter().position(|b| *b == b'|')) {
            (Some((bare, last, first)), _) => {
                dates = Some((last, first));
                bare
            }
            (None, Some(i)) => {
                let last = value.get(i + 1..i + 6).and_then(values::haproxy_date);
                let first = value.get(i + 7..i + 12).and_then(values::haproxy_date);
                dates = last.map(|last| (last, first.unwrap_or(last)));
                &value[..i]
            }
            (None, None) => value,
        };
        let hex = bare.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
        form = match bare.len() {
            32 if hex => "MD5: Tengine, nginx, nginx-sticky-module-ng (hash=md5, hmac=md5)",
            40 if hex => "SHA-1: nginx-sticky-module-ng (hash=sha1, hmac=sha1)",
            16 if hex => "HAProxy's dynamic cookie",
            1..=3 if bare.iter().all(u8::is_ascii_digit) => "a number: nginx-sticky-module-ng (hash=index)",
            _ if std::str::from_utf8(bare).is_ok_and(|t| t.parse::<SocketAddr>().is_ok()) => {
                peer = Some(show(bare));
                "an address: Tengine hash=plain, nginx-sticky-module-ng text=raw"
            }
            0 => form,
            _ => "a name: HAProxy, Tengine hash=plain with id=, nginx with route=",
        };
    }
    let mut text = form.to_owned();
    if let Some(peer) = &peer {
        text += &format!("\n  server {peer}");
    }
    if let Some((last, first)) = dates {
        text += &format!("\n  written {}, session began {}", time(last), time(first));
    }
    if let Some(rest) = &rest {
        text += &format!("\n  before the application's own value \"{rest}\"");
    }
    let json = json!({
        "form": form, "peer": peer, "last": dates.map(|d| d.0), "first": dates.map(|d| d.1), "application": rest,
    });
    (text + "\n", json, if form == "unknown" { NOBODY } else { DONE })
}

/// The server of `ADDRESS.PORT.0000`.
fn f5(value: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(value.strip_suffix(b".0000")?).ok()?;
    let (ip, port) = text.split_once('.')?;
    let ip = ip.parse::<u32>().ok()?.to_le_bytes();
    Some(SocketAddr::from((ip, port.parse::<u16>().ok()?.swap_bytes())))
}

fn fingerprint(files: &[&[u8]]) -> Result<Told, String> {
    let mut list = Vec::new();
    for file in files {
        let path = Path::new(std::ffi::OsStr::from_bytes(file));
        let (key, open_to_all) = load_key(path)?;
        if open_to_all {
            say(&format!("sticky: \"{}\" can be read by everybody", path.display()));
        }
        list.push((key.fingerprint(), show(file)));
    }
    let text = list.iter().map(|(id, file)| format!("{id}  {file}\n")).collect();
    let json = list.iter().map(|(id, file)| json!({ "fingerprint": id, "file": file })).collect();
    Ok((text, json, DONE))
}

/// The keys of each upstream, the one that signs first.
fn fingerprints(plan: &Plan) -> Result<Told, String> {
    let (mut text, mut list) = (String::new(), Vec::new());
    for upstream in &plan.upstreams {
        let Some(seal) = upstream.pins.as_ref().and_then(|p| p.seal.as_ref()) else { continue };
        let ids: Vec<String> =
            if seal.random { Vec::new() } else { seal.keys.iter().map(|k| k.fingerprint()).collect() };
        let shown = if seal.random { "made up at start".to_owned() } else { ids.join(" ") };
        text += &format!("{shown}  {}\n", upstream.name);
        list.push(json!({ "upstream": &*upstream.name, "random": seal.random, "fingerprints": ids }));
    }
    if list.is_empty() {
        return Err("no upstream of the configuration has signed cookies".to_owned());
    }
    Ok((text, list.into(), DONE))
}
