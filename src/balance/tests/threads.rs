//! Threads that share an upstream.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::*;
use crate::zone::Slots;

#[test]
fn threads_together_never_pass_max_conns_and_lose_no_count() {
    let mut up = upstream(&[1, 1]);
    up.peers.iter_mut().for_each(|p| (p.max_conns, p.max_fails) = (2, 0));
    let shared = Shared::new(&up, &Slots::private());
    let inside = [AtomicU32::new(0), AtomicU32::new(0)];
    let served = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let local = Local::new(&shared);
                for i in 0..5000 {
                    let mut s = Selection::start(&shared, &local, &Request::default());
                    let Ok(peer) = s.next(NOW) else { continue };
                    served.fetch_add(1, SeqCst);
                    assert!(inside[peer.ix()].fetch_add(1, SeqCst) < 2);
                    inside[peer.ix()].fetch_sub(1, SeqCst);
                    if i % 3 == 0 {
                        s.finish(Outcome::Failed, NOW);
                    }
                }
            });
        }
    });
    assert!(served.load(SeqCst) > 0);
    for id in [PeerId(0), PeerId(1)] {
        assert_eq!(shared.peer(id, NOW).unwrap().conns, 0);
    }
}
