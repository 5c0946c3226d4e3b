//! What was tried upstream for a request: the source of `$upstream_*`.

use crate::plan::{PeerId, Plan, UpstreamId};

/// Who an attempt was made with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AttemptAddr {
    /// The start of another `proxy_pass` after an internal redirect: ` : ` in the lists.
    #[default]
    Another,
    Peer(UpstreamId, PeerId),
    /// No peer could be had: nginx shows the upstream's name.
    Upstream(UpstreamId),
    /// The address of a `proxy_pass` with variables.
    Text(Box<str>),
}

/// One attempt, or the mark between two groups of them. Times are milliseconds since the attempt began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    pub addr: AttemptAddr,
    /// 0: no answer (`-`).
    pub status: u16,
    pub connect_ms: Option<u64>,
    pub header_ms: Option<u64>,
    pub response_ms: Option<u64>,
    /// Bytes of body.
    pub response_length: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
}

impl AttemptAddr {
    pub fn text<'a>(&'a self, plan: &'a Plan) -> &'a str {
        match self {
            Self::Another => "",
            Self::Peer(u, p) => {
                plan.upstreams.get(u.ix()).and_then(|u| u.peers.get(p.ix())).map_or("", |p| &p.name)
            }
            Self::Upstream(u) => plan.upstreams.get(u.ix()).map_or("", |u| &u.name),
            Self::Text(t) => t,
        }
    }
}

/// Appends one value an attempt, joined as nginx does: `, ` between attempts, ` : ` where a redirect began another
/// group. `false`: there was no attempt.
pub fn join(attempts: &[Attempt], out: &mut Vec<u8>, mut each: impl FnMut(&Attempt, &mut Vec<u8>)) -> bool {
    if attempts.is_empty() {
        return false;
    }
    let mut separator: &[u8] = b"";
    for attempt in attempts {
        if attempt.addr == AttemptAddr::Another {
            separator = b" : ";
            continue;
        }
        out.extend_from_slice(separator);
        each(attempt, out);
        separator = b", ";
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_attempts_are_told_apart() {
        let plan = Plan::default();
        let one =
            |t: &str, status| Attempt { addr: AttemptAddr::Text(t.into()), status, ..Attempt::default() };
        let all = [one("a", 502), one("b", 200), Attempt::default(), one("c", 0)];
        let mut out = Vec::new();
        assert!(join(&all, &mut out, |a, out| out.extend_from_slice(a.addr.text(&plan).as_bytes())));
        assert_eq!(out, b"a, b : c");
        assert!(!join(&[], &mut out, |_, _| ()));
    }
}
