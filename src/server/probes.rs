//! The health checks of a worker: one task a peer, on one thread, each with one connection at most.
//!
//! A task asks its peer, writes down what it found where all processes see it (`zone`), and sleeps. Nothing of it is on
//! the way of a request. Of several processes one asks a peer: who has claimed its slot. An old worker gives its claims
//! back when it begins to drain, a dead one's run out.

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch::Receiver;

use crate::compile::upstream::peer_name;
use crate::diag::Severity;
use crate::health::{Change, Exchange, Fault, Rest, Rules, Standing, Verdict};
use crate::log::Logs;
use crate::plan::{Check, Checked, Peer, PeerAddr, PeerId, Plan, UpstreamId};
use crate::proxy::{DialError, DialOptions, Dialled, Sets, dial};
use crate::rt::{Rng, clock};
use crate::sys;
use crate::zone::{Health, Probe, Slot, Slots};

/// The first probe comes within this time or the interval, whichever is longer.
const FIRST: Duration = Duration::from_secs(1);
/// How often a peer that another process asks is looked at, at least.
const LOOK: Duration = Duration::from_secs(1);
/// What is read away of an answer behind the verdict, so that its connection can be used again.
const DRAIN: usize = 1024 * 1024;

/// How long a worker that begins keeps older ones from peers which it does not check.
const HANDOVER: Duration = Duration::from_secs(60);

