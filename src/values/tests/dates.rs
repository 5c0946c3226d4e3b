use proptest::prelude::*;

use crate::values::{Civil, cookie_date, http_date, push_cookie_date, push_http_date};

fn http(time: i64) -> String {
    let mut out = Vec::new();
    push_http_date(&mut out, time);
    String::from_utf8(out).unwrap()
}

fn cookie(time: i64) -> String {
    let mut out = Vec::new();
    push_cookie_date(&mut out, time);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_three_forms_name_one_moment() {
    for text in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994",
    ] {
        assert_eq!(http_date(text.as_bytes()), Some(784_111_777), "{text}");
    }
    assert_eq!(http(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

#[test]
fn moments_that_do_not_exist() {
    for text in [
        "",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Xov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994",
        "06 Nov",
    ] {
        assert_eq!(http_date(text.as_bytes()), None, "{text}");
    }
    assert_eq!(http_date(b"Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
}

#[test]
fn cookie_dates_have_two_digits_until_2037() {
    assert_eq!(cookie(1_795_252_304), "Sat, 21-Nov-26 09:11:44 GMT");
    assert_eq!(cookie_date(b"Sat, 21-Nov-26 09:11:44 GMT"), Some(1_795_252_304));
    assert_eq!(cookie(2_145_916_555), "Thu, 31-Dec-37 23:55:55 GMT");
    assert_eq!(cookie(4_102_444_800), "Fri, 01-Jan-2100 00:00:00 GMT");
    assert_eq!(cookie_date(b"Thu, 31-Dec-2037 23:55:55 GMT"), Some(2_145_916_555));
    assert_eq!(cookie_date(b"Thu, 01-Jan-70 00:00:01 GMT"), Some(1));
    assert_eq!(cookie_date(b"Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
}

#[test]
fn the_calendar_has_ends() {
    assert_eq!(http(-5), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(http(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_eq!(Civil::from_unix(951_782_400).day, 29);
}

proptest! {
    #[test]
    fn what_is_written_reads_back(time in 0i64..253_402_300_800) {
        prop_assert_eq!(http_date(http(time).as_bytes()), Some(time));
        let short = time % 3_155_760_000;
        prop_assert_eq!(cookie_date(cookie(short).as_bytes()), Some(short));
    }

    #[test]
    fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..60), near in "[A-Za-z]{0,8},? ?[0-9: -]{0,30}") {
        let _ = (http_date(&text), cookie_date(&text), http_date(near.as_bytes()), cookie_date(near.as_bytes()));
    }
}
