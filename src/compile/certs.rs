//! Certificates, keys, authorities and lists of revocations out of files and `data:`, with the lines that nginx writes
//! when it fails; `(SSL: …)` is as OpenSSL 3 says it.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::sys::err_text;
use crate::sys::x509::{self, Certificate, Crl, Key, PemError};

/// The code of what depends on the machine's files of certificates and keys.
pub const CODE: &str = "certificate-file";

/// The longest file that is read; more is a mistake.
const MOST: u64 = 16 << 20;

/// In a file, or in the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// `data:TEXT`: the text behind the colon.
    Data(Box<[u8]>),
    File(PathBuf),
    /// `engine:…` and `store:…`: OpenSSL's, of keys alone. There is none here.
    Elsewhere(Box<[u8]>),
}

impl Place {
    /// What a configuration names for a certificate; a relative file is one of `folder`, that of the configuration.
    pub fn new(text: &[u8], folder: &Path) -> Self {
        match text.strip_prefix(b"data:") {
            Some(data) => Self::Data(data.into()),
            None => Self::file(text, folder),
        }
    }

    /// For a key.
    pub fn of_key(text: &[u8], folder: &Path) -> Self {
        if text.starts_with(b"engine:") || text.starts_with(b"store:") {
            return Self::Elsewhere(text.into());
        }
        Self::new(text, folder)
    }

    /// For authorities and revocations, which are always files.
    pub fn file(text: &[u8], folder: &Path) -> Self {
        Self::File(folder.join(OsStr::from_bytes(text)))
    }

    /// As messages name it.
    pub fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Data(text) => format!("data:{}", String::from_utf8_lossy(text)).into(),
            Self::File(path) => path.to_string_lossy(),
            Self::Elsewhere(text) => String::from_utf8_lossy(text),
        }
    }

    /// Its text. `Err`: what OpenSSL's `BIO_new_file` says.
    pub(super) fn read(&self) -> Result<Cow<'_, [u8]>, String> {
        let path = match self {
            Self::Data(text) | Self::Elsewhere(text) => return Ok(Cow::Borrowed(text)),
            Self::File(path) => path,
        };
        let file = File::open(path).map_err(|e| not_opened(path, &e))?;
        let mut text = Vec::new();
        // What cannot be read (a folder) has no PEM in it, says OpenSSL.
        let _ = file.take(MOST).read_to_end(&mut text);
        Ok(text.into())
    }
}

fn not_opened(path: &Path, e: &io::Error) -> String {
    let number = e.raw_os_error().unwrap_or(0);
    let text = err_text(e);
    let words = text.split_once(": ").map_or(&*text, |(_, words)| words);
    let then = if e.kind() == io::ErrorKind::NotFound { "10000080" } else { "10080002" };
    let last = if e.kind() == io::ErrorKind::NotFound { "no such file" } else { "system lib" };
    let path = path.display();
    format!(
        "BIO_new_file() failed (SSL: error:{:08X}:system library::{words}:calling fopen({path}, r) \
         error:{then}:BIO routines::{last})",
        0x8000_0000_u32 | number.unsigned_abs(),
    )
}

/// A certificate and what follows it in its text.
pub fn chain(place: &Place) -> Result<Vec<Certificate>, String> {
    certificates(place, |before| if before == 0 { "PEM_read_bio_X509_AUX" } else { "PEM_read_bio_X509" })
}

/// The certificates of those who are trusted.
pub fn authorities(place: &Place) -> Result<Vec<Certificate>, String> {
    certificates(place, |_| "PEM_read_bio_X509_AUX")
}

fn certificates(place: &Place, call: fn(usize) -> &'static str) -> Result<Vec<Certificate>, String> {
    let failed = |why: String| format!("cannot load certificate \"{}\": {why}", place.shown());
    let text = place.read().map_err(failed)?;
    x509::certificates(&text).map_err(|(e, before)| {
        failed(format!("{}() failed ({})", call(before), words(e, "TRUSTED CERTIFICATE")))
    })
}

