//! Which peer a request's cookies mean.

use super::*;

#[test]
fn names_are_compared_whole() {
    let up = tengine(|_| {});
    assert_eq!(pin(&up, &format!("xroute={SID1}; route={SID2}")), Some(2));
    assert_eq!(pin(&up, &format!("a=route={SID1}; route={SID2}")), Some(2));
    assert_eq!(pin(&up, &format!("route2=x; route={SID2}")), Some(2));
    assert_eq!(pin(&up, &format!("xroute={SID1}")), None);
    assert_eq!(pin(&up, &format!("ROUTE={SID1}")), None, "Tengine's names have case");
}

#[test]
fn blanks_and_quotes_around_the_value_are_not_part_of_it() {
    let up = tengine(|_| {});
    for line in
        ["route = S", "route=S \t", " route=S", "a=1;route=S", "route=\"S\"", "a; route=S;", ";;route=S"]
    {
        assert_eq!(pin(&up, &line.replace('S', SID2)), Some(2), "{line}");
    }
}

#[test]
fn every_line_and_every_duplicate_is_asked_until_one_means_a_peer() {
    let up = tengine(|s| s.fallback = false);
    let known = format!("route={SID2}");
    assert_eq!(ask(&up, &["a=1", &known]).pin(), Some(PeerId(1)));
    assert_eq!(ask(&up, &["route=dead; route=", &known]).pin(), Some(PeerId(1)));
    assert!(ask(&up, &["route=dead", "route=beef"]).refused());
}

#[test]
fn an_empty_value_is_no_session_wherever_it_stands() {
    let up = tengine(|s| s.fallback = false);
    for line in ["route=; x=1", "route=", "route", "route=\"\""] {
        let t = ask(&up, &[line]);
        assert!(
            !t.refused() && t.pin().is_none() && t.status(Some(PeerId(0)), Own::Open) == Status::New,
            "{line}"
        );
    }
}

#[test]
fn an_unknown_value_is_refused_without_fallback_and_its_cookie_taken_back() {
    let up = tengine(|s| (s.fallback, s.domain) = (false, Some((*b".ex.com").into())));
    let t = ask(&up, &["route=deadbeef"]);
    assert!(t.refused());
    assert_eq!(t.status(None, Own::Open), Status::Unknown);
    let mut out = Vec::new();
    assert!(expire(&up, Asked::default(), &mut out));
    let text = "route=; Domain=.ex.com; Path=/; Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:00 GMT";
    assert_eq!(String::from_utf8(out).unwrap(), text);
    assert!(!ask(&tengine(|_| {}), &["route=deadbeef"]).refused());
}

#[test]
fn the_idle_and_the_life_test_are_tengine_s_to_the_second() {
    let up = tengine(|s| (s.maxidle, s.maxlife) = (Some(60), Some(600)));
    let at = |last: i64, first: i64| ask(&up, &[&format!("route={SID1}|{}|{}", NOW - last, NOW - first)]);
    assert_eq!(at(60, 600).pin(), Some(PeerId(0)), "equal passes");
    assert_eq!(at(61, 61).status(None, Own::Open), Status::Expired);
    assert_eq!(at(1, 601).status(None, Own::Open), Status::Expired);
    assert_eq!(at(-86_400, -86_400).pin(), Some(PeerId(0)));
    assert_eq!(at(-86_401, 0).status(None, Own::Open), Status::Expired);
    let up = tengine(|s| (s.maxidle, s.fallback) = (Some(60), false));
    let line = format!("route={SID1}|{}|{}", NOW - 61, NOW - 61);
    assert!(!ask(&up, &[&line]).refused(), "an expired one is balanced even without fallback");
    assert!(ask(&up, &[&format!("route=dead|{NOW}|{NOW}")]).refused());
    assert!(!ask(&up, &["route=dead|x|1"]).refused(), "no dates: not ours");
}

#[test]
fn cookies_outlive_maxidle_being_set_and_taken_away() {
    let dated = format!("route={SID1}|{NOW}|{NOW}");
    assert_eq!(pin(&tengine(|_| {}), &dated), Some(1));
    assert_eq!(pin(&tengine(|s| s.maxidle = Some(60)), &format!("route={SID1}")), Some(1));
}

