use proptest::prelude::*;

use crate::values::{cidr, flag, msec, number, offset, percent_decode, sec, size};

#[test]
fn flags_in_any_case() {
    assert_eq!(flag(b"on"), Some(true));
    assert_eq!(flag(b"OFF"), Some(false));
    assert_eq!(flag(b"oN"), Some(true));
    for bad in [&b""[..], b"yes", b"on ", b"offf"] {
        assert_eq!(flag(bad), None);
    }
}

#[test]
fn numbers_up_to_nginx_limit() {
    assert_eq!(number(b"0"), Some(0));
    assert_eq!(number(b"007"), Some(7));
    assert_eq!(number(b"9223372036854775807"), Some(i64::MAX as u64));
    for bad in [&b"9223372036854775808"[..], b"", b"-1", b"+1", b"1k", b"99999999999999999999999"] {
        assert_eq!(number(bad), None, "{}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn sizes_know_k_and_m_offsets_also_g() {
    assert_eq!(size(b"8192"), Some(8192));
    assert_eq!(size(b"8k"), Some(8192));
    assert_eq!(size(b"1M"), Some(1 << 20));
    assert_eq!(size(b"1g"), None);
    assert_eq!(offset(b"1G"), Some(1 << 30));
    assert_eq!(offset(b"2k"), Some(2048));
    assert_eq!(size(b"9007199254740991k"), Some(9_007_199_254_740_991 << 10));
    for bad in [&b"9007199254740992k"[..], b"k", b"", b"1kk", b"1.5k", b"-1k"] {
        assert_eq!(size(bad), None, "{}", String::from_utf8_lossy(bad));
        assert_eq!(offset(bad), None, "{}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn times_with_units_in_descending_order() {
    let cases: &[(&str, Option<u64>, Option<u64>)] = &[
        ("60", Some(60_000), Some(60)),
        ("60s", Some(60_000), Some(60)),
        ("1m", Some(60_000), Some(60)),
        ("1h 30m", Some(5_400_000), Some(5400)),
        ("1h30m", Some(5_400_000), Some(5400)),
        ("1m 30", Some(90_000), Some(90)),
        ("1d12h", Some(129_600_000), Some(129_600)),
        ("2w", Some(1_209_600_000), Some(1_209_600)),
        ("500ms", Some(500), None),
        ("1s500ms", Some(1500), None),
        ("1y", None, Some(31_536_000)),
        ("1M", None, Some(2_592_000)),
        ("1y6M", None, Some(47_088_000)),
        // What nginx lets pass though nobody means it.
        (" 5", Some(5000), Some(5)),
        ("10 20", Some(30_000), Some(30)),
        ("1hm", Some(3_600_000), Some(3600)),
        ("h1", Some(1000), Some(1)),
        ("5s ", Some(5000), Some(5)),
        ("30m 1h", None, None),
        ("1m1m", None, None),
        ("5 m", None, None),
        ("5ms5s", None, None),
        ("m", None, None),
        ("", None, None),
        (" ", None, None),
        ("1x", None, None),
        ("-1", None, None),
        ("9223372036854775807", None, Some(9_223_372_036_854_775_807)),
        ("9223372036854775", Some(9_223_372_036_854_775_000), Some(9_223_372_036_854_775)),
        ("9223372036854775808", None, None),
        ("9223372036854775807h", None, None),
    ];
    for &(text, ms, s) in cases {
        assert_eq!(msec(text.as_bytes()), ms, "msec {text:?}");
        assert_eq!(sec(text.as_bytes()), s, "sec {text:?}");
    }
}

#[test]
fn percent_decoding_is_as_lenient_as_nginx() {
    for (text, want) in [("a%20b", "a b"), ("%41%4a%4A", "AJJ"), ("%zz", "zz"), ("%%41", "%41"), ("a%4", "a")]
    {
        assert_eq!(percent_decode(text.as_bytes()), want.as_bytes(), "{text}");
    }
    assert_eq!(&*percent_decode(b"%4gx"), b"x");
    assert_eq!(&*percent_decode(b"a%"), b"a");
}

#[test]
fn networks_hold_their_addresses() {
    let ten = cidr(b"10.0.0.0/8").unwrap();
    assert!(ten.contains("10.255.1.2".parse().unwrap()) && !ten.low_bits);
    assert!(ten.contains("::ffff:10.1.1.1".parse().unwrap()));
    assert!(!ten.contains("11.0.0.1".parse().unwrap()));
    assert!(cidr(b"10.1.2.3/8").unwrap().low_bits);
    assert!(cidr(b"0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
    assert!(cidr(b"2001:db8::/32").unwrap().contains("2001:db8::1".parse().unwrap()));
    for bad in [&b"10.0.0.0/33"[..], b"::1/129", b"10.0.0", b"", b"/8", b"10.0.0.0/", b"10.0.0.0/x"] {
        assert_eq!(cidr(bad), None, "{}", String::from_utf8_lossy(bad));
    }
}

proptest! {
    #[test]
    fn any_number_reads_back(n in 0..=i64::MAX as u64) {
        prop_assert_eq!(number(n.to_string().as_bytes()), Some(n));
        prop_assert_eq!(offset(n.to_string().as_bytes()), Some(n));
        prop_assert_eq!(sec(n.to_string().as_bytes()), Some(n));
    }

    #[test]
    fn a_sum_of_units_is_the_sum(d in 0u64..1000, h in 0u64..1000, m in 0u64..1000, s in 0u64..1000, gap in " {0,3}") {
        let text = format!("{d}d{gap}{h}h{gap}{m}m{gap}{s}s{gap}");
        let want = d * 86400 + h * 3600 + m * 60 + s;
        prop_assert_eq!(sec(text.as_bytes()), Some(want));
        prop_assert_eq!(msec(text.as_bytes()), Some(want * 1000));
    }

    #[test]
    fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = (flag(&text), size(&text), offset(&text), msec(&text), sec(&text), cidr(&text));
        prop_assert!(percent_decode(&text).len() <= text.len());
    }

    #[test]
    fn nothing_panics_near_the_grammar(text in "[0-9kmgsdhwyM :./\\[\\]%-]{0,20}") {
        let text = text.as_bytes();
        let _ = (size(text), offset(text), msec(text), sec(text), cidr(text), percent_decode(text));
    }
}
