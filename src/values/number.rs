//! `number`: what nginx's `ngx_atoi` takes.

use nom::character::complete::digit1;
use nom::combinator::map_opt;
use nom::{IResult, Parser};

use super::whole;

/// Decimal digits only, no sign, not above `i64::MAX`.
pub fn number(text: &[u8]) -> Option<u64> {
    whole(digits, text)
}

/// One digit or more whose value fits nginx's signed 64 bits.
pub(super) fn digits(i: &[u8]) -> IResult<&[u8], u64> {
    map_opt(digit1, |d: &[u8]| {
        let value = d.iter().try_fold(0i64, |n, b| n.checked_mul(10)?.checked_add(i64::from(b - b'0')))?;
        u64::try_from(value).ok()
    })
    .parse(i)
}
