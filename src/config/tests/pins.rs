//! Ours on sessions, as written.

use super::*;
use crate::plan::{SameSite, Secure};

/// The block of these lines, in which nothing is wrong.
fn good(lines: &str) -> Pins {
    let (up, said) = block(&format!("server 127.0.0.1; {lines}"));
    assert!(said.is_empty(), "{lines}: {said:?}");
    up.pins
}

#[test]
fn every_parameter_is_read_on_each_dialect() {
    let p = good(
        "session_sticky always nocache postonly preserve send=due signed secure=auto httponly samesite=auto;",
    )
    .params;
    assert!(p.always && p.nocache && p.postonly && p.preserve && p.due && p.httponly);
    assert_eq!((p.signed, p.secure, p.samesite), (Some(true), Secure::Auto, Some(SameSite::Auto)));
    let p = good("sticky cookie a nocache postonly preserve send=due signed=off secure=auto samesite=auto maxidle=1h maxlife=1d httponly;").params;
    assert!(p.nocache && p.postonly && p.preserve && p.due && !p.httponly, "httponly is nginx's own");
    assert_eq!((p.signed, p.maxidle, p.maxlife), (Some(false), Some(3600), Some(86_400)));
    let p = good("sticky name=x hash=sha1 maxidle=60 secure=auto samesite=strict signed;").params;
    assert_eq!((p.maxidle, p.secure, p.samesite), (Some(60), Secure::Auto, Some(SameSite::Strict)));
    assert_eq!(good("session_sticky;"), Default::default());
    assert_eq!(good("sticky cookie a secure samesite=none;"), Default::default());
    let (up, said) = block("server 127.0.0.1; sticky cookie a samesite=none;");
    assert_eq!(up.pins, Default::default(), "nginx takes it");
    assert!(said.len() == 1 && said[0].contains("without \"secure\" keeps no session"), "{said:?}");
}

#[test]
fn samesite_none_needs_secure() {
    let wrong = "[emerg] \"samesite=none\" requires \"secure\" in f:2";
    for line in [
        "session_sticky samesite=none;",
        "session_sticky samesite=None secure=auto;",
        "sticky cookie a samesite=none secure=auto;",
        "sticky name=a samesite=none;",
    ] {
        assert_eq!(said(line), [wrong], "{line}");
    }
    for line in ["session_sticky samesite=none secure;", "sticky name=a secure samesite=none;"] {
        assert!(said(line).is_empty(), "{line}");
    }
}

#[test]
fn what_is_wrong_is_said_in_nginx_s_words() {
    for (line, expect) in [
        ("session_sticky send=never;", "invalid \"send\" parameter value"),
        ("session_sticky signed=maybe;", "invalid \"signed\" parameter value"),
        ("session_sticky secure=off;", "invalid \"secure\" parameter value"),
        ("session_sticky samesite=x;", "invalid \"samesite\" parameter value"),
        ("session_sticky signed signed=off;", "parameter \"signed\" is duplicate"),
        ("session_sticky frob;", "invalid argument"),
        ("sticky cookie a always;", "unknown parameter \"always\""),
        ("sticky cookie a secure secure=auto;", "\"sticky\" directive parameter \"secure\" is duplicate"),
        ("sticky cookie a maxidle=0;", "invalid \"maxidle\" parameter value"),
        ("sticky_accept apache;", "unknown form \"apache\""),
        ("sticky_accept f5 pool=;", "invalid parameter \"pool=\""),
        ("sticky_accept haproxy hash=md5;", "invalid parameter \"hash=md5\""),
        ("sticky_accept sticky-ng hmac=md5;", "please specify \"hmac_key=\" when using \"hmac\""),
        ("sticky_alias a;", "invalid parameter \"a\", it must be OLD=NEW"),
        ("sticky_alias =b;", "invalid parameter \"=b\", it must be OLD=NEW"),
        ("sticky_parallel soon;", "\"sticky_parallel\" directive invalid value"),
    ] {
        assert_eq!(said(line), [format!("[emerg] {expect} in f:2")], "{line}");
    }
}
