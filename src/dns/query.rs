//! One look-up from its queries to what they come to; no sockets here.

use std::fmt::Arguments;
use std::net::IpAddr;

use super::Code;
use super::message::{self, Bad, Kind, Server};

/// What a name was found to mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Not both empty.
    Addresses { v4: Vec<IpAddr>, v6: Vec<IpAddr> },
    /// Another name.
    Alias(Box<[u8]>),
    /// The servers of a service, of the lowest priority first; not empty.
    Servers(Vec<Server>),
}

/// What is to be done after a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The right one may still come.
    Wait,
    /// This part of the round is to be asked again over TCP.
    Tcp(usize),
    /// The meaning, and how many seconds it holds.
    Done(Result<(Meaning, u32), Code>),
}

/// The queries of one look-up: A and AAAA of a name, or SRV of a service.
#[derive(Debug)]
pub(super) struct Round {
    name: Box<[u8]>,
    parts: Vec<Part>,
    /// The first error, while another part is waited for.
    code: Option<u8>,
    ttl: Option<u32>,
    alias: Option<Box<[u8]>>,
}

#[derive(Debug)]
struct Part {
    kind: Kind,
    id: u16,
    query: Vec<u8>,
    tcp: bool,
    /// `None`: no answer yet.
    found: Option<Vec<IpAddr>>,
}

impl Round {
    /// `name` is in lower case; `id` gives a random number. `None`: nothing can have this name.
    pub(super) fn new(name: &[u8], kinds: &[Kind], mut id: impl FnMut() -> u16) -> Option<Self> {
        let part = |&kind: &Kind| {
            let id = id();
            let query = message::query(id, name, kind)?;
            Some(Part { kind, id, query, tcp: false, found: None })
        };
        let parts = kinds.iter().map(part).collect::<Option<_>>()?;
        Some(Self { name: name.into(), parts, code: None, ttl: None, alias: None })
    }

    /// What is still to be asked: the part, its bytes, and whether over TCP.
    pub(super) fn open(&self) -> impl Iterator<Item = (usize, &[u8], bool)> {
        let open = |(i, p): (usize, &Part)| p.found.is_none().then_some(i);
        self.parts.iter().enumerate().filter_map(open).filter_map(|i| self.query(i))
    }

    pub(super) fn query(&self, part: usize) -> Option<(usize, &[u8], bool)> {
        self.parts.get(part).map(|p| (part, &p.query[..], p.tcp))
    }

    /// A response. What is wrong with it is given to `say`, and it is as if it had not come.
    pub(super) fn take(&mut self, bytes: &[u8], tcp: bool, mut say: impl FnMut(Arguments<'_>)) -> Next {
        let name = String::from_utf8_lossy(&self.name).into_owned();
        let head = match message::head(bytes, tcp) {
            Ok(head) => head,
            Err(bad @ Bad::Code { id, code: 1 }) if self.parts.iter().any(|p| p.id == id) => {
                say(format_args!("{bad}, name:\"{name}\""));
                return Next::Wait;
            }
            Err(bad) => {
                say(format_args!("{bad}"));
                return Next::Wait;
            }
        };
        let found = self.parts.iter().position(|p| p.kind == head.kind && p.found.is_none());
        let Some((ix, part)) =
            found.filter(|_| head.name == self.name).and_then(|ix| Some((ix, self.parts.get_mut(ix)?)))
        else {
            let theirs = String::from_utf8_lossy(&head.name);
            say(format_args!("unexpected DNS response for {theirs}"));
            return Next::Wait;
        };
        if head.truncated && part.tcp {
            return Next::Wait;
        }
        if head.id != part.id {
            let (theirs, ours) = (head.id, part.id);
            say(format_args!("wrong ident {theirs} in DNS response for {name}, expect {ours}"));
            return Next::Wait;
        }
        if head.truncated {
            part.tcp = true;
            return Next::Tcp(ix);
        }
        let code = if head.code == 0 { self.code.unwrap_or(0) } else { head.code };
        if code != 0 {
            part.found = Some(Vec::new());
            self.code = Some(code);
            return if self.complete() { Next::Done(Err(Code::Rcode(code))) } else { Next::Wait };
        }
        let records = match message::records(bytes, &head) {
            Ok(records) => records,
            Err(bad) => {
                say(format_args!("{bad}"));
                return Next::Wait;
            }
        };
        for odd in &records.odd {
            say(format_args!("unexpected RR type {odd} in DNS response"));
        }
        self.ttl = match (self.ttl, records.ttl) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let nothing = records.addrs.is_empty() && records.services.is_empty() && records.cname.is_none();
        if nothing && records.count > 0 {
            let kinds = if head.kind == Kind::Srv { "SRV type" } else { "A or CNAME types" };
            say(format_args!("no {kinds} in DNS response"));
        }
        part.found = Some(records.addrs);
        self.alias = records.cname.or(self.alias.take());
        if !records.services.is_empty() {
            let mut servers = records.services;
            servers.sort_by_key(|s| s.priority);
            return Next::Done(Ok((Meaning::Servers(servers), self.ttl.unwrap_or(0))));
        }
        if self.complete() { Next::Done(self.result()) } else { Next::Wait }
    }

    fn complete(&self) -> bool {
        self.parts.iter().all(|p| p.found.is_some())
    }

    fn result(&mut self) -> Result<(Meaning, u32), Code> {
        let mut of = |kind| {
            let part = self.parts.iter_mut().find(|p| p.kind == kind);
            part.and_then(|p| p.found.take()).unwrap_or_default()
        };
        let (v4, v6) = (of(Kind::A), of(Kind::Aaaa));
        let meaning = match self.alias.take() {
            _ if !v4.is_empty() || !v6.is_empty() => Meaning::Addresses { v4, v6 },
            Some(alias) if !alias.is_empty() => Meaning::Alias(alias),
            _ => return Err(Code::NO_NAME),
        };
        Ok((meaning, self.ttl.unwrap_or(0)))
    }
}
