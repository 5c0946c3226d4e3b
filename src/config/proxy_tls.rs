//! `proxy_ssl_*`: TLS towards the servers of `proxy_pass https://…`.

use std::sync::Arc;
use std::time::Duration;

use super::core::some;
use super::cx::show;
use super::family::family;
use super::text::Text;
use super::{Cx, Place, set, ssl};
use crate::plan::CertificateCache;
use crate::source::Dir;
use crate::values;

family! {
    /// `ngx_http_proxy_module`'s settings of SSL
    pub struct ProxyTls {
        "proxy_ssl_session_reuse" => session_reuse: bool = set::flag, true;
        /// Bits of `PROTOCOLS`.
        "proxy_ssl_protocols" => protocols: u32 = set::bits(PROTOCOLS), TLSV1_2 | TLSV1_3;
        /// A list as OpenSSL has it.
        "proxy_ssl_ciphers" => ciphers: Box<[u8]> = set::text, (*b"DEFAULT").into();
        /// `None`: the host of `proxy_pass`.
        "proxy_ssl_name" => name: Option<Text> = some(set::template), None;
        "proxy_ssl_server_name" => server_name: bool = set::flag, false;
        "proxy_ssl_verify" => verify: bool = set::flag, false;
        /// Certificates between the server's own and a trusted one.
        "proxy_ssl_verify_depth" => verify_depth: u64 = set::num, 1;
        /// A file or `data:`; empty: none. The same for those that follow.
        "proxy_ssl_trusted_certificate" => trusted: Box<[u8]> = set::text, Box::default();
        "proxy_ssl_crl" => crl: Box<[u8]> = set::text, Box::default();
        "proxy_ssl_certificate" => certificate: Option<Text> = some(set::template), None;
        "proxy_ssl_certificate_key" => certificate_key: Option<Text> = some(set::template), None;
        /// `None`: `off`. Levels that inherit it share one cache.
        "proxy_ssl_certificate_cache" => certificate_cache: Option<Arc<CertificateCache>> = cache, None;
        "proxy_ssl_password_file" => password_file: Option<PasswordFile> = password_file, None;
        /// Names and values, as OpenSSL's `SSL_CONF_cmd` takes them.
        "proxy_ssl_conf_command" => commands: Vec<ssl::Command> = command, Vec::new();
    }
}

impl ProxyTls {
    /// Whether a level says nothing of what a context is made of: then it has that of the level around it.
    pub fn makes_no_context(&self) -> bool {
        self.protocols.is_none()
            && self.ciphers.is_none()
            && self.certificate.is_none()
            && self.certificate_key.is_none()
            && self.password_file.is_none()
            && self.verify.is_none()
            && self.verify_depth.is_none()
            && self.trusted.is_none()
            && self.crl.is_none()
            && self.session_reuse.is_none()
            && self.commands.is_none()
    }
}

const TLSV1_2: u32 = ssl::TLS12;
const TLSV1_3: u32 = ssl::TLS13;

/// `proxy_ssl_protocols`' words.
const PROTOCOLS: &[(&str, u32)] = &[
    ("SSLv2", 1),
    ("SSLv3", 1 << 1),
    ("TLSv1", 1 << 2),
    ("TLSv1.1", 1 << 3),
    ("TLSv1.2", TLSV1_2),
    ("TLSv1.3", TLSV1_3),
];

/// `proxy_ssl_password_file`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordFile {
    pub path: Box<[u8]>,
    pub at: Place,
}

fn password_file(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Option<PasswordFile>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    *slot = Some(Some(PasswordFile { path: d.arg(0).into(), at: d.at() }));
}

fn command(_: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<ssl::Command>>) {
    slot.get_or_insert_default().push((d.arg(0).into(), d.arg(1).into()));
}

fn cache(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Option<Arc<CertificateCache>>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let mut cache =
        CertificateCache { max: 0, inactive: Duration::from_secs(10), valid: Duration::from_secs(60) };
    let mut off = false;
    for word in d.args() {
        let word = &word.value[..];
        let seconds = |text: &[u8]| values::sec(text).map(Duration::from_secs);
        let known = if let Some(max) = word.strip_prefix(b"max=") {
            let max = values::number(max).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
            max.map(|max| cache.max = max)
        } else if let Some(text) = word.strip_prefix(b"inactive=") {
            seconds(text).map(|time| cache.inactive = time)
        } else if let Some(text) = word.strip_prefix(b"valid=") {
            seconds(text).map(|time| cache.valid = time)
        } else {
            (word == b"off").then(|| off = true)
        };
        if known.is_none() {
            return cx.emerg(d, format!("invalid parameter \"{}\"", show(word)));
        }
    }
    if off {
        *slot = Some(None);
    } else if cache.max == 0 {
        cx.emerg(d, "\"proxy_ssl_certificate_cache\" must have the \"max\" parameter");
    } else {
        *slot = Some(Some(Arc::new(cache)));
    }
}
