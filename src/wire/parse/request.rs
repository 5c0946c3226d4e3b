//! Request heads. The order of the checks is nginx's: the line, each field as it comes, then what needs all of them.

use super::super::error::Refusal;
use super::super::head::{Field, Limits, RequestHead, Span, Version};
use super::super::{Framing, KnownField, Method};
use super::fields::{BadField, Line, Rules, check_partial, field_line, is_usual_name, line_length};
use super::line::request_line;

/// Fields that a request may have once.
const UNIQUE: u128 = KnownField::IfModifiedSince.bit()
    | KnownField::IfUnmodifiedSince.bit()
    | KnownField::IfMatch.bit()
    | KnownField::IfNoneMatch.bit()
    | KnownField::ContentLength.bit()
    | KnownField::ContentRange.bit()
    | KnownField::IfRange.bit()
    | KnownField::TransferEncoding.bit()
    | KnownField::Expect.bit()
    | KnownField::Authorization.bit()
    | KnownField::ProxyAuthorization.bit()
    | KnownField::Host.bit();

/// nginx's "Request Header Or Cookie Too Large", answered as 400.
pub(super) const TOO_LARGE: u16 = 494;
pub(super) const BAD_REQUEST: u16 = 400;

/// How many CR and LF precede a request; they are skipped.
pub fn skip_empty_lines(input: &[u8]) -> usize {
    input.iter().take_while(|&&b| b == b'\r' || b == b'\n').count()
}

/// Reads one head out of an input that grows.
#[derive(Debug, Default)]
pub struct RequestParser {
    /// Where the next line begins; 0: the request line.
    at: usize,
    /// Bytes that are known not to hold the LF of the line at `at`.
    scanned: usize,
    room: Room,
    seen: u128,
    /// What Connection asked for.
    keep_alive: Option<bool>,
}

/// nginx reads a head into one buffer and then up to N larger ones; no line is split between two. This counts what would
/// fit, so that the same heads are refused.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    left: usize,
    large: usize,
}

struct NoRoom {
    /// How much of the line was there when nginx gave up.
    shown: usize,
}

impl Room {
    /// A line of `len` bytes; `complete`: its LF is among them.
    fn take(&mut self, len: usize, complete: bool, limits: &Limits) -> Result<(), NoRoom> {
        let (count, size) = limits.large_buffers;
        let fits = if complete { len <= self.left } else { len < self.left };
        if !fits {
            let partial = if complete { len.saturating_sub(1) } else { len };
            if partial >= size && partial >= self.left {
                return Err(NoRoom { shown: partial });
            }
            if self.large >= count {
                return Err(NoRoom { shown: self.left });
            }
            if complete {
                self.large += 1;
                self.left = size;
            }
        }
        if complete {
            self.left -= len;
        }
        Ok(())
    }
}

impl RequestParser {
    pub fn new(limits: &Limits) -> Self {
        Self { room: Room { left: limits.header_buffer, large: 0 }, ..Self::default() }
    }

    /// Reads on in `input`, which begins with what it began with at the last call. `Some`: the length of the head, which
    /// is in `head` now. After a refusal `head` holds what was understood.
    pub fn parse(
        &mut self,
        input: &[u8],
        head: &mut RequestHead,
        limits: &Limits,
    ) -> Result<Option<usize>, Refusal> {
        let mut result = self.run(input, head, limits);
        match &mut result {
            Ok(None) => {}
            Ok(Some(len)) => keep(head, input, *len),
            Err(refusal) => {
                let part = if self.at == 0 { "line" } else { "headers" };
                refusal.text.push_str(" while reading client request ");
                refusal.text.push_str(part);
                if self.at == 0 {
                    let line = input.iter().position(|&b| b == b'\r' || b == b'\n').unwrap_or(input.len());
                    head.line = Span::new(0, line);
                }
                keep(head, input, self.at.max(head.line.end as usize).min(input.len()));
            }
        }
        result
    }

