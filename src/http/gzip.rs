//! Whether an answer is compressed, or unpacked, for this client: nginx's header filters `gzip` and `gunzip`.

use super::transform::{Gzip, Transform};
use super::{Request, ThreadState, browser};
use crate::plan::{Encoding, GzipAccepts, Proxied};
use crate::rt::clock;
use crate::values;
use crate::wire::{KnownField, Method, Version};

/// The header filter; the head says afterwards what the body will be.
pub(super) fn filter(req: &mut Request, thread: &ThreadState) {
    let set = req.location().set.clone();
    let Some(encoding) = set.encoding.as_deref() else { return };
    let unpacks = gunzip(req, encoding);
    if let Some(charset) = &encoding.charset {
        super::charset::filter(req, thread, charset);
    }
    let gzip = compress(req, encoding);
    if !unpacks && gzip.is_none() {
        return;
    }
    req.out.content_length = None;
    req.allow_ranges = false;
    let ranges = req.out.accept_ranges.take();
    req.out.hide_opt(ranges);
    weaken(req);
    if req.method() != Method::Head {
        req.transform = Transform::new(unpacks, gzip).map(Box::new);
    }
}

/// `gunzip`: for clients that take no gzip.
fn gunzip(req: &mut Request, encoding: &Encoding) -> bool {
    let packed = |field| req.out.value(field).eq_ignore_ascii_case(b"gzip");
    if !encoding.gunzip || !req.out.content_encoding.is_some_and(packed) {
        return false;
    }
    req.out.vary |= encoding.accepts.vary;
    if accepts(req, &encoding.accepts) {
        return false;
    }
    let encoding = req.out.content_encoding.take();
    req.out.hide_opt(encoding);
    true
}

/// `gzip`
fn compress(req: &mut Request, encoding: &Encoding) -> Option<Gzip> {
    let gzip = encoding.gzip.as_ref()?;
    let length = req.out.content_length;
    if !matches!(req.out.status, 200 | 403 | 404)
        || length.is_some_and(|n| n < gzip.min_length)
        || !gzip.types.has(&req.out.content_type)
        || req.header_only
        || req.out.content_encoding.is_some_and(|e| !req.out.value(e).is_empty())
    {
        return None;
    }
    req.out.vary |= encoding.accepts.vary;
    if !accepts(req, &encoding.accepts) {
        return None;
    }
    req.out.push(b"Content-Encoding", b"gzip");
    Some(Gzip::new(gzip.level, gzip.window_bits, length))
}

/// The entity tag is that of the bytes before: good for a weak comparison at most.
fn weaken(req: &mut Request) {
    let Some(field) = req.out.etag else { return };
    let etag = req.out.value(field);
    if etag.starts_with(b"W/") && etag.len() > 2 {
        return;
    }
    let weak = (etag.first() == Some(&b'"')).then(|| [b"W/", etag].concat());
    match weak {
        Some(weak) => req.out.set_value(field, &weak),
        None => {
            req.out.hide(field);
            req.out.etag = None;
        }
    }
}

/// Whether the client takes gzip, and may be given it. Asked once a request: who asks first gets what the head says then.
pub(super) fn accepts(req: &mut Request, rules: &GzipAccepts) -> bool {
    if req.gzip_ok.is_none() {
        req.gzip_ok = Some(takes_gzip(req, rules));
    }
    req.gzip_ok == Some(true)
}

fn takes_gzip(req: &Request, rules: &GzipAccepts) -> bool {
    let head = &req.head;
    let agent = head.get(KnownField::UserAgent);
    if !head.get(KnownField::AcceptEncoding).is_some_and(named)
        || (rules.msie6 && agent.is_some_and(browser::is_msie6))
        || head.version < if rules.http_10 { Version::HTTP_10 } else { Version::HTTP_11 }
        || (head.get(KnownField::Via).is_some() && !proxied(req, rules.proxied))
    {
        return false;
    }
    // A regex that fails counts as one that fits, as in nginx.
    let is_disabled = |agent: &[u8]| {
        let regexes = rules.disable.iter().filter_map(|r| req.plan.regexes.get(r.ix()));
        regexes.into_iter().any(|r| r.code.is_match(agent).unwrap_or(true))
    };
    !agent.is_some_and(is_disabled)
}

