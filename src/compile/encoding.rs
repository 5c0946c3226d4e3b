//! `gzip` and its kin, as a location needs them.

use super::Builder;
use crate::config;
use crate::plan::{Charset, Encoding, Gzip, GzipAccepts, GzipStatic, Proxied};

impl Builder<'_> {
    /// `None`: nothing of it is on.
    pub fn encoding(&mut self, set: &config::Encoding) -> Option<Box<Encoding>> {
        let disable = set.gzip_disable();
        // Regexes are compiled, and complained of, wherever they stand.
        let regexes = disable.agents.iter().filter_map(|p| self.names.regex(p, self.found)).collect();
        let charset = set.charset().map(|name| Charset {
            name: self.names.template(&name),
            types: set.charset_types(),
            overrides: set.override_charset(),
        });
        if !set.gzip() && !set.gunzip() && set.gzip_static() == GzipStatic::Off && charset.is_none() {
            return None;
        }
        let gzip = set.gzip().then(|| Gzip {
            types: set.gzip_types(),
            min_length: set.gzip_min_length() as u64,
            level: u8::try_from(set.gzip_comp_level()).unwrap_or(9),
            window_bits: u8::try_from(set.gzip_window().max(512).ilog2()).unwrap_or(15).min(15),
        });
        Some(Box::new(Encoding {
            gzip,
            gunzip: set.gunzip(),
            gzip_static: set.gzip_static(),
            charset,
            accepts: GzipAccepts {
                vary: set.gzip_vary(),
                http_10: set.http_10(),
                proxied: Proxied::from_bits_truncate(set.gzip_proxied()),
                disable: regexes,
                msie6: disable.msie6,
            },
        }))
    }
}
