//! The values with which other systems name a server in a cookie, byte for byte.

/// FGW's number for an endpoint on Linux: 64-bit MurmurHash2 of the text (what `std::hash` of GCC's library is), the
/// low 53 bits.
pub(super) fn fgw(endpoint: &str) -> u64 {
    murmur64(endpoint.as_bytes(), 0xc70f_6907) & ((1 << 53) - 1)
}

fn murmur64(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mix = |v: u64| v ^ (v >> 47);
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let data = mix(word(chunk).wrapping_mul(M)).wrapping_mul(M);
        hash = (hash ^ data).wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash = (hash ^ word(rest)).wrapping_mul(M);
    }
    mix(mix(hash).wrapping_mul(M))
}

/// Up to eight bytes, the first one lowest.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// HAProxy's `dynamic` cookie: 64-bit xxHash of the key, the address and the port, 16 hexadecimal digits.
pub(super) fn haproxy_dynamic(key: &str, address: std::net::SocketAddr) -> String {
    let mut bytes = key.as_bytes().to_vec();
    match address.ip() {
        std::net::IpAddr::V4(ip) => bytes.extend(ip.octets()),
        std::net::IpAddr::V6(ip) => bytes.extend(ip.octets()),
    }
    bytes.extend(u32::from(address.port()).to_be_bytes());
    format!("{:016x}", xxh64(&bytes))
}

/// xxHash, 64 bits, seed 0.
fn xxh64(bytes: &[u8]) -> u64 {
    const P: [u64; 5] = [
        0x9e37_79b1_85eb_ca87,
        0xc2b2_ae3d_27d4_eb4f,
        0x1656_67b1_9e37_79f9,
        0x85eb_ca77_c2b2_ae63,
        0x27d4_eb2f_1656_67c5,
    ];
    let round =
        |acc: u64, input: u64| acc.wrapping_add(input.wrapping_mul(P[1])).rotate_left(31).wrapping_mul(P[0]);
    let mut stripes = bytes.chunks_exact(32);
    let mut hash = if bytes.len() < 32 {
        P[4]
    } else {
        let mut lanes = [P[0].wrapping_add(P[1]), P[1], 0, 0u64.wrapping_sub(P[0])];
        for stripe in &mut stripes {
            for (lane, chunk) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
                *lane = round(*lane, word(chunk));
            }
        }
        let [a, b, c, d] = lanes;
        let sum = a.rotate_left(1).wrapping_add(b.rotate_left(7));
        let sum = sum.wrapping_add(c.rotate_left(12)).wrapping_add(d.rotate_left(18));
        lanes.iter().fold(sum, |h, lane| (h ^ round(0, *lane)).wrapping_mul(P[0]).wrapping_add(P[3]))
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    let mut eights = stripes.remainder().chunks_exact(8);
    for chunk in &mut eights {
        hash = (hash ^ round(0, word(chunk))).rotate_left(27).wrapping_mul(P[0]).wrapping_add(P[3]);
    }
    let mut fours = eights.remainder().chunks_exact(4);
    for chunk in &mut fours {
        hash = (hash ^ word(chunk).wrapping_mul(P[0])).rotate_left(23).wrapping_mul(P[1]).wrapping_add(P[2]);
    }
    for byte in fours.remainder() {
        hash = (hash ^ u64::from(*byte).wrapping_mul(P[4])).rotate_left(11).wrapping_mul(P[0]);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P[1]);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P[2]);
    hash ^ (hash >> 32)
}

/// A digest of sticky-module-ng's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Digest {
    Md5,
    Sha1,
    HmacMd5(Vec<u8>),
    HmacSha1(Vec<u8>),
}

impl Digest {
    /// In lower-case hexadecimal digits.
    pub(super) fn hex(&self, bytes: &[u8]) -> String {
        use md5::Digest as _;
        let digest: Vec<u8> = match self {
            Digest::Md5 => md5::Md5::digest(bytes).to_vec(),
            Digest::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            Digest::HmacMd5(key) => hmac_of::<hmac::Hmac<md5::Md5>>(key, bytes),
            Digest::HmacSha1(key) => hmac_of::<hmac::Hmac<sha1::Sha1>>(key, bytes),
        };
        digest.iter().map(|b| format!("{b:02x}")).collect()
    }
}

