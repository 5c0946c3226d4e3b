//! An upstream made of a few words, and the situations.

mod pins;
mod rounds;
mod threads;
mod times;
mod vectors;
mod verdicts;

use std::time::Duration;

use super::{Local, NoPeer, Outcome, Request, Selection, Shared};
use crate::plan::{Method, Peer, PeerAddr, PeerId, Upstream, UpstreamKeepalive};
use crate::zone::Slots;

/// Nothing fails at the epoch: a clock that already runs.
const NOW: i64 = 1_795_252_600;

fn peer(ix: usize, weight: u32) -> Peer {
    let name = format!("127.0.0.1:{}", 18101 + ix);
    Peer {
        addr: PeerAddr::Inet(name.parse().unwrap()),
        server: name.clone().into(),
        name: name.into(),
        weight,
        max_fails: 1,
        fail_timeout: Duration::from_secs(10),
        slow_start: Duration::ZERO,
        max_conns: 0,
        down: false,
        backup: false,
        drain: false,
        id: None,
        plain: None,
        route: None,
    }
}

fn upstream(weights: &[u32]) -> Upstream {
    let peers: Vec<Peer> = weights.iter().enumerate().map(|(i, w)| peer(i, *w)).collect();
    Upstream {
        check: None,
        name: "u".into(),
        implicit: false,
        port: 0,
        primary: peers.len(),
        peers,
        method: Method::RoundRobin,
        sticky: None,
        zone: None,
        keepalive: UpstreamKeepalive {
            idle: 32,
            local: true,
            requests: 1000,
            time: Duration::from_secs(3600),
            timeout: Duration::from_secs(60),
        },
        sids: Vec::new(),
        backup_sids: Default::default(),
        pins: None,
        dynamic: None,
        sid_index: crate::plan::PeerIndex::default(),
    }
}

/// The last `n` peers become backups.
fn backups(mut upstream: Upstream, n: usize) -> Upstream {
    upstream.primary -= n;
    for peer in upstream.peers.iter_mut().rev().take(n) {
        peer.backup = true;
    }
    upstream
}

/// State for one thread.
struct Bed {
    shared: Shared,
    local: Local,
}

impl Bed {
    fn new(upstream: &Upstream) -> Self {
        let shared = Shared::new(upstream, &Slots::private());
        Self { local: Local::new(&shared), shared }
    }

    fn start(&self, request: &Request<'_>) -> Selection<'_> {
        Selection::start(&self.shared, &self.local, request)
    }

    /// One request that succeeds at once.
    fn ask(&self, pin: Option<usize>, now: i64) -> Result<usize, NoPeer> {
        let mut s = self.start(&Request { pin: pin.map(|p| PeerId(p as u32)), ..Request::default() });
        let peer = s.next(now)?;
        s.finish(Outcome::Done, now);
        Ok(peer.ix())
    }

    /// One request to a peer that fails it: the peer, and whether that disabled it.
    fn fail(&self, pin: usize, now: i64) -> (usize, bool) {
        let mut s = self.start(&Request { pin: Some(PeerId(pin as u32)), ..Request::default() });
        let peer = s.next(now).unwrap();
        (peer.ix(), s.finish(Outcome::Failed, now))
    }

    fn row(&self, n: usize) -> String {
        (0..n).map(|_| char::from(b'a' + u8::try_from(self.ask(None, NOW).unwrap()).unwrap())).collect()
    }
}
