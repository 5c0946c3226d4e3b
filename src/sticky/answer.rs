//! What the answer must carry so that the session finds its peer again.

use super::Change;
use super::cookie::pair;
use super::pinned::limited;
use super::ticket::Ticket;
use crate::plan::{
    PeerId, Pins, SameSite, Secure, SessionSticky, Sticky, StickyCookie, StickyExpires, StickyMode, StickyNg,
    Template, Upstream,
};
use crate::values::{push_cookie_date, push_full_cookie_date};

/// Where our `Set-Cookie` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    /// Before the fields of the backend, as nginx puts it.
    Before,
    /// After them, as Tengine does.
    After,
}

/// One answer. The fields are asked for in the order in which they are written.
#[derive(Debug)]
pub struct Answer<'u> {
    upstream: &'u Upstream,
    sid: &'u [u8],
    first: i64,
    now: i64,
    /// Whether [`super::hides`] held for the request.
    hidden: bool,
    place: Place,
    peer: PeerId,
    asked: Asked,
    /// A cookie of the backend was the session's, and ours made way for it (`preserve`).
    preserved: bool,
    /// The answer carries our value.
    carries: bool,
}

/// How the client asked, for what is ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// The method was POST.
    pub post: bool,
    /// The client came by TLS, to us or to a proxy that is trusted.
    pub tls: bool,
}

impl<'u> Answer<'u> {
    /// `peer` is the one that answered, after whatever retries; for nginx's `sticky cookie` also the last one tried,
    /// when none answered. `status` is the final one. Tengine gives no cookie of its own from 400 on.
    pub fn new(
        upstream: &'u Upstream,
        ticket: &Ticket,
        peer: PeerId,
        status: u16,
        hidden: bool,
        now: i64,
    ) -> Self {
        Self::to(upstream, ticket, peer, (status, hidden, now), Asked::default())
    }

    /// The same for an upstream that has [`Pins`]: `of` is the final status, what [`super::hides`] said and the time.
    pub fn to(
        upstream: &'u Upstream,
        ticket: &Ticket,
        peer: PeerId,
        of: (u16, bool, i64),
        asked: Asked,
    ) -> Self {
        let (status, hidden, now) = of;
        let pins = upstream.pins.as_deref();
        let sid = upstream.sids.get(peer.ix()).map_or(&[][..], |s| s);
        let changed = ticket.pin() != Some(peer) || ticket.renew();
        let refreshed = pins.is_some_and(|p| !p.due && (p.maxidle.is_some() || p.maxlife.is_some()));
        let sends = |pins: &Pins| !pins.postonly || asked.post;
        let place = match &upstream.sticky {
            None => Place::Nowhere,
            Some(_) if sid.is_empty() || ticket.bypassed() => Place::Nowhere,
            Some(Sticky::Route(_) | Sticky::Learn(_)) => Place::Nowhere,
            Some(_) if !pins.is_none_or(sends) => Place::Nowhere,
            Some(Sticky::Cookie(_)) if pins.is_some_and(|p| p.due) && !changed => Place::Nowhere,
            Some(Sticky::Cookie(_)) => Place::Before,
            // The balancer chose: the client is told, whatever becomes of the request.
            Some(Sticky::Ng(s)) if s.hide || !changed && !refreshed => Place::Nowhere,
            Some(Sticky::Ng(_)) => Place::Before,
            Some(Sticky::Tengine(s)) => {
                let due = changed || timed(s) && !pins.is_some_and(|p| p.due);
                let errors = pins.is_some_and(|p| p.always);
                if s.mode == StickyMode::Insert && due && (status < 400 || errors) {
                    Place::After
                } else {
                    Place::Nowhere
                }
            }
        };
        let first = ticket.first_seen().unwrap_or(now);
        Self {
            upstream,
            sid,
            first,
            now,
            hidden,
            place,
            peer,
            asked,
            preserved: false,
            carries: place != Place::Nowhere,
        }
    }

