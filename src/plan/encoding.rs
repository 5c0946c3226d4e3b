//! What becomes of a body on its way out: compressed, unpacked, stored compressed.

use std::collections::HashSet;

use super::{RegexId, Template};

/// `gzip`, `gunzip`, `gzip_static` and what they ask of a request.
#[derive(Debug, Clone, Default)]
pub struct Encoding {
    /// `gzip on`
    pub gzip: Option<Gzip>,
    /// `gunzip on`
    pub gunzip: bool,
    pub gzip_static: GzipStatic,
    /// `charset`
    pub charset: Option<Charset>,
    /// Which clients get something compressed.
    pub accepts: GzipAccepts,
}

/// The character set that an answer's type names.
#[derive(Debug, Clone)]
pub struct Charset {
    pub name: Template,
    /// `charset_types`
    pub types: MimeTypes,
    /// `override_charset`: also where a peer names one.
    pub overrides: bool,
}

/// How an answer is compressed, and which is.
#[derive(Debug, Clone)]
pub struct Gzip {
    pub types: MimeTypes,
    /// `gzip_min_length`, default 20; answers of unknown length are long enough.
    pub min_length: u64,
    /// `gzip_comp_level`, 1 to 9, default 1.
    pub level: u8,
    /// `gzip_window` as a power of two, 9 to 15, default 15.
    pub window_bits: u8,
}

/// `gzip_static`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GzipStatic {
    #[default]
    Off,
    /// For clients that take it.
    On,
    /// For all.
    Always,
}

/// The settings that `gzip`, `gunzip` and `gzip_static` share.
#[derive(Debug, Clone)]
pub struct GzipAccepts {
    /// `gzip_vary`
    pub vary: bool,
    /// `gzip_http_version 1.0`; otherwise 1.1.
    pub http_10: bool,
    /// `gzip_proxied`: which answers to requests with `Via`.
    pub proxied: Proxied,
    /// `gzip_disable`: regexes for `User-Agent`.
    pub disable: Vec<RegexId>,
    /// `gzip_disable msie6`
    pub msie6: bool,
}

impl Default for GzipAccepts {
    fn default() -> Self {
        Self { vary: false, http_10: false, proxied: Proxied::OFF, disable: Vec::new(), msie6: false }
    }
}

bitflags::bitflags! {
    /// `gzip_proxied`
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Proxied: u32 {
        const OFF = 1;
        const EXPIRED = 1 << 1;
        const NO_CACHE = 1 << 2;
        const NO_STORE = 1 << 3;
        const PRIVATE = 1 << 4;
        const NO_LAST_MODIFIED = 1 << 5;
        const NO_ETAG = 1 << 6;
        const AUTH = 1 << 7;
        const ANY = 1 << 8;
    }
}

/// A set of content types (`gzip_types`): names in lower case, without parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MimeTypes {
    /// `*`: any, even none.
    Any,
    Some(HashSet<Box<[u8]>>),
}

impl MimeTypes {
    /// Whether a `Content-Type` is one of them. As nginx: of the parameters, only `charset` (and what follows it) is left
    /// out of account.
    pub fn has(&self, content_type: &[u8]) -> bool {
        let Self::Some(types) = self else { return true };
        let name = without_charset(content_type);
        if name.is_empty() {
            return false;
        }
        if name.iter().any(u8::is_ascii_uppercase) {
            return types.contains(&name.to_ascii_lowercase()[..]);
        }
        types.contains(name)
    }
}

/// The part before `; charset=`.
pub fn without_charset(content_type: &[u8]) -> &[u8] {
    let is_charset = |at: &usize| {
        let after = content_type.get(at + 1..).unwrap_or_default().trim_ascii_start();
        after.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"charset="))
    };
    let end = memchr::memchr_iter(b';', content_type).find(is_charset);
    end.and_then(|at| content_type.get(..at)).unwrap_or(content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_does_not_change_a_type_and_other_parameters_do() {
        let types = MimeTypes::Some([Box::from(&b"text/html"[..])].into());
        for (text, want) in [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            ("text/html;charset=\"utf-8\"", true),
            ("text/html; level=1", false),
            ("text/html; ", false),
            ("text/htm", false),
            ("", false),
        ] {
            assert_eq!(types.has(text.as_bytes()), want, "{text}");
        }
        assert!(MimeTypes::Any.has(b""));
    }
}
