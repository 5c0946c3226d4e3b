//! `least_time` and `slow_start`, on a clock that stands still until it is set.

use super::*;
use crate::balance::Times;
use crate::zone::Health;

const MS: i64 = NOW * 1000;

fn timed(weights: &[u32], last_byte: bool, inflight: bool) -> Upstream {
    let mut up = upstream(weights);
    up.method = Method::LeastTime { last_byte, inflight };
    up
}

/// One request at `ms`; the peer answers its head and its last byte so many milliseconds later.
fn serve(bed: &Bed, ms: i64, takes: impl Fn(usize) -> (u64, u64)) -> usize {
    let mut s = bed.start(&Request::default());
    let ix = s.next_at(ms).unwrap().ix();
    let (header, response) = takes(ix);
    s.head(header);
    s.finish_at(Outcome::Done, ms + response.cast_signed(), Some(Times { header, response }));
    ix
}

/// How many of `n` requests each of three peers serves, one after the other, ten a second.
fn share(bed: &Bed, from: i64, n: i64, takes: impl Fn(usize) -> (u64, u64)) -> [usize; 3] {
    let mut counts = [0; 3];
    for i in 0..n {
        counts[serve(bed, from + i * 100, &takes)] += 1;
    }
    counts
}

#[test]
fn the_fastest_gets_the_requests_and_peers_of_one_step_go_round() {
    for (last_byte, expect) in [(false, [0, 0, 90]), (true, [90, 0, 0])] {
        let bed = Bed::new(&timed(&[1, 1, 1], last_byte, false));
        // Peer 2 is the first with its head and the last with its end.
        let takes = |ix: usize| [(100, 200), (300, 310), (50, 900)][ix];
        share(&bed, MS, 3, takes);
        assert_eq!(share(&bed, MS + 300, 90, takes), expect, "last_byte={last_byte}");
    }
    let bed = Bed::new(&timed(&[1, 1, 1], false, false));
    let takes = |ix: usize| [(5, 5), (18, 18), (21, 21)][ix];
    share(&bed, MS, 3, takes);
    assert_eq!(share(&bed, MS + 300, 60, takes), [30, 30, 0]);
}

#[test]
fn a_weight_is_worth_its_factor_of_time() {
    let bed = Bed::new(&timed(&[1, 4, 1], false, false));
    let takes = |ix: usize| [(110, 110), (350, 350), (110, 110)][ix];
    share(&bed, MS, 9, takes);
    assert_eq!(share(&bed, MS + 900, 50, takes), [0, 50, 0], "360 for weight 4 is 90 for weight 1");
}

#[test]
fn a_slow_peer_gets_a_chance_now_and_then() {
    let bed = Bed::new(&timed(&[1, 1, 1], false, false));
    let takes = |ix: usize| [(10, 10), (10, 10), (100, 100)][ix];
    share(&bed, MS, 3, takes);
    assert_eq!(share(&bed, MS + 300, 50, takes)[2], 0);
    // After four times fail_timeout 100 ms count as 6, which is one step with the others.
    assert!(share(&bed, MS + 45_000, 6, takes)[2] > 0);
}

#[test]
fn failures_are_not_taken_for_fast_answers() {
    let bed = Bed::new(&timed(&[1, 1, 1], false, false));
    let takes = |_: usize| (200, 200);
    share(&bed, MS, 3, takes);
    for outcome in [Outcome::Next, Outcome::Failed] {
        let mut s = bed.start(&Request::default());
        s.next_at(MS + 400).unwrap();
        s.finish_at(outcome, MS + 400, Some(Times { header: 1, response: 1 }));
    }
    let mut s = bed.start(&Request::default());
    s.next_at(MS + 500).unwrap();
    s.finish_at(Outcome::Done, MS + 500, None);
    assert!(share(&bed, MS + 600, 30, takes).iter().all(|n| *n <= 15), "nobody looks faster than they are");
}

#[test]
fn connections_count_as_much_as_time() {
    let bed = Bed::new(&timed(&[1, 1], true, false));
    let takes = |ix: usize| [(90, 90), (190, 190)][ix];
    serve(&bed, MS, takes);
    serve(&bed, MS, takes);
    // 100 for each of peer 0's against 200 for one of peer 1's.
    let mut held: Vec<_> = (0..5).map(|_| bed.start(&Request::default())).collect();
    let row: Vec<_> = held.iter_mut().map(|s| s.next_at(MS + 300).unwrap().ix()).collect();
    assert_eq!(row, [0, 1, 0, 0, 0], "equals go round");
}

#[test]
fn requests_that_wait_make_their_peer_slow_before_it_answers() {
    for inflight in [false, true] {
        let bed = Bed::new(&timed(&[1, 1], false, inflight));
        let takes = |_: usize| (10, 10);
        serve(&bed, MS, takes);
        serve(&bed, MS, takes);
        let mut stuck = bed.start(&Request::default());
        let slow = stuck.next_at(MS + 100).unwrap().ix();
        // A second connection to the other peer makes the two equal but for the one that hangs.
        let mut counts = [0; 2];
        for i in 0..20 {
            let mut other = bed.start(&Request::default());
            let busy = other.next_at(MS + 20_000 + i).unwrap().ix();
            counts[serve(&bed, MS + 20_000 + i, takes)] += 1;
            assert!(busy < 2);
        }
        if inflight {
            assert_eq!(counts[slow], 0, "{counts:?}");
            stuck.head(20_000);
        } else {
            assert!(counts[slow] > 0, "{counts:?}");
        }
    }
}

