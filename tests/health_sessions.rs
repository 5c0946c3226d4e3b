//! Sessions whose peer is down by its health check, or drains itself.

use crate::health::{Backend, PROBE, conf, rows, turns, upstream, who};
use crate::support::client::{Response, get, get_with};
use crate::support::daemon::Daemon;
use crate::support::eventually;

fn with_cookie(daemon: &Daemon, cookie: &str) -> Response {
    get_with(daemon.port(8080), "/", &format!("Cookie: {cookie}\r\n"))
}

#[test]
fn a_session_leaves_a_peer_that_is_down_and_stays_where_it_went() {
    let (a, b) = (Backend::new("a"), Backend::new("b"));
    for sticky in ["session_sticky cookie=s;", "sticky cookie s;"] {
        let check = format!("{sticky} check interval=50 rise=1 fall=1 timeout=2000 type=http; {PROBE}");
        let daemon = Daemon::start(&conf(&[("u", upstream(&[&a.addr(), &b.addr()], &check))]));
        turns(&daemon, &a.addr(), true);
        turns(&daemon, &b.addr(), true);
        let cookie = eventually("a session of a", || {
            let answer = get(daemon.port(8080), "/");
            (answer.text() == "a").then(|| answer.cookie("s")).flatten()
        });
        assert_eq!(with_cookie(&daemon, &cookie).text(), "a");
        a.set(500);
        turns(&daemon, &a.addr(), false);
        let moved = with_cookie(&daemon, &cookie);
        assert_eq!(moved.text(), "b", "{sticky}");
        let new = moved.cookie("s").expect("the move is told");
        a.set(200);
        turns(&daemon, &a.addr(), true);
        assert_eq!(with_cookie(&daemon, &new).text(), "b", "{sticky}");
        assert_eq!(with_cookie(&daemon, &cookie).text(), "a", "{sticky}");
    }
}

#[test]
fn without_fallback_a_session_whose_peer_is_down_is_refused() {
    let (a, b) = (Backend::new("a"), Backend::new("b"));
    let check = format!(
        "session_sticky cookie=s fallback=off; check interval=50 rise=1 fall=1 timeout=2000 type=http; {PROBE}"
    );
    let daemon = Daemon::start(&conf(&[("u", upstream(&[&a.addr(), &b.addr()], &check))]));
    turns(&daemon, &a.addr(), true);
    turns(&daemon, &b.addr(), true);
    let cookie = eventually("a session of a", || {
        let answer = get(daemon.port(8080), "/");
        (answer.text() == "a").then(|| answer.cookie("s")).flatten()
    });
    a.set(500);
    turns(&daemon, &a.addr(), false);
    assert_eq!(with_cookie(&daemon, &cookie).status, 502);
    assert_eq!(get(daemon.port(8080), "/").text(), "b", "who has no session is balanced");
    a.set(200);
    turns(&daemon, &a.addr(), true);
    assert_eq!(with_cookie(&daemon, &cookie).text(), "a");
}

#[test]
fn a_backend_drains_itself_by_its_answer() {
    let (a, b) = (Backend::new("a"), Backend::new("b"));
    let check = format!(
        "session_sticky cookie=s; check interval=50 rise=1 fall=1 timeout=2000 type=http drain=404; {PROBE}"
    );
    let daemon = Daemon::start(&conf(&[("u", upstream(&[&a.addr(), &b.addr()], &check))]));
    turns(&daemon, &a.addr(), true);
    turns(&daemon, &b.addr(), true);
    let cookie = eventually("a session of a", || {
        let answer = get(daemon.port(8080), "/");
        (answer.text() == "a").then(|| answer.cookie("s")).flatten()
    });
    a.set(404);
    daemon.logged("error.log", &format!("check peer drains itself: {} ", a.addr()));
    assert_eq!(who(&daemon), ["b"]);
    let kept = with_cookie(&daemon, &cookie);
    assert_eq!((kept.text(), kept.header("Set-Cookie")), ("a".to_owned(), None));
    assert!(rows(&daemon)[0].up, "it lives");
    a.set(200);
    daemon.logged("error.log", &format!("check peer takes new sessions again: {} ", a.addr()));
    assert_eq!(who(&daemon), ["a", "b"]);
}
