//! The pre-access phase: `limit_req`, then `limit_conn`.

use std::sync::Arc;
use std::time::Duration;

use super::context::Bytes;
use super::{Request, ThreadState, gate};
use crate::diag::Severity;
use crate::limit::{Excess, Full, Zone};
use crate::plan::{LimitKind, LimitZone, Limits, Plan, RequestLimit};
use crate::sys;
use crate::vars;
use crate::wire::ServerConn;

/// What became of a request that a limit concerned: `$limit_req_status`, `$limit_conn_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    Passed,
    Delayed,
    Rejected,
    DelayedDryRun,
    RejectedDryRun,
}

impl Limited {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Delayed => "DELAYED",
            Self::Rejected => "REJECTED",
            Self::DelayedDryRun => "DELAYED_DRY_RUN",
            Self::RejectedDryRun => "REJECTED_DRY_RUN",
        }
    }
}

/// One connection under a key, as long as it lives.
#[derive(Debug)]
pub(super) struct Seat {
    zone: Arc<Zone>,
    key: Vec<u8>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.zone.leave(&self.key);
    }
}

/// A limit, its zone and the request's key in it.
struct Keyed<'p> {
    limit: &'p RequestLimit,
    zone: &'p LimitZone,
    counters: Arc<Zone>,
    rate: u64,
    key: Vec<u8>,
}

/// The status that ends a request which is one too many. Waits when it is to wait.
pub(super) async fn refused(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Option<u16> {
    let set = req.location().set.clone();
    let limits = set.limits.as_deref()?;
    if req.trace.is_some() {
        // An explained request counts for nobody.
        return None;
    }
    if req.limit_req.is_none()
        && let Some(status) = requests(req, conn, thread, limits).await
    {
        return Some(status);
    }
    if req.limit_conn.is_none() { connections(req, thread, limits) } else { None }
}

/// The key of a zone for this request; `None`: the limit does not concern it.
fn key(req: &Request, thread: &ThreadState, zone: &LimitZone, most: usize) -> Option<Vec<u8>> {
    let key = vars::eval_to_vec(&zone.key, req);
    if key.len() > most {
        let (name, value) = (Bytes(&zone.key_text), Bytes(&key));
        let text = format_args!("the value of the \"{name}\" key is more than {most} bytes: \"{value}\"");
        thread.log_error(req, Severity::Error, text);
        return None;
    }
    (!key.is_empty()).then_some(key)
}

fn keyed<'p>(
    req: &Request,
    thread: &ThreadState,
    plan: &'p Plan,
    limit: &'p RequestLimit,
) -> Option<Keyed<'p>> {
    let zone = plan.limit_zones.get(limit.zone)?;
    let LimitKind::Requests { rate } = zone.kind else { return None };
    let counters = thread.limits.get(limit.zone)?.clone();
    Some(Keyed { limit, zone, counters, rate, key: key(req, thread, zone, 65_535)? })
}

async fn requests(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
    limits: &Limits,
) -> Option<u16> {
    let plan = req.plan.clone();
    let mut asked: Vec<Keyed<'_>> = Vec::new();
    let (now, last) = (sys::monotonic_millis(), limits.requests.len().saturating_sub(1));
    let mut worst: Option<(u64, &Keyed<'_>)> = None;
    let mut excess_of_last = None;
    for (i, limit) in limits.requests.iter().enumerate() {
        let Some(one) = keyed(req, thread, &plan, limit) else { continue };
        match one.counters.request(&one.key, now, one.rate, limit.burst, i == last) {
            Excess::Within(excess) => {
                excess_of_last = (i == last).then_some(excess);
                asked.push(one);
            }
            Excess::Over(excess) => return over(req, thread, limits, excess, one.zone),
        }
    }
    let mut longest = 0;
    for (i, one) in asked.iter().enumerate().rev() {
        // The last limit of all has counted the request already.
        let excess = match excess_of_last.filter(|_| i + 1 == asked.len()) {
            Some(excess) => excess,
            None => one.counters.count(&one.key, now, one.rate),
        };
        let delay = excess.saturating_sub(one.limit.delay).saturating_mul(1000) / one.rate.max(1);
        if delay > longest {
            longest = delay;
            worst = Some((excess, one));
        }
    }
    if asked.is_empty() {
        return None;
    }
    let Some((excess, one)) = worst else {
        req.limit_req = Some(Limited::Passed);
        return None;
    };
    let dry = limits.requests_refused.dry_run;
    let level = milder(limits.requests_refused.level);
    let (by, how) = (&one.zone.name, if dry { ", dry run" } else { "" });
    let text =
        format!("delaying request{how}, excess: {}.{:03}, by zone \"{by}\"", excess / 1000, excess % 1000);
    thread.log_error(req, level, format_args!("{text}"));
    if dry {
        req.limit_req = Some(Limited::DelayedDryRun);
        return None;
    }
    req.limit_req = Some(Limited::Delayed);
    if gate::wait(conn, Duration::from_millis(longest)).await {
        return None;
    }
    thread.log_error(req, Severity::Info, format_args!("client prematurely closed connection"));
    Some(499)
}

fn over(
    req: &mut Request,
    thread: &ThreadState,
    limits: &Limits,
    excess: u64,
    zone: &LimitZone,
) -> Option<u16> {
    let refusal = &limits.requests_refused;
    let (by, how) = (&zone.name, if refusal.dry_run { ", dry run" } else { "" });
    let text = format_args!(
        "limiting requests{how}, excess: {}.{:03} by zone \"{by}\"",
        excess / 1000,
        excess % 1000
    );
    thread.log_error(req, refusal.level, text);
    req.limit_req = Some(if refusal.dry_run { Limited::RejectedDryRun } else { Limited::Rejected });
    (!refusal.dry_run).then_some(refusal.status)
}

/// A delay is logged a level below a refusal.
fn milder(level: Severity) -> Severity {
    match level {
        Severity::Error => Severity::Warn,
        Severity::Warn => Severity::Notice,
        _ => Severity::Info,
    }
}

fn connections(req: &mut Request, thread: &ThreadState, limits: &Limits) -> Option<u16> {
    let plan = req.plan.clone();
    for limit in &limits.connections {
        let (Some(zone), Some(counters)) = (plan.limit_zones.get(limit.zone), thread.limits.get(limit.zone))
        else {
            continue;
        };
        let Some(key) = key(req, thread, zone, 255) else { continue };
        req.limit_conn = Some(Limited::Passed);
        let Err(why) = counters.enter(&key, limit.most) else {
            req.seats.push(Seat { zone: Arc::clone(counters), key });
            continue;
        };
        let refusal = &limits.connections_refused;
        if why == Full::Limit {
            let (by, how) = (&zone.name, if refusal.dry_run { ", dry run," } else { "" });
            thread.log_error(req, refusal.level, format_args!("limiting connections{how} by zone \"{by}\""));
        }
        req.seats.clear();
        req.limit_conn = Some(if refusal.dry_run { Limited::RejectedDryRun } else { Limited::Rejected });
        return (!refusal.dry_run).then_some(refusal.status);
    }
    None
}