    fn run(
        &mut self,
        input: &[u8],
        head: &mut RequestHead,
        limits: &Limits,
    ) -> Result<Option<usize>, Refusal> {
        if self.at == 0 {
            match request_line(input, head) {
                Ok(None) => {
                    return match self.room.take(input.len(), false, limits) {
                        Ok(()) => Ok(None),
                        Err(_) => Err(Refusal::new(414, "client sent too long URI")),
                    };
                }
                Ok(Some(len)) => {
                    if self.room.take(len, true, limits).is_err() {
                        return Err(Refusal::new(414, "client sent too long URI"));
                    }
                    line_host(input, head)?;
                    self.at = len;
                    self.scanned = len;
                }
                Err(bad) => return Err(Refusal::new(bad.status(), bad.text())),
            }
            if head.version < Version::HTTP_10 {
                head.length = self.at;
                return Ok(Some(self.at));
            }
            if let Some(fields) = self.fast(input, head, limits)? {
                return self.finish(input, fields, head).map(Some);
            }
        }
        let rules = Rules { underscores: limits.underscores_in_headers, response: false };
        loop {
            let start = self.at;
            let rest = &input[start..];
            let Some(len) = line_length(rest, self.scanned - start) else {
                self.scanned = input.len();
                self.room.take(rest.len(), false, limits).map_err(|e| too_large(&e, rest))?;
                check_partial(rest, rules).map_err(|bad| bad_line(rest, bad))?;
                return Ok(None);
            };
            let line = &rest[..len];
            self.room.take(len + 1, true, limits).map_err(|e| too_large(&e, line))?;
            match field_line(line, rules).map_err(|bad| bad_line(line, bad))? {
                Line::End => {
                    self.at += len + 1;
                    return self.finish(input, self.at, head).map(Some);
                }
                Line::StatusAgain => {}
                Line::Field { invalid: true, .. } if limits.ignore_invalid_headers => {}
                Line::Field { name_end, value, .. } => {
                    let field = Field {
                        name: Span::new(start, start + name_end),
                        value: Span::new(start + value.0, start + value.1),
                        id: KnownField::of(&line[..name_end]),
                    };
                    head.fields.push(field);
                    self.on_field(input, head.fields.len() - 1, head, limits)?;
                }
            }
            self.at += len + 1;
            self.scanned = self.at;
        }
    }

    /// The usual case, all fields there and none unusual, is read by httparse. `None`: it is not the usual case, and
    /// the lines are read one by one.
    fn fast(
        &mut self,
        input: &[u8],
        head: &mut RequestHead,
        limits: &Limits,
    ) -> Result<Option<usize>, Refusal> {
        let mut room = self.room;
        let Some(end) = usual_fields(input, self.at, &mut room, head, limits) else {
            head.fields.clear();
            return Ok(None);
        };
        self.room = room;
        for at in 0..head.fields.len() {
            self.on_field(input, at, head, limits)?;
        }
        self.at = end;
        Ok(Some(end))
    }

