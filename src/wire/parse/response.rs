//! Response heads of peers, as nginx's proxy takes them.

use super::super::error::ResponseError;
use super::super::head::{Field, ResponseHead, Span, Version};
use super::super::{Framing, KnownField};
use super::fields::{BadField, Line, Rules, field_line, line_length};
use super::request::{contains, lossy, number};

const RULES: Rules = Rules { underscores: true, response: true };

/// Reads the head at the start of `input`. `Some`: its length. `head_request`: the request's method was HEAD.
pub fn parse_response(
    input: &[u8],
    head: &mut ResponseHead,
    head_request: bool,
) -> Result<Option<usize>, ResponseError> {
    head.clear();
    let Some(mut at) = status_line(input, head)? else { return Ok(None) };
    let mut close = head.version < Version::HTTP_11;
    loop {
        let rest = &input[at..];
        let Some(len) = line_length(rest, 0) else { return Ok(None) };
        let line = &rest[..len];
        match field_line(line, RULES).map_err(|bad| bad_line(line, bad))? {
            Line::End => {
                at += len + 1;
                break;
            }
            Line::StatusAgain => {}
            Line::Field { name_end, value, .. } => {
                let field = Field {
                    name: Span::new(at, at + name_end),
                    value: Span::new(at + value.0, at + value.1),
                    id: KnownField::of(&line[..name_end]),
                };
                on_field(input, field, head, &mut close)?;
                head.fields.push(field);
            }
        }
        at += len + 1;
    }
    head.keep_alive = !close;
    head.upgrade = head.status == 101;
    head.framing = framing(head, head_request);
    head.buf.extend_from_slice(&input[..at]);
    Ok(Some(at))
}

/// RFC 9112, section 6.3, in nginx's reading: chunked goes before a length, which it excludes anyway.
fn framing(head: &ResponseHead, head_request: bool) -> Framing {
    match head.status {
        _ if head_request => Framing::Empty,
        100..=199 | 204 | 304 => Framing::Empty,
        _ if head.chunked => Framing::Chunked,
        _ => head.content_length.map_or(Framing::UntilClose, Framing::Length),
    }
}

fn on_field(
    input: &[u8],
    field: Field,
    head: &mut ResponseHead,
    close: &mut bool,
) -> Result<(), ResponseError> {
    let invalid = |text: String| Err(ResponseError::Invalid(text));
    let text = |f: Field| format!("{}: {}", lossy(f.name.of(input)), lossy(f.value.of(input)));
    let value = field.value.of(input);
    match field.id {
        KnownField::Connection => *close |= contains(value, b"close"),
        KnownField::ContentLength | KnownField::TransferEncoding => {
            if let Some(&before) = head.fields.iter().find(|f| f.id == field.id) {
                return invalid(format!(
                    "upstream sent duplicate header line: \"{}\", previous value: \"{}\"",
                    text(field),
                    text(before)
                ));
            }
            if head.chunked || head.content_length.is_some() {
                return invalid(
                    "upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time"
                        .into(),
                );
            }
            if field.id == KnownField::ContentLength {
                head.content_length = number(value);
                if head.content_length.is_none() {
                    return invalid(format!(
                        "upstream sent invalid \"Content-Length\" header: \"{}\"",
                        text(field)
                    ));
                }
            } else {
                head.chunked = value.eq_ignore_ascii_case(b"chunked");
                if !head.chunked {
                    return invalid(format!(
                        "upstream sent unknown \"Transfer-Encoding\": \"{}\"",
                        lossy(value)
                    ));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn bad_line(line: &[u8], bad: BadField) -> ResponseError {
    let byte = line.get(bad.at).copied().unwrap_or(b'\n');
    let before = lossy(line.get(..bad.at).unwrap_or(line));
    ResponseError::Invalid(format!("upstream sent invalid header: \"{before}\\x{byte:02x}...\""))
}

/// `HTTP/1.1 200 OK`; the reason, and the blank before it, may be missing.
fn status_line(input: &[u8], head: &mut ResponseHead) -> Result<Option<usize>, ResponseError> {
    let bad = Err(ResponseError::NotHttp);
    let start = input.get(..5).unwrap_or(input);
    if !b"HTTP/".starts_with(start) {
        return bad;
    }
    let mut at = 5;
    let (Some(major), next) = digits(input, &mut at) else {
        return if at < input.len() { bad } else { Ok(None) };
    };
    match next {
        None => return Ok(None),
        Some(b'.') if major > 0 => at += 1,
        _ => return bad,
    }
    let (Some(minor), next) = digits(input, &mut at) else {
        return if at < input.len() { bad } else { Ok(None) };
    };
    match next {
        None => return Ok(None),
        Some(b' ') => {}
        _ => return bad,
    }
    while input.get(at) == Some(&b' ') {
        at += 1;
    }
    let status = at;
    while at < status + 3 {
        match input.get(at) {
            Some(b) if b.is_ascii_digit() => head.status = head.status * 10 + u16::from(b - b'0'),
            Some(_) => return bad,
            None => return Ok(None),
        }
        at += 1;
    }
    match input.get(at) {
        Some(b' ' | b'.' | b'\r' | b'\n') => {}
        Some(_) => return bad,
        None => return Ok(None),
    }
    let Some(len) = line_length(input, at) else { return Ok(None) };
    let mut end = len;
    if input[at..end].last() == Some(&b'\r') {
        end -= 1;
    }
    if memchr::memchr(b'\r', &input[at..end]).is_some() {
        return bad;
    }
    head.status_line = Span::new(status, end);
    head.version = Version(major.saturating_mul(1000).saturating_add(minor));
    Ok(Some(len + 1))
}

/// Up to four digits at `at`, and what follows them.
fn digits(input: &[u8], at: &mut usize) -> (Option<u16>, Option<u8>) {
    let start = *at;
    let mut n = 0_u16;
    while let Some(b) = input.get(*at).filter(|b| b.is_ascii_digit()) {
        if *at - start >= 3 {
            return (None, Some(*b));
        }
        n = n * 10 + u16::from(b - b'0');
        *at += 1;
    }
    ((*at > start).then_some(n), input.get(*at).copied())
}

/// The fields of a trailer section, offsets into it; lines that are no fields are left out.
pub fn parse_trailers(section: &[u8], fields: &mut Vec<Field>) {
    let mut at = 0;
    while let Some(len) = section.get(at..).and_then(|rest| line_length(rest, 0)) {
        let line = &section[at..at + len];
        if let Ok(Line::Field { name_end, value, invalid: false }) = field_line(line, RULES) {
            fields.push(Field {
                name: Span::new(at, at + name_end),
                value: Span::new(at + value.0, at + value.1),
                id: KnownField::of(&line[..name_end]),
            });
        }
        at += len + 1;
    }
}
