//! Why there is no TLS connection. The texts are those of nginx's log lines, with OpenSSL's words where it has them.

use std::fmt;
use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

use crate::sys::err_text;

/// A handshake that failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The peer closed before the handshake was over.
    #[error("peer closed connection in SSL handshake")]
    Closed,
    /// The time was up.
    #[error("{}", timed_out())]
    Timeout,
    /// The socket failed.
    #[error("SSL_do_handshake() failed ({})", err_text(.0))]
    Io(#[from] io::Error),
    /// The server block refuses every handshake (`ssl_reject_handshake`).
    #[error("SSL_do_handshake() failed (SSL: error:0A0000EA:SSL routines::callback failed)")]
    Rejected,
    /// The two sides do not understand, or do not trust, each other.
    #[error("SSL_do_handshake() failed (SSL: {})", Words(.0))]
    Tls(Error),
}

impl HandshakeError {
    /// Whether it is the peer's doing: nginx logs it for a client as `info`, for an upstream as `error`, and what is not
    /// as `crit`.
    pub fn is_peers(&self) -> bool {
        match self {
            Self::Closed | Self::Timeout | Self::Io(_) | Self::Rejected => true,
            Self::Tls(e) => !matches!(
                e,
                Error::General(_) | Error::FailedToGetRandomBytes | Error::FailedToGetCurrentTime
            ),
        }
    }
}

fn timed_out() -> String {
    "SSL_do_handshake() timed out (110: Connection timed out)".to_owned()
}

/// What went wrong as OpenSSL 3 says it.
pub(super) struct Words<'a>(pub(super) &'a Error);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut say = |code: u32, text: &str| write!(f, "error:0A{code:06X}:SSL routines::{text}");
        match self.0 {
            // OpenSSL numbers them from 1000.
            Error::AlertReceived(alert) => {
                let number = u8::from(*alert);
                say(1000 + u32::from(number), alert_name(*alert))?;
                write!(f, ":SSL alert number {number}")
            }
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => {
                say(0xc1, "no shared cipher")
            }
            Error::PeerIncompatible(
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::Tls13RequiredForQuic
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => say(0x102, "unsupported protocol"),
            Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon) => {
                say(0x65, "no suitable key share")
            }
            Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon) => {
                say(0x76, "no suitable signature algorithm")
            }
            Error::NoApplicationProtocol => say(0xeb, "no application protocol"),
            Error::InvalidMessage(_) => say(0x10b, "wrong version number"),
            Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
                say(0xf4, "unexpected message")
            }
            Error::DecryptError => say(0x119, "decryption failed or bad record mac"),
            Error::InvalidCertificate(_) => say(0x86, "certificate verify failed"),
            Error::PeerSentOversizedRecord => say(0xc6, "packet length too long"),
            other => write!(f, "{other}"),
        }
    }
}

fn alert_name(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UnexpectedMessage => "sslv3 alert unexpected message",
        AlertDescription::BadRecordMac => "sslv3 alert bad record mac",
        AlertDescription::DecompressionFailure => "sslv3 alert decompression failure",
        AlertDescription::HandshakeFailure => "sslv3 alert handshake failure",
        AlertDescription::NoCertificate => "sslv3 alert no certificate",
        AlertDescription::BadCertificate => "sslv3 alert bad certificate",
        AlertDescription::UnsupportedCertificate => "sslv3 alert unsupported certificate",
        AlertDescription::CertificateRevoked => "sslv3 alert certificate revoked",
        AlertDescription::CertificateExpired => "sslv3 alert certificate expired",
        AlertDescription::CertificateUnknown => "sslv3 alert certificate unknown",
        AlertDescription::IllegalParameter => "sslv3 alert illegal parameter",
        AlertDescription::UnknownCA => "tlsv1 alert unknown ca",
        AlertDescription::AccessDenied => "tlsv1 alert access denied",
        AlertDescription::DecodeError => "tlsv1 alert decode error",
        AlertDescription::DecryptError => "tlsv1 alert decrypt error",
        AlertDescription::ProtocolVersion => "tlsv1 alert protocol version",
        AlertDescription::InsufficientSecurity => "tlsv1 alert insufficient security",
        AlertDescription::InternalError => "tlsv1 alert internal error",
        AlertDescription::InappropriateFallback => "tlsv1 alert inappropriate fallback",
        AlertDescription::UserCanceled => "tlsv1 alert user cancelled",
        AlertDescription::NoRenegotiation => "tlsv1 alert no renegotiation",
        AlertDescription::MissingExtension => "tlsv13 alert missing extension",
        AlertDescription::CertificateRequired => "tlsv13 alert certificate required",
        AlertDescription::UnrecognisedName => "tlsv1 unrecognized name",
        AlertDescription::UnsupportedExtension => "tlsv1 unsupported extension",
        AlertDescription::BadCertificateStatusResponse => "tlsv1 bad certificate status response",
        AlertDescription::UnknownPSKIdentity => "unknown psk identity",
        AlertDescription::NoApplicationProtocol => "tlsv1 alert no application protocol",
        _ => "tlsv1 alert",
    }
}
