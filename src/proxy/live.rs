//! The peers of an upstream with `server … resolve`: a set that is replaced as a whole when addresses come or go.
//!
//! The thread that looks the names up makes each set and sends it to the others; a request keeps the one it began with.

use std::sync::Arc;

use super::kept::{Kept, Memory};
use crate::balance::Shared;
use crate::compile::upstream::with_peers;
use crate::plan::{DynamicServer, Peer, PeerId, Plan, Upstream};
use crate::rt::clock;
use crate::zone::Slots;

/// The sets of a plan's upstreams; `None`: the plan itself has all its peers.
pub type Sets = Arc<[Option<Arc<Set>>]>;

/// The peers of an upstream at one time.
#[derive(Debug)]
pub struct Set {
    /// The upstream with these peers.
    pub upstream: Upstream,
    pub shared: Shared,
    /// What each peer is known by in all sets that it is in.
    serials: Vec<u64>,
}

impl Set {
    fn new(plan: &Upstream, members: &Members, slots: &Slots, before: Option<&Self>) -> Self {
        let peers: Vec<Peer> = members.all().map(|m| m.peer.clone()).collect();
        let upstream = with_peers(plan, peers, members.primary.len());
        let serials: Vec<u64> = members.all().map(|m| m.serial).collect();
        for peer in &upstream.peers {
            if plan.check.as_ref().is_some_and(|c| c.default_down && !peer.down) {
                slots.get(&plan.name, &peer.name).begin_down(clock::unix_millis());
            }
        }
        let shared = Shared::following(&upstream, slots, |ix| {
            let (set, serial) = (before?, *serials.get(ix)?);
            Some((&set.shared, set.find(serial)?))
        });
        Self { upstream, shared, serials }
    }

    /// The peer that `peer` of an older or newer set is here; `None`: it is gone, or not there yet.
    pub(super) fn same(&self, other: &Self, peer: PeerId) -> Option<PeerId> {
        self.find(*other.serials.get(peer.ix())?)
    }

    fn find(&self, serial: u64) -> Option<PeerId> {
        let ix = self.serials.iter().position(|s| *s == serial)?;
        u32::try_from(ix).ok().map(PeerId)
    }
}

/// A peer, and which `server … resolve` line it came from.
#[derive(Debug, Clone)]
struct Member {
    peer: Peer,
    serial: u64,
    line: Option<usize>,
}

#[derive(Debug, Clone, Default)]
struct Members {
    primary: Vec<Member>,
    backup: Vec<Member>,
}

impl Members {
    fn all(&self) -> impl Iterator<Item = &Member> {
        self.primary.iter().chain(&self.backup)
    }
}

/// What a line was found to mean: one address of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) addr: std::net::SocketAddr,
    /// The server's own name, of a service.
    pub(super) name: Option<Box<str>>,
    /// 1 without a service.
    pub(super) weight: u32,
    pub(super) backup: bool,
}

/// The peers of an upstream as they change. One thread has it.
#[derive(Debug)]
pub(super) struct Roll {
    members: Members,
    /// How many peers the zone has room for.
    most: usize,
    serial: u64,
    set: Arc<Set>,
    slots: Slots,
}

/// About what nginx's zone needs for a peer.
const PEER_BYTES: usize = 512;
/// Peers that there is room for at least.
const FEW: usize = 16;

impl Roll {
    /// The peers of the plan, and those that `kept` says the names had last.
    pub(super) fn new(plan: &Upstream, slots: &Slots, kept: &Kept) -> Option<Self> {
        let dynamic = plan.dynamic.as_deref()?;
        let mut serial = 0;
        let mut fixed = |peer: &Peer| {
            serial += 1;
            Member { peer: peer.clone(), serial, line: None }
        };
        let (primary, backup) = plan.peers.split_at(plan.primary.min(plan.peers.len()));
        let primary = primary.iter().map(&mut fixed).collect();
        let members = Members { primary, backup: backup.iter().map(&mut fixed).collect() };
        let set = Arc::new(Set::new(plan, &members, slots, None));
        let most = (dynamic.zone_size / PEER_BYTES).max(FEW);
        let mut roll = Self { members, most, serial, set, slots: slots.clone() };
        for (line, server) in dynamic.servers.iter().enumerate() {
            if let Some(known) = kept.get(server) {
                roll.change(line, server, &known.found);
            }
        }
        roll.set = Arc::new(Set::new(plan, &roll.members, slots, None));
        Some(roll)
    }

