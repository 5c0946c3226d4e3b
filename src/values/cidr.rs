//! `cidr`: a network of addresses.

use std::net::{IpAddr, Ipv6Addr};

use nom::bytes::complete::{tag, take_till};
use nom::combinator::{map_opt, opt, rest};
use nom::{IResult, Parser};

use super::address::ipv4;
use super::number::number;
use super::whole;

/// `10.0.0.0/8`, `::1`; the low bits are already cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub network: IpAddr,
    pub bits: u8,
    /// Whether the text had bits set below the mask: nginx warns `low address bits of X are meaningless`.
    pub low_bits: bool,
}

impl Cidr {
    /// Whether an address is of this network. A v4 address mapped into v6 counts as v4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.network, ip.to_canonical()) {
            (IpAddr::V4(n), IpAddr::V4(ip)) => masked4(ip.into(), self.bits) == u32::from(n),
            (IpAddr::V6(n), IpAddr::V6(ip)) => masked6(ip.into(), self.bits) == u128::from(n),
            _ => false,
        }
    }
}

/// An address, or an address and the length of its mask.
pub fn cidr(text: &[u8]) -> Option<Cidr> {
    let (ip, bits) = whole((ip_text, opt((tag("/"), mask_bits))), text)?;
    let bits = bits.map(|(_, bits)| bits);
    match ip {
        IpAddr::V4(ip) => {
            let bits = bits.unwrap_or(32);
            let network = masked4(ip.into(), bits);
            let low_bits = network != u32::from(ip);
            (bits <= 32).then(|| Cidr { network: IpAddr::V4(network.into()), bits, low_bits })
        }
        IpAddr::V6(ip) => {
            let bits = bits.unwrap_or(128);
            let network = masked6(ip.into(), bits);
            let low_bits = network != u128::from(ip);
            (bits <= 128).then(|| Cidr { network: IpAddr::V6(network.into()), bits, low_bits })
        }
    }
}

fn masked4(ip: u32, bits: u8) -> u32 {
    ip & u32::MAX.checked_shl(32u32.saturating_sub(bits.into())).unwrap_or(0)
}

fn masked6(ip: u128, bits: u8) -> u128 {
    ip & u128::MAX.checked_shl(128u32.saturating_sub(bits.into())).unwrap_or(0)
}

fn ip_text(i: &[u8]) -> IResult<&[u8], IpAddr> {
    map_opt(take_till(|b| b == b'/'), |t: &[u8]| {
        whole(ipv4, t)
            .map(IpAddr::V4)
            .or_else(|| Some(IpAddr::V6(std::str::from_utf8(t).ok()?.parse::<Ipv6Addr>().ok()?)))
    })
    .parse(i)
}

fn mask_bits(i: &[u8]) -> IResult<&[u8], u8> {
    map_opt(rest, |t: &[u8]| number(t).and_then(|n| u8::try_from(n).ok())).parse(i)
}
