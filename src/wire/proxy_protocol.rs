//! The PROXY protocol: who a proxy in front speaks for, before the first byte of the client (versions 1 and 2 of HAProxy's
//! specification, as nginx takes them).

use std::net::IpAddr;

/// What a header says; the addresses as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied {
    pub client: Box<str>,
    pub client_port: u16,
    pub server: Box<str>,
    pub server_port: u16,
}

/// A header that cannot be read, in nginx's words.
pub type Broken = String;

/// The longest header that is waited for.
const MOST: usize = 4096;
/// The longest header of version 1.
const MOST_V1: usize = 107;
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads the header at the front of `input`: what it says, if it says anything, and its length. `Ok(None)`: more must be
/// read.
pub fn parse(input: &[u8]) -> Result<Option<(Option<Proxied>, usize)>, Broken> {
    let begins = |with: &[u8]| input.starts_with(with) || with.starts_with(input);
    if begins(V2) {
        if input.len() < 16 { Ok(None) } else { version2(input) }
    } else if begins(b"PROXY ") {
        version1(input)
    } else {
        Err(broken(input))
    }
}

fn broken(input: &[u8]) -> Broken {
    let line = input.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let shown = String::from_utf8_lossy(line.get(..MOST_V1).unwrap_or(line));
    format!("broken header: \"{shown}\"")
}

fn version1(input: &[u8]) -> Result<Option<(Option<Proxied>, usize)>, Broken> {
    let Some(end) = memchr::memchr(b'\n', input) else {
        return if input.len() < MOST_V1 { Ok(None) } else { Err(broken(input)) };
    };
    let line = input.get(..end).and_then(|l| l.strip_suffix(b"\r")).and_then(|l| l.strip_prefix(b"PROXY "));
    let Some(line) = line else { return Err(broken(input)) };
    if line.starts_with(b"UNKNOWN") {
        return Ok(Some((None, end + 1)));
    }
    let read = || {
        let text = std::str::from_utf8(line).ok()?;
        let rest = text.strip_prefix("TCP4 ").or_else(|| text.strip_prefix("TCP6 "))?;
        let mut words = rest.split(' ');
        let address = |word: &str| word.parse::<IpAddr>().is_ok().then(|| word.into());
        let (client, server) = (address(words.next()?)?, address(words.next()?)?);
        let (client_port, server_port) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().is_none().then_some(Proxied { client, client_port, server, server_port })
    };
    read().map(|said| Some((Some(said), end + 1))).ok_or_else(|| broken(input))
}

fn version2(input: &[u8]) -> Result<Option<(Option<Proxied>, usize)>, Broken> {
    let [kind, family, high, low] = *input.get(12..16).and_then(|b| b.first_chunk::<4>()).unwrap_or(&[0; 4]);
    if kind >> 4 != 2 {
        return Err(format!("unknown PROXY protocol version: {}", kind >> 4));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    let end = 16 + length;
    if end > MOST {
        return Err("header is too large".to_owned());
    }
    let Some(body) = input.get(16..end) else { return Ok(None) };
    // Another command than PROXY, and other things than streams, say nothing of who it is.
    if kind & 15 != 1 || family & 15 != 1 {
        return Ok(Some((None, end)));
    }
    let said = match family >> 4 {
        1 => addresses::<4>(body).ok_or("header is too small")?,
        2 => addresses::<16>(body).ok_or("header is too small")?,
        _ => return Ok(Some((None, end))),
    };
    Ok(Some((Some(said), end)))
}

/// Two addresses of `N` bytes, then two ports.
fn addresses<const N: usize>(body: &[u8]) -> Option<Proxied>
where
    IpAddr: From<[u8; N]>,
{
    let (client, rest) = body.split_first_chunk::<N>()?;
    let (server, rest) = rest.split_first_chunk::<N>()?;
    let (client_port, rest) = rest.split_first_chunk::<2>()?;
    let (server_port, _) = rest.split_first_chunk::<2>()?;
    let text = |bytes: &[u8; N]| IpAddr::from(*bytes).to_string().into();
    Some(Proxied {
        client: text(client),
        client_port: u16::from_be_bytes(*client_port),
        server: text(server),
        server_port: u16::from_be_bytes(*server_port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(client: &str, client_port: u16, server: &str, server_port: u16) -> Option<Proxied> {
        Some(Proxied { client: client.into(), client_port, server: server.into(), server_port })
    }

    #[test]
    fn both_versions_name_both_ends() {
        let text = b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\nGET";
        assert_eq!(parse(text), Ok(Some((said("192.0.2.1", 123, "192.0.2.2", 5678), text.len() - 3))));
        let six = b"PROXY TCP6 2001:DB8::1 2001:DB8::2 123 5678\r\n";
        assert_eq!(parse(six), Ok(Some((said("2001:DB8::1", 123, "2001:DB8::2", 5678), six.len()))));
        assert_eq!(parse(b"PROXY UNKNOWN 1 2 3\r\nx"), Ok(Some((None, 21))));
        let body = [&[192, 0, 2, 1, 192, 0, 2, 2, 0, 80, 1, 187][..], &[3, 0, 1, 9]].concat();
        let two = [V2, &[0x21, 0x11, 0, 16], &body].concat();
        assert_eq!(parse(&two), Ok(Some((said("192.0.2.1", 80, "192.0.2.2", 443), 32))));
        let local = [V2, &[0x20, 0, 0, 0]].concat();
        assert_eq!(parse(&local), Ok(Some((None, 16))));
        for whole in [&text[..41], &two] {
            (0..whole.len()).for_each(|n| assert_eq!(parse(&whole[..n]), Ok(None), "{n} bytes"));
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for text in [
            &b"GET / HTTP/1.0\r\n"[..],
            b"PROXY TCP4 192.0.2.1 192.0.2.2 123\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 123 70000\r\n",
            b"PROXY TCP5 192.0.2.1 192.0.2.2 123 5\r\n",
            b"PROXY TCP4 x y 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        ] {
            assert!(parse(text).is_err_and(|e| e.starts_with("broken header")), "{text:?}");
        }
        assert!(parse(&[b'P'; 200]).is_err());
        assert!(parse(&[&b"PROXY "[..], &[b'1'; 200]].concat()).is_err());
        assert!(parse(&[V2, &[0x31, 0x11, 0, 0]].concat()).is_err());
        assert!(parse(&[V2, &[0x21, 0x11, 0, 4, 1, 2, 3, 4]].concat()).is_err());
        assert!(parse(&[V2, &[0x21, 0x11, 0xff, 0xff]].concat()).is_err());
    }
}
