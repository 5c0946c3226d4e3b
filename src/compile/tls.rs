//! TLS towards clients: certificates read, and what rustls is told for each server block.

mod commands;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};
use sha2::{Digest as _, Sha256};

use super::Builder;
use super::certs::{self, Place};
use crate::config::{Server, Ssl, Step, show, ssl};
use crate::diag::Severity;
use crate::plan::{Tls, VerifyClient};
use crate::sys::err_text;
use crate::sys::x509::{self, Certificate, Crl, Trust};
use crate::tls::{Ask, Key, Keys, Rotating, Sessions, Shown, Tickets, Zone, ciphers, groups};

pub(super) use commands::{Commands, PROXY};

/// What was read for several server blocks.
#[derive(Debug, Default)]
pub struct Read {
    pairs: HashMap<(Place, Place), Arc<CertifiedKey>>,
    chains: HashMap<Place, Arc<[Certificate]>>,
    authorities: HashMap<Place, Arc<[Certificate]>>,
    keys: HashMap<Place, Arc<x509::Key>>,
    revoked: HashMap<Place, Arc<[Crl]>>,
    threads: Option<Arc<Zone>>,
}

/// A line of the log, without a place.
type Said<T> = Result<T, String>;

/// What the suites, groups and versions of a context are.
pub(super) struct Spoken {
    pub(super) suites: Vec<SupportedCipherSuite>,
    pub(super) groups: Vec<&'static dyn SupportedKxGroup>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
}

