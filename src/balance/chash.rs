//! The points of Tengine's `consistent_hash`, and its way along them.

use crate::plan::Peer;

/// Points for each unit of weight.
const POINTS: u32 = 160;
/// A server's points at most.
const MOST: u32 = 1 << 14;
/// What an `id=` may be at most to count.
const LARGEST_ID: u32 = 65_535;

#[derive(Debug)]
pub(super) struct Points {
    /// Hash and peer, in the hashes' order.
    points: Box<[(u32, u32)]>,
}

impl Points {
    /// `peers` are the primary ones.
    pub(super) fn new(peers: &[Peer]) -> Self {
        let mut points = Vec::new();
        for (ix, peer) in peers.iter().enumerate() {
            let base = number(peer).wrapping_mul(4096);
            let hash = |j: u32| murmur2(&base.wrapping_add(j).to_le_bytes());
            let many = peer.weight.saturating_mul(POINTS).min(MOST);
            points.extend((0..many).map(|j| (hash(j), ix as u32)));
        }
        points.sort_by_key(|p| p.0);
        Self { points: points.into() }
    }

    /// The peer of a key's hash: that of the first point not below it, past the last one the first. When it cannot be
    /// used, the nearer to the hash of the lowest point that can and the next one that can (Tengine looks for the
    /// nearest on either side, and its tree gives the lowest).
    pub(super) fn find(&self, hash: u32, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let at = self.search(hash)?;
        let can = |p: &&(u32, u32)| usable(p.1 as usize);
        let (before, from) = self.points.split_at(at);
        let own = from.first().filter(can);
        if let Some(own) = own {
            return Some(own.1 as usize);
        }
        let (lowest, next) = (before.iter().find(can), from.iter().skip(1).find(can));
        let point = match (lowest, next) {
            (Some(low), Some(next)) if low.0.abs_diff(hash) > next.0.abs_diff(hash) => next,
            (Some(low), _) => low,
            (None, next) => next?,
        };
        Some(point.1 as usize)
    }

    /// Tengine's own search: of points with one hash it may end at any.
    fn search(&self, hash: u32) -> Option<usize> {
        let (mut low, mut high) = (1, self.points.len());
        let value = |i: usize| self.points.get(i - 1).map(|p| p.0);
        while low < high {
            let middle = low.midpoint(high);
            match value(middle)?.cmp(&hash) {
                std::cmp::Ordering::Equal => return Some(middle - 1),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        let past = low == self.points.len() && value(low)? < hash;
        Some(if past { 0 } else { low - 1 })
    }
}

/// What the points of a server are made of: a small number as its `id=`, or the hash of its name.
fn number(peer: &Peer) -> u32 {
    let id = peer.id.as_ref().filter(|id| id.bytes().all(|b| b.is_ascii_digit()));
    let id = id.and_then(|id| id.parse().ok()).filter(|id| *id <= LARGEST_ID);
    id.unwrap_or_else(|| murmur2(peer.name.as_bytes()))
}

/// MurmurHash2 with seed 0 over little-endian words.
pub(super) fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}
