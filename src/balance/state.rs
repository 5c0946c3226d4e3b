//! What is known of an upstream's peers: for all threads, and for one.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};

use super::chash::Points;
use super::least_time::{Metric, Pace};
use super::ring::Ring;
use super::slow::SlowStart;
use super::verdict::Verdict;
use crate::plan::{Method, Peer, PeerId, Sticky, Template, Upstream};
use crate::zone::{Slot, Slots};

/// One upstream's state, shared by the threads of a worker. Every count is an atomic of its own: a reader may see
/// one a moment before the other, as nginx's readers of a zone may.
#[derive(Debug)]
pub struct Shared {
    /// Those of an upstream whose addresses change are also their successor's, as long as the peer stays.
    peers: Box<[Arc<PeerState>]>,
    primary: Group,
    backup: Group,
    pub(super) rule: Rule,
    pub(super) ring: Option<Ring>,
    pub(super) points: Option<Points>,
    /// A peer each where times count, else empty.
    pub(super) paces: Box<[Arc<Pace>]>,
    /// A peer each where one has `slow_start` and the balancer knows it, else empty.
    pub(super) slow: Box<[Arc<SlowStart>]>,
    key: Option<Template>,
    pub(super) pins: Pins,
    slots: Slots,
}

/// The balancer without its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    RoundRobin,
    IpHash,
    Hash,
    Consistent,
    LeastConn,
    Random,
    RandomTwo,
    RandomLeastTime(Metric),
    LeastTime {
        metric: Metric,
        /// Requests under way count as well.
        inflight: bool,
    },
    ConsistentHash,
}

impl Rule {
    /// The balancers that `slow_start` concerns.
    fn grows(self) -> bool {
        matches!(self, Self::RoundRobin | Self::LeastConn | Self::LeastTime { .. })
    }
}

/// How much a pin weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pins {
    /// Tengine with `fallback=on` and nginx-sticky-module-ng: the pinned peer while it can be used, past the weights.
    Prefer,
    /// Tengine with `fallback=off`, nginx-sticky-module-ng with `no_fallback`: the pinned peer or none.
    Strict,
    /// nginx: the pinned peer, which pays for it with its weight; a backup only when backups are due.
    Weigh,
}

/// The primary peers, or the backups.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) range: Range<usize>,
    /// `down` ones included.
    pub(super) total_weight: u64,
    /// Peers that the configuration has neither down nor draining.
    tries: u32,
}

/// A cache line each: threads count on different peers without meeting.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct PeerState {
    pub(super) weight: i64,
    pub(super) max_fails: u32,
    pub(super) fail_timeout: i64,
    pub(super) max_conns: u32,
    pub(super) down: bool,
    pub(super) drain: bool,
    pub(super) fails: AtomicU32,
    pub(super) conns: AtomicU32,
    /// When it was last seen to fail, and when it was last let out to be tried again, in the caller's seconds.
    pub(super) accessed: AtomicI64,
    pub(super) checked: AtomicI64,
    /// What its operator and its health check say.
    pub(super) slot: Slot,
}

/// What can be asked about a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerView {
    pub fails: u32,
    pub conns: u32,
    /// Whether it can take a request now, and of whom.
    pub verdict: Verdict,
}

/// One thread's weights of an upstream. Not shared: each thread goes its own round, as nginx's workers do.
#[derive(Debug)]
pub struct Local {
    pub(super) weights: Box<[Cell<Weights>]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weights {
    pub(super) current: i64,
    pub(super) effective: i64,
}

impl Shared {
    /// `slots` are those of the plan that `upstream` is of.
    pub fn new(upstream: &Upstream, slots: &Slots) -> Self {
        Self::following(upstream, slots, |_| None)
    }

