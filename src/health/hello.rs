//! A ClientHello that servers of any age answer with a ServerHello.
//!
//! Tengine sends one of SSL 3.0, which current servers refuse with an alert, so that they would all be down. This one
//! offers TLS 1.3 down to what an old server chooses (RFC 8446, section 4.1.2). It brings no key of its own: a server of
//! TLS 1.3 then asks for one, which is a ServerHello as well.

/// What a ServerHello has at least: record and message headers, version, random, session id's length, suite,
/// compression.
pub(super) const LEAST: usize = 47;

const SUITES: &[u16] = &[
    0x1301, 0x1302, 0x1303, // TLS 1.3
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, // ECDHE with AEAD
    0xc009, 0xc013, 0xc00a, 0xc014, // ECDHE with CBC
    0x009e, 0x009f, 0x0033, 0x0039, // DHE
    0x009c, 0x009d, 0x003c, 0x003d, 0x002f, 0x0035, 0x000a, 0x0005, 0x0004, // RSA
    0x00ff, // renegotiation_info, RFC 5746
];

pub(super) fn client_hello(random: [u8; 32]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&random);
    body.push(0);
    list16(&mut body, |out| SUITES.iter().for_each(|s| out.extend_from_slice(&s.to_be_bytes())));
    body.extend_from_slice(&[1, 0]);
    list16(&mut body, |out| {
        // supported_groups: x25519, secp256r1, secp384r1, secp521r1
        extension(out, 10, |out| list16(out, |l| l.extend_from_slice(&[0, 29, 0, 23, 0, 24, 0, 25])));
        // ec_point_formats: uncompressed
        extension(out, 11, |out| out.extend_from_slice(&[1, 0]));
        // signature_algorithms
        extension(out, 13, |out| {
            list16(out, |l| {
                for n in [
                    0x0403u16, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201,
                ] {
                    l.extend_from_slice(&n.to_be_bytes());
                }
            });
        });
        // supported_versions: TLS 1.3 to 1.0
        extension(out, 43, |out| out.extend_from_slice(&[8, 3, 4, 3, 3, 3, 2, 3, 1]));
        // key_share: none
        extension(out, 51, |out| out.extend_from_slice(&[0, 0]));
    });
    let length = u32::try_from(body.len()).expect("a fixed text").to_be_bytes();
    let mut record = vec![0x16, 3, 1];
    list16(&mut record, |out| {
        out.push(1);
        out.extend_from_slice(&length[1..]);
        out.extend_from_slice(&body);
    });
    record
}

/// What `fill` writes, its length in two bytes before it.
fn list16(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0, 0]);
    fill(out);
    let length = u16::try_from(out.len() - at - 2).expect("a fixed text").to_be_bytes();
    out[at..at + 2].copy_from_slice(&length);
}

fn extension(out: &mut Vec<u8>, number: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&number.to_be_bytes());
    list16(out, fill);
}
