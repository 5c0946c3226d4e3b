//! Who is asked: the session as the request has it, the peers and what is said of each, and what each one gets.

use serde_json::{Value, json};

use super::engine::{Asked, Outcome, head_end};
use super::pins::how;
use super::secure::{PeerTls, peer_tls};
use super::words::{Names, text};
use crate::balance::{NoPeer, Shared, Verdict};
use crate::http::{Event, Request};
use crate::plan::{Method, PeerId, SessionSticky, Sticky, Upstream};
use crate::rt::clock;
use crate::sticky::{self, Ticket};
use crate::values::{self, Pin};
use crate::vars;
use crate::wire::KnownField;
use crate::zone::Slots;

/// One `proxy_pass` that a request came to; a request has more after an internal redirect.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    /// The upstream's name, or the address.
    pub to: String,
    /// How its peers are spoken to by TLS; `None`: they are not.
    pub tls: Option<PeerTls>,
    pub balancer: Option<String>,
    pub session: Option<Session>,
    pub peers: Vec<Peer>,
    pub attempts: Vec<Attempt>,
    /// Why nobody was asked.
    pub nobody: Option<&'static str>,
}

/// What the request says of its session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    pub how: &'static str,
    /// The cookie's name, or the variables that are looked at.
    pub by: String,
    /// What the request has of it, in its order.
    pub values: Vec<Vec<u8>>,
    /// `$sticky_status`, when the upstream was the last one.
    pub status: String,
    /// The peer that it means.
    pub peer: Option<String>,
    /// Dates in the cookie, seconds since 1970: when the session was last used, when it began.
    pub dates: Option<(i64, i64)>,
    /// Where pins are signed: the fingerprint of the key that this one is signed with; `Some(None)`: with none of ours.
    pub signed: Option<Option<String>>,
}

/// A peer and what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    pub name: String,
    pub verdict: Verdict,
    pub weight: u32,
    pub backup: bool,
    /// How often it was asked.
    pub asked: usize,
}

/// One request to a peer.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub peer: String,
    /// `session`, `balancer` or `address`.
    pub by: &'static str,
    pub why: String,
    /// The bytes of its head.
    pub head: Vec<u8>,
    pub body: u64,
}

/// Every `proxy_pass` of the request, in turn.
pub fn passed(names: &Names<'_>, outcome: &Outcome) -> Vec<Passed> {
    let starts = outcome.events.iter().enumerate().filter(|(_, e)| matches!(e, Event::Pass { .. }));
    let starts: Vec<usize> = starts.map(|(at, _)| at).collect();
    let mut asked = outcome.asked.iter();
    let mut out = Vec::new();
    for (i, &from) in starts.iter().enumerate() {
        let to = starts.get(i + 1).copied().unwrap_or(outcome.events.len());
        let events = outcome.events.get(from..to).unwrap_or_default();
        out.extend(one(names, outcome, events, &mut asked));
    }
    out
}

fn one<'a>(
    names: &Names<'_>,
    outcome: &Outcome,
    events: &[Event],
    asked: &mut impl Iterator<Item = &'a Asked>,
) -> Option<Passed> {
    let Event::Pass { upstream, address, .. } = events.first()? else { return None };
    let known = upstream.and_then(|id| Some((id, names.plan.upstreams.get(id.ix())?)));
    let ticket = events.iter().find_map(|e| match e {
        Event::Session { ticket, .. } => Some(*ticket),
        _ => None,
    });
    let mut out = Passed {
        to: known.map_or(&**address, |(_, u)| &u.name).to_owned(),
        tls: events.iter().find_map(|e| match e {
            Event::Tls { loc, name } => peer_tls(names, *loc, name),
            _ => None,
        }),
        balancer: known.map(|(_, u)| names.method(&u.method)),
        session: known.zip(ticket).map(|((_, u), ticket)| session(names, &outcome.request, u, &ticket)),
        peers: known.map(|(_, u)| peers(u)).unwrap_or_default(),
        attempts: Vec::new(),
        nobody: None,
    };
    for event in events {
        match event {
            Event::Peer { peer, name } => {
                let (by, why) = match (known, peer) {
                    (Some((_, u)), Some(peer)) => why(names, &outcome.request, u, ticket, *peer, &out),
                    _ if name.starts_with("unix:") || name.parse::<std::net::SocketAddr>().is_ok() => {
                        ("address", "proxy_pass names the address".to_owned())
                    }
                    _ => (
                        "address",
                        "one of the host's addresses, which are looked up when serving, not here".to_owned(),
                    ),
                };
                let bytes = asked.next().cloned().unwrap_or_default();
                let end = head_end(&bytes.bytes).unwrap_or(bytes.bytes.len());
                let head = bytes.bytes.get(..end).unwrap_or_default().to_vec();
                out.attempts.push(Attempt { peer: name.to_string(), by, why, head, body: bytes.body });
            }
            Event::NoPeer(why) => {
                out.nobody = Some(match why {
                    NoPeer::PinnedAway => {
                        "the session's own peer cannot be used, and fallback=off allows no other"
                    }
                    NoPeer::NoLive if known.is_some_and(|(_, u)| u.dynamic.is_some()) => {
                        "its peers are addresses of names, which are looked up when serving, not here"
                    }
                    NoPeer::NoLive => "no peer is left that can be used",
                });
            }
            _ => {}
        }
    }
    for peer in &mut out.peers {
        peer.asked = out.attempts.iter().filter(|a| a.peer == peer.name).count();
    }
    Some(out)
}

