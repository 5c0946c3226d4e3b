//! `proxy_ssl_*`: TLS towards the servers of a `proxy_pass`, made once for all locations that share the settings.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::Builder;
use super::certs::{self, Place};
use super::locations::Effective;
use super::tls::{Asked, Commands, PROXY, Spoken, spoken};
use crate::config::{Level, ProxyTls, Step, show};
use crate::diag::Severity;
use crate::plan;
use crate::sys::x509::{Certificate, Trust};
use crate::tls::ciphers;

impl Builder<'_> {
    /// Reads the passwords that a level names, as nginx does whether they are needed or not.
    pub fn read_passwords(&mut self, level: &Level) {
        let Some(Some(Some(file))) = level.proxy_tls.as_ref().map(|tls| &tls.password_file) else { return };
        if !self.files || self.passwords.contains_key(&file.path) {
            return;
        }
        let path = self.folder.join(std::ffi::OsStr::from_bytes(&file.path));
        match certs::passwords(&path) {
            Ok(read) => {
                self.passwords.insert(file.path.clone(), read.into());
            }
            Err(words) => self.found.emerg(file.at, certs::CODE, words),
        }
    }

    /// The TLS in effect at a level; `None`: it was refused.
    pub(super) fn proxy_tls(&mut self, at: &Effective) -> Option<Arc<plan::ProxyTls>> {
        if let Some(made) = at.proxy_tls_set.get() {
            return made.clone();
        }
        let made = match self.make_proxy_tls(&at.proxy_tls) {
            Ok(made) => Some(Arc::new(made)),
            Err(Refused { words, code }) => {
                self.found.late(self.http.close, Step::Merge, Severity::Emerg, None, words);
                self.found.code(code);
                None
            }
        };
        at.proxy_tls_set.get_or_init(|| made).clone()
    }

    fn make_proxy_tls(&mut self, asked: &ProxyTls) -> Result<plan::ProxyTls, Refused> {
        // nginx looks at the list before anything else, and at the commands behind all.
        let list = asked.ciphers();
        if ciphers::tls12(&show(&list)) == Err(ciphers::Refused::NoMatch) {
            return Err(no_match(&show(&list)));
        }
        let (mut certificate, mut pair) = (None, None);
        let shown = asked.certificate().filter(|text| !text.tokens.is_empty());
        if let Some(text) = &shown {
            let Some(key) = asked.certificate_key() else {
                let words = format!(
                    "no \"proxy_ssl_certificate_key\" is defined for certificate \"{}\"",
                    show(&text.written())
                );
                return Err(Refused { words, code: "bad-configuration" });
            };
            let file = asked.password_file().map(|f| f.path);
            let passwords = file.and_then(|path| self.passwords.get(&path)).cloned().unwrap_or_default();
            match (text.as_plain(), key.as_plain()) {
                (Some(text), Some(key)) if self.files => {
                    let (text, key) = (Place::new(text, self.folder), Place::of_key(key, self.folder));
                    let (chain, read) = (certs::chain(&text)?, certs::key(&key, &passwords)?);
                    pair = Some((certs::fit(&chain, &read, &key, "SSL_CTX_use")?, (text, key)));
                }
                (Some(_), Some(_)) => {}
                _ => {
                    certificate = Some(plan::ProxyCertificate {
                        certificate: self.names.template(text),
                        key: self.names.template(&key),
                        passwords,
                        cache: asked.certificate_cache(),
                        folder: self.folder.to_owned(),
                    });
                }
            }
        }
        let trust = if asked.verify() { self.trust(asked)? } else { None };
        let commands = Commands::of(PROXY, &asked.commands())?;
        let pair = match pair {
            Some((_, places)) if self.files && commands.names_pair() => {
                Some(self.commanded(&commands, places)?)
            }
            pair => pair.map(|(pair, _)| pair),
        };
        let speak = Asked { prefix: PROXY, protocols: asked.protocols(), ciphers: &list, curve: b"auto" };
        let mut config = client(spoken(&speak, &commands)?)?;
        if let Some(pair) = pair {
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        }
        self.plan.proxy_tls += 1;
        Ok(plan::ProxyTls {
            id: self.plan.proxy_tls,
            config: Arc::new(config),
            name: asked.name().map(|text| self.names.template(&text)),
            server_name: asked.server_name(),
            verify: asked.verify(),
            trust,
            session_reuse: asked.session_reuse(),
            certificate,
            shown: plan::ProxyTlsShown {
                verify_depth: depth(asked),
                trusted: asked.trusted(),
                crl: asked.crl(),
                certificate: shown.map(|text| text.written().into()).unwrap_or_default(),
            },
        })
    }

    /// The certificate and the key where a command names one of them.
    fn commanded(&self, commands: &Commands, places: (Place, Place)) -> Result<Arc<CertifiedKey>, Refused> {
        let (mut certificate, mut key) = places;
        if let Some(name) = &commands.certificate {
            certificate = Place::file(name, self.folder);
        }
        if let Some(name) = &commands.private_key {
            key = Place::file(name, self.folder);
        }
        let (chain, read) = (certs::chain(&certificate)?, certs::key(&key, &[] as &[&[u8]])?);
        Ok(certs::fit(&chain, &read, &key, "SSL_CTX_use")?)
    }

    fn trust(&self, asked: &ProxyTls) -> Result<Option<Arc<Trust>>, Refused> {
        if asked.trusted().is_empty() {
            let words = "no proxy_ssl_trusted_certificate for proxy_ssl_verify".to_owned();
            return Err(Refused { words, code: "bad-configuration" });
        }
        if !self.files {
            return Ok(None);
        }
        let trusted = certs::authorities(&Place::file(&asked.trusted(), self.folder))?;
        let crl = match &asked.crl()[..] {
            b"" => Vec::new(),
            text => certs::revocations(&Place::file(text, self.folder))?,
        };
        let trust = Trust::new(&trusted, &crl, depth(asked));
        trust.map(|trust| Some(Arc::new(trust))).ok_or_else(|| "X509_STORE_new() failed".to_owned().into())
    }
}

