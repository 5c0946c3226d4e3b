//! Cookie pairs: `Cookie: a=1; b=2` (RFC 6265, section 4.2), read as browsers and sloppy clients write them.

/// A pair inside a line. Blanks around the name and the value are not part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair<'l> {
    /// The pair with nothing around it.
    pub(super) text: &'l [u8],
    pub(super) name: &'l [u8],
    /// `None`: there is no `=`.
    pub(super) value: Option<&'l [u8]>,
}

/// The pairs of a line, empty ones left out.
pub(super) fn pairs(line: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let (one, more) = match memchr::memchr(b';', line) {
            Some(i) => (&line[..i], Some(&line[i + 1..])),
            None => (line, None),
        };
        rest = more;
        Some(pair(one))
    })
    .filter(|p| !p.text.is_empty())
}

/// One pair: a `Set-Cookie` begins with one, too.
pub(super) fn pair(text: &[u8]) -> Pair<'_> {
    let text = trim(text);
    match memchr::memchr(b'=', text) {
        Some(i) => Pair { text, name: trim(&text[..i]), value: Some(trim(&text[i + 1..])) },
        None => Pair { text, name: text, value: None },
    }
}

/// The value without the quotes that RFC 6265 allows around it.
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
