//! TLS towards a peer: what an exchange asks of it, its handshake, and the verdict on who answers.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::str::FromStr as _;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::{DnsName, ServerName};
use rustls::sign::SingleCertAndKey;

use super::exchange::{Exchange, unix_secs};
use crate::plan::{PeerAddr, ProxyTls};
use crate::sys::x509::{Certificate, Purpose, Trust, Unverified, verify_text};
use crate::vars::{self, Source};
use crate::wire::Stream;
use crate::wire::tls::{self, HandshakeError};

/// Whom a connection may be used again for: the same settings, and the same name where it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Who {
    settings: u32,
    /// Without port; empty where nobody looks at it.
    name: Box<[u8]>,
}

impl Who {
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }
}

/// The TLS of an exchange.
#[derive(Debug)]
pub(super) struct Secure<'a> {
    pub(super) settings: &'a ProxyTls,
    pub(super) who: Rc<Who>,
}

/// A peer that is not who it should be. The text is nginx's.
#[derive(Debug)]
pub(super) enum Stranger {
    Verdict(Unverified),
    Name(Box<[u8]>),
}

impl std::fmt::Display for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Verdict(Unverified(code)) => {
                write!(f, "upstream SSL certificate verify error: ({code}:{})", verify_text(*code))
            }
            Self::Name(name) => {
                let name = String::from_utf8_lossy(name);
                write!(f, "upstream SSL certificate does not match \"{name}\"")
            }
        }
    }
}

impl<'a> Secure<'a> {
    /// `host` is that of `proxy_pass`.
    pub(super) fn new<S: Source>(settings: &'a ProxyTls, host: &[u8], source: &S) -> Self {
        let name = match &settings.name {
            _ if !settings.server_name && settings.trust.is_none() => Vec::new(),
            Some(template) => vars::eval_to_vec(template, source),
            None => host.to_vec(),
        };
        let name = without_port(&name).into();
        Self { settings, who: Rc::new(Who { settings: settings.id, name }) }
    }

    /// As rustls wants it: what is sent, if it is a name that can be.
    fn server_name(&self) -> ServerName<'static> {
        let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into());
        if !self.settings.server_name {
            return nobody;
        }
        let name = str::from_utf8(&self.who.name).ok();
        // RFC 6066 section 3: addresses are not sent.
        let name = name.filter(|n| IpAddr::from_str(n).is_err()).and_then(|n| DnsName::try_from(n).ok());
        name.map_or(nobody, |n| ServerName::DnsName(n.to_owned()))
    }

    /// Shakes hands on a connected socket. `config` is the settings' own, or one made of it.
    pub(super) async fn shake(
        &self,
        stream: Stream,
        config: Arc<ClientConfig>,
    ) -> Result<Stream, HandshakeError> {
        tls::connect(stream, config, self.server_name()).await
    }

    /// The verdict on who answered.
    pub(super) fn judge(&self, stream: &Stream) -> Result<(), Stranger> {
        let Some(trust) = &self.settings.trust else { return Ok(()) };
        let shown = stream.tls().and_then(|tls| tls.session().peer_certificates()).unwrap_or_default();
        let chain: Vec<Certificate> = shown.iter().filter_map(|der| Certificate::from_der(der)).collect();
        verdict(trust, &chain, &self.who.name)
    }
}

fn verdict(trust: &Trust, chain: &[Certificate], name: &[u8]) -> Result<(), Stranger> {
    trust.verify(chain, Purpose::Server).map_err(Stranger::Verdict)?;
    match chain.first() {
        Some(first) if first.is_for(name) => Ok(()),
        _ => Err(Stranger::Name(name.into())),
    }
}

/// A host as `$proxy_host` or `$http_host` has it, without its port.
fn without_port(name: &[u8]) -> &[u8] {
    let skip = match name.first() {
        Some(b'[') => name.iter().position(|b| *b == b']').unwrap_or(0),
        _ => 0,
    };
    match name.iter().skip(skip).position(|b| *b == b':') {
        Some(at) => name.get(..skip + at).unwrap_or(name),
        None => name,
    }
}

impl Exchange<'_> {
    /// The configuration of rustls for a connection to `addr`: with sessions where they are kept, and with the certificate
    /// that the request's variables name. A session is of one certificate, so those with variables have none.
    pub(super) fn tls_config(
        &self,
        settings: &ProxyTls,
        addr: &PeerAddr,
    ) -> Result<Arc<ClientConfig>, String> {
        if let Some(asked) = &settings.certificate {
            let found = self.mine.certificates.borrow_mut().find(asked, self.req, unix_secs())?;
            let Some(shown) = found else { return Ok(settings.config.clone()) };
            let mut config = ClientConfig::clone(&settings.config);
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(shown));
            return Ok(Arc::new(config));
        }
        if settings.session_reuse && self.upstream.is_some() {
            return Ok(self.mine.tls_sessions(settings, addr));
        }
        Ok(settings.config.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_a_name() {
        for (given, name) in [
            ("example.com", "example.com"),
            ("example.com:8443", "example.com"),
            ("[::1]:443", "[::1]"),
            ("[::1]", "[::1]"),
            ("[::1", "["),
            ("", ""),
            (":80", ""),
        ] {
            assert_eq!(without_port(given.as_bytes()), name.as_bytes(), "{given}");
        }
    }
}
