//! The balancers: each names a peer of the current group that is usable now, or nobody.
//!
//! They differ from nginx's in no choice: the sequences and hashes are nginx's own (see the vectors in the tests).

use std::net::IpAddr;

use smallvec::SmallVec;

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
    Random { two: bool, misses: u32, seed: u64 },
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
            Rule::Random => Self::Random { two: false, misses: 0, seed },
            Rule::RandomTwo => Self::Random { two: true, misses: 0, seed },
            Rule::RoundRobin | Rule::Hash | Rule::Consistent => Self::RoundRobin,
        }
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
            Self::Random { two, misses, seed } => {
                let mut first = None;
                while several && *misses <= MISSES {
                    let ix = view.by_weight(draw(seed));
                    if first == Some(ix) || !view.usable(ix) {
                        *misses += 1;
                        continue;
                    }
                    match first {
                        None if *two => {
                            first = Some(ix);
                            *misses += 1;
                        }
                        Some(other) if view.busier(ix, other) => return Some(other),
                        _ => return Some(ix),
                    }
                }
            }
            Self::RoundRobin | Self::LeastConn => {}
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
    pub(super) now: i64,
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
            w.current += w.effective;
            total += w.effective;
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

    /// More connections for its weight.
    fn busier(&self, ix: usize, than: usize) -> bool {
        self.load(ix, than) > self.load(than, ix)
    }

    /// Connections of `ix` scaled so that they compare with those of `other`.
    fn load(&self, ix: usize, other: usize) -> u64 {
        let conns = self.shared.state(ix).conns.load(std::sync::atomic::Ordering::Relaxed);
        u64::from(conns) * self.shared.state(other).weight.unsigned_abs()
    }

    fn least_conn(&self) -> Option<usize> {
        let mut usable = self.range().filter(|ix| self.usable(*ix));
        let mut best = usable.next()?;
        let mut many = false;
        for ix in usable {
            let (mine, least) = (self.load(ix, best), self.load(best, ix));
            if mine < least {
                best = ix;
                many = false;
            } else if mine == least {
                many = true;
            }
        }
        if !many {
            // nginx takes an empty sum off the weight here, which is nothing.
            return Some(best);
        }
        let equal = (best..self.range().end).filter(|ix| self.load(*ix, best) == self.load(best, *ix));
        self.weighted(equal, None)
    }
}
