//! Groups of key exchange (`ssl_ecdh_curve`): OpenSSL's names and rustls' groups.

use rustls::NamedGroup;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{self, kx_group};

/// Why a list is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Not a name that OpenSSL knows.
    Unknown(String),
    /// Nothing in it is a group that rustls has.
    NoneOfOurs,
}

/// The groups of a list of names with `:` between them, in its order; `auto` is rustls' own list.
pub fn list(text: &str) -> Result<Vec<&'static dyn SupportedKxGroup>, Refused> {
    if text == "auto" {
        return Ok(aws_lc_rs::DEFAULT_KX_GROUPS.to_vec());
    }
    let mut groups = Vec::new();
    // OpenSSL 3.5 may mark a group (`?`, `*`, `-`) and part lists with `/`.
    for name in text.split([':', '/']) {
        match group(name.trim_start_matches(['?', '*', '-']))? {
            Some(group) if !groups.iter().any(|g: &&dyn SupportedKxGroup| g.name() == group.name()) => {
                groups.push(group)
            }
            _ => {}
        }
    }
    if groups.is_empty() { Err(Refused::NoneOfOurs) } else { Ok(groups) }
}

fn group(name: &str) -> Result<Option<&'static dyn SupportedKxGroup>, Refused> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "x25519" => Some(kx_group::X25519),
        "prime256v1" | "p-256" | "secp256r1" => Some(kx_group::SECP256R1),
        "secp384r1" | "p-384" => Some(kx_group::SECP384R1),
        "x25519mlkem768" => Some(kx_group::X25519MLKEM768),
        "secp256r1mlkem768" => Some(kx_group::SECP256R1MLKEM768),
        "mlkem768" => Some(kx_group::MLKEM768),
        "mlkem1024" => Some(kx_group::MLKEM1024),
        "secp521r1" | "p-521" | "x448" | "secp384r1mlkem1024" | "mlkem512" | "secp256k1" | "secp224r1"
        | "p-224" | "prime192v1" | "p-192" | "brainpoolp256r1" | "brainpoolp384r1" | "brainpoolp512r1"
        | "ffdhe2048" | "ffdhe3072" | "ffdhe4096" | "ffdhe6144" | "ffdhe8192" => None,
        _ => return Err(Refused::Unknown(name.to_owned())),
    })
}

/// A group as OpenSSL 3 names it (`$ssl_curve`); one without a name is hexadecimal, as in nginx's `$ssl_curves`.
pub fn name(group: NamedGroup) -> String {
    let known = match u16::from(group) {
        21 => "secp224r1",
        22 => "secp256k1",
        23 => "prime256v1",
        24 => "secp384r1",
        25 => "secp521r1",
        26 => "brainpoolP256r1",
        27 => "brainpoolP384r1",
        28 => "brainpoolP512r1",
        29 => "X25519",
        30 => "X448",
        256 => "ffdhe2048",
        257 => "ffdhe3072",
        258 => "ffdhe4096",
        259 => "ffdhe6144",
        260 => "ffdhe8192",
        0x0201 => "MLKEM768",
        0x0202 => "MLKEM1024",
        0x11eb => "SecP256r1MLKEM768",
        0x11ec => "X25519MLKEM768",
        0x11ed => "SecP384r1MLKEM1024",
        number => return format!("0x{number:04x}"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_openssl() {
        let names = |text: &str| list(text).map(|g| g.iter().map(|g| name(g.name())).collect::<Vec<_>>());
        assert_eq!(names("X25519:prime256v1:P-256:secp521r1").unwrap(), ["X25519", "prime256v1"]);
        assert_eq!(names("secp384r1:?X25519MLKEM768/x448").unwrap(), ["secp384r1", "X25519MLKEM768"]);
        assert_eq!(names("secp521r1"), Err(Refused::NoneOfOurs));
        assert_eq!(names("X25519:junk"), Err(Refused::Unknown("junk".to_owned())));
        assert!(names("auto").is_ok_and(|n| n.contains(&"X25519".to_owned())));
        assert_eq!(name(NamedGroup::Unknown(0x0a0a)), "0x0a0a");
    }
}
