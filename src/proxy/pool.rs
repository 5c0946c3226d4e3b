//! Connections kept idle between exchanges: one [`Pool`] an upstream and thread.
//!
//! nginx's cache of `keepalive N`: the most recently used connection to a peer is taken first, and when all N places
//! are taken the least recently used one of any peer gives way.

use std::rc::Rc;
use std::time::Instant;

use super::secure::Who;
use crate::plan::{LocId, PeerId, UpstreamKeepalive};

/// The idle connections of one upstream, least recently used first. `T` is a connection; a test uses a number.
#[derive(Debug)]
pub struct Pool<T> {
    idle: Vec<Idle<T>>,
    limits: UpstreamKeepalive,
}

#[derive(Debug)]
struct Idle<T> {
    key: Key,
    conn: T,
    life: Life,
    /// When its `keepalive_timeout` ends.
    until: Instant,
}

/// Who a connection can be used by again: requests for this peer, with the same TLS or as much without, and with `local`
/// keepalive only those of the location that opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) peer: PeerId,
    pub(super) location: Option<LocId>,
    pub(super) tls: Option<Rc<Who>>,
}

/// What a connection has behind it. Times are those of the thread's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub born: Instant,
    /// Exchanges begun on it.
    pub requests: u64,
}

impl<T> Pool<T> {
    pub fn new(limits: UpstreamKeepalive) -> Self {
        Self { idle: Vec::with_capacity(limits.idle.min(64)), limits }
    }

    /// The connection for `key` that was used last. Those found `stale` on the way are closed.
    pub(super) fn take(
        &mut self,
        key: &Key,
        now: Instant,
        mut stale: impl FnMut(&mut T) -> bool,
    ) -> Option<(T, Life)> {
        while let Some(ix) = self.idle.iter().rposition(|i| i.key == *key) {
            let mut idle = self.idle.remove(ix);
            if idle.until > now && !stale(&mut idle.conn) {
                return Some((idle.conn, idle.life));
            }
        }
        None
    }

    /// Keeps a connection whose exchange is over, unless its limits say that it has served enough. One found `stale`
    /// makes room before one that can still be used does.
    pub(super) fn put(
        &mut self,
        key: Key,
        conn: T,
        life: Life,
        now: Instant,
        stale: impl FnMut(&mut T) -> bool,
    ) -> bool {
        let spent = life.requests >= self.limits.requests
            || now.saturating_duration_since(life.born) > self.limits.time
            || self.limits.idle == 0;
        if spent {
            return false;
        }
        if self.idle.len() >= self.limits.idle {
            self.sweep(now, stale);
        }
        if self.idle.len() >= self.limits.idle {
            self.idle.remove(0);
        }
        self.idle.push(Idle { key, conn, life, until: now + self.limits.timeout });
        true
    }

    /// Closes what timed out or was closed by its peer.
    pub fn sweep(&mut self, now: Instant, mut stale: impl FnMut(&mut T) -> bool) {
        self.idle.retain_mut(|i| i.until > now && !stale(&mut i.conn));
    }

    /// The peers have other numbers now; connections to those that have none are closed.
    pub fn rename(&mut self, number: impl Fn(PeerId) -> Option<PeerId>) {
        self.idle.retain_mut(|idle| match number(idle.key.peer) {
            Some(peer) => {
                idle.key.peer = peer;
                true
            }
            None => false,
        });
    }

    pub fn clear(&mut self) {
        self.idle.clear();
    }

    pub fn location_bound(&self) -> bool {
        self.limits.local
    }

    pub fn len(&self) -> usize {
        self.idle.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

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

    fn to(peer: u32) -> Key {
        Key { peer: PeerId(peer), location: None, tls: None }
    }

    fn life(requests: u64) -> Life {
        Life { born: *START, requests }
    }

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    fn at(seconds: u64) -> Instant {
        *START + Duration::from_secs(seconds)
    }

    #[test]
    fn the_last_used_connection_to_a_peer_comes_first() {
        let mut p = pool(4);
        for (peer, conn) in [(0, 10), (1, 11), (0, 12)] {
            assert!(p.put(to(peer), conn, life(1), at(1), |_| false));
        }
        assert_eq!(p.take(&to(0), at(1), |_| false).map(|c| c.0), Some(12));
        assert_eq!(p.take(&to(0), at(1), |_| false).map(|c| c.0), Some(10));
        assert_eq!(p.take(&to(0), at(1), |_| false), None);
        assert_eq!(p.len(), 1);
    }

    #[test]
    fn a_full_pool_drops_the_least_recently_used() {
        let mut p = pool(2);
        for conn in 1..=3 {
            p.put(to(conn), conn, life(1), at(1), |_| false);
        }
        assert_eq!(p.take(&to(1), at(1), |_| false), None);
        assert!(p.take(&to(2), at(1), |_| false).is_some());
    }

    #[test]
    fn what_its_peer_closed_makes_room_before_what_can_be_used() {
        let mut p = pool(2);
        p.put(to(1), 1, life(1), at(1), |_| false);
        p.put(to(2), 2, life(1), at(1), |_| false);
        p.put(to(3), 3, life(1), at(1), |conn| *conn == 2);
        assert_eq!(p.take(&to(1), at(1), |_| false).map(|c| c.0), Some(1));
        assert_eq!(p.take(&to(2), at(1), |_| false), None);
    }

    #[test]
    fn limits_of_requests_time_and_idleness_hold() {
        let mut p = pool(2);
        assert!(!p.put(to(0), 1, life(3), at(1), |_| false));
        assert!(!p.put(to(0), 1, life(1), at(101), |_| false));
        assert!(p.put(to(0), 1, life(2), at(1), |_| false));
        assert_eq!(p.take(&to(0), at(11), |_| false), None);
        assert!(!pool(0).put(to(0), 1, life(1), at(1), |_| false));
    }

    #[test]
    fn stale_connections_are_passed_over() {
        let mut p = pool(3);
        p.put(to(0), 1, life(1), at(1), |_| false);
        p.put(to(0), 2, life(1), at(1), |_| false);
        assert_eq!(p.take(&to(0), at(1), |c| *c == 2).map(|c| c.0), Some(1));
        p.put(to(0), 3, life(1), at(1), |_| false);
        p.sweep(at(1), |c| *c == 3);
        assert_eq!(p.len(), 0);
    }

    #[test]
    fn a_local_connection_serves_its_own_location() {
        let mut p = pool(4);
        let here = Key { location: Some(LocId(1)), ..to(0) };
        p.put(here.clone(), 1, life(1), at(1), |_| false);
        assert_eq!(p.take(&Key { location: Some(LocId(2)), ..here.clone() }, at(1), |_| false), None);
        assert!(p.take(&here, at(1), |_| false).is_some());
    }
}
