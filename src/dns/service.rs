//! `service=`: SRV records (RFC 2782), and the addresses of the servers that they name.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rand::Rng as _;
use tokio::task::JoinSet;

use super::cache::Asked;
use super::client::{Client, Resolver};
use super::message::Server;
use super::query::Meaning;
use super::{Addresses, Code, Failure, Service, Target};
use crate::plan::ResolverId;

impl Client {
    /// The servers of a service of `name`: `http` means `_http._tcp`, a name with a dot is taken as it is. `timeout`
    /// holds for each step, as in nginx.
    pub async fn service(
        &self,
        id: ResolverId,
        service: &[u8],
        name: &[u8],
        timeout: Duration,
    ) -> Result<Service, Failure> {
        let Some(resolver) = self.resolver(id) else {
            return Err(Failure { code: Code::NO_NAME, valid: 0, failed: Vec::new() });
        };
        let full = if service.contains(&b'.') {
            [service, b".", name].concat()
        } else {
            [b"_", service, b"._tcp.", name].concat()
        };
        let found = resolver.ask(Asked::Service, &full, timeout).await;
        let known = found.map_err(|code| resolver.failure(code))?.0;
        let Meaning::Servers(servers) = &*known.meaning else {
            return Err(resolver.failure(Code::NO_NAME));
        };
        let addresses = look_up(resolver, servers, timeout).await;
        let mut valid = known.valid;
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for (server, addresses) in servers.iter().zip(addresses) {
            match addresses {
                Ok(addresses) => {
                    valid = valid.min(addresses.valid);
                    found.push((server, addresses.list));
                }
                Err(code) => failed.push((server.name.clone(), code)),
            }
        }
        if found.is_empty() {
            let no_name = failed.iter().any(|(_, code)| *code == Code::NO_NAME);
            let first = failed.first().map_or(Code::NO_NAME, |(_, code)| *code);
            let code = if no_name { Code::NO_NAME } else { first };
            return Err(Failure { failed, ..resolver.failure(code) });
        }
        let list = order(&found, |n| rand::rng().random_range(0..n.max(1)));
        Ok(Service { list, valid, failed })
    }
}

/// The addresses of all servers, asked for at once.
async fn look_up(
    resolver: &Rc<Resolver>,
    servers: &[Server],
    timeout: Duration,
) -> Vec<Result<Addresses, Code>> {
    let mut tasks = JoinSet::new();
    for (i, server) in servers.iter().enumerate() {
        let (resolver, name) = (resolver.clone(), server.name.clone());
        tasks.spawn_local(async move { (i, resolver.addresses(&name, timeout).await) });
    }
    let mut all = vec![Err(Code::NO_NAME); servers.len()];
    while let Some(done) = tasks.join_next().await {
        if let Ok((i, result)) = done
            && let Some(slot) = all.get_mut(i)
        {
            *slot = result;
        }
    }
    all
}

/// Those of one priority begin with one drawn by its weight; the others follow in their order. `draw` gives a number
/// below its argument.
pub(super) fn order(
    servers: &[(&Server, Vec<std::net::IpAddr>)],
    mut draw: impl FnMut(usize) -> usize,
) -> Vec<Target> {
    let mut list = Vec::new();
    for group in servers.chunk_by(|a, b| a.0.priority == b.0.priority) {
        let share = |(server, addrs): &(&Server, Vec<_>)| addrs.len() * usize::from(server.weight);
        let mut at = draw(group.iter().map(share).sum());
        let first = group.iter().position(|s| match at.checked_sub(share(s)) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        });
        let (end, start) = group.split_at(first.unwrap_or(0));
        for (server, addrs) in start.iter().chain(end) {
            list.extend(addrs.iter().map(|ip| Target {
                addr: SocketAddr::new(*ip, server.port),
                name: server.name.clone(),
                priority: server.priority,
                weight: server.weight,
            }));
        }
    }
    list
}
