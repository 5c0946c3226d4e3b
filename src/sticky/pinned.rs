//! Reading a cookie where the file asks for what is ours: signatures, limits in any dialect, aliases, and what other
//! products gave.

use super::cookie::{pairs, unquoted};
use super::ticket::{Found, dated, known, over, renewed};
use crate::plan::{Accepted, Dates, Opened, PeerId, Pins, Sticky, StickyExpires, StickyMode, Upstream};
use crate::values::haproxy_date;

/// With `send=due` a pin is written anew after this part of `maxidle`, and is good for as much longer: no session ends
/// sooner than it would with a cookie in every answer.
const PART: i64 = 8;

/// Reads a value of the upstream's own cookie.
pub(super) fn ours(upstream: &Upstream, pins: &Pins, value: &[u8], now: i64) -> Found {
    let prefix = matches!(&upstream.sticky, Some(Sticky::Tengine(s)) if s.mode == StickyMode::Prefix);
    let value = match memchr::memchr(b'~', value).filter(|_| prefix) {
        // It is the backend's own cookie, from before sessions were kept.
        None | Some(0) if prefix => return Found::Nothing,
        None | Some(0) => value,
        Some(i) => &value[..i],
    };
    let found = match &pins.seal {
        None => unsigned(upstream, pins, value, now),
        Some(seal) => match seal.open(value) {
            Opened::Other => Found::Foreign,
            Opened::Forged => Found::Forged,
            Opened::Gone { last, first } if too_old(pins, now, last, first) => Found::Expired,
            Opened::Gone { first, .. } => Found::Unknown(Some(first)),
            Opened::Peer { id, last, first, current } => {
                if too_old(pins, now, last, first) {
                    return Found::Expired;
                }
                let backup = upstream.sids.get(id.ix()).and_then(|sid| upstream.backup_sids.get(sid));
                let backup = backup.copied().filter(|b| *b != id);
                let renew = !current || is_due(upstream, pins, now, last);
                Found::Peer { id, backup, first: Some(first), renew }
            }
        },
    };
    if matches!(found, Found::Unknown(_)) && pins.preserve { Found::Foreign } else { found }
}

/// `SID`, `SID|LAST|FIRST`, the SID of a peer that is or that was.
fn unsigned(upstream: &Upstream, pins: &Pins, value: &[u8], now: i64) -> Found {
    let timed = limited(upstream, pins);
    let sid = |sid: &[u8], first| {
        known(upstream, sid, first).or_else(|| pins.aliases.get(sid).map(|id| renewed(*id, first)))
    };
    let Some((bare, last, first)) = dated(value) else {
        // Issued before there was a limit: the session begins anew, on its peer. Of anything else without dates
        // nobody can tell whose it is.
        let none = if timed { Found::Nothing } else { Found::Unknown(None) };
        return match sid(value, None) {
            Some(Found::Peer { id, backup, first, renew }) => {
                Found::Peer { id, backup, first, renew: renew || timed }
            }
            other => other.unwrap_or(none),
        };
    };
    if !timed {
        return sid(value, None).or_else(|| sid(bare, None)).unwrap_or(Found::Unknown(None));
    }
    if bare.is_empty() {
        Found::Nothing
    } else if too_old(pins, now, last, first) {
        Found::Expired
    } else {
        match sid(bare, Some(first)) {
            Some(Found::Peer { id, backup, first, renew }) => {
                Found::Peer { id, backup, first, renew: renew || is_due(upstream, pins, now, last) }
            }
            _ => Found::Unknown(Some(first)),
        }
    }
}

/// Whether the cookie has dates in it although it is not signed.
pub(super) fn limited(upstream: &Upstream, pins: &Pins) -> bool {
    let insert = !matches!(&upstream.sticky, Some(Sticky::Tengine(s)) if s.mode != StickyMode::Insert);
    insert && (pins.maxidle.is_some() || pins.maxlife.is_some())
}

fn too_old(pins: &Pins, now: i64, last: i64, first: i64) -> bool {
    let grace = |idle: i64| if pins.due { idle.saturating_add(idle / PART) } else { idle };
    over(now, last, pins.maxidle.map(grace)) || over(now, first, pins.maxlife)
}

/// `send=due`: whether the time has come to write the pin anew.
fn is_due(upstream: &Upstream, pins: &Pins, now: i64, last: i64) -> bool {
    let age = now.saturating_sub(last);
    let kept = match &upstream.sticky {
        Some(Sticky::Tengine(s)) => s.maxage.filter(|_| s.maxidle.is_none() && s.maxlife.is_none()),
        Some(Sticky::Cookie(s)) => match s.expires {
            StickyExpires::Seconds(n) => Some(n),
            StickyExpires::Session | StickyExpires::Max => None,
        },
        Some(Sticky::Ng(s)) => s.expires,
        _ => None,
    };
    pins.due
        && (pins.maxidle.is_some_and(|idle| age > 0 && age >= idle / PART)
            || kept.is_some_and(|kept| age > 0 && age >= kept / 2))
}

/// Looks for a cookie of another product that means a peer, or meant one until it grew too old.
pub(super) fn accepted<'l, I>(upstream: &Upstream, pins: &Pins, lines: I, now: i64) -> Option<Found>
where
    I: IntoIterator<Item = &'l [u8]>,
{
    let any_case = !matches!(&upstream.sticky, Some(Sticky::Tengine(_)));
    let mut expired = None;
    for pair in lines.into_iter().flat_map(pairs) {
        let Some(value) = pair.value.map(unquoted).filter(|v| !v.is_empty()) else { continue };
        for list in &pins.accepts {
            let same = *pair.name == *list.cookie || any_case && pair.name.eq_ignore_ascii_case(&list.cookie);
            if !same {
                continue;
            }
            match foreign(list, pins, value, now) {
                Some(Found::Expired) => expired = Some(Found::Expired),
                None => {}
                found => return found,
            }
        }
    }
    expired
}

fn foreign(list: &Accepted, pins: &Pins, value: &[u8], now: i64) -> Option<Found> {
    let peer = |text: &[u8]| list.values.get(text).copied();
    let found = |id: PeerId, first| Some(renewed(id, first));
    if let Some(id) = peer(value) {
        return found(id, None);
    }
    if list.prefixed
        && let Some(i) = memchr::memchr(b'~', value)
        && let Some(id) = peer(&value[..i])
    {
        return found(id, None);
    }
    let (bare, last, first) = dates(list.dates, value)?;
    let id = peer(bare)?;
    if last.is_some_and(|t| over(now, t, pins.maxidle)) || first.is_some_and(|t| over(now, t, pins.maxlife)) {
        return Some(Found::Expired);
    }
    found(id, first)
}

/// The value without its dates, and the dates.
fn dates(of: Dates, value: &[u8]) -> Option<(&[u8], Option<i64>, Option<i64>)> {
    if of.seconds
        && let Some((bare, last, first)) = dated(value)
    {
        return Some((bare, Some(last), Some(first)));
    }
    if !of.haproxy {
        return None;
    }
    let mut parts = value.split(|b| *b == b'|');
    let bare = parts.next()?;
    let last = parts.next()?;
    let date = |text: &[u8]| if text.is_empty() { Some(None) } else { haproxy_date(text).map(Some) };
    let first = match parts.next() {
        Some(text) => date(text)?,
        None => None,
    };
    Some((bare, date(last)?, first))
}
