//! What a change does to sessions: the cookie (or route) that the old configuration gives out for each peer is read by
//! the new one, with the code that serves.

use std::fmt;

use crate::balance::{self, Local, Selection, Shared};
use crate::plan::{Method, Peer, PeerId, Plan, Sticky, StickyMode, Upstream};
use crate::rt::Rng;
use crate::sticky::{self, Ticket};
use crate::zone::Slots;

/// How many clients are sampled where an upstream keeps them by a hash.
pub const SAMPLE: u32 = 4096;

/// Any time does: both sides are given the same.
const NOW: i64 = 1_800_000_000;

/// What becomes of the sessions of one upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Impact {
    /// The upstream's name in the old configuration.
    pub upstream: Box<str>,
    /// Its name in the new one, when that differs: another name, most of the same peers.
    pub renamed: Option<Box<str>>,
    /// How sessions were kept: `sticky cookie`, `ip_hash` …
    pub how: &'static str,
    /// One for each peer that sessions may be with; empty where a hash keeps them.
    pub pins: Vec<Pin>,
    /// Where a hash of the request keeps clients with their peer.
    pub hash: Option<Hash>,
}

/// The sessions with one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The peer's name: its address.
    pub peer: Box<str>,
    /// What clients hold: `NAME=VALUE` of a cookie, else the value alone.
    pub value: Box<[u8]>,
    pub fate: Fate,
}

/// What becomes of a pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It means the same peer as before, and the peer still gives it out.
    Kept,
    /// It means the same peer as before; the peer gives out this one from now on.
    Alias(Box<[u8]>),
    /// The peer is still there and gives out this one; the old one means nobody, and its sessions are balanced anew.
    Renamed(Box<[u8]>),
    /// It means another peer now: its sessions follow it there.
    Moved(Box<str>),
    /// Its sessions are balanced anew.
    Lost(Why),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No upstream took the old one's place.
    NoUpstream,
    /// The new one keeps no sessions.
    NoSessions,
    /// The peer is gone.
    NoPeer,
    /// The peer is marked `down`.
    Down,
    /// What names the session is looked for elsewhere: other variables, another zone.
    Elsewhere,
}

/// How many clients a hash sends to another peer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hash {
    /// Of [`SAMPLE`] clients.
    pub moved: u32,
    /// The rule itself changed (another method, another key), so that every client is placed anew.
    pub anew: bool,
}

impl Impact {
    pub fn count(&self, f: impl Fn(&Fate) -> bool) -> usize {
        self.pins.iter().filter(|p| f(&p.fate)).count()
    }

    /// Every session stays where it is.
    pub fn harmless(&self) -> bool {
        self.pins.iter().all(|p| p.fate.holds()) && self.hash.is_none_or(|h| h.moved == 0 && !h.anew)
    }
}

impl Fate {
    /// The session stays with its peer.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Kept | Self::Alias(_))
    }

    /// The word for it, which JSON uses too.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Alias(_) => "alias",
            Self::Renamed(_) => "renamed",
            Self::Moved(_) => "moved",
            Self::Lost(_) => "lost",
        }
    }
}

impl Why {
    pub fn text(self) -> &'static str {
        match self {
            Self::NoUpstream => "the upstream is gone",
            Self::NoSessions => "the upstream keeps no sessions any more",
            Self::NoPeer => "the peer is gone",
            Self::Down => "the peer is down",
            Self::Elsewhere => "sessions are looked up by something else",
        }
    }
}

/// What replacing `old` by `new` does to the sessions of each upstream that keeps any, in the old one's order.
pub fn compare(old: &Plan, new: &Plan) -> Vec<Impact> {
    let random = |u: &Upstream| u.pins.as_ref().and_then(|p| p.seal.as_ref()).is_some_and(|s| s.random);
    if !new.upstreams.iter().any(random) {
        return impacts(old, new);
    }
    // A key that was made up lives as long as the process: a reload hands it on.
    let mut next = Plan { upstreams: new.upstreams.clone(), ..Plan::default() };
    next.keep_random_keys(old);
    impacts(old, &next)
}

fn impacts(old: &Plan, new: &Plan) -> Vec<Impact> {
    old.upstreams.iter().filter_map(|was| impact(was, successor(was, old, new))).collect()
}