/// Lists of revocations.
pub fn revocations(place: &Place) -> Result<Vec<Crl>, String> {
    let failed = |why: String| format!("cannot load CRL \"{}\": {why}", place.shown());
    let text = place.read().map_err(failed)?;
    x509::revocations(&text)
        .map_err(|e| failed(format!("PEM_read_bio_X509_CRL() failed ({})", words(e, "X509 CRL"))))
}

/// A key, encrypted with one of the passwords or not at all.
pub fn key(place: &Place, passwords: &[impl AsRef<[u8]>]) -> Result<Key, String> {
    let failed = |why: String| format!("cannot load certificate key \"{}\": {why}", place.shown());
    if let Place::Elsewhere(text) = place {
        let kind = text.split(|b| *b == b':').next().unwrap_or_default();
        let kind = String::from_utf8_lossy(kind);
        return Err(failed(format!("loading \"{kind}:...\" certificate keys is not supported")));
    }
    let text = place.read().map_err(failed)?;
    x509::private_key(&text, passwords)
        .map_err(|e| failed(format!("PEM_read_bio_PrivateKey() failed ({})", key_words(e))))
}

/// A certificate with its chain and its key, as rustls takes them. `call`: what nginx says does not fit when they do not,
/// `SSL_CTX_use` or `SSL_use`.
pub fn fit(
    chain: &[Certificate],
    key: &Key,
    key_at: &Place,
    call: &str,
) -> Result<Arc<CertifiedKey>, String> {
    if !chain.first().is_some_and(|first| key.is_of(first)) {
        return Err(format!(
            "{call}_PrivateKey(\"{}\") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)",
            key_at.shown()
        ));
    }
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.pkcs8()));
    let signer = any_supported_type(&der).map_err(|_| {
        let words = "keys of this kind or length are not supported";
        format!("cannot load certificate key \"{}\": {words}", key_at.shown())
    })?;
    let certificates = chain.iter().map(|c| CertificateDer::from(c.der())).collect();
    Ok(Arc::new(CertifiedKey::new(certificates, signer)))
}

/// The passwords of a file, one a line; a file without any is one empty password.
pub fn passwords(path: &Path) -> Result<Vec<Box<[u8]>>, String> {
    /// nginx's buffer for a line.
    const LINE: usize = 512;
    /// More than anybody has.
    const MOST: u64 = 1 << 20;
    let failed =
        |call: &str, e: &io::Error| format!("{call}() \"{}\" failed ({})", path.display(), err_text(e));
    let file = File::open(path).map_err(|e| failed("open", &e))?;
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).map_err(|e| failed("read", &e))?;
    let mut all = Vec::new();
    for line in text.split(|b| *b == b'\n') {
        if line.len() >= LINE {
            return Err(format!("too long line in \"{}\"", path.display()));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            all.push(line.into());
        }
    }
    if all.is_empty() {
        all.push(Box::default());
    }
    Ok(all)
}

/// `expecting` is what OpenSSL looks for.
fn words(e: PemError, expecting: &str) -> String {
    match e {
        PemError::NoStart => format!("SSL: error:0480006C:PEM routines::no start line:Expecting: {expecting}"),
        PemError::BadEnd => "SSL: error:04800066:PEM routines::bad end line".to_owned(),
        PemError::BadBase64 => "SSL: error:04800064:PEM routines::bad base64 decode".to_owned(),
        PemError::BadData | PemError::NoPassword | PemError::BadPassword => {
            "SSL: error:0688010A:asn1 encoding routines::nested asn1 error error:0488000D:PEM routines::ASN1 lib"
                .to_owned()
        }
    }
}

fn key_words(e: PemError) -> &'static str {
    match e {
        PemError::NoPassword => "SSL: error:04800068:PEM routines::bad password read",
        PemError::BadPassword => {
            "SSL: error:1C800064:Provider routines::bad decrypt error:04800065:PEM routines::bad decrypt"
        }
        _ => "SSL: error:1E08010C:DECODER routines::unsupported:No supported data to decode. Input type: PEM",
    }
}