    /// What nginx does as each field comes.
    #[inline]
    pub(super) fn on_field(
        &mut self,
        input: &[u8],
        at: usize,
        head: &mut RequestHead,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        if at >= limits.max_headers {
            return Err(Refusal::new(TOO_LARGE, "client sent too many header lines"));
        }
        let Some(&field) = head.fields.get(at) else { return Ok(()) };
        if field.id == KnownField::Other {
            return Ok(());
        }
        if UNIQUE & self.seen & field.id.bit() != 0 {
            return Err(duplicate(input, field, head));
        }
        self.seen |= field.id.bit();
        let value = field.value.of(input);
        match field.id {
            KnownField::Host => {
                head.host_field = true;
                let (len, port) = validate_host(value)
                    .ok_or_else(|| Refusal::new(BAD_REQUEST, "client sent invalid host header"))?;
                if head.host.is_none() {
                    head.host = Some(Span { start: field.value.start, end: field.value.start + len as u32 });
                    head.port = port;
                }
            }
            KnownField::Connection => {
                if contains(value, b"close") {
                    self.keep_alive = Some(false);
                } else if contains(value, b"keep-alive") {
                    self.keep_alive = Some(true);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What nginx checks when all fields are there.
    fn finish(&mut self, input: &[u8], len: usize, head: &mut RequestHead) -> Result<usize, Refusal> {
        let refuse = |status, text: &str| Err(Refusal::new(status, text));
        if !head.host_field && head.version > Version::HTTP_10 {
            return refuse(BAD_REQUEST, "client sent HTTP/1.1 request without \"Host\" header");
        }
        let value = |id| head.fields.iter().find(|f| f.id == id).map(|f: &Field| f.value.of(input));
        if self.seen & KnownField::ContentLength.bit() != 0 {
            match value(KnownField::ContentLength).and_then(number) {
                Some(n) => head.framing = Framing::Length(n),
                None => return refuse(BAD_REQUEST, "client sent invalid \"Content-Length\" header"),
            }
        }
        if self.seen & KnownField::TransferEncoding.bit() != 0 {
            let coding = value(KnownField::TransferEncoding).unwrap_or_default();
            if head.version < Version::HTTP_11 {
                return refuse(BAD_REQUEST, "client sent HTTP/1.0 request with \"Transfer-Encoding\" header");
            }
            if !coding.eq_ignore_ascii_case(b"chunked") {
                let text = format!("client sent unknown \"Transfer-Encoding\": \"{}\"", lossy(coding));
                return refuse(501, &text);
            }
            if head.framing != Framing::Empty {
                return refuse(
                    BAD_REQUEST,
                    "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time",
                );
            }
            head.framing = Framing::Chunked;
        }
        match head.method_id {
            Method::Connect => return refuse(405, "client sent CONNECT method"),
            Method::Trace => return refuse(405, "client sent TRACE method"),
            _ => {}
        }
        head.keep_alive = self.keep_alive.unwrap_or(head.version > Version::HTTP_10);
        head.expect_continue = head.version >= Version::HTTP_11
            && self.seen & KnownField::Expect.bit() != 0
            && value(KnownField::Expect).is_some_and(|v| v.eq_ignore_ascii_case(b"100-continue"));
        head.length = len;
        Ok(len)
    }
}

/// Reads the fields with httparse when all of them are there and each is as usual: a plain name, `: ` or `:`, a value
/// without tabs or blanks around it, CR LF. The position behind the head.
fn usual_fields(
    input: &[u8],
    at: usize,
    room: &mut Room,
    head: &mut RequestHead,
    limits: &Limits,
) -> Option<usize> {
    let section = input.get(at..)?;
    let mut found = [httparse::EMPTY_HEADER; 40];
    let Ok(httparse::Status::Complete((len, found))) = httparse::parse_headers(section, &mut found) else {
        return None;
    };
    let base = section.as_ptr() as usize;
    let mut next = 0;
    for f in found {
        let start = f.name.as_ptr() as usize - base;
        let name_end = start + f.name.len();
        let value = f.value.as_ptr() as usize - base;
        let value_end = value + f.value.len();
        let line_end = value_end + 2;
        let id = KnownField::of(f.name.as_bytes());
        let usual = start == next
            && matches!(section.get(name_end..value), Some(b":" | b": "))
            && section.get(value_end..line_end) == Some(b"\r\n")
            && (id != KnownField::Other || is_usual_name(f.name.as_bytes(), limits.underscores_in_headers));
        if !usual || room.take(line_end - start, true, limits).is_err() {
            return None;
        }
        next = line_end;
        head.fields.push(Field {
            name: Span::new(at + start, at + name_end),
            value: Span::new(at + value, at + value_end),
            id,
        });
    }
    room.take(len - next, true, limits).is_ok().then_some(at + len)
}

/// Copies the head out of the connection's buffer, and the host in lower case behind it when it is not so already.
fn keep(head: &mut RequestHead, input: &[u8], len: usize) {
    let mut buf = std::mem::take(&mut head.buf);
    buf.clear();
    buf.extend_from_slice(input.get(..len).unwrap_or(input));
    keep_host(head, &mut buf);
    head.buf = buf;
}

/// Appends the host in lower case when it is not so already.
pub(super) fn keep_host(head: &mut RequestHead, buf: &mut Vec<u8>) {
    if let Some(span) = head.host
        && span.of(buf).iter().any(u8::is_ascii_uppercase)
    {
        let start = buf.len();
        buf.extend_from_within(span.start as usize..span.end as usize);
        buf[start..].make_ascii_lowercase();
        head.host = Some(Span::new(start, buf.len()));
    }
}

/// The host of an absolute target, which goes before the Host field.
fn line_host(input: &[u8], head: &mut RequestHead) -> Result<(), Refusal> {
    let Some(span) = head.host else { return Ok(()) };
    let (len, port) = validate_host(span.of(input))
        .ok_or_else(|| Refusal::new(BAD_REQUEST, "client sent invalid host in request line"))?;
    head.host = Some(Span { start: span.start, end: span.start + len as u32 });
    head.port = port;
    Ok(())
}

/// `host[:port]` as nginx takes it: the length of the host without a final dot, and the port (0: none).
pub fn validate_host(host: &[u8]) -> Option<(usize, u16)> {
    let literal = host.first() == Some(&b'[');
    let mut len = host.len();
    let mut port_at = None;
    let mut dot = None;
    for (at, &byte) in host.iter().enumerate().skip(usize::from(literal)) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {}
            b'-' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';'
            | b'=' => {}
            b'.' if at > 0 && dot == Some(at - 1) => return None,
            b'.' => dot = Some(at),
            b':' if literal => {}
            b']' if literal => {
                len = at + 1;
                match host.get(len) {
                    None => {}
                    Some(b':') => port_at = Some(len + 1),
                    Some(_) => return None,
                }
                break;
            }
            b':' => {
                len = at;
                port_at = Some(at + 1);
                break;
            }
            b'%' if !literal => {}
            _ => return None,
        }
    }
    if literal && host.get(len - 1) != Some(&b']') {
        return None;
    }
    let mut port = 0_u16;
    for &byte in port_at.and_then(|at| host.get(at..)).unwrap_or_default() {
        let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'))?;
        port = port.checked_mul(10)?.checked_add(digit)?;
    }
    if len > 0 && dot == Some(len - 1) {
        len -= 1;
    }
    (len > 0).then_some((len, port))
}

/// Decimal digits and nothing else, below 2^63.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut n = 0_u64;
    for &byte in text {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        n = n.checked_mul(10)?.checked_add(digit).filter(|&n| i64::try_from(n).is_ok())?;
    }
    Some(n)
}

/// Whether `needle` (lower-case) is somewhere in `text`, whatever its case.
pub(super) fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|w| w.eq_ignore_ascii_case(needle))
}

pub(super) fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn duplicate(input: &[u8], field: Field, head: &RequestHead) -> Refusal {
    let line = |f: Field| format!("{}: {}", lossy(f.name.of(input)), lossy(f.value.of(input)));
    let previous = head.fields.iter().find(|f| f.id == field.id).map(|&f| line(f)).unwrap_or_default();
    let what = if field.id == KnownField::Host { "host header" } else { "header line" };
    Refusal::new(
        BAD_REQUEST,
        format!("client sent duplicate {what}: \"{}\", previous value: \"{previous}\"", line(field)),
    )
}

fn too_large(why: &NoRoom, line: &[u8]) -> Refusal {
    let shown = line.get(..why.shown.min(1748)).unwrap_or(line);
    Refusal::new(TOO_LARGE, format!("client sent too long header line: \"{}...\"", lossy(shown)))
}

fn bad_line(line: &[u8], bad: BadField) -> Refusal {
    // The LF that ended the line is not part of it.
    let byte = line.get(bad.at).copied().unwrap_or(b'\n');
    let before = lossy(line.get(..bad.at).unwrap_or(line));
    Refusal::new(BAD_REQUEST, format!("client sent invalid header line: \"{before}\\x{byte:02x}...\""))
}
