//! What the control socket is asked: the state of the peers, and an operator's orders to them. JSON in, JSON out.

use std::time::Duration;

use serde_json::{Value, json};

use super::thread::{At, Shared};
use crate::balance::Verdict;
use crate::diag::Severity;
use crate::plan::{PeerId, Upstream};
use crate::rt::clock;
use crate::sys;
use crate::values::push_http_date;
use crate::zone::{Health, Operator, Slot};

/// How long ago a session was last seen that still counts, milliseconds.
const WINDOW: u64 = 300_000;

/// The latest deadline, milliseconds from now: a hundred years.
const LONGEST: u64 = 100 * 366 * 86_400_000;
/// How often a worker looks after deadlines and tells others of its connections: while something is not as usual, and
/// else.
const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(1);

/// A status and what is said.
pub(super) type Answer = (u16, Value);

/// The peers of every upstream, or of one. `window`: milliseconds.
pub(super) fn peers(shared: &Shared, only: Option<&str>, window: Option<u64>) -> Answer {
    let upstreams: Vec<usize> = match only {
        Some(name) => match named(shared, name) {
            Ok(found) => found,
            Err(answer) => return answer,
        },
        None => (0..shared.plan.upstreams.len()).collect(),
    };
    let now = clock::unix_millis();
    let window = window.unwrap_or(WINDOW);
    let rows: Vec<Value> = upstreams.iter().filter_map(|ix| upstream(shared, *ix, window, now)).collect();
    (200, json!({ "pid": sys::pid(), "now": now, "window": window, "upstreams": rows }))
}

fn upstream(shared: &Shared, ix: usize, window: u64, now: u64) -> Option<Value> {
    let at = shared.at(ix)?;
    let upstream = at.upstream();
    let peers: Vec<Value> = ids(upstream).filter_map(|(id, _)| peer(&at, id, window, now)).collect();
    Some(json!({ "name": &*upstream.name, "sticky": upstream.sticky.is_some(), "peers": peers }))
}

fn ids(upstream: &Upstream) -> impl Iterator<Item = (PeerId, &crate::plan::Peer)> {
    upstream.peers.iter().enumerate().map(|(ix, p)| (PeerId(ix as u32), p))
}

fn peer(at: &At<'_>, id: PeerId, window: u64, now: u64) -> Option<Value> {
    let plan = at.upstream().peers.get(id.ix())?;
    let balance = at.balance();
    let (view, slot) = (balance.peer(id, i64::try_from(now / 1000).ok()?)?, balance.slot(id)?);
    let (operator, since) = slot.operator(now);
    let probe = slot.probe();
    let operator = match operator {
        Operator::Active => "active",
        Operator::Draining { .. } => "draining",
        Operator::Down => "down",
    };
    let health = match probe.health {
        Health::Unchecked => "unchecked",
        Health::Up => "up",
        Health::Down => "down",
        Health::Draining => "draining",
    };
    let set = |n: u64| (n != 0).then_some(n);
    Some(json!({
        "name": &*plan.name,
        "server": &*plan.server,
        "id": plan.id.as_deref(),
        "weight": plan.weight,
        "backup": plan.backup,
        "verdict": view.verdict.as_str(),
        "configured": if plan.down { "down" } else if plan.drain { "drain" } else { "" },
        "operator": {
            "state": operator,
            "since": set(since),
            "deadline": slot.deadline(),
            "uid": set(since).map(|_| slot.asked_by()),
        },
        "health": {
            "state": health,
            "rise": probe.rise,
            "fall": probe.fall,
            "checked": set(probe.checked),
            "changed": set(probe.changed),
            "result": set(probe.result),
        },
        "connections": u64::from(view.conns) + u64::from(slot.connections_elsewhere(pid())),
        "max_conns": plan.max_conns,
        "fails": view.fails,
        "sessions": slot.sessions(window, now),
        "requests": slot.served(),
    }))
}

/// This process's number as slots have it.
pub(super) fn pid() -> u32 {
    sys::pid().unsigned_abs()
}

