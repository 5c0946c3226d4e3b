//! What is ours about sessions: keys read, tables of the values that mean peers.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::ng;
use super::upstream::{Source, Templates, md5_hex};
use crate::config::pins::{self as settings, Form, KeyFile};
use crate::config::upstream as block;
use crate::diag::{Diag, Diags, FileId, Severity};
use crate::plan::{Accepted, Peer, PeerAddr, PeerId, PeerIndex, Pins, Seal, Sticky, Upstream};
use crate::rt::secret;
use crate::sys::err_text;
use crate::values::{self, Host, KEY_MIN, PinKey};

/// The longest file of a key; more is a mistake.
const KEY_MAX: u64 = 4096;

type Place = (FileId, u32);

/// What a form makes its value of.
struct Identity<'a> {
    /// `ip:port`, or whatever stood in its place.
    name: &'a [u8],
    addr: Option<SocketAddr>,
    /// The text of the `server` line.
    server: &'a [u8],
    id: Option<&'a [u8]>,
    route: Option<&'a [u8]>,
}

/// Adds what a block asks for, keys apart.
pub(super) fn add(upstream: &mut Upstream, block: &block::Upstream, diags: &mut Diags, make: Templates<'_>) {
    let asked = &block.pins;
    let p = &asked.params;
    let same = settings::Pins { params: p.clone(), keys: asked.keys.clone(), ..settings::Pins::default() };
    if !p.any() && *asked == same {
        return;
    }
    let mut pins = Pins {
        always: p.always,
        due: p.due,
        nocache: p.nocache,
        postonly: p.postonly,
        preserve: p.preserve,
        secure: p.secure,
        httponly: p.httponly,
        samesite: p.samesite,
        maxidle: p.maxidle,
        maxlife: p.maxlife,
        parallel: asked.parallel,
        bypass: asked.bypass.iter().map(|text| make(Source::Text(text))).collect(),
        ..Pins::default()
    };
    if let Some(Sticky::Tengine(s)) = &upstream.sticky {
        (pins.maxidle, pins.maxlife) = (s.maxidle.or(pins.maxidle), s.maxlife.or(pins.maxlife));
    }
    let needs = |directive: &str, at: Place, diags: &mut Diags| {
        let message = format!("\"{directive}\" does nothing here: the upstream keeps no sessions");
        warn(diags, message, at, "write \"session_sticky\" or \"sticky\" in the upstream");
    };
    let changes = block.servers.iter().any(|s| s.name().is_some());
    for alias in &asked.aliases {
        if upstream.sticky.is_none() {
            needs("sticky_alias", alias.at, diags);
        }
        if find(upstream, &alias.new).is_none() && !changes {
            let (new, name) = (show(&alias.new), &upstream.name);
            emerg(diags, format!("no server \"{new}\" in upstream \"{name}\""), alias.at);
        } else if find(upstream, &alias.old).is_some() {
            let message = format!("\"{}\" is still a server of the upstream", show(&alias.old));
            warn(diags, message, alias.at, "its sessions stay with it; the alias does nothing");
        }
    }
    if cookie_of(upstream).is_none() {
        asked.accepts.iter().for_each(|accept| needs("sticky_accept", accept.at, diags));
    }
    upstream.pins = Some(Box::new(pins));
    tables(upstream, asked);
}

/// Works out which values mean which of the peers that there are, and signs anew what was signed.
pub(super) fn tables(upstream: &mut Upstream, asked: &settings::Pins) {
    let Some(mut pins) = upstream.pins.take() else { return };
    let old: Vec<(&[u8], PeerId)> =
        asked.aliases.iter().filter_map(|a| Some((&*a.old, find(upstream, &a.new)?))).collect();
    pins.aliases = own_aliases(upstream, &old);
    pins.accepts = Vec::new();
    let own = cookie_of(upstream);
    for accept in asked.accepts.iter().filter(|_| own.is_some()) {
        let cookie: Box<[u8]> = match (&accept.cookie, &accept.form, own) {
            (Some(name), ..) => name.clone(),
            (None, Form::F5, _) => [b"BIGipServer", upstream.name.as_bytes()].concat().into(),
            (None, _, name) => name.unwrap_or_default().into(),
        };
        let at = pins.accepts.iter().position(|a| a.cookie == cookie).unwrap_or_else(|| {
            pins.accepts.push(Accepted { cookie, ..Accepted::default() });
            pins.accepts.len() - 1
        });
        if let Some(list) = pins.accepts.get_mut(at) {
            values_of(upstream, &accept.form, &old, list);
        }
    }
    if let Some(seal) = pins.seal.take() {
        let (keys, aliases) = (seal.keys, &pins.aliases);
        pins.seal = Some(Seal::new(keys, seal.random, &upstream.name, &upstream.sids, aliases));
    }
    upstream.pins = Some(pins);
}