    /// The same for an upstream whose peers have changed: `before` says which peer of an earlier state one was. What is
    /// known of it stays, also for those who began with the earlier one.
    pub fn following<'b>(
        upstream: &Upstream,
        slots: &Slots,
        before: impl Fn(usize) -> Option<(&'b Self, PeerId)>,
    ) -> Self {
        let before: Vec<Option<(&Self, usize)>> =
            (0..upstream.peers.len()).map(|ix| before(ix).map(|(shared, id)| (shared, id.ix()))).collect();
        let before = |ix: usize| before.get(ix).copied().flatten();
        let known = |ix| before(ix).and_then(|(shared, was)| shared.peers.get(was));
        let new = |peer: &Peer| Arc::new(PeerState::new(peer, slots.get(&upstream.name, &peer.name)));
        let state = |(ix, peer)| known(ix).cloned().unwrap_or_else(|| new(peer));
        let peers: Box<[Arc<PeerState>]> = upstream.peers.iter().enumerate().map(state).collect();
        let primary = upstream.primary.min(peers.len());
        let (rule, key) = match &upstream.method {
            Method::RoundRobin => (Rule::RoundRobin, None),
            Method::IpHash => (Rule::IpHash, None),
            Method::Hash(key) => (Rule::Hash, Some(key.clone())),
            Method::HashConsistent(key) => (Rule::Consistent, Some(key.clone())),
            Method::LeastConn => (Rule::LeastConn, None),
            Method::Random { two: false } => (Rule::Random, None),
            Method::Random { two: true } => (Rule::RandomTwo, None),
            Method::RandomLeastTime { last_byte } => (Rule::RandomLeastTime(metric(*last_byte)), None),
            Method::LeastTime { last_byte, inflight } => {
                (Rule::LeastTime { metric: metric(*last_byte), inflight: *inflight }, None)
            }
            Method::ConsistentHash(key) => (Rule::ConsistentHash, Some(key.clone())),
        };
        let timed = matches!(rule, Rule::LeastTime { .. } | Rule::RandomLeastTime(_));
        let slow = rule.grows() && upstream.peers.iter().any(|p| !p.slow_start.is_zero());
        let pins = match &upstream.sticky {
            Some(Sticky::Tengine(s)) if !s.fallback => Pins::Strict,
            Some(Sticky::Ng(s)) if !s.fallback => Pins::Strict,
            Some(Sticky::Cookie(_) | Sticky::Route(_) | Sticky::Learn(_)) => Pins::Weigh,
            Some(Sticky::Tengine(_) | Sticky::Ng(_)) | None => Pins::Prefer,
        };
        Self {
            primary: Group::new(&peers, 0..primary),
            backup: Group::new(&peers, primary..peers.len()),
            ring: (rule == Rule::Consistent).then(|| Ring::new(&upstream.peers[..primary])),
            points: (rule == Rule::ConsistentHash).then(|| Points::new(&upstream.peers[..primary])),
            paces: (0..if timed { peers.len() } else { 0 })
                .map(|ix| before(ix).and_then(|(s, was)| s.paces.get(was).cloned()).unwrap_or_default())
                .collect(),
            slow: upstream.peers[..if slow { peers.len() } else { 0 }]
                .iter()
                .enumerate()
                .map(|(ix, peer)| {
                    let known = before(ix).and_then(|(s, was)| s.slow.get(was).cloned());
                    known.unwrap_or_else(|| Arc::new(SlowStart::new(peer.slow_start)))
                })
                .collect(),
            peers,
            rule,
            key,
            pins,
            slots: slots.clone(),
        }
    }

    /// The key of `hash`, to be evaluated for [`super::Request::key`]; `None`: no key is needed.
    pub fn key(&self) -> Option<&Template> {
        self.key.as_ref()
    }

    pub fn peer(&self, id: PeerId, now: i64) -> Option<PeerView> {
        let p = self.peers.get(id.ix())?;
        Some(PeerView {
            fails: p.fails.load(Relaxed),
            conns: p.conns.load(Relaxed),
            verdict: p.verdict(now, self.troubled()),
        })
    }

    /// What operator and health check say of a peer.
    pub fn slot(&self, id: PeerId) -> Option<&Slot> {
        Some(&self.peers.get(id.ix())?.slot)
    }

    /// Takes down what is past its deadline, and names what no call has named yet.
    pub fn expire(&self, now: u64) -> impl Iterator<Item = PeerId> + '_ {
        let over = move |(ix, p): (usize, &Arc<PeerState>)| {
            p.slot.expire(now);
            p.slot.take_expired().then_some(PeerId(ix as u32))
        };
        self.peers.iter().enumerate().filter_map(over)
    }

    /// Tells other workers how many connections this one, `pid`, has; `leaving`: none any more.
    pub fn note_connections(&self, pid: u32, leaving: bool) {
        for p in &self.peers {
            p.slot.note_connections(pid, if leaving { 0 } else { p.conns.load(Relaxed) });
        }
    }

