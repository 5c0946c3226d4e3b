//! The URI that a peer is asked for.

use crate::http::escape_path;

/// What the client asked for, as far as it matters here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    /// The target as received (path and query), while no internal redirect or rewrite has replaced it.
    pub raw: Option<&'a [u8]>,
    /// The path, decoded and normalised.
    pub path: &'a [u8],
    pub args: &'a [u8],
    /// The path had escapes, or was made by us: it has to be escaped again.
    pub escape: bool,
}

/// The URI part of `proxy_pass`.
#[derive(Debug, Clone, Copy)]
pub(super) enum UriPart<'a> {
    None,
    /// Stands for the first bytes of the path: the location's prefix.
    Prefix(&'a [u8], usize),
    /// Made of variables: stands for everything.
    Whole(&'a [u8]),
}

/// Appends the URI.
pub(super) fn write(asked: Asked<'_>, uri: UriPart<'_>, out: &mut Vec<u8>) {
    let (prefix, replaced): (&[u8], usize) = match uri {
        UriPart::Whole(uri) if !uri.is_empty() => return out.extend_from_slice(uri),
        UriPart::Prefix(uri, replaced) if !uri.is_empty() => (uri, replaced),
        _ => {
            if let Some(raw) = asked.raw {
                return out.extend_from_slice(raw);
            }
            (b"", 0)
        }
    };
    out.extend_from_slice(prefix);
    let rest = asked.path.get(replaced..).unwrap_or_default();
    if asked.escape {
        escape_path(rest, out);
    } else {
        out.extend_from_slice(rest);
    }
    if !asked.args.is_empty() {
        out.push(b'?');
        out.extend_from_slice(asked.args);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(asked: Asked<'_>, part: UriPart<'_>) -> String {
        let mut out = Vec::new();
        write(asked, part, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn without_a_uri_part_the_target_goes_on_as_it_came() {
        let asked = Asked { raw: Some(b"/a%20b//../c?x"), path: b"/c", args: b"x", escape: true };
        assert_eq!(uri(asked, UriPart::None), "/a%20b//../c?x");
        assert_eq!(uri(asked, UriPart::Whole(b"")), "/a%20b//../c?x");
        assert_eq!(uri(asked, UriPart::Whole(b"/z?q")), "/z?q");
    }

    #[test]
    fn a_uri_part_takes_the_place_of_the_locations_prefix() {
        let asked = Asked { raw: Some(b"/app/a%20%25?x=1"), path: b"/app/a %", args: b"x=1", escape: true };
        assert_eq!(uri(asked, UriPart::Prefix(b"/back/", 5)), "/back/a%20%25?x=1");
        let plain = Asked { path: b"/app/\"b\"", args: b"", escape: false, ..asked };
        assert_eq!(uri(plain, UriPart::Prefix(b"/", 5)), "/\"b\"");
        assert_eq!(uri(plain, UriPart::Prefix(b"/", 500)), "/");
    }

    #[test]
    fn after_a_redirect_the_new_path_is_escaped() {
        let asked = Asked { raw: None, path: b"/new path", args: b"a", escape: true };
        assert_eq!(uri(asked, UriPart::None), "/new%20path?a");
    }
}