impl Builder<'_> {
    /// What a server block says of TLS: its certificates, whether handshakes are refused, whether clients are asked.
    pub(super) fn tls(&mut self, server: &Server) -> (Option<Tls>, bool, VerifyClient) {
        let mut ssl = server.ssl.clone();
        ssl.inherit(&self.http.ssl);
        let (reject, verify) = (ssl.reject(), ssl.verify());
        let built = self.context(&ssl);
        let tls = built.unwrap_or_else(|words| {
            self.tls_says(Severity::Emerg, words);
            None
        });
        (tls, reject, verify)
    }

    fn tls_says(&mut self, severity: Severity, words: impl Into<String>) {
        self.found.late(self.http.close, Step::Merge, severity, None, words);
    }

    /// nginx's order of checks.
    fn context(&mut self, ssl: &Ssl) -> Said<Option<Tls>> {
        let (certificates, keys) = (ssl.certificates(), ssl.keys());
        if let Some(last) = certificates.last() {
            if keys.len() < certificates.len() {
                let name = show(&last.raw);
                return Err(format!("no \"ssl_certificate_key\" is defined for certificate \"{name}\""));
            }
        } else if !ssl.reject() {
            return Ok(None);
        }
        let commands = Commands::of("ssl", &ssl.commands())?;
        let asked =
            Asked { prefix: "ssl", protocols: ssl.protocols(), ciphers: &ssl.ciphers(), curve: &ssl.curve() };
        let spoken = spoken(&asked, &commands)?;
        let variable = certificates.iter().zip(&keys).any(|(c, k)| !c.text.fixed() || !k.text.fixed());
        if variable {
            return Err(
                "variables in \"ssl_certificate\" and \"ssl_certificate_key\" are not carried out".to_owned()
            );
        }
        if !self.files {
            self.without_files(ssl)?;
            return Ok(None);
        }
        let passwords = self.ssl_passwords(ssl);
        let mut pairs = Vec::new();
        for (certificate, key) in certificates.iter().zip(&keys) {
            pairs.push(self.pair(&certificate.raw, &key.raw, &passwords)?);
        }
        if ssl.compression() && ssl.stapling() {
            return Err("\"ssl_stapling\" is incompatible with \"ssl_certificate_compression\"".to_owned());
        }
        let mut authorities = Vec::new();
        let trust = self.client_trust(ssl, &mut authorities)?;
        self.without_files(ssl)?;
        self.dhparam(ssl)?;
        if !ssl.ech_files().is_empty() {
            self.tls_says(Severity::Warn, "\"ssl_ech_file\" is not supported on this platform, ignored");
        }
        let staple = self.staple(ssl)?;
        let context = context_of(&pairs, &authorities, ssl.verify());
        let lifetime = u32::try_from(ssl.session_timeout()).unwrap_or(u32::MAX);

        let provider = CryptoProvider {
            cipher_suites: spoken.suites,
            kx_groups: spoken.groups,
            ..aws_lc_rs::default_provider()
        };
        let algorithms = provider.signature_verification_algorithms;
        let builder = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&spoken.versions)
            .map_err(|e| format!("SSL_CTX_new() failed (SSL: {e})"))?;
        let builder = match ssl.verify() {
            VerifyClient::Off => builder.with_no_client_auth(),
            _ => builder.with_client_cert_verifier(Arc::new(Ask { authorities, algorithms })),
        };
        let shown = pairs.iter().map(|pair| {
            let CertifiedKey { cert, key, .. } = &**pair;
            CertifiedKey { ocsp: staple.clone(), ..CertifiedKey::new(cert.clone(), key.clone()) }
        });
        let mut config = builder.with_cert_resolver(Arc::new(Shown::new(shown.collect())));
        config.ignore_client_order = ssl.prefer_server_ciphers() || commands.server_preference;
        // A record has 5 bytes of head and some of its own; rustls counts them in.
        config.max_fragment_size = Some(ssl.buffer_size().clamp(256, 16 << 10) + 5).filter(|n| *n < 16 << 10);
        if !ssl.compression() {
            config.cert_compressors = Vec::new();
        }
        config.cert_decompressors = Vec::new();
        config.send_tls13_tickets = commands.tickets.unwrap_or(2);
        config.session_storage = match self.zone(ssl) {
            Some(zone) => Arc::new(Sessions { zone, context, lifetime }),
            None => Arc::new(NoServerSessionStorage {}),
        };
        if ssl.session_tickets() && !commands.no_tickets {
            let keys = self.ticket_keys(ssl, lifetime);
            config.ticketer = Arc::new(Tickets { keys, context, lifetime });
        }
        let mut http2 = config.clone();
        let older: [&[u8]; 3] = [b"http/1.1", b"http/1.0", b"http/0.9"];
        config.alpn_protocols = older.map(<[u8]>::to_vec).to_vec();
        http2.alpn_protocols = [&[&b"h2"[..]], &older[..]].concat().into_iter().map(<[u8]>::to_vec).collect();
        Ok(Some(Tls { http1: Arc::new(config), http2: Arc::new(http2), trust }))
    }

    /// What is found without a look at a file.
    fn without_files(&mut self, ssl: &Ssl) -> Said<()> {
        let verify = ssl.verify();
        let nobody = ssl.client_certificate().is_empty() && ssl.trusted_certificate().is_empty();
        if !matches!(verify, VerifyClient::Off | VerifyClient::OptionalNoCa) && nobody {
            return Err(
                "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client".to_owned()
            );
        }
        if ssl.ocsp() != ssl::Ocsp::Off {
            if verify == VerifyClient::OptionalNoCa {
                return Err(
                    "\"ssl_ocsp\" is incompatible with \"ssl_verify_client optional_no_ca\"".to_owned()
                );
            }
            if verify != VerifyClient::Off {
                return Err("\"ssl_ocsp\" is not carried out: revoked client certificates would be let in; \
                            a list of them in \"ssl_crl\" is"
                    .to_owned());
            }
        }
        if ssl.stapling() && ssl.stapling_file().is_empty() {
            let words = "\"ssl_stapling\" sends no answer: none is fetched from a responder; \
                         name a file with \"ssl_stapling_file\"";
            self.tls_says(Severity::Warn, words);
        }
        Ok(())
    }

    fn path(&self, name: &[u8]) -> PathBuf {
        self.folder.join(OsStr::from_bytes(name))
    }

    fn ssl_passwords(&mut self, ssl: &Ssl) -> Arc<[Box<[u8]>]> {
        let Some((name, at)) = ssl.password_file() else { return Arc::default() };
        if let Some(read) = self.passwords.get(&name) {
            return read.clone();
        }
        let read: Arc<[Box<[u8]>]> =
            certs::passwords(&self.path(&name)).map(Into::into).unwrap_or_else(|words| {
                self.found.emerg(at, certs::CODE, words);
                Arc::default()
            });
        self.passwords.insert(name, read.clone());
        read
    }

    /// A file that nginx opens by itself.
    fn file(&self, name: &[u8]) -> Said<Vec<u8>> {
        let path = self.path(name);
        std::fs::read(&path).map_err(|e| format!("open() \"{}\" failed ({})", path.display(), err_text(&e)))
    }

    fn pair(&mut self, certificate: &[u8], key: &[u8], passwords: &[Box<[u8]>]) -> Said<Arc<CertifiedKey>> {
        let names = (Place::new(certificate, self.folder), Place::of_key(key, self.folder));
        if let Some(pair) = self.read.pairs.get(&names) {
            return Ok(pair.clone());
        }
        let chain = once(&mut self.read.chains, &names.0, |place| certs::chain(place).map(Into::into))?;
        let secret = once(&mut self.read.keys, &names.1, |place| certs::key(place, passwords).map(Arc::new))?;
        let pair = certs::fit(&chain, &secret, &names.1, "SSL_CTX_use")?;
        self.read.pairs.insert(names, pair.clone());
        Ok(pair)
    }

    /// Who is trusted, and who clients are told of.
    fn client_trust(&mut self, ssl: &Ssl, told: &mut Vec<DistinguishedName>) -> Said<Option<Arc<Trust>>> {
        let (client, trusted, crl) = (ssl.client_certificate(), ssl.trusted_certificate(), ssl.crl());
        let mut authorities = Vec::new();
        if ssl.verify() != VerifyClient::Off && !client.is_empty() {
            authorities = self.authorities(&client)?.to_vec();
            for name in authorities.iter().map(|a| DistinguishedName::from(a.subject_der())) {
                if !told.iter().any(|n| n.as_ref() == name.as_ref()) {
                    told.push(name);
                }
            }
        }
        if !trusted.is_empty() {
            authorities.extend_from_slice(&self.authorities(&trusted)?);
        }
        let crl = (!crl.is_empty()).then(|| Place::file(&crl, self.folder));
        let read = |place: &Place| certs::revocations(place).map(Into::into);
        let revoked: Option<Arc<[Crl]>> =
            crl.map(|place| once(&mut self.read.revoked, &place, read)).transpose()?;
        if ssl.verify() == VerifyClient::Off {
            return Ok(None);
        }
        let depth = u32::try_from(ssl.verify_depth()).unwrap_or(u32::MAX);
        let trust = Trust::new(&authorities, revoked.as_deref().unwrap_or_default(), depth)
            .ok_or("SSL_CTX_get_cert_store() failed")?;
        Ok(Some(Arc::new(trust)))
    }

    fn authorities(&mut self, name: &[u8]) -> Said<Arc<[Certificate]>> {
        let place = Place::file(name, self.folder);
        once(&mut self.read.authorities, &place, |place| certs::authorities(place).map(Into::into))
    }

    /// rustls has no Diffie-Hellman of that kind; the file is looked at as nginx looks at it.
    fn dhparam(&self, ssl: &Ssl) -> Said<()> {
        let name = ssl.dhparam();
        if name.is_empty() {
            return Ok(());
        }
        let shown = self.path(&name);
        let shown = shown.display();
        let place = Place::file(&name, self.folder);
        let text = place.read().map_err(|why| not_opened(&why, &format!("{shown}"), "r"))?;
        if memchr::memmem::find(&text, b"-----BEGIN DH PARAMETERS-----").is_none() {
            return Err(format!(
                "PEM_read_bio_DHparams(\"{shown}\") failed (SSL: error:0480006C:PEM routines::no start \
                 line:Expecting: DH PARAMETERS)"
            ));
        }
        Ok(())
    }

    /// The answer of an OCSP responder that is sent along (`ssl_stapling_file`).
    fn staple(&self, ssl: &Ssl) -> Said<Option<Vec<u8>>> {
        let name = ssl.stapling_file();
        if !ssl.stapling() || name.is_empty() {
            return Ok(None);
        }
        let shown = self.path(&name);
        let shown = shown.display();
        let place = Place::file(&name, self.folder);
        let der = place.read().map_err(|why| not_opened(&why, &format!("{shown}"), "rb"))?;
        // OCSPResponse is a sequence (RFC 6960, section 4.2.1).
        if der.first() != Some(&0x30) {
            return Err(format!(
                "d2i_OCSP_RESPONSE_bio(\"{shown}\") failed (SSL: error:0680008E:asn1 encoding routines::not enough data)"
            ));
        }
        Ok(Some(der.into_owned()))
    }

    /// Where sessions are remembered.
    fn zone(&mut self, ssl: &Ssl) -> Option<Arc<Zone>> {
        let cache = ssl.session_cache();
        let Some((name, size, at)) = cache.shared else {
            // As large as OpenSSL's own, which is 20480 sessions a process.
            let threads = || Arc::new(Zone::new(8 << 20));
            return cache.builtin.then(|| self.read.threads.get_or_insert_with(threads).clone());
        };
        let shown = show(&name);
        if let Some((_, zone)) = self.plan.tls.zones.iter().find(|(name, _)| **name == *shown) {
            let known = zone.bytes() as u64;
            if known != size {
                let words = format!(
                    "the size {size} of shared memory zone \"{shown}\" conflicts with already declared size {known}"
                );
                self.found.emerg(at, "duplicate", words);
            }
            return Some(zone.clone());
        }
        if self.http.upstreams.iter().any(|u| u.zone.as_deref() == Some(&name)) {
            let words = format!("the shared memory zone \"{shown}\" is already declared for a different use");
            self.found.emerg(at, "duplicate", words);
        }
        let zone = Arc::new(Zone::new(usize::try_from(size).unwrap_or(usize::MAX)));
        self.plan.tls.zones.push((shown.into(), zone.clone()));
        Some(zone)
    }

    fn ticket_keys(&mut self, ssl: &Ssl, lifetime: u32) -> Keys {
        let names = ssl.ticket_keys();
        if names.is_empty() {
            let made = &mut self.plan.tls.random;
            if let Some(same) = made.iter().find(|k| k.period() == u64::from(lifetime.max(1))) {
                return Keys::Random(same.clone());
            }
            made.push(Arc::new(Rotating::new(lifetime)));
            return made.last().cloned().map_or_else(|| Keys::Given(Arc::default()), Keys::Random);
        }
        let mut keys = Vec::new();
        for name in names {
            let read = self.file(&name).and_then(|file| {
                let shown = self.path(&name);
                Key::of(&file).ok_or_else(|| format!("\"{}\" must be 48 or 80 bytes", shown.display()))
            });
            match read {
                Ok(key) => keys.push(key),
                // nginx says it of where it stands: the end of the block.
                Err(words) => {
                    self.found.late(self.http.close, Step::Merge, Severity::Emerg, self.http.close, words)
                }
            }
        }
        Keys::Given(keys.into())
    }
}

