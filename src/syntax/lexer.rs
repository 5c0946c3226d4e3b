//! The tokens: what nginx's `ngx_conf_read_token` makes of bytes, as productions of `grammar/nginx.ebnf`.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_till, take_while, take_while1};
use nom::combinator::{cut, map, not, recognize};
use nom::multi::{many0_count, many1_count};
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use super::Quote;

/// A byte order mark, which editors put at the start of a file.
pub(super) fn bom(i: &[u8]) -> IResult<&[u8], &[u8]> {
    tag(&b"\xef\xbb\xbf"[..]).parse(i)
}

pub(super) fn blanks(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(is_blank).parse(i)
}

/// From `#` to the end of the line, which is not part of it. A `#` inside a word starts no comment.
pub(super) fn comment(i: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((tag("#"), take_till(|b| b == b'\n'))).parse(i)
}

/// A word as written, less its quotes. A quote that is not closed is a failure, not another kind of word.
pub(super) fn word(i: &[u8]) -> IResult<&[u8], (Quote, &[u8])> {
    alt((
        map(double_quoted, |text| (Quote::Double, text)),
        map(single_quoted, |text| (Quote::Single, text)),
        map(bare, |text| (Quote::None, text)),
    ))
    .parse(i)
}

fn double_quoted(i: &[u8]) -> IResult<&[u8], &[u8]> {
    let text = recognize(many0_count(alt((escape, take_while1(|b| b != b'"' && b != b'\\')))));
    delimited(tag("\""), cut(text), cut(tag("\""))).parse(i)
}

fn single_quoted(i: &[u8]) -> IResult<&[u8], &[u8]> {
    let text = recognize(many0_count(alt((escape, take_while1(|b| b != b'\'' && b != b'\\')))));
    delimited(tag("'"), cut(text), cut(tag("'"))).parse(i)
}

/// A word without quotes. Inside it quotes, `#` and `}` are bytes like any other.
fn bare(i: &[u8]) -> IResult<&[u8], &[u8]> {
    let start = take_while1(|b| matches!(b, b'}' | b'#' | b'"' | b'\''));
    preceded(not(start), recognize(many1_count(alt((plain, dollar, escape))))).parse(i)
}

fn plain(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|b| !ends_bare(b) && b != b'\\' && b != b'$').parse(i)
}

/// `$`, and the `{` after it, which does not open a block.
fn dollar(i: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((tag("$"), take_while(|b| b == b'{'))).parse(i)
}

/// A backslash keeps the byte after it from ending the word; [`unescape`] says what the two become.
fn escape(i: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((tag("\\"), take(1usize))).parse(i)
}

pub(super) fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

fn ends_bare(b: u8) -> bool {
    is_blank(b) || b == b';' || b == b'{'
}

/// The value of a word: `\"` `\'` `\\` lose their backslash, `\t` `\r` `\n` become what they name, any other backslash
/// stays.
pub(super) fn unescape(text: &[u8]) -> Box<[u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return text.into();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(b) = bytes.next() {
        let meant = match (b, bytes.peek()) {
            (b'\\', Some(&c @ (b'"' | b'\'' | b'\\'))) => Some(c),
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b'n')) => Some(b'\n'),
            _ => None,
        };
        if meant.is_some() {
            bytes.next();
        }
        out.push(meant.unwrap_or(b));
    }
    out.into()
}
