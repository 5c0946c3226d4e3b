//! Where a request goes: an upstream, or an address that variables made.

use std::path::PathBuf;

use super::target::UriPart;
use crate::balance::{self, NoPeer, Outcome, Selection};
use crate::plan::{Peer, PeerAddr, PeerId, Plan, Proxy, ProxyTo, UpstreamId};
use crate::values::{self, Host};
use crate::vars::{self, Source};

/// What `proxy_pass` means for a request.
#[derive(Debug)]
pub(super) enum Destination {
    Upstream(UpstreamId),
    /// An address, and its name as nginx prints it.
    Address(PeerAddr, Box<str>),
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
) -> Result<(Destination, Uri), NoDestination> {
    let mut uri = Uri::default();
    if let Some(template) = &proxy.uri {
        uri.whole = template.as_text().is_none();
        vars::eval(template, source, &mut uri.text);
    }
    let template = match &proxy.to {
        ProxyTo::Upstream(id) => return Ok((Destination::Upstream(*id), uri)),
        ProxyTo::Variable(template) => template,
    };
    // Once a variable is in it, nothing of `proxy_pass` stands for a location's prefix any more.
    uri.whole = true;
    let given = vars::eval_to_vec(template, source);
    let text = match given.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"http://") => &given[7..],
        _ => &given[..],
    };
    let shown = || String::from_utf8_lossy(text).into_owned();
    let address = values::url(text)
        .map_err(|e| NoDestination { text: format!("{e} in upstream \"{}\"", shown()), status: 500 })?;
    if !address.uri.is_empty() {
        let slash: &[u8] = if address.uri.starts_with(b"?") { b"/" } else { b"" };
        uri.text.splice(0..0, [slash, address.uri].concat());
    }
    let known = plan.upstreams.iter().position(|u| {
        !u.implicit && address.port.is_none() && u.name.as_bytes().eq_ignore_ascii_case(address.host_text)
    });
    if let Some(ix) = known.and_then(|ix| u32::try_from(ix).ok()) {
        return Ok((Destination::Upstream(UpstreamId(ix)), uri));
    }
    match (address.host, address.socket_addr(80)) {
        (_, Some(addr)) => Ok((Destination::Address(PeerAddr::Inet(addr), addr.to_string().into()), uri)),
        (Host::Unix(path), _) => {
            let text = String::from_utf8_lossy(path);
            let name = format!("unix:{text}").into();
            Ok((Destination::Address(PeerAddr::Unix(PathBuf::from(text.into_owned())), name), uri))
        }
        (Host::Name(name), _) => Err(NoDestination {
            text: format!("no resolver defined to resolve {}", String::from_utf8_lossy(name)),
            status: 502,
        }),
        (Host::Ip(_), None) => {
            Err(NoDestination { text: format!("no host in upstream \"{}\"", shown()), status: 500 })
        }
    }
}

/// The peers of a destination, one after the other.
#[derive(Debug)]
pub(super) enum Choice<'s> {
    Balanced(Selection<'s>),
    /// One address, tried once.
    Single {
        tries: u32,
    },
}

impl<'s> Choice<'s> {
    pub(super) fn balanced(
        of: (&'s balance::Shared, &'s balance::Local),
        request: &balance::Request<'_>,
    ) -> Self {
        Self::Balanced(Selection::start(of.0, of.1, request))
    }

    pub(super) fn next(&mut self, now: i64) -> Result<Option<PeerId>, NoPeer> {
        match self {
            Self::Balanced(s) => s.next(now).map(Some),
            Self::Single { .. } => Ok(None),
        }
    }

    /// Attempts left, the one at hand included until `finish`.
    pub(super) fn tries(&self) -> u32 {
        match self {
            Self::Balanced(s) => s.tries(),
            Self::Single { tries } => *tries,
        }
    }

    /// `true`: the peer is left alone from now on.
    pub(super) fn finish(&mut self, outcome: Outcome, now: i64) -> bool {
        match self {
            Self::Balanced(s) => s.finish(outcome, now),
            Self::Single { tries } => {
                *tries = 0;
                false
            }
        }
    }
}

/// The peer of an upstream; ids come from the upstream itself.
pub(super) fn peer(plan: &Plan, upstream: UpstreamId, peer: PeerId) -> Option<&Peer> {
    plan.upstreams.get(upstream.ix())?.peers.get(peer.ix())
}