#[test]
fn plain_values_are_ids_or_names_and_may_have_bars_in_them() {
    let plain = |timed: bool| {
        let s = session(|s| (s.md5, s.maxidle) = (false, timed.then_some(60)));
        upstream(&["127.0.0.1:18101 id=a|1|2", "127.0.0.1 route=r"], Sticky::Tengine(s))
    };
    assert_eq!(pin(&plain(false), "route=a|1|2"), Some(1));
    assert_eq!(pin(&plain(false), "route=127.0.0.1:80"), Some(2));
    assert_eq!(pin(&plain(false), "route=r"), None);
    assert_eq!(pin(&plain(true), &format!("route=a|1|2|{NOW}|{NOW}")), Some(1));
}

#[test]
fn a_prefixed_cookie_means_its_peer_and_a_bare_one_nobody() {
    let up = tengine(|s| (s.mode, s.fallback) = (StickyMode::Prefix, false));
    assert_eq!(pin(&up, &format!("route={SID2}~abc~def")), Some(2));
    assert_eq!(ask(&up, &["route=abc"]).status(None, Own::Open), Status::New);
    assert!(ask(&up, &["route=dead~abc"]).refused());
}

#[test]
fn nginx_s_names_have_no_case() {
    let up = upstream(&["127.0.0.1:18101", "127.0.0.1:18102 route=b"], Sticky::Cookie(cookie_insert()));
    assert_eq!(pin(&up, &format!("SRV_ID={SID1}")), Some(1));
    assert_eq!(pin(&up, "srv_id=b"), Some(2));
    assert_eq!(pin(&up, &format!("srv_id={SID2}")), None, "`route=` takes its place");
    assert!(!ask(&up, &["srv_id=x"]).refused());
}

#[test]
fn of_nginx_s_cookies_the_first_of_the_name_counts_as_it_stands() {
    let up = upstream(&["127.0.0.1:18101", "127.0.0.1:18102"], Sticky::Cookie(cookie_insert()));
    let ask = |line: &str| pin(&up, &line.replace('A', SID1).replace('B', SID2));
    assert_eq!(ask("srv_id=A; srv_id=B"), Some(1));
    assert_eq!(ask("srv_id=x; srv_id=B"), None);
    assert_eq!(ask("srv_id=; srv_id=B"), None);
    assert_eq!(ask("xsrv_id=A; srv_id  =  B"), Some(2));
    assert_eq!(ask("srv_id=B ; a"), None, "blanks behind it are of the value");
    assert_eq!(ask("srv_id=\"B\""), None);
    let mut asked = up.clone();
    asked.pins = Some(Box::default());
    let line = format!("srv_id=x; srv_id={SID2} ; a");
    assert_eq!(pin(&asked, &line), Some(2), "with something of ours any that means a peer");
}

#[test]
fn a_session_of_a_peer_that_is_gone_goes_on_in_the_life_that_it_has() {
    let up = tengine(|s| (s.maxidle, s.maxlife) = (Some(60), Some(600)));
    let ticket = ask(&up, &[&format!("route=dead|{}|{}", NOW - 5, NOW - 500)]);
    assert_eq!((ticket.pin(), ticket.first_seen()), (None, Some(NOW - 500)));
    let mut value = Vec::new();
    assert!(Answer::new(&up, &ticket, PeerId(0), 200, true, NOW).issue(|_, _| {}, &mut value));
    let text = format!("route={SID1}|{NOW}|{}; Path=/", NOW - 500);
    assert_eq!(String::from_utf8(value).unwrap(), text);
}

#[test]
fn the_status_tells_what_became_of_the_session() {
    let up = tengine(|_| {});
    let line = format!("route={SID1}");
    let t = ask(&up, &[&line]);
    assert_eq!(t.status(Some(PeerId(0)), Own::Open).as_str(), "hit");
    assert_eq!(t.status(Some(PeerId(1)), Own::Open).as_str(), "moved_down");
    assert_eq!(t.status(None, Own::Open).as_str(), "moved_down");
    assert_eq!(ask(&up, &[]).status(Some(PeerId(0)), Own::Open).as_str(), "new");
    assert_eq!(ask(&up, &["route=x"]).status(Some(PeerId(0)), Own::Open).as_str(), "unknown");
    assert_eq!(Ticket::OFF.status(Some(PeerId(0)), Own::Open).as_str(), "");
}
