//! The answer of an HTTP server: its status, and where it ends when the connection is kept.

use super::exchange::{Fault, Rest};

/// An answer that is being read, byte by byte: it may come in any pieces.
#[derive(Debug)]
pub(super) struct Http {
    /// The end of the answer is looked for.
    keep: bool,
    /// The request was `HEAD`.
    headless: bool,
    at: At,
    status: u16,
    line: Vec<u8>,
    body: Body,
    /// The server said that it closes.
    close: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In `HTTP/`, so many bytes of it read.
    Protocol(usize),
    Major,
    MajorOrDot,
    Minor,
    MinorOrBlank,
    /// Digits of the status that are there.
    Code(u8),
    AfterCode,
    Reason,
    ReasonEnd,
    /// In a line of the head.
    Field,
    Body,
    /// Past the verdict, with nothing more to know.
    Done,
}

/// What is left of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Until the connection closes.
    Open,
    Length(u64),
    Chunked(Chunk),
    /// Whole, and nothing came after it.
    Whole,
    Spoilt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Size {
        value: u64,
        digits: u8,
    },
    /// Behind the size until the line ends.
    Extension(u64),
    Data(u64),
    /// The line's end behind the data.
    DataEnd,
    /// In a trailer line that has so many bytes.
    Trailer(usize),
}

/// What is kept of a line of the head: no field that matters is longer.
const LINE: usize = 256;

impl Http {
    pub(super) fn new(keep: bool, headless: bool) -> Self {
        Self {
            keep,
            headless,
            at: At::Protocol(0),
            status: 0,
            line: Vec::new(),
            body: Body::Open,
            close: false,
        }
    }

