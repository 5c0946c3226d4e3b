//! `percent`: `%41` to `A`, with nginx's leniency.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while1};
use nom::combinator::{map, map_opt, value};
use nom::{IResult, Parser};

/// A text as nginx's messages give it: up to its first zero.
pub fn c_text(text: &[u8]) -> &[u8] {
    text.split(|&b| b == 0).next().unwrap_or_default()
}

/// Decodes `%XX`. A `%` that no hexadecimal digit follows is dropped; one that a single digit follows is dropped with
/// the digit and the byte after it, as nginx does.
pub fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    percent_decode_into(text, &mut out);
    Cow::Owned(out)
}

/// [`percent_decode`] that appends to a buffer.
pub fn percent_decode_into(mut text: &[u8], out: &mut Vec<u8>) {
    while let Ok((rest, piece)) = percent_part(text) {
        match piece {
            Piece::Text(t) => out.extend_from_slice(t),
            Piece::Byte(b) => out.push(b),
            Piece::Nothing => {}
        }
        text = rest;
    }
}

#[derive(Debug, Clone, Copy)]
enum Piece<'t> {
    Text(&'t [u8]),
    Byte(u8),
    Nothing,
}

fn percent_part(i: &[u8]) -> IResult<&[u8], Piece<'_>> {
    alt((
        map(take_while1(|b| b != b'%'), Piece::Text),
        map(percent_byte, Piece::Byte),
        value(Piece::Nothing, (tag("%"), hex_digit, take(1usize))),
        value(Piece::Nothing, (tag("%"), hex_digit)),
        // The byte after a bad `%` stands for itself, even when it is a `%`.
        map((tag("%"), take(1usize)), |(_, b)| Piece::Text(b)),
        value(Piece::Nothing, tag("%")),
    ))
    .parse(i)
}

fn percent_byte(i: &[u8]) -> IResult<&[u8], u8> {
    map((tag("%"), hex_digit, hex_digit), |(_, high, low)| high << 4 | low).parse(i)
}

fn hex_digit(i: &[u8]) -> IResult<&[u8], u8> {
    map_opt(take(1usize), |b: &[u8]| b.first().and_then(|&b| char::from(b).to_digit(16)).map(|d| d as u8))
        .parse(i)
}
