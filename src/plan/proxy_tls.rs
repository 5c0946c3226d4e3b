//! TLS towards the servers of a `proxy_pass`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Template;
use crate::sys::x509::Trust;

/// `proxy_ssl_*` of a location whose `proxy_pass` is `https://…`, or may be.
#[derive(Debug)]
pub struct ProxyTls {
    /// Tells these settings from others: a connection is used again under those that it was made with.
    pub id: u32,
    /// Protocols, ciphers, and the certificate that is shown, if it is always the same. It accepts every server: the
    /// verdict is `trust`'s, once the handshake is over. It keeps no sessions.
    pub config: Arc<rustls::ClientConfig>,
    /// `proxy_ssl_name`; `None`: the host of `proxy_pass`.
    pub name: Option<Template>,
    /// The name is sent (SNI, RFC 6066 section 3).
    pub server_name: bool,
    /// `proxy_ssl_verify`
    pub verify: bool,
    /// Who is trusted where that is asked; `None`: whoever answers is right.
    pub trust: Option<Arc<Trust>>,
    /// Sessions are kept, one store a server and thread.
    pub session_reuse: bool,
    /// A certificate whose name has variables.
    pub certificate: Option<ProxyCertificate>,
    /// What `explain` shows.
    pub shown: ProxyTlsShown,
}

/// `proxy_ssl_certificate` and `proxy_ssl_certificate_key` with variables.
#[derive(Debug)]
pub struct ProxyCertificate {
    pub certificate: Template,
    pub key: Template,
    /// `proxy_ssl_password_file`; empty: none.
    pub passwords: Arc<[Box<[u8]>]>,
    /// `proxy_ssl_certificate_cache`; `None`: files are read for each connection.
    pub cache: Option<Arc<CertificateCache>>,
    /// What relative names belong to.
    pub folder: PathBuf,
}

/// `proxy_ssl_certificate_cache`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateCache {
    /// Certificates and keys together.
    pub max: usize,
    /// How long one that nobody asks for stays.
    pub inactive: Duration,
    /// How long one is taken as it is; then its file is looked at again.
    pub valid: Duration,
}

/// Settings as the file has them.
#[derive(Debug, Clone, Default)]
pub struct ProxyTlsShown {
    pub verify_depth: u32,
    pub trusted: Box<[u8]>,
    pub crl: Box<[u8]>,
    pub certificate: Box<[u8]>,
}
