//! `size` and `offset`: bytes with a unit. A size knows `k` and `m`; an offset also `g`.

use nom::branch::alt;
use nom::bytes::complete::tag_no_case;
use nom::combinator::{map_opt, success, value};
use nom::{IResult, Parser};

use super::number::digits;
use super::whole;

/// A buffer's size: `8192`, `8k`, `1M`. nginx refuses `g` here.
pub fn size(text: &[u8]) -> Option<u64> {
    whole(map_opt((digits, size_unit), scaled), text)
}

/// A length in a file or of a body: `10m`, `2g`.
pub fn offset(text: &[u8]) -> Option<u64> {
    whole(map_opt((digits, offset_unit), scaled), text)
}

fn scaled((number, shift): (u64, u32)) -> Option<u64> {
    (number <= (i64::MAX as u64) >> shift).then(|| number << shift)
}

/// The unit as a power of two.
fn size_unit(i: &[u8]) -> IResult<&[u8], u32> {
    alt((value(10, tag_no_case("k")), value(20, tag_no_case("m")), success(0))).parse(i)
}

fn offset_unit(i: &[u8]) -> IResult<&[u8], u32> {
    alt((value(30, tag_no_case("g")), size_unit)).parse(i)
}
