//! What a certificate says, as OpenSSL prints it.

use std::ffi::CStr;
use std::os::raw::c_int;
use std::ptr::{self, NonNull};

use aws_lc_sys as lc;

use super::Certificate;
use super::pem::forget_errors;

/// What `write` says to a buffer of the library's.
fn written(write: impl FnOnce(*mut lc::BIO) -> c_int) -> Vec<u8> {
    #[expect(
        unsafe_code,
        reason = "the buffer is made, read and freed here; its bytes are copied before it goes"
    )]
    unsafe {
        let Some(bio) = NonNull::new(lc::BIO_new(lc::BIO_s_mem())) else { return Vec::new() };
        write(bio.as_ptr());
        let (mut at, mut len) = (ptr::null(), 0);
        let there = lc::BIO_mem_contents(bio.as_ptr(), &raw mut at, &raw mut len) == 1 && !at.is_null();
        let out = if there { std::slice::from_raw_parts(at, len).to_vec() } else { Vec::new() };
        lc::BIO_free(bio.as_ptr());
        forget_errors();
        out
    }
}

/// A name as RFC 2253 writes it.
fn rfc2253(name: *const lc::X509_NAME) -> Vec<u8> {
    #[expect(unsafe_code, reason = "the name lives as long as its certificate, which the caller borrows")]
    written(|bio| unsafe { lc::X509_NAME_print_ex(bio, name, 0, lc::XN_FLAG_RFC2253 as _) })
}

/// A name as `/C=…/CN=…`.
fn oneline(name: *const lc::X509_NAME) -> Vec<u8> {
    #[expect(
        unsafe_code,
        reason = "the library makes a text that ends with 0, or none; it is copied and freed here"
    )]
    unsafe {
        let text = lc::X509_NAME_oneline(name, ptr::null_mut(), 0);
        if text.is_null() {
            return Vec::new();
        }
        let out = CStr::from_ptr(text).to_bytes().to_vec();
        lc::OPENSSL_free(text.cast());
        out
    }
}

#[expect(
    unsafe_code,
    reason = "names, number and times belong to the certificate, which is borrowed meanwhile"
)]
impl Certificate {
    /// The subject as RFC 2253 writes it.
    pub fn subject(&self) -> Vec<u8> {
        rfc2253(unsafe { lc::X509_get_subject_name(self.as_ptr()) })
    }

    /// The issuer as RFC 2253 writes it.
    pub fn issuer(&self) -> Vec<u8> {
        rfc2253(unsafe { lc::X509_get_issuer_name(self.as_ptr()) })
    }

    /// The subject as `/C=…/CN=…`.
    pub fn subject_oneline(&self) -> Vec<u8> {
        oneline(unsafe { lc::X509_get_subject_name(self.as_ptr()) })
    }

    /// The issuer as `/C=…/CN=…`.
    pub fn issuer_oneline(&self) -> Vec<u8> {
        oneline(unsafe { lc::X509_get_issuer_name(self.as_ptr()) })
    }

    /// The subject in DER.
    pub fn subject_der(&self) -> Vec<u8> {
        let mut out = ptr::null_mut();
        unsafe {
            let len = lc::i2d_X509_NAME(lc::X509_get_subject_name(self.as_ptr()), &raw mut out);
            let Some(len) = usize::try_from(len).ok().filter(|_| !out.is_null()) else { return Vec::new() };
            let der = std::slice::from_raw_parts(out, len).to_vec();
            lc::OPENSSL_free(out.cast());
            der
        }
    }

    /// The serial number in upper-case hexadecimal digits.
    pub fn serial(&self) -> Vec<u8> {
        written(|bio| unsafe { lc::i2a_ASN1_INTEGER(bio, lc::X509_get_serialNumber(self.as_ptr())) })
    }

    /// When it begins: `Sep 20 10:00:00 2025 GMT`.
    pub fn not_before(&self) -> Vec<u8> {
        written(|bio| unsafe { lc::ASN1_TIME_print(bio, lc::X509_get0_notBefore(self.as_ptr())) })
    }

    /// When it ends, as text.
    pub fn not_after(&self) -> Vec<u8> {
        written(|bio| unsafe { lc::ASN1_TIME_print(bio, lc::X509_get0_notAfter(self.as_ptr())) })
    }

    /// When it ends, in seconds since 1970; `None`: that is no time.
    pub fn expires(&self) -> Option<i64> {
        let mut out = 0;
        let good = unsafe { lc::ASN1_TIME_to_posix(lc::X509_get0_notAfter(self.as_ptr()), &raw mut out) };
        (good == 1).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_printed_as_openssl_prints_them() {
        let path = format!("{}/fixtures/tls/client.crt", env!("CARGO_MANIFEST_DIR"));
        let certificate = &super::super::certificates(&std::fs::read(&path).unwrap()).unwrap()[0];
        let asked = ["-serial", "-subject", "-issuer", "-startdate", "-enddate"];
        let Ok(out) = std::process::Command::new("openssl")
            .args(["x509", "-noout", "-nameopt", "RFC2253", "-in", &path])
            .args(asked)
            .output()
        else {
            crate::sys::write_stderr(b"SKIPPED: openssl is not installed\n");
            return;
        };
        let theirs = String::from_utf8(out.stdout).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ours = [
            format!("serial={}", text(certificate.serial())),
            format!("subject={}", text(certificate.subject())),
            format!("issuer={}", text(certificate.issuer())),
            format!("notBefore={}", text(certificate.not_before())),
            format!("notAfter={}", text(certificate.not_after())),
        ];
        for line in &ours {
            assert!(theirs.lines().any(|l| l == line), "{line} in {theirs}");
        }
        assert!(text(certificate.subject_oneline()).contains("/CN="));
        assert!(text(certificate.issuer_oneline()).contains("/CN="));
        assert_eq!(certificate.subject_der().first(), Some(&0x30));
        assert!(certificate.expires().is_some_and(|t| t > 1_700_000_000));
    }
}