/// How long the right to ask a peer is kept without being asked for again.
fn lease(check: &Check) -> Duration {
    check.timeout.saturating_add(check.interval.max(FIRST)).saturating_add(LOOK)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What the checks of one worker have in common.
#[derive(Debug)]
pub(super) struct Probes {
    plan: Arc<Plan>,
    logs: Arc<Logs>,
    slots: Slots,
    /// Names this worker among processes, and among workers of one process.
    owner: u32,
}

/// The tasks; dropped, they stop, and another process may take over.
#[derive(Debug)]
pub(super) struct Running {
    probes: Rc<Probes>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// A connection that has room for another question.
#[derive(Debug)]
struct Kept {
    stream: Dialled,
    /// Questions it was asked.
    asked: u64,
}

/// What one probe came to.
struct Found<'c> {
    result: Result<Verdict, Failed>,
    /// The connection, with the answer whose end may still be to come.
    kept: Option<(Kept, Exchange<'c>)>,
}

/// The socket's fault, not the answer's.
#[derive(Debug)]
enum Failed {
    Dial(DialError),
    Io(&'static str, io::Error),
    /// It accepted the connection and closed it.
    Closed,
    TimedOut,
}

impl Probes {
    pub(super) fn new(plan: Arc<Plan>, logs: Arc<Logs>, slots: Slots) -> Self {
        static WORKERS: AtomicU32 = AtomicU32::new(0);
        let nth = WORKERS.fetch_add(1, Ordering::Relaxed);
        let owner = std::process::id() & 0x003f_ffff | (nth & 3) << 22;
        Self { plan, logs, slots, owner }
    }

    /// Says of every peer what holds before it was asked: `default_down`, and nothing where nothing is checked any more.
    /// From here on this worker's word counts; an older one that goes on because this one fails gets it back in time.
    pub(super) fn begin(&self) {
        let now = clock::unix_millis();
        let own = self.plan.checked.iter().map(|c| (c.upstream, c.peer));
        let also = self.plan.checked.iter().flat_map(|c| c.also.iter().copied());
        let checked: HashSet<_> = own.chain(also).collect();
        for (u, upstream) in self.plan.upstreams.iter().enumerate() {
            for (p, peer) in upstream.peers.iter().enumerate() {
                let slot = self.slots.get(&upstream.name, &peer.name);
                let seen = slot.probe();
                let lease = upstream.check.as_ref().map_or(HANDOVER, lease);
                if upstream.check.is_some() || seen.health != Health::Unchecked {
                    slot.seize(self.owner, now.saturating_add(millis(lease)));
                }
                match &upstream.check {
                    Some(check) if checked.contains(&(UpstreamId(u as u32), PeerId(p as u32))) => {
                        let first = seen.health == Health::Unchecked && seen.checked == 0;
                        if check.default_down && first {
                            slot.set_health(Health::Down, now);
                        }
                    }
                    _ if seen.health != Health::Unchecked || seen.checked != 0 => {
                        slot.set_health(Health::Unchecked, now);
                        slot.note_check(0, 0, 0, 0);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Starts a task for each peer, those of `sets` that a name brings included. `None`: there is nothing to check.
    pub(super) fn start(self, sets: Receiver<Sets>) -> Option<Running> {
        let changing = self.plan.upstreams.iter().any(|u| u.dynamic.is_some());
        if self.plan.checked.is_empty() && !changing {
            return None;
        }
        let probes = Rc::new(self);
        let mut tasks = Vec::new();
        for checked in &probes.plan.checked {
            let all = std::iter::once((checked.upstream, checked.peer)).chain(checked.also.iter().copied());
            let slots = all.filter_map(|(u, p)| probes.slot(u, p)).collect();
            tasks.push(tokio::task::spawn_local(watch(probes.clone(), checked.clone(), slots)));
        }
        if changing {
            tasks.push(tokio::task::spawn_local(follow(probes.clone(), sets)));
        }
        Some(Running { probes, tasks })
    }

    /// Nobody asks this peer.
    fn forget(&self, upstream: &str, peer: &str) {
        let (slot, now) = (self.slots.get(upstream, peer), clock::unix_millis());
        let seen = slot.probe();
        if seen.health != Health::Unchecked || seen.checked != 0 {
            slot.seize(self.owner, now.saturating_add(millis(HANDOVER)));
            slot.set_health(Health::Unchecked, now);
            slot.note_check(0, 0, 0, 0);
        }
    }

    fn slot(&self, upstream: UpstreamId, peer: PeerId) -> Option<Slot> {
        let upstream = self.plan.upstreams.get(upstream.ix())?;
        Some(self.slots.get(&upstream.name, &upstream.peers.get(peer.ix())?.name))
    }

    fn log(&self, severity: Severity, text: std::fmt::Arguments<'_>) {
        self.logs.main(severity, text);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        for checked in &self.probes.plan.checked {
            if let Some(slot) = self.probes.slot(checked.upstream, checked.peer) {
                slot.release(self.probes.owner);
            }
        }
    }
}

/// The checks of peers that names brought, by upstream and peer.
struct Brought {
    probes: Rc<Probes>,
    running: HashMap<(usize, Box<str>), (tokio::task::JoinHandle<()>, Slot)>,
}

impl Brought {
    /// What is there now, and is not the plan's, is checked; what is gone is not any more.
    fn adopt(&mut self, sets: &Sets) {
        let plan = self.probes.plan.clone();
        let mut there = HashSet::new();
        for (u, (upstream, set)) in plan.upstreams.iter().zip(sets.iter()).enumerate() {
            let Some(set) = set else { continue };
            let Some(check) = &upstream.check else {
                // What an earlier check found must not hold for ever.
                set.upstream.peers.iter().for_each(|p| self.probes.forget(&upstream.name, &p.name));
                continue;
            };
            let fixed = |name: &str| upstream.peers.iter().any(|p| *p.name == *name);
            for peer in set.upstream.peers.iter().filter(|p| !p.down && !fixed(&p.name)) {
                let key = (u, peer.name.clone());
                if there.insert(key.clone()) && !self.running.contains_key(&key) {
                    let begun = self.begin(UpstreamId(u as u32), &upstream.name, check, peer);
                    self.running.insert(key, begun);
                }
            }
        }
        let owner = self.probes.owner;
        self.running.retain(|key, (task, slot)| {
            let stays = there.contains(key);
            if !stays {
                task.abort();
                slot.release(owner);
            }
            stays
        });
    }

    fn begin(
        &self,
        upstream: UpstreamId,
        name: &str,
        check: &Check,
        peer: &Peer,
    ) -> (tokio::task::JoinHandle<()>, Slot) {
        let (slot, now) = (self.probes.slots.get(name, &peer.name), clock::unix_millis());
        slot.seize(self.probes.owner, now.saturating_add(millis(lease(check))));
        let seen = slot.probe();
        if check.default_down && seen.health == Health::Unchecked && seen.checked == 0 {
            slot.set_health(Health::Down, now);
        }
        let addr = match &peer.addr {
            PeerAddr::Inet(addr) if check.port != 0 => {
                PeerAddr::Inet(std::net::SocketAddr::new(addr.ip(), check.port))
            }
            own => own.clone(),
        };
        let name = peer_name(&addr);
        let checked = Checked { upstream, peer: PeerId(0), name, addr, also: Vec::new() };
        let task = watch(self.probes.clone(), checked, vec![slot.clone()]);
        (tokio::task::spawn_local(task), slot)
    }
}

impl Drop for Brought {
    fn drop(&mut self) {
        self.adopt(&Sets::default());
    }
}

/// Checks the peers that names bring, as they come and go.
async fn follow(probes: Rc<Probes>, mut sets: Receiver<Sets>) {
    let mut brought = Brought { probes, running: HashMap::new() };
    loop {
        let now = sets.borrow_and_update().clone();
        brought.adopt(&now);
        if sets.changed().await.is_err() {
            return;
        }
    }
}

/// Asks one peer again and again.
async fn watch(probes: Rc<Probes>, checked: Checked, slots: Vec<Slot>) {
    let (plan, checked) = (probes.plan.clone(), &checked);
    let Some(check) = plan.upstreams.get(checked.upstream.ix()).and_then(|u| u.check.as_ref()) else {
        return;
    };
    let Some(slot) = slots.first() else { return };

    // Not all at once.
    let spread = Rng::thread(|r| r.below(millis(check.interval.max(FIRST))));
    tokio::time::sleep(Duration::from_millis(spread)).await;
    let mut kept: Option<Kept> = None;
    loop {
        let now = clock::unix_millis();
        if !slot.claim(probes.owner, now, now.saturating_add(millis(lease(check)))) {
            kept = None;
            tokio::time::sleep(check.interval.min(LOOK)).await;
            continue;
        }
        let found = probe(check, checked, kept.take()).await;
        note(&probes, check, checked, &slots, &found.result);
        let due = Instant::now() + check.interval;
        if let Some((stream, exchange)) = found.kept {
            kept = drain((stream, exchange), due).await;
        }
        tokio::time::sleep_until(due.into()).await;
    }
}

/// Writes down what a probe found, and says what it changed.
fn note(probes: &Probes, check: &Check, checked: &Checked, slots: &[Slot], result: &Result<Verdict, Failed>) {
    let name = &checked.name;
    match result {
        Ok(Verdict::Bad(fault)) => {
            if let Some(text) = fault.text(name) {
                probes.log(Severity::Error, format_args!("{text}"));
            }
            if *fault != Fault::Incomplete {
                let kind = check.kind.name();
                probes.log(Severity::Error, format_args!("check protocol {kind} error with peer: {name} "));
            }
        }
        Ok(_) => {}
        Err(failed) => failed.log(probes, name),
    }
    let verdict = result.as_ref().ok().copied();
    let good = verdict.is_some_and(Verdict::good);
    let now = clock::unix_millis();
    for (i, slot) in slots.iter().enumerate() {
        if !slot.claim(probes.owner, now, now.saturating_add(millis(lease(check)))) {
            // A newer worker has begun meanwhile: what this one asked is its own affair.
            continue;
        }
        let before = slot.probe();
        let (standing, change) = count(before, good, check);
        let draining = match verdict {
            Some(Verdict::Drain) => true,
            Some(Verdict::Good) => false,
            // A bad answer says nothing of sessions.
            _ => before.health == Health::Draining,
        };
        let health = match (standing.down, draining) {
            (true, _) => Health::Down,
            (false, true) => Health::Draining,
            (false, false) if good || before.health != Health::Unchecked => Health::Up,
            (false, false) => Health::Unchecked,
        };
        slot.note_check(standing.rise, standing.fall, u64::from(good), now);
        slot.set_health(health, now);
        if i > 0 {
            continue;
        }
        match change {
            Some(Change::Up) => probes.log(Severity::Error, format_args!("enable check peer: {name} ")),
            Some(Change::Down) => probes.log(Severity::Error, format_args!("disable check peer: {name} ")),
            None => {}
        }
        let was = before.health == Health::Draining;
        if health == Health::Draining && !was {
            probes.log(Severity::Warn, format_args!("check peer drains itself: {name} "));
        } else if health == Health::Up && was {
            probes.log(Severity::Warn, format_args!("check peer takes new sessions again: {name} "));
        }
    }
}

fn count(before: Probe, good: bool, check: &Check) -> (Standing, Option<Change>) {
    let down = before.health == Health::Down;
    let mut standing = Standing { down, rise: before.rise, fall: before.fall };
    let change = standing.record(good, Rules { rise: check.rise, fall: check.fall });
    (standing, change)
}

impl Failed {
    fn log(&self, probes: &Probes, name: &str) {
        match self {
            Self::TimedOut => probes.log(Severity::Error, format_args!("check time out with peer: {name} ")),
            Self::Closed => probes.log(
                Severity::Error,
                format_args!("check peer closed connection with an incomplete response, peer: {name} "),
            ),
            Self::Dial(e) => {
                let call = match e {
                    DialError::Local { call, .. } => call,
                    DialError::Refused(_) | DialError::Failed(_) => "connect()",
                };
                let severity = if e.is_critical() { Severity::Crit } else { Severity::Error };
                let why = sys::err_text(e.error());
                probes.log(severity, format_args!("{call} failed ({why}) with check peer: {name} "));
            }
            Self::Io(call, e) => {
                let why = sys::err_text(e);
                probes.log(Severity::Error, format_args!("{call} failed ({why}) with check peer: {name} "));
            }
        }
    }
}

/// Asks once. A kept connection that turns out closed is no failure of the peer: it is asked on a new one, within the
/// same time.
async fn probe<'c>(check: &'c Check, checked: &Checked, kept: Option<Kept>) -> Found<'c> {
    let limit = tokio::time::sleep(check.timeout);
    let ask = async {
        if let Some(kept) = kept.filter(|k| is_quiet(&k.stream)) {
            let found = ask(check, kept).await;
            let stale = match &found.result {
                Err(Failed::Io(..) | Failed::Closed) => true,
                Ok(Verdict::Bad(fault)) => *fault == Fault::Incomplete,
                _ => false,
            };
            if !stale {
                return found;
            }
        }
        let dialled = match dial(&checked.addr, DialOptions::default()) {
            Ok(dialled) => dialled.finish().await,
            Err(e) => Err(e),
        };
        match dialled {
            Ok(stream) => ask(check, Kept { stream, asked: 0 }).await,
            Err(e) => Found { result: Err(Failed::Dial(e)), kept: None },
        }
    };
    tokio::select! {
        found = ask => found,
        () = limit => Found { result: Err(Failed::TimedOut), kept: None },
    }
}

/// Asks on a connection.
async fn ask(check: &Check, mut kept: Kept) -> Found<'_> {
    let keep = kept.asked + 1 < check.keepalive_requests;
    let mut random = [0; 32];
    Rng::thread(|r| r.fill(&mut random));
    let mut exchange = Exchange::new(check, keep, random);
    if !exchange.expects_answer() {
        let result = if is_open(&kept.stream) { Ok(Verdict::Good) } else { Err(Failed::Closed) };
        return Found { result, kept: None };
    }
    let result = match &mut kept.stream {
        Dialled::Tcp(s) => talk(s, &mut exchange).await,
        Dialled::Unix(s) => talk(s, &mut exchange).await,
    };
    kept.asked += 1;
    let kept = (keep && result.is_ok() && exchange.rest() != Rest::Unknown).then_some((kept, exchange));
    Found { result, kept }
}

async fn talk(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    exchange: &mut Exchange<'_>,
) -> Result<Verdict, Failed> {
    let request = exchange.request().to_vec();
    stream.write_all(&request).await.map_err(|e| Failed::Io("send()", e))?;
    let mut bytes = [0; 4096];
    loop {
        let n = stream.read(&mut bytes).await.map_err(|e| Failed::Io("recv()", e))?;
        if n == 0 {
            return Ok(exchange.end());
        }
        if let Some(verdict) = exchange.take(&bytes[..n]) {
            return Ok(verdict);
        }
    }
}

/// Reads the end of an answer away until the next probe is due; `None`: the connection cannot be used again.
async fn drain(stream: (Kept, Exchange<'_>), due: Instant) -> Option<Kept> {
    let (mut kept, mut exchange) = stream;
    let read = async {
        let mut bytes = [0; 4096];
        let mut seen = 0;
        while exchange.rest() == Rest::More && seen < DRAIN {
            let n = match &mut kept.stream {
                Dialled::Tcp(s) => s.read(&mut bytes).await,
                Dialled::Unix(s) => s.read(&mut bytes).await,
            };
            let Some(part) = n.ok().filter(|n| *n > 0).and_then(|n| bytes.get(..n)) else { return false };
            seen += part.len();
            exchange.take(part);
        }
        exchange.rest() == Rest::Nothing
    };
    let whole = tokio::time::timeout_at(due.into(), read).await.unwrap_or(false);
    whole.then_some(kept)
}

/// What a look at the socket shows without waiting: bytes, the end of the stream, or nothing.
fn peek(stream: &Dialled) -> io::Result<usize> {
    let mut byte = [MaybeUninit::uninit()];
    match stream {
        Dialled::Tcp(s) => socket2::SockRef::from(s).peek(&mut byte),
        Dialled::Unix(s) => socket2::SockRef::from(s).peek(&mut byte),
    }
}

/// The peer has not closed.
fn is_open(stream: &Dialled) -> bool {
    match peek(stream) {
        Ok(n) => n > 0,
        Err(e) => e.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Nobody has said anything since the last answer.
fn is_quiet(stream: &Dialled) -> bool {
    peek(stream).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
}
