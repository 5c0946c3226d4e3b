//! What answers mean, in whatever pieces they come.

use std::time::Duration;

use crate::health::{Exchange, Fault, Rest, Verdict};
use crate::plan::{Check, CheckAlive, CheckKind};

fn check(kind: CheckKind, alive: CheckAlive) -> Check {
    Check {
        kind,
        port: 0,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        fall: 1,
        rise: 1,
        default_down: true,
        unique: false,
        send: Box::default(),
        alive,
        keepalive_requests: 2,
        drain: None,
    }
}

fn http() -> Check {
    check(CheckKind::Http, CheckAlive::HTTP_2XX | CheckAlive::HTTP_3XX)
}

/// Reads an answer in one piece and byte by byte, which must agree.
fn read(check: &Check, keep: bool, bytes: &[u8]) -> (Option<Verdict>, Rest) {
    let mut whole = Exchange::new(check, keep, [0; 32]);
    let first = (whole.take(bytes), whole.rest());
    let mut pieces = Exchange::new(check, keep, [0; 32]);
    let start = pieces.take(b"");
    let verdict = bytes.chunks(1).fold(start, |_, piece| pieces.take(piece));
    assert_eq!(first, (verdict, pieces.rest()), "{:?}", String::from_utf8_lossy(bytes));
    first
}

fn verdict(check: &Check, bytes: &[u8]) -> Option<Verdict> {
    read(check, false, bytes).0
}

const BAD: fn(Fault) -> Option<Verdict> = |fault| Some(Verdict::Bad(fault));

#[test]
fn the_class_of_the_status_decides() {
    let c = http();
    for (line, expect) in [
        ("HTTP/1.1 200 OK\r\n", Some(Verdict::Good)),
        ("HTTP/1.0 302\r\n", Some(Verdict::Good)),
        ("HTTP/1.1 204 \n", Some(Verdict::Good)),
        ("HTTP/1.1   200 OK\r\n", Some(Verdict::Good)),
        ("HTTP/1.1 403.1 Forbidden\r\n", BAD(Fault::Refused)),
        ("HTTP/1.1 500 x\r\n", BAD(Fault::Refused)),
        ("HTTP/1.1 100 x\r\n", BAD(Fault::Refused)),
        ("HTTP/1.1 999 x\r\n", BAD(Fault::Refused)),
        ("HTTP/1.1 200 OK", None),
        ("HTTP/1.1 200", None),
        ("", None),
        ("HTTP/0.9 200 OK\r\n", BAD(Fault::StatusLine)),
        ("HTTP/1.1 2000 OK\r\n", BAD(Fault::StatusLine)),
        ("HTTP/1.1 20x OK\r\n", BAD(Fault::StatusLine)),
        ("HTTP/1.1 200 OK\rX", BAD(Fault::StatusLine)),
        ("http/1.1 200 OK\r\n", BAD(Fault::StatusLine)),
        ("SSH-2.0-x\r\n", BAD(Fault::StatusLine)),
        ("\0\0\0", BAD(Fault::StatusLine)),
    ] {
        assert_eq!(verdict(&c, line.as_bytes()), expect, "{line:?}");
    }
    let c = check(CheckKind::Http, CheckAlive::HTTP_1XX | CheckAlive::HTTP_5XX);
    assert_eq!(verdict(&c, b"HTTP/1.1 503 x\r\n"), Some(Verdict::Good));
    assert_eq!(verdict(&c, b"HTTP/1.1 101 x\r\n"), Some(Verdict::Good));
    assert_eq!(verdict(&c, b"HTTP/1.1 200 x\r\n"), BAD(Fault::Refused));
}

#[test]
fn a_peer_that_drains_itself_is_well() {
    let c = Check { drain: Some(404), ..http() };
    assert_eq!(verdict(&c, b"HTTP/1.1 404 Not Found\r\n"), Some(Verdict::Drain));
    assert_eq!(verdict(&c, b"HTTP/1.1 200 OK\r\n"), Some(Verdict::Good));
    assert_eq!(verdict(&c, b"HTTP/1.1 410 Gone\r\n"), BAD(Fault::Refused));
}