    /// The status, once it is certain; with `keep` once the head is whole.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Result<u16, Fault>> {
        let mut verdict = None;
        for (i, byte) in bytes.iter().enumerate() {
            match self.at {
                At::Body => {
                    self.drain(&bytes[i..]);
                    break;
                }
                At::Done => {
                    self.body = Body::Spoilt;
                    break;
                }
                _ => match self.step(*byte) {
                    Ok(true) => verdict = Some(Ok(self.status)),
                    Ok(false) => {}
                    Err(fault) => {
                        (self.at, self.body) = (At::Done, Body::Spoilt);
                        return Some(Err(fault));
                    }
                },
            }
        }
        verdict
    }

    pub(super) fn rest(&self) -> Rest {
        match self.body {
            _ if !self.keep || self.close || self.status >= 400 => Rest::Unknown,
            Body::Whole => Rest::Nothing,
            Body::Length(_) | Body::Chunked(_) => Rest::More,
            Body::Open | Body::Spoilt => Rest::Unknown,
        }
    }

    /// One byte of the head; `true`: the verdict is there.
    fn step(&mut self, b: u8) -> Result<bool, Fault> {
        const WRONG: Result<bool, Fault> = Err(Fault::StatusLine);
        self.at = match (self.at, b) {
            (At::Protocol(n), _) if b"HTTP/".get(n) == Some(&b) => {
                if n == 4 {
                    At::Major
                } else {
                    At::Protocol(n + 1)
                }
            }
            (At::Major, b'1'..=b'9') => At::MajorOrDot,
            (At::MajorOrDot, b'.') => At::Minor,
            (At::MajorOrDot, b'0'..=b'9') => At::MajorOrDot,
            (At::Minor | At::MinorOrBlank, b'0'..=b'9') => At::MinorOrBlank,
            (At::MinorOrBlank, b' ') => At::Code(0),
            // Tengine allows blanks between the digits, too.
            (At::Code(n), b' ') => At::Code(n),
            (At::Code(n), b'0'..=b'9') => {
                self.status = self.status * 10 + u16::from(b - b'0');
                if n == 2 { At::AfterCode } else { At::Code(n + 1) }
            }
            // IIS has 403.1 and its like.
            (At::AfterCode, b' ' | b'.') => At::Reason,
            (At::AfterCode | At::Reason, b'\r') => At::ReasonEnd,
            (At::AfterCode | At::Reason | At::ReasonEnd, b'\n') => return Ok(self.status_known()),
            (At::Reason, _) => At::Reason,
            (At::Field, b'\n') => return self.field().map_err(|()| Fault::Headers),
            (At::Field, _) => {
                if self.line.len() < LINE {
                    self.line.push(b);
                }
                At::Field
            }
            _ => return WRONG,
        };
        Ok(false)
    }

    /// The status line has ended. An answer that closes the connection anyway needs no more.
    fn status_known(&mut self) -> bool {
        let enough = !self.keep || self.status >= 400;
        self.at = if enough { At::Done } else { At::Field };
        enough
    }

    /// A line of the head has ended; `true`: it was the last.
    fn field(&mut self) -> Result<bool, ()> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.contains(&b'\r') {
            return Err(());
        }
        if line.is_empty() {
            if self.headless || self.status < 200 || matches!(self.status, 204 | 304) {
                self.body = Body::Length(0);
            }
            if self.body == Body::Length(0) {
                self.body = Body::Whole;
            }
            self.at = if self.body == Body::Open { At::Done } else { At::Body };
            return Ok(true);
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else { return Ok(false) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            if !matches!(self.body, Body::Chunked(_)) {
                let length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                self.body = length.map_or(Body::Spoilt, Body::Length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.body = if value.eq_ignore_ascii_case(b"chunked") {
                Body::Chunked(Chunk::Size { value: 0, digits: 0 })
            } else {
                Body::Spoilt
            };
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.close |= value.split(|b| *b == b',').any(|w| w.trim_ascii().eq_ignore_ascii_case(b"close"));
        }
        Ok(false)
    }

    /// Reads the body away.
    fn drain(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skip = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
            (self.body, bytes) = match self.body {
                Body::Length(n) => {
                    let got = skip(n);
                    let left = n - got as u64;
                    (if left == 0 { Body::Whole } else { Body::Length(left) }, &bytes[got..])
                }
                Body::Chunked(Chunk::Data(n)) => {
                    let got = skip(n);
                    let left = n - got as u64;
                    let next = if left == 0 { Chunk::DataEnd } else { Chunk::Data(left) };
                    (Body::Chunked(next), &bytes[got..])
                }
                Body::Chunked(at) => (chunk(at, bytes[0]), &bytes[1..]),
                // More than the answer says there is.
                Body::Whole | Body::Open | Body::Spoilt => (Body::Spoilt, &[][..]),
            };
        }
    }
}

/// One byte between the data of chunks (RFC 9112, section 7.1).
fn chunk(at: Chunk, b: u8) -> Body {
    let next = match (at, b) {
        (Chunk::Size { value, digits }, _) if b.is_ascii_hexdigit() && digits < 15 => {
            let digit = char::from(b).to_digit(16).unwrap_or(0);
            Chunk::Size { value: value * 16 + u64::from(digit), digits: digits + 1 }
        }
        (Chunk::Size { value, digits: 1.. } | Chunk::Extension(value), b'\n') => {
            if value == 0 {
                Chunk::Trailer(0)
            } else {
                Chunk::Data(value)
            }
        }
        (Chunk::Size { value, digits: 1.. }, b'\r' | b';' | b' ' | b'\t') => Chunk::Extension(value),
        (Chunk::Extension(value), _) => Chunk::Extension(value),
        (Chunk::DataEnd, b'\r') => Chunk::DataEnd,
        (Chunk::DataEnd, b'\n') => Chunk::Size { value: 0, digits: 0 },
        (Chunk::Trailer(0), b'\n') => return Body::Whole,
        (Chunk::Trailer(n), b'\r') => Chunk::Trailer(n),
        (Chunk::Trailer(_), b'\n') => Chunk::Trailer(0),
        (Chunk::Trailer(n), _) => Chunk::Trailer(n.saturating_add(1)),
        _ => return Body::Spoilt,
    };
    Body::Chunked(next)
}