/// The name of the cookie that the upstream sets.
fn cookie_of(upstream: &Upstream) -> Option<&[u8]> {
    match upstream.sticky.as_ref()? {
        Sticky::Tengine(s) => Some(&s.cookie),
        Sticky::Cookie(s) => Some(&s.name),
        Sticky::Ng(s) => Some(&s.name),
        Sticky::Route(_) | Sticky::Learn(_) => None,
    }
}

/// The peer that a text means: its name, its server's text, `id=` or `route=`.
fn find(upstream: &Upstream, text: &[u8]) -> Option<PeerId> {
    let named = |peer: &Peer| {
        peer.name.as_bytes() == text
            || peer.server.as_bytes() == text
            || peer.plain.as_deref() == Some(text)
            || peer.route.as_deref() == Some(text)
    };
    upstream.peers.iter().position(named).map(|i| PeerId(i as u32))
}

/// What the upstream's own cookies said for peers that were: a text of the server's, or the MD5 of its name.
fn own_aliases(upstream: &Upstream, old: &[(&[u8], PeerId)]) -> PeerIndex {
    let mut all = PeerIndex::default();
    for (text, peer) in old {
        for sid in [Box::from(*text), md5_hex(text)] {
            if !upstream.sid_index.contains_key(&sid) {
                all.entry(sid).or_insert(*peer);
            }
        }
    }
    all
}

/// Works out a form's value for every peer, there or not any more.
fn values_of(upstream: &Upstream, form: &Form, old: &[(&[u8], PeerId)], list: &mut Accepted) {
    list.prefixed |= matches!(form, Form::Tengine { .. } | Form::Haproxy);
    list.dates.seconds |= matches!(form, Form::Tengine { .. } | Form::ServerId);
    list.dates.haproxy |= matches!(form, Form::Haproxy);
    let there = upstream.peers.iter().enumerate().map(|(i, peer)| {
        let addr = match &peer.addr {
            PeerAddr::Inet(addr) => Some(*addr),
            PeerAddr::Unix(_) => None,
        };
        let (id, route, server) = (peer.plain.as_deref(), peer.route.as_deref(), peer.server.as_bytes());
        (Identity { name: peer.name.as_bytes(), addr, server, id, route }, PeerId(i as u32))
    });
    let gone = old.iter().map(|(text, peer)| {
        let addr = values::server(text).ok().and_then(|a| match a.host {
            Host::Ip(ip) => Some(SocketAddr::new(ip, a.port.unwrap_or(80))),
            _ => None,
        });
        (Identity { name: text, addr, server: text, id: Some(text), route: Some(text) }, *peer)
    });
    let all: Vec<_> = there.chain(gone).collect();
    for (who, peer) in all {
        if let (Form::StickyNg { value, input }, Some(now)) = (form, upstream.peers.get(peer.ix())) {
            let then = Peer { name: show(who.name).into(), server: show(who.server).into(), ..now.clone() };
            let addr = who.addr.map_or(now.addr.clone(), PeerAddr::Inet);
            let value = ng::value(value, *input, &Peer { addr, ..then }, peer.ix());
            list.values.entry(value).or_insert(peer);
        }
        for value in value(form, &who) {
            list.values.entry(value).or_insert(peer);
        }
    }
}

/// What a cookie of the form says for a peer; of one that was it may be one of several.
fn value(form: &Form, who: &Identity<'_>) -> Vec<Box<[u8]>> {
    let md5 = || md5_hex(who.name);
    match form {
        Form::Tengine { md5: true } => vec![md5()],
        Form::Tengine { md5: false } => vec![who.id.unwrap_or(who.name).into()],
        Form::Nginx => match who.route {
            Some(route) if route == who.name => vec![route.into(), md5()],
            Some(route) => vec![route.into()],
            None => vec![md5()],
        },
        Form::Haproxy | Form::ServerId => {
            who.id.or(who.route).map(|name| vec![name.into()]).unwrap_or_default()
        }
        // See where this is called: it needs the whole peer.
        Form::StickyNg { .. } => Vec::new(),
        Form::F5 => who.addr.map_or_else(Vec::new, values::f5_cookies),
    }
}