/// The upstream of the same name, or a new name's that has the most of its peers.
fn successor<'p>(was: &Upstream, old: &Plan, new: &'p Plan) -> Option<&'p Upstream> {
    let named = |plan: &'p Plan, name: &str| {
        plan.upstreams.iter().find(|u| u.name.eq_ignore_ascii_case(name) && u.implicit == was.implicit)
    };
    if let Some(same) = named(new, &was.name) {
        return Some(same);
    }
    let common = |u: &Upstream| was.peers.iter().filter(|p| find(u, &p.name).is_some()).count();
    let fresh = new.upstreams.iter().filter(|u| !old.upstreams.iter().any(|o| o.name == u.name));
    fresh.filter(|u| common(u) > 0).max_by_key(|u| common(u))
}

fn find<'u>(upstream: &'u Upstream, name: &str) -> Option<(PeerId, &'u Peer)> {
    let at = upstream.peers.iter().position(|p| &*p.name == name)?;
    Some((PeerId(u32::try_from(at).ok()?), upstream.peers.get(at)?))
}

fn impact(was: &Upstream, is: Option<&Upstream>) -> Option<Impact> {
    let how = how(was)?;
    let renamed = is.filter(|is| is.name != was.name).map(|is| is.name.clone());
    let mut out = Impact { upstream: was.name.clone(), renamed, how, pins: Vec::new(), hash: None };
    if was.sticky.is_none() {
        out.hash = Some(hash(was, is));
        return Some(out);
    }
    // A reload keeps keys that were made up.
    let is = is.map(|is| {
        let mut is = is.clone();
        is.keep_random_keys(was);
        is
    });
    let is = is.as_ref();
    for (at, peer) in was.peers.iter().enumerate() {
        let Some(value) = u32::try_from(at).ok().and_then(|id| issued(was, PeerId(id))) else { continue };
        let fate = fate(was, is, peer, &value);
        out.pins.push(Pin { peer: peer.name.clone(), value: value.into(), fate });
    }
    Some(out)
}

/// How an upstream keeps clients with their peers; `None`: it does not.
pub(super) fn how(upstream: &Upstream) -> Option<&'static str> {
    Some(match (&upstream.sticky, &upstream.method) {
        (Some(Sticky::Tengine(_)), _) => "session_sticky",
        (Some(Sticky::Cookie(_)), _) => "sticky cookie",
        (Some(Sticky::Route(_)), _) => "sticky route",
        (Some(Sticky::Learn(_)), _) => "sticky learn",
        (Some(Sticky::Ng(_)), _) => "sticky (nginx-sticky-module-ng)",
        (None, Method::IpHash) => "ip_hash",
        (None, Method::Hash(_)) => "hash",
        (None, Method::HashConsistent(_)) => "hash consistent",
        (None, Method::ConsistentHash(_)) => "consistent_hash",
        (None, _) => return None,
    })
}

/// What a client holds whose session is with `peer`; `None`: the peer has no value.
fn issued(upstream: &Upstream, peer: PeerId) -> Option<Vec<u8>> {
    let sid = upstream.sids.get(peer.ix()).filter(|s| !s.is_empty())?;
    if matches!(upstream.sticky, Some(Sticky::Route(_) | Sticky::Learn(_))) {
        return Some(sid.to_vec());
    }
    let mut out = sticky::cookie_of(upstream)?.to_vec();
    out.push(b'=');
    sticky::value(upstream, peer, (NOW, NOW), &mut out);
    if matches!(&upstream.sticky, Some(Sticky::Tengine(s)) if s.mode == StickyMode::Prefix) {
        // The rest of the cookie is the backend's.
        out.extend_from_slice(b"~x");
    }
    Some(out)
}

/// Whom `value`, which `was` gave out, means to `is`.
fn read(was: &Upstream, is: &Upstream, value: &[u8]) -> Result<Ticket, Why> {
    match (&was.sticky, &is.sticky) {
        (_, None) => Err(Why::NoSessions),
        (Some(Sticky::Route(a)), Some(Sticky::Route(b))) if a == b => Ok(sticky::named(is, value)),
        (Some(Sticky::Learn(a)), Some(Sticky::Learn(b))) if a.zone == b.zone && a.lookup == b.lookup => {
            Ok(sticky::named(is, value))
        }
        (Some(Sticky::Route(_) | Sticky::Learn(_)), _) | (_, Some(Sticky::Route(_) | Sticky::Learn(_))) => {
            Err(Why::Elsewhere)
        }
        _ => Ok(sticky::read(is, [value], NOW)),
    }
}

