//! `store=` of `sticky learn`: where several machines keep what they have learned.
//!
//! `SCHEME://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/DATABASE]`; the scheme is `redis` or `valkey`, with an `s`
//! behind it for TLS, and with `+cluster` behind that for a cluster, of which the hosts are some nodes. Without: one
//! host. `redis+unix://[USER[:PASSWORD]@]/PATH` is a socket on this machine. `%XX` in user and password is one byte
//! (RFC 3986, section 2.1).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::plan::{LearnStore, Secret, StoreFile, StoreNode, StoreTls};
use crate::values::{self, Host};

/// The port of Redis and Valkey.
const PORT: u16 = 6379;

/// The parameters as they are read: which argument, and what it says.
#[derive(Default)]
pub(super) struct Words {
    store: Option<(usize, LearnStore)>,
    timeout: Option<(usize, Duration)>,
    password: Option<(usize, PathBuf)>,
    ca: Option<(usize, PathBuf)>,
    certificate: Option<(usize, PathBuf)>,
    key: Option<(usize, PathBuf)>,
}

impl Words {
    /// Takes one of the parameters; `None`: it is none of them. No error shows the URL, which may have a password.
    pub(super) fn take(&mut self, i: usize, name: &[u8], value: &[u8]) -> Option<Result<(), String>> {
        let file = match name {
            b"store=" => {
                if self.store.is_some() {
                    return Some(Err("duplicate store".to_owned()));
                }
                let read = url(value).map(|store| self.store = Some((i, store)));
                return Some(read.map_err(|why| format!("invalid store: {why}")));
            }
            b"store_timeout=" => {
                if self.timeout.is_some() {
                    return Some(Err("duplicate store_timeout".to_owned()));
                }
                let Some(n) = values::msec(value).filter(|n| (1..=60_000).contains(n)) else {
                    return Some(Err("invalid store_timeout".to_owned()));
                };
                self.timeout = Some((i, Duration::from_millis(n)));
                return Some(Ok(()));
            }
            b"store_password_file=" => &mut self.password,
            b"store_ca=" => &mut self.ca,
            b"store_certificate=" => &mut self.certificate,
            b"store_certificate_key=" => &mut self.key,
            _ => return None,
        };
        let name = String::from_utf8_lossy(name.strip_suffix(b"=").unwrap_or(name)).into_owned();
        Some(match (&file, path(value)) {
            (Some(_), _) => Err(format!("duplicate {name}")),
            (None, None) => Err(format!("invalid {name}")),
            (None, Some(path)) => {
                *file = Some((i, path));
                Ok(())
            }
        })
    }

    /// What they make together; the error is of one argument.
    pub(super) fn finish(self) -> Result<Option<LearnStore>, (usize, String)> {
        let Some((_, mut store)) = self.store else {
            let companions = [
                (self.timeout.map(|t| t.0), "store_timeout"),
                (self.password.map(|f| f.0), "store_password_file"),
                (self.ca.map(|f| f.0), "store_ca"),
                (self.certificate.map(|f| f.0), "store_certificate"),
                (self.key.map(|f| f.0), "store_certificate_key"),
            ];
            let alone = companions.into_iter().find_map(|(i, name)| Some((i?, name)));
            return match alone {
                Some((i, name)) => Err((i, format!("\"{name}\" needs \"store\""))),
                None => Ok(None),
            };
        };
        if let Some((_, timeout)) = self.timeout {
            store.timeout = timeout;
        }
        if let Some((i, path)) = self.password {
            if store.password.is_some() {
                return Err((i, "the password is in \"store\" and in \"store_password_file\"".to_owned()));
            }
            store.password_file = Some(path);
        }
        let file = |path: PathBuf| StoreFile { path, text: Secret::default() };
        let tls = [(&self.ca, "store_ca"), (&self.certificate, "store_certificate")];
        for (given, name) in tls {
            if let (Some((i, _)), None) = (given, &store.tls) {
                return Err((*i, format!("\"{name}\" needs a \"store\" with TLS, \"rediss://\"")));
            }
        }
        let pair = match (self.certificate, self.key) {
            (Some((_, certificate)), Some((_, key))) => Some((file(certificate), file(key))),
            (None, None) => None,
            (Some((i, _)), None) => {
                return Err((i, "\"store_certificate\" needs \"store_certificate_key\"".to_owned()));
            }
            (None, Some((i, _))) => {
                return Err((i, "\"store_certificate_key\" needs \"store_certificate\"".to_owned()));
            }
        };
        if let Some(tls) = &mut store.tls {
            tls.ca = self.ca.map(|(_, path)| file(path));
            tls.certificate = pair;
        }
        Ok(Some(store))
    }
}

/// A path as written; `None`: there is none.
pub(super) fn path(value: &[u8]) -> Option<PathBuf> {
    let good = !value.is_empty() && !value.contains(&0);
    good.then(|| PathBuf::from(OsStr::from_bytes(value)))
}

