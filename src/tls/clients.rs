//! Clients' certificates: they are asked for, and whoever shows one must have its key; whether it is trusted is found out
//! after the handshake, since nginx answers over the connection who is not.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme,
};

use crate::sys::x509::Certificate;

/// Asks for a certificate and takes any.
#[derive(Debug)]
pub struct Ask {
    /// The authorities that clients are told of (`ssl_client_certificate`).
    pub authorities: Vec<DistinguishedName>,
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl Ask {
    /// Checks a signature with the key of a certificate of any version, which rustls' own check would not read.
    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
        tls13: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = Certificate::from_der(certificate)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let listed = self.algorithms.supported_schemes().contains(&dss.scheme);
        if !listed || (tls13 && !in_tls13(dss.scheme)) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        if certificate.signed(dss.scheme.into(), message, dss.signature()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::BadSignature))
        }
    }
}

/// TLS 1.3 has neither PKCS #1 nor SHA-1 (RFC 8446, section 4.2.3).
fn in_tls13(scheme: SignatureScheme) -> bool {
    let number = u16::from(scheme);
    number & 0xff != 1 && number >> 8 != 2
}

impl ClientCertVerifier for Ask {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
