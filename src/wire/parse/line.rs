//! The request line, by nginx's rules: one or more spaces between its parts, upper-case methods, HTTP/0.9, absolute
//! targets. It ends in LF or CR LF.

use super::super::head::Version;
use super::super::{Method, RequestHead, Span};

/// Why a request line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadLine {
    Method,
    Request,
    Version,
    Method09,
}

impl BadLine {
    pub(super) fn status(self) -> u16 {
        if self == Self::Version { 505 } else { 400 }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Method => "client sent invalid method",
            Self::Request => "client sent invalid request",
            Self::Version => "client sent invalid version",
            Self::Method09 => "client sent invalid method in HTTP/0.9 request",
        }
    }
}

/// Bytes of a target that mean nothing special to its path.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte > 0x20 && byte != 0x7f && !matches!(byte as u8, b'/' | b'.' | b'%' | b'?' | b'#');
        byte += 1;
    }
    table
};

struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

/// `None`: the input ends too early.
type Partial<T> = Result<Option<T>, BadLine>;

macro_rules! more {
    ($e:expr) => {
        match $e {
            Some(v) => v,
            None => return Ok(None),
        }
    };
}

impl Cursor<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    #[inline]
    fn skip_while(&mut self, f: impl Fn(u8) -> bool) -> Option<u8> {
        while let Some(b) = self.peek() {
            if !f(b) {
                return Some(b);
            }
            self.at += 1;
        }
        None
    }

    /// CR LF or LF; the position of its first byte.
    fn line_end(&mut self) -> Partial<usize> {
        let start = self.at;
        if more!(self.peek()) == b'\r' {
            self.at += 1;
        }
        if more!(self.peek()) != b'\n' {
            return Err(BadLine::Request);
        }
        self.at += 1;
        Ok(Some(start))
    }
}

