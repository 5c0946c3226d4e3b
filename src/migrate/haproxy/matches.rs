//! Texts and networks as regular expressions.

/// How a text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Exact,
    Begins,
    Ends,
    Contains,
    /// Between slashes.
    Folder,
    /// Between dots.
    Domain,
    Regex,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) kind: Kind,
    pub(super) value: String,
    pub(super) nocase: bool,
}

/// A text as a regular expression that matches it alone.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\.+*?()[]{}|^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl Match {
    /// The regular expression of a path that its query follows.
    pub(super) fn raw_path(&self) -> Option<String> {
        let text = escape(&self.value);
        Some(match self.kind {
            Kind::Exact => format!(r"^{text}(\?|$)"),
            Kind::Begins => format!("^{text}"),
            Kind::Ends => format!(r"^[^?]*{text}(\?|$)"),
            Kind::Contains => format!("^[^?]*{text}"),
            Kind::Folder => format!(r"^([^?]*/)?{}([/?]|$)", escape(self.value.trim_matches('/'))),
            Kind::Domain => format!(r"^([^?]*[./])?{}([./?]|$)", escape(self.value.trim_matches('.'))),
            Kind::Regex => return None,
        })
    }

    /// The regular expression of the match.
    pub(super) fn regex(&self) -> String {
        let text = escape(&self.value);
        match self.kind {
            Kind::Exact => format!("^{text}$"),
            Kind::Begins => format!("^{text}"),
            Kind::Ends => format!("{text}$"),
            Kind::Contains => text,
            Kind::Folder => format!("(^|/){}(/|$)", escape(self.value.trim_matches('/'))),
            Kind::Domain => format!("(^|\\.){}(\\.|$)", escape(self.value.trim_matches('.'))),
            Kind::Regex => self.value.clone(),
        }
    }

    /// Whether a host of which the name is known matches; `None`: only a regular expression knows.
    pub(super) fn takes(&self, host: &str) -> Option<bool> {
        Some(match self.kind {
            Kind::Exact => host == self.value,
            Kind::Begins => host.starts_with(&self.value),
            Kind::Ends => host.ends_with(&self.value),
            Kind::Contains => host.contains(&self.value),
            Kind::Domain => {
                let value = self.value.trim_matches('.');
                format!(".{host}.").contains(&format!(".{value}."))
            }
            Kind::Folder => host == self.value,
            Kind::Regex => return None,
        })
    }
}

/// A network of IPv4, or an address of IPv6, as the key of a map that takes its addresses.
pub(super) fn network(text: &str) -> Option<String> {
    if text.contains(':') {
        return network_v6(text);
    }
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => {
            let mask = || {
                let mask = u32::from(bits.parse::<std::net::Ipv4Addr>().ok()?);
                (mask.leading_ones() + mask.trailing_zeros() == 32).then_some(mask.leading_ones())
            };
            (address, bits.parse::<u32>().ok().filter(|b| *b <= 32).or_else(mask)?)
        }
        None => (text, 32),
    };
    let octets = address.parse::<std::net::Ipv4Addr>().ok()?.octets();
    if bits == 32 {
        // A text, which a map finds without going through the others.
        return Some(address.to_owned());
    }
    let mut out = String::from("~^");
    for (i, octet) in octets.iter().enumerate() {
        let left = bits.saturating_sub(8 * u32::try_from(i).ok()?).min(8);
        if i > 0 && left > 0 {
            out.push_str(r"\.");
        }
        match left {
            0 => break,
            8 => out.push_str(&octet.to_string()),
            n => {
                let span = 1u16 << (8 - n);
                let first = u16::from(*octet) / span * span;
                let all: Vec<String> = (first..first + span).map(|o| o.to_string()).collect();
                out.push_str(&format!("({})", all.join("|")));
            }
        }
    }
    // The last octet that counts is whole.
    out.push_str(if bits > 24 {
        "$"
    } else if bits > 0 {
        r"\."
    } else {
        "."
    });
    Some(out)
}

/// The same of IPv6, where the text of every address in the network begins alike.
fn network_v6(text: &str) -> Option<String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, bits.parse::<usize>().ok().filter(|b| *b <= 128)?),
        None => (text, 128),
    };
    let address: std::net::Ipv6Addr = address.parse().ok()?;
    if bits == 128 {
        return Some(address.to_string());
    }
    let mut out = String::from("~*^");
    let (whole, rest) = (bits / 16, bits % 16);
    for (i, group) in address.segments().into_iter().enumerate() {
        match i.cmp(&whole) {
            // Zeros may be written or left out.
            std::cmp::Ordering::Less if group == 0 => return None,
            std::cmp::Ordering::Less => out.push_str(&format!("{group:x}:")),
            std::cmp::Ordering::Equal if rest > 0 => {
                if group >> 12 == 0 {
                    return None;
                }
                for digit in 0..4 {
                    let value = group >> (12 - 4 * digit) & 15;
                    match rest.saturating_sub(4 * digit).min(4) {
                        0 => out.push_str("[0-9a-f]"),
                        4 => out.push_str(&format!("{value:x}")),
                        some => {
                            let span = 1u16 << (4 - some);
                            let first = value / span * span;
                            let all: String = (first..first + span).map(|d| format!("{d:x}")).collect();
                            out.push_str(&format!("[{all}]"));
                        }
                    }
                }
                out.push(':');
            }
            _ => break,
        }
    }
    if bits == 0 {
        out.push_str("[^.]*:");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn networks_are_the_addresses_in_them() {
        for (net, regex) in [
            ("10.0.0.0/8", r"~^10\."),
            ("192.168.1.7", "192.168.1.7"),
            ("172.16.0.0/15", r"~^172\.(16|17)\."),
            ("172.16.0.0/255.254.0.0", r"~^172\.(16|17)\."),
            ("10.1.2.252/30", r"~^10\.1\.2\.(252|253|254|255)$"),
            ("0.0.0.0/0", "~^."),
            ("::1", "::1"),
        ] {
            assert_eq!(network(net).as_deref(), Some(regex), "{net}");
        }
        assert_eq!(network("10.0.0.0/33"), None);
        for (net, regex) in [
            ("fc00::/7", "~*^f[cd][0-9a-f][0-9a-f]:"),
            ("fe80::/10", "~*^fe[89ab][0-9a-f]:"),
            ("2001:db8::/32", "~*^2001:db8:"),
            ("2001:db8:a:b::/64", "~*^2001:db8:a:b:"),
            ("::/0", "~*^[^.]*:"),
        ] {
            assert_eq!(network(net).as_deref(), Some(regex), "{net}");
        }
        // Whether the zeros are written depends on the rest.
        assert_eq!(network("2001:db8:0:1::/64"), None);
        assert_eq!(network("2001:db8::/29"), None);
        assert_eq!(network("10.0.0.0/255.0.255.0"), None);
    }
}
