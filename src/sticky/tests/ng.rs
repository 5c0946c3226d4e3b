//! nginx-sticky-module-ng's cookie on its way.

use super::*;
use crate::plan::{NgDigest, NgInput, NgValue, StickyNg};

fn ng(change: impl FnOnce(&mut StickyNg)) -> Upstream {
    let mut s = StickyNg {
        name: (*b"route").into(),
        domain: None,
        path: (*b"/").into(),
        expires: None,
        secure: false,
        httponly: false,
        fallback: true,
        hide: false,
        value: NgValue::Hash(NgDigest::Md5),
        input: NgInput::Address,
    };
    change(&mut s);
    upstream(&["127.0.0.1:1984", "127.0.0.2:80"], Sticky::Ng(s))
}

/// The module's own test suite expects it.
const MD5: &str = "908c1a9fb15095f454c085282da20d92";

#[test]
fn a_client_that_was_balanced_is_told_whatever_the_status_and_one_that_came_home_is_not() {
    let up = ng(|_| {});
    for status in [200, 304, 404, 502] {
        assert_eq!(
            fields(&up, &ask(&up, &[]), 1, status, &["a=b"]),
            [&*format!("route={MD5}; Path=/"), "a=b"],
            "{status}"
        );
    }
    let home = ask(&up, &[&format!("ROUTE={MD5}")]);
    assert_eq!(home.pin(), Some(PeerId(0)), "names have no case");
    assert!(fields(&up, &home, 1, 200, &[]).is_empty());
    assert_eq!(fields(&up, &home, 2, 200, &[]).len(), 1, "the session moved");
    let unknown = ask(&up, &["route=nobody"]);
    assert_eq!(unknown.status(Some(PeerId(0)), Own::Open), Status::Unknown);
    assert_eq!(fields(&up, &unknown, 1, 200, &[]).len(), 1);
}

#[test]
fn attributes_stand_in_the_module_s_order() {
    let up = ng(|s| {
        s.name = (*b"srv").into();
        s.domain = Some((*b".example.com").into());
        s.path = (*b"/app").into();
        s.expires = Some(3600);
        (s.secure, s.httponly) = (true, true);
        s.value = NgValue::Index;
    });
    assert_eq!(
        fields(&up, &ask(&up, &[]), 2, 200, &[]),
        ["srv=1; Domain=.example.com; Expires=Sat, 21-Nov-2026 10:09:44 GMT; Path=/app; Secure; HttpOnly"]
    );
}

#[test]
fn a_hidden_cookie_is_read_and_not_set() {
    let up = ng(|s| s.hide = true);
    assert!(fields(&up, &ask(&up, &[]), 1, 200, &[]).is_empty());
    assert_eq!(pin(&up, &format!("route={MD5}")), Some(1));
}

#[test]
fn without_fallback_a_value_that_nobody_has_is_balanced_all_the_same() {
    let up = ng(|s| s.fallback = false);
    assert!(!ask(&up, &["route=nobody"]).refused());
    assert_eq!(ask(&up, &[&format!("route={MD5}")]).status(None, Own::Open), Status::MovedDown);
}