fn depth(asked: &ProxyTls) -> u32 {
    u32::try_from(asked.verify_depth()).unwrap_or(u32::MAX)
}

/// Why settings make no TLS.
struct Refused {
    words: String,
    code: &'static str,
}

/// What files or the library say.
impl From<String> for Refused {
    fn from(words: String) -> Self {
        Self { words, code: certs::CODE }
    }
}

/// rustls's part, without certificate and without sessions.
fn client(spoken: Spoken) -> Result<ClientConfig, Refused> {
    let provider = CryptoProvider {
        cipher_suites: spoken.suites,
        kx_groups: spoken.groups,
        ..aws_lc_rs::default_provider()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder
        .with_protocol_versions(&spoken.versions)
        .map_err(|e| format!("SSL_CTX_new() failed (SSL: {e})"))?;
    let verifier = Arc::new(Anybody);
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn no_match(list: &str) -> Refused {
    let words = format!(
        "SSL_CTX_set_cipher_list(\"{list}\") failed (SSL: error:0A0000B9:SSL routines::no cipher match)"
    );
    Refused { words, code: "bad-value" }
}

/// Accepts whoever proves to have the key of the certificate that is shown, as nginx's handshake does. Whether the
/// certificate is a good one is looked at when the handshake is over.
#[derive(Debug)]
struct Anybody;

/// What is offered, and accepted, in OpenSSL's order.
const SCHEMES: [SignatureScheme; 10] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

fn signed(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    by: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate =
        Certificate::from_der(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    if SCHEMES.contains(&by.scheme) && certificate.signed(by.scheme.into(), message, by.signature()) {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        by: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed(message, certificate, by)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        by: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8446 section 4.2.3: RSASSA-PKCS1-v1_5 is for certificates only.
        if matches!(u16::from(by.scheme), 0x0401 | 0x0501 | 0x0601) {
            return Err(Error::InvalidCertificate(CertificateError::BadSignature));
        }
        signed(message, certificate, by)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}