/// What the configuration alone says: nothing has failed, nobody is busy.
fn peers(upstream: &Upstream) -> Vec<Peer> {
    let now = i64::try_from(clock::unix_secs()).unwrap_or(i64::MAX);
    let shared = Shared::new(upstream, &Slots::private());
    let one = |(ix, peer): (usize, &crate::plan::Peer)| {
        let view = shared.peer(PeerId(u32::try_from(ix).ok()?), now)?;
        Some(Peer {
            name: peer.name.to_string(),
            verdict: view.verdict,
            weight: peer.weight,
            backup: peer.backup,
            asked: 0,
        })
    };
    upstream.peers.iter().enumerate().filter_map(one).collect()
}

fn why(
    names: &Names<'_>,
    req: &Request,
    upstream: &Upstream,
    ticket: Option<Ticket>,
    peer: PeerId,
    so_far: &Passed,
) -> (&'static str, String) {
    let pinned = ticket.and_then(|t| t.pin());
    let backup = ticket.and_then(|t| t.backup_pin());
    if pinned == Some(peer) || backup == Some(peer) {
        return ("session", "the session's own".to_owned());
    }
    let mut why = String::new();
    if !so_far.attempts.is_empty() {
        why += "the next one, because the answer before was not good enough (proxy_next_upstream); ";
    } else if let Some(own) = pinned.and_then(|p| upstream.peers.get(p.ix())) {
        let verdict = so_far.peers.iter().find(|p| p.name == *own.name).map_or("", |p| p.verdict.as_str());
        why += &format!("the session's own, {}, is {verdict}; ", own.name);
    }
    if upstream.peers.len() == 1 {
        return ("balancer", why + "the only one");
    }
    let client = req.conn.client.map_or("unix:".to_owned(), |a| a.ip().to_string());
    why += &match &upstream.method {
        Method::IpHash => format!("ip_hash of {client}"),
        Method::Hash(key) | Method::HashConsistent(key) | Method::ConsistentHash(key) => {
            let value = text(&vars::eval_to_vec(key, req));
            if value.is_empty() {
                format!("{} is empty: round robin", names.template(key))
            } else {
                format!("hash of \"{value}\"")
            }
        }
        other => {
            format!("{} from its beginning; one that runs goes on from where it is", names.method(other))
        }
    };
    ("balancer", why)
}

fn session(names: &Names<'_>, req: &Request, upstream: &Upstream, ticket: &Ticket) -> Session {
    let cookie = sticky::cookie_of(upstream);
    let variables =
        |list: &[crate::plan::Template]| list.iter().map(|t| names.template(t)).collect::<Vec<_>>().join(" ");
    let (by, values) = match (&upstream.sticky, cookie) {
        (_, Some(name)) => {
            let others = upstream.pins.iter().flat_map(|p| &p.accepts).map(|a| &*a.cookie);
            let others: Vec<&[u8]> = others.filter(|n| !n.eq_ignore_ascii_case(name)).collect();
            let all = std::iter::once(name).chain(others);
            (
                all.clone().map(text).collect::<Vec<_>>().join(" or "),
                all.flat_map(|n| cookies(req, n)).collect(),
            )
        }
        (Some(Sticky::Route(keys)), _) => (variables(keys), evaluated(keys, req)),
        (Some(Sticky::Learn(learn)), _) => (variables(&learn.lookup), evaluated(&learn.lookup, req)),
        _ => (String::new(), Vec::new()),
    };
    let seal = upstream.pins.as_ref().and_then(|p| p.seal.as_ref());
    let value = values.first().map(|v| v.split(|b| *b == b'~').next().unwrap_or_default());
    let signed = value.and_then(Pin::read);
    let key = seal.zip(signed.as_ref()).and_then(|(seal, pin)| seal.signed_by(pin)).map(|k| k.fingerprint());
    let timed = matches!(&upstream.sticky, Some(Sticky::Tengine(s)) if timed(s));
    let dates = match signed.filter(|_| key.is_some()) {
        Some(pin) => Some((pin.last(), pin.first())),
        None => value.filter(|_| timed || ticket.first_seen().is_some()).and_then(dates),
    };
    let peer = ticket.pin().and_then(|p| upstream.peers.get(p.ix())).map(|p| p.name.to_string());
    let status = req.sticky_status.unwrap_or_default().to_owned();
    Session {
        how: how(upstream).unwrap_or("sticky"),
        by,
        values,
        status,
        peer,
        dates,
        signed: seal.map(|_| key),
    }
}