/// `gzip_proxied`: whether an answer to a request that came through a proxy may be compressed.
fn proxied(req: &Request, rules: Proxied) -> bool {
    if rules.contains(Proxied::OFF) {
        return false;
    }
    if rules.contains(Proxied::ANY)
        || (rules.contains(Proxied::AUTH) && req.head.get(KnownField::Authorization).is_some())
    {
        return true;
    }
    let field = |name: &[u8]| req.out.fields().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v);
    if let Some(expires) = field(b"expires") {
        let now = || i64::try_from(clock::unix_secs()).unwrap_or(0);
        let date = match field(b"date") {
            Some(date) => values::http_date(date),
            None => Some(now()),
        };
        let expired = values::http_date(expires).zip(date).is_some_and(|(expires, date)| expires < date);
        return rules.contains(Proxied::EXPIRED) && expired;
    }
    if field(b"cache-control").is_some() {
        let says = |word: &[u8]| {
            let lines = req.out.fields().filter(|(n, _)| n.eq_ignore_ascii_case(b"cache-control"));
            lines.into_iter().any(|(_, line)| {
                let mut parts = line.split(|b| *b == b',').map(|p| p.trim_ascii());
                parts.any(|p| p.eq_ignore_ascii_case(word))
            })
        };
        let words: [(Proxied, &[u8]); 3] = [
            (Proxied::NO_CACHE, b"no-cache"),
            (Proxied::NO_STORE, b"no-store"),
            (Proxied::PRIVATE, b"private"),
        ];
        return words.iter().any(|(rule, word)| rules.contains(*rule) && says(word));
    }
    let dated = req.out.last_modified_field.is_some();
    !(rules.contains(Proxied::NO_LAST_MODIFIED) && dated
        || rules.contains(Proxied::NO_ETAG) && req.out.etag.is_some())
}

/// Whether `Accept-Encoding` names gzip with a quality that is not 0. nginx's reading: whatever is odd about the entry is
/// a no, and the first entry decides.
fn named(list: &[u8]) -> bool {
    if list.starts_with(b"gzip,") {
        return true;
    }
    let is_begin = |at: usize| at == 0 || matches!(list.get(at - 1), Some(b',' | b' '));
    let found = list.windows(4).enumerate().filter(|(_, w)| w.eq_ignore_ascii_case(b"gzip"));
    let Some((at, _)) = found.into_iter().find(|(at, _)| is_begin(*at)) else { return false };
    let rest = list.get(at + 4..).unwrap_or_default().trim_ascii_start();
    let Some((first, rest)) = rest.split_first() else { return true };
    match first {
        b',' => return true,
        b';' => {}
        _ => return false,
    }
    let rest = rest.trim_ascii_start();
    match rest.split_first() {
        None => true,
        Some((b'q' | b'Q', rest)) => rest.strip_prefix(b"=").is_some_and(is_above_zero),
        Some(_) => false,
    }
}

/// A quality of RFC 9110, 12.4.2, and not 0.
fn is_above_zero(text: &[u8]) -> bool {
    let end = text.iter().position(|b| matches!(b, b',' | b' ')).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    let (whole, fraction) = match text.split_first() {
        Some((b'0', rest)) => (0, rest),
        Some((b'1', rest)) => (1, rest),
        _ => return false,
    };
    let digits = match fraction.split_first() {
        None => &[][..],
        Some((b'.', digits)) => digits,
        Some(_) => return false,
    };
    let good = digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit);
    let any = digits.iter().any(|d| *d != b'0');
    good && (whole == 0 && any || whole == 1 && !any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_named_with_a_quality_that_is_not_zero() {
        for (list, want) in [
            ("gzip", true),
            ("gzip, deflate", true),
            ("deflate, GZip;q=1", true),
            ("deflate,gzip ; Q=0.001", true),
            ("gzip;q=1.000", true),
            ("gzip;q=1.001", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000, gzip", false),
            ("gzip;q=0.0001", false),
            ("gzip;q=2", false),
            ("gzip;q=", false),
            ("gzip;x=1", false),
            ("gzip;", true),
            ("xgzip", false),
            ("x-gzip", false),
            ("xgzip, gzip", true),
            ("gzipped", false),
            ("gz", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(named(list.as_bytes()), want, "{list}");
        }
    }
}
