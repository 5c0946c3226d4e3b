//! Where a request goes: an upstream, or an address that variables made.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::target::UriPart;
use crate::balance::{self, NoPeer, Outcome, Selection, Times, Verdict};
use crate::http::Attempt;
use crate::plan::{PeerAddr, PeerId, Plan, Proxy, ProxyTo, Upstream, UpstreamId};
use crate::rt::clock;
use crate::sticky::Own;
use crate::values::{self, Host};
use crate::vars::{self, Source};
use crate::zone::Slot;

/// What `proxy_pass` means for a request.
#[derive(Debug)]
pub(super) enum Destination {
    Upstream(UpstreamId),
    /// Addresses that are asked in turn, with their names as nginx prints them.
    Addresses(Vec<(PeerAddr, Box<str>)>),
    /// A host whose addresses the location's `resolver` knows, and the port.
    Name(Box<[u8]>, u16),
}

/// What `proxy_pass` says beside where it goes.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) uri: Uri,
    pub(super) https: bool,
    /// The host of a URL with variables.
    pub(super) host: Box<[u8]>,
}

impl Destination {
    /// None of an upstream, which has its own.
    pub(super) fn addresses(&self) -> &[(PeerAddr, Box<str>)] {
        match self {
            Self::Addresses(list) => list,
            Self::Upstream(_) | Self::Name(..) => &[],
        }
    }
}

/// The URI part that came with it.
#[derive(Debug, Default)]
pub(super) struct Uri {
    text: Vec<u8>,
    whole: bool,
}

impl Uri {
    pub(super) fn part(&self, replaces: usize) -> UriPart<'_> {
        match (self.whole, self.text.is_empty()) {
            (_, true) => UriPart::None,
            (true, _) => UriPart::Whole(&self.text),
            (false, _) => UriPart::Prefix(&self.text, replaces),
        }
    }
}

/// Why there is no destination: what is logged, and the status.
#[derive(Debug)]
pub(super) struct NoDestination {
    pub(super) text: String,
    pub(super) status: u16,
}

pub(super) fn find<S: Source>(
    proxy: &Proxy,
    plan: &Plan,
    source: &S,
) -> Result<(Destination, Said), NoDestination> {
    let mut said = Said { https: proxy.https, ..Said::default() };
    let uri = &mut said.uri;
    if let Some(template) = &proxy.uri {
        uri.whole = template.as_text().is_none();
        vars::eval(template, source, &mut uri.text);
    }
    let template = match &proxy.to {
        ProxyTo::Upstream(id) => return Ok((Destination::Upstream(*id), said)),
        ProxyTo::Variable(template) => template,
    };
    // Once a variable is in it, nothing of `proxy_pass` stands for a location's prefix any more.
    uri.whole = true;
    let given = vars::eval_to_vec(template, source);
    let refuse = |text: String| Err(NoDestination { text, status: 500 });
    let (default_port, text) = match values::http_url(&given) {
        Some((port, rest)) if !rest.is_empty() => (port, rest),
        _ => return refuse(format!("invalid URL prefix in \"{}\"", String::from_utf8_lossy(&given))),
    };
    let address = match values::url(text) {
        Ok(address) => address,
        Err(e) => return refuse(format!("{e} in upstream \"{}\"", String::from_utf8_lossy(text))),
    };
    if !address.uri.is_empty() {
        let slash: &[u8] = if address.uri.starts_with(b"?") { b"/" } else { b"" };
        uri.text.splice(0..0, [slash, address.uri].concat());
    }
    let port = address.port.unwrap_or(default_port);
    said.https = default_port == 443;
    said.host = address.host_text.into();
    let named = |u: &Upstream| {
        let same = if u.implicit { u.port == port } else { address.port.is_none() };
        same && u.name.as_bytes().eq_ignore_ascii_case(address.host_text)
    };
    if let Some(ix) = plan.upstreams.iter().position(named).and_then(|ix| u32::try_from(ix).ok()) {
        return Ok((Destination::Upstream(UpstreamId(ix)), said));
    }
    let one = |addr, name: String| Ok(Destination::Addresses(vec![(addr, name.into())]));
    let to = match address.host {
        Host::Ip(ip) => {
            let addr = SocketAddr::new(ip, port);
            one(PeerAddr::Inet(addr), addr.to_string())
        }
        Host::Unix(path) => {
            let text = String::from_utf8_lossy(path);
            one(PeerAddr::Unix(PathBuf::from(&*text)), format!("unix:{text}"))
        }
        Host::Name(name) => Ok(Destination::Name(name.into(), port)),
    };
    to.map(|to| (to, said))
}

