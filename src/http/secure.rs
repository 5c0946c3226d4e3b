//! What a request knows of the TLS that it came through, and the checks that come of it.

use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection, SignatureScheme};
use sha1::{Digest as _, Sha1};

use super::host::server_of;
use super::{Request, ThreadState};
use crate::diag::Severity;
use crate::plan::{ServerId, VarId, VerifyClient};
use crate::rt::clock;
use crate::sys::x509::{Certificate, Unverified, verify_text};
use crate::tls::{ciphers, groups};

/// What was agreed in a handshake, and who the client is.
#[derive(Debug)]
pub struct Secure {
    /// The server whose certificate was shown.
    pub server: ServerId,
    /// The name that the client gave, when a server of the address has it.
    pub named: Option<Box<[u8]>>,
    /// … whether or not.
    pub server_name: Option<Box<str>>,
    pub version: Option<ProtocolVersion>,
    pub suite: Option<CipherSuite>,
    pub group: Option<NamedGroup>,
    pub alpn: Option<Box<[u8]>>,
    pub resumed: bool,
    pub session_id: Box<[u8]>,
    /// What the client could do.
    pub offered: Offered,
    /// The client's certificate; `None`: it showed none.
    pub certificate: Option<Certificate>,
    /// What is wrong with it.
    pub verdict: Result<(), Unverified>,
}

/// What a hello offers.
#[derive(Debug, Default)]
pub struct Offered {
    pub suites: Box<[CipherSuite]>,
    pub groups: Box<[NamedGroup]>,
    pub schemes: Box<[SignatureScheme]>,
}

impl Secure {
    /// Of a handshake that is over. Nobody is said of the client's certificate yet.
    pub fn of(session: &ServerConnection, server: ServerId, offered: Offered) -> Self {
        Self {
            server,
            named: None,
            server_name: session.server_name().map(Into::into),
            version: session.protocol_version(),
            suite: session.negotiated_cipher_suite().map(|s| s.suite()),
            group: session.negotiated_key_exchange_group().map(|g| g.name()),
            alpn: session.alpn_protocol().map(Into::into),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            session_id: Box::default(),
            offered,
            certificate: None,
            verdict: Ok(()),
        }
    }

    /// `$ssl_…`; false: there is no value.
    pub(super) fn append(&self, var: VarId, out: &mut Vec<u8>) -> bool {
        use VarId as V;
        let before = out.len();
        match var {
            V::SslProtocol => out.extend_from_slice(match self.version {
                Some(ProtocolVersion::TLSv1_2) => b"TLSv1.2",
                Some(ProtocolVersion::TLSv1_3) => b"TLSv1.3",
                _ => b"",
            }),
            V::SslCipher => out.extend(self.suite.map(ciphers::name).unwrap_or_default().into_bytes()),
            V::SslCiphers => list(&self.offered.suites, |s| ciphers::name(*s), out),
            V::SslCurve => out.extend(self.group.map(groups::name).unwrap_or_default().into_bytes()),
            V::SslCurves => list(&self.offered.groups, |g| groups::name(*g), out),
            V::SslSigalgs => list(&self.offered.schemes, |s| scheme(*s), out),
            V::SslSessionId => hex(&self.session_id, out),
            V::SslSessionReused => out.push(if self.resumed { b'r' } else { b'.' }),
            V::SslServerName => {
                out.extend_from_slice(self.server_name.as_deref().unwrap_or_default().as_bytes())
            }
            V::SslAlpnProtocol => out.extend_from_slice(self.alpn.as_deref().unwrap_or_default()),
            V::SslClientVerify => match (&self.certificate, self.verdict) {
                (None, _) => out.extend_from_slice(b"NONE"),
                (Some(_), Ok(())) => out.extend_from_slice(b"SUCCESS"),
                (Some(_), Err(Unverified(code))) => {
                    out.extend_from_slice(b"FAILED:");
                    out.extend_from_slice(verify_text(code).as_bytes());
                }
            },
            _ => {
                if let Some(certificate) = &self.certificate {
                    of_certificate(certificate, var, out);
                }
            }
        }
        out.len() > before
    }
}

