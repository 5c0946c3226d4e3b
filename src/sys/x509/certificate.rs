//! One certificate.

use std::os::raw::c_long;
use std::ptr::{self, NonNull};

use aws_lc_sys as lc;

/// A certificate. Cloning shares it.
#[derive(Debug)]
pub struct Certificate(NonNull<lc::X509>);

#[expect(unsafe_code, reason = "the object is counted atomically and locks what it works out lazily")]
unsafe impl Send for Certificate {}
#[expect(unsafe_code, reason = "as for Send")]
unsafe impl Sync for Certificate {}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        #[expect(unsafe_code, reason = "one more reference to an object that `self` keeps alive")]
        unsafe {
            lc::X509_up_ref(self.0.as_ptr());
        }
        Self(self.0)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "gives back the one reference that `self` is")]
        unsafe {
            lc::X509_free(self.0.as_ptr());
        }
    }
}

impl Certificate {
    /// Takes over a reference.
    pub(super) fn owned(x509: *mut lc::X509) -> Option<Self> {
        NonNull::new(x509).map(Self)
    }

    pub(super) fn as_ptr(&self) -> *mut lc::X509 {
        self.0.as_ptr()
    }

    /// `None`: not a certificate, or more than one.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let len = c_long::try_from(der.len()).ok()?;
        let mut at = der.as_ptr();
        #[expect(
            unsafe_code,
            reason = "d2i reads at most the `len` bytes of the slice, and moves `at` within it"
        )]
        let read = unsafe { lc::d2i_X509(ptr::null_mut(), &raw mut at, len) };
        super::pem::forget_errors();
        Self::owned(read).filter(|_| at == der.as_ptr_range().end)
    }

    pub fn der(&self) -> Vec<u8> {
        let mut out = ptr::null_mut();
        #[expect(unsafe_code, reason = "i2d allocates what it writes; it is copied and freed here")]
        unsafe {
            let len = lc::i2d_X509(self.as_ptr(), &raw mut out);
            let Some(len) = usize::try_from(len).ok().filter(|_| !out.is_null()) else { return Vec::new() };
            let der = std::slice::from_raw_parts(out, len).to_vec();
            lc::OPENSSL_free(out.cast());
            der
        }
    }

    /// Whether it is for this host: one of its DNS names, wildcards included; its common name when it has none
    /// (RFC 6125). No name fits an empty one.
    pub fn is_for(&self, host: &[u8]) -> bool {
        if host.is_empty() {
            return false;
        }
        #[expect(
            unsafe_code,
            reason = "reads the `len` bytes of the slice; nothing is asked to be written back"
        )]
        let found = unsafe {
            lc::X509_check_host(self.as_ptr(), host.as_ptr().cast(), host.len(), 0, ptr::null_mut())
        };
        super::pem::forget_errors();
        found == 1
    }

    /// Whether the key that it is for signed this message. `scheme` is TLS's number of the way to sign (RFC 8446 section
    /// 4.2.3); an unknown one signs nothing.
    pub fn signed(&self, scheme: u16, message: &[u8], signature: &[u8]) -> bool {
        #[expect(unsafe_code, reason = "these return tables that live as long as the program")]
        let (digest, pss) = unsafe {
            match scheme {
                0x0201 | 0x0203 => (lc::EVP_sha1(), false),
                0x0401 | 0x0403 => (lc::EVP_sha256(), false),
                0x0501 | 0x0503 => (lc::EVP_sha384(), false),
                0x0601 | 0x0603 => (lc::EVP_sha512(), false),
                0x0804 | 0x0809 => (lc::EVP_sha256(), true),
                0x0805 | 0x080a => (lc::EVP_sha384(), true),
                0x0806 | 0x080b => (lc::EVP_sha512(), true),
                0x0807 => (ptr::null(), false),
                _ => return false,
            }
        };
        let kind = match scheme {
            0x0809..=0x080b => lc::EVP_PKEY_RSA_PSS,
            0x0807 => lc::EVP_PKEY_ED25519,
            _ if pss || scheme & 0xff == 1 => lc::EVP_PKEY_RSA,
            _ => lc::EVP_PKEY_EC,
        };
        #[expect(
            unsafe_code,
            reason = "the key is borrowed from the certificate, the context is made, used for the two slices and freed \
                      here; the key's context belongs to it"
        )]
        let good = unsafe {
            let key = lc::X509_get0_pubkey(self.as_ptr());
            if key.is_null() || lc::EVP_PKEY_id(key) != kind {
                return false;
            }
            let context = lc::EVP_MD_CTX_new();
            if context.is_null() {
                return false;
            }
            let mut of_key = ptr::null_mut();
            let mut good =
                lc::EVP_DigestVerifyInit(context, &raw mut of_key, digest, ptr::null_mut(), key) == 1;
            if good && pss {
                // RFC 8446 section 4.2.3: the salt is as long as the digest, which -1 says.
                good = lc::EVP_PKEY_CTX_set_rsa_padding(of_key, lc::RSA_PKCS1_PSS_PADDING) == 1
                    && lc::EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, -1) == 1;
            }
            good = good
                && lc::EVP_DigestVerify(
                    context,
                    signature.as_ptr(),
                    signature.len(),
                    message.as_ptr(),
                    message.len(),
                ) == 1;
            lc::EVP_MD_CTX_free(context);
            good
        };
        super::pem::forget_errors();
        good
    }
}
