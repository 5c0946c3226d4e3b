//! TLS towards clients, ready for handshakes.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::rt::clock;
use crate::sys::x509::Trust;
use crate::tls::{Rotating, Zone};

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
    /// The keys of tickets where no file has one: one a lifetime of sessions.
    pub random: Vec<Arc<Rotating>>,
    /// By name: the zones of `ssl_session_cache`.
    pub zones: Vec<(Box<str>, Arc<Zone>)>,
}

impl TlsMemory {
    /// After a reload: sessions that were given stay good.
    pub fn adopt(&self, old: &Self) {
        for keys in &self.random {
            if let Some(same) = old.random.iter().find(|k| k.period() == keys.period()) {
                keys.adopt(same);
            }
        }
        for (name, zone) in &self.zones {
            if let Some((_, same)) = old.zones.iter().find(|(n, _)| n == name) {
                zone.adopt(same);
            }
        }
    }

    /// Takes the memory; all processes that are forked from then on share it.
    pub fn begin(&self) {
        let now = clock::unix_secs();
        self.random.iter().for_each(|keys| drop(keys.keys(now)));
        self.zones.iter().for_each(|(_, zone)| zone.begin());
    }
}
