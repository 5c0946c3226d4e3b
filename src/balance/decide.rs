//! The balancers: each names a peer of the current group that is usable now, or nobody.
//!
//! They differ from nginx's in no choice: the sequences and hashes are nginx's own (see the vectors in the tests).

use std::net::IpAddr;

use smallvec::SmallVec;

use super::chash::murmur2;
use super::least_time::Metric;
use super::slow::WHOLE;
use super::state::{Local, Rule, Shared, Weights};
use super::verdict::Verdict;

/// After so many misses of a hashing balancer smooth weighted round robin takes over.
const MISSES: u32 = 20;

/// Where a request's balancer stands between attempts.
#[derive(Debug)]
pub(super) enum Decider {
    RoundRobin,
    IpHash { hash: u32, misses: u32, addr: [u8; 16], len: usize },
    Hash { hash: u32, round: u32, misses: u32, key: SmallVec<[u8; 64]> },
    Consistent { point: u32, misses: u32 },
    LeastConn,
    LeastTime { metric: Metric, inflight: bool },
    ConsistentHash { hash: u32 },
    Random { two: Option<By>, misses: u32, seed: u64 },
}

/// Which of two random peers is the better one.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    Conns,
    Time(Metric),
}

impl Decider {
    /// `client` is the address after realip; `None` on a unix socket.
    pub(super) fn new(shared: &Shared, client: Option<IpAddr>, key: &[u8], seed: u64) -> Self {
        match shared.rule {
            Rule::IpHash => {
                let mut addr = [0; 16];
                let len = match client {
                    Some(IpAddr::V4(ip)) => {
                        addr[..3].copy_from_slice(&ip.octets()[..3]);
                        3
                    }
                    Some(IpAddr::V6(ip)) => {
                        addr = ip.octets();
                        16
                    }
                    None => 3,
                };
                Self::IpHash { hash: 89, misses: 0, addr, len }
            }
            Rule::Hash if !key.is_empty() => {
                Self::Hash { hash: 0, round: 0, misses: 0, key: SmallVec::from_slice(key) }
            }
            Rule::Consistent if !key.is_empty() => {
                Self::Consistent { point: shared.ring.as_ref().map_or(0, |r| r.find(key)), misses: 0 }
            }
            Rule::LeastConn => Self::LeastConn,
            Rule::LeastTime { metric, inflight } => Self::LeastTime { metric, inflight },
            Rule::ConsistentHash => Self::ConsistentHash { hash: murmur2(key) },
            Rule::Random => Self::Random { two: None, misses: 0, seed },
            Rule::RandomTwo => Self::Random { two: Some(By::Conns), misses: 0, seed },
            Rule::RandomLeastTime(metric) => Self::Random { two: Some(By::Time(metric)), misses: 0, seed },
            Rule::RoundRobin | Rule::Hash | Rule::Consistent => Self::RoundRobin,
        }
    }

    /// It names a peer before it looks at any.
    pub(super) fn is_blind(&self) -> bool {
        matches!(
            self,
            Self::IpHash { .. } | Self::Hash { .. } | Self::Consistent { .. } | Self::Random { .. }
        )
    }

