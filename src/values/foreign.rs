//! Values of other products' session cookies.

use std::net::{IpAddr, SocketAddr};

/// What F5's `BIGipServerPOOL` says for a server: `ADDRESS.PORT.0000` of IPv4, `viHEX.PORT` of IPv6, and the same in the
/// default route domain (`rd0o…`). (F5 K6917; the numbers are in the byte order of x86.)
pub fn f5_cookies(addr: SocketAddr) -> Vec<Box<[u8]>> {
    let (port, swapped) = (addr.port(), addr.port().swap_bytes());
    let hex = |ip: &[u8]| ip.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let texts = match addr.ip() {
        IpAddr::V4(ip) => {
            let number = u32::from_le_bytes(ip.octets());
            vec![
                format!("{number}.{swapped}.0000"),
                format!("rd0o00000000000000000000ffff{}o{port}", hex(&ip.octets())),
            ]
        }
        IpAddr::V6(ip) => {
            let ip = hex(&ip.octets());
            vec![format!("vi{ip}.{swapped}"), format!("rd0o{ip}o{port}")]
        }
    };
    texts.into_iter().map(|t| t.into_bytes().into()).collect()
}

/// HAProxy's date behind a `|`: five characters, the most significant first, of the seconds since 1970 in units of 4.
pub fn haproxy_date(text: &[u8]) -> Option<i64> {
    let [_, _, _, _, _] = text else { return None };
    let digit = |b: u8| {
        Some(match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    text.iter().try_fold(0, |n, b| Some(n << 6 | i64::from(digit(*b)?))).map(|n| n * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f5_s_numbers_are_those_of_its_article() {
        let text = |addr: &str| -> Vec<String> {
            let all = f5_cookies(addr.parse().unwrap());
            all.into_iter().map(|v| String::from_utf8(v.into()).unwrap()).collect()
        };
        assert_eq!(
            text("10.1.1.100:8080"),
            ["1677787402.36895.0000", "rd0o00000000000000000000ffff0a010164o8080"]
        );
        assert_eq!(
            text("[2001:112::30]:80"),
            ["vi20010112000000000000000000000030.20480", "rd0o20010112000000000000000000000030o80"]
        );
    }

    #[test]
    fn haproxy_s_dates_count_in_fours() {
        // (1795252184 + 3) >> 2 in base 64, the most significant digit first, by Python.
        assert_eq!(haproxy_date(b"awFf2"), Some(1_795_252_184));
        assert_eq!(haproxy_date(b"AAAAA"), Some(0));
        assert_eq!(haproxy_date(b"aw-f2"), None);
        assert_eq!(haproxy_date(b"awFf"), None);
    }
}
