//! Which peers are checked, and where.

use std::net::SocketAddr;

use super::upstream::peer_name;
use crate::diag::{Diag, Diags, FileId, Severity};
use crate::plan::{Check, Checked, PeerAddr, PeerId, Upstream, UpstreamId};

/// Every peer that is checked: those of upstreams with a `check` that are not `down`. With `unique=true` one that is
/// asked the same question already is not asked twice. `close` is the `}` of `http`.
pub fn checked(upstreams: &[Upstream], close: Option<(FileId, u32)>, diags: &mut Diags) -> Vec<Checked> {
    let mut list: Vec<Checked> = Vec::new();
    for (u, upstream) in upstreams.iter().enumerate() {
        let Some(check) = &upstream.check else { continue };
        for (p, peer) in upstream.peers.iter().enumerate().filter(|(_, p)| !p.down) {
            let (u, p) = (UpstreamId(u as u32), PeerId(p as u32));
            let asked =
                list.iter().position(|c| check.unique && same_question(upstreams, c, check, &peer.addr));
            if let Some(asked) = asked {
                list[asked].also.push((u, p));
                continue;
            }
            let addr = match &peer.addr {
                PeerAddr::Inet(addr) if check.port != 0 => {
                    PeerAddr::Inet(SocketAddr::new(addr.ip(), check.port))
                }
                PeerAddr::Unix(_) if check.port != 0 => {
                    let (port, name) = (check.port, &upstream.name);
                    diags.push(Diag {
                        severity: Severity::Warn,
                        code: "suspicious",
                        message: format!(
                            "\"check\" ignores \"port={port}\" for peer \"{}\" in upstream \"{name}\", the peer has \
                             no port and is checked on its own address",
                            peer.name
                        ),
                        span: None,
                        at: close,
                        hint: None,
                    });
                    peer.addr.clone()
                }
                own => own.clone(),
            };
            list.push(Checked { upstream: u, peer: p, name: peer_name(&addr), addr, also: Vec::new() });
        }
    }
    list
}

fn same_question(upstreams: &[Upstream], asked: &Checked, check: &Check, addr: &PeerAddr) -> bool {
    let Some(upstream) = upstreams.get(asked.upstream.ix()) else { return false };
    let Some(other) = &upstream.check else { return false };
    upstream.peers.get(asked.peer.ix()).is_some_and(|p| p.addr == *addr)
        && (other.kind, &other.send, other.alive, other.drain)
            == (check.kind, &check.send, check.alive, check.drain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::upstream::{Source, upstream};
    use crate::diag::{SourceMap, render_nginx};
    use crate::plan::Template;
    use crate::source::Conf;
    use crate::syntax;

    /// `UPSTREAM/PEER at ADDRESS +SHARED` of a text's upstreams, and what is said.
    fn list(text: &str) -> (Vec<String>, Vec<String>) {
        let mut map = SourceMap::new();
        let file = map.add("f".to_owned(), text.as_bytes().into(), None);
        let mut diags = Diags::new();
        let tree = syntax::parse(&map, file, &mut diags);
        let conf = Conf { map, trees: vec![tree], roots: vec![file], ..Conf::default() };
        let blocks: Vec<_> = conf.main().map(|d| crate::config::upstream::read(d, &mut diags)).collect();
        let mut make = |_: Source<'_>| Template::default();
        let upstreams: Vec<_> = blocks.iter().map(|b| upstream(b, &mut diags, &mut make)).collect();
        let shown = checked(&upstreams, blocks.last().map(|b| b.at), &mut diags)
            .iter()
            .map(|c| {
                let u = &upstreams[c.upstream.ix()];
                format!("{}/{} at {} +{}", u.name, u.peers[c.peer.ix()].name, c.name, c.also.len())
            })
            .collect();
        (shown, diags.iter().map(|d| render_nginx(&conf.map, d)).collect())
    }

    #[test]
    fn peers_in_order_without_those_that_are_down() {
        let (shown, said) = list(
            "upstream a { server 127.0.0.1:1 backup; server 127.0.0.1:2; server 127.0.0.1:3 down; check port=9; }\n\
             upstream b { server 127.0.0.1:2; }\n\
             upstream c { server 127.0.0.1:2; check; }",
        );
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(
            shown,
            [
                "a/127.0.0.1:2 at 127.0.0.1:9 +0",
                "a/127.0.0.1:1 at 127.0.0.1:9 +0",
                "c/127.0.0.1:2 at 127.0.0.1:2 +0"
            ]
        );
    }

    #[test]
    fn a_unique_check_takes_the_answers_of_another() {
        let text = "upstream a { server 127.0.0.1:2; check type=http; }\n\
                    upstream b { server 127.0.0.1:2; server 127.0.0.1:3; check type=http unique=true; }\n\
                    upstream c { server 127.0.0.1:2; check unique=true; }";
        assert_eq!(
            list(text).0,
            [
                "a/127.0.0.1:2 at 127.0.0.1:2 +1",
                "b/127.0.0.1:3 at 127.0.0.1:3 +0",
                "c/127.0.0.1:2 at 127.0.0.1:2 +0"
            ]
        );
    }

    #[test]
    fn a_unix_socket_has_no_other_port() {
        let (shown, said) = list("upstream a { server unix:/s; check port=9; }");
        assert_eq!(shown, ["a/unix:/s at unix:/s +0"]);
        assert_eq!(
            said,
            [
                "nginx: [warn] \"check\" ignores \"port=9\" for peer \"unix:/s\" in upstream \"a\", the peer has no port \
              and is checked on its own address in f:1"
            ]
        );
    }
}
