//! What the backend sees of a session's cookie.

use smallvec::SmallVec;

use super::Change;
use super::cookie::{pairs, unquoted};
use crate::plan::{Proxy, SessionSticky, Sticky, StickyMode, Upstream, UpstreamId};

/// Upstreams whose cookies a peer is not to see; hardly ever more than one.
pub type Hidden<'p> = SmallVec<[&'p Upstream; 2]>;

/// Whether the cookie is kept from the backend (`option=indirect`) or freed of its prefix (`mode=prefix`) in this
/// location: `session_sticky_hide_cookie` may say so, and it is so without it unless `switch=off` forbids. (Tengine
/// keeps no session at all there without the directive.)
pub fn hides(proxy: &Proxy, id: UpstreamId, upstream: &Upstream) -> bool {
    matches!(&upstream.sticky, Some(Sticky::Tengine(s)) if concerns(s))
        && (proxy.hide_sticky.contains(&id) || !proxy.show_sticky.contains(&id))
}

/// The upstreams whose cookies are kept from the peers of `own` in this location: `own` itself as [`hides`] says, and
/// those that the location names. Of two with one cookie's name it is `own`'s cookie.
pub fn hidden<'p>(proxy: &Proxy, upstreams: &'p [Upstream], own: Option<UpstreamId>) -> Hidden<'p> {
    let mine = own.and_then(|id| Some((id, upstreams.get(id.ix())?)));
    let kept = mine.and_then(|(_, u)| cookie_of(u));
    let others = proxy.hide_sticky.iter().filter(|id| Some(**id) != own);
    let others = others.filter_map(|id| upstreams.get(id.ix()));
    let others = others.filter(|u| session(u).is_some_and(|s| Some(&*s.cookie) != kept));
    mine.filter(|(id, u)| hides(proxy, *id, u)).map(|(_, u)| u).into_iter().chain(others).collect()
}

/// What is hidden of an upstream, when its mode is one that hides.
fn session(upstream: &Upstream) -> Option<&SessionSticky> {
    match &upstream.sticky {
        Some(Sticky::Tengine(s)) => Some(s).filter(|s| concerns(s)),
        _ => None,
    }
}

/// The name of the cookie that an upstream reads.
pub fn cookie_of(upstream: &Upstream) -> Option<&[u8]> {
    match upstream.sticky.as_ref()? {
        Sticky::Tengine(s) => Some(&s.cookie),
        Sticky::Cookie(s) => Some(&s.name),
        Sticky::Ng(s) => Some(&s.name),
        Sticky::Route(_) | Sticky::Learn(_) => None,
    }
}

/// The modes in which the backend is not to see our value; in the others the directive does nothing.
fn concerns(s: &SessionSticky) -> bool {
    match s.mode {
        StickyMode::Prefix => true,
        StickyMode::Insert => s.indirect,
        StickyMode::Rewrite => false,
    }
}

/// One `Cookie` line of the request as the backend gets it, without what `upstreams` hide. A line that has nothing of
/// theirs is not touched; one that had nothing else goes; of another the rest is joined anew.
pub fn hide(upstreams: &[&Upstream], line: &[u8], out: &mut Vec<u8>) -> Change {
    let ours = |p: &super::cookie::Pair<'_>| {
        let mut all = upstreams.iter().filter_map(|u| session(u)).filter(|_| p.value.is_some());
        all.find(|s| *p.name == *s.cookie).map(|s| s.mode)
    };
    if !pairs(line).any(|p| ours(&p).is_some()) {
        return Change::Keep;
    }
    let start = out.len();
    for pair in pairs(line) {
        let mode = ours(&pair);
        let value = pair.value.unwrap_or_default();
        let prefix = if mode == Some(StickyMode::Prefix) { memchr::memchr(b'~', value) } else { None };
        if mode == Some(StickyMode::Insert) {
            continue;
        }
        if out.len() > start {
            out.extend_from_slice(b"; ");
        }
        let Some(tilde) = prefix else {
            out.extend_from_slice(pair.text);
            continue;
        };
        out.extend_from_slice(pair.name);
        out.push(b'=');
        if unquoted(value).len() < value.len() {
            out.push(b'"');
        }
        out.extend_from_slice(&value[tilde + 1..]);
    }
    if out.len() == start { Change::Drop } else { Change::Replace }
}
