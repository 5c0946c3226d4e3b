//! What the request says: the session's value, and the peer that it means.

use super::cookie::{pairs, unquoted};
use super::pinned::{accepted, ours};
use crate::plan::{PeerId, SessionSticky, Sticky, StickyCookie, StickyMode, StickyNg, Upstream};
use crate::vars::cookie;

/// How far ahead of our clock a date may be, seconds.
const AHEAD: i64 = 86_400;

/// What a request's cookies say about its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    found: Found,
    /// `fallback=off`.
    strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The upstream keeps no sessions.
    Off,
    Nothing,
    /// `sticky_bypass`: nothing was read.
    Bypassed,
    /// The value means no peer that there is; when the session began, where it says so.
    Unknown(Option<i64>),
    /// The same, and it was not ours to begin with: not signed, or the application's own (`preserve`).
    Foreign,
    /// It looks signed, and is not with our keys for this upstream.
    Forged,
    /// `maxidle` or `maxlife` is over.
    Expired,
    Peer {
        id: PeerId,
        /// The backup that has the same value.
        backup: Option<PeerId>,
        /// When the session began, where the cookie says so.
        first: Option<i64>,
        /// The value is not what we would write today: another form, another key, or the time has come.
        renew: bool,
    },
}

/// `$sticky_status`. Whether a request was then refused, because of `fallback=off` or because nobody was there, is what
/// `$status` says; `$sticky_peer` is empty then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The upstream keeps no sessions: the variable is empty.
    Off,
    /// No session yet: balanced.
    New,
    /// The session's own peer.
    Hit,
    /// The session's peer was down, unhealthy, failed or had just failed: another one, or none.
    MovedDown,
    /// The session's peer had `max_conns` connections: another one, or none.
    MovedFull,
    /// The session's own peer, which takes no new ones.
    Draining,
    /// The cookie means no peer there is.
    Unknown,
    /// The session was too old, by `maxidle` or `maxlife`.
    Expired,
    /// The cookie has the form of a signed one and is not ours.
    Forged,
    /// `sticky_bypass` said that there is no session.
    Bypassed,
}

/// What the verdict on the session's own peer was when the request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    Open,
    Draining,
    Full,
    Down,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "",
            Self::New => "new",
            Self::Hit => "hit",
            Self::MovedDown => "moved_down",
            Self::MovedFull => "moved_full",
            Self::Draining => "draining",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Forged => "forged",
            Self::Bypassed => "bypassed",
        }
    }
}

impl Ticket {
    /// That of an upstream without sessions.
    pub const OFF: Self = Self { found: Found::Off, strict: false };

    /// That of a request that is to have no session.
    pub const BYPASSED: Self = Self { found: Found::Bypassed, strict: false };

    /// The request has no session, and the answer begins none.
    pub fn bypassed(&self) -> bool {
        self.found == Found::Bypassed
    }