fn cookies(req: &Request, name: &[u8]) -> Vec<Vec<u8>> {
    let lines = req.head.iter().filter(|f| f.2 == KnownField::Cookie).map(|f| f.1);
    let pairs = lines.flat_map(|line| line.split(|b| *b == b';'));
    let value = |pair: &[u8]| {
        let pair = pair.trim_ascii();
        let (n, v) = pair.split_at_checked(name.len())?;
        Some(v.strip_prefix(b"=").filter(|_| n.eq_ignore_ascii_case(name))?.to_vec())
    };
    pairs.filter_map(value).collect()
}

fn evaluated(templates: &[crate::plan::Template], req: &Request) -> Vec<Vec<u8>> {
    templates.iter().map(|t| vars::eval_to_vec(t, req)).filter(|v| !v.is_empty()).collect()
}

fn timed(s: &SessionSticky) -> bool {
    s.maxidle.is_some() || s.maxlife.is_some()
}

/// `VALUE|LAST|FIRST`
fn dates(value: &[u8]) -> Option<(i64, i64)> {
    let mut parts = value.rsplitn(3, |b| *b == b'|');
    let mut time = || i64::try_from(values::number(parts.next()?)?).ok();
    let (first, last) = (time()?, time()?);
    parts.next().map(|_| (last, first))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn date(unix: i64) -> String {
    let mut out = Vec::new();
    values::push_http_date(&mut out, unix);
    text(&out)
}

impl Passed {
    pub fn json(&self) -> Value {
        json!({
            "to": self.to,
            "tls": self.tls.as_ref().map(PeerTls::json),
            "balancer": self.balancer,
            "session": self.session.as_ref().map(Session::json),
            "peers": self.peers.iter().map(Peer::json).collect::<Vec<_>>(),
            "attempts": self.attempts.iter().map(Attempt::json).collect::<Vec<_>>(),
            "nobody": self.nobody,
        })
    }

    /// The peer whose answer counts.
    pub fn peer(&self) -> Option<&str> {
        self.attempts.last().map(|a| &*a.peer)
    }
}

impl Session {
    fn json(&self) -> Value {
        json!({
            "dialect": self.how,
            "by": self.by,
            "values": self.values.iter().map(|v| text(v)).collect::<Vec<_>>(),
            "status": self.status,
            "peer": self.peer,
            "signed_with": self.signed.clone().flatten(),
            "last_used": self.dates.map(|d| d.0),
            "began": self.dates.map(|d| d.1),
        })
    }

    /// A sentence.
    pub fn said(&self) -> String {
        let Some(value) = self.values.first() else {
            return format!("{} by {}: the request has none", self.how, self.by);
        };
        let means = match &self.peer {
            Some(peer) => format!("means {peer}"),
            None => "means no peer".to_owned(),
        };
        let mut out = format!("{} by {}: \"{}\" {means}", self.how, self.by, text(value));
        if !self.status.is_empty() {
            out += &format!(" ({})", self.status);
        }
        if let Some((last, first)) = self.dates {
            out += &format!("; last used {}, begun {}", date(last), date(first));
        }
        match &self.signed {
            Some(Some(key)) => out += &format!("; signed with key {key}"),
            Some(None) => out += "; not signed with a key of the upstream",
            None => {}
        }
        if self.values.len() > 1 {
            out += &format!("; {} values in all", self.values.len());
        }
        out
    }
}

impl Peer {
    fn json(&self) -> Value {
        json!({
            "peer": self.name,
            "verdict": self.verdict.as_str(),
            "weight": self.weight,
            "backup": self.backup,
            "asked": self.asked,
        })
    }

    /// A line.
    pub fn said(&self) -> String {
        let backup = if self.backup { ", backup" } else { "" };
        format!("{} {}, weight {}{backup}", self.name, self.verdict.as_str(), self.weight)
    }
}

impl Attempt {
    fn json(&self) -> Value {
        json!({
            "peer": self.peer,
            "by": self.by,
            "why": self.why,
            "request": text(&self.head),
            "body_bytes": self.body,
        })
    }
}
