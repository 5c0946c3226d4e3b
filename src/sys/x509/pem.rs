//! Texts in PEM (RFC 7468).

use std::os::raw::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use aws_lc_sys as lc;

use super::Certificate;

/// Why a text in PEM could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemError {
    /// There is none of what was looked for.
    NoStart,
    /// It is cut off.
    BadEnd,
    BadBase64,
    /// What is in it is no DER, or DER of something else.
    BadData,
    /// It is encrypted, and no password is known.
    NoPassword,
    /// It is encrypted with another password.
    BadPassword,
}

/// A private key.
#[derive(Debug)]
pub struct Key {
    key: NonNull<lc::EVP_PKEY>,
    /// It was encrypted.
    pub encrypted: bool,
}

#[expect(unsafe_code, reason = "nothing changes it once it is read")]
unsafe impl Send for Key {}
#[expect(unsafe_code, reason = "as for Send")]
unsafe impl Sync for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "gives back the one reference that `self` is")]
        unsafe {
            lc::EVP_PKEY_free(self.key.as_ptr());
        }
    }
}

impl Key {
    /// PKCS #8 (RFC 5208), unencrypted; empty when this kind of key has no such form.
    pub fn pkcs8(&self) -> Vec<u8> {
        #[expect(
            unsafe_code,
            reason = "the builder is zeroed, which is its empty state, and cleaned up on each way out; the bytes it gives \
                      are copied, wiped and freed here"
        )]
        unsafe {
            let mut builder: lc::CBB = std::mem::zeroed();
            let (mut out, mut len) = (ptr::null_mut(), 0);
            let done = lc::CBB_init(&raw mut builder, 256) == 1
                && lc::EVP_marshal_private_key(&raw mut builder, self.key.as_ptr()) == 1
                && lc::CBB_finish(&raw mut builder, &raw mut out, &raw mut len) == 1;
            if !done || out.is_null() {
                lc::CBB_cleanup(&raw mut builder);
                forget_errors();
                return Vec::new();
            }
            let der = std::slice::from_raw_parts(out, len).to_vec();
            lc::OPENSSL_cleanse(out.cast(), len);
            lc::OPENSSL_free(out.cast());
            der
        }
    }

    /// Whether it is the key of this certificate.
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        #[expect(unsafe_code, reason = "compares two objects that the borrows keep alive")]
        let same = unsafe { lc::X509_check_private_key(certificate.as_ptr(), self.key.as_ptr()) };
        forget_errors();
        same == 1
    }
}

/// A list of revocations.
#[derive(Debug)]
pub struct Crl(pub(super) NonNull<lc::X509_CRL>);

#[expect(unsafe_code, reason = "counted atomically; nothing changes it once it is read")]
unsafe impl Send for Crl {}
#[expect(unsafe_code, reason = "as for Send")]
unsafe impl Sync for Crl {}

impl Drop for Crl {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "gives back the one reference that `self` is")]
        unsafe {
            lc::X509_CRL_free(self.0.as_ptr());
        }
    }
}

/// A text that is read piece by piece.
struct Source<'a> {
    bio: NonNull<lc::BIO>,
    _text: std::marker::PhantomData<&'a [u8]>,
}

impl<'a> Source<'a> {
    fn new(text: &'a [u8]) -> Result<Self, PemError> {
        let len = isize::try_from(text.len()).map_err(|_| PemError::BadData)?;
        #[expect(unsafe_code, reason = "reads the slice, which outlives `self`")]
        let bio = unsafe { lc::BIO_new_mem_buf(text.as_ptr().cast(), len) };
        let bio = NonNull::new(bio).ok_or(PemError::NoStart)?;
        Ok(Self { bio, _text: std::marker::PhantomData })
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "frees what `new` made")]
        unsafe {
            lc::BIO_free(self.bio.as_ptr());
        }
    }
}