    /// Whether a peer's slot must be asked at all.
    #[inline]
    pub(super) fn troubled(&self) -> bool {
        self.slots.troubled()
    }

    /// How many attempts a request has: one a peer that is neither down nor draining.
    pub(super) fn tries(&self) -> u32 {
        if !self.troubled() {
            return self.primary.tries.saturating_add(self.backup.tries);
        }
        // A deadline changes nothing here: a draining peer does not count, and one that is down neither.
        let counts = |p: &&Arc<PeerState>| p.configured().or_else(|| p.ordered(0)).is_none();
        u32::try_from(self.peers.iter().filter(counts).count()).unwrap_or(u32::MAX)
    }

    pub(super) fn group(&self, backup: bool) -> &Group {
        if backup { &self.backup } else { &self.primary }
    }

    pub(super) fn state(&self, ix: usize) -> &PeerState {
        &self.peers[ix]
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// nginx never marks an only peer failed, and tries it once.
    pub(super) fn single(&self) -> bool {
        self.peers.len() == 1 && self.primary.range.len() == 1
    }

    pub(super) fn is_backup(&self, ix: usize) -> bool {
        self.backup.range.contains(&ix)
    }
}

fn metric(last_byte: bool) -> Metric {
    if last_byte { Metric::LastByte } else { Metric::Header }
}

impl Group {
    fn new(peers: &[Arc<PeerState>], range: Range<usize>) -> Self {
        let of = &peers[range.clone()];
        Self {
            total_weight: of.iter().map(|p| p.weight.unsigned_abs()).sum(),
            tries: u32::try_from(of.iter().filter(|p| !p.down && !p.drain).count()).unwrap_or(u32::MAX),
            range,
        }
    }
}

impl PeerState {
    fn new(peer: &Peer, slot: Slot) -> Self {
        Self {
            weight: i64::from(peer.weight.max(1)),
            max_fails: peer.max_fails,
            fail_timeout: i64::try_from(peer.fail_timeout.as_secs()).unwrap_or(i64::MAX),
            max_conns: peer.max_conns,
            down: peer.down,
            drain: peer.drain,
            fails: AtomicU32::new(0),
            conns: AtomicU32::new(0),
            accessed: AtomicI64::new(0),
            checked: AtomicI64::new(0),
            slot,
        }
    }

    pub(super) fn failed(&self, now: i64) -> bool {
        self.max_fails != 0
            && self.fails.load(Relaxed) >= self.max_fails
            && now - self.checked.load(Relaxed) <= self.fail_timeout
    }

    pub(super) fn full(&self) -> bool {
        self.max_conns != 0 && self.conns.load(Relaxed) >= self.max_conns
    }

    /// Counts a connection; `false` when another thread took the last one.
    pub(super) fn acquire(&self) -> bool {
        if self.max_conns == 0 {
            self.conns.fetch_add(1, Relaxed);
            return true;
        }
        self.conns.fetch_update(Relaxed, Relaxed, |c| (c < self.max_conns).then_some(c + 1)).is_ok()
    }

    pub(super) fn release(&self) {
        let before = self.conns.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "a connection is given back once");
    }
}

impl Local {
    pub fn new(shared: &Shared) -> Self {
        let start = |p: &Arc<PeerState>| Cell::new(Weights { current: 0, effective: p.weight });
        Self { weights: shared.peers.iter().map(start).collect() }
    }

    /// The weights of a state that follows another one: a peer that stays goes on where it was.
    pub fn following(shared: &Shared, before: (&Shared, &Self)) -> Self {
        let start = |p: &Arc<PeerState>| {
            let was = before.0.peers.iter().position(|b| Arc::ptr_eq(b, p));
            let fresh = Weights { current: 0, effective: p.weight };
            Cell::new(was.and_then(|ix| before.1.weights.get(ix)).map_or(fresh, Cell::get))
        };
        Self { weights: shared.peers.iter().map(start).collect() }
    }

    pub(super) fn get(&self, ix: usize) -> Weights {
        self.weights[ix].get()
    }

    pub(super) fn set(&self, ix: usize, weights: Weights) {
        self.weights[ix].set(weights);
    }
}
