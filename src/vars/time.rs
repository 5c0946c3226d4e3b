//! Dates as HTTP and the logs write them.

/// A moment split into the fields of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    /// 1 … 12
    pub month: u8,
    /// 1 … 31
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

const DAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// `seconds` since 1970 (UTC, or local when the offset was added before).
pub fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    // Days since 0000-03-01, so that a leap day ends its year.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |v: i64| u8::try_from(v).expect("a calendar field is below 61");
    Civil {
        year,
        month: small(month),
        day: small(day_of_year - (153 * shifted + 2) / 5 + 1),
        hour: small(rest / 3_600),
        minute: small(rest % 3_600 / 60),
        second: small(rest % 60),
        weekday: small((days + 4).rem_euclid(7)),
    }
}

fn seconds_of(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second
}

fn two(out: &mut Vec<u8>, v: u8) {
    out.extend_from_slice(&[b'0' + v / 10 % 10, b'0' + v % 10]);
}

fn year(out: &mut Vec<u8>, v: i64) {
    let text = format!("{v:04}");
    out.extend_from_slice(text.as_bytes());
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub fn http_date(seconds: i64, out: &mut Vec<u8>) {
    let c = civil(seconds);
    out.extend_from_slice(DAYS[usize::from(c.weekday)]);
    out.extend_from_slice(b", ");
    two(out, c.day);
    out.push(b' ');
    out.extend_from_slice(MONTHS[usize::from(c.month - 1)]);
    out.push(b' ');
    year(out, c.year);
    out.push(b' ');
    clock(out, &c);
    out.extend_from_slice(b" GMT");
}

fn clock(out: &mut Vec<u8>, c: &Civil) {
    two(out, c.hour);
    out.push(b':');
    two(out, c.minute);
    out.push(b':');
    two(out, c.second);
}

fn offset(out: &mut Vec<u8>, minutes: i32, colon: bool) {
    out.push(if minutes < 0 { b'-' } else { b'+' });
    let m = minutes.unsigned_abs();
    let small = |v: u32| u8::try_from(v % 100).unwrap_or(0);
    two(out, small(m / 60));
    if colon {
        out.push(b':');
    }
    two(out, small(m % 60));
}

/// `$time_local`: `28/Sep/1970:12:00:00 +0600`; `minutes` is the local offset from UTC.
pub fn log_time(seconds: i64, minutes: i32, out: &mut Vec<u8>) {
    let c = civil(seconds + i64::from(minutes) * 60);
    two(out, c.day);
    out.push(b'/');
    out.extend_from_slice(MONTHS[usize::from(c.month - 1)]);
    out.push(b'/');
    year(out, c.year);
    out.push(b':');
    clock(out, &c);
    out.push(b' ');
    offset(out, minutes, false);
}

/// `$time_iso8601`: `1970-09-28T12:00:00+06:00`
pub fn iso8601(seconds: i64, minutes: i32, out: &mut Vec<u8>) {
    let c = civil(seconds + i64::from(minutes) * 60);
    year(out, c.year);
    out.push(b'-');
    two(out, c.month);
    out.push(b'-');
    two(out, c.day);
    out.push(b'T');
    clock(out, &c);
    offset(out, minutes, true);
}

/// `12.345`: milliseconds as seconds.
pub fn push_msec(msec: u64, out: &mut Vec<u8>) {
    let mut buf = itoa::Buffer::new();
    out.extend_from_slice(buf.format(msec / 1000).as_bytes());
    let ms = msec % 1000;
    let digit = |v: u64| b'0' + u8::try_from(v % 10).unwrap_or(0);
    out.extend_from_slice(&[b'.', digit(ms / 100), digit(ms / 10), digit(ms)]);
}

/// The three date forms of RFC 9110 5.6.7; `None` when it is none of them.
pub fn parse_http_date(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.trim_matches(' ');
    let (day_name, rest) = text.split_once(' ')?;
    let number = |s: &str| -> Option<i64> {
        (!s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().ok()).flatten()
    };
    let month = |s: &str| -> Option<i64> { Some(MONTHS.iter().position(|m| s.as_bytes() == *m)? as i64 + 1) };
    let (y, mo, d, hms) = if day_name.ends_with(',') {
        let rest = rest.trim_start_matches(' ');
        if rest.as_bytes().get(2) == Some(&b'-') {
            // RFC 850: `Sunday, 06-Nov-94 08:49:37 GMT`
            let (date, time) = rest.split_once(' ')?;
            let mut parts = date.split('-');
            let (d, m, y) = (number(parts.next()?)?, month(parts.next()?)?, number(parts.next()?)?);
            (
                if y < 70 {
                    y + 2000
                } else if y < 100 {
                    y + 1900
                } else {
                    y
                },
                m,
                d,
                time,
            )
        } else {
            let mut parts = rest.splitn(4, ' ');
            let (d, m, y) = (number(parts.next()?)?, month(parts.next()?)?, number(parts.next()?)?);
            (y, m, d, parts.next()?)
        }
    } else {
        // asctime: `Sun Nov  6 08:49:37 1994`
        let mut parts = rest.split(' ').filter(|p| !p.is_empty());
        let (m, d) = (month(parts.next()?)?, number(parts.next()?)?);
        let time = parts.next()?;
        (number(parts.next()?)?, m, d, time)
    };
    let mut clock = hms.split(' ').next()?.split(':');
    let (h, mi, s) = (number(clock.next()?)?, number(clock.next()?)?, number(clock.next()?)?);
    let days = match mo {
        2 if (y % 4 == 0 && y % 100 != 0) || y % 400 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (h < 24 && mi < 60 && s < 60 && (1..=days).contains(&d)).then(|| seconds_of(y, mo, d, h, mi, s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_out_and_come_back() {
        for s in [0, 784_111_777, 951_782_400, 1_795_257_600, 4_102_444_799] {
            let mut text = Vec::new();
            http_date(s, &mut text);
            assert_eq!(parse_http_date(&text), Some(s), "{}", String::from_utf8_lossy(&text));
        }
        let mut text = Vec::new();
        http_date(784_111_777, &mut text);
        assert_eq!(text, b"Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn the_old_forms_are_read() {
        assert_eq!(parse_http_date(b"Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_http_date(b"Sun Nov  6 08:49:37 1994"), Some(784_111_777));
        assert_eq!(parse_http_date(b"Sun, 31 Feb 1994 08:49:37 GMT"), None);
        assert_eq!(parse_http_date(b"yesterday"), None);
    }

    #[test]
    fn logs_carry_the_local_offset() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        log_time(0, -210, &mut a);
        iso8601(0, 330, &mut b);
        assert_eq!(a, b"31/Dec/1969:20:30:00 -0330");
        assert_eq!(b, b"1970-01-01T05:30:00+05:30");
    }

    #[test]
    fn milliseconds_are_three_digits() {
        let mut out = Vec::new();
        push_msec(12_007, &mut out);
        assert_eq!(out, b"12.007");
    }
}
