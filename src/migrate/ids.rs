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
}
