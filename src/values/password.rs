//! Stored passwords of `auth_basic_user_file` that need no crypt(3): `{PLAIN}`, `{SHA}`, `{SSHA}`, `$apr1$`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use md5::{Digest as _, Md5};
use sha1::Sha1;

/// Takes what nginx takes: padding or none, whatever is in the last bits.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes Base64 as nginx does.
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    LENIENT.decode(text).ok()
}

/// Whether `given` is the password that `stored` tells of; `None`: crypt(3) has to say.
pub fn is_password(stored: &[u8], given: &[u8]) -> Option<bool> {
    if let Some(plain) = stored.strip_prefix(b"{PLAIN}") {
        return Some(same(plain, given));
    }
    if let Some(salted) = stored.strip_prefix(b"{SSHA}") {
        let salt = base64(salted).filter(|s| s.len() > 20).map(|s| s[20..].to_vec()).unwrap_or_default();
        let mut digest = Sha1::new().chain_update(given).chain_update(&salt).finalize().to_vec();
        digest.extend_from_slice(&salt);
        return Some(same(salted, general_purpose::STANDARD.encode(digest).as_bytes()));
    }
    if let Some(hash) = stored.strip_prefix(b"{SHA}") {
        return Some(same(hash, general_purpose::STANDARD.encode(Sha1::digest(given)).as_bytes()));
    }
    let salt = stored.strip_prefix(b"$apr1$")?;
    let end = salt.iter().take(8).position(|b| *b == b'$').unwrap_or(salt.len().min(8));
    Some(same(stored, &apr1(given, salt.get(..end).unwrap_or_default())))
}

/// Compares in a time that tells nothing of where two texts of one length differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Apache's variant of Poul-Henning Kamp's MD5 crypt.
fn apr1(key: &[u8], salt: &[u8]) -> Vec<u8> {
    let mut digest = Md5::new().chain_update(key).chain_update(salt).chain_update(key).finalize();
    let mut md5 = Md5::new().chain_update(key).chain_update(b"$apr1$").chain_update(salt);
    for part in key.chunks(16) {
        md5.update(&digest[..part.len()]);
    }
    let mut bits = key.len();
    while bits > 0 {
        md5.update(if bits & 1 == 1 { b"\0" } else { key.get(..1).unwrap_or_default() });
        bits >>= 1;
    }
    digest = md5.finalize();
    for round in 0..1000 {
        let mut md5 = Md5::new();
        md5.update(if round & 1 == 1 { key } else { &digest });
        if round % 3 != 0 {
            md5.update(salt);
        }
        if round % 7 != 0 {
            md5.update(key);
        }
        md5.update(if round & 1 == 1 { &digest } else { key });
        digest = md5.finalize();
    }
    let mut out = [b"$apr1$", salt, b"$"].concat();
    let mut put = |bytes: [usize; 3]| {
        let mut value = bytes.iter().fold(0_u32, |v, &i| v << 8 | u32::from(digest[i]));
        for _ in 0..4 {
            out.push(DIGITS[(value & 0x3f) as usize]);
            value >>= 6;
        }
    };
    for bytes in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        put(bytes);
    }
    out.extend([DIGITS[usize::from(digest[11] & 0x3f)], DIGITS[usize::from(digest[11] >> 6)]]);
    out
}

const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_passwords_are_known() {
        // Made with `htpasswd` and `openssl passwd -apr1`.
        for (stored, given, want) in [
            ("{PLAIN}secret", "secret", Some(true)),
            ("{PLAIN}secret", "Secret", Some(false)),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "password", Some(true)),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "passwor", Some(false)),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g", "password", Some(false)),
            ("{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0", "password", Some(true)),
            ("{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0", "Password", Some(false)),
            ("{SSHA}", "password", Some(false)),
            ("$apr1$salt12$XNebFk6d8MQSVcUVbsosI.", "", Some(true)),
            ("$apr1$abcdefgh$L.PT565ESX4Tp2bqNs7Ie.", "", Some(true)),
            ("$apr1$x$tMwYqBfQwi3FYAr0aJc8M/", "", Some(true)),
            ("$apr1$salt12$yurFcKiQ7MstMiyTR25rT/", "a", Some(true)),
            ("$apr1$abcdefgh$G8IsPsylW5ROvIKsQMRG61", "a", Some(true)),
            ("$apr1$x$16j9.5e7KiXmuYFAYpPJM/", "a", Some(true)),
            ("$apr1$salt12$5S.EcRwRYQbAK8IDZWk0D/", "password", Some(true)),
            ("$apr1$abcdefgh$FBwExRW4dCc8aL.OvjpIE1", "password", Some(true)),
            ("$apr1$x$JzZzpGvcyRmaRIUjVzP42/", "password", Some(true)),
            (
                "$apr1$salt12$LEvgQXwAVE3FUP5UZbdMW/",
                "a long password with more than sixteen bytes",
                Some(true),
            ),
            (
                "$apr1$abcdefgh$S8Cw8e3jC5EF6BlhtjgeB/",
                "a long password with more than sixteen bytes",
                Some(true),
            ),
            ("$apr1$x$HX7w73h31qofCxXNsAOUK.", "a long password with more than sixteen bytes", Some(true)),
            ("$apr1$salt$", "", Some(false)),
            ("$apr1$", "", Some(false)),
            ("$6$salt$x", "x", None),
            ("x", "x", None),
            ("", "", None),
        ] {
            assert_eq!(is_password(stored.as_bytes(), given.as_bytes()), want, "{stored}");
        }
        let salted = Sha1::digest(b"passwordsalt");
        let stored = format!("{{SSHA}}{}", general_purpose::STANDARD.encode([&salted[..], b"salt"].concat()));
        assert_eq!(is_password(stored.as_bytes(), b"password"), Some(true));
    }
}
