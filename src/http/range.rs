//! `Range`: parts of a file (RFC 9110 14), nginx's way.

use super::Request;
use crate::values;
use crate::wire::KnownField;

/// What of the body is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ranges {
    #[default]
    All,
    One(u64, u64),
    /// `multipart/byteranges` with this boundary; the ranges end before the second number.
    Many {
        boundary: Box<str>,
        content_type: Box<[u8]>,
        total: u64,
        parts: Vec<(u64, u64)>,
    },
}

/// The header filter: only 200 answers of known length whose handler set `allow_ranges` are looked at.
pub(super) fn filter(req: &mut Request) -> Result<(), u16> {
    if !req.allow_ranges || req.out.status != 200 || req.head.version < crate::wire::Version::HTTP_10 {
        return Ok(());
    }
    let Some(length) = req.out.content_length else { return Ok(()) };
    let most = req.location().max_ranges;
    if most == Some(0) {
        return Ok(());
    }
    let decided = match req.head.get(KnownField::Range) {
        Some(range) if range.len() >= 7 && range[..6].eq_ignore_ascii_case(b"bytes=") && if_range(req) => {
            parse(&range[6..], length, most)
        }
        _ => Parsed::Whole,
    };
    match decided {
        Parsed::Whole => {
            req.out.accept_ranges = Some(req.out.push(b"Accept-Ranges", b"bytes"));
            Ok(())
        }
        Parsed::Unsatisfiable => {
            req.out.status = 416;
            req.out.push(b"Content-Range", format!("bytes */{length}").as_bytes());
            req.out.content_length = None;
            Err(416)
        }
        Parsed::Parts(parts) => {
            req.out.status = 206;
            req.out.status_line.clear();
            if let [(from, to)] = parts[..] {
                req.out.push(b"Content-Range", format!("bytes {from}-{}/{length}", to - 1).as_bytes());
                req.out.content_length = Some(to - from);
                req.ranges = Ranges::One(from, to);
            } else {
                many(req, length, parts);
            }
            Ok(())
        }
    }
}

/// `If-Range`: whether the ranges hold for what we have.
fn if_range(req: &Request) -> bool {
    let Some(condition) = req.head.get(KnownField::IfRange) else { return true };
    if condition.len() > 2 && condition.last() == Some(&b'"') {
        return req.out.etag.is_some_and(|e| req.out.value(e) == condition);
    }
    match req.out.last_modified {
        Some(modified) => values::http_date(condition) == Some(modified),
        None => false,
    }
}

enum Parsed {
    Whole,
    Unsatisfiable,
    Parts(Vec<(u64, u64)>),
}

fn parse(spec: &[u8], length: u64, most: Option<u64>) -> Parsed {
    let mut parts = Vec::new();
    let mut size: u64 = 0;
    for one in spec.split(|&b| b == b',') {
        let Some(dash) = memchr::memchr(b'-', one) else { return Parsed::Unsatisfiable };
        let (first, last) = (one[..dash].trim_ascii(), one[dash + 1..].trim_ascii());
        let (from, to) = match (first, last) {
            (b"", b"") => return Parsed::Unsatisfiable,
            (b"", n) => match number(n) {
                Some(n) => (length.saturating_sub(n), length),
                None => return Parsed::Unsatisfiable,
            },
            (n, b"") => match number(n) {
                Some(n) => (n, length),
                None => return Parsed::Unsatisfiable,
            },
            (a, b) => match (number(a), number(b)) {
                (Some(a), Some(b)) => (a, b.saturating_add(1).min(length)),
                _ => return Parsed::Unsatisfiable,
            },
        };
        if from < to {
            parts.push((from, to));
            size = size.saturating_add(to - from);
            if most.is_some_and(|most| parts.len() as u64 > most) {
                return Parsed::Whole;
            }
        } else if from == 0 {
            return Parsed::Whole;
        }
    }
    if parts.is_empty() {
        return Parsed::Unsatisfiable;
    }
    // Overlapping ranges, or so many that they cost more than the file: the file.
    if parts.len() > 1
        && (size > length
            || most.is_none() && size.saturating_add(parts.len() as u64 * 256) > length.saturating_add(4096))
    {
        return Parsed::Whole;
    }
    Parsed::Parts(parts)
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    i64::try_from(n).ok()?;
    Some(n)
}

fn many(req: &mut Request, total: u64, parts: Vec<(u64, u64)>) {
    let number = crate::rt::Rng::thread(|r| r.next_u64());
    let boundary: Box<str> = format!("{number:020}").into();
    let content_type: Box<[u8]> = req.out.content_type.as_slice().into();
    let ranges = Ranges::Many { boundary, content_type, total, parts };
    let mut length = 0;
    if let Ranges::Many { boundary, parts, .. } = &ranges {
        length = 2 + 2 + boundary.len() as u64 + 4;
        for &(from, to) in parts {
            let mut head = Vec::new();
            ranges.part_head(from, to, &mut head);
            length += head.len() as u64 + (to - from);
        }
        req.out.content_type.clear();
        req.out.content_type.extend_from_slice(b"multipart/byteranges; boundary=");
        req.out.content_type.extend_from_slice(boundary.as_bytes());
    }
    req.out.content_length = Some(length);
    req.ranges = ranges;
}

impl Ranges {
    /// What stands before a part.
    pub(super) fn part_head(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        if let Self::Many { boundary, content_type, total, .. } = self {
            out.extend_from_slice(b"\r\n--");
            out.extend_from_slice(boundary.as_bytes());
            if !content_type.is_empty() {
                out.extend_from_slice(b"\r\nContent-Type: ");
                out.extend_from_slice(content_type);
            }
            out.extend_from_slice(
                format!("\r\nContent-Range: bytes {from}-{}/{total}\r\n\r\n", to - 1).as_bytes(),
            );
        }
    }

    /// What stands after the last part.
    pub(super) fn end(&self, out: &mut Vec<u8>) {
        if let Self::Many { boundary, .. } = self {
            out.extend_from_slice(b"\r\n--");
            out.extend_from_slice(boundary.as_bytes());
            out.extend_from_slice(b"--\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spec: &str) -> Option<Vec<(u64, u64)>> {
        match parse(spec.as_bytes(), 100, None) {
            Parsed::Parts(p) => Some(p),
            Parsed::Whole => Some(Vec::new()),
            Parsed::Unsatisfiable => None,
        }
    }

    #[test]
    fn ranges_are_clipped_and_refused() {
        assert_eq!(of("0-9"), Some(vec![(0, 10)]));
        assert_eq!(of("90-"), Some(vec![(90, 100)]));
        assert_eq!(of("-5"), Some(vec![(95, 100)]));
        assert_eq!(of("-500"), Some(vec![(0, 100)]));
        assert_eq!(of("0-500"), Some(vec![(0, 100)]));
        assert_eq!(of("100-"), None);
        assert_eq!(of("5-4,x"), None);
        assert_eq!(of("-"), None);
        assert_eq!(of("0-1, 5-6"), Some(vec![(0, 2), (5, 7)]));
        assert_eq!(of("0-99,0-99"), Some(vec![]));
    }
}
