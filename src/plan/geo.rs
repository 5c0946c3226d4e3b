//! `geo`: addresses to values.

use std::net::IpAddr;

use super::{RealIp, Template};
use crate::values::Cidr;

/// `geo`
#[derive(Debug, Clone)]
pub struct Geo {
    /// The text of an address; `None`: the client's.
    pub of: Option<Template>,
    /// `proxy` and `proxy_recursive`: whose word in `X-Forwarded-For` is taken; `None`: nobody's.
    pub proxies: Option<RealIp>,
    /// `volatile`: the value is looked up each time it is asked for.
    pub volatile: bool,
    pub values: Vec<Box<[u8]>>,
    pub networks: Networks,
}

/// Networks, the innermost of which counts, as the places where another value begins. Values are indices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Vec<(u128, Option<u32>)>,
    v6: Vec<(u128, Option<u32>)>,
}

impl Networks {
    /// No network is in `networks` twice.
    pub fn new(networks: &[(Cidr, u32)]) -> Self {
        let of = |v4: bool, bits: u32| {
            let mut spans = Vec::new();
            for (network, value) in networks.iter().filter(|(n, _)| n.network.is_ipv4() == v4) {
                let first = number(network.network);
                let hosts = bits - u32::from(network.bits);
                let rest = if hosts == 128 { u128::MAX } else { (1 << hosts) - 1 };
                spans.push((first, first | rest, *value));
            }
            flat(spans)
        };
        Self { v4: of(true, 32), v6: of(false, 128) }
    }

    /// The value of the innermost network around an address. A v4 address mapped into v6 counts as v4.
    pub fn find(&self, ip: IpAddr) -> Option<u32> {
        let ip = ip.to_canonical();
        let starts = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        let after = starts.partition_point(|(start, _)| *start <= number(ip));
        after.checked_sub(1).and_then(|at| starts.get(at)?.1)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// Spans that lie inside each other or apart (first, last, value) as starts, in order.
fn flat(mut spans: Vec<(u128, u128, u32)>) -> Vec<(u128, Option<u32>)> {
    spans.sort_by_key(|&(first, last, _)| (first, std::cmp::Reverse(last)));
    let mut starts: Vec<(u128, Option<u32>)> = Vec::new();
    let mut begin = |at: u128, value: Option<u32>| match starts.last_mut() {
        Some(last) if last.0 == at => last.1 = value,
        Some(last) if last.1 == value => {}
        None if value.is_none() => {}
        _ => starts.push((at, value)),
    };
    let mut around: Vec<(u128, u32)> = Vec::new();
    for (first, last, value) in spans {
        while let Some(&(end, _)) = around.last().filter(|(end, _)| *end < first) {
            around.pop();
            begin(end + 1, around.last().map(|(_, value)| *value));
        }
        begin(first, Some(value));
        around.push((last, value));
    }
    while let Some((end, _)) = around.pop() {
        if let Some(next) = end.checked_add(1) {
            begin(next, around.last().map(|(_, value)| *value));
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::cidr;

    #[test]
    fn the_innermost_network_counts() {
        let texts = [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "10.255.0.0/16",
            "255.255.255.254/31",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/32",
            "ffff::/16",
            "10.1.2.0/24",
            "11.0.0.0/8",
        ];
        let networks: Vec<_> =
            texts.iter().zip(0..).map(|(t, i)| (cidr(t.as_bytes()).expect("a network"), i)).collect();
        for (skip, left_out) in texts.iter().enumerate() {
            let some: Vec<_> = networks.iter().filter(|(_, i)| *i as usize != skip).copied().collect();
            let found = Networks::new(&some);
            for ip in [
                "9.255.255.255",
                "10.0.0.0",
                "10.1.0.0",
                "10.1.2.2",
                "10.1.2.3",
                "10.1.2.4",
                "10.1.255.255",
                "10.2.0.0",
                "10.255.1.1",
                "11.0.0.0",
                "12.0.0.0",
                "255.255.255.255",
                "255.255.255.254",
                "::1",
                "2001:db8::1",
                "2001:db9::",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "::ffff:10.1.2.3",
            ] {
                let ip: IpAddr = ip.parse().expect("an address");
                let around = some.iter().filter(|(n, _)| n.contains(ip));
                let innermost = around.max_by_key(|(n, _)| n.bits).map(|(_, i)| *i);
                assert_eq!(found.find(ip), innermost, "{ip} without {left_out}");
            }
        }
    }
}
