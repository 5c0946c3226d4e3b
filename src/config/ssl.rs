//! TLS towards clients: the settings of `ngx_http_ssl_module`.

use std::time::Duration;

use super::cx::show;
use super::family::family;
use super::{Cx, Place, Text, set};
use crate::plan::VerifyClient;
use crate::source::Dir;
use crate::values;

family! {
    /// `ngx_http_ssl_module`: what may stand in `http` and `server`.
    pub struct Ssl {
        "ssl_certificate" => certificates: Vec<Named> = named, Vec::new();
        "ssl_certificate_key" => keys: Vec<Named> = named, Vec::new();
        "ssl_certificate_cache" => certificate_cache: bool = certificate_cache, false;
        "ssl_certificate_compression" => compression: bool = set::flag, false;
        "ssl_password_file" => password_file: Option<FileAt> = file_at, None;
        /// Bits of `PROTOCOLS`.
        "ssl_protocols" => protocols: u32 = set::bits(PROTOCOLS), TLS12 | TLS13;
        "ssl_ciphers" => ciphers: Box<[u8]> = set::text, (*b"HIGH:!aNULL:!MD5").into();
        "ssl_prefer_server_ciphers" => prefer_server_ciphers: bool = set::flag, false;
        "ssl_ecdh_curve" => curve: Box<[u8]> = set::text, (*b"auto").into();
        "ssl_dhparam" => dhparam: Box<[u8]> = set::text, Box::default();
        /// Bytes of a record's content.
        "ssl_buffer_size" => buffer_size: usize = set::size, 16 << 10;
        "ssl_session_cache" => session_cache: SessionCache = session_cache, SessionCache::default();
        "ssl_session_timeout" => session_timeout: u64 = seconds, 300;
        "ssl_session_tickets" => session_tickets: bool = set::flag, true;
        "ssl_session_ticket_key" => ticket_keys: Vec<Box<[u8]>> = set::texts, Vec::new();
        "ssl_verify_client" => verify: VerifyClient = set::word(VERIFY), VerifyClient::Off;
        "ssl_verify_depth" => verify_depth: u64 = set::num, 1;
        "ssl_client_certificate" => client_certificate: Box<[u8]> = set::text, Box::default();
        "ssl_trusted_certificate" => trusted_certificate: Box<[u8]> = set::text, Box::default();
        "ssl_crl" => crl: Box<[u8]> = set::text, Box::default();
        "ssl_ocsp" => ocsp: Ocsp = set::word(OCSP), Ocsp::Off;
        "ssl_ocsp_cache" => ocsp_cache: bool = ocsp_cache, false;
        "ssl_ocsp_responder" => ocsp_responder: Box<[u8]> = set::text, Box::default();
        "ssl_stapling" => stapling: bool = set::flag, false;
        "ssl_stapling_file" => stapling_file: Box<[u8]> = set::text, Box::default();
        "ssl_stapling_responder" => stapling_responder: Box<[u8]> = set::text, Box::default();
        "ssl_stapling_verify" => stapling_verify: bool = set::flag, false;
        "ssl_early_data" => early_data: bool = set::flag, false;
        "ssl_ech_file" => ech_files: Vec<Box<[u8]>> = set::texts, Vec::new();
        "ssl_reject_handshake" => reject: bool = set::flag, false;
        /// Name and value of OpenSSL's settings.
        "ssl_conf_command" => commands: Vec<Command> = command, Vec::new();
    }
}

/// Versions before TLS 1.2, which rustls does not speak.
pub const OLD: u32 = 0b0_1111;
pub const TLS12: u32 = 1 << 4;
pub const TLS13: u32 = 1 << 5;

const PROTOCOLS: &[(&str, u32)] =
    &[("SSLv2", 1), ("SSLv3", 2), ("TLSv1", 4), ("TLSv1.1", 8), ("TLSv1.2", TLS12), ("TLSv1.3", TLS13)];

const VERIFY: &[(&str, VerifyClient)] = &[
    ("off", VerifyClient::Off),
    ("on", VerifyClient::On),
    ("optional", VerifyClient::Optional),
    ("optional_no_ca", VerifyClient::OptionalNoCa),
];