    /// The peer the request belongs to.
    pub fn pin(&self) -> Option<PeerId> {
        match self.found {
            Found::Peer { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The backup that it belongs to once backups are due.
    pub fn backup_pin(&self) -> Option<PeerId> {
        match self.found {
            Found::Peer { backup, .. } => backup,
            _ => None,
        }
    }

    /// `fallback=off` and a value that means no peer: 502, and the answer takes the cookie back ([`super::expire`]).
    pub fn refused(&self) -> bool {
        self.strict && matches!(self.found, Found::Unknown(_))
    }

    /// `peer` is the one that was used at last, `None`: there was none; `own` the verdict on the session's.
    pub fn status(&self, peer: Option<PeerId>, own: Own) -> Status {
        match self.found {
            Found::Off => Status::Off,
            Found::Nothing => Status::New,
            Found::Bypassed => Status::Bypassed,
            Found::Unknown(_) | Found::Foreign => Status::Unknown,
            Found::Forged => Status::Forged,
            Found::Expired => Status::Expired,
            Found::Peer { id, backup, .. } => match (peer, own) {
                (Some(used), Own::Draining) if used == id => Status::Draining,
                (Some(used), _) if used == id || backup == Some(used) => Status::Hit,
                (_, Own::Full) => Status::MovedFull,
                _ => Status::MovedDown,
            },
        }
    }

    /// The answer is to carry the cookie although the peer stays the same.
    pub(super) fn renew(&self) -> bool {
        matches!(self.found, Found::Peer { renew: true, .. })
    }

    /// When the session began, where the cookie says so.
    pub fn first_seen(&self) -> Option<i64> {
        match self.found {
            Found::Peer { first, .. } | Found::Unknown(first) => first,
            _ => None,
        }
    }
}

/// Reads the session out of the request's `Cookie` lines. Of several cookies with the name, which is compared whole, the
/// first that means a peer counts, and when none does, the first that is not empty. `sticky cookie` and
/// nginx-sticky-module-ng's `sticky` take what `$cookie_NAME` is, unless something of ours ([`crate::plan::Pins`]) is asked for.
pub fn read<'l, I>(upstream: &Upstream, lines: I, now: i64) -> Ticket
where
    I: IntoIterator<Item = &'l [u8]> + Clone,
{
    let Some(sticky) = &upstream.sticky else { return Ticket::OFF };
    let (name, strict) = match sticky {
        Sticky::Tengine(s) => (&s.cookie, !s.fallback),
        Sticky::Cookie(s) => (&s.name, false),
        Sticky::Ng(s) => (&s.name, false),
        // Theirs is what variables say: see [`named`].
        Sticky::Route(_) | Sticky::Learn(_) => return Ticket { found: Found::Nothing, strict: false },
    };
    let pins = upstream.pins.as_deref();
    if pins.is_none()
        && let Sticky::Cookie(StickyCookie { name, .. }) | Sticky::Ng(StickyNg { name, .. }) = sticky
    {
        let found = match lines.into_iter().find_map(|line| cookie(line, name)) {
            None | Some([]) => Found::Nothing,
            Some(value) => known(upstream, value, None).unwrap_or(Found::Unknown(None)),
        };
        return Ticket { found, strict: false };
    }
    let mut found = Found::Nothing;
    for pair in lines.clone().into_iter().flat_map(pairs) {
        let same = match sticky {
            Sticky::Tengine(_) => *pair.name == **name,
            // nginx takes the name from `$cookie_NAME`, which disregards case.
            _ => pair.name.eq_ignore_ascii_case(name),
        };
        let Some(value) = pair.value.filter(|_| same).map(unquoted) else { continue };
        let one = match sticky {
            _ if value.is_empty() => Found::Nothing,
            _ if let Some(pins) = pins => ours(upstream, pins, value, now),
            Sticky::Tengine(s) => session(upstream, s, value, now),
            _ => known(upstream, value, None).unwrap_or(Found::Unknown(None)),
        };
        if let Found::Peer { .. } = one {
            found = one;
            break;
        }
        if found == Found::Nothing {
            found = one;
        }
    }
    if let Some(pins) = pins.filter(|p| !p.accepts.is_empty())
        && !matches!(found, Found::Peer { .. })
    {
        found = accepted(upstream, pins, lines, now).unwrap_or(found);
    }
    Ticket { found, strict }
}

/// The ticket of a request that says its peer's value itself (`sticky route`), or of which it is known (`sticky
/// learn`).
pub fn named(upstream: &Upstream, sid: &[u8]) -> Ticket {
    let found = match sid {
        [] => Found::Nothing,
        sid => match (known(upstream, sid, None), &upstream.pins) {
            (Some(found), _) => found,
            (None, Some(pins)) => pins.aliases.get(sid).map_or(Found::Unknown(None), |id| renewed(*id, None)),
            (None, None) => Found::Unknown(None),
        },
    };
    Ticket { found, strict: false }
}

pub(super) fn known(upstream: &Upstream, sid: &[u8], first: Option<i64>) -> Option<Found> {
    let id = *upstream.sid_index.get(sid)?;
    let backup = upstream.backup_sids.get(sid).copied().filter(|b| *b != id);
    Some(Found::Peer { id, backup, first, renew: false })
}

/// A peer of which the cookie speaks in another form than ours.
pub(super) fn renewed(id: PeerId, first: Option<i64>) -> Found {
    Found::Peer { id, backup: None, first, renew: true }
}

pub(super) fn session(upstream: &Upstream, s: &SessionSticky, value: &[u8], now: i64) -> Found {
    if s.mode == StickyMode::Prefix {
        // Without a `~` it is the backend's own cookie, from before sessions were kept.
        return match memchr::memchr(b'~', value) {
            None | Some(0) => Found::Nothing,
            Some(i) => known(upstream, &value[..i], None).unwrap_or(Found::Unknown(None)),
        };
    }
    let timed = s.mode == StickyMode::Insert && (s.maxidle.is_some() || s.maxlife.is_some());
    let Some((sid, last, first)) = dated(value) else {
        // Issued before `maxidle` or `maxlife` was set: the session begins anew, on its peer. Anything else without
        // dates is no session of ours.
        let none = if timed { Found::Nothing } else { Found::Unknown(None) };
        return known(upstream, value, None).unwrap_or(none);
    };
    if !timed {
        // An `id=` may look like this; otherwise the dates are from before `maxidle` and `maxlife` were taken away.
        return known(upstream, value, None)
            .or_else(|| known(upstream, sid, None))
            .unwrap_or(Found::Unknown(None));
    }
    if sid.is_empty() {
        Found::Nothing
    } else if over(now, last, s.maxidle) || over(now, first, s.maxlife) {
        Found::Expired
    } else {
        // The session goes on with another peer: its life does not begin anew.
        known(upstream, sid, Some(first)).unwrap_or(Found::Unknown(Some(first)))
    }
}

/// Whether a date is past its limit, seconds; without one it must be a date at all.
pub(super) fn over(now: i64, since: i64, limit: Option<i64>) -> bool {
    let age = now.saturating_sub(since);
    age > limit.unwrap_or(i64::from(i32::MAX)) || age < -AHEAD
}

/// `SID|lastseen|firstseen`; the SID itself may have a `|` in it.
pub(super) fn dated(value: &[u8]) -> Option<(&[u8], i64, i64)> {
    let cut = |text| {
        let at: usize = memchr::memrchr(b'|', text)?;
        let time = crate::values::number(&text[at + 1..])?;
        Some((&text[..at], i64::try_from(time).ok()?))
    };
    let (rest, first) = cut(value)?;
    let (sid, last) = cut(rest)?;
    Some((sid, last, first))
}