/// The certificates of a text, at least one. `Err`: what is wrong, and how many were read before it.
pub fn certificates(text: &[u8]) -> Result<Vec<Certificate>, (PemError, usize)> {
    let source = Source::new(text).map_err(|e| (e, 0))?;
    let mut all = Vec::new();
    loop {
        #[expect(unsafe_code, reason = "reads from a source that lives; no callback, nothing to fill in")]
        let read =
            unsafe { lc::PEM_read_bio_X509_AUX(source.bio.as_ptr(), ptr::null_mut(), None, ptr::null_mut()) };
        match Certificate::owned(read) {
            Some(certificate) => all.push(certificate),
            None => match last_error() {
                PemError::NoStart if !all.is_empty() => return Ok(all),
                e => return Err((e, all.len())),
            },
        }
    }
}

/// The lists of revocations of a text, at least one.
pub fn revocations(text: &[u8]) -> Result<Vec<Crl>, PemError> {
    let source = Source::new(text)?;
    let mut all = Vec::new();
    loop {
        #[expect(unsafe_code, reason = "as for certificates")]
        let read =
            unsafe { lc::PEM_read_bio_X509_CRL(source.bio.as_ptr(), ptr::null_mut(), None, ptr::null_mut()) };
        match NonNull::new(read) {
            Some(crl) => all.push(Crl(crl)),
            None => match last_error() {
                PemError::NoStart if !all.is_empty() => return Ok(all),
                e => return Err(e),
            },
        }
    }
}

/// What the library is told when it asks for a password.
struct Password<'a> {
    text: Option<&'a [u8]>,
    asked: bool,
}

#[expect(unsafe_code, reason = "called back by the library with the pointer that `private_key` gave it")]
unsafe extern "C" fn password(into: *mut c_char, size: c_int, _write: c_int, with: *mut c_void) -> c_int {
    // SAFETY: `with` is the `Password` that lives in `private_key`; `into` has room for `size` bytes.
    let (with, room) = unsafe { (&mut *with.cast::<Password<'_>>(), usize::try_from(size).unwrap_or(0)) };
    with.asked = true;
    let Some(text) = with.text else { return -1 };
    let len = text.len().min(room);
    // SAFETY: as above; both are `len` bytes long at least, and apart.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), into.cast(), len) };
    c_int::try_from(len).unwrap_or(-1)
}

/// The first private key of a text, encrypted with one of these passwords or not at all.
pub fn private_key(text: &[u8], passwords: &[impl AsRef<[u8]>]) -> Result<Key, PemError> {
    let tries = passwords.len().max(1);
    let mut wrong = PemError::NoStart;
    for n in 0..tries {
        let source = Source::new(text)?;
        let mut with = Password { text: passwords.get(n).map(AsRef::as_ref), asked: false };
        #[expect(
            unsafe_code,
            reason = "reads from a source that lives; the callback gets a pointer that is valid during the call"
        )]
        let read = unsafe {
            lc::PEM_read_bio_PrivateKey(
                source.bio.as_ptr(),
                ptr::null_mut(),
                Some(password),
                (&raw mut with).cast(),
            )
        };
        if let Some(key) = NonNull::new(read) {
            forget_errors();
            return Ok(Key { key, encrypted: with.asked });
        }
        wrong = match last_error() {
            _ if with.asked && with.text.is_none() => PemError::NoPassword,
            _ if with.asked => PemError::BadPassword,
            e => e,
        };
        if !with.asked {
            break;
        }
    }
    Err(wrong)
}

/// What the library said last; its list of errors is empty afterwards.
fn last_error() -> PemError {
    #[expect(unsafe_code, reason = "reads a number of this thread's own list")]
    let code = unsafe { lc::ERR_peek_last_error() };
    forget_errors();
    match (lc::ERR_GET_LIB(code), lc::ERR_GET_REASON(code)) {
        (lc::ERR_LIB_PEM, lc::PEM_R_NO_START_LINE) => PemError::NoStart,
        (lc::ERR_LIB_PEM, lc::PEM_R_BAD_END_LINE | lc::PEM_R_SHORT_HEADER) => PemError::BadEnd,
        (lc::ERR_LIB_PEM, lc::PEM_R_BAD_BASE64_DECODE) => PemError::BadBase64,
        _ => PemError::BadData,
    }
}

pub(super) fn forget_errors() {
    #[expect(unsafe_code, reason = "empties this thread's own list")]
    unsafe {
        lc::ERR_clear_error();
    }
}
