//! Text that changes on its way back to the client: the URL in `Refresh` and the attributes of cookies. Pure.

use std::borrow::Cow;

/// A `Set-Cookie` value in parts: the cookie itself, then its attributes.
#[derive(Debug, Default)]
pub(super) struct SetCookie<'a> {
    parts: Vec<Part<'a>>,
    changed: bool,
}

#[derive(Debug)]
struct Part<'a> {
    name: Cow<'a, [u8]>,
    value: Option<Cow<'a, [u8]>>,
    dropped: bool,
}

impl<'a> SetCookie<'a> {
    /// `None`: it is not a cookie (no `=` in its first part), and is left alone.
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let mut parts = Vec::with_capacity(6);
        for part in value.split(|b| *b == b';') {
            let part = trim(part);
            let (name, value) = match part.iter().position(|b| *b == b'=') {
                Some(eq) => (trim_end(&part[..eq]), Some(Cow::Borrowed(trim(&part[eq + 1..])))),
                None => (part, None),
            };
            parts.push(Part { name: Cow::Borrowed(name), value, dropped: false });
        }
        parts.first()?.value.as_ref()?;
        Some(Self { parts, changed: false })
    }

    /// The cookie's name.
    pub(super) fn name(&self) -> &[u8] {
        self.parts.first().map_or(b"", |p| &p.name)
    }

    /// Asks `rule` what stands in place of each value of the attribute `name`.
    pub(super) fn attribute(&mut self, name: &[u8], mut rule: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
        for part in self.parts.iter_mut().skip(1).filter(|p| p.name.eq_ignore_ascii_case(name)) {
            if let Some(new) = part.value.as_deref().and_then(&mut rule) {
                part.value = Some(Cow::Owned(new));
                self.changed = true;
            }
        }
    }

    /// Applies `proxy_cookie_flags`: once a flag is named the cookie is written anew, whatever it had.
    pub(super) fn flags(&mut self, flags: &Flags) {
        if *flags == Flags::default() {
            return;
        }
        self.changed = true;
        self.flag(b"Secure", flags.secure);
        self.flag(b"HttpOnly", flags.httponly);
        match flags.samesite {
            Some(None) => self.drop_attribute(b"SameSite"),
            Some(Some(text)) => self.samesite(text),
            None => {}
        }
    }

    fn flag(&mut self, name: &'static [u8], wish: Option<bool>) {
        match wish {
            Some(true) if !self.parts.iter().skip(1).any(|p| p.name.eq_ignore_ascii_case(name)) => {
                self.parts.push(Part { name: Cow::Borrowed(name), value: None, dropped: false });
            }
            Some(false) => self.drop_attribute(name),
            _ => {}
        }
    }

    fn drop_attribute(&mut self, name: &[u8]) {
        for part in self.parts.iter_mut().skip(1).filter(|p| p.name.eq_ignore_ascii_case(name)) {
            part.dropped = true;
        }
    }

    fn samesite(&mut self, text: &'static [u8]) {
        let name = || Cow::Borrowed(&b"SameSite"[..]);
        let value = Some(Cow::Borrowed(text));
        let found = self.parts.iter_mut().skip(1).find(|p| p.name.eq_ignore_ascii_case(b"samesite"));
        match found {
            Some(part) if part.value.as_ref().is_some_and(|v| v.eq_ignore_ascii_case(text)) => {}
            Some(part) => (part.name, part.value) = (name(), value),
            None => self.parts.push(Part { name: name(), value, dropped: false }),
        }
    }

    /// The new value; `None`: no rule changed anything, the field stays byte for byte as it was.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        if !self.changed {
            return None;
        }
        let mut out = Vec::with_capacity(128);
        for (i, part) in self.parts.iter().enumerate().filter(|(_, p)| !p.dropped) {
            if i > 0 {
                out.extend_from_slice(b"; ");
            }
            out.extend_from_slice(&part.name);
            if let Some(value) = &part.value {
                out.push(b'=');
                out.extend_from_slice(value);
            }
        }
        Some(out)
    }
}

