//! `resolvers`: who is asked what names mean, and the servers that are looked up while they are asked.

use std::net::SocketAddr;

use super::super::model::Line as Out;
use super::account::Account;
use super::read::{Line, Section};
use super::values;

/// A section `resolvers`.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolver {
    name: String,
    addresses: Vec<String>,
    /// Milliseconds.
    valid: Option<u64>,
    timeout: Option<u64>,
    head: Option<Line>,
}

pub(super) fn read(sections: &[Section], account: &Account) -> Vec<Resolver> {
    sections.iter().filter(|s| s.kind == "resolvers").map(|s| one(s, account)).collect()
}

fn one(section: &Section, account: &Account) -> Resolver {
    let head = section.head.clone();
    let mut out = Resolver { name: section.name.clone(), head, ..Resolver::default() };
    for line in &section.lines {
        let time = || values::time(line.word(2), 1).filter(|ms| *ms > 0 && *ms < 1 << 31);
        match (line.word(0), line.word(1)) {
            ("nameserver", _) => match nameserver(line.word(2)) {
                Some(address) => {
                    out.addresses.push(address);
                    account.exact(line, "");
                }
                None => account.dropped(line, "an address is expected"),
            },
            ("hold", "valid") if time().is_some_and(|ms| ms >= 1000) => {
                out.valid = time();
                account.exact(line, "");
            }
            ("hold", _) => {
                account.approximated(line, "what is known stays until a name server says otherwise")
            }
            ("timeout", "resolve" | "retry") => {
                out.timeout = out.timeout.max(time());
                account.approximated(line, "one time for a question and its repetitions");
            }
            ("resolve_retries" | "accepted_payload_size", _) => {
                account.approximated(line, "as nginx asks: every few seconds until resolver_timeout");
            }
            ("parse-resolv-conf", _) => {
                account
                    .dropped(line, "the converter does not look into the machine: say \"resolver ADDRESS\"");
            }
            _ => {}
        }
    }
    if let Some(head) = &out.head {
        if out.addresses.is_empty() {
            account.approximated(head, "no address is said: names are looked up once, when tenrec starts");
        } else {
            account.exact(head, "");
        }
    }
    out
}

fn nameserver(text: &str) -> Option<String> {
    let text = text.strip_prefix("udp@").or_else(|| text.strip_prefix("tcp@")).unwrap_or(text);
    let text = text.strip_prefix("ipv4@").or_else(|| text.strip_prefix("ipv6@")).unwrap_or(text);
    let address: SocketAddr = match text.parse() {
        Ok(address) => address,
        Err(_) => SocketAddr::new(text.parse().ok()?, 53),
    };
    Some(if address.port() == 53 {
        let text = address.to_string();
        text.strip_suffix(":53").unwrap_or(&text).to_owned()
    } else {
        address.to_string()
    })
}

/// The lines of an upstream whose servers are looked up by the resolvers of a name; `None`: nobody is known to ask.
pub(super) fn lines(all: &[Resolver], name: &str) -> Option<Vec<Out>> {
    let resolver = all.iter().find(|r| r.name == name).filter(|r| !r.addresses.is_empty())?;
    let cite = resolver.head.as_ref().map(|h| h.place);
    let words = ["resolver".to_owned()].into_iter().chain(resolver.addresses.iter().cloned());
    let valid = resolver.valid.map(|ms| format!("valid={}", values::shown(ms)));
    let mut out = vec![Out::new(cite, words.chain(valid))];
    out.extend(resolver.timeout.map(|ms| Out::new(cite, ["resolver_timeout".to_owned(), values::shown(ms)])));
    Some(out)
}

/// The name and the service of `_SERVICE._PROTOCOL.NAME`.
pub(super) fn service(text: &str) -> Option<(&str, &str)> {
    let labels = text.strip_prefix('_')?;
    let (_, rest) = labels.split_once("._")?;
    let (_, host) = rest.split_once('.')?;
    let service = text.get(..text.len() - host.len() - 1)?;
    (!host.is_empty() && !host.contains(':')).then_some((host, service))
}

#[cfg(test)]
mod tests {
    use super::{nameserver, service};

    #[test]
    fn addresses_and_services_are_read() {
        assert_eq!(nameserver("10.0.0.2:53").as_deref(), Some("10.0.0.2"));
        assert_eq!(nameserver("udp@127.0.0.11:5353").as_deref(), Some("127.0.0.11:5353"));
        assert_eq!(nameserver("[2001:db8::1]:53").as_deref(), Some("[2001:db8::1]"));
        assert_eq!(nameserver("dns.example:53"), None);
        assert_eq!(service("_http._tcp.web.svc"), Some(("web.svc", "_http._tcp")));
        assert_eq!(service("_http.web"), None);
    }
}
