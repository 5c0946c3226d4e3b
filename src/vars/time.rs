//! Times as the logs write them.

use crate::values::Civil;

fn two(out: &mut Vec<u8>, v: u8) {
    out.extend_from_slice(&[b'0' + v / 10 % 10, b'0' + v % 10]);
}

fn year(out: &mut Vec<u8>, v: i64) {
    let text = format!("{v:04}");
    out.extend_from_slice(text.as_bytes());
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
    let c = Civil::from_unix(seconds + i64::from(minutes) * 60);
    two(out, c.day);
    out.push(b'/');
    out.extend_from_slice(c.month_name().as_bytes());
    out.push(b'/');
    year(out, c.year);
    out.push(b':');
    clock(out, &c);
    out.push(b' ');
    offset(out, minutes, false);
}

/// `$time_iso8601`: `1970-09-28T12:00:00+06:00`
pub fn iso8601(seconds: i64, minutes: i32, out: &mut Vec<u8>) {
    let c = Civil::from_unix(seconds + i64::from(minutes) * 60);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_carry_the_local_offset() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        log_time(86_400, -210, &mut a);
        iso8601(0, 330, &mut b);
        assert_eq!(a, b"01/Jan/1970:20:30:00 -0330");
        assert_eq!(b, b"1970-01-01T05:30:00+05:30");
    }

    #[test]
    fn milliseconds_are_three_digits() {
        let mut out = Vec::new();
        push_msec(12_007, &mut out);
        assert_eq!(out, b"12.007");
    }
}