    fn pins(&self) -> Option<&'u Pins> {
        self.upstream.pins.as_deref()
    }

    /// A cookie of the backend took the place of ours: one that was issued already is to be taken back.
    pub fn preserved(&self) -> bool {
        self.preserved
    }

    /// The answer is nobody else's: it carries the session's cookie, and `nocache` is asked for.
    pub fn is_private(&self) -> bool {
        self.carries && self.pins().is_some_and(|p| p.nocache)
    }

    /// Where [`Self::issue`] is to be called. Ask after the backend's cookies have been relayed: one of them may have
    /// made room for ours.
    pub fn place(&self) -> Place {
        self.place
    }

    /// A `Set-Cookie` of the backend.
    pub fn relay(&mut self, value: &[u8], out: &mut Vec<u8>) -> Change {
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let theirs = pair(&value[..end]);
        if self.pins().is_some_and(|p| p.preserve) && self.makes_way(theirs.name) {
            (self.place, self.preserved, self.carries) = (Place::Nowhere, true, false);
            return Change::Keep;
        }
        let Some(Sticky::Tengine(s)) = &self.upstream.sticky else { return Change::Keep };
        if *theirs.name != *s.cookie || self.sid.is_empty() {
            return Change::Keep;
        }
        match s.mode {
            StickyMode::Insert if !s.indirect => Change::Keep,
            StickyMode::Insert => match self.place {
                // The backend does not know of our cookie, so one of its name can only be in our way.
                Place::After => {
                    self.place = Place::Nowhere;
                    self.session(s, out);
                    Change::Replace
                }
                Place::Before | Place::Nowhere => Change::Keep,
            },
            StickyMode::Rewrite => {
                out.extend_from_slice(&s.cookie);
                out.push(b'=');
                self.pin(out);
                out.extend_from_slice(&value[end..]);
                self.carries = true;
                Change::Replace
            }
            StickyMode::Prefix => {
                let Some(their) = theirs.value.filter(|_| self.hidden) else { return Change::Keep };
                out.extend_from_slice(theirs.name);
                out.push(b'=');
                self.pin(out);
                out.push(b'~');
                out.extend_from_slice(their);
                out.extend_from_slice(&value[end..]);
                self.carries = true;
                Change::Replace
            }
        }
    }

    /// Appends the value of our own `Set-Cookie`; `false`: there is none. `eval` gives a template's text.
    pub fn issue(&mut self, mut eval: impl FnMut(&Template, &mut Vec<u8>), out: &mut Vec<u8>) -> bool {
        if self.place == Place::Nowhere {
            return false;
        }
        match &self.upstream.sticky {
            None | Some(Sticky::Route(_) | Sticky::Learn(_)) => return false,
            Some(Sticky::Tengine(s)) => self.session(s, out),
            Some(Sticky::Cookie(s)) => self.plain(s, &mut eval, out),
            Some(Sticky::Ng(s)) => self.ng(s, out),
        }
        true
    }

    /// Tengine's: `NAME=SID[|last|first]; Domain=; Path=; Max-Age=; Expires=`.
    fn session(&self, s: &SessionSticky, out: &mut Vec<u8>) {
        out.extend_from_slice(&s.cookie);
        out.push(b'=');
        self.pin(out);
        attributes(s, out);
        if let Some(age) = s.maxage.filter(|_| !timed(s)) {
            out.extend_from_slice(b"; Max-Age=");
            push_number(out, age);
            out.extend_from_slice(b"; Expires=");
            push_cookie_date(out, self.now.saturating_add(age));
        }
        if let Some(pins) = self.pins() {
            flags(pins, self.asked.tls, out);
        }
    }

    /// The value: signed, or `SID[|last|first]`.
    fn pin(&self, out: &mut Vec<u8>) {
        let timed = match (self.pins(), &self.upstream.sticky) {
            (Some(Pins { seal: Some(seal), .. }), _) => {
                return seal.write(self.peer, self.now, self.first, out);
            }
            (Some(pins), _) => limited(self.upstream, pins),
            (None, Some(Sticky::Tengine(s))) => timed(s),
            (None, _) => false,
        };
        out.extend_from_slice(self.sid);
        if timed {
            for time in [self.now, self.first] {
                out.push(b'|');
                push_number(out, time);
            }
        }
    }

    /// Whether a backend's cookie of this name is the session's.
    fn makes_way(&self, name: &[u8]) -> bool {
        match &self.upstream.sticky {
            Some(Sticky::Tengine(s)) => s.mode == StickyMode::Insert && *name == *s.cookie,
            Some(Sticky::Cookie(s)) => *name == *s.name,
            Some(Sticky::Ng(s)) => *name == *s.name,
            _ => false,
        }
    }

    /// nginx's: `NAME=SID; expires=; max-age=; domain=; httponly; secure; samesite=; path=`.
    fn plain(&self, s: &StickyCookie, eval: &mut dyn FnMut(&Template, &mut Vec<u8>), out: &mut Vec<u8>) {
        out.extend_from_slice(&s.name);
        out.push(b'=');
        self.pin(out);
        match s.expires {
            StickyExpires::Session => {}
            StickyExpires::Max => {
                out.extend_from_slice(b"; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000");
            }
            StickyExpires::Seconds(age) => {
                out.extend_from_slice(b"; expires=");
                push_cookie_date(out, self.now.saturating_add(age));
                out.extend_from_slice(b"; max-age=");
                push_number(out, age);
            }
        }
        if let Some(domain) = &s.domain {
            attribute(b"; domain=", domain, eval, out);
        }
        if s.httponly {
            out.extend_from_slice(b"; httponly");
        }
        let pins = self.pins();
        let secure = s.secure || pins.is_some_and(|p| p.secure == Secure::Auto) && self.asked.tls;
        if secure {
            out.extend_from_slice(b"; secure");
        }
        if pins.is_some_and(|p| p.samesite == Some(SameSite::Auto)) {
            out.extend_from_slice(if secure { b"; samesite=none" } else { b"; samesite=lax" });
        }
        if let Some(samesite) = &s.samesite
            && let Some(at) = attribute(b"; samesite=", samesite, eval, out)
        {
            let known = [&b"strict"[..], b"lax", b"none"];
            if !known.iter().any(|k| out[at..].eq_ignore_ascii_case(k)) {
                out.truncate(at);
                out.extend_from_slice(b"strict");
            }
        }
        if let Some(path) = &s.path {
            out.extend_from_slice(b"; path=");
            out.extend_from_slice(path);
        }
    }
}