#[test]
fn a_kept_connection_is_free_when_the_answer_is_whole() {
    let c = http();
    let keep = |text: &str| read(&c, true, text.as_bytes());
    let good = Some(Verdict::Good);
    for (text, rest) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Rest::Nothing),
        ("HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\no", Rest::More),
        ("HTTP/1.1 200 OK\nX: 1\nCONTENT-LENGTH: 0\n\n", Rest::Nothing),
        ("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", Rest::Nothing),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\noks", Rest::Unknown),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok", Rest::Unknown),
        ("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", Rest::Unknown),
        ("HTTP/1.1 200 OK\r\n\r\nuntil it closes", Rest::Unknown),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Rest::Nothing),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nT: r\r\n\r\n",
            Rest::Nothing,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", Rest::More),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Rest::Unknown),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n", Rest::Unknown),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Rest::Unknown),
    ] {
        assert_eq!(keep(text), (good, rest), "{text:?}");
    }
    assert_eq!(keep("HTTP/1.1 200 OK\r\nX: y\r\n").0, None, "the head has not ended");
    assert_eq!(keep("HTTP/1.1 500 x\r\n"), (BAD(Fault::Refused), Rest::Unknown));
    assert_eq!(keep("HTTP/1.1 200 OK\r\nX: y\rz\r\n"), (BAD(Fault::Headers), Rest::Unknown));
}

