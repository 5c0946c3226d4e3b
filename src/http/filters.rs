//! The header filters between a handler and the head: conditional requests, `expires`, `add_header`, ranges.

use super::{Request, ThreadState};
use crate::plan::{Expires, IfModifiedSince};
use crate::rt::clock;
use crate::values;
use crate::vars;
use crate::wire::KnownField;

/// Runs the filters in nginx's order. `Err`: the answer becomes this error instead.
pub(super) fn run(req: &mut Request, thread: &ThreadState) -> Result<(), u16> {
    not_modified(req)?;
    headers(req, thread);
    if req.private {
        private(req);
    }
    if req.location().encoding.is_some() {
        super::gzip::filter(req, thread);
    }
    super::range::filter(req)
}

/// RFC 9110 13.2.2, as far as nginx goes: only answers with 200 are looked at.
fn not_modified(req: &mut Request) -> Result<(), u16> {
    if req.out.status != 200 || req.disable_not_modified {
        return Ok(());
    }
    let modified = req.out.last_modified;
    let etag = req.out.etag.map(|e| req.out.value(e));
    if let Some(since) = req.head.get(KnownField::IfUnmodifiedSince)
        && modified.is_none_or(|m| values::http_date(since).is_none_or(|t| t < m))
    {
        return Err(412);
    }
    if let Some(list) = req.head.get(KnownField::IfMatch)
        && !etag_matches(list, etag, false)
    {
        return Err(412);
    }
    let since = req.head.get(KnownField::IfModifiedSince);
    let none = req.head.get(KnownField::IfNoneMatch);
    if since.is_none() && none.is_none() {
        return Ok(());
    }
    if since.is_some_and(|s| is_modified(s, modified, req.location().if_modified_since)) {
        return Ok(());
    }
    if none.is_some_and(|list| !etag_matches(list, etag, true)) {
        return Ok(());
    }
    req.out.status = 304;
    req.out.status_line.clear();
    req.out.content_type.clear();
    req.out.content_length = None;
    let ranges = req.out.accept_ranges.take();
    req.out.hide_opt(ranges);
    let encoding = req.out.content_encoding.take();
    req.out.hide_opt(encoding);
    Ok(())
}

fn is_modified(since: &[u8], modified: Option<i64>, rule: IfModifiedSince) -> bool {
    let Some(modified) = modified else { return true };
    let since = values::http_date(since).unwrap_or(-1);
    match rule {
        IfModifiedSince::Off => true,
        IfModifiedSince::Exact => since != modified,
        IfModifiedSince::Before => since < modified,
    }
}

/// Whether a list of entity tags has this one; `weak` comparison leaves `W/` out of account.
pub(super) fn etag_matches(list: &[u8], etag: Option<&[u8]>, weak: bool) -> bool {
    if list == b"*" {
        return true;
    }
    let Some(mut etag) = etag else { return false };
    if weak {
        etag = etag.strip_prefix(b"W/").unwrap_or(etag);
    }
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let mut rest = list;
    while !rest.is_empty() {
        if weak {
            rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        }
        if rest.len() < etag.len() {
            return false;
        }
        if let Some(after) = rest.strip_prefix(etag) {
            rest = &after[after.iter().take_while(|b| blank(b)).count()..];
            if rest.is_empty() || rest.starts_with(b",") {
                return true;
            }
        }
        rest = &rest[memchr::memchr(b',', rest).unwrap_or(rest.len())..];
        rest = &rest[rest.iter().take_while(|b| blank(b) || **b == b',').count()..];
    }
    false
}

/// Statuses that `add_header` without `always`, and `expires`, hold for.
fn safe_status(status: u16) -> bool {
    matches!(status, 200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308)
}

fn headers(req: &mut Request, thread: &ThreadState) {
    let loc = req.location();
    if loc.add_headers.is_empty() && loc.add_trailers.is_empty() && loc.expires == Expires::Off {
        return;
    }
    let safe = safe_status(req.out.status);
    if safe {
        expires(req, thread);
    }
    let set = req.location().set.clone();
    for add in set.add_headers.iter().filter(|a| safe || a.always) {
        thread.scratch(|value| {
            vars::eval(&add.value, req, value);
            put(req, &add.name, value);
        });
    }
    req.expect_trailers = set.add_trailers.iter().any(|a| safe || a.always);
}

/// `Cache-Control: private`, unless the answer says itself that no shared cache may keep it. (`no-cache` does not: a cache
/// keeps such an answer with its cookies, and asks before it gives it to the next client.)
fn private(req: &mut Request) {
    let kept_out = |value: &[u8]| {
        let mut words = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
        words.any(|w| w.eq_ignore_ascii_case(b"private") || w.eq_ignore_ascii_case(b"no-store"))
    };
    let of = |(name, value): (&[u8], &[u8])| name.eq_ignore_ascii_case(b"cache-control") && kept_out(value);
    if !req.out.fields().any(of) {
        req.out.push(b"Cache-Control", b"private");
    }
}