/// Signs an upstream's pins, when it is asked for or a key is there: its own, else those of `http`.
pub(super) fn sign(
    upstream: &mut Upstream,
    block: &block::Upstream,
    http: &[KeyFile],
    prefix: &Path,
    diags: &mut Diags,
) {
    let asked = block.pins.params.signed;
    let files = if block.pins.keys.is_empty() { http } else { &block.pins.keys };
    if asked == Some(false) || (asked.is_none() && files.is_empty()) || cookie_of(upstream).is_none() {
        if let Some(key) = block.pins.keys.first() {
            let message = "\"session_sticky_key\" does nothing here: no cookie is signed".to_owned();
            warn(diags, message, key.at, "\"sticky route\" and \"sticky learn\" have no cookie of ours");
        }
        return;
    }
    let mut keys: Vec<PinKey> = files.iter().filter_map(|file| read_key(file, prefix, diags)).collect();
    let random = files.is_empty();
    if random {
        keys.push(PinKey::made_up(secret()));
        diags.push(Diag {
            severity: Severity::Notice,
            code: "random-key",
            message: format!(
                "session cookies of upstream \"{}\" are signed with a key made up at start",
                upstream.name
            ),
            span: None,
            at: Some(block.at),
            hint: Some("a restart ends all sessions; name a file with \"session_sticky_key\"".to_owned()),
        });
    }
    let pins = upstream.pins.get_or_insert_default();
    if let Some(Sticky::Tengine(s)) = &upstream.sticky {
        (pins.maxidle, pins.maxlife) = (s.maxidle.or(pins.maxidle), s.maxlife.or(pins.maxlife));
    }
    pins.seal = Some(Seal::new(keys, random, &upstream.name, &upstream.sids, &pins.aliases));
}

/// Reads a key of the configuration.
fn read_key(file: &KeyFile, prefix: &Path, diags: &mut Diags) -> Option<PinKey> {
    let path = prefix.join(Path::new(std::ffi::OsStr::from_bytes(&file.path)));
    let (key, open_to_all) = match load_key(&path) {
        Ok(read) => read,
        Err(message) => {
            diags.push(Diag { code: KEY_FILE, ..diag(message, file.at) });
            return None;
        }
    };
    if open_to_all {
        let message = format!("\"{}\" can be read by everybody", path.display());
        diags.push(Diag {
            code: KEY_FILE,
            severity: Severity::Warn,
            hint: Some("whoever reads it can write pins; \"chmod 600\" is enough for the master".to_owned()),
            ..diag(message, file.at)
        });
    }
    Some(key)
}

/// A key, the file's bytes without line ends behind them, and whether everybody may read it.
pub fn load_key(path: &Path) -> Result<(PinKey, bool), String> {
    let shown = path.display();
    let failed = |call: &str, e: &io::Error| format!("{call}() \"{shown}\" failed ({})", err_text(e));
    // What is no file might never end, or never begin.
    let meta = std::fs::metadata(path).map_err(|e| failed("open", &e))?;
    if !meta.is_file() {
        return Err(format!("\"{shown}\" is not a file"));
    }
    let opened = std::fs::File::open(path).map_err(|e| failed("open", &e))?;
    let mut text = Vec::new();
    opened.take(KEY_MAX + 1).read_to_end(&mut text).map_err(|e| failed("read", &e))?;
    let too_long = text.len() as u64 > KEY_MAX;
    while let [.., b'\n' | b'\r'] = &text[..] {
        text.pop();
    }
    let key = PinKey::new(&text).filter(|_| !too_long);
    let key = key.ok_or_else(|| format!("\"{shown}\" must be {KEY_MIN} to {KEY_MAX} bytes"))?;
    Ok((key, meta.permissions().mode() & 0o004 != 0))
}

/// The code of what depends on the machine's key files.
pub const KEY_FILE: &str = "key-file";

fn diag(message: String, at: Place) -> Diag {
    Diag { severity: Severity::Emerg, code: "bad-value", message, span: None, at: Some(at), hint: None }
}

fn emerg(diags: &mut Diags, message: String, at: Place) {
    diags.push(diag(message, at));
}

fn warn(diags: &mut Diags, message: String, at: Place, hint: &str) {
    let (severity, code, hint) = (Severity::Warn, "suspicious", Some(hint.to_owned()));
    diags.push(Diag { severity, code, hint, ..diag(message, at) });
}

fn show(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
