//! Connections kept idle between exchanges: one [`Pool`] an upstream and thread.
//!
//! nginx's cache of `keepalive N`: the most recently used connection to a peer is taken first, and when all N places
//! are taken the least recently used one of any peer gives way.

use std::time::Duration;

use crate::plan::{PeerId, UpstreamKeepalive};

/// The idle connections of one upstream, least recently used first. `T` is a connection; a test uses a number.
#[derive(Debug)]
pub struct Pool<T> {
    idle: Vec<Idle<T>>,
    limits: UpstreamKeepalive,
}

#[derive(Debug)]
struct Idle<T> {
    peer: PeerId,
    conn: T,
    life: Life,
    /// When its `keepalive_timeout` ends.
    until: Duration,
}

/// What a connection has behind it. Times are those of the thread's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub born: Duration,
    /// Exchanges begun on it.
    pub requests: u64,
}

impl<T> Pool<T> {
    pub fn new(limits: UpstreamKeepalive) -> Self {
        Self { idle: Vec::with_capacity(limits.idle.min(64)), limits }
    }

    /// The connection to `peer` that was used last. Those found `stale` on the way are closed.
    pub fn take(
        &mut self,
        peer: PeerId,
        now: Duration,
        mut stale: impl FnMut(&mut T) -> bool,
    ) -> Option<(T, Life)> {
        while let Some(ix) = self.idle.iter().rposition(|i| i.peer == peer) {
            let mut idle = self.idle.remove(ix);
            if idle.until > now && !stale(&mut idle.conn) {
                return Some((idle.conn, idle.life));
            }
        }
        None
    }

    /// Keeps a connection whose exchange is over, unless its limits say that it has served enough.
    pub fn put(&mut self, peer: PeerId, conn: T, life: Life, now: Duration) -> bool {
        let spent = life.requests >= self.limits.requests
            || now.saturating_sub(life.born) > self.limits.time
            || self.limits.idle == 0;
        if spent {
            return false;
        }
        if self.idle.len() >= self.limits.idle {
            self.idle.remove(0);
        }
        self.idle.push(Idle { peer, conn, life, until: now.saturating_add(self.limits.timeout) });
        true
    }

    /// Closes what timed out or was closed by its peer.
    pub fn sweep(&mut self, now: Duration, mut stale: impl FnMut(&mut T) -> bool) {
        self.idle.retain_mut(|i| i.until > now && !stale(&mut i.conn));
    }

    pub fn clear(&mut self) {
        self.idle.clear();
    }

    pub fn len(&self) -> usize {
        self.idle.len()
    }

    pub fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(idle: usize) -> Pool<u32> {
        Pool::new(UpstreamKeepalive {
            idle,
            local: false,
            requests: 3,
            time: Duration::from_secs(100),
            timeout: Duration::from_secs(10),
        })
    }

    fn life(requests: u64) -> Life {
        Life { born: Duration::ZERO, requests }
    }

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn the_last_used_connection_to_a_peer_comes_first() {
        let mut p = pool(4);
        for (peer, conn) in [(0, 10), (1, 11), (0, 12)] {
            assert!(p.put(PeerId(peer), conn, life(1), NOW));
        }
        assert_eq!(p.take(PeerId(0), NOW, |_| false).map(|c| c.0), Some(12));
        assert_eq!(p.take(PeerId(0), NOW, |_| false).map(|c| c.0), Some(10));
        assert_eq!(p.take(PeerId(0), NOW, |_| false), None);
        assert_eq!(p.len(), 1);
    }

    #[test]
    fn a_full_pool_drops_the_least_recently_used() {
        let mut p = pool(2);
        for conn in 1..=3 {
            p.put(PeerId(conn), conn, life(1), NOW);
        }
        assert_eq!(p.take(PeerId(1), NOW, |_| false), None);
        assert!(p.take(PeerId(2), NOW, |_| false).is_some());
    }

    #[test]
    fn limits_of_requests_time_and_idleness_hold() {
        let mut p = pool(2);
        assert!(!p.put(PeerId(0), 1, life(3), NOW));
        assert!(!p.put(PeerId(0), 1, life(1), Duration::from_secs(101)));
        assert!(p.put(PeerId(0), 1, life(2), NOW));
        assert_eq!(p.take(PeerId(0), Duration::from_secs(11), |_| false), None);
        assert!(!pool(0).put(PeerId(0), 1, life(1), NOW));
    }

    #[test]
    fn stale_connections_are_passed_over() {
        let mut p = pool(3);
        p.put(PeerId(0), 1, life(1), NOW);
        p.put(PeerId(0), 2, life(1), NOW);
        assert_eq!(p.take(PeerId(0), NOW, |c| *c == 2).map(|c| c.0), Some(1));
        p.put(PeerId(0), 3, life(1), NOW);
        p.sweep(NOW, |c| *c == 3);
        assert!(p.is_empty());
    }
}
