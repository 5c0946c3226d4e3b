//! TLS towards clients, ready for handshakes.

use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;

use crate::sys::x509::Trust;
use crate::tls::{Key, Zone};

/// Whether clients must show a certificate (`ssl_verify_client`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyClient {
    #[default]
    Off,
    On,
    /// A certificate that is shown must be trusted.
    Optional,
    /// … or only lack an authority that is known.
    OptionalNoCa,
}

/// What a server block's handshakes need.
#[derive(Debug, Clone)]
pub struct Tls {
    /// With `http/1.1` and older as protocols.
    pub http1: Arc<ServerConfig>,
    /// With `h2` before them.
    pub http2: Arc<ServerConfig>,
    /// Who is trusted; `None`: nobody is asked for a certificate.
    pub trust: Option<Arc<Trust>>,
}

/// What server blocks have in common, and what a reload keeps.
#[derive(Debug, Default)]
pub struct TlsMemory {
    /// The key of tickets when no file has one; made up when it is first needed.
    pub random: Arc<OnceLock<Key>>,
    /// By name: the zones of `ssl_session_cache`.
    pub zones: Vec<(Box<str>, Arc<Zone>)>,
}

impl TlsMemory {
    /// After a reload: sessions that were given stay good.
    pub fn adopt(&self, old: &Self) {
        if let Some(key) = old.random.get() {
            // It was not used yet.
            let _ = self.random.set(key.clone());
        }
        for (name, zone) in &self.zones {
            if let Some((_, same)) = old.zones.iter().find(|(n, _)| n == name) {
                zone.adopt(same);
            }
        }
    }

    /// Takes the memory; all processes that are forked from then on share it.
    pub fn begin(&self) {
        self.random.get_or_init(Key::random);
        self.zones.iter().for_each(|(_, zone)| zone.begin());
    }
}
