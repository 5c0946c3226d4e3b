//! `template`: text with `$name`, `${name}` and `$1` in it.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::satisfy;
use nom::combinator::{cut, map, opt};
use nom::error::{ErrorKind, ParseError};
use nom::multi::many0;
use nom::{Err, IResult, Parser};

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'t> {
    Text(&'t [u8]),
    /// `$name` or `${name}` as written; nginx looks variables up without regard to case.
    Variable(&'t [u8]),
    /// `$1` … `$9`. `$10` is `$1` and a `0`.
    Capture(u8),
}

/// Why a text is no template; `Display` gives nginx's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("invalid variable name")]
    InvalidName,
    #[error("the closing bracket in \"{}\" variable is missing", String::from_utf8_lossy(.0))]
    NotClosed(Vec<u8>),
}

/// nom's error type for this grammar: an alternative that does not apply, or what is wrong.
#[derive(Debug)]
struct Reason(TemplateError);

impl<I> ParseError<I> for Reason {
    fn from_error_kind(_: I, _: ErrorKind) -> Self {
        Self(TemplateError::InvalidName)
    }

    fn append(_: I, _: ErrorKind, other: Self) -> Self {
        other
    }
}

type Step<'t, T> = IResult<&'t [u8], T, Reason>;

/// Cuts a template into its pieces, in order. There is no escape for `$`, as in nginx.
pub fn template(text: &[u8]) -> Result<Vec<Token<'_>>, TemplateError> {
    match many0(template_part).parse(text) {
        Ok((_, tokens)) => Ok(tokens),
        Err(Err::Error(e) | Err::Failure(e)) => Err(e.0),
        Err(Err::Incomplete(_)) => Err(TemplateError::InvalidName),
    }
}

fn template_part(i: &[u8]) -> Step<'_, Token<'_>> {
    alt((map(take_while1(|b| b != b'$'), Token::Text), variable)).parse(i)
}

fn variable(i: &[u8]) -> Step<'_, Token<'_>> {
    let (i, _) = tag("$").parse(i)?;
    cut(alt((capture, bracketed, map(variable_name1, Token::Variable)))).parse(i)
}

fn capture(i: &[u8]) -> Step<'_, Token<'_>> {
    map(satisfy(|c| ('1'..='9').contains(&c)), |c| Token::Capture(c as u8 - b'0')).parse(i)
}

fn bracketed(i: &[u8]) -> Step<'_, Token<'_>> {
    let (i, _) = tag("{").parse(i)?;
    if i.is_empty() {
        return Err(Err::Failure(Reason(TemplateError::InvalidName)));
    }
    let (i, name) = variable_name(i)?;
    let (i, close) = opt(tag("}")).parse(i)?;
    match close {
        None => Err(Err::Failure(Reason(TemplateError::NotClosed(name.to_vec())))),
        Some(_) if name.is_empty() => Err(Err::Failure(Reason(TemplateError::InvalidName))),
        Some(_) => Ok((i, Token::Variable(name))),
    }
}

fn variable_name(i: &[u8]) -> Step<'_, &[u8]> {
    take_while(is_name_byte).parse(i)
}

fn variable_name1(i: &[u8]) -> Step<'_, &[u8]> {
    take_while1(is_name_byte).parse(i)
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}