/// Reads a file the first time that it is asked for.
fn once<T: Clone>(
    known: &mut HashMap<Place, T>,
    place: &Place,
    read: impl FnOnce(&Place) -> Said<T>,
) -> Said<T> {
    if let Some(read) = known.get(place) {
        return Ok(read.clone());
    }
    let read = read(place)?;
    known.insert(place.clone(), read.clone());
    Ok(read)
}

/// What nginx says when it opens a file of its own accord, of what it says for a certificate.
fn not_opened(why: &str, path: &str, mode: &str) -> String {
    let why = why.replacen("BIO_new_file()", &format!("BIO_new_file(\"{path}\")"), 1);
    why.replacen(", r)", &format!(", {mode})"), 1)
}

/// What sessions are good for: the certificate that was shown, the authorities that were asked for.
fn context_of(
    pairs: &[Arc<CertifiedKey>],
    authorities: &[DistinguishedName],
    verify: VerifyClient,
) -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix(b"HTTP");
    for leaf in pairs.iter().filter_map(|p| p.cert.first()) {
        digest.update(Sha256::digest(leaf));
    }
    for authority in authorities {
        digest.update(Sha256::digest(authority.as_ref()));
    }
    digest.update([verify as u8]);
    digest.finalize().into()
}

/// What a context is asked to speak.
pub(super) struct Asked<'a> {
    /// `ssl` or `proxy_ssl`: how its directives begin.
    pub(super) prefix: &'static str,
    /// Bits of `ssl_protocols`.
    pub(super) protocols: u32,
    pub(super) ciphers: &'a [u8],
    pub(super) curve: &'a [u8],
}