    pub(super) fn set(&self) -> &Arc<Set> {
        &self.set
    }

    /// What the line means now. `Some`: the set that follows, and whether all of it found room.
    pub(super) fn apply(
        &mut self,
        plan: &Upstream,
        line: usize,
        server: &DynamicServer,
        found: &[Found],
    ) -> (Option<Arc<Set>>, bool) {
        let before: Vec<u64> = self.members.all().map(|m| m.serial).collect();
        let room = self.change(line, server, found);
        if self.members.all().map(|m| m.serial).eq(before) {
            return (None, room);
        }
        let set = Arc::new(Set::new(plan, &self.members, &self.slots, Some(&self.set)));
        let gone = |name: &str| !set.upstream.peers.iter().any(|p| &*p.name == name);
        for peer in self.set.upstream.peers.iter().filter(|p| gone(&p.name)) {
            self.slots.retire(&plan.name, &peer.name, clock::unix_millis());
        }
        self.set = set.clone();
        (Some(set), room)
    }

    /// Takes out what is not found any more, and adds what is new behind the others, as nginx does. `false`: the zone is
    /// full.
    fn change(&mut self, line: usize, server: &DynamicServer, found: &[Found]) -> bool {
        let mut room = true;
        let mut left: Vec<&Found> = found.iter().collect();
        let is = |member: &Member, found: &Found, backup: bool| {
            let peer = member_of(server, found);
            found.backup == backup
                && member.peer.addr == peer.addr
                && member.peer.server == peer.server
                && member.peer.weight == peer.weight
        };
        let own_backup = server.peer.backup;
        for backup in [false, true] {
            let list = if backup { &mut self.members.backup } else { &mut self.members.primary };
            list.retain(|member| {
                if member.line != Some(line) {
                    return true;
                }
                let at = left.iter().position(|f| is(member, f, backup && !own_backup));
                at.map(|at| left.remove(at)).is_some()
            });
        }
        for found in left {
            if self.members.primary.len() + self.members.backup.len() >= self.most {
                room = false;
                break;
            }
            self.serial += 1;
            let backup = own_backup || found.backup;
            let peer = Peer { backup, ..member_of(server, found) };
            let list = if backup { &mut self.members.backup } else { &mut self.members.primary };
            list.push(Member { peer, serial: self.serial, line: Some(line) });
        }
        room
    }
}

/// The peer that an address of a line is.
fn member_of(server: &DynamicServer, found: &Found) -> Peer {
    let mut addr = found.addr;
    if server.service.is_none() {
        addr.set_port(server.port);
    }
    let addr = crate::plan::PeerAddr::Inet(addr);
    let of = &server.peer;
    Peer {
        name: crate::compile::upstream::peer_name(&addr),
        server: found.name.clone().unwrap_or_else(|| of.server.clone()),
        weight: if of.weight == 1 { found.weight } else { of.weight },
        addr,
        ..of.clone()
    }
}

/// The rolls of a plan's upstreams.
#[derive(Debug)]
pub struct Rolls(pub(super) Vec<Option<Roll>>);

impl Rolls {
    /// With what `memory` knows of the names.
    pub fn new(plan: &Plan, slots: &Slots, memory: &Memory) -> Self {
        let roll = |(ix, upstream)| Roll::new(upstream, slots, &memory.read(ix));
        Self(plan.upstreams.iter().enumerate().map(roll).collect())
    }

    pub fn sets(&self) -> Sets {
        self.0.iter().map(|roll| roll.as_ref().map(|r| r.set().clone())).collect()
    }
}
