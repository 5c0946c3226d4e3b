//! X.509 as OpenSSL has it: certificates, keys and lists of revocations out of PEM, and the verdict on a chain.
//!
//! AWS-LC does the work; rustls stands on the same library. rustls's own verifier (webpki) refuses what OpenSSL and so
//! nginx accept: certificates of version 1, a self-signed certificate that is trusted itself, a name in the subject
//! alone. It also has no numbers for what is wrong, which nginx's log and variables show.

mod certificate;
mod fields;
mod pem;
mod trust;

pub use certificate::Certificate;
pub use pem::{Crl, Key, PemError, certificates, private_key, revocations};
pub use trust::{Purpose, Trust, Unverified, verify_text};

#[cfg(test)]
mod tests;