/// The peers of a destination, one after the other.
#[derive(Debug)]
pub(super) enum Choice<'s> {
    Balanced(Selection<'s>),
    /// Addresses in their order, each once.
    Listed {
        /// How many there are.
        of: usize,
        next: usize,
        tries: u32,
    },
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Peer(PeerId),
    /// An address of the list.
    Nth(usize),
}

impl Turn {
    pub(super) fn peer(self) -> Option<PeerId> {
        match self {
            Self::Peer(id) => Some(id),
            Self::Nth(_) => None,
        }
    }
}

impl<'s> Choice<'s> {
    pub(super) fn balanced(
        of: (&'s balance::Shared, &'s balance::Local),
        request: &balance::Request<'_>,
    ) -> Self {
        Self::Balanced(Selection::start(of.0, of.1, request))
    }

    /// `max_tries` is `proxy_next_upstream_tries`; 0: every address.
    pub(super) fn listed(of: usize, max_tries: u32) -> Self {
        let all = u32::try_from(of).unwrap_or(u32::MAX);
        Self::Listed { of, next: 0, tries: if max_tries == 0 { all } else { all.min(max_tries) } }
    }

    pub(super) fn next(&mut self) -> Result<Turn, NoPeer> {
        match self {
            Self::Balanced(s) => s.next_at(now()).map(Turn::Peer),
            Self::Listed { of, next, .. } if *next < *of => {
                *next += 1;
                Ok(Turn::Nth(*next - 1))
            }
            Self::Listed { .. } => Err(NoPeer::NoLive),
        }
    }

    /// The slot of the peer at hand when it drains: who still comes is to be noted.
    pub(super) fn draining(&self) -> Option<&'s Slot> {
        match self {
            Self::Balanced(s) => s.draining(),
            Self::Listed { .. } => None,
        }
    }

    /// What the verdict on the session's own peer was.
    pub(super) fn own(&self) -> Own {
        let Self::Balanced(s) = self else { return Own::Open };
        match s.pin_verdict() {
            None | Some(Verdict::Usable) => Own::Open,
            Some(Verdict::Draining) => Own::Draining,
            Some(Verdict::Full) => Own::Full,
            Some(Verdict::Down | Verdict::Unhealthy | Verdict::Failed) => Own::Down,
        }
    }

    /// Attempts left, the one at hand included until `finish`.
    pub(super) fn tries(&self) -> u32 {
        match self {
            Self::Balanced(s) => s.tries(),
            Self::Listed { tries, .. } => *tries,
        }
    }

    /// The head of the answer is there, after so many milliseconds.
    pub(super) fn head(&mut self, took: u64) {
        if let Self::Balanced(s) = self {
            s.head(took);
        }
    }

    /// `true`: the peer is left alone from now on. `attempt` is the one that ends.
    pub(super) fn finish(&mut self, outcome: Outcome, attempt: Option<&Attempt>) -> bool {
        match self {
            Self::Balanced(s) => {
                let times =
                    attempt.and_then(|a| Some(Times { header: a.header_ms?, response: a.response_ms? }));
                s.finish_at(outcome, now(), times)
            }
            Self::Listed { of, tries, .. } => {
                *tries = if *of == 1 { 0 } else { tries.saturating_sub(1) };
                *of > 1 && outcome == Outcome::Failed
            }
        }
    }
}

fn now() -> i64 {
    i64::try_from(clock::unix_millis()).unwrap_or(i64::MAX)
}
