//! `gzip`, `gunzip`, `gzip_static`, `charset` and their kin.

use super::family::family;
use super::text::{Pattern, Text};
use super::{Cx, set};
use crate::plan::{GzipStatic, MimeTypes};
use crate::source::Dir;

family! {
    /// `ngx_http_gzip_filter_module`, `ngx_http_gunzip_filter_module`, `ngx_http_gzip_static_module`,
    /// `ngx_http_charset_filter_module`, and the `gzip_*` of `ngx_http_core_module`
    pub struct Encoding {
        "gzip" => gzip: bool = set::flag, false;
        "gzip_types" => gzip_types: MimeTypes = set::types(HTML), set::own_types(HTML);
        "gzip_min_length" => gzip_min_length: usize = set::size, 20;
        "gzip_comp_level" => gzip_comp_level: u64 = set::checked(set::num, level), 1;
        "gzip_window" => gzip_window: usize = set::checked(set::size, window), 32 * 1024;
        "gzip_hash" => gzip_hash: usize = set::checked(set::size, hash), 64 * 1024;
        "gzip_buffers" => gzip_buffers: (usize, usize) = set::buffers, (32, 4096);
        "gzip_no_buffer" => gzip_no_buffer: bool = set::flag, false;
        "postpone_gzipping" => postpone_gzipping: usize = set::size, 0;
        "gzip_vary" => gzip_vary: bool = set::flag, false;
        /// 1.0 is taken, too.
        "gzip_http_version" => http_10: bool = set::word(&[("1.0", true), ("1.1", false)]), false;
        "gzip_proxied" => gzip_proxied: u32 = set::bits(PROXIED), 1;
        "gzip_disable" => gzip_disable: Disable = disable, Disable::default();
        "gunzip" => gunzip: bool = set::flag, false;
        "gunzip_buffers" => gunzip_buffers: (usize, usize) = set::buffers, (32, 4096);
        /// `None`: `off`.
        "charset" => charset: Option<Text> = charset, None;
        "charset_types" => charset_types: MimeTypes = set::types(HTML), set::own_types(CHARSET_TYPES);
        "override_charset" => override_charset: bool = set::flag, false;
        "gzip_static" => gzip_static: GzipStatic = set::word(STATIC), GzipStatic::Off;
    }
}

/// nginx adds the first of its default types to those that are said, whichever they are.
const HTML: &[&str] = &["text/html"];
const CHARSET_TYPES: &[&str] = &[
    "text/html",
    "text/xml",
    "text/plain",
    "text/vnd.wap.wml",
    "application/javascript",
    "application/rss+xml",
];

/// As the bits of [`crate::plan::Proxied`].
const PROXIED: &[(&str, u32)] = &[
    ("off", 1),
    ("expired", 1 << 1),
    ("no-cache", 1 << 2),
    ("no-store", 1 << 3),
    ("private", 1 << 4),
    ("no_last_modified", 1 << 5),
    ("no_etag", 1 << 6),
    ("auth", 1 << 7),
    ("any", 1 << 8),
];

const STATIC: &[(&str, GzipStatic)] =
    &[("off", GzipStatic::Off), ("on", GzipStatic::On), ("always", GzipStatic::Always)];

/// `gzip_disable`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disable {
    pub agents: Vec<Pattern>,
    pub msie6: bool,
}

impl Encoding {
    /// Inheritance as nginx has it: `msie6` goes on into levels that name other browsers. Call it in place of `inherit`.
    pub fn merge(&mut self, parent: &Self) {
        if let (Some(own), Some(above)) = (&mut self.gzip_disable, &parent.gzip_disable) {
            own.msie6 |= above.msie6;
        }
        self.inherit(parent);
    }
}

fn charset(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Option<Text>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    *slot = match d.arg(0) {
        b"off" => Some(None),
        name if name.first() == Some(&b'$') => Text::read(cx, d, name).map(Some),
        name => {
            let known = cx.charsets.iter().find(|c| c.eq_ignore_ascii_case(name)).cloned();
            let name = known.unwrap_or_else(|| {
                cx.charsets.push(name.into());
                name.into()
            });
            Some(Some(Text::plain(name)))
        }
    };
}

fn level(level: &u64) -> Option<String> {
    (!(1..=9).contains(level)).then(|| "value must be between 1 and 9".to_owned())
}

fn window(size: &usize) -> Option<String> {
    let good = size.is_power_of_two() && (512..=32 * 1024).contains(size);
    (!good).then(|| "\"gzip_window\" directive must be 512, 1k, 2k, 4k, 8k, 16k, or 32k".to_owned())
}

fn hash(size: &usize) -> Option<String> {
    let good = size.is_power_of_two() && (512..=128 * 1024).contains(size);
    (!good).then(|| "\"gzip_hash\" directive must be 512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k".to_owned())
}

fn disable(_: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Disable>) {
    let disable = slot.get_or_insert_default();
    for word in d.args() {
        if &word.value[..] == b"msie6" {
            disable.msie6 = true;
        } else {
            disable.agents.push(Pattern { text: word.value[..].into(), caseless: true, at: d.at() });
        }
    }
}