#[test]
fn the_rest_of_an_answer_is_read_later() {
    let c = http();
    let mut e = Exchange::new(&c, true, [0; 32]);
    assert_eq!(e.take(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"), Some(Verdict::Good));
    assert_eq!(e.rest(), Rest::More);
    assert_eq!((e.take(b"567"), e.rest()), (Some(Verdict::Good), Rest::More));
    assert_eq!((e.take(b"89"), e.rest()), (Some(Verdict::Good), Rest::Nothing));
    assert_eq!((e.take(b"!"), e.rest()), (Some(Verdict::Good), Rest::Unknown));
}

#[test]
fn the_answer_to_head_has_no_body() {
    let c = Check { send: (*b"HEAD / HTTP/1.1\r\n\r\n").into(), ..http() };
    let mut e = Exchange::new(&c, true, [0; 32]);
    assert_eq!(e.take(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"), Some(Verdict::Good));
    assert_eq!(e.rest(), Rest::Nothing);
}

#[test]
fn an_answer_without_end_is_given_up() {
    let c = http();
    for start in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: "] {
        let mut e = Exchange::new(&c, true, [0; 32]);
        assert_eq!(e.take(start.as_bytes()), None);
        let mut given = 0;
        while e.take(b"aaaaaaaaaaaaaaaa").is_none() {
            given += 16;
            assert!(given < 100_000, "{start:?}");
        }
        assert_eq!(e.end(), Verdict::Bad(Fault::TooLong));
    }
}

#[test]
fn an_end_before_the_verdict_is_bad_and_after_it_is_not() {
    let c = http();
    let mut e = Exchange::new(&c, false, [0; 32]);
    e.take(b"HTTP/1.1 200");
    assert_eq!(e.end(), Verdict::Bad(Fault::Incomplete));
    let mut e = Exchange::new(&c, false, [0; 32]);
    e.take(b"HTTP/1.1 200 OK\r\n");
    assert_eq!(e.end(), Verdict::Good);
}

#[test]
fn greetings_are_known_by_their_first_bytes() {
    let any = CheckAlive::empty();
    let (tls, mysql, ajp) =
        (check(CheckKind::SslHello, any), check(CheckKind::Mysql, any), check(CheckKind::Ajp, any));
    let mut hello = vec![0x16, 3, 3, 0, 74, 2, 0, 0, 70, 3, 3];
    hello.resize(46, 7);
    assert_eq!(verdict(&tls, &hello), None);
    hello.push(7);
    assert_eq!(verdict(&tls, &hello), Some(Verdict::Good));
    assert_eq!(verdict(&tls, &[0x15, 3, 0, 0, 2, 2, 40]), BAD(Fault::Refused), "an alert");
    assert_eq!(verdict(&tls, &[0x16, 3, 1, 0, 9, 1]), BAD(Fault::Refused), "another message");
    assert_eq!(verdict(&mysql, b"\x4a\0\0\0\x0a8.0.36\0"), Some(Verdict::Good));
    assert_eq!(verdict(&mysql, b"\x4a\0\0\0"), None);
    assert_eq!(verdict(&mysql, b"HTTP/1.1"), BAD(Fault::Refused));
    assert_eq!(verdict(&ajp, b"AB\0\x01\x09"), Some(Verdict::Good));
    assert_eq!(verdict(&ajp, b"AB\0\x01"), None);
    assert_eq!(verdict(&ajp, b"AC"), BAD(Fault::Refused));
    assert_eq!(verdict(&check(CheckKind::Tcp, any), b""), Some(Verdict::Good));
}

#[test]
fn what_is_asked_is_the_protocols_own() {
    let any = CheckAlive::empty();
    let ajp = check(CheckKind::Ajp, any);
    assert_eq!(Exchange::new(&ajp, false, [0; 32]).request(), [0x12, 0x34, 0, 1, 10]);
    let tls = check(CheckKind::SslHello, any);
    let hello = Exchange::new(&tls, false, [9; 32]).request().to_vec();
    let length = |at: usize| usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
    assert_eq!((hello[0], length(3), hello[5]), (0x16, hello.len() - 5, 1));
    assert_eq!((length(7), &hello[11..43]), (hello.len() - 9, &[9; 32][..]));
    assert!(!Exchange::new(&check(CheckKind::Tcp, any), false, [0; 32]).expects_answer());
}

/// A record of a responder.
fn record(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
    let mut out = vec![1, kind, 0, 1];
    out.extend_from_slice(&u16::try_from(content.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&[padding, 0]);
    out.extend_from_slice(content);
    out.resize(out.len() + usize::from(padding), 0);
    out
}

#[test]
fn fastcgi_answers_and_its_status_counts_when_asked_for() {
    let any = check(CheckKind::Fastcgi, CheckAlive::empty());
    let two = check(CheckKind::Fastcgi, CheckAlive::HTTP_2XX);
    let body = b"Content-Type: text/html\r\n\r\nhello";
    assert_eq!(verdict(&any, &record(6, body, 3)), Some(Verdict::Good));
    assert_eq!(verdict(&two, &record(6, body, 3)), Some(Verdict::Good), "no Status is 200");
    let status = b"X: y\r\nstatus: 500 Oops\r\n\r\n";
    assert_eq!(verdict(&any, &record(6, status, 0)), Some(Verdict::Good));
    assert_eq!(verdict(&two, &record(6, status, 0)), BAD(Fault::Refused));
    let split = [record(6, b"X: y\nSta", 5), record(6, b"tus: 204\n\n", 0)].concat();
    assert_eq!(verdict(&two, &split), Some(Verdict::Good));
    assert_eq!(verdict(&two, &record(6, b"Status: ok\r\n", 0)), BAD(Fault::FastcgiStatus));
    assert_eq!(verdict(&any, &record(7, b"no script", 0)), BAD(Fault::FastcgiStderr));
    assert_eq!(verdict(&any, &record(3, &[0; 8], 0)), BAD(Fault::FastcgiType(3)));
    assert_eq!(verdict(&any, &record(6, b"", 0)), BAD(Fault::FastcgiEmpty));
    assert_eq!(verdict(&any, b"HTTP/1.1 400"), BAD(Fault::FastcgiRecord));
    assert_eq!(verdict(&any, &[1, 6, 0, 2]), BAD(Fault::FastcgiRecord));
    assert_eq!(verdict(&two, &record(6, b"X: y\r\n", 0)), None);
}

proptest::proptest! {
    /// Garbage neither panics nor reads differently in pieces.
    #[test]
    fn pieces_change_nothing(bytes: Vec<u8>, head: bool, keep: bool, kind in 0usize..6) {
        let c = check(CheckKind::ALL[kind], CheckAlive::HTTP_2XX);
        let text = if head { [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &bytes].concat() } else { bytes };
        let mut whole = Exchange::new(&c, keep, [0; 32]);
        let first = whole.take(&text);
        let mut pieces = Exchange::new(&c, keep, [0; 32]);
        let mut second = None;
        for piece in text.chunks(1) {
            second = pieces.take(piece);
        }
        if !text.is_empty() {
            proptest::prop_assert_eq!(first, second);
            proptest::prop_assert_eq!(whole.rest(), pieces.rest());
        }
    }
}
