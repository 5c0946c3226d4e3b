//! A request's path from its target: decoded, `.` and `..` resolved, slashes merged, as nginx does it
//! (`ngx_http_parse_complex_uri`'s observable results). Pure.

use std::ops::Range;

/// The target cannot be a path: a bad `%XX`, a NUL, or `..` above the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("client sent invalid request")]
pub struct BadTarget;

/// What was found besides the path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// The arguments, a range of the target; `None`: no `?`. A `#` and what follows it are no part of them.
    pub args: Option<Range<usize>>,
    /// The extension, a range of the path: what follows the last `.` of the last segment.
    pub ext: Option<Range<usize>>,
    /// Some `%XX` was decoded.
    pub quoted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Usual,
    Slash,
    Dot,
    DotDot,
}

/// Appends the normal path of `target` to `path`. A target that begins with `?` has the path `/`.
pub fn normalize(target: &[u8], merge_slashes: bool, path: &mut Vec<u8>) -> Result<Parts, BadTarget> {
    let base = path.len();
    let mut parts = Parts::default();
    let mut ext = None;
    let mut state = State::Usual;
    let mut at = 0;
    if target.first() == Some(&b'?') {
        path.push(b'/');
    }
    while let Some(&byte) = target.get(at) {
        at += 1;
        let mut byte = byte;
        if byte == b'%' {
            byte = match target.get(at..at + 2) {
                Some(&[hi, lo]) => (hex(hi)? << 4) | hex(lo)?,
                _ => return Err(BadTarget),
            };
            at += 2;
            parts.quoted = true;
            match byte {
                0 => return Err(BadTarget),
                // Decoded, these three are text.
                b'%' | b'#' | b'?' => {
                    state = State::Usual;
                    path.push(byte);
                    continue;
                }
                _ => {}
            }
        } else if byte == b'?' || byte == b'#' {
            if byte == b'?' {
                let end = memchr::memchr(b'#', &target[at..]).map_or(target.len(), |n| at + n);
                parts.args = Some(at..end);
            }
            break;
        }
        match (state, byte) {
            (State::Usual, b'/') => {
                ext = None;
                path.push(byte);
                state = State::Slash;
            }
            (State::Usual, b'.') => {
                path.push(byte);
                ext = Some(path.len());
            }
            (State::Usual, _) => path.push(byte),
            (State::Slash, b'/') => {
                if !merge_slashes {
                    path.push(byte);
                }
            }
            (State::Slash, b'.') => {
                path.push(byte);
                state = State::Dot;
            }
            (State::Dot, b'/') => {
                path.pop();
                state = State::Slash;
            }
            (State::Dot, b'.') => {
                path.push(byte);
                state = State::DotDot;
            }
            (State::DotDot, b'/') => {
                up(path, base)?;
                state = State::Slash;
            }
            (State::Slash | State::Dot | State::DotDot, _) => {
                path.push(byte);
                state = State::Usual;
            }
        }
    }
    match state {
        State::Dot => {
            path.pop();
        }
        State::DotDot => up(path, base)?,
        State::Usual | State::Slash => {}
    }
    parts.ext = ext.filter(|&e| e <= path.len()).map(|e| e - base..path.len() - base);
    Ok(parts)
}

/// `/a/..` to `/`.
fn up(path: &mut Vec<u8>, base: usize) -> Result<(), BadTarget> {
    let end = path.len().checked_sub(3).filter(|&n| n >= base).ok_or(BadTarget)?;
    let slash = path[base..end].iter().rposition(|&b| b == b'/').ok_or(BadTarget)?;
    path.truncate(base + slash + 1);
    Ok(())
}

/// The extension of a path that needed no decoding.
pub fn extension(path: &[u8]) -> Option<Range<usize>> {
    let segment = path.iter().rposition(|&b| b == b'/').map_or(0, |n| n + 1);
    let dot = path[segment..].iter().rposition(|&b| b == b'.')?;
    Some(segment + dot + 1..path.len())
}

fn hex(byte: u8) -> Result<u8, BadTarget> {
    char::from(byte).to_digit(16).map(|d| d as u8).ok_or(BadTarget)
}
