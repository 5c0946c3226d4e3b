//! The client's address as a trusted proxy gives it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{Event, Request};
use crate::plan::{RealIp, RealIpField, Who};

/// Takes the client's address from the field that the request's location names, once a request, when the one who is
/// connected is trusted. The connection's own is put back by [`Request::reset`].
pub(super) fn apply(req: &mut Request) {
    let Some(rules) = &req.location().real_ip else { return };
    if req.conn.connected.is_some() {
        return;
    }
    let mut values = req.head.iter().filter(|(name, ..)| match &rules.field {
        RealIpField::Forwarded => name.eq_ignore_ascii_case(b"x-forwarded-for"),
        RealIpField::Named(wanted) => name.eq_ignore_ascii_case(wanted),
        RealIpField::ProxyProtocol => false,
    });
    let found = match rules.field {
        RealIpField::Forwarded => {
            let lines: smallvec::SmallVec<[&[u8]; 4]> = values.map(|(_, value, _)| value).collect();
            forwarded(req.conn.client, rules, lines.iter().rev().copied())
        }
        // The header of the connection says it for all its requests.
        RealIpField::ProxyProtocol => {
            let said = req.conn.proxied.as_deref();
            let line = said.map(|p| p.client.as_bytes());
            forwarded(req.conn.client, rules, line.into_iter())
                .zip(said)
                .map(|(addr, p)| SocketAddr::new(addr.ip(), p.client_port))
        }
        RealIpField::Named(_) => {
            forwarded(req.conn.client, rules, values.next().map(|(_, value, _)| value).into_iter())
        }
    };
    if let Some(client) = found {
        let text = client.ip().to_string().into();
        req.note(|| Event::Client { was: req.conn.client, is: client });
        let before = std::mem::replace(&mut req.conn.client_text, text);
        req.conn.connected = Some((req.conn.client.replace(client), before));
    }
}

/// Whether the one who is connected is a proxy that the request's location trusts.
pub(super) fn by_proxy(req: &Request) -> bool {
    let Some(rules) = &req.location().real_ip else { return false };
    let connected = req.conn.connected.as_ref().map_or(req.conn.client, |(client, _)| *client);
    trusted(connected, &rules.from)
}

/// Whether a trusted proxy says that its client came by TLS. Of several values the last is the one that the proxy
/// wrote itself.
pub(super) fn says_tls(req: &Request) -> bool {
    if req.location().real_ip.is_none() {
        return false;
    }
    let fields = req.head.iter().filter(|(name, ..)| name.eq_ignore_ascii_case(b"x-forwarded-proto"));
    let Some((_, value, _)) = fields.last() else { return false };
    let last = value.rsplit(|b| *b == b',').next().unwrap_or_default();
    last.trim_ascii().eq_ignore_ascii_case(b"https") && by_proxy(req)
}

/// The client that `X-Forwarded-For` names when `client` is trusted.
pub(super) fn told(req: &Request, client: SocketAddr, rules: &RealIp) -> Option<SocketAddr> {
    let fields = req.head.iter().filter(|(name, ..)| name.eq_ignore_ascii_case(b"x-forwarded-for"));
    let lines: smallvec::SmallVec<[&[u8]; 4]> = fields.map(|(_, value, _)| value).collect();
    forwarded(Some(client), rules, lines.iter().rev().copied())
}

/// Goes back from the one who is connected, as long as each is trusted; `lines` are the field's, the last first.
fn forwarded<'a>(
    client: Option<SocketAddr>,
    rules: &RealIp,
    lines: impl Iterator<Item = &'a [u8]>,
) -> Option<SocketAddr> {
    let (mut current, mut found) = (client, None);
    'lines: for line in lines {
        let mut rest = line;
        loop {
            if !trusted(current, &rules.from) {
                break 'lines;
            }
            while let [shorter @ .., b' ' | b','] = rest {
                rest = shorter;
            }
            let start = rest.iter().rposition(|b| matches!(b, b' ' | b',')).map_or(0, |i| i + 1);
            let Some(addr) = address(&rest[start..]) else { break 'lines };
            (current, found) = (Some(addr), Some(addr));
            if !rules.recursive {
                break 'lines;
            }
            if start == 0 {
                break;
            }
            rest = &rest[..start - 1];
        }
    }
    found
}

fn trusted(client: Option<SocketAddr>, from: &[Who]) -> bool {
    from.iter().any(|who| match (who, client) {
        (Who::Unix, None) => true,
        (Who::Network(network), Some(addr)) => network.contains(addr.ip()),
        _ => false,
    })
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`; without a port it is 0.
fn address(text: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, 0));
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    match bare {
        Some(ip) => ip.parse::<Ipv6Addr>().ok().map(|ip| SocketAddr::new(ip.into(), 0)),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(client: &str, from: &[&str], recursive: bool, lines: &[&str]) -> Option<String> {
        let from = from.iter().map(|t| Who::Network(crate::values::cidr(t.as_bytes()).unwrap())).collect();
        let rules = RealIp { from, field: RealIpField::Forwarded, recursive };
        let client = Some(SocketAddr::new(client.parse().unwrap(), 1));
        forwarded(client, &rules, lines.iter().rev().map(|l| l.as_bytes())).map(|a| a.to_string())
    }

    #[test]
    fn the_last_address_counts_and_only_from_those_who_are_trusted() {
        let some = |t: &str| Some(t.to_owned());
        assert_eq!(last("127.0.0.1", &["127.0.0.1"], false, &["1.1.1.1, 2.2.2.2 ,"]), some("2.2.2.2:0"));
        assert_eq!(last("127.0.0.2", &["127.0.0.1"], false, &["1.1.1.1"]), None);
        assert_eq!(last("127.0.0.1", &["127.0.0.1"], false, &["1.1.1.1", "3.3.3.3:7"]), some("3.3.3.3:7"));
        assert_eq!(last("127.0.0.1", &["127.0.0.1"], false, &["junk"]), None);
        assert_eq!(last("127.0.0.1", &["127.0.0.1"], false, &["[::1]:9"]), some("[::1]:9"));
    }

    #[test]
    fn recursion_stops_at_the_first_who_is_not_trusted() {
        let some = |t: &str| Some(t.to_owned());
        let from = &["127.0.0.1", "10.0.0.0/8"];
        assert_eq!(last("127.0.0.1", from, true, &["1.1.1.1, 2.2.2.2, 10.1.1.1"]), some("2.2.2.2:0"));
        assert_eq!(last("127.0.0.1", from, true, &["1.1.1.1", "10.2.2.2, 10.1.1.1"]), some("1.1.1.1:0"));
        assert_eq!(last("127.0.0.1", from, true, &["junk, 10.1.1.1"]), some("10.1.1.1:0"));
        assert_eq!(last("127.0.0.1", from, true, &["10.3.3.3"]), some("10.3.3.3:0"));
    }
}
