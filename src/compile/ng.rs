//! What nginx-sticky-module-ng writes into its cookie for a peer, byte for byte. Pure functions.

use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;

use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;

use crate::plan::{NgDigest, NgInput, NgValue, Peer, PeerAddr};

/// Linux numbers of the address families, in the byte order of the machines the module runs on.
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// `sizeof(struct sockaddr_un)`: all of it is hashed, whatever the path's length.
const SOCKADDR_UN: usize = 110;
/// The module's text of a unix socket has no more of its path: it says that the address is one of IPv4.
const UNIX_TEXT: usize = 14;

/// The cookie's value for one peer; `index` is its place among the upstream's peers.
pub fn value(how: &NgValue, input: NgInput, peer: &Peer, index: usize) -> Box<[u8]> {
    let bytes = || match input {
        NgInput::Address => sockaddr(&peer.addr),
        NgInput::Server => peer.server.as_bytes().to_vec(),
    };
    match how {
        NgValue::Index => index.to_string().into_bytes().into(),
        NgValue::Hash(digest) => digest_of(*digest, &bytes()),
        NgValue::Hmac(digest, key) => hmac_of(*digest, key, &bytes()),
        NgValue::Text(digest) => {
            let text = match (input, &peer.addr) {
                (NgInput::Server, _) => peer.server.as_bytes(),
                (NgInput::Address, PeerAddr::Unix(_)) => {
                    peer.name.as_bytes().get(.."unix:".len() + UNIX_TEXT).unwrap_or(peer.name.as_bytes())
                }
                (NgInput::Address, PeerAddr::Inet(_)) => peer.name.as_bytes(),
            };
            match digest {
                None => text.into(),
                Some(digest) => digest_of(*digest, text),
            }
        }
    }
}

/// The values of an upstream's peers. Unix sockets that the module's short text cannot tell apart get their whole
/// names: it would send the sessions of all of them to the first.
pub fn values(how: &NgValue, input: NgInput, peers: &[Peer]) -> Vec<Box<[u8]>> {
    let all: Vec<_> = peers.iter().enumerate().map(|(i, peer)| value(how, input, peer, i)).collect();
    let (NgValue::Text(digest), NgInput::Address) = (how, input) else { return all };
    let same = |v: &[u8]| all.iter().filter(|other| ***other == *v).count() > 1;
    let clear = |(peer, value): (&Peer, &[u8])| match (&peer.addr, digest) {
        (PeerAddr::Unix(_), None) if same(value) => peer.name.as_bytes().into(),
        (PeerAddr::Unix(_), Some(digest)) if same(value) => digest_of(*digest, peer.name.as_bytes()),
        _ => value.into(),
    };
    peers.iter().zip(all.iter().map(|v| &**v)).map(clear).collect()
}

/// `struct sockaddr_in`, `sockaddr_in6` or `sockaddr_un` as Linux lays it out on little-endian machines.
fn sockaddr(addr: &PeerAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(SOCKADDR_UN);
    match addr {
        PeerAddr::Inet(SocketAddr::V4(a)) => {
            out.extend_from_slice(&AF_INET.to_le_bytes());
            out.extend_from_slice(&a.port().to_be_bytes());
            out.extend_from_slice(&a.ip().octets());
            out.extend_from_slice(&[0; 8]);
        }
        PeerAddr::Inet(SocketAddr::V6(a)) => {
            let ip: &Ipv6Addr = a.ip();
            out.extend_from_slice(&AF_INET6.to_le_bytes());
            out.extend_from_slice(&a.port().to_be_bytes());
            out.extend_from_slice(&a.flowinfo().to_be_bytes());
            out.extend_from_slice(&ip.octets());
            out.extend_from_slice(&a.scope_id().to_le_bytes());
        }
        PeerAddr::Unix(path) => {
            out.extend_from_slice(&AF_UNIX.to_le_bytes());
            out.extend_from_slice(path.as_os_str().as_bytes());
            out.resize(SOCKADDR_UN, 0);
        }
    }
    out
}

fn digest_of(digest: NgDigest, bytes: &[u8]) -> Box<[u8]> {
    match digest {
        NgDigest::Md5 => hex(&Md5::digest(bytes)),
        NgDigest::Sha1 => hex(&Sha1::digest(bytes)),
    }
}

/// RFC 2104.
fn hmac_of(digest: NgDigest, key: &[u8], bytes: &[u8]) -> Box<[u8]> {
    const ANY: &str = "HMAC takes keys of any length";
    match digest {
        NgDigest::Md5 => {
            let mut mac = Hmac::<Md5>::new_from_slice(key).expect(ANY);
            mac.update(bytes);
            hex(&mac.finalize().into_bytes())
        }
        NgDigest::Sha1 => {
            let mut mac = Hmac::<Sha1>::new_from_slice(key).expect(ANY);
            mac.update(bytes);
            hex(&mac.finalize().into_bytes())
        }
    }
}

/// Lower case.
pub(super) fn hex(bytes: &[u8]) -> Box<[u8]> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]).collect()
}

#[cfg(test)]
#[path = "tests/ng.rs"]
mod tests;
