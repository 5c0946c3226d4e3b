//! Text that changes on its way back to the client: `Location`, `Refresh` and the attributes of cookies.
//! Pure; what variables stand for is asked of the caller.

/// `Domain=` and `Path=` as a rule sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    Domain,
    Path,
}

/// Replaces `value[at..at + len]`.
pub fn splice(value: &mut Vec<u8>, at: usize, len: usize, replacement: &[u8]) {
    value.splice(at..at + len, replacement.iter().copied());
}

/// Where the URL of a `Refresh` value begins.
pub fn refresh_url(value: &[u8]) -> Option<usize> {
    value.windows(4).position(|w| w.eq_ignore_ascii_case(b"url=")).map(|i| i + 4)
}

/// The part of a cookie's domain that a `proxy_cookie_domain` rule for `pattern` replaces: all of it but a leading dot.
pub fn domain_match(value: &[u8], pattern: &[u8]) -> Option<(usize, usize)> {
    let skip = usize::from(value.first() == Some(&b'.'));
    let rest = value.get(skip..)?;
    rest.eq_ignore_ascii_case(pattern).then_some((skip, rest.len()))
}

/// The part of a cookie's path that a `proxy_cookie_path` rule for `pattern` replaces.
pub fn path_match(value: &[u8], pattern: &[u8]) -> Option<(usize, usize)> {
    value.starts_with(pattern).then_some((0, pattern.len()))
}

/// Rewrites the attributes of a `Set-Cookie` value. `rule` gets an attribute's value and says what stands there instead.
/// `None`: the field stays byte for byte as it was.
pub fn cookie(value: &[u8], mut rule: impl FnMut(Attribute, &[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len() + 32);
    let mut changed = false;
    for (i, part) in value.split(|b| *b == b';').enumerate() {
        let part = trim(part);
        let (name, text) = match part.iter().position(|b| *b == b'=') {
            Some(eq) => (trim_end(&part[..eq]), Some(trim(&part[eq + 1..]))),
            None => (part, None),
        };
        if i == 0 {
            // Not a cookie: nothing to rewrite.
            text?;
        } else {
            out.extend_from_slice(b"; ");
        }
        out.extend_from_slice(name);
        let Some(text) = text else { continue };
        out.push(b'=');
        let kind = match () {
            () if i == 0 => None,
            () if name.eq_ignore_ascii_case(b"domain") => Some(Attribute::Domain),
            () if name.eq_ignore_ascii_case(b"path") => Some(Attribute::Path),
            () => None,
        };
        match kind.and_then(|k| rule(k, text)) {
            Some(new) => {
                changed = true;
                out.extend_from_slice(&new);
            }
            None => out.extend_from_slice(text),
        }
    }
    changed.then_some(out)
}

fn trim_end(mut s: &[u8]) -> &[u8] {
    while let [rest @ .., b' '] = s {
        s = rest;
    }
    s
}

fn trim(mut s: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = s {
        s = rest;
    }
    trim_end(s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_front(value: &str) -> Option<String> {
        let new = cookie(value.as_bytes(), |kind, v| {
            let (at, len) = match kind {
                Attribute::Domain => domain_match(v, b"backend.example")?,
                Attribute::Path => path_match(v, b"/app/")?,
            };
            let mut v = v.to_vec();
            splice(&mut v, at, len, if kind == Attribute::Path { b"/" } else { b"front.example" });
            Some(v)
        })?;
        Some(String::from_utf8(new).unwrap())
    }

    #[test]
    fn attributes_are_replaced_and_spaces_made_regular() {
        assert_eq!(
            to_front("a=b;  Domain = .Backend.Example ;Path=/app/x;HttpOnly").as_deref(),
            Some("a=b; Domain=.front.example; Path=/x; HttpOnly")
        );
    }

    #[test]
    fn a_cookie_without_a_match_stays_byte_for_byte() {
        assert_eq!(to_front("a=b;  Domain=other;path=/"), None);
        assert_eq!(to_front("no-cookie; Domain=backend.example"), None);
    }

    #[test]
    fn the_name_itself_is_no_attribute() {
        assert_eq!(to_front("path=/app/"), None);
    }

    #[test]
    fn refresh_is_found_without_regard_to_case() {
        assert_eq!(refresh_url(b"5; URL=/x"), Some(7));
        assert_eq!(refresh_url(b"5"), None);
    }
}
