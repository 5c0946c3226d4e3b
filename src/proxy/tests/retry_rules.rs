//! `proxy_next_upstream` as a table.

use std::time::Duration;

use crate::plan::NextUpstream as N;
use crate::proxy::{Fault, Situation};

fn situation(rules: N) -> Situation {
    Situation {
        rules,
        tries: 1,
        non_idempotent: false,
        sent: true,
        streaming: false,
        elapsed: Duration::ZERO,
        timeout: Duration::ZERO,
    }
}

#[test]
fn each_fault_needs_its_own_word() {
    let table = [
        (Fault::Error, N::ERROR),
        (Fault::Timeout, N::TIMEOUT),
        (Fault::InvalidHeader, N::INVALID_HEADER),
        (Fault::Status(500), N::HTTP_500),
        (Fault::Status(502), N::HTTP_502),
        (Fault::Status(503), N::HTTP_503),
        (Fault::Status(504), N::HTTP_504),
        (Fault::Status(403), N::HTTP_403),
        (Fault::Status(404), N::HTTP_404),
        (Fault::Status(429), N::HTTP_429),
    ];
    for (fault, word) in table {
        assert!(situation(word).may_retry(fault), "{fault:?}");
        assert!(!situation(N::all() - word).may_retry(fault), "{fault:?}");
    }
    assert!(!situation(N::all()).may_retry(Fault::Status(501)));
    assert!(!situation(N::all()).may_retry(Fault::NoLive));
}

#[test]
fn what_may_do_a_second_thing_is_sent_once() {
    let post = Situation { non_idempotent: true, ..situation(N::ERROR) };
    assert!(!post.may_retry(Fault::Error));
    assert!(Situation { sent: false, ..post }.may_retry(Fault::Error), "nothing was sent yet");
    assert!(Situation { rules: N::ERROR | N::NON_IDEMPOTENT, ..post }.may_retry(Fault::Error));
}

#[test]
fn tries_time_and_a_streamed_body_end_it() {
    let one = situation(N::ERROR);
    assert!(!Situation { tries: 0, ..one }.may_retry(Fault::Error));
    assert!(!Situation { streaming: true, ..one }.may_retry(Fault::Error));
    let timed = Situation { timeout: Duration::from_secs(1), ..one };
    assert!(timed.may_retry(Fault::Error));
    assert!(!Situation { elapsed: Duration::from_secs(1), ..timed }.may_retry(Fault::Error));
}

#[test]
fn the_client_gets_the_status_of_the_last_fault() {
    let statuses = [Fault::Error, Fault::Timeout, Fault::InvalidHeader, Fault::NoLive, Fault::Status(404)];
    assert_eq!(statuses.map(Fault::status), [502, 504, 502, 502, 404]);
    assert!(Fault::Status(500).blames_peer() && !Fault::Status(403).blames_peer());
}
