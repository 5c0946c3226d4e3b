//! `msec` and `sec`: spans of time as nginx's `ngx_parse_time` reads them.
//!
//! Units must come in descending order, each at most once; blanks may follow a unit. A bare number counts seconds, also
//! at the end (`1m 30`). `msec` knows `ms` but neither `y` nor `M`; `sec` the other way round.

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::{opt, value};
use nom::multi::many0;
use nom::{IResult, Parser};

use super::number::digits;
use super::whole;

/// In the order in which nginx wants them, largest first. `Blank` is a bare number with a blank after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Milli,
    Blank,
}

impl Unit {
    fn seconds(self) -> u64 {
        match self {
            Unit::Year => 365 * 86400,
            Unit::Month => 30 * 86400,
            Unit::Week => 7 * 86400,
            Unit::Day => 86400,
            Unit::Hour => 3600,
            Unit::Minute => 60,
            Unit::Second | Unit::Milli | Unit::Blank => 1,
        }
    }
}

/// Milliseconds.
pub fn msec(text: &[u8]) -> Option<u64> {
    let (parts, last) = whole((time_parts, opt(digits)), text)?;
    let total = sum(&parts, last, Unit::Week, |unit| match unit {
        Unit::Milli => 1,
        unit => unit.seconds() * 1000,
    })?;
    within(total.checked_add(within(last.unwrap_or(0).checked_mul(1000)?)?)?)
}

/// Seconds.
pub fn sec(text: &[u8]) -> Option<u64> {
    let (parts, last) = whole((time_parts, opt(digits)), text)?;
    if parts.iter().any(|&(_, unit)| unit == Unit::Milli) {
        return None;
    }
    let total = sum(&parts, last, Unit::Year, Unit::seconds)?;
    within(total.checked_add(last.unwrap_or(0))?)
}

/// Adds the parts up. At least one number must be there; nginx lets the number of a single part be missing (`1hm`).
fn sum(
    parts: &[(Option<u64>, Unit)],
    last: Option<u64>,
    first: Unit,
    scale: impl Fn(Unit) -> u64,
) -> Option<u64> {
    if last.is_none() && parts.iter().all(|(n, _)| n.is_none()) {
        return None;
    }
    let mut total = 0u64;
    let mut before = None;
    for &(number, unit) in parts {
        // A blank must not follow `s` or `ms`, though it ranks last.
        let rank = if unit == Unit::Blank { Unit::Second } else { unit };
        if unit < first || before.is_some_and(|b| rank <= b) {
            return None;
        }
        before = Some(unit);
        total = within(total.checked_add(within(number.unwrap_or(0).checked_mul(scale(unit))?)?)?)?;
    }
    Some(total)
}

fn within(n: u64) -> Option<u64> {
    (n <= i64::MAX as u64).then_some(n)
}

fn time_parts(i: &[u8]) -> IResult<&[u8], Vec<(Option<u64>, Unit)>> {
    many0(time_part).parse(i)
}

fn time_part(i: &[u8]) -> IResult<&[u8], (Option<u64>, Unit)> {
    let (i, part) = (opt(digits), time_unit).parse(i)?;
    let (i, _) = many0(tag(" ")).parse(i)?;
    Ok((i, part))
}

fn time_unit(i: &[u8]) -> IResult<&[u8], Unit> {
    alt((
        value(Unit::Milli, tag("ms")),
        value(Unit::Year, tag("y")),
        value(Unit::Month, tag("M")),
        value(Unit::Week, tag("w")),
        value(Unit::Day, tag("d")),
        value(Unit::Hour, tag("h")),
        value(Unit::Minute, tag("m")),
        value(Unit::Second, tag("s")),
        value(Unit::Blank, tag(" ")),
    ))
    .parse(i)
}
