//! The request target: from what the client sent to the path that locations are chosen by.

/// A target that cannot be a path: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadUri;

/// What became of a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UriShape {
    /// The path was sent as it is now: nothing decoded, no dots taken out.
    pub plain: bool,
}

/// Decodes and normalises the path of `target` (RFC 3986 5.2.4 done nginx's way) into `path`, and its query, without
/// the fragment, into `args`. `target` begins with `/`, or is empty or a query (an absolute URI without a path).
pub fn normalise(
    target: &[u8],
    merge_slashes: bool,
    path: &mut Vec<u8>,
    args: &mut Vec<u8>,
) -> Result<UriShape, BadUri> {
    path.clear();
    args.clear();
    let mut rest = target;
    if rest.first() != Some(&b'/') {
        path.push(b'/');
    }
    let mut state = State::Usual;
    let mut plain = true;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let mut ch = first;
        let mut literal = false;
        match ch {
            b'?' | b'#' => {
                close(state, path)?;
                if ch == b'?' {
                    let end = memchr::memchr(b'#', rest).unwrap_or(rest.len());
                    args.extend_from_slice(&rest[..end]);
                }
                return Ok(UriShape { plain });
            }
            b'%' => {
                let (Some(high), Some(low)) =
                    (rest.first().copied().and_then(hex), rest.get(1).copied().and_then(hex))
                else {
                    return Err(BadUri);
                };
                ch = high << 4 | low;
                rest = &rest[2..];
                plain = false;
                match ch {
                    0 => return Err(BadUri),
                    b'%' | b'#' | b'?' => literal = true,
                    _ => {}
                }
            }
            _ => {}
        }
        if literal {
            state = State::Usual;
            path.push(ch);
            continue;
        }
        state = step(state, ch, merge_slashes, path, &mut plain)?;
    }
    close(state, path)?;
    Ok(UriShape { plain })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Usual,
    Slash,
    Dot,
    DotDot,
}

fn step(state: State, ch: u8, merge: bool, path: &mut Vec<u8>, plain: &mut bool) -> Result<State, BadUri> {
    let next = match (state, ch) {
        (State::Usual, b'/') => State::Slash,
        (State::Slash, b'/') => {
            if merge {
                *plain = false;
                return Ok(State::Slash);
            }
            State::Slash
        }
        (State::Slash, b'.') => State::Dot,
        (State::Dot, b'/') => {
            *plain = false;
            path.pop();
            return Ok(State::Slash);
        }
        (State::Dot, b'.') => State::DotDot,
        (State::DotDot, b'/') => {
            *plain = false;
            up(path)?;
            return Ok(State::Slash);
        }
        _ => State::Usual,
    };
    path.push(ch);
    Ok(next)
}

/// The end of the path: a last `.` or `..` counts as a segment.
fn close(state: State, path: &mut Vec<u8>) -> Result<(), BadUri> {
    match state {
        State::Dot => {
            path.pop();
            Ok(())
        }
        State::DotDot => up(path),
        State::Usual | State::Slash => Ok(()),
    }
}

/// Takes `/..` and the segment before it off.
fn up(path: &mut Vec<u8>) -> Result<(), BadUri> {
    let keep = path.len().checked_sub(3).ok_or(BadUri)?;
    let at = memchr::memrchr(b'/', &path[..keep]).ok_or(BadUri)?;
    path.truncate(at + 1);
    Ok(())
}

fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Appends `raw`, bytes that may not stand in a path as `%XX` (nginx's `NGX_ESCAPE_URI`).
pub fn escape_path(raw: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in raw {
        if b <= b' '
            || b >= 0x7f
            || matches!(b, b'"' | b'#' | b'%' | b'<' | b'>' | b'?' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
        {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        } else {
            out.push(b);
        }
    }
}

/// Appends `raw` as the value of an argument (nginx's `NGX_ESCAPE_ARGS`).
pub fn escape_arg(raw: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in raw {
        let plain = (b'!'..0x7f).contains(&b)
            && !matches!(
                b,
                b'"' | b'#'
                    | b'%'
                    | b'&'
                    | b'+'
                    | b';'
                    | b'<'
                    | b'>'
                    | b'?'
                    | b'\\'
                    | b'^'
                    | b'`'
                    | b'{'
                    | b'|'
                    | b'}'
            );
        if plain {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
}

/// Appends `url`, bytes that may not stand in the page of `msie_refresh` as `%XX`.
pub fn escape_refresh(url: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in url {
        let kept = b > b' '
            && b < 0x7f
            && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'~');
        if kept {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
}

/// The target of a redirect without the escapes that a path does not need, up to its first `?` (nginx's
/// `NGX_UNESCAPE_REDIRECT`).
pub fn unescape_redirect(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        match b {
            b'?' => {
                out.push(b);
                break;
            }
            b'%' => {
                let Some((&first, tail)) = rest.split_first() else { break };
                rest = tail;
                let Some(high) = hex(first) else {
                    out.push(first);
                    continue;
                };
                let Some((&second, tail)) = rest.split_first() else { break };
                rest = tail;
                // A second digit that is none is lost with the escape, as in nginx.
                let Some(low) = hex(second) else { continue };
                match high << 4 | low {
                    b'?' if second.is_ascii_alphabetic() => {
                        out.push(b'?');
                        break;
                    }
                    plain @ 0x26..=0x7e => out.push(plain),
                    _ => out.extend_from_slice(&[b'%', first, second]),
                }
            }
            _ => out.push(b),
        }
    }
    out.extend_from_slice(rest);
    out
}

/// The path, decoded, and the arguments of a URI that a peer named (`X-Accel-Redirect`); `None`: it would leave the
/// root, or is no path.
pub fn safe(to: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (path, args) = split_args(to);
    let path = crate::values::percent_decode(path).into_owned();
    let leaves = path.split(|b| *b == b'/').any(|segment| segment == b"..");
    (!path.is_empty() && !leaves && !path.contains(&0)).then_some((path, args))
}

/// Where the path of an internal redirect's target ends and its query begins.
pub fn split_args(uri: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'?', uri) {
        Some(at) => (&uri[..at], &uri[at + 1..]),
        None => (uri, b""),
    }
}

/// The bytes after the last `.` of the last segment; empty: none. A name that begins with the dot has no extension.
pub fn extension(path: &[u8]) -> &[u8] {
    let start = memchr::memrchr(b'/', path).map_or(0, |at| at + 1);
    match memchr::memrchr(b'.', &path[start..]) {
        Some(0) | None => b"",
        Some(at) => &path[start + at + 1..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str) -> Option<(String, String)> {
        let (mut path, mut args) = (Vec::new(), Vec::new());
        normalise(target.as_bytes(), true, &mut path, &mut args).ok()?;
        Some((String::from_utf8_lossy(&path).into_owned(), String::from_utf8_lossy(&args).into_owned()))
    }

    #[test]
    fn paths_become_canonical() {
        for (target, path, args) in [
            ("/", "/", ""),
            ("/a//b/./c/../d?x=1#f", "/a/b/d", "x=1"),
            ("/a/..", "/", ""),
            ("/a/.", "/a/", ""),
            ("/%2e%2E/x", "", ""),
            ("/a/%2e%2e/x", "/x", ""),
            ("/a%2Fb", "/a/b", ""),
            ("/a%2f%2fb", "/a/b", ""),
            ("/a%3Fb?c", "/a?b", "c"),
            ("/a%23b#c", "/a#b", ""),
            ("/a%25b", "/a%b", ""),
            ("?q=1", "/", "q=1"),
            ("", "/", ""),
            ("/...", "/...", ""),
            ("/.hidden", "/.hidden", ""),
            ("/a#b?c", "/a", ""),
        ] {
            let want = (!path.is_empty()).then(|| (path.to_owned(), args.to_owned()));
            assert_eq!(of(target), want, "{target}");
        }
    }

    #[test]
    fn what_leaves_the_root_or_is_cut_off_is_refused() {
        for target in ["/..", "/../a", "/a/../..", "/a/../../b", "/%", "/%4", "/%zz", "/%00"] {
            assert_eq!(of(target), None, "{target}");
        }
    }

    #[test]
    fn slashes_stay_when_they_are_not_merged() {
        let (mut path, mut args) = (Vec::new(), Vec::new());
        normalise(b"//a//", false, &mut path, &mut args).expect("a valid path");
        assert_eq!(path, b"//a//");
    }

    #[test]
    fn a_peers_uri_is_decoded_and_stays_below_the_root() {
        assert_eq!(safe(b"/a%20b%2Fc?d%20"), Some((b"/a b/c".to_vec(), &b"d%20"[..])));
        for unsafe_one in ["/../x", "/x/..", "..", "/x/%2e%2e/y", "/x%00", "", "?a"] {
            assert_eq!(safe(unsafe_one.as_bytes()), None, "{unsafe_one}");
        }
        assert!(safe(b"/..x/...").is_some());
    }

    #[test]
    fn extensions_end_the_last_segment() {
        for (path, ext) in
            [("/a.html", "html"), ("/a.b/c", ""), ("/.html", ""), ("/a.tar.gz", "gz"), ("/a.", ""), ("/", "")]
        {
            assert_eq!(extension(path.as_bytes()), ext.as_bytes(), "{path}");
        }
    }
}
