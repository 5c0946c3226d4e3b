//! What the backend sees of a session's cookie.

use super::Change;
use super::cookie::{pairs, unquoted};
use crate::plan::{Proxy, SessionSticky, Sticky, StickyMode, Upstream, UpstreamId};

/// Whether the cookie is kept from the backend (`option=indirect`) or freed of its prefix (`mode=prefix`) in this
/// location: `session_sticky_hide_cookie` may say so, and it is so without it unless `switch=off` forbids. (Tengine
/// keeps no session at all there without the directive.)
pub fn hides(proxy: &Proxy, id: UpstreamId, upstream: &Upstream) -> bool {
    matches!(&upstream.sticky, Some(Sticky::Tengine(s)) if concerns(s))
        && (proxy.hide_sticky.contains(&id) || !proxy.show_sticky.contains(&id))
}

/// The modes in which the backend is not to see our value; in the others the directive does nothing.
fn concerns(s: &SessionSticky) -> bool {
    match s.mode {
        StickyMode::Prefix => true,
        StickyMode::Insert => s.indirect,
        StickyMode::Rewrite => false,
    }
}

/// One `Cookie` line of the request as the backend gets it. A line without our cookie is not touched; one that had
/// nothing else goes; of another the rest is joined anew.
pub fn hide(upstream: &Upstream, line: &[u8], out: &mut Vec<u8>) -> Change {
    let Some(Sticky::Tengine(s)) = &upstream.sticky else { return Change::Keep };
    if !concerns(s) {
        return Change::Keep;
    }
    let ours = |p: &super::cookie::Pair<'_>| *p.name == *s.cookie && p.value.is_some();
    if !pairs(line).any(|p| ours(&p)) {
        return Change::Keep;
    }
    let start = out.len();
    for pair in pairs(line) {
        let mine = ours(&pair);
        let value = pair.value.unwrap_or_default();
        let prefix = if mine && s.mode == StickyMode::Prefix { memchr::memchr(b'~', value) } else { None };
        if mine && s.mode == StickyMode::Insert {
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
