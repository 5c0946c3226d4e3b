//! The certificates that a server block shows: of several, the one that the client can use.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SignatureAlgorithm};

/// The pairs of a server block, in the order of the file.
#[derive(Debug)]
pub struct Shown {
    pairs: Vec<Arc<CertifiedKey>>,
}

impl Shown {
    pub fn new(pairs: Vec<CertifiedKey>) -> Self {
        // Of two of a kind the last counts, as for OpenSSL.
        let mut kept: Vec<Arc<CertifiedKey>> = Vec::new();
        for pair in pairs {
            kept.retain(|k| k.key.algorithm() != pair.key.algorithm());
            kept.push(Arc::new(pair));
        }
        Self { pairs: kept }
    }
}

/// Whether a client can do with a kind of key at all before TLS 1.3, where the suite has the kind in its name.
fn suits(suite: CipherSuite, kind: SignatureAlgorithm) -> bool {
    let name = suite.as_str().unwrap_or_default();
    if name.starts_with("TLS13_") {
        return true;
    }
    match kind {
        SignatureAlgorithm::RSA => name.starts_with("TLS_ECDHE_RSA_"),
        _ => name.starts_with("TLS_ECDHE_ECDSA_"),
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let [one] = &self.pairs[..] {
            return Some(one.clone());
        }
        let usable = |pair: &&Arc<CertifiedKey>| {
            let kind = pair.key.algorithm();
            hello.cipher_suites().iter().any(|s| suits(*s, kind))
                && pair.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        // The shorter handshake first, as OpenSSL's order of suites and schemes has it.
        let is_rsa = |pair: &&Arc<CertifiedKey>| pair.key.algorithm() == SignatureAlgorithm::RSA;
        let mut able = self.pairs.iter().filter(usable);
        let best = able.clone().find(|p| !is_rsa(p)).or_else(|| able.next());
        best.or(self.pairs.first()).cloned()
    }
}