    /// Chooses among the peers of `view`'s group.
    pub(super) fn choose(&mut self, view: &View<'_>) -> Option<usize> {
        let several = view.range().len() > 1;
        match self {
            Self::IpHash { hash, misses, addr, len } => {
                while several && *misses <= MISSES {
                    for byte in &addr[..*len] {
                        *hash = (*hash * 113 + u32::from(*byte)) % 6271;
                    }
                    let ix = view.by_weight(u64::from(*hash));
                    if view.usable(ix) {
                        return Some(ix);
                    }
                    *misses += 1;
                }
            }
            Self::Hash { hash, round, misses, key } => {
                while several && *misses <= MISSES {
                    let mut crc = crc32fast::Hasher::new();
                    if *round > 0 {
                        crc.update(itoa::Buffer::new().format(*round).as_bytes());
                    }
                    crc.update(key);
                    *hash = hash.wrapping_add((crc.finalize() >> 16) & 0x7fff);
                    *round += 1;
                    let ix = view.by_weight(u64::from(*hash));
                    if view.usable(ix) {
                        return Some(ix);
                    }
                    *misses += 1;
                }
            }
            Self::Consistent { point, misses } => {
                while !view.shared.single() && *misses <= MISSES {
                    let of = view.shared.ring.as_ref().map_or(&[][..], |r| r.at(*point));
                    if let Some(ix) = view.weighted(of.iter().copied(), None) {
                        return Some(ix);
                    }
                    *point = point.wrapping_add(1);
                    *misses += 1;
                }
            }
            Self::LeastConn if !view.shared.single() => return view.least_conn(),
            Self::LeastTime { metric, inflight } if !view.shared.single() => {
                return view.least_time(*metric, *inflight);
            }
            Self::ConsistentHash { hash } if !view.backup => {
                return view.shared.points.as_ref()?.find(*hash, |ix| view.usable(ix));
            }
            Self::Random { two, misses, seed } => {
                let mut first = None;
                while several && *misses <= MISSES {
                    let ix = view.by_weight(draw(seed));
                    if first == Some(ix) || !view.usable(ix) {
                        *misses += 1;
                        continue;
                    }
                    match first {
                        None if two.is_some() => {
                            first = Some(ix);
                            *misses += 1;
                        }
                        Some(other) if two.is_some_and(|by| view.busier(by, ix, other)) => {
                            return Some(other);
                        }
                        _ => return Some(ix),
                    }
                }
            }
            Self::RoundRobin | Self::LeastConn | Self::LeastTime { .. } | Self::ConsistentHash { .. } => {}
        }
        view.weighted(view.range(), None)
    }
}

/// SplitMix64: enough for spreading load, and the same again for the same seed.
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 1
}

/// The peers as one attempt sees them.
pub(super) struct View<'a> {
    pub(super) shared: &'a Shared,
    pub(super) local: &'a Local,
    pub(super) backup: bool,
    pub(super) tried: &'a [u64],
    /// Seconds.
    pub(super) now: i64,
    /// The same, milliseconds.
    pub(super) ms: i64,
    /// The peers' slots must be asked.
    pub(super) troubled: bool,
}

