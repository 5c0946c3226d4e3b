//! A request that belongs to a peer.

use super::*;
use crate::plan::{SessionSticky, Sticky, StickyCookie, StickyExpires, StickyMode};

fn tengine(mut upstream: Upstream, fallback: bool) -> Upstream {
    upstream.sticky = Some(Sticky::Tengine(SessionSticky {
        cookie: (*b"route").into(),
        domain: None,
        path: None,
        maxage: None,
        maxidle: None,
        maxlife: None,
        mode: StickyMode::Insert,
        indirect: false,
        fallback,
        md5: true,
    }));
    upstream
}

fn nginx(mut upstream: Upstream) -> Upstream {
    upstream.sticky = Some(Sticky::Cookie(StickyCookie {
        name: (*b"srv").into(),
        expires: StickyExpires::Session,
        domain: None,
        path: None,
        httponly: false,
        secure: false,
        samesite: None,
    }));
    upstream
}

#[test]
fn pinned_requests_leave_the_round_alone() {
    let bed = Bed::new(&tengine(upstream(&[1, 1]), true));
    assert_eq!(bed.ask(Some(1), NOW), Ok(1));
    assert_eq!(bed.ask(Some(1), NOW), Ok(1));
    assert_eq!(bed.row(4), "abab");
}

#[test]
fn a_down_or_dead_peer_is_not_asked_again_while_it_rests() {
    let mut up = tengine(upstream(&[1, 1, 1]), true);
    up.peers[2].down = true;
    let bed = Bed::new(&up);
    assert!(bed.ask(Some(2), NOW).unwrap() != 2);
    bed.fail(0, NOW);
    for _ in 0..20 {
        assert_eq!(bed.ask(Some(0), NOW + 5), Ok(1));
    }
    assert_eq!(bed.ask(Some(0), NOW + 11), Ok(0), "the session goes home");
}

#[test]
fn a_failed_attempt_moves_on_to_a_healthy_peer_even_when_failures_are_not_counted() {
    let mut up = tengine(upstream(&[1, 1]), true);
    up.peers.iter_mut().for_each(|p| p.max_fails = 0);
    let bed = Bed::new(&up);
    for _ in 0..4 {
        let mut s = bed.start(&Request { pin: Some(PeerId(0)), ..Request::default() });
        assert_eq!(s.next(NOW), Ok(PeerId(0)));
        s.finish(Outcome::Failed, NOW);
        assert_eq!(s.next(NOW), Ok(PeerId(1)));
        s.finish(Outcome::Done, NOW);
    }
}

#[test]
fn without_fallback_it_is_the_own_peer_once_or_nobody() {
    let mut up = tengine(upstream(&[1, 1]), false);
    up.peers[1].down = true;
    let bed = Bed::new(&up);
    assert_eq!(bed.ask(Some(1), NOW), Err(NoPeer::PinnedAway));
    let mut s = bed.start(&Request { pin: Some(PeerId(0)), ..Request::default() });
    assert_eq!(s.next(NOW), Ok(PeerId(0)));
    s.finish(Outcome::Failed, NOW);
    assert_eq!(s.tries(), 0);
    assert_eq!(bed.ask(Some(0), NOW), Err(NoPeer::PinnedAway));
    assert_eq!(bed.ask(Some(0), NOW + 11), Ok(0));
}

#[test]
fn without_fallback_a_first_visit_is_balanced() {
    let bed = Bed::new(&tengine(upstream(&[1, 1]), false));
    let mut s = bed.start(&Request::default());
    assert_eq!(s.next(NOW), Ok(PeerId(0)));
    s.finish(Outcome::Failed, NOW);
    assert_eq!(s.next(NOW), Ok(PeerId(1)));
}

#[test]
fn a_session_that_moved_to_a_backup_stays_there_with_tengine_and_goes_home_with_nginx() {
    let bed = Bed::new(&tengine(backups(upstream(&[1, 1, 1]), 1), true));
    assert_eq!(bed.ask(Some(2), NOW), Ok(2));
    let bed = Bed::new(&nginx(backups(upstream(&[1, 1, 1]), 1)));
    assert_eq!(bed.ask(Some(2), NOW), Ok(0));
}

#[test]
fn a_draining_peer_takes_its_own_sessions_only() {
    let mut up = nginx(upstream(&[1, 1]));
    up.peers[0].drain = true;
    let bed = Bed::new(&up);
    assert_eq!(bed.row(3), "bbb");
    assert_eq!(bed.ask(Some(0), NOW), Ok(0));
    assert_eq!(bed.start(&Request::default()).tries(), 1);
}

#[test]
fn with_nginx_a_pinned_request_is_paid_for_once() {
    let bed = Bed::new(&nginx(upstream(&[1, 1])));
    assert_eq!(bed.ask(Some(0), NOW), Ok(0));
    assert_eq!(bed.row(1), "b", "the pinned one counted");
    for _ in 0..5 {
        assert_eq!(bed.ask(Some(0), NOW), Ok(0));
    }
    assert_eq!(bed.row(3), "bab", "five in a row count as one");
}

#[test]
fn a_pin_goes_before_every_balancer() {
    for method in [Method::IpHash, Method::LeastConn, Method::Random { two: true }] {
        let mut up = tengine(upstream(&[1, 1, 1]), true);
        up.method = method;
        let bed = Bed::new(&up);
        for pin in 0..3 {
            assert_eq!(bed.ask(Some(pin), NOW), Ok(pin));
        }
    }
}