fn url(text: &[u8]) -> Result<LearnStore, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let (scheme, rest) = text.split_once("://").ok_or("\"redis://HOST\" is expected")?;
    if rest.contains(['?', '#']) {
        return Err("a query or a fragment means nothing here");
    }
    let (scheme, form) = scheme.split_once('+').unwrap_or((scheme, ""));
    let tls = match scheme {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => return Err("the scheme is \"redis\" or \"rediss\", \"valkey\" or \"valkeys\""),
    };
    let (cluster, unix) = match form {
        "" => (false, false),
        "cluster" => (true, false),
        "unix" if !tls => (false, true),
        _ => return Err("after the scheme there is \"+cluster\" or \"+unix\""),
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |i| rest.split_at(i));
    let (auth, hosts) = authority.rsplit_once('@').map_or((None, authority), |(a, h)| (Some(a), h));
    let (user, password) = match auth.map(|a| a.split_once(':').unwrap_or((a, ""))) {
        None => (None, None),
        Some((user, password)) => (decoded(user)?, decoded(password)?),
    };
    let mut database = 0;
    let nodes = if unix {
        if !hosts.is_empty() || path.len() < 2 {
            return Err("\"redis+unix:///PATH\" is expected");
        }
        vec![StoreNode::Unix(path.into())]
    } else {
        database = match path.trim_start_matches('/') {
            "" => 0,
            number => number.parse::<u16>().map_err(|_| "the database is a number")?,
        };
        hosts.split(',').map(node).collect::<Result<Vec<_>, _>>()?
    };
    if cluster && database != 0 {
        return Err("a cluster has no databases");
    }
    if !cluster && nodes.len() > 1 {
        return Err("several hosts are those of a cluster, \"redis+cluster://\"");
    }
    Ok(LearnStore {
        nodes,
        cluster,
        tls: tls.then(StoreTls::default),
        user: user.map(Into::into),
        password: password.map(|p| Secret(p.into_bytes().into())),
        password_file: None,
        database,
        timeout: Duration::from_millis(50),
    })
}

/// `HOST[:PORT]`, an IPv6 address in brackets.
fn node(text: &str) -> Result<StoreNode, &'static str> {
    let address = values::server(text.as_bytes()).map_err(|_| "a host is not well formed")?;
    let host = match address.host {
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => String::from_utf8_lossy(name).into_owned(),
        Host::Unix(_) => return Err("a socket is \"redis+unix:///PATH\""),
    };
    Ok(StoreNode::Tcp { host: host.into(), port: address.port.unwrap_or(PORT) })
}

/// Text with `%XX`; `None`: it is empty.
fn decoded(text: &str) -> Result<Option<String>, &'static str> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        let value = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
        out.push(value.ok_or("a \"%\" is not followed by two hexadecimal digits")?);
        rest = after.get(2..).unwrap_or_default();
    }
    let out = String::from_utf8(out).map_err(|_| "user or password is not UTF-8")?;
    Ok(Some(out).filter(|o| !o.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LearnStore, &'static str> {
        url(text.as_bytes())
    }

    fn hosts(store: &LearnStore) -> Vec<String> {
        store.nodes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn urls_name_hosts_and_how_to_reach_them() {
        let plain = read("redis://cache.example").unwrap();
        assert_eq!(
            (hosts(&plain), plain.cluster, plain.tls.is_some()),
            (vec!["cache.example:6379".into()], false, false)
        );
        let whole = read("rediss://me:p%40ss%3a@[::1]:7000/3").unwrap();
        assert_eq!((hosts(&whole), whole.database), (vec!["[::1]:7000".into()], 3));
        assert_eq!(
            (whole.user.as_deref(), whole.password.clone()),
            (Some("me"), Some(Secret((*b"p@ss:").into())))
        );
        assert!(whole.tls.is_some());
        assert!(!format!("{whole:?}").contains("p@ss"), "a password is not shown");
        let cluster = read("valkey+cluster://:secret@10.0.0.1,10.0.0.2:7001").unwrap();
        assert_eq!(hosts(&cluster), ["10.0.0.1:6379", "10.0.0.2:7001"]);
        assert_eq!((cluster.user.is_none(), cluster.cluster), (true, true));
        let socket = read("redis+unix:///run/redis.sock").unwrap();
        assert_eq!(hosts(&socket), ["unix:/run/redis.sock"]);
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_it() {
        for text in [
            "redis:secret",
            "http://secret@h",
            "redis://",
            "redis://secret@",
            "redis://h:x",
            "redis://h/secret",
            "redis://a,b",
            "redis+cluster://a/1",
            "redis://h?secret",
            "rediss://h#insecure",
            "redis+ssh://secret@h",
            "redis://a:%zz@h",
            "redis+unix://secret@host/p",
            "redis+unix://",
            "rediss+unix:///p",
            "redis://h:70000",
        ] {
            let why = read(text).expect_err(text);
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
