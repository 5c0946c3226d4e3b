//! Bodies in another language: Lua, as OpenResty's `*_by_lua_block` have it, and what copies its form.
//!
//! Only as much of the language is known as tells a brace of the code from one in a string or a comment.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_till, take_while, take_while1};
use nom::combinator::{cut, opt, recognize, value};
use nom::multi::many0_count;
use nom::{IResult, Parser};

/// Whether a directive of this name has a body in another language: `content_by_lua_block`, ….
pub fn is_foreign(name: &[u8]) -> bool {
    name.ends_with(b"_block") && name.windows(4).any(|w| w == b"_by_")
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Open,
    Close,
    Text,
}

/// Everything up to the `}` that closes the body; that brace remains. A failure: the body is not closed.
pub(super) fn foreign_body(i: &[u8]) -> IResult<&[u8], &[u8]> {
    let mut rest = i;
    let mut depth = 0usize;
    loop {
        let (after, part) = foreign_part(rest)?;
        match part {
            Part::Open => depth += 1,
            Part::Close if depth == 0 => return take(i.len() - rest.len()).parse(i),
            Part::Close => depth -= 1,
            Part::Text => {}
        }
        rest = after;
    }
}

fn foreign_part(i: &[u8]) -> IResult<&[u8], Part> {
    alt((
        value(Part::Open, tag("{")),
        value(Part::Close, tag("}")),
        value(Part::Text, take_while1(|b| !matches!(b, b'{' | b'}' | b'"' | b'\'' | b'-' | b'['))),
        value(Part::Text, lua_comment),
        value(Part::Text, long_bracket),
        value(Part::Text, lua_string),
        value(Part::Text, take(1usize)),
    ))
    .parse(i)
}

/// `--[[ … ]]`, or `--` to the end of the line.
fn lua_comment(i: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((tag("--"), alt((long_bracket, take_till(|b| b == b'\n'))))).parse(i)
}

/// `[[ … ]]`, `[=[ … ]=]`, …: ends at the bracket of its own level only.
fn long_bracket(i: &[u8]) -> IResult<&[u8], &[u8]> {
    let (rest, (_, level, _)) = (tag("["), take_while(|b| b == b'='), tag("[")).parse(i)?;
    let close = [b"]", level, b"]"].concat();
    let end = memchr::memmem::find(rest, &close).map(|n| n + close.len());
    // Without an end there is none for any later one either: the failure keeps the reading linear.
    let (_, body) = cut(take(end.unwrap_or(usize::MAX))).parse(rest)?;
    take(i.len() - rest.len() + body.len()).parse(i)
}

/// A string in quotes. It ends with its line at the latest, unless the end of the line is escaped.
fn lua_string(i: &[u8]) -> IResult<&[u8], &[u8]> {
    let double = (tag("\""), many0_count(alt((lua_escape, string_text(b'"')))), opt(tag("\"")));
    let single = (tag("'"), many0_count(alt((lua_escape, string_text(b'\'')))), opt(tag("'")));
    alt((recognize(double), recognize(single))).parse(i)
}

fn string_text<'t>(
    quote: u8,
) -> impl Parser<&'t [u8], Output = &'t [u8], Error = nom::error::Error<&'t [u8]>> {
    take_while1(move |b| b != quote && b != b'\\' && b != b'\n')
}

fn lua_escape(i: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((tag("\\"), take(1usize))).parse(i)
}
