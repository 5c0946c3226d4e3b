//! The answer of a FastCGI responder (specification, sections 3.3, 5.3 and 6.2).

use super::exchange::Fault;

/// Records that are being read.
#[derive(Debug)]
pub(super) struct Fastcgi {
    /// `Status` is looked for.
    status: bool,
    header: Vec<u8>,
    /// Bytes of the record's content and of its padding that are still to come.
    content: usize,
    padding: usize,
    /// The line of the head that is being read; `None`: the head is over.
    line: Vec<u8>,
}

const STDOUT: u8 = 6;
const STDERR: u8 = 7;
const END_REQUEST: u8 = 3;

/// What is kept of a line: `Status` is no longer.
const LINE: usize = 256;

impl Fastcgi {
    pub(super) fn new(status: bool) -> Self {
        Self { status, header: Vec::with_capacity(8), content: 0, padding: 0, line: Vec::new() }
    }

    /// `Ok(None)`: it answers, and no status is known or asked for.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Option<Result<Option<u16>, Fault>> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.content > 0 {
                let (part, after) = bytes.split_at(self.content.min(bytes.len()));
                self.content -= part.len();
                bytes = after;
                if let Some(done) = part.iter().find_map(|b| self.head(*b)) {
                    return Some(done);
                }
            } else if self.padding > 0 {
                let skip = self.padding.min(bytes.len());
                self.padding -= skip;
                bytes = &bytes[skip..];
            } else {
                self.header.push(*first);
                bytes = rest;
                match self.record() {
                    Ok(false) => {}
                    Ok(true) => return Some(Ok(None)),
                    Err(fault) => return Some(Err(fault)),
                }
            }
        }
        None
    }

    /// A byte of a record's header; `true`: that there is such a record is enough.
    fn record(&mut self) -> Result<bool, Fault> {
        match *self.header.as_slice() {
            [version] if version != 1 => Err(Fault::FastcgiRecord),
            [_, kind] if !matches!(kind, STDOUT | STDERR | END_REQUEST) => Err(Fault::FastcgiRecord),
            [_, _, high] if high != 0 => Err(Fault::FastcgiRecord),
            [_, _, _, low] if low != 1 => Err(Fault::FastcgiRecord),
            [_, kind, _, _, high, low, padding, _] => {
                self.header.clear();
                self.content = usize::from(u16::from_be_bytes([high, low]));
                self.padding = usize::from(padding);
                match kind {
                    STDOUT if self.content == 0 => Err(Fault::FastcgiEmpty),
                    STDOUT => Ok(!self.status),
                    STDERR => Err(Fault::FastcgiStderr),
                    _ => Err(Fault::FastcgiType(kind)),
                }
            }
            _ => Ok(false),
        }
    }

    /// A byte of the CGI answer's head. One without `Status` is good (RFC 3875, section 6.3.3: it means 200).
    fn head(&mut self, b: u8) -> Option<Result<Option<u16>, Fault>> {
        if b == 0 {
            return Some(Err(Fault::FastcgiStatus));
        }
        if b != b'\n' {
            if self.line.len() < LINE {
                self.line.push(b);
            }
            return None;
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            return Some(Ok(None));
        }
        let colon = line.iter().position(|b| *b == b':')?;
        if !line[..colon].eq_ignore_ascii_case(b"status") {
            return None;
        }
        Some(match line[colon + 1..].trim_ascii() {
            [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                Ok(Some([a, b, c].iter().fold(0, |n, d| n * 10 + u16::from(**d - b'0'))))
            }
            _ => Err(Fault::FastcgiStatus),
        })
    }
}