fn of_certificate(certificate: &Certificate, var: VarId, out: &mut Vec<u8>) {
    use VarId as V;
    match var {
        V::SslClientRawCert => pem(certificate, out),
        V::SslClientCert => {
            let mut text = Vec::new();
            pem(certificate, &mut text);
            // Lines but the first begin with a tab, as a folded field's did; the last line end is left out.
            text.pop();
            for byte in text {
                out.push(byte);
                if byte == b'\n' {
                    out.push(b'\t');
                }
            }
        }
        V::SslClientEscapedCert => {
            let mut text = Vec::new();
            pem(certificate, &mut text);
            for byte in text {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                    out.push(byte);
                } else {
                    out.extend_from_slice(format!("%{byte:02X}").as_bytes());
                }
            }
        }
        V::SslClientSDn => out.extend(certificate.subject()),
        V::SslClientIDn => out.extend(certificate.issuer()),
        V::SslClientSDnLegacy => out.extend(certificate.subject_oneline()),
        V::SslClientIDnLegacy => out.extend(certificate.issuer_oneline()),
        V::SslClientSerial => out.extend(certificate.serial()),
        V::SslClientFingerprint => hex(&Sha1::digest(certificate.der()), out),
        V::SslClientVStart => out.extend(certificate.not_before()),
        V::SslClientVEnd => out.extend(certificate.not_after()),
        V::SslClientVRemain => {
            let now = i64::try_from(clock::unix_secs()).unwrap_or(i64::MAX);
            if let Some(end) = certificate.expires() {
                let days = (end.saturating_sub(now) / 86_400).max(0);
                out.extend_from_slice(days.to_string().as_bytes());
            }
        }
        _ => {}
    }
}

fn list<T>(items: &[T], name: impl Fn(&T) -> String, out: &mut Vec<u8>) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b':');
        }
        out.extend(name(item).into_bytes());
    }
}

/// A way to sign as its registry names it, in lower case.
fn scheme(scheme: SignatureScheme) -> String {
    match scheme.as_str() {
        Some(name) => name.to_ascii_lowercase(),
        None => format!("0x{:04x}", u16::from(scheme)),
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]));
}

/// RFC 7468, as OpenSSL writes it.
fn pem(certificate: &Certificate, out: &mut Vec<u8>) {
    use base64::Engine as _;
    out.extend_from_slice(b"-----BEGIN CERTIFICATE-----\n");
    let text = base64::engine::general_purpose::STANDARD.encode(certificate.der());
    for line in text.as_bytes().chunks(64) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(b"-----END CERTIFICATE-----\n");
}

/// The status that ends a request for a server that wants to see certificates, when the handshake was with another one.
pub(super) fn misdirected(req: &Request, thread: &ThreadState) -> Option<u16> {
    let named = req.conn.secure.as_ref().and_then(|s| s.named.as_deref())?;
    let host = req.head.host().unwrap_or_default();
    if host == named {
        return None;
    }
    let entry = req.conn.listen_entry(&req.plan)?;
    let server = server_of(&req.plan, entry, host).unwrap_or(entry.default_server);
    let asks = req.plan.servers.get(server.ix()).is_some_and(|s| s.verify_client != VerifyClient::Off);
    asks.then(|| {
        let text = format_args!(
            "client attempted to request the server name different from the one that was negotiated while reading \
             client request headers"
        );
        thread.log_error(req, Severity::Info, text);
        421
    })
}

/// The status that ends a request because of the TLS that it did or did not come through.
pub(super) fn refused(req: &Request, thread: &ThreadState) -> Option<u16> {
    if req.conn.to_https {
        thread.log_error(req, Severity::Info, format_args!("client sent plain HTTP request to HTTPS port"));
        return Some(497);
    }
    let secure = req.conn.secure.as_ref()?;
    let verify = req.server().verify_client;
    if verify == VerifyClient::Off {
        return None;
    }
    if let Err(Unverified(code)) = secure.verdict
        && !(verify == VerifyClient::OptionalNoCa && lacks_authority(code))
    {
        let why = verify_text(code);
        let text = format_args!("client SSL certificate verify error: ({code}:{why})");
        thread.log_error(req, Severity::Info, text);
        return Some(495);
    }
    if verify == VerifyClient::On && secure.certificate.is_none() {
        thread.log_error(req, Severity::Info, format_args!("client sent no required SSL certificate"));
        return Some(496);
    }
    None
}

/// Self-signed, or without an issuer that is known.
fn lacks_authority(code: i32) -> bool {
    matches!(code, 18..=21)
}