pub(super) fn spoken(asked: &Asked<'_>, commands: &Commands) -> Said<Spoken> {
    let prefix = asked.prefix;
    let protocols = commands.limit(asked.protocols);
    let mut versions = Vec::new();
    if protocols & ssl::TLS13 != 0 {
        versions.push(&version::TLS13);
    }
    if protocols & ssl::TLS12 != 0 {
        versions.push(&version::TLS12);
    }
    if versions.is_empty() {
        return Err(format!(
            "\"{prefix}_protocols\" allows only versions before TLSv1.2, which are not carried out"
        ));
    }
    let list = show(commands.ciphers.as_deref().unwrap_or(asked.ciphers));
    let mut suites = match ciphers::tls12(&list) {
        Ok(suites) => suites,
        Err(ciphers::Refused::NoMatch) => {
            return Err(format!(
                "SSL_CTX_set_cipher_list(\"{list}\") failed (SSL: error:0A0000B9:SSL routines::no cipher match)"
            ));
        }
        Err(ciphers::Refused::NoneOfOurs) => {
            return Err(format!(
                "\"{prefix}_ciphers\" \"{list}\" selects none of the ciphers that are carried out: ECDHE with AES-GCM or \
                 CHACHA20-POLY1305"
            ));
        }
    };
    suites.splice(0..0, commands.suites.clone());
    let curve = show(commands.groups.as_deref().unwrap_or(asked.curve));
    let groups = groups::list(&curve).map_err(|refused| match refused {
        groups::Refused::Unknown(name) => format!(
            "SSL_CTX_set1_curves_list(\"{curve}\") failed (SSL: error:0A080106:SSL routines::passed invalid \
             argument:group '{name}' cannot be set)"
        ),
        groups::Refused::NoneOfOurs => format!(
            "\"ssl_ecdh_curve\" \"{curve}\" selects none of the curves that are carried out: X25519, prime256v1, \
             secp384r1, X25519MLKEM768, SecP256r1MLKEM768"
        ),
    })?;
    Ok(Spoken { suites, groups, versions })
}
