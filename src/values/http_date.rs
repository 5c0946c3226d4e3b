//! `http_date`: the three forms of RFC 9110 section 5.6.7 in, the first of them out.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_till, take_while};
use nom::combinator::{map_opt, opt, verify};
use nom::{IResult, Parser};

use super::date::{Civil, push_clock, push2, to_unix};

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`. As in nginx
/// the name of the day is not looked at, nor is what follows the time.
pub fn http_date(text: &[u8]) -> Option<i64> {
    alt((imf_fixdate, rfc850_date, asctime_date)).parse(text).ok().map(|(_, time)| time)
}

/// Appends `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn push_http_date(out: &mut Vec<u8>, unix: i64) {
    let t = Civil::from_unix(unix);
    out.extend_from_slice(t.weekday_name().as_bytes());
    out.extend_from_slice(b", ");
    push2(out, i64::from(t.day));
    out.push(b' ');
    out.extend_from_slice(t.month_name().as_bytes());
    out.push(b' ');
    push2(out, t.year / 100);
    push2(out, t.year % 100);
    push_clock(out, &t);
}

fn imf_fixdate(i: &[u8]) -> IResult<&[u8], i64> {
    map_opt(
        (day_name, digits_n(2), tag(" "), month, tag(" "), digits_n(4), tag(" "), time_of_day),
        |(_, day, _, month, _, year, _, clock)| to_unix(year, month, day, clock),
    )
    .parse(i)
}

fn rfc850_date(i: &[u8]) -> IResult<&[u8], i64> {
    map_opt(
        (day_name, digits_n(2), tag("-"), month, tag("-"), digits_n(2), tag(" "), time_of_day),
        |(_, day, _, month, _, year, _, clock)| to_unix(short_year(year), month, day, clock),
    )
    .parse(i)
}

fn asctime_date(i: &[u8]) -> IResult<&[u8], i64> {
    let day = (opt(tag(" ")), alt((digits_n(2), digits_n(1))));
    map_opt(
        (
            take_till(|b| b == b' ' || b == b','),
            blanks1,
            month,
            take(1usize),
            day,
            tag(" "),
            time_of_day,
            tag(" "),
            digits_n(4),
        ),
        |(_, _, month, _, (_, day), _, clock, _, year)| to_unix(year, month, day, clock),
    )
    .parse(i)
}

/// `Sunday,` and the blanks after it.
pub(super) fn day_name(i: &[u8]) -> IResult<&[u8], ()> {
    let (i, _) = (take_till(|b| b == b',' || b == b' '), tag(","), take_while(|b| b == b' ')).parse(i)?;
    Ok((i, ()))
}

fn blanks1(i: &[u8]) -> IResult<&[u8], &[u8]> {
    verify(take_while(|b| b == b' '), |b: &[u8]| !b.is_empty()).parse(i)
}

/// Three letters, of which nginx looks only at those that tell the months apart. January is 1.
pub(super) fn month(i: &[u8]) -> IResult<&[u8], u8> {
    map_opt(take(3usize), |m: &[u8]| match *m {
        [b'J', b'a', _] => Some(1),
        [b'J', _, b'n'] => Some(6),
        [b'J', ..] => Some(7),
        [b'F', ..] => Some(2),
        [b'M', _, b'r'] => Some(3),
        [b'M', ..] => Some(5),
        [b'A', b'p', _] => Some(4),
        [b'A', ..] => Some(8),
        [b'S', ..] => Some(9),
        [b'O', ..] => Some(10),
        [b'N', ..] => Some(11),
        [b'D', ..] => Some(12),
        _ => None,
    })
    .parse(i)
}

/// `08:49:37`
pub(super) fn time_of_day(i: &[u8]) -> IResult<&[u8], (i64, i64, i64)> {
    let (i, (h, _, m, _, s)) = (digits_n(2), tag(":"), digits_n(2), tag(":"), digits_n(2)).parse(i)?;
    Ok((i, (h, m, s)))
}

/// Exactly `n` decimal digits.
pub(super) fn digits_n<'t>(
    n: usize,
) -> impl Parser<&'t [u8], Output = i64, Error = nom::error::Error<&'t [u8]>> {
    map_opt(take(n), |d: &[u8]| {
        d.iter().try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    })
}

/// The year of two digits: 70 and later are of the last century.
pub(super) fn short_year(year: i64) -> i64 {
    year + if year < 70 { 2000 } else { 1900 }
}
