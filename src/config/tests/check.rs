//! Checks as written, and what is said of them.

use std::time::Duration;

use crate::diag::{Diags, SourceMap, render_nginx};
use crate::plan::{Check, CheckAlive, CheckKind};
use crate::source::Conf;
use crate::syntax;

/// The check of a block of these lines, and what is said.
fn check(lines: &str) -> (Option<Check>, Vec<String>) {
    let text = format!("upstream u {{ server 127.0.0.1; {lines}\n}}");
    let mut map = SourceMap::new();
    let file = map.add("f".to_owned(), text.as_bytes().into(), None);
    let mut diags = Diags::new();
    let tree = syntax::parse(&map, file, &mut diags);
    assert!(diags.is_empty(), "{text}");
    let conf = Conf { map, trees: vec![tree], roots: vec![file], ..Conf::default() };
    let block = conf.main().next().unwrap();
    let upstream = super::super::upstream::read(block, &mut diags);
    let said = diags.iter().map(|d| render_nginx(&conf.map, d).replace("nginx: ", "")).collect();
    (upstream.checking.finish(), said)
}

fn quiet(lines: &str) -> Check {
    let (check, said) = check(lines);
    assert!(said.is_empty(), "{said:?}");
    check.unwrap()
}

#[test]
fn the_defaults_are_tengines() {
    let c = quiet("check port=8080;");
    assert_eq!((c.kind, c.port, c.fall, c.rise), (CheckKind::Tcp, 8080, 5, 2));
    assert_eq!((c.interval, c.timeout), (Duration::from_secs(30), Duration::from_secs(1)));
    assert_eq!((c.default_down, c.unique, c.drain, c.keepalive_requests), (true, false, None, 1));
    assert_eq!((&c.send[..], c.alive), (&b""[..], CheckAlive::empty()));
    assert_eq!(check("check_http_expect_alive http_2xx; check_keepalive_requests 3;").0, None);
}

#[test]
fn words_come_in_any_order_and_a_later_line_keeps_the_type() {
    let c = quiet(
        "check default_down=FALSE timeout=7 type=http fall=3 interval=250 unique=true rise=1 drain=404;",
    );
    assert_eq!((c.kind, c.fall, c.rise, c.unique, c.default_down), (CheckKind::Http, 3, 1, true, false));
    assert_eq!((c.interval.as_millis(), c.timeout.as_millis(), c.drain), (250, 7, Some(404)));
    assert_eq!(&c.send[..], b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(c.alive, CheckAlive::HTTP_2XX | CheckAlive::HTTP_3XX);
    let c = quiet("check type=ajp fall=9; check rise=4;");
    assert_eq!((c.kind, c.fall, c.rise), (CheckKind::Ajp, 5, 4));
}

#[test]
fn what_is_sent_and_what_is_good_is_the_files() {
    let c = quiet(
        "check_http_expect_alive http_2xx HTTP_4xx; check type=http;\n\
         check_http_send \"HEAD /up HTTP/1.0\\r\\n\\r\\n\"; check_keepalive_requests 100;",
    );
    assert_eq!(&c.send[..], b"HEAD /up HTTP/1.0\r\n\r\n");
    assert_eq!((c.alive, c.keepalive_requests), (CheckAlive::HTTP_2XX | CheckAlive::HTTP_4XX, 100));
    assert_eq!(&quiet("check type=http; check_http_send '';").send[..], b"GET / HTTP/1.0\r\n\r\n");
}

#[test]
fn tengines_words_for_what_is_wrong() {
    let bad = |word: &str| format!("[emerg] invalid parameter \"{word}\" in f:1");
    for word in [
        "type=https",
        "type=",
        "port=0",
        "port=x",
        "port=65536",
        "interval=3s",
        "interval=0",
        "timeout=-1",
        "rise=0",
        "fall=1x",
        "drain=99",
        "drain=600",
        "wake=1",
        "fall",
    ] {
        let (check, said) = check(&format!("check type=http {word};"));
        assert_eq!((check, said), (None, vec![bad(word)]), "{word}");
    }
    for (lines, expect) in [
        (
            "check default_down=no;",
            "[emerg] invalid value \"default_down=no\", it must be \"true\" or \"false\" in f:1",
        ),
        ("check unique=1;", "[emerg] invalid value \"unique=1\", it must be \"true\" or \"false\" in f:1"),
        ("check drain=404;", "[emerg] \"drain\" needs \"type=http\", not \"type=tcp\" in f:1"),
        ("check_http_send x;", "[emerg] invalid check_http_send should set [check] first in f:1"),
        ("check fall=1; check_http_send x;", "[emerg] invalid check_http_send for type \"tcp\" in f:1"),
        ("check_http_expect_alive http_6xx;", "[emerg] invalid value \"http_6xx\" in f:1"),
        ("check_http_expect_alive http_2xx http_2xx;", "[warn] duplicate value \"http_2xx\" in f:1"),
        (
            "check_keepalive_requests 0;",
            "[emerg] \"check_keepalive_requests\" directive invalid value in f:1",
        ),
    ] {
        assert_eq!(check(lines).1, [expect], "{lines}");
    }
}

#[test]
fn a_fastcgi_request_is_whole() {
    let long = "v".repeat(200);
    let c = quiet(&format!("check type=fastcgi; check_fastcgi_param A b; check_fastcgi_param L {long};"));
    let send = &c.send[..];
    assert_eq!(&send[..16], [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let len = 4 + 1 + 4 + 1 + 200;
    let padding = (8 - len % 8) % 8;
    assert_eq!(&send[16..24], [1, 4, 0, 1, 0, len as u8, padding as u8, 0]);
    assert_eq!(&send[24..34], [1, 1, b'A', b'b', 1, 0x80, 0, 0, 200, b'L']);
    assert_eq!(&send[24 + len + padding..], [1, 4, 0, 1, 0, 0, 0, 0, 1, 5, 0, 1, 0, 0, 0, 0]);
    let plain = quiet("check type=fastcgi;");
    let has = |text: &[u8]| plain.send.windows(text.len()).any(|w| w == text);
    assert!(has(b"REQUEST_METHODGET") && has(b"SCRIPT_FILENAMEindex.php"));
}
