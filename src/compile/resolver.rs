//! Name servers: each directive made once, its own hosts looked up.

use std::sync::Arc;

use super::Builder;
use super::upstream;
use crate::config::resolver as settings;
use crate::plan::{NameServer, PeerAddr, Resolver, ResolverId};

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
