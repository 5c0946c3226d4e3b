//! One argument of a query string, one cookie of a `Cookie` line.

/// The value of `name` in `args`, the first that matches; names compare without regard to case, as in nginx.
pub fn arg<'a>(args: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    if name.is_empty() {
        return None;
    }
    args.split(|&b| b == b'&').find_map(|pair| {
        let (key, value) = pair.split_at_checked(name.len())?;
        (key.eq_ignore_ascii_case(name) && value.first() == Some(&b'=')).then(|| &value[1..])
    })
}

/// The value of the cookie `name` in one `Cookie` line; names compare without regard to case, as `$cookie_NAME` does.
pub fn cookie<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.split(|&b| b == b';').find_map(|pair| {
        let pair = pair.trim_ascii_start();
        let (key, rest) = pair.split_at_checked(name.len())?;
        if !key.eq_ignore_ascii_case(name) {
            return None;
        }
        let rest = trim_blanks(rest);
        let value = trim_blanks(rest.strip_prefix(b"=")?);
        Some(value)
    })
}

fn trim_blanks(mut s: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = s {
        s = rest;
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_names_are_whole() {
        assert_eq!(arg(b"xa=1&a=2&A=3", b"a"), Some(&b"2"[..]));
        assert_eq!(arg(b"a&b=", b"a"), None);
        assert_eq!(arg(b"a&b=", b"b"), Some(&b""[..]));
        assert_eq!(arg(b"", b""), None);
    }

    #[test]
    fn cookie_names_are_whole() {
        assert_eq!(cookie(b"xroute=A; route=B", b"route"), Some(&b"B"[..]));
        assert_eq!(cookie(b"a=route=A;  route = B", b"route"), Some(&b"B"[..]));
        assert_eq!(cookie(b"route2=x", b"route"), None);
        assert_eq!(cookie(b"Route=x", b"route"), Some(&b"x"[..]));
    }
}