#[test]
fn of_two_random_peers_the_faster_is_taken() {
    let mut up = upstream(&[1, 1, 1]);
    up.method = Method::RandomLeastTime { last_byte: true };
    let bed = Bed::new(&up);
    let mut counts = [0; 3];
    for seed in 0..3000 {
        let mut s = bed.start(&Request { seed, ..Request::default() });
        let ix = s.next_at(MS).unwrap().ix();
        let times = Times { header: 1, response: [10, 100, 1000][ix] };
        s.finish_at(Outcome::Done, MS, Some(times));
        if seed >= 100 {
            counts[ix] += 1;
        }
    }
    let [fast, middle, slow] = counts;
    // Pairs: the fastest is in two of three of them, the slowest wins none but when drawn with nobody else.
    assert!((1750..2120).contains(&fast) && (800..1150).contains(&middle) && slow < 30, "{counts:?}");
}

/// Peers of one weight, of which the last starts slowly.
fn slow(method: Method) -> Upstream {
    let mut up = upstream(&[1, 1, 1]);
    up.method = method;
    up.peers[2].slow_start = Duration::from_secs(100);
    up
}

/// Lets the third peer fail, rest and come back; the time it does.
fn fail_and_come_back(bed: &Bed) -> i64 {
    bed.fail(2, NOW);
    let back = MS + 11_000;
    assert_eq!(bed.ask(Some(2), NOW + 11), Ok(2));
    back
}

/// The share of the third peer, in percent, in each tenth of `slow_start` and after it.
fn growth(bed: &Bed, back: i64) -> Vec<usize> {
    let tenth = |i: i64| {
        let counts = (0..1000).fold([0usize; 3], |mut counts, n| {
            let mut s = bed.start(&Request::default());
            let ix = s.next_at(back + i * 10_000 + n * 10).unwrap().ix();
            s.finish_at(Outcome::Done, back + i * 10_000 + n * 10, None);
            counts[ix] += 1;
            counts
        });
        assert!(counts[0].abs_diff(counts[1]) <= 2, "{counts:?}");
        counts[2] / 10
    };
    (0..12).map(tenth).collect()
}

/// Of three peers one with the part `p` of its weight has `p / (2 + p)` of the requests: the middle of each tenth.
const GROWTH: [usize; 12] = [2, 6, 11, 14, 18, 21, 24, 27, 29, 32, 33, 33];

fn close(shares: &[usize]) {
    assert!(shares.iter().zip(GROWTH).all(|(is, was)| is.abs_diff(was) <= 1), "{shares:?}");
}

#[test]
fn a_peer_that_failed_gets_its_weight_by_and_by() {
    let bed = Bed::new(&slow(Method::RoundRobin));
    let back = fail_and_come_back(&bed);
    close(&growth(&bed, back));
}

#[test]
fn so_does_one_whose_health_check_failed() {
    let bed = Bed::new(&slow(Method::RoundRobin));
    let slot = bed.shared.slot(PeerId(2)).unwrap();
    let ms = MS.unsigned_abs();
    slot.set_health(Health::Down, ms);
    assert!(growth(&bed, MS).iter().all(|share| *share == 0));
    slot.set_health(Health::Up, ms + 200_000);
    close(&growth(&bed, MS + 200_000));
}

#[test]
fn with_least_conn_a_weight_that_grows_limits_the_connections() {
    let bed = Bed::new(&slow(Method::LeastConn));
    let back = fail_and_come_back(&bed);
    let at = |ms: i64| {
        let mut held: Vec<_> = (0..60).map(|_| bed.start(&Request::default())).collect();
        held.iter_mut().map(|s| s.next_at(ms).unwrap().ix()).filter(|ix| *ix == 2).count()
    };
    assert_eq!((at(back), at(back + 50_000), at(back + 100_000)), (0, 12, 20));
}

#[test]
fn least_time_knows_the_weight_that_grows() {
    let bed = Bed::new(&slow(Method::LeastTime { last_byte: false, inflight: false }));
    let back = fail_and_come_back(&bed);
    let takes = |_: usize| (10, 10);
    assert_eq!(share(&bed, back, 100, takes)[2], 0);
    assert_eq!(share(&bed, back + 100_000, 99, takes), [33, 33, 33]);
}

#[test]
fn with_hashes_and_random_and_without_a_failure_it_has_no_effect() {
    for method in [Method::IpHash, Method::Random { two: false }] {
        assert!(Bed::new(&slow(method)).shared.slow.is_empty());
    }
    assert_eq!(Bed::new(&slow(Method::RoundRobin)).row(6), "abcabc");
    let mut up = upstream(&[5, 1, 1]);
    up.peers[1].slow_start = Duration::from_secs(1);
    assert_eq!(Bed::new(&up).row(7), "aabacaa", "a round of whole weights is nginx's");
}