/// Makes the fields of `add_trailer`, behind those of a peer.
pub(super) fn trailers(req: &mut Request) {
    if !req.expect_trailers {
        return;
    }
    let set = req.location().set.clone();
    let safe = safe_status(req.out.status);
    for add in set.add_trailers.iter().filter(|a| safe || a.always) {
        let value = vars::eval_to_vec(&add.value, req);
        if !value.is_empty() {
            req.trailers.get_or_insert_default().sent.push(&add.name, &value);
        }
    }
}

/// One `add_header`: `Last-Modified` and `ETag` replace what is there, anything else is added.
fn put(req: &mut Request, name: &[u8], value: &[u8]) {
    if name.eq_ignore_ascii_case(b"last-modified") {
        let old = req.out.last_modified_field.take();
        req.out.hide_opt(old);
        req.out.last_modified = values::http_date(value);
        if value.is_empty() {
            req.out.last_modified = None;
        } else {
            req.out.last_modified_field = Some(req.out.push(name, value));
        }
    } else if name.eq_ignore_ascii_case(b"etag") {
        let old = req.out.etag.take();
        req.out.hide_opt(old);
        if !value.is_empty() {
            req.out.etag = Some(req.out.push(name, value));
        }
    } else if !value.is_empty() {
        req.out.push(name, value);
    }
}

fn expires(req: &mut Request, thread: &ThreadState) {
    let rule = match req.location().expires.clone() {
        Expires::Variable { modified, value } => thread.scratch(|text| {
            vars::eval(&value, req, text);
            read_expires(text, modified)
        }),
        rule => rule,
    };
    let now = i64::try_from(clock::unix_secs()).unwrap_or(0);
    let (at, max_age, past) = match rule {
        Expires::Off | Expires::Variable { .. } => return,
        Expires::Epoch => {
            return set_expires(req, |o| o.extend_from_slice(b"Thu, 01 Jan 1970 00:00:01 GMT"), None);
        }
        Expires::Max => {
            return set_expires(
                req,
                |o| o.extend_from_slice(b"Thu, 31 Dec 2037 23:55:55 GMT"),
                Some(315_360_000),
            );
        }
        Expires::Access(n) => (now + n, n, n < 0),
        Expires::Modified(n) => match req.out.last_modified {
            Some(m) if n != 0 => (m + n, m + n - now, n < 0),
            _ => (now + n, n, n < 0),
        },
        Expires::Daily(second) => {
            let offset = i64::from(thread.gmt_offset.get()) * 60;
            let today = (now + offset).div_euclid(86_400) * 86_400 - offset + i64::from(second);
            let next = if today > now { today } else { today + 86_400 };
            (next, next - now, false)
        }
    };
    let age = (!past && max_age >= 0).then_some(max_age);
    set_expires(req, |o| values::push_http_date(o, at), age);
}

/// The value that variables gave; one that is no rule turns `expires` off.
fn read_expires(text: &[u8], modified: bool) -> Expires {
    match text {
        b"epoch" if !modified => return Expires::Epoch,
        b"max" if !modified => return Expires::Max,
        b"off" if !modified => return Expires::Off,
        _ => {}
    }
    let (sign, digits) = match text.split_first() {
        Some((b'@', rest)) if !modified => {
            let second = values::sec(rest).and_then(|s| u32::try_from(s).ok());
            return second.filter(|s| *s <= 86_400).map_or(Expires::Off, Expires::Daily);
        }
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        _ => (1, text),
    };
    match values::sec(digits).and_then(|s| i64::try_from(s).ok()) {
        Some(n) if modified => Expires::Modified(sign * n),
        Some(n) => Expires::Access(sign * n),
        None => Expires::Off,
    }
}

/// `Expires` and `Cache-Control`; `None` is `no-cache`.
fn set_expires(req: &mut Request, date: impl FnOnce(&mut Vec<u8>), max_age: Option<i64>) {
    req.out.remove(b"Expires");
    req.out.remove(b"Cache-Control");
    req.out.push_with(b"Expires", date);
    req.out.push_with(b"Cache-Control", |out| match max_age {
        Some(age) => {
            out.extend_from_slice(b"max-age=");
            out.extend_from_slice(itoa::Buffer::new().format(age).as_bytes());
        }
        None => out.extend_from_slice(b"no-cache"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_found_in_lists() {
        let tag = Some(&b"\"a\""[..]);
        for (list, weak, want) in [
            ("*", false, true),
            ("\"a\"", false, true),
            ("\"b\", \"a\"", false, true),
            ("\"ab\"", false, false),
            ("W/\"a\"", false, false),
            ("W/\"a\"", true, true),
            ("\"b\" ,W/\"a\" , \"c\"", true, true),
            ("", true, false),
        ] {
            assert_eq!(etag_matches(list.as_bytes(), tag, weak), want, "{list}");
        }
        assert!(!etag_matches(b"\"a\"", None, true));
        assert!(!etag_matches(b"\"a\"", Some(b"W/\"a\""), false));
    }

    #[test]
    fn exact_and_before_differ_on_later_dates() {
        let later = b"Sun, 06 Nov 1994 08:49:38 GMT";
        assert!(is_modified(later, Some(784_111_777), IfModifiedSince::Exact));
        assert!(!is_modified(later, Some(784_111_777), IfModifiedSince::Before));
        assert!(is_modified(later, None, IfModifiedSince::Before));
    }
}