impl View<'_> {
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.shared.group(self.backup).range.clone()
    }

    pub(super) fn tried(&self, ix: usize) -> bool {
        self.tried.get(ix / 64).is_some_and(|w| w & (1 << (ix % 64)) != 0)
    }

    pub(super) fn verdict(&self, ix: usize) -> Verdict {
        self.shared.state(ix).verdict(self.now, self.troubled)
    }

    /// Free for anyone's request.
    pub(super) fn usable(&self, ix: usize) -> bool {
        !self.tried(ix) && self.verdict(ix).admits(false)
    }

    /// Free for a request of its own session.
    pub(super) fn usable_pinned(&self, ix: usize) -> bool {
        !self.tried(ix) && self.verdict(ix).admits(true)
    }

    /// The peer at a position among all weights of the group, `down` ones included.
    fn by_weight(&self, position: u64) -> usize {
        let group = self.shared.group(self.backup);
        let mut rest = position % group.total_weight.max(1);
        for ix in group.range.clone() {
            let weight = self.shared.state(ix).weight.unsigned_abs();
            if rest < weight {
                return ix;
            }
            rest -= weight;
        }
        group.range.start
    }

    /// Smooth weighted round robin: every usable peer gains its effective weight, the heaviest is taken and pays the
    /// sum. `pin` is taken whatever its weight, and pays as well.
    pub(super) fn weighted(&self, peers: impl Iterator<Item = usize>, pin: Option<usize>) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for ix in peers {
            if !self.usable(ix) {
                continue;
            }
            let mut w = self.local.get(ix);
            let gain = w.effective * self.part(ix);
            w.current += gain;
            total += gain;
            if w.effective < self.shared.state(ix).weight {
                w.effective += 1;
            }
            self.local.set(ix, w);
            if best.is_none_or(|(_, heaviest)| w.current > heaviest) {
                best = Some((ix, w.current));
            }
        }
        let ix = pin.or(best.map(|(ix, _)| ix))?;
        let w = self.local.get(ix);
        self.local.set(ix, Weights { current: w.current - total, ..w });
        Some(ix)
    }

    /// What a peer has of each unit of its weight: 1, and parts of [`WHOLE`] where weights grow.
    fn part(&self, ix: usize) -> i64 {
        match self.shared.slow.get(ix) {
            None => 1,
            Some(slow) => slow.part(&self.shared.state(ix).slot, self.ms),
        }
    }

    /// The unit of weights in the round.
    pub(super) fn unit(&self) -> u64 {
        if self.shared.slow.is_empty() { 1 } else { WHOLE.unsigned_abs() }
    }

    /// A peer's weight as it is now.
    fn weight(&self, ix: usize) -> u64 {
        self.shared.state(ix).weight.unsigned_abs() * self.part(ix).unsigned_abs()
    }

    fn conns(&self, ix: usize) -> u32 {
        self.shared.state(ix).conns.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// More to do for its weight.
    fn busier(&self, by: By, ix: usize, than: usize) -> bool {
        let todo = |ix| match by {
            By::Conns => u64::from(self.conns(ix)),
            By::Time(metric) => self.estimate(metric, ix),
        };
        todo(ix).saturating_mul(self.weight(than)) > todo(than).saturating_mul(self.weight(ix))
    }

    fn estimate(&self, metric: Metric, ix: usize) -> u64 {
        let (peer, pace) = (self.shared.state(ix), &self.shared.paces[ix]);
        let since = self.now - peer.checked.load(std::sync::atomic::Ordering::Relaxed);
        let rested = if since > peer.fail_timeout { since / peer.fail_timeout.saturating_add(1) } else { 0 };
        pace.estimate(metric, self.conns(ix), rested)
    }

    /// The usable peer with least to do for its weight; of several they go round.
    fn least(&self, todo: impl Fn(usize) -> u64) -> Option<usize> {
        let all: SmallVec<[(usize, u64); 16]> =
            self.range().filter(|ix| self.usable(*ix)).map(|ix| (ix, todo(ix))).collect();
        let less = |a: (usize, u64), b: (usize, u64)| {
            let of = |(_, todo): (usize, u64), (other, _)| todo.saturating_mul(self.weight(other));
            of(a, b).cmp(&of(b, a))
        };
        let mut best = *all.first()?;
        let mut many = false;
        for one in all.iter().skip(1) {
            match less(*one, best) {
                std::cmp::Ordering::Less => (best, many) = (*one, false),
                std::cmp::Ordering::Equal => many = true,
                std::cmp::Ordering::Greater => {}
            }
        }
        if !many {
            // nginx takes an empty sum off the weight here, which is nothing.
            return Some(best.0);
        }
        let equal = all.iter().filter(|one| one.0 >= best.0 && less(**one, best).is_eq());
        self.weighted(equal.map(|one| one.0), None)
    }

    fn least_time(&self, metric: Metric, inflight: bool) -> Option<usize> {
        self.least(|ix| {
            if inflight {
                self.shared.paces[ix].look(self.ms.unsigned_abs());
            }
            self.estimate(metric, ix)
        })
    }

    fn least_conn(&self) -> Option<usize> {
        // Where a weight grows, the request itself counts: no connection at all is little for any weight.
        let growing = !self.shared.slow.is_empty() && self.range().any(|ix| self.part(ix) < WHOLE);
        self.least(|ix| u64::from(self.conns(ix)) + u64::from(growing))
    }
}
