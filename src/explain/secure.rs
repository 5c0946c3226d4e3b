//! How peers are spoken to by TLS.

use serde_json::{Value, json};

use super::words::{Names, text};
use crate::plan::{Content, LocId};

/// TLS towards peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerTls {
    /// What the certificate must be for and what is sent, where one of them is so.
    pub name: Option<Vec<u8>>,
    /// The name is sent.
    pub sent: bool,
    /// The certificate is verified.
    pub verified: bool,
    /// Who is trusted, and how many certificates there may be on the way to it.
    pub trusted: Vec<u8>,
    pub depth: u32,
    /// Empty: no list of revocations.
    pub crl: Vec<u8>,
    /// What is shown; empty: none.
    pub certificate: Vec<u8>,
}

/// The settings of a location, for a request that makes this name of them.
pub(super) fn peer_tls(names: &Names<'_>, loc: LocId, name: &[u8]) -> Option<PeerTls> {
    let Content::Proxy(proxy) = &names.plan.locations.get(loc.ix())?.content else { return None };
    let tls = proxy.tls.as_ref()?;
    let shown = &tls.shown;
    Some(PeerTls {
        name: (tls.server_name || tls.verify).then(|| name.to_vec()),
        sent: tls.server_name,
        verified: tls.verify,
        trusted: shown.trusted.to_vec(),
        depth: shown.verify_depth,
        crl: shown.crl.to_vec(),
        certificate: shown.certificate.to_vec(),
    })
}

impl PeerTls {
    pub fn json(&self) -> Value {
        let some = |t: &[u8]| (!t.is_empty()).then(|| text(t));
        json!({
            "name": self.name.as_ref().map(|n| text(n)),
            "sent": self.sent,
            "verified": self.verified,
            "trusted": self.verified.then(|| text(&self.trusted)),
            "depth": self.verified.then_some(self.depth),
            "crl": some(&self.crl).filter(|_| self.verified),
            "certificate": some(&self.certificate),
        })
    }

    /// A sentence.
    pub fn said(&self) -> String {
        let mut out = match (&self.name, self.sent) {
            (Some(name), true) => format!("the name \"{}\" is sent", text(name)),
            _ => "no name is sent".to_owned(),
        };
        match &self.name {
            Some(name) if self.verified => {
                let trusted = text(&self.trusted);
                out += &format!(
                    "; the certificate must be for \"{}\", by {trusted}, depth {}",
                    text(name),
                    self.depth
                );
                if !self.crl.is_empty() {
                    out += &format!(", not revoked by {}", text(&self.crl));
                }
            }
            _ => out += "; any certificate is accepted",
        }
        if !self.certificate.is_empty() {
            out += &format!("; {} is shown", text(&self.certificate));
        }
        out
    }
}
