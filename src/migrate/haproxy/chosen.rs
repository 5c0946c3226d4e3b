//! `use-server`: a server that is asked on a condition, an upstream of its own with the others as spares.

use super::super::model::{Line as Out, Peer, Upstream};
use super::Cx;
use super::condition::{Any, Conditions};
use super::proxy::Proxy;

/// The name that `proxy_pass` leads to: the upstream, or a variable that chooses one.
pub(super) fn convert<'a>(
    cx: &mut Cx,
    proxy: &Proxy<'a>,
    peers: &[(&str, &Peer)],
    upstream: (&str, &[Out]),
    conditions: &mut Conditions<'a>,
) -> String {
    let (name, lines) = upstream;
    let mut rules: Vec<(Any, String)> = Vec::new();
    let mut made: Vec<(&str, String)> = Vec::new();
    for line in proxy.own().filter(|l| l.word(0) == "use-server") {
        let Some((server, _)) = peers.iter().find(|(n, _)| *n == line.word(1)) else {
            cx.account.dropped(line, "there is no such server here");
            continue;
        };
        let any = conditions.read(super::frontend::condition(line));
        if let Some((why, _)) = conditions.lost(&any) {
            cx.account.dropped(line, why);
        }
        let any = conditions.under(&any);
        if any.is_empty() {
            continue;
        }
        cx.account.approximated(line, "before the sessions of cookies; the other servers are its spares");
        let target = match made.iter().find(|(n, _)| n == server) {
            Some((_, target)) => target.clone(),
            None => {
                let target = cx.names.make(&format!("{name}_{server}"));
                let own = |(n, peer): &(&str, &Peer)| Peer {
                    backup: n != server,
                    drain: false,
                    slow_start: None,
                    ..(*peer).clone()
                };
                let zone = |l: &Out| match l.words.first().is_some_and(|w| w == "zone") {
                    true => Out::new(None, ["zone".to_owned(), format!("{target}_peers"), "1m".to_owned()]),
                    false => l.clone(),
                };
                let kept = |l: &&Out| l.words.first().is_some_and(|w| w != "sticky_accept");
                let made_of = Upstream {
                    name: target.clone(),
                    cite: Some(line.place),
                    method: None,
                    sticky: None,
                    peers: peers.iter().map(own).collect(),
                    lines: lines.iter().filter(kept).map(zone).collect(),
                };
                cx.model.upstreams.push(made_of);
                made.push((server, target.clone()));
                target
            }
        };
        rules.push((any, target));
    }
    if rules.is_empty() { name.to_owned() } else { conditions.choose("server", &rules, name) }
}
