//! Where the first requests of a young connection went.

use std::cell::RefCell;
use std::time::Duration;

use smallvec::SmallVec;

use crate::plan::{PeerId, UpstreamId};

/// One connection's, an entry an upstream.
#[derive(Debug, Default)]
pub struct FirstPeers(RefCell<SmallVec<[First; 2]>>);

#[derive(Debug)]
struct First {
    upstream: UpstreamId,
    peer: PeerId,
    /// When the first request came, milliseconds since 1970.
    since: u64,
}

impl FirstPeers {
    /// The peer that requests went to, while the first of them is not longer ago than `window`.
    pub fn get(&self, upstream: UpstreamId, now: u64, window: Duration) -> Option<PeerId> {
        let mut all = self.0.borrow_mut();
        let young = |f: &First| u128::from(now.saturating_sub(f.since)) < window.as_millis();
        all.retain(|f| f.upstream != upstream || young(f));
        all.iter().find(|f| f.upstream == upstream).map(|f| f.peer)
    }

    /// A request goes to `peer`, the first one or one that another peer failed.
    pub fn note(&self, upstream: UpstreamId, peer: PeerId, now: u64) {
        let mut all = self.0.borrow_mut();
        match all.iter_mut().find(|f| f.upstream == upstream) {
            Some(first) => first.peer = peer,
            None => all.push(First { upstream, peer, since: now }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_counts_from_the_first_request_of_each_upstream() {
        let first = FirstPeers::default();
        let (a, b, second) = (UpstreamId(0), UpstreamId(1), Duration::from_secs(1));
        assert_eq!(first.get(a, 0, second), None);
        first.note(a, PeerId(1), 100);
        first.note(b, PeerId(2), 900);
        first.note(a, PeerId(3), 800);
        assert_eq!(first.get(a, 1099, second), Some(PeerId(3)));
        assert_eq!(first.get(a, 1100, second), None);
        assert_eq!(first.get(b, 1100, second), Some(PeerId(2)));
        first.note(a, PeerId(4), 1100);
        assert_eq!(first.get(a, 2000, second), Some(PeerId(4)));
    }
}
