//! What the answer must carry so that the session finds its peer again.

use super::Change;
use super::cookie::pair;
use super::ticket::Ticket;
use crate::plan::{
    PeerId, SessionSticky, Sticky, StickyCookie, StickyExpires, StickyMode, StickyNg, Template, Upstream,
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
        let sid = upstream.sids.get(peer.ix()).map_or(&[][..], |s| s);
        let place = match &upstream.sticky {
            None => Place::Nowhere,
            Some(_) if sid.is_empty() => Place::Nowhere,
            Some(Sticky::Route(_) | Sticky::Learn(_)) => Place::Nowhere,
            Some(Sticky::Cookie(_)) => Place::Before,
            // The balancer chose: the client is told, whatever becomes of the request.
            Some(Sticky::Ng(s)) if s.hide || ticket.pin() == Some(peer) => Place::Nowhere,
            Some(Sticky::Ng(_)) => Place::Before,
            Some(Sticky::Tengine(s)) => {
                let due = timed(s) || ticket.pin() != Some(peer);
                if s.mode == StickyMode::Insert && due && status < 400 {
                    Place::After
                } else {
                    Place::Nowhere
                }
            }
        };
        Self { upstream, sid, first: ticket.first_seen().unwrap_or(now), now, hidden, place }
    }

    /// Where [`Self::issue`] is to be called. Ask after the backend's cookies have been relayed: one of them may have
    /// made room for ours.
    pub fn place(&self) -> Place {
        self.place
    }

    /// A `Set-Cookie` of the backend.
    pub fn relay(&mut self, value: &[u8], out: &mut Vec<u8>) -> Change {
        let Some(Sticky::Tengine(s)) = &self.upstream.sticky else { return Change::Keep };
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let theirs = pair(&value[..end]);
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
                out.extend_from_slice(self.sid);
                out.extend_from_slice(&value[end..]);
                Change::Replace
            }
            StickyMode::Prefix => {
                let Some(their) = theirs.value.filter(|_| self.hidden) else { return Change::Keep };
                out.extend_from_slice(theirs.name);
                out.push(b'=');
                out.extend_from_slice(self.sid);
                out.push(b'~');
                out.extend_from_slice(their);
                out.extend_from_slice(&value[end..]);
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
        out.extend_from_slice(self.sid);
        if timed(s) {
            for time in [self.now, self.first] {
                out.push(b'|');
                push_number(out, time);
            }
        }
        attributes(s, out);
        if let Some(age) = s.maxage.filter(|_| !timed(s)) {
            out.extend_from_slice(b"; Max-Age=");
            push_number(out, age);
            out.extend_from_slice(b"; Expires=");
            push_cookie_date(out, self.now.saturating_add(age));
        }
    }

    /// nginx's: `NAME=SID; expires=; max-age=; domain=; httponly; secure; samesite=; path=`.
    fn plain(&self, s: &StickyCookie, eval: &mut dyn FnMut(&Template, &mut Vec<u8>), out: &mut Vec<u8>) {
        out.extend_from_slice(&s.name);
        out.push(b'=');
        out.extend_from_slice(self.sid);
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
        if s.secure {
            out.extend_from_slice(b"; secure");
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
        out.extend_from_slice(self.sid);
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
    }
}

/// The `Set-Cookie` that takes a cookie back which means no peer (`fallback=off`); `false`: there is none.
pub fn expire(upstream: &Upstream, out: &mut Vec<u8>) -> bool {
    let Some(Sticky::Tengine(s)) = &upstream.sticky else { return false };
    out.extend_from_slice(&s.cookie);
    out.push(b'=');
    attributes(s, out);
    out.extend_from_slice(b"; Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:00 GMT");
    true
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
