//! A message reads the same wherever it is split, and never takes bytes of the next one.

use proptest::prelude::*;

use super::body::{Decoder, Step};
use super::parse::RequestParser;
use super::*;

/// Line, fields, host, body and trailers.
type Request = (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, Option<Vec<u8>>, Vec<u8>, Vec<u8>);

/// What a reader makes of a stream of requests: everything a caller can see of each, and how it ended.
#[derive(Debug, PartialEq, Eq, Default)]
struct Seen {
    requests: Vec<Request>,
    refused: Option<(u16, String)>,
    left: usize,
}

/// Feeds `input` in pieces that end at `cuts` and reads as a connection does.
fn read(input: &[u8], cuts: &[usize]) -> Seen {
    let limits = Limits::default();
    let mut seen = Seen::default();
    let mut buf = Vec::new();
    let mut parser = RequestParser::new(&limits);
    let mut head = RequestHead::default();
    let mut body: Option<(Decoder, Vec<u8>)> = None;
    let mut from = 0;
    for &cut in cuts.iter().chain([&input.len()]) {
        buf.extend_from_slice(&input[from..cut.max(from)]);
        from = cut.max(from);
        loop {
            if let Some((decoder, data)) = &mut body {
                match decoder.step(&buf) {
                    Ok(Step::Data(range)) => {
                        data.extend_from_slice(&buf[range.clone()]);
                        buf.drain(..range.end);
                        continue;
                    }
                    Ok(Step::More(n)) => {
                        buf.drain(..n);
                        break;
                    }
                    Ok(Step::Done(n)) => {
                        buf.drain(..n);
                        let fields = head.iter().map(|(n, v, _)| (n.to_vec(), v.to_vec())).collect();
                        let host = head.host().map(<[u8]>::to_vec);
                        let trailers = decoder.trailers().to_vec();
                        seen.requests.push((head.line().to_vec(), fields, host, data.clone(), trailers));
                        body = None;
                        head.clear();
                        parser = RequestParser::new(&limits);
                    }
                    Err(_) => {
                        seen.refused = Some((400, "chunk".into()));
                        return seen;
                    }
                }
            }
            if head.line.is_empty() {
                buf.drain(..parse::skip_empty_lines(&buf));
            }
            if buf.is_empty() {
                break;
            }
            match parser.parse(&buf, &mut head, &limits) {
                Ok(Some(n)) => {
                    buf.drain(..n);
                    body = Some((Decoder::new(head.framing), Vec::new()));
                }
                Ok(None) => break,
                Err(r) => {
                    seen.refused = Some((r.status, r.text));
                    return seen;
                }
            }
        }
    }
    seen.left = buf.len();
    seen
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[A-Za-z][A-Za-z0-9-]{0,12}: [!-~]([ -~]{0,30}[!-~])?",
        1 => "[A-Za-z_(]{1,6}: ?[\t -~\u{80}-\u{ff}]{0,20}",
        1 => Just("Connection: close".to_owned()),
        1 => Just("X-Empty:".to_owned()),
        1 => "[a-z]{1,4}",
    ]
}

fn body() -> impl Strategy<Value = String> {
    let chunk = ("[a-z0-9\r\n]{1,40}", prop_oneof![Just(""), Just(";a=b"), Just(" ")])
        .prop_map(|(data, ext)| format!("{:x}{ext}\r\n{data}\r\n", data.len()));
    prop_oneof![
        Just("\r\n".to_owned()),
        "[a-z\r\n]{0,60}".prop_map(|data| format!("Content-Length: {}\r\n\r\n{data}", data.len())),
        (prop::collection::vec(chunk, 0..5), prop_oneof![Just(""), Just("T: x\r\nU: y\r\n")]).prop_map(
            |(chunks, trailers)| format!(
                "Transfer-Encoding: chunked\r\n\r\n{}0\r\n{trailers}\r\n",
                chunks.concat()
            )
        ),
    ]
}

fn message() -> impl Strategy<Value = String> {
    ("[A-Z]{1,7}", "/[a-z0-9./%?#+]{0,30}", prop::collection::vec(field(), 0..12), body()).prop_map(
        |(method, target, fields, body)| {
            let fields: String = fields.iter().map(|f| format!("{f}\r\n")).collect();
            format!("{method} {target} HTTP/1.1\r\nHost: Example.com\r\n{fields}{body}")
        },
    )
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(message(), 1..4).prop_map(|all| all.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_reads_the_same(input in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let mut cuts: Vec<_> = cuts.iter().map(|i| i.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(read(&input, &cuts), read(&input, &[]));
    }

    #[test]
    fn byte_by_byte_reads_the_same(input in stream()) {
        let cuts: Vec<_> = (0..input.len()).collect();
        prop_assert_eq!(read(&input, &cuts), read(&input, &[]));
    }

    #[test]
    fn pipelined_messages_read_as_they_do_alone(all in prop::collection::vec(message(), 1..4)) {
        let joined = read(all.concat().as_bytes(), &[]);
        if joined.refused.is_none() {
            let alone: Vec<_> = all.iter().flat_map(|m| read(m.as_bytes(), &[]).requests).collect();
            prop_assert_eq!(joined.requests, alone);
            prop_assert_eq!(joined.left, 0);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic_and_split_alike(
        input in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':')], 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let input = [b"GET / HTTP/1.1\r\nHost: a\r\n", &input[..]].concat();
        let cut = cut.index(input.len() + 1);
        let (split, whole) = (read(&input, &[cut]), read(&input, &[]));
        // A refusal may name the line before all of it is there.
        prop_assert_eq!(split.refused.map(|r| r.0), whole.refused.map(|r| r.0));
        prop_assert_eq!(split.requests, whole.requests);
    }

    #[test]
    fn a_response_head_is_whole_only_at_its_end(fields in prop::collection::vec(field(), 0..10)) {
        let fields: String = fields.iter().map(|f| format!("{f}\r\n")).collect();
        let input = format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes();
        let mut head = ResponseHead::default();
        if let Ok(Some(len)) = parse::parse_response(&input, &mut head, false) {
            prop_assert_eq!(len, input.len());
            for cut in 0..len {
                prop_assert!(matches!(parse::parse_response(&input[..cut], &mut head, false), Ok(None)));
            }
        }
    }
}
