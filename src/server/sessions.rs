//! What the control socket is asked about learned sessions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::orders::Answer;
use super::thread::Shared;
use crate::diag::Severity;
use crate::plan::{Sticky, StickyLearn, Upstream, UpstreamId};
use crate::rt::clock;
use crate::sticky::{Key, Session, Table};
use crate::store::{Kind, Write};
use crate::sys;

/// A zone and whose it is.
struct Of<'s> {
    id: UpstreamId,
    upstream: &'s Upstream,
    learn: &'s StickyLearn,
    table: &'s Table,
}

/// How many sessions an upstream's peers have, or one of them.
pub(super) fn sessions(shared: &Shared, upstream: Option<&str>, name: Option<&str>) -> Answer {
    let of = match find(shared, upstream) {
        Ok(of) => of,
        Err(answer) => return answer,
    };
    let now = clock::unix_millis();
    let all = of.table.sessions(now, of.learn.timeout);
    if let Some(name) = name {
        let key = key(name);
        let found = of.table.look_up(key, now, of.learn.timeout).and_then(|_| {
            let mut all = all;
            all.find(|s| s.key == key)
        });
        return match found {
            Some(session) => (200, json!({ "session": shown(&of, session, now) })),
            None => {
                (404, json!({ "error": format!("zone \"{}\" does not know this session", of.learn.zone) }))
            }
        };
    }
    let (mut peers, mut oldest, mut count) = (BTreeMap::<String, u64>::new(), 0, 0_u64);
    for session in all {
        *peers.entry(peer(&of, session)).or_default() += 1;
        oldest = oldest.max(now.saturating_sub(session.used));
        count += 1;
    }
    let said = json!({
        "pid": sys::pid(),
        "now": now,
        "upstream": &*of.upstream.name,
        "zone": &*of.learn.zone,
        "sessions": count,
        "room": of.table.capacity(),
        "timeout": u64::try_from(of.learn.timeout.as_millis()).unwrap_or(u64::MAX),
        "longest_idle": oldest,
        "peers": peers,
    });
    (200, said)
}

/// Forgets a session: `{"upstream": …, "session": …}`. A store forgets it too.
pub(super) fn forget(shared: &Shared, body: &[u8], uid: u32) -> Answer {
    let asked = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let text = |name: &str| asked.get(name).and_then(Value::as_str);
    let (Some(upstream), Some(name)) = (text("upstream"), text("session")) else {
        return (400, json!({ "error": "\"upstream\" and \"session\" are needed" }));
    };
    let of = match find(shared, Some(upstream)) {
        Ok(of) => of,
        Err(answer) => return answer,
    };
    let (key, now) = (key(name), clock::unix_millis());
    let session = of.table.look_up(key, now, of.learn.timeout);
    let was = session.map(|sid| peer(&of, Session { key, sid, used: now }));
    let gone = of.table.forget(key);
    if let Some(store) = shared.stores.get(of.id) {
        store.note(Write { key, sid: session.unwrap_or_default(), kind: Kind::Forget });
    } else if !gone {
        return (404, json!({ "error": format!("zone \"{}\" does not know this session", of.learn.zone) }));
    }
    let text =
        format_args!("session {key} of sticky zone \"{}\" forgotten by order of user {uid}", of.learn.zone);
    shared.logs.main(Severity::Notice, text);
    (200, json!({ "zone": &*of.learn.zone, "md5": key.to_string(), "peer": was }))
}

fn find<'s>(shared: &'s Shared, name: Option<&str>) -> Result<Of<'s>, Answer> {
    let learned = shared.plan.upstreams.iter().enumerate().filter_map(|(ix, upstream)| {
        let id = UpstreamId(ix as u32);
        let Some(Sticky::Learn(learn)) = &upstream.sticky else { return None };
        Some(Of { id, upstream, learn, table: shared.tables.get(id)? })
    });
    let mut candidates = Vec::new();
    for of in learned {
        if name.is_some_and(|n| *n == *of.upstream.name) {
            return Ok(of);
        }
        candidates.push(&*of.upstream.name);
    }
    let error = format!("there is no upstream \"{}\" with \"sticky learn\"", name.unwrap_or_default());
    Err((404, json!({ "error": error, "candidates": candidates })))
}

/// A session's name as its variable gives it, or `md5:` and 32 hexadecimal digits.
fn key(name: &str) -> Key {
    let digits =
        name.strip_prefix("md5:").and_then(|d| u128::from_str_radix(d, 16).ok().filter(|_| d.len() == 32));
    digits.map_or_else(|| Key::of(name.as_bytes()), |n| Key::from_bytes(n.to_be_bytes()))
}

/// The peer's name, or its value where nobody has it.
fn peer(of: &Of<'_>, session: Session) -> String {
    let (bytes, len) = session.sid.text();
    let sid = bytes.get(..len).unwrap_or_default();
    let known = of.upstream.sid_index.get(sid).and_then(|id| of.upstream.peers.get(id.ix()));
    known.map_or_else(|| format!("? {}", String::from_utf8_lossy(sid)), |peer| peer.name.to_string())
}

fn shown(of: &Of<'_>, session: Session, now: u64) -> Value {
    json!({
        "md5": session.key.to_string(),
        "peer": peer(of, session),
        "idle": now.saturating_sub(session.used),
    })
}
