//! A client that speaks TLS, trusts anybody, and tells what came of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, Error, HandshakeKind, SignatureScheme, StreamOwned, version};

use super::SOON;
use super::tls::fixture;

/// How the client is made.
#[derive(Debug, Clone, Default)]
pub struct Speaks {
    pub only_tls12: bool,
    /// `NAME.crt` and `NAME.key` of the fixtures.
    pub certificate: Option<&'static str>,
    pub alpn: &'static [&'static str],
    /// Suites that need another key than RSA are not offered.
    pub only_rsa: bool,
}

/// A client with its memory of sessions.
#[derive(Clone)]
pub struct TlsClient(Arc<ClientConfig>);

/// One connection.
pub struct Secured {
    tls: StreamOwned<ClientConnection, TcpStream>,
}

impl Speaks {
    pub fn client(self) -> TlsClient {
        let mut provider = aws_lc_rs::default_provider();
        if self.only_rsa {
            provider.cipher_suites.retain(|s| !format!("{:?}", s.suite()).contains("ECDSA"));
        }
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        let versions =
            if self.only_tls12 { vec![&version::TLS12] } else { vec![&version::TLS13, &version::TLS12] };
        let provider: Arc<CryptoProvider> = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(schemes)));
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = CertificateDer::pem_file_iter(fixture(&format!("{name}.crt"))).unwrap();
                let chain = chain.map(Result::unwrap).collect();
                let key = PrivateKeyDer::from_pem_file(fixture(&format!(
                    "{}.key",
                    name.trim_end_matches(".chain")
                )))
                .unwrap();
                let signer = provider.key_provider.load_private_key(key).unwrap();
                let pair = CertifiedKey::new(chain, signer);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        TlsClient(Arc::new(config))
    }
}

impl TlsClient {
    /// A handshake with `name` (SNI; an address: none is sent).
    pub fn connect(&self, port: u16, name: &str) -> std::io::Result<Secured> {
        self.over(TcpStream::connect(("127.0.0.1", port)).unwrap(), name)
    }

    /// The same on a connection that is there.
    pub fn over(&self, stream: TcpStream, name: &str) -> std::io::Result<Secured> {
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = StreamOwned::new(ClientConnection::new(self.0.clone(), name).unwrap(), stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(Secured { tls })
    }

    /// What is answered to `GET path` on a connection of its own: all of it.
    #[track_caller]
    pub fn get(&self, port: u16, name: &str, path: &str, fields: &str) -> String {
        let mut one = self.connect(port, name).unwrap_or_else(|e| panic!("{name}: {e}"));
        one.ask(&format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n"))
    }
}

impl Secured {
    /// Sends a request and reads until the end.
    pub fn ask(&mut self, request: &str) -> String {
        self.tls.write_all(request.as_bytes()).unwrap();
        let mut all = Vec::new();
        // An end without farewell is one too.
        let _ = self.tls.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    }

    pub fn resumed(&self) -> bool {
        self.tls.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub fn alpn(&self) -> Option<String> {
        self.tls.conn.alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned())
    }

    /// The leaf that was shown.
    pub fn shown(&self) -> Vec<u8> {
        self.tls.conn.peer_certificates().and_then(|c| c.first()).map(|c| c.to_vec()).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Anybody(Vec<SignatureScheme>);

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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
