//! Round robin, failures and their windows, backups, limits.

use super::*;
use crate::plan::Template;

#[test]
fn weights_are_spread_smoothly() {
    assert_eq!(Bed::new(&upstream(&[5, 1, 1])).row(14), "aabacaaaabacaa");
    assert_eq!(Bed::new(&upstream(&[1, 1, 1])).row(6), "abcabc");
    assert_eq!(Bed::new(&upstream(&[4, 2, 1])).row(7), "abacaba");
}

#[test]
fn each_thread_goes_its_own_round() {
    let up = upstream(&[1, 1]);
    let one = Bed::new(&up);
    let other = Local::new(&one.shared);
    assert_eq!(one.row(1), "a");
    let mut s = Selection::start(&one.shared, &other, &Request::default());
    assert_eq!(s.next(NOW), Ok(PeerId(0)));
}

#[test]
fn a_failed_peer_rests_for_its_timeout_and_comes_back_with_less_weight() {
    let mut up = upstream(&[2, 2]);
    up.peers[0].max_fails = 2;
    let bed = Bed::new(&up);
    assert_eq!(bed.fail(0, NOW), (0, false));
    assert_eq!(bed.fail(0, NOW), (0, true));
    assert_eq!(bed.row(4), "bbbb");
    assert_eq!(bed.ask(Some(0), NOW + 10), Ok(1), "the last second of the timeout");
    // Its effective weight is 0 now and grows by one a choice.
    let later: Vec<usize> = (0..6).map(|_| bed.ask(None, NOW + 11).unwrap()).collect();
    assert!(later.contains(&0) && later[0] == 1, "{later:?}");
    assert_eq!(bed.shared.peer(PeerId(0), NOW + 11).unwrap().fails, 0, "it passed");
}

#[test]
fn one_peer_at_a_time_is_let_out_after_a_failure() {
    let bed = Bed::new(&upstream(&[1, 1]));
    bed.fail(0, NOW);
    let mut probe = bed.start(&Request { pin: Some(PeerId(0)), ..Request::default() });
    assert_eq!(probe.next(NOW + 11), Ok(PeerId(0)));
    assert_eq!(bed.ask(Some(0), NOW + 11), Ok(1), "the probe is still under way");
    probe.finish(Outcome::Done, NOW + 12);
    assert_eq!(bed.ask(Some(0), NOW + 12), Ok(0));
}

#[test]
fn the_only_peer_is_never_marked_failed_and_tried_once() {
    let bed = Bed::new(&upstream(&[1]));
    for _ in 0..5 {
        let mut s = bed.start(&Request::default());
        assert_eq!(s.tries(), 1);
        assert_eq!(s.next(NOW), Ok(PeerId(0)));
        assert!(!s.finish(Outcome::Failed, NOW));
        assert_eq!(s.tries(), 0);
    }
    assert_eq!(bed.shared.peer(PeerId(0), NOW).unwrap().conns, 0);
}

#[test]
fn the_only_peer_down_is_nobody() {
    let mut up = upstream(&[1]);
    up.peers[0].down = true;
    assert_eq!(Bed::new(&up).ask(None, NOW), Err(NoPeer::NoLive));
}

#[test]
fn a_backup_serves_when_no_primary_can_and_makes_a_single_primary_count() {
    let bed = Bed::new(&backups(upstream(&[1, 1]), 1));
    assert_eq!(bed.row(3), "aaa");
    let mut s = bed.start(&Request::default());
    assert_eq!(s.tries(), 2);
    assert_eq!(s.next(NOW), Ok(PeerId(0)));
    assert!(s.finish(Outcome::Failed, NOW));
    assert_eq!(s.next(NOW), Ok(PeerId(1)));
    s.finish(Outcome::Failed, NOW);
    assert_eq!(s.tries(), 0);
    assert_eq!(bed.ask(None, NOW), Err(NoPeer::NoLive));
    assert_eq!(bed.ask(None, NOW + 11), Ok(0));
}

#[test]
fn tries_leave_out_peers_that_are_down_and_obey_the_limit() {
    let mut up = upstream(&[1, 1, 1, 1]);
    up.peers[1].down = true;
    let bed = Bed::new(&up);
    assert_eq!(bed.start(&Request::default()).tries(), 3);
    assert_eq!(bed.start(&Request { max_tries: 2, ..Request::default() }).tries(), 2);
    assert_eq!(bed.start(&Request { max_tries: 9, ..Request::default() }).tries(), 3);
}

