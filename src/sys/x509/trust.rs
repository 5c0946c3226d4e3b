//! Whom we trust, and the verdict on a chain.

use std::os::raw::{c_int, c_ulong};
use std::ptr::NonNull;

use aws_lc_sys as lc;

use super::pem::forget_errors;
use super::{Certificate, Crl};

/// Authorities, and what they have revoked.
#[derive(Debug)]
pub struct Trust {
    store: NonNull<lc::X509_STORE>,
    depth: c_int,
}

#[expect(unsafe_code, reason = "the store is locked within the library; nothing is added once it is made")]
unsafe impl Send for Trust {}
#[expect(unsafe_code, reason = "as for Send")]
unsafe impl Sync for Trust {}

impl Drop for Trust {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "frees what `new` made")]
        unsafe {
            lc::X509_STORE_free(self.store.as_ptr());
        }
    }
}

/// Whose certificate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Client,
    Server,
}

/// OpenSSL's number of what is wrong with a chain; [`verify_text`] has its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unverified(pub i32);

impl Trust {
    /// `depth`: how many certificates there may be between that of the peer and a trusted one. With a list of revocations
    /// every certificate of a chain needs one that is in force.
    pub fn new(trusted: &[Certificate], revoked: &[Crl], depth: u32) -> Option<Self> {
        #[expect(unsafe_code, reason = "the store is new, and keeps references of its own to what is added")]
        unsafe {
            let store = NonNull::new(lc::X509_STORE_new())?;
            let trust = Self { store, depth: c_int::try_from(depth).unwrap_or(c_int::MAX) };
            for certificate in trusted {
                lc::X509_STORE_add_cert(store.as_ptr(), certificate.as_ptr());
            }
            for crl in revoked {
                lc::X509_STORE_add_crl(store.as_ptr(), crl.0.as_ptr());
            }
            if !revoked.is_empty() {
                let flags = lc::X509_V_FLAG_CRL_CHECK | lc::X509_V_FLAG_CRL_CHECK_ALL;
                lc::X509_STORE_set_flags(store.as_ptr(), c_ulong::try_from(flags).unwrap_or(0));
            }
            forget_errors();
            Some(trust)
        }
    }

    /// Whether the first of `chain` is trusted, with the help of the others. What is wrong is what OpenSSL finds last when
    /// it is told to go on, as nginx tells it.
    pub fn verify(&self, chain: &[Certificate], purpose: Purpose) -> Result<(), Unverified> {
        let Err(first) = self.check(chain, purpose, false) else { return Ok(()) };
        match self.check(chain, purpose, true) {
            Err(Unverified(last)) if last != lc::X509_V_OK => Err(Unverified(last)),
            _ => Err(first),
        }
    }

    fn check(&self, chain: &[Certificate], purpose: Purpose, go_on: bool) -> Result<(), Unverified> {
        let failed = Err(Unverified(lc::X509_V_ERR_UNSPECIFIED));
        let Some(leaf) = chain.first() else { return failed };
        let name = if purpose == Purpose::Client { c"ssl_client" } else { c"ssl_server" };
        #[expect(
            unsafe_code,
            reason = "context and stack are made, used and freed here; store and certificates are borrowed meanwhile"
        )]
        let (good, code) = unsafe {
            let context = lc::X509_STORE_CTX_new();
            let others = lc::OPENSSL_sk_new_null();
            if context.is_null() || others.is_null() {
                lc::X509_STORE_CTX_free(context);
                lc::OPENSSL_sk_free(others);
                return failed;
            }
            for certificate in chain.iter().skip(1) {
                lc::OPENSSL_sk_push(others, certificate.as_ptr().cast());
            }
            let ready = lc::X509_STORE_CTX_init(context, self.store.as_ptr(), leaf.as_ptr(), others.cast())
                == 1
                && lc::X509_STORE_CTX_set_default(context, name.as_ptr()) == 1;
            let verdict = if ready {
                lc::X509_VERIFY_PARAM_set_depth(lc::X509_STORE_CTX_get0_param(context), self.depth);
                if go_on {
                    lc::X509_STORE_CTX_set_verify_cb(context, Some(carry_on));
                }
                let good = lc::X509_verify_cert(context) == 1;
                (good, lc::X509_STORE_CTX_get_error(context))
            } else {
                (false, lc::X509_V_ERR_UNSPECIFIED)
            };
            lc::X509_STORE_CTX_free(context);
            lc::OPENSSL_sk_free(others);
            verdict
        };
        forget_errors();
        if good && code == lc::X509_V_OK { Ok(()) } else { Err(Unverified(code)) }
    }
}

#[expect(unsafe_code, reason = "called back by the library; touches nothing")]
unsafe extern "C" fn carry_on(_good: c_int, _context: *mut lc::X509_STORE_CTX) -> c_int {
    1
}

/// OpenSSL 3's words for a number.
pub fn verify_text(code: i32) -> &'static str {
    match code {
        0 => "ok",
        1 => "unspecified certificate verification error",
        2 => "unable to get issuer certificate",
        3 => "unable to get certificate CRL",
        4 => "unable to decrypt certificate's signature",
        5 => "unable to decrypt CRL's signature",
        6 => "unable to decode issuer public key",
        7 => "certificate signature failure",
        8 => "CRL signature failure",
        9 => "certificate is not yet valid",
        10 => "certificate has expired",
        11 => "CRL is not yet valid",
        12 => "CRL has expired",
        13 => "format error in certificate's notBefore field",
        14 => "format error in certificate's notAfter field",
        15 => "format error in CRL's lastUpdate field",
        16 => "format error in CRL's nextUpdate field",
        17 => "out of memory",
        18 => "self-signed certificate",
        19 => "self-signed certificate in certificate chain",
        20 => "unable to get local issuer certificate",
        21 => "unable to verify the first certificate",
        22 => "certificate chain too long",
        23 => "certificate revoked",
        24 => "invalid CA certificate",
        25 => "path length constraint exceeded",
        26 => "unsuitable certificate purpose",
        27 => "certificate not trusted",
        28 => "certificate rejected",
        29 => "subject issuer mismatch",
        30 => "authority and subject key identifier mismatch",
        31 => "authority and issuer serial number mismatch",
        32 => "key usage does not include certificate signing",
        33 => "unable to get CRL issuer certificate",
        34 => "unhandled critical extension",
        35 => "key usage does not include CRL signing",
        36 => "unhandled critical CRL extension",
        37 => "invalid non-CA certificate (has CA markings)",
        38 => "proxy path length constraint exceeded",
        39 => "key usage does not include digital signature",
        40 => "proxy certificates not allowed, please set the appropriate flag",
        41 => "invalid or inconsistent certificate extension",
        42 => "invalid or inconsistent certificate policy extension",
        43 => "no explicit policy",
        44 => "different CRL scope",
        45 => "unsupported extension feature",
        46 => "RFC 3779 resource not subset of parent's resources",
        47 => "permitted subtree violation",
        48 => "excluded subtree violation",
        49 => "name constraints minimum and maximum not supported",
        50 => "application verification failure",
        51 => "unsupported name constraint type",
        52 => "unsupported or invalid name constraint syntax",
        53 => "unsupported or invalid name syntax",
        54 => "CRL path validation error",
        62 => "hostname mismatch",
        63 => "email address mismatch",
        64 => "IP address mismatch",
        66 => "issuer certificate lookup error",
        68 => "EE certificate key too weak",
        69 => "CA certificate key too weak",
        70 => "CA signature digest algorithm too weak",
        _ => "unknown certificate verification error",
    }
}
