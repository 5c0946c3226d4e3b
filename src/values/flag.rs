//! `flag`: on or off.

use nom::branch::alt;
use nom::bytes::complete::tag_no_case;
use nom::combinator::value;
use nom::{IResult, Parser};

use super::whole;

/// `on` or `off`, in any case, as nginx takes them.
pub fn flag(text: &[u8]) -> Option<bool> {
    whole(switch, text)
}

fn switch(i: &[u8]) -> IResult<&[u8], bool> {
    alt((value(true, tag_no_case("on")), value(false, tag_no_case("off")))).parse(i)
}