fn fate(was: &Upstream, is: Option<&Upstream>, peer: &Peer, value: &[u8]) -> Fate {
    let Some(is) = is else { return Fate::Lost(Why::NoUpstream) };
    let ticket = match read(was, is, value) {
        Ok(ticket) => ticket,
        Err(why) => return Fate::Lost(why),
    };
    let same = find(is, &peer.name);
    match ticket.pin().and_then(|id| Some((id, is.peers.get(id.ix())?))) {
        Some((_, now)) if now.down && !peer.down => Fate::Lost(Why::Down),
        Some((id, now)) if now.name == peer.name => match issued(is, id) {
            Some(new) if new != value => Fate::Alias(new.into()),
            _ => Fate::Kept,
        },
        Some((_, now)) => Fate::Moved(now.name.clone()),
        None => match same.and_then(|(id, _)| issued(is, id)) {
            Some(new) => Fate::Renamed(new.into()),
            None => Fate::Lost(Why::NoPeer),
        },
    }
}

/// Sends the same clients through both.
fn hash(was: &Upstream, is: Option<&Upstream>) -> Hash {
    let Some(is) = is else { return Hash { moved: SAMPLE, anew: true } };
    let anew = was.method != is.method || is.sticky.is_some();
    let [old, new] = [was, is].map(|u| Shared::new(u, &Slots::private()));
    let mut rng = Rng::seeded(1);
    let mut moved = 0;
    for _ in 0..SAMPLE {
        let client = rng.next_u64();
        let names = [(&old, was), (&new, is)].map(|(shared, upstream)| hashed(shared, upstream, client));
        moved += u32::from(names[0] != names[1]);
    }
    Hash { moved, anew }
}

/// The peer of a client that nothing is known of but its address and its key.
fn hashed<'u>(shared: &Shared, upstream: &'u Upstream, client: u64) -> Option<&'u str> {
    let [a, b, c, d, ..] = client.to_le_bytes();
    let key = format!("{client:016x}");
    let request = balance::Request {
        client: Some([a, b, c, d].into()),
        key: key.as_bytes(),
        seed: client,
        ..balance::Request::default()
    };
    let peer = Selection::start(shared, &Local::new(shared), &request).next(NOW).ok()?;
    upstream.peers.get(peer.ix()).map(|p| &*p.name)
}

impl fmt::Display for Impact {
    /// One line: `upstream "u" (sticky cookie): 2 pins kept, 1 lost (10.0.0.3:80: the peer is gone)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "upstream \"{}\"", self.upstream)?;
        if let Some(name) = &self.renamed {
            write!(f, ", now \"{name}\"")?;
        }
        write!(f, " ({}): ", self.how)?;
        if let Some(hash) = self.hash {
            let share = f64::from(hash.moved) * 100.0 / f64::from(SAMPLE);
            let why = if hash.anew { ", because clients are placed by another rule" } else { "" };
            return write!(f, "{share:.1} % of clients move to another peer{why}");
        }
        let mut parts = Vec::new();
        let kept = self.count(|f| *f == Fate::Kept);
        if kept > 0 {
            parts.push(format!("{kept} {} kept", if kept == 1 { "pin" } else { "pins" }));
        }
        for word in ["alias", "renamed", "moved", "lost"] {
            let of: Vec<String> =
                self.pins.iter().filter(|p| p.fate.word() == word).map(|p| p.to_string()).collect();
            if !of.is_empty() {
                let word = if word == "alias" { "kept by alias" } else { word };
                parts.push(format!("{} {word} ({})", of.len(), of.join("; ")));
            }
        }
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        write!(f, "{}: ", self.peer)?;
        match &self.fate {
            Fate::Kept => f.write_str("kept"),
            Fate::Alias(new) | Fate::Renamed(new) => {
                write!(f, "{} becomes {}", text(&self.value), text(new))
            }
            Fate::Moved(to) => write!(f, "{} now means {to}", text(&self.value)),
            Fate::Lost(why) => f.write_str(why.text()),
        }
    }
}
