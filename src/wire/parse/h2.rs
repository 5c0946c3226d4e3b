//! Request heads of HTTP/2 (RFC 9113, section 8.3) in the form of all heads. What hyper lets through is checked as nginx
//! does; the fields have been read already, names in lower case.

use hyper::header::COOKIE;
use hyper::http::request::Parts;

use super::super::error::Refusal;
use super::super::head::{Field, Limits, RequestHead, Span, Version};
use super::super::{Framing, KnownField, Method};
use super::fields::is_usual_name;
use super::line::h2_target;
use super::request::{BAD_REQUEST, RequestParser, TOO_LARGE, keep_host, validate_host};

const PROTOCOL: &[u8] = b"HTTP/2.0";

/// Fills `head`. `ended`: no body follows. After a refusal it holds what was understood.
pub(in super::super) fn h2_request(
    parts: &Parts,
    ended: bool,
    head: &mut RequestHead,
    limits: &Limits,
) -> Result<(), Refusal> {
    let mut buf = std::mem::take(&mut head.buf);
    let result = read(parts, ended, &mut buf, head, limits);
    keep_host(head, &mut buf);
    head.buf = buf;
    result
}

fn read(
    parts: &Parts,
    ended: bool,
    buf: &mut Vec<u8>,
    head: &mut RequestHead,
    limits: &Limits,
) -> Result<(), Refusal> {
    let refuse = |status, text: &str| Err(Refusal::new(status, text));
    head.version = Version::HTTP_20;
    head.keep_alive = true;
    line(parts, buf, head)?;
    // CONNECT has no path, and nothing else is needed of it.
    if head.method_id == Method::Connect {
        return refuse(405, "client sent CONNECT method");
    }
    if !parts.method.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b == b'-') {
        return refuse(BAD_REQUEST, "client sent invalid method");
    }
    if !h2_target(buf, head) {
        let path = String::from_utf8_lossy(head.target.of(buf)).into_owned();
        return refuse(BAD_REQUEST, &format!("client sent invalid :path header: \"{path}\""));
    }
    let authority = parts.uri.authority().map(|a| a.as_str().as_bytes()).filter(|a| !a.is_empty());
    if let Some(authority) = authority {
        let Some((len, port)) = validate_host(authority) else {
            return refuse(BAD_REQUEST, "client sent invalid \":authority\" header");
        };
        let value = append(buf, authority);
        head.host = Some(Span { start: value.start, end: value.start + len as u32 });
        head.port = port;
    }
    let authority_at = head.host.map(|h| h.start);
    fields(parts, buf, head, limits)?;
    match (authority, head.get_in(buf, KnownField::Host)) {
        (None, None) => {
            return refuse(BAD_REQUEST, "client sent neither \":authority\" nor \"Host\" header");
        }
        (Some(authority), Some(host)) if authority != host => {
            let text = "client sent \":authority\" and \"Host\" headers with different values";
            return refuse(BAD_REQUEST, text);
        }
        (Some(authority), None) => {
            let start = authority_at.unwrap_or_default();
            let value = Span { start, end: start + authority.len() as u32 };
            head.fields.push(Field { name: append(buf, b"host"), value, id: KnownField::Host });
            head.host_field = true;
        }
        _ => {}
    }
    head.length = buf.len();
    match head.get_in(buf, KnownField::ContentLength) {
        Some(length) => match super::request::number(length) {
            Some(n) => head.framing = Framing::Length(n),
            None => return refuse(BAD_REQUEST, "client sent invalid \"Content-Length\" header"),
        },
        None if !ended => head.framing = Framing::Chunked,
        None => {}
    }
    if head.method_id == Method::Trace {
        return refuse(405, "client sent TRACE method");
    }
    Ok(())
}

/// The line that nginx shows, `GET /path HTTP/2.0`.
fn line(parts: &Parts, buf: &mut Vec<u8>, head: &mut RequestHead) -> Result<(), Refusal> {
    let method = parts.method.as_str().as_bytes();
    head.method = append(buf, method);
    head.method_id = Method::of(method);
    buf.push(b' ');
    let path = parts.uri.path_and_query().map_or("", |p| p.as_str());
    head.target = append(buf, path.as_bytes());
    buf.push(b' ');
    head.protocol = append(buf, PROTOCOL);
    head.line = Span::new(0, buf.len());
    if path.is_empty() && head.method_id != Method::Connect {
        return Err(Refusal::new(BAD_REQUEST, "client sent no :path header"));
    }
    Ok(())
}

/// All fields as they came; the crumbs of a cookie become one (section 8.2.3).
fn fields(parts: &Parts, buf: &mut Vec<u8>, head: &mut RequestHead, limits: &Limits) -> Result<(), Refusal> {
    let mut parser = RequestParser::new(limits);
    let (count, size) = limits.large_buffers;
    let mut room = count.saturating_mul(size);
    for (name, value) in &parts.headers {
        let (text, value) = (name.as_str().as_bytes(), value.as_bytes());
        room = room.checked_sub(text.len() + value.len()).ok_or_else(too_large)?;
        if text.len().max(value.len()) > size {
            return Err(too_large());
        }
        if name == COOKIE {
            continue;
        }
        let id = KnownField::of(text);
        if id == KnownField::Other
            && limits.ignore_invalid_headers
            && !is_usual_name(text, limits.underscores_in_headers)
        {
            continue;
        }
        let (name, value) = (append(buf, text), append(buf, value));
        head.fields.push(Field { name, value, id });
        parser.on_field(buf, head.fields.len() - 1, head, limits)?;
    }
    let mut crumbs = parts.headers.get_all(COOKIE).iter();
    if let Some(first) = crumbs.next() {
        let name = append(buf, b"cookie");
        let start = append(buf, first.as_bytes()).start;
        for crumb in crumbs {
            buf.extend_from_slice(b"; ");
            buf.extend_from_slice(crumb.as_bytes());
        }
        let value = Span { start, end: buf.len() as u32 };
        head.fields.push(Field { name, value, id: KnownField::Cookie });
    }
    Ok(())
}

fn too_large() -> Refusal {
    Refusal::new(TOO_LARGE, "client sent too large header")
}

fn append(buf: &mut Vec<u8>, text: &[u8]) -> Span {
    let start = buf.len();
    buf.extend_from_slice(text);
    Span::new(start, buf.len())
}
