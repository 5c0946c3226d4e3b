//! What operator and health check say, as balancers and sessions see it.

use super::*;
use crate::balance::Verdict;
use crate::plan::{Sticky, Template};
use crate::zone::{Health, Operator};

const MS: u64 = NOW as u64 * 1000;

fn methods() -> Vec<Method> {
    let key = || Template::text(*b"k");
    vec![
        Method::RoundRobin,
        Method::IpHash,
        Method::Hash(key()),
        Method::HashConsistent(key()),
        Method::LeastConn,
        Method::Random { two: false },
        Method::Random { two: true },
        Method::RandomLeastTime { last_byte: true },
        Method::LeastTime { last_byte: false, inflight: true },
        Method::ConsistentHash(key()),
    ]
}

fn order(bed: &Bed, ix: u32, operator: Operator) {
    bed.shared.slot(PeerId(ix)).unwrap().set_operator(operator, 0, MS);
}

fn health(bed: &Bed, ix: u32, health: Health) {
    bed.shared.slot(PeerId(ix)).unwrap().set_health(health, MS);
}

/// Which of the peers get requests of nobody's, and whether the pinned peer gets its own.
fn served(up: &Upstream, set: impl Fn(&Bed)) -> (Vec<usize>, bool) {
    let bed = Bed::new(up);
    set(&bed);
    let client = |i: u8| Some(std::net::IpAddr::from([10, 0, i, 1]));
    let mut all: Vec<usize> = (0..60)
        .map(|i| {
            let key = [i];
            let request = Request { client: client(i), key: &key, seed: u64::from(i), ..Request::default() };
            let mut s = bed.start(&request);
            let peer = s.next(NOW).unwrap().ix();
            s.finish(Outcome::Done, NOW);
            peer
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    let own = bed.ask(Some(1), NOW) == Ok(1);
    (all, own)
}

#[test]
fn every_balancer_and_every_session_obeys() {
    // Sessions as nginx weighs them, and as Tengine does.
    for method in methods() {
        for sticky in [None, Some(Sticky::Route(Vec::new()))] {
            let mut up = upstream(&[1, 1, 1]);
            (up.method, up.sticky) = (method.clone(), sticky);
            let case = |set: &dyn Fn(&Bed)| served(&up, set);
            let at = format!("{:?}", up.method);
            assert_eq!(case(&|_| ()), (vec![0, 1, 2], true), "{at}");
            assert_eq!(
                case(&|b| order(b, 1, Operator::Draining { until: None })),
                (vec![0, 2], true),
                "{at}"
            );
            assert_eq!(case(&|b| health(b, 1, Health::Draining)), (vec![0, 2], true), "{at}");
            assert_eq!(case(&|b| order(b, 1, Operator::Down)), (vec![0, 2], false), "{at}");
            assert_eq!(case(&|b| health(b, 1, Health::Down)), (vec![0, 2], false), "{at}");
            let over = Operator::Draining { until: Some(MS) };
            assert_eq!(case(&|b| order(b, 1, over)), (vec![0, 2], false), "{at}");
            let back = |b: &Bed| {
                order(b, 1, Operator::Down);
                order(b, 1, Operator::Active);
                health(b, 1, Health::Up);
            };
            assert_eq!(case(&back), (vec![0, 1, 2], true), "{at}");
        }
    }
}

#[test]
fn of_several_reasons_the_worst_is_told() {
    let mut up = upstream(&[1, 1]);
    up.peers[0].max_conns = 1;
    let bed = Bed::new(&up);
    let verdict = || bed.shared.peer(PeerId(0), NOW).unwrap().verdict;
    assert_eq!(verdict(), Verdict::Usable);
    order(&bed, 0, Operator::Draining { until: None });
    assert_eq!(verdict(), Verdict::Draining);
    let mut held = bed.start(&Request { pin: Some(PeerId(0)), ..Request::default() });
    held.next(NOW).unwrap();
    assert_eq!(held.pin_verdict(), Some(Verdict::Draining));
    assert_eq!(verdict(), Verdict::Full, "full for its own sessions, too");
    let mut moved = bed.start(&Request { pin: Some(PeerId(0)), ..Request::default() });
    assert_eq!(moved.next(NOW), Ok(PeerId(1)));
    assert_eq!(moved.pin_verdict(), Some(Verdict::Full));
    drop(held);
    bed.fail(0, NOW);
    assert_eq!(verdict(), Verdict::Failed);
    health(&bed, 0, Health::Down);
    assert_eq!(verdict(), Verdict::Unhealthy);
    order(&bed, 0, Operator::Down);
    assert_eq!(verdict(), Verdict::Down);
}

#[test]
fn peers_that_take_nobody_are_no_attempts() {
    let up = upstream(&[1, 1, 1]);
    let bed = Bed::new(&up);
    let tries = || bed.start(&Request::default()).tries();
    assert_eq!(tries(), 3);
    order(&bed, 0, Operator::Draining { until: None });
    health(&bed, 1, Health::Down);
    assert_eq!(tries(), 1);
    order(&bed, 0, Operator::Active);
    assert_eq!(tries(), 2);
}

#[test]
fn only_draining_peers_left_serve_their_own_and_nobody_else() {
    for up in [upstream(&[1]), upstream(&[1, 1])] {
        let bed = Bed::new(&up);
        for ix in 0..up.peers.len() as u32 {
            order(&bed, ix, Operator::Draining { until: None });
        }
        assert_eq!(bed.ask(None, NOW), Err(NoPeer::NoLive));
        assert_eq!(bed.ask(Some(0), NOW), Ok(0));
    }
    let bed = Bed::new(&backups(upstream(&[1, 1]), 1));
    order(&bed, 0, Operator::Draining { until: None });
    assert_eq!(bed.ask(None, NOW), Ok(1), "backups are due");
}