/// What `proxy_cookie_flags` says of a cookie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    secure: Option<bool>,
    httponly: Option<bool>,
    /// `Some(None)`: the attribute goes.
    samesite: Option<Option<&'static [u8]>>,
}

impl Flags {
    /// Words that mean nothing are passed over, as nginx does.
    pub(super) fn add(&mut self, word: &[u8]) {
        match word.to_ascii_lowercase().as_slice() {
            b"secure" => self.secure = Some(true),
            b"nosecure" => self.secure = Some(false),
            b"httponly" => self.httponly = Some(true),
            b"nohttponly" => self.httponly = Some(false),
            b"samesite=strict" => self.samesite = Some(Some(b"Strict")),
            b"samesite=lax" => self.samesite = Some(Some(b"Lax")),
            b"samesite=none" => self.samesite = Some(Some(b"None")),
            b"nosamesite" => self.samesite = Some(None),
            _ => {}
        }
    }
}

/// Replaces `value[at..at + len]`, which lies inside.
pub(super) fn splice(value: &mut Vec<u8>, at: usize, len: usize, replacement: &[u8]) {
    value.splice(at..at + len, replacement.iter().copied());
}

/// Where the URL of a `Refresh` value begins.
pub(super) fn refresh_url(value: &[u8]) -> Option<usize> {
    value.windows(4).position(|w| w.eq_ignore_ascii_case(b"url=")).map(|i| i + 4)
}

/// The part of a cookie's domain that a rule for `pattern` replaces: all of it but a leading dot.
pub(super) fn domain_match(value: &[u8], pattern: &[u8]) -> Option<(usize, usize)> {
    let skip = usize::from(value.first() == Some(&b'.'));
    let rest = value.get(skip..)?;
    rest.eq_ignore_ascii_case(pattern).then_some((skip, rest.len()))
}

/// The part of a cookie's path that a rule for `pattern` replaces.
pub(super) fn path_match(value: &[u8], pattern: &[u8]) -> Option<(usize, usize)> {
    value.starts_with(pattern).then_some((0, pattern.len()))
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
        let mut c = SetCookie::parse(value.as_bytes())?;
        let put = |v: &[u8], (at, len), new: &[u8]| {
            let mut v = v.to_vec();
            splice(&mut v, at, len, new);
            v
        };
        c.attribute(b"domain", |v| Some(put(v, domain_match(v, b"backend.example")?, b"front.example")));
        c.attribute(b"path", |v| Some(put(v, path_match(v, b"/app/")?, b"/")));
        c.finish().map(|v| String::from_utf8(v).unwrap())
    }

    fn flagged(value: &str, words: &[&str]) -> Option<String> {
        let mut c = SetCookie::parse(value.as_bytes())?;
        let mut flags = Flags::default();
        words.iter().for_each(|w| flags.add(w.as_bytes()));
        c.flags(&flags);
        c.finish().map(|v| String::from_utf8(v).unwrap())
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
        assert_eq!(to_front("path=/app/"), None, "the name itself is no attribute");
    }

    #[test]
    fn flags_are_added_changed_and_taken_away() {
        assert_eq!(
            flagged("a=b;path=/", &["secure", "samesite=lax"]).unwrap(),
            "a=b; path=/; Secure; SameSite=Lax"
        );
        assert_eq!(flagged("a=b; secure", &["Secure"]).unwrap(), "a=b; secure");
        assert_eq!(flagged("a=b; samesite=LAX", &["samesite=none"]).unwrap(), "a=b; SameSite=None");
        assert_eq!(flagged("a=b; HttpOnly; Secure", &["nohttponly", "nosamesite"]).unwrap(), "a=b; Secure");
        assert_eq!(flagged("a=b; HttpOnly", &["unknown"]), None);
    }

    #[test]
    fn refresh_is_found_without_regard_to_case() {
        assert_eq!(refresh_url(b"5; URL=/x"), Some(7));
        assert_eq!(refresh_url(b"5"), None);
    }
}