#[test]
fn no_peer_is_tried_twice_by_one_request() {
    let mut up = upstream(&[3, 1, 1]);
    up.peers.iter_mut().for_each(|p| p.max_fails = 0);
    let bed = Bed::new(&up);
    let mut s = bed.start(&Request::default());
    let mut seen = Vec::new();
    while let Ok(p) = s.next(NOW) {
        seen.push(p.ix());
        s.finish(Outcome::Failed, NOW);
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn max_conns_is_never_passed_and_a_dropped_request_gives_its_connection_back() {
    let mut up = upstream(&[1, 1]);
    up.peers.iter_mut().for_each(|p| p.max_conns = 1);
    let bed = Bed::new(&up);
    let mut first = bed.start(&Request::default());
    let mut second = bed.start(&Request::default());
    assert_eq!((first.next(NOW), second.next(NOW)), (Ok(PeerId(0)), Ok(PeerId(1))));
    assert_eq!(bed.ask(None, NOW), Err(NoPeer::NoLive));
    drop(second);
    assert_eq!(bed.ask(None, NOW), Ok(1));
    first.finish(Outcome::Done, NOW);
    assert_eq!(bed.ask(Some(0), NOW), Ok(0));
}

#[test]
fn least_conn_takes_the_idlest_for_its_weight_and_goes_round_among_equals() {
    let mut up = upstream(&[2, 1]);
    up.method = Method::LeastConn;
    let bed = Bed::new(&up);
    let mut held: Vec<Selection<'_>> = (0..3).map(|_| bed.start(&Request::default())).collect();
    let row: Vec<usize> = held.iter_mut().map(|s| s.next(NOW).unwrap().ix()).collect();
    assert_eq!(row, [0, 1, 0], "2 to 1, as their weights");
    drop(held);
    let mut up = upstream(&[1, 1, 1]);
    up.method = Method::LeastConn;
    assert_eq!(Bed::new(&up).row(6), "abcabc");
}

#[test]
fn random_reaches_everyone_by_weight_and_two_prefers_the_idler() {
    let mut up = upstream(&[3, 1]);
    up.method = Method::Random { two: false };
    let bed = Bed::new(&up);
    let mut counts = [0u32; 2];
    for seed in 0..4000 {
        let mut s = bed.start(&Request { seed, ..Request::default() });
        counts[s.next(NOW).unwrap().ix()] += 1;
        s.finish(Outcome::Done, NOW);
    }
    assert!((2800..3200).contains(&counts[0]), "{counts:?}");
    let mut up = upstream(&[1, 1]);
    up.method = Method::Random { two: true };
    let bed = Bed::new(&up);
    let mut busy = bed.start(&Request::default());
    let busy_peer = busy.next(NOW).unwrap();
    for seed in 1..50 {
        let mut s = bed.start(&Request { seed, ..Request::default() });
        assert_ne!(s.next(NOW).unwrap(), busy_peer);
        s.finish(Outcome::Done, NOW);
    }
}

#[test]
fn hundreds_of_peers_are_each_tried_once() {
    let bed = Bed::new(&upstream(&[1; 300]));
    let mut s = bed.start(&Request::default());
    let mut n = 0;
    while s.next(NOW).is_ok() {
        s.finish(Outcome::Failed, NOW);
        n += 1;
    }
    assert_eq!((n, s.tries()), (300, 0));
}

#[test]
fn backups_whose_turn_comes_go_round_whatever_the_balancer() {
    // What nginx 1.31.5 answers with a primary that is down and three backups before the balancer's line.
    let methods = [
        Method::IpHash,
        Method::Hash(Template::default()),
        Method::HashConsistent(Template::default()),
        Method::Random { two: false },
        Method::LeastConn,
    ];
    for method in methods {
        let mut up = upstream(&[1, 1, 1, 1]);
        (up.primary, up.peers[0].down) = (1, true);
        up.peers[1..].iter_mut().for_each(|p| p.backup = true);
        up.method = method;
        let bed = Bed::new(&up);
        let ask = |_| {
            let client = Some(std::net::IpAddr::from([10, 1, 2, 3]));
            let mut s = bed.start(&Request { client, key: b"x1", seed: 7, ..Request::default() });
            let peer = s.next(NOW).unwrap();
            s.finish(Outcome::Done, NOW);
            peer.ix()
        };
        assert_eq!((0..6).map(ask).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3], "{:?}", up.method);
    }
}