impl Answer<'_> {
    /// nginx-sticky-module-ng's: `NAME=SID; Domain=; Expires=; Path=; Secure; HttpOnly`.
    fn ng(&self, s: &StickyNg, out: &mut Vec<u8>) {
        out.extend_from_slice(&s.name);
        out.push(b'=');
        self.pin(out);
        if let Some(domain) = &s.domain {
            out.extend_from_slice(b"; Domain=");
            out.extend_from_slice(domain);
        }
        if let Some(age) = s.expires {
            out.extend_from_slice(b"; Expires=");
            push_full_cookie_date(out, self.now.saturating_add(age));
        }
        out.extend_from_slice(b"; Path=");
        out.extend_from_slice(&s.path);
        for (set, flag) in [(s.secure, &b"; Secure"[..]), (s.httponly, b"; HttpOnly")] {
            out.extend_from_slice(if set { flag } else { b"" });
        }
        if let Some(pins) = self.pins() {
            let own = pins.secure == Secure::Auto && self.asked.tls && !s.secure;
            out.extend_from_slice(if own { b"; Secure" } else { b"" });
            same_site(pins, s.secure || own, out);
        }
    }
}

/// Appends what the session's cookie says for a peer, at a time: without the cookie's name, in `mode=prefix` without the
/// application's own value.
pub fn value(upstream: &Upstream, peer: PeerId, (last, first): (i64, i64), out: &mut Vec<u8>) {
    let answer = Answer {
        first,
        sid: upstream.sids.get(peer.ix()).map_or(&[][..], |s| s),
        ..Answer::new(upstream, &Ticket::OFF, peer, 200, true, last)
    };
    answer.pin(out);
}

/// The `Set-Cookie` that takes a cookie back which means no peer (`fallback=off`); `false`: there is none.
pub fn expire(upstream: &Upstream, asked: Asked, out: &mut Vec<u8>) -> bool {
    let Some(Sticky::Tengine(s)) = &upstream.sticky else { return false };
    out.extend_from_slice(&s.cookie);
    out.push(b'=');
    attributes(s, out);
    out.extend_from_slice(b"; Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:00 GMT");
    if let Some(pins) = &upstream.pins {
        flags(pins, asked.tls, out);
    }
    true
}

/// `HttpOnly`, `Secure` and `SameSite` of `session_sticky`.
fn flags(pins: &Pins, tls: bool, out: &mut Vec<u8>) {
    if pins.httponly {
        out.extend_from_slice(b"; HttpOnly");
    }
    let secure = match pins.secure {
        Secure::Off => false,
        Secure::On => true,
        Secure::Auto => tls,
    };
    if secure {
        out.extend_from_slice(b"; Secure");
    }
    same_site(pins, secure, out);
}

fn same_site(pins: &Pins, secure: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(match pins.samesite {
        None => b"",
        Some(SameSite::Strict) => b"; SameSite=Strict",
        Some(SameSite::None) => b"; SameSite=None",
        Some(SameSite::Auto) if secure => b"; SameSite=None",
        Some(SameSite::Lax | SameSite::Auto) => b"; SameSite=Lax",
    });
}

/// Whether the cookie has dates in it and is renewed by every answer.
fn timed(s: &SessionSticky) -> bool {
    s.maxidle.is_some() || s.maxlife.is_some()
}

fn attributes(s: &SessionSticky, out: &mut Vec<u8>) {
    for (name, value) in [(&b"; Domain="[..], &s.domain), (b"; Path=", &s.path)] {
        if let Some(value) = value {
            out.extend_from_slice(name);
            out.extend_from_slice(value);
        }
    }
}

/// Appends an attribute whose text is not empty, and tells where the text begins.
fn attribute(
    name: &[u8],
    value: &Template,
    eval: &mut dyn FnMut(&Template, &mut Vec<u8>),
    out: &mut Vec<u8>,
) -> Option<usize> {
    let before = out.len();
    out.extend_from_slice(name);
    let at = out.len();
    eval(value, out);
    if out.len() == at {
        out.truncate(before);
        return None;
    }
    Some(at)
}

fn push_number(out: &mut Vec<u8>, n: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}
