//! Server names: which server of an address a Host belongs to.

use std::collections::HashSet;

use super::Builder;
use crate::config::{ServerName, Step, show};
use crate::diag::Severity;
use crate::plan::{NameRouter, RegexId, ServerId};

/// A server's name with its regex compiled.
#[derive(Debug, Clone)]
pub enum Name {
    Text(Box<[u8]>),
    Regex(RegexId),
}

/// The names that one address has so far.
#[derive(Default)]
struct Taken {
    head: HashSet<Box<[u8]>>,
    tail: HashSet<Box<[u8]>>,
}

enum Refusal {
    Invalid,
    Busy,
}

impl Builder<'_> {
    /// Compiles the regexes of all `server_name`s, in the order of the file.
    pub fn names_of_servers(&mut self) {
        for server in &self.http.servers {
            for name in &server.names {
                if let ServerName::Regex(pattern) = name {
                    self.names.regex(pattern, self.found);
                }
            }
        }
    }

    fn server_names(&mut self, server: ServerId) -> Vec<Name> {
        let Some(settings) = self.http.servers.get(server.ix()) else { return Vec::new() };
        if settings.names.is_empty() {
            return vec![Name::Text(Box::default())];
        }
        let mut names = Vec::new();
        for name in &settings.names {
            match name {
                ServerName::Text(text) => names.push(Name::Text(text.clone())),
                ServerName::Regex(p) => names.extend(self.names.regex(p, self.found).map(Name::Regex)),
            }
        }
        names
    }

    /// The router of one address; `shown` is the address in messages. An address with one server needs none, unless
    /// that server's regex has something to capture.
    pub fn name_router(&mut self, servers: &[ServerId], shown: &str) -> NameRouter {
        let mut router = NameRouter::default();
        let mut taken = Taken::default();
        let lists: Vec<_> = servers.iter().map(|&s| (s, self.server_names(s))).collect();
        let captures = |id: &RegexId| self.names.regexes.get(id.ix()).is_some_and(|r| r.groups > 0);
        let capturing =
            lists.iter().flat_map(|(_, n)| n).any(|n| matches!(n, Name::Regex(id) if captures(id)));
        if servers.len() < 2 && !capturing {
            return router;
        }
        for (server, names) in lists {
            for name in names {
                let text = match name {
                    Name::Regex(id) => {
                        router.regexes.push((id, server));
                        continue;
                    }
                    Name::Text(text) => text,
                };
                let (severity, words) = match add(&mut router, &mut taken, &text, server) {
                    Ok(()) => continue,
                    Err(Refusal::Invalid) => (
                        Severity::Emerg,
                        format!("invalid server name or wildcard \"{}\" on {shown}", show(&text)),
                    ),
                    Err(Refusal::Busy) => (
                        Severity::Warn,
                        format!("conflicting server name \"{}\" on {shown}, ignored", show(&text)),
                    ),
                };
                self.found.late(self.http.close, Step::Names, severity, None, words);
            }
        }
        router.head.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        router.tail.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        router
    }
}

/// Adds a name: exact, `*.x`, `.x` or `x.*`.
fn add(router: &mut NameRouter, taken: &mut Taken, name: &[u8], server: ServerId) -> Result<(), Refusal> {
    let stars = name.iter().filter(|&&b| b == b'*').count();
    if stars > 1 || name.windows(2).any(|w| w == b"..") || name.contains(&0) {
        return Err(Refusal::Invalid);
    }
    if let Some(rest) = name.strip_prefix(b".").filter(|r| !r.is_empty()) {
        if router.exact.contains_key(rest) {
            return Err(Refusal::Busy);
        }
        router.exact.insert(rest.into(), server);
        return head(router, taken, rest, server);
    }
    if let Some(rest) = name.strip_prefix(b"*.").filter(|r| !r.is_empty()) {
        return head(router, taken, rest, server);
    }
    if let Some(rest) = name.strip_suffix(b".*").filter(|r| !r.is_empty()) {
        if !taken.tail.insert(rest.into()) {
            return Err(Refusal::Busy);
        }
        router.tail.push(([rest, b"."].concat().into(), server));
        return Ok(());
    }
    if stars > 0 {
        return Err(Refusal::Invalid);
    }
    if router.exact.contains_key(name) {
        return Err(Refusal::Busy);
    }
    router.exact.insert(name.into(), server);
    Ok(())
}

fn head(router: &mut NameRouter, taken: &mut Taken, rest: &[u8], server: ServerId) -> Result<(), Refusal> {
    if !taken.head.insert(rest.into()) {
        return Err(Refusal::Busy);
    }
    router.head.push(([b".", rest].concat().into(), server));
    Ok(())
}
