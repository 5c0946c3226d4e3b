//! `cookie_date`: the `Expires` of cookies, in the Netscape form that nginx and Tengine write.

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::{map, map_opt};
use nom::{IResult, Parser};

use super::date::{Civil, push_clock, push2, to_unix};
use super::http_date;
use super::http_date::{day_name, digits_n, month, short_year, time_of_day};

/// Reads `Sat, 21-Nov-26 09:11:44 GMT`, the same with a year of four digits, or any form that [`http_date`] knows.
pub fn cookie_date(text: &[u8]) -> Option<i64> {
    netscape_date(text).ok().map(|(_, time)| time).or_else(|| http_date(text))
}

/// Appends `Sat, 21-Nov-26 09:11:44 GMT`; after 2037 the year has four digits, as in nginx.
pub fn push_cookie_date(out: &mut Vec<u8>, unix: i64) {
    let t = Civil::from_unix(unix);
    push(out, &t, t.year > 2037);
}

/// Appends `Sat, 21-Nov-2026 09:11:44 GMT`.
pub fn push_full_cookie_date(out: &mut Vec<u8>, unix: i64) {
    push(out, &Civil::from_unix(unix), true);
}

fn push(out: &mut Vec<u8>, t: &Civil, full: bool) {
    out.extend_from_slice(t.weekday_name().as_bytes());
    out.extend_from_slice(b", ");
    push2(out, i64::from(t.day));
    out.push(b'-');
    out.extend_from_slice(t.month_name().as_bytes());
    out.push(b'-');
    if full {
        push2(out, t.year / 100);
    }
    push2(out, t.year % 100);
    push_clock(out, t);
}

fn netscape_date(i: &[u8]) -> IResult<&[u8], i64> {
    map_opt(
        (day_name, digits_n(2), tag("-"), month, tag("-"), netscape_year, tag(" "), time_of_day),
        |(_, day, _, month, _, year, _, clock)| to_unix(year, month, day, clock),
    )
    .parse(i)
}

fn netscape_year(i: &[u8]) -> IResult<&[u8], i64> {
    alt((digits_n(4), map(digits_n(2), short_year))).parse(i)
}
