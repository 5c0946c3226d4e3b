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

/// Whether a suite before TLS 1.3, which has the kind of key in its name, is for this kind; `None`: any will do.
fn suits(suite: CipherSuite, kind: SignatureAlgorithm) -> Option<bool> {
    let kx = suite.as_str()?.strip_prefix("TLS_ECDHE_")?;
    Some(kx.starts_with("RSA_") == (kind == SignatureAlgorithm::RSA))
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let [one] = &self.pairs[..] {
            return Some(one.clone());
        }
        // Which version it will be is not known here; a key that does for both does.
        let usable = |pair: &&Arc<CertifiedKey>| {
            let kind = pair.key.algorithm();
            let mut suites = hello.cipher_suites().iter().filter_map(|s| suits(*s, kind)).peekable();
            (suites.peek().is_none() || suites.any(|suits| suits))
                && pair.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        // The shorter handshake first, as OpenSSL's order of suites and schemes has it.
        let is_rsa = |pair: &&Arc<CertifiedKey>| pair.key.algorithm() == SignatureAlgorithm::RSA;
        let mut able = self.pairs.iter().filter(usable);
        let best = able.clone().find(|p| !is_rsa(p)).or_else(|| able.next());
        best.or(self.pairs.first()).cloned()
    }
}
