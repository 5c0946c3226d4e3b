//! Bodies: where they end, and which are refused.

use super::body::{BadChunk, Decoder, LAST_CHUNK, Step, chunk_head};
use super::*;

/// The body, how much of the input it took (`None`: it is not over), and the trailers.
type Decoded = (Vec<u8>, Option<usize>, Vec<u8>);

/// Decodes all of `input` at once.
fn decode(framing: Framing, input: &[u8]) -> Result<Decoded, BadChunk> {
    let (mut decoder, mut body, mut at) = (Decoder::new(framing), Vec::new(), 0);
    loop {
        match decoder.step(&input[at..])? {
            Step::Data(range) => {
                body.extend_from_slice(&input[at..][range.clone()]);
                at += range.end;
            }
            Step::More(_) => return Ok((body, None, Vec::new())),
            Step::Done(n) => return Ok((body, Some(at + n), decoder.trailers().to_vec())),
        }
    }
}

#[test]
fn chunked_bodies() {
    for (input, body, trailers) in [
        ("0\r\n\r\n", "", ""),
        ("1\r\na\r\n0\r\n\r\n", "a", ""),
        ("1;x=\"y\"\r\na\r\n2 \t;z\r\nbc\r\n000;q\r\n\r\n", "abc", ""),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""),
        ("1\r\na\r\n0\r\nX: y\r\nZ: \r\n\r\n", "a", "X: y\r\nZ: \r\n"),
    ] {
        let got = decode(Framing::Chunked, format!("{input}GET /next").as_bytes()).unwrap();
        assert_eq!(got, (body.into(), Some(input.len()), trailers.into()), "{input:?}");
    }
}

#[test]
fn bad_chunks() {
    for input in [
        "\r\n0\r\n\r\n",
        "g\r\n",
        "-1\r\n",
        "0x1\r\n",
        " 1\r\na",
        ";x\r\n",
        "1\na",
        "1;\nx",
        "1;\rx",
        "1\r\r\n",
        "1\r\nab0\r\n",
        "1\r\na\n0",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX: a\rb\r\n\r\n",
        "0\r\n\rx",
        "ffffffffffffffff\r\n",
        "7fffffffffffffff\r\n",
    ] {
        assert_eq!(decode(Framing::Chunked, input.as_bytes()), Err(BadChunk), "{input:?}");
    }
}

#[test]
fn lengths() {
    assert_eq!(decode(Framing::Length(3), b"abcGET"), Ok((b"abc".to_vec(), Some(3), vec![])));
    assert_eq!(decode(Framing::Length(4), b"abc"), Ok((b"abc".to_vec(), None, vec![])));
    assert_eq!(decode(Framing::Length(0), b"abc"), Ok((vec![], Some(0), vec![])));
    assert_eq!(decode(Framing::Empty, b"abc"), Ok((vec![], Some(0), vec![])));
    assert_eq!(decode(Framing::UntilClose, b"abc"), Ok((b"abc".to_vec(), None, vec![])));
}

#[test]
fn endless_trailers_are_refused() {
    let input = [b"0\r\n", "X: y\r\n".repeat(20_000).as_bytes(), b"\r\n"].concat();
    assert_eq!(decode(Framing::Chunked, &input), Err(BadChunk));
}

#[test]
fn chunk_heads_are_read_back() {
    for len in [1, 9, 10, 15, 16, 255, 4096, 65_537] {
        let mut coded = Vec::new();
        chunk_head(len, &mut coded);
        assert_eq!(coded, format!("{len:x}\r\n").into_bytes());
        coded.extend(std::iter::repeat_n(b'x', len));
        coded.extend_from_slice(b"\r\n");
        coded.extend_from_slice(LAST_CHUNK);
        assert_eq!(decode(Framing::Chunked, &coded), Ok((vec![b'x'; len], Some(coded.len()), vec![])));
    }
}