/// The upstreams of a name; the error names those that there are.
fn named(shared: &Shared, name: &str) -> Result<Vec<usize>, Answer> {
    let all = &shared.plan.upstreams;
    let found: Vec<usize> =
        (0..all.len()).filter(|ix| all.get(*ix).is_some_and(|u| *u.name == *name)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let candidates: Vec<&str> = all.iter().map(|u| &*u.name).collect();
    Err((404, json!({ "error": format!("there is no upstream \"{name}\""), "candidates": candidates })))
}

/// An order: `{"upstream": …, "server": …, "deadline": milliseconds from now}`. Every peer that `server` means gets it.
pub(super) fn order(shared: &Shared, drain: bool, body: &[u8], uid: u32) -> Answer {
    let wrong = |text: &str| (400, json!({ "error": text }));
    let Ok(asked) = serde_json::from_slice::<Value>(body) else { return wrong("the request is no JSON") };
    let text = |name: &str| asked.get(name).and_then(Value::as_str);
    let (Some(of), Some(server)) = (text("upstream"), text("server")) else {
        return wrong("\"upstream\" and \"server\" are needed");
    };
    let deadline = match asked.get("deadline") {
        None | Some(Value::Null) => None,
        Some(n) => match n.as_u64() {
            Some(n) => Some(n.min(LONGEST)),
            None => return wrong("\"deadline\" is no number of milliseconds"),
        },
    };
    let upstreams = match named(shared, of) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let now = clock::unix_millis();
    let mut rows = Vec::new();
    let all: Vec<At<'_>> = upstreams.into_iter().filter_map(|ix| shared.at(ix)).collect();
    let mut candidates: Vec<&str> = Vec::new();
    for at in &all {
        for (id, p) in ids(at.upstream()) {
            if *p.name == *server || *p.server == *server || p.id.as_deref() == Some(server) {
                let Some(slot) = at.balance().slot(id) else { continue };
                carry_out(shared, (of, &p.name), slot, drain.then_some(deadline), uid, now);
                rows.extend(peer(at, id, WINDOW, now));
            } else {
                candidates.push(&p.name);
                candidates.extend((*p.server != *p.name).then_some(&*p.server));
                candidates.extend(p.id.as_deref());
            }
        }
    }
    if rows.is_empty() {
        candidates.dedup();
        let error = format!("upstream \"{of}\" has no server \"{server}\"");
        return (404, json!({ "error": error, "candidates": candidates }));
    }
    (200, json!({ "pid": sys::pid(), "now": now, "peers": rows, "others": takers(shared, of, now) }))
}

/// How many peers of the upstream take new sessions.
fn takers(shared: &Shared, upstream: &str, now: u64) -> usize {
    let seconds = i64::try_from(now / 1000).unwrap_or(0);
    let takes = |at: &At<'_>| {
        let verdict = |(id, _)| at.balance().peer(id, seconds).map(|p| p.verdict);
        let verdicts = ids(at.upstream()).filter_map(verdict);
        verdicts.filter(|v| matches!(v, Verdict::Usable | Verdict::Full)).count()
    };
    shared.all().filter(|at| *at.upstream().name == *upstream).map(|at| takes(&at)).sum()
}

/// `drain`: milliseconds until the deadline, if there is one; `None`: back into service.
fn carry_out(
    shared: &Shared,
    peer: (&str, &str),
    slot: &Slot,
    drain: Option<Option<u64>>,
    uid: u32,
    now: u64,
) {
    let (operator, what) = match drain {
        None => (Operator::Active, "is back in service".to_owned()),
        Some(None) => (Operator::Draining { until: None }, "drains".to_owned()),
        Some(Some(ms)) => {
            let until = now.saturating_add(ms);
            let mut text = b"drains until ".to_vec();
            push_http_date(&mut text, i64::try_from(until / 1000).unwrap_or(0));
            (Operator::Draining { until: Some(until) }, String::from_utf8_lossy(&text).into_owned())
        }
    };
    slot.set_operator(operator, uid, now);
    let (upstream, name) = peer;
    let text = format_args!("peer {name} of upstream \"{upstream}\" {what} (user {uid})");
    shared.logs.main(Severity::Notice, text);
}

/// What a worker does now and then: takes down peers whose deadline is over, and says so, and tells other workers of its
/// connections. The answer is when it is due again.
pub(super) fn look_after(shared: &Shared) -> Option<Duration> {
    shared.plan.process.control.as_ref()?;
    shared.all().for_each(|at| at.balance().note_connections(pid(), false));
    if !shared.slots.troubled() {
        return Some(LATE);
    }
    expire(shared);
    shared.slots.settle();
    Some(SOON)
}

/// The worker has no connections any more.
pub(super) fn leave(shared: &Shared) {
    if shared.plan.process.control.is_some() {
        shared.all().for_each(|at| at.balance().note_connections(pid(), true));
    }
}

fn expire(shared: &Shared) {
    let now = clock::unix_millis();
    for at in shared.all() {
        let upstream = at.upstream();
        for id in at.balance().expire(now) {
            let Some(peer) = upstream.peers.get(id.ix()) else { continue };
            shared.logs.main(
                Severity::Notice,
                format_args!(
                    "peer {} of upstream \"{}\" is down: the time for it to drain is over",
                    peer.name, upstream.name
                ),
            );
        }
    }
}
