//! Name servers: each directive made once, its own hosts looked up.

use std::sync::Arc;
use std::time::Duration;

use super::Builder;
use super::upstream;
use crate::config::{resolver as settings, upstream::Upstream as Block};
use crate::diag::{Diag, Diags, HERE};
use crate::plan::{NameServer, PeerAddr, Resolver, ResolverId, Upstream};

/// `resolver_timeout` of an `http` block that says none.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The directives that were made, and what became of them; `None`: refused.
pub type Resolvers = Vec<(Arc<settings::Resolver>, Option<ResolverId>)>;

impl Builder<'_> {
    /// The resolver of a directive; those who inherit one get the same.
    pub fn resolver(&mut self, of: &Arc<settings::Resolver>) -> Option<ResolverId> {
        if let Some((_, id)) = self.resolvers.iter().find(|(known, _)| Arc::ptr_eq(known, of)) {
            return *id;
        }
        let id = self.name_servers(of).map(|servers| {
            let (valid, ipv4, ipv6) = (of.valid.filter(|v| !v.is_zero()), of.ipv4, of.ipv6);
            self.plan.resolvers.push(Resolver { servers, valid, ipv4, ipv6 });
            ResolverId(self.plan.resolvers.len() as u32 - 1)
        });
        self.resolvers.push((of.clone(), id));
        id
    }

    /// Servers of an upstream whose names are looked up while running.
    pub fn resolved(&mut self, block: &Block, upstream: &mut Upstream, diags: &mut Diags) {
        let own = block.resolver.as_ref().map(|r| self.resolver(r));
        if block.servers.iter().all(|s| s.name().is_none()) {
            return;
        }
        let name = String::from_utf8_lossy(&block.name);
        let mut refuse = |message: String| {
            let mut diag = Diag::emerg("no-resolver", message);
            diag.at = Some(block.at);
            diags.push(diag);
        };
        let Some(zone) = &block.zone else {
            return refuse(format!(
                "resolving names at run time requires upstream \"{name}\"{HERE} to be in shared memory"
            ));
        };
        let core = self.http.level.core.as_deref();
        let resolver = match own {
            Some(own) => own,
            None => match core.and_then(|c| c.resolver()) {
                Some(resolver) => self.resolver(&resolver),
                None => {
                    return refuse(format!(
                        "no resolver defined to resolve names at run time in upstream \"{name}\""
                    ));
                }
            },
        };
        let timeout = block.resolver_timeout.or_else(|| core.map(|c| c.resolver_timeout()));
        let same = |u: &&Block| u.zone.as_ref() == Some(zone);
        let size = self.http.upstreams.iter().filter(same).find_map(|u| u.zone_size).unwrap_or(0);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        // Without one there was an error already.
        let Some(resolver) = resolver else { return };
        upstream.dynamic = upstream::dynamic(block, resolver, timeout.unwrap_or(TIMEOUT), size);
    }

    fn name_servers(&mut self, of: &settings::Resolver) -> Option<Vec<NameServer>> {
        let mut servers = Vec::new();
        for text in &of.servers {
            match upstream::addresses(text, 53) {
                Ok(addrs) => servers.extend(addrs.iter().filter_map(name_server)),
                Err(e) => {
                    let message = format!("{e} in resolver \"{}\"", String::from_utf8_lossy(text));
                    self.found.emerg(of.at, "host-not-found", message);
                    return None;
                }
            }
        }
        (!servers.is_empty()).then_some(servers)
    }
}

fn name_server(addr: &PeerAddr) -> Option<NameServer> {
    let name = upstream::peer_name(addr);
    match *addr {
        PeerAddr::Inet(addr) => Some(NameServer { addr, name }),
        PeerAddr::Unix(_) => None,
    }
}