/// Reads the line at the start of `input` into `head`; gives the length of the line with its end.
pub(super) fn request_line(input: &[u8], head: &mut RequestHead) -> Partial<usize> {
    let mut c = Cursor { input, at: 0 };

    let stop = more!(c.skip_while(|b| b.is_ascii_uppercase() || b == b'_' || b == b'-'));
    if stop != b' ' || c.at == 0 {
        return Err(BadLine::Method);
    }
    head.method = Span::new(0, c.at);
    head.method_id = Method::of(&input[..c.at]);

    let first = more!(c.skip_while(|b| b == b' '));
    // nginx looks at the target where an absolute one has no path of its own: it then is the "/" of "://".
    let mut slash = None;
    if head.method_id == Method::Connect {
        more!(authority(&mut c, head, true)?);
        if c.peek() != Some(b' ') {
            return Err(BadLine::Request);
        }
    } else if first == b'/' {
        more!(target(&mut c, head)?);
    } else if first.is_ascii_alphabetic() {
        let start = c.at;
        more!(c.skip_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')));
        head.scheme = Some(Span::new(start, c.at));
        for expected in *b"://" {
            if more!(c.peek()) != expected {
                return Err(BadLine::Request);
            }
            c.at += 1;
        }
        slash = Some(c.at - 1);
        more!(authority(&mut c, head, false)?);
        match c.peek() {
            Some(b'/') => more!(target(&mut c, head)?),
            Some(b'?') => {
                head.empty_path = true;
                more!(target(&mut c, head)?);
            }
            _ => {}
        }
    } else {
        return Err(BadLine::Request);
    }
    if let (true, Some(slash)) = (head.target.is_empty(), slash) {
        head.target = Span::new(slash, slash + 1);
        head.simple_path = true;
    }

    let next = more!(c.skip_while(|b| b == b' '));
    let end = match next {
        b'\r' | b'\n' => {
            head.version = Version::HTTP_09;
            let end = more!(c.line_end()?);
            head.protocol = Span::new(end, end);
            if head.method_id != Method::Get {
                return Err(BadLine::Method09);
            }
            end
        }
        b'H' => more!(protocol(&mut c, head)?),
        _ => return Err(BadLine::Request),
    };
    head.line = Span::new(0, end);
    Ok(Some(c.at))
}

/// Reads the target of a head that is not read from a line, which has a blank behind it; false: it is none.
pub(super) fn h2_target(buf: &[u8], head: &mut RequestHead) -> bool {
    let (start, end) = (head.target.start as usize, head.target.end as usize);
    let mut c = Cursor { input: buf, at: start };
    buf.get(start) == Some(&b'/') && target(&mut c, head) == Ok(Some(())) && c.at == end
}

/// The target from `/` or `?` up to the blank or line end behind it.
fn target(c: &mut Cursor<'_>, head: &mut RequestHead) -> Partial<()> {
    let start = c.at;
    let mut simple = !head.empty_path;
    let mut slash = usize::MAX;
    loop {
        let after_slash = |at: usize| at.checked_sub(1) == Some(slash);
        match more!(c.skip_while(|b| PLAIN[usize::from(b)])) {
            b'/' => {
                simple &= !after_slash(c.at);
                slash = c.at;
            }
            b'.' => simple &= !after_slash(c.at),
            b'%' | b'#' => simple = false,
            _ => break,
        }
        c.at += 1;
    }
    if c.peek() == Some(b'?') {
        head.args = Some(Span::new(c.at + 1, c.at + 1).start);
        while more!(c.skip_while(|b| b > 0x20 && b != 0x7f && b != b'#')) == b'#' {
            simple = false;
            c.at += 1;
        }
    }
    if !matches!(c.peek(), Some(b' ' | b'\r' | b'\n')) {
        return Err(BadLine::Request);
    }
    head.target = Span::new(start, c.at);
    head.simple_path = simple;
    if !simple {
        head.args = None;
    }
    Ok(Some(()))
}

/// `host[:port]` of an absolute target; with `connect`, the whole target, whose port is not optional.
fn authority(c: &mut Cursor<'_>, head: &mut RequestHead, connect: bool) -> Partial<()> {
    let start = c.at;
    if more!(c.peek()) == b'[' {
        let end = more!(
            c.skip_while(|b| b != b']' && (b.is_ascii_alphanumeric() || b"[:-._~!$&'()*+,;=".contains(&b)))
        );
        if end != b']' {
            return Err(BadLine::Request);
        }
        c.at += 1;
    } else {
        more!(c.skip_while(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'));
    }
    let mut port = false;
    if more!(c.peek()) == b':' {
        c.at += 1;
        let digits = c.at;
        more!(c.skip_while(|b| b.is_ascii_digit()));
        port = c.at > digits;
    }
    head.host = Some(Span::new(start, c.at));
    let ok = if connect { port } else { matches!(c.peek(), Some(b'/' | b'?' | b' ')) };
    if ok { Ok(Some(())) } else { Err(BadLine::Request) }
}

/// `HTTP/1.1`, blanks, the line end; the position where the line ends.
fn protocol(c: &mut Cursor<'_>, head: &mut RequestHead) -> Partial<usize> {
    let start = c.at;
    for expected in *b"HTTP/" {
        if more!(c.peek()) != expected {
            return Err(BadLine::Request);
        }
        c.at += 1;
    }
    let mut major = 0_u16;
    let mut digits = 0;
    loop {
        let byte = more!(c.peek());
        c.at += 1;
        match byte {
            b'0' if digits == 0 => return Err(BadLine::Request),
            b'0'..=b'9' => major = major * 10 + u16::from(byte - b'0'),
            b'.' if digits > 0 => break,
            _ => return Err(BadLine::Request),
        }
        digits += 1;
        if major > 1 {
            return Err(BadLine::Version);
        }
    }
    let mut minor = 0_u16;
    let first = c.at;
    more!(c.skip_while(|b| b.is_ascii_digit()));
    for &digit in &c.input[first..c.at] {
        if minor > 99 {
            return Err(BadLine::Request);
        }
        minor = minor * 10 + u16::from(digit - b'0');
    }
    if first == c.at {
        return Err(BadLine::Request);
    }
    head.version = Version(major * 1000 + minor);
    more!(c.skip_while(|b| b == b' '));
    // nginx keeps blanks before the line end as part of the protocol.
    let end = more!(c.line_end()?);
    head.protocol = Span::new(start, end);
    if head.method_id == Method::Connect {
        // The "/" of "HTTP/" stands in for the target.
        head.target = Span::new(start + 4, start + 5);
        head.simple_path = true;
    }
    Ok(Some(end))
}