const OCSP: &[(&str, Ocsp)] = &[("off", Ocsp::Off), ("on", Ocsp::On), ("leaf", Ocsp::Leaf)];

/// The least zone: eight pages, as nginx asks for.
const LEAST: u64 = 8 * 4096;

/// A certificate or a key as it is named, which may have variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub text: Text,
    pub raw: Box<[u8]>,
    pub at: Place,
}

/// Name and value of `ssl_conf_command`.
pub type Command = (Box<[u8]>, Box<[u8]>);

/// A file and the line that names it.
pub type FileAt = (Box<[u8]>, Place);

/// Whose certificates are looked up by OCSP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ocsp {
    Off,
    On,
    Leaf,
}

/// `ssl_session_cache`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionCache {
    /// The threads' own one.
    pub builtin: bool,
    /// Name and bytes, and the line.
    pub shared: Option<(Box<[u8]>, u64, Place)>,
}

fn named(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<Named>>) {
    let raw: Box<[u8]> = d.arg(0).into();
    // A PEM text is no template.
    let text = if raw.starts_with(b"data:") && !raw.contains(&b'$') {
        Some(Text::plain(raw.clone()))
    } else {
        Text::read(cx, d, &raw)
    };
    if let Some(text) = text {
        slot.get_or_insert_default().push(Named { text, raw, at: d.at() });
    }
}

fn file_at(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Option<FileAt>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    *slot = Some(Some((d.arg(0).into(), d.at())));
}

fn seconds(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<u64>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    *slot = values::sec(d.arg(0));
    if slot.is_none() {
        cx.says(d, "invalid value");
    }
}

fn command(_: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<Command>>) {
    slot.get_or_insert_default().push((d.arg(0).into(), d.arg(1).into()));
}

/// `shared:NAME:SIZE`; `None`: it is not well formed.
fn shared(text: &[u8]) -> Option<(&[u8], u64)> {
    let rest = text.strip_prefix(b"shared:")?;
    let colon = rest.iter().position(|b| *b == b':').filter(|i| *i > 0)?;
    let (name, size) = rest.split_at(colon);
    Some((name, values::size(size.get(1..)?)?))
}

fn session_cache(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<SessionCache>) {
    let cache = slot.get_or_insert_default();
    for word in d.args() {
        let text = &word.value[..];
        match text {
            b"off" | b"none" => cache.builtin = false,
            b"builtin" => cache.builtin = true,
            _ if text.strip_prefix(b"builtin:").is_some_and(|n| values::number(n).is_some()) => {
                cache.builtin = true;
            }
            _ => match shared(text) {
                None => return cx.emerg(d, format!("invalid session cache \"{}\"", show(text))),
                Some((_, size)) if size < LEAST => {
                    return cx.emerg(d, format!("session cache \"{}\" is too small", show(text)));
                }
                Some((name, size)) => cache.shared = Some((name.into(), size, d.at())),
            },
        }
    }
}

fn ocsp_cache(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<bool>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let text = d.arg(0);
    *slot = Some(text != b"off");
    match (text, shared(text)) {
        (b"off", _) => {}
        (_, None) => cx.emerg(d, format!("invalid OCSP cache \"{}\"", show(text))),
        (_, Some((_, size))) if size < LEAST => {
            cx.emerg(d, format!("OCSP cache \"{}\" is too small", show(text)));
        }
        _ => {}
    }
}

fn certificate_cache(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<bool>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let (mut off, mut max) = (false, false);
    for word in d.args() {
        let text = &word.value[..];
        let good = match text {
            b"off" => {
                off = true;
                true
            }
            _ => match text.iter().position(|b| *b == b'=').map(|i| (&text[..i], &text[i + 1..])) {
                Some((b"max", n)) => {
                    max = true;
                    values::number(n).is_some_and(|n| n > 0)
                }
                Some((b"inactive" | b"valid", time)) => values::sec(time).is_some(),
                _ => false,
            },
        };
        if !good {
            return cx.emerg(d, format!("invalid parameter \"{}\"", show(text)));
        }
    }
    if !off && !max {
        cx.emerg(d, "\"ssl_certificate_cache\" must have the \"max\" parameter");
    }
    *slot = Some(!off);
}

impl Ssl {
    /// How long a session may be resumed.
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.session_timeout())
    }
}