fn hmac_of<M: hmac::Mac + hmac::digest::KeyInit>(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = <M as hmac::Mac>::new_from_slice(key) else { return Vec::new() };
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

/// A peer's address as sticky-module-ng up to 1.2.6 hashes it: the bytes of Linux' `sockaddr` on a little-endian machine.
pub(super) fn sockaddr(address: std::net::SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address.ip() {
        std::net::IpAddr::V4(ip) => [&[2, 0][..], &port, &ip.octets(), &[0; 8]].concat(),
        std::net::IpAddr::V6(ip) => [&[10, 0][..], &port, &[0; 4], &ip.octets(), &[0; 4]].concat(),
    }
}

/// F5's name for a pool member in the cookies `BIGipServer…`.
pub(super) fn f5(address: std::net::SocketAddr, route_domain: Option<u32>) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let port = address.port();
    match (address.ip(), route_domain) {
        (std::net::IpAddr::V4(ip), None) => {
            format!("{}.{}.0000", u32::from_le_bytes(ip.octets()), port.swap_bytes())
        }
        (std::net::IpAddr::V6(ip), None) => format!("vi{}.{}", hex(&ip.octets()), port.swap_bytes()),
        (std::net::IpAddr::V4(ip), Some(n)) => {
            format!("rd{n}o00000000000000000000ffff{}o{port}", hex(&ip.octets()))
        }
        (std::net::IpAddr::V6(ip), Some(n)) => format!("rd{n}o{}o{port}", hex(&ip.octets())),
    }
}

/// ingress-nginx' cookie in its persistent mode.
pub(super) fn ingress_persistent(backend: &str, endpoint: &str) -> String {
    let md5 = |text: &str| Digest::Md5.hex(text.as_bytes());
    let key = md5(&format!("{backend}{endpoint}"));
    format!("{key}|{}", md5(&format!("{}{backend}", md5(backend))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fgw_numbers_are_the_published_and_recomputed_ones() {
        for (endpoint, number) in [
            ("127.0.0.1:8081", 8_854_252_444_916_726),
            ("127.0.0.1:8082", 8_153_145_845_723_989),
            ("10.0.0.11:8080", 5_406_497_276_119_023),
            ("10.0.0.12:8080", 4_561_675_099_105_606),
            ("backend1.example.com:8080", 4_046_501_971_078_826),
        ] {
            assert_eq!(fgw(endpoint), number, "{endpoint}");
        }
    }

    #[test]
    fn dynamic_cookies_are_those_that_haproxy_sent() {
        for (key, address, value) in [
            ("secret1", "127.0.0.1:18101", "a7268187a01f373c"),
            ("secret1", "127.0.0.1:18102", "465fb4c4335e232a"),
            ("k", "[2001:db8::1]:443", "f89dcc7b73e9d147"),
        ] {
            assert_eq!(haproxy_dynamic(key, address.parse().unwrap()), value, "{key} {address}");
        }
        // The published vector of an input past one stripe.
        assert_eq!(xxh64(b""), 0xef46_db37_51d8_e999);
        assert_eq!(xxh64(b"Nobody inspects the spammish repetition"), 0xfbce_a83c_8a37_8bf1);
    }

    #[test]
    fn ng_digests_are_those_of_the_sockaddr() {
        for (address, value) in [
            ("10.0.0.1:8080", "b68e14ae8eacb6f130cc095ed0cf69db"),
            ("10.0.0.2:8080", "abe66d4738da9ea03eeb99abf1385dd7"),
        ] {
            assert_eq!(Digest::Md5.hex(&sockaddr(address.parse().unwrap())), value);
        }
        // RFC 2202, test case 2.
        let key = || b"Jefe".to_vec();
        let text = b"what do ya want for nothing?";
        assert_eq!(Digest::HmacMd5(key()).hex(text), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(Digest::HmacSha1(key()).hex(text), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    }

    #[test]
    fn f5_names_are_those_of_its_document() {
        for (address, domain, value) in [
            ("10.1.1.100:8080", None, "1677787402.36895.0000"),
            ("10.20.0.11:80", None, "184554506.20480.0000"),
            ("[2001:112::30]:80", None, "vi20010112000000000000000000000030.20480"),
            ("192.0.2.1:80", Some(5), "rd5o00000000000000000000ffffc0000201o80"),
            ("[2001:112::30]:80", Some(3), "rd3o20010112000000000000000000000030o80"),
        ] {
            assert_eq!(f5(address.parse().unwrap(), domain), value, "{address}");
        }
    }
}
