//! OpenSSL's own settings (`ssl_conf_command`, `proxy_ssl_conf_command`), as SSL_CONF_cmd(3) has them.

use rustls::SupportedCipherSuite;

use crate::config::{show, ssl};
use crate::tls::ciphers;
use crate::values;

/// What the commands of a context say.
#[derive(Debug)]
pub(in crate::compile) struct Commands {
    /// The suites of TLS 1.3.
    pub(in crate::compile) suites: Vec<SupportedCipherSuite>,
    pub(in crate::compile) ciphers: Option<Box<[u8]>>,
    pub(in crate::compile) groups: Option<Box<[u8]>>,
    /// Bits of `ssl_protocols`.
    least: u32,
    most: u32,
    pub(in crate::compile) server_preference: bool,
    pub(in crate::compile) no_tickets: bool,
    pub(in crate::compile) tickets: Option<usize>,
    /// Files that take the places of the certificate and the key that are shown to a server.
    pub(in crate::compile) certificate: Option<Box<[u8]>>,
    pub(in crate::compile) private_key: Option<Box<[u8]>>,
}

/// How the directives of TLS towards servers begin.
pub(in crate::compile) const PROXY: &str = "proxy_ssl";

/// Words of `Options` that change nothing here: what they ask for is so, or is not there.
const OPTIONS: [&str; 17] = [
    "Compression",
    "EmptyFragments",
    "Bugs",
    "DHSingle",
    "ECDHSingle",
    "UnsafeLegacyRenegotiation",
    "UnsafeLegacyServerConnect",
    "NoResumptionOnRenegotiation",
    "EncryptThenMac",
    "NoRenegotiation",
    "AllowNoDHEKEX",
    "PrioritizeChaCha",
    "MiddleboxCompat",
    "AntiReplay",
    "ExtendedMasterSecret",
    "KTLS",
    "StrictCertCheck",
];

/// Commands of OpenSSL that are not carried out.
const OTHERS: [&str; 15] = [
    "SignatureAlgorithms",
    "ClientSignatureAlgorithms",
    "Certificate",
    "PrivateKey",
    "ServerInfoFile",
    "ChainCAFile",
    "ChainCAPath",
    "VerifyCAFile",
    "VerifyCAPath",
    "VerifyMode",
    "RequestCAFile",
    "RequestCAPath",
    "ClientCAFile",
    "ClientCAPath",
    "RecordPadding",
];

impl Commands {
    pub(in crate::compile) fn of(prefix: &str, list: &[ssl::Command]) -> Result<Self, String> {
        let mut commands = Self {
            suites: ciphers::tls13(None).unwrap_or_default(),
            ciphers: None,
            groups: None,
            least: 0,
            most: u32::MAX,
            server_preference: false,
            no_tickets: false,
            tickets: None,
            certificate: None,
            private_key: None,
        };
        for (name, value) in list {
            commands.take(prefix, &show(name), &show(value), value)?;
        }
        Ok(commands)
    }

    fn take(&mut self, prefix: &str, name: &str, value: &str, raw: &[u8]) -> Result<(), String> {
        let failed = |why: String| format!("SSL_CONF_cmd(\"{name}\", \"{value}\") failed (SSL: {why})");
        let bad = || failed(format!("error:0A000180:SSL routines::bad value:cmd={name}, value={value}"));
        let version = |text: &str| {
            Ok(match text {
                "None" => 0,
                "SSLv3" => 2,
                "TLSv1" => 4,
                "TLSv1.1" => 8,
                "TLSv1.2" => ssl::TLS12,
                "TLSv1.3" => ssl::TLS13,
                _ => return Err(bad()),
            })
        };
        // OpenSSL knows names without regard to case.
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("Ciphersuites") => {
                self.suites = ciphers::tls13(Some(value)).ok_or_else(|| {
                    failed(format!(
                        "error:0A0000B9:SSL routines::no cipher match error:0A000180:SSL routines::bad \
                         value:cmd={name}, value={value}"
                    ))
                })?;
            }
            () if is("CipherString") => self.ciphers = Some(raw.into()),
            () if is("Groups") || is("Curves") || is("ECDHParameters") => self.groups = Some(raw.into()),
            () if is("MinProtocol") => self.least = version(value)?,
            () if is("MaxProtocol") => {
                self.most = version(value)?.checked_mul(2).filter(|n| *n > 0).map_or(u32::MAX, |n| n - 1)
            }
            () if is("NumTickets") => {
                let number = values::number(raw).and_then(|n| usize::try_from(n).ok()).ok_or_else(bad)?;
                self.tickets = Some(number);
            }
            () if is("Options") => {
                for word in value.split(',').map(str::trim).filter(|w| !w.is_empty()) {
                    let (on, word) = match word.strip_prefix('-') {
                        Some(word) => (false, word),
                        None => (true, word.strip_prefix('+').unwrap_or(word)),
                    };
                    match word {
                        "ServerPreference" => self.server_preference = on,
                        "SessionTicket" => self.no_tickets = !on,
                        word if OPTIONS.contains(&word) => {}
                        _ => return Err(bad()),
                    }
                }
            }
            () if is("DHParameters") => {}
            () if is("Certificate") && prefix == PROXY => self.certificate = Some(raw.into()),
            () if is("PrivateKey") && prefix == PROXY => self.private_key = Some(raw.into()),
            () if OTHERS.iter().any(|o| is(o)) || is("Protocol") => {
                return Err(format!("\"{prefix}_conf_command\" \"{name}\" is not carried out"));
            }
            () => return Err(failed(format!("error:0A000182:SSL routines::unknown cmd name:cmd={name}"))),
        }
        Ok(())
    }

    /// Whether a certificate or a key is named.
    pub(in crate::compile) fn names_pair(&self) -> bool {
        self.certificate.is_some() || self.private_key.is_some()
    }

    /// The versions that are left of `ssl_protocols`.
    pub(in crate::compile) fn limit(&self, protocols: u32) -> u32 {
        let from = if self.least == 0 { u32::MAX } else { !(self.least - 1) };
        protocols & from & self.most
    }
}
