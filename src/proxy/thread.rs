//! What the exchanges of one thread share: idle connections, weights, and what is planned once a location.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;

use super::answer::AnswerPlan;
use super::certificates::Caches;
use super::head::HeadPlan;
use super::live::{Set, Sets};
use super::pool::{Key, Life, Pool};
use super::request::Outgoing;
use super::secure::Who;
use super::tunnels::Tunnels;
use crate::balance::{Local, Shared};
use crate::dns;
use crate::log::Logs;
use crate::plan::{Content, LocId, PeerAddr, PeerId, Plan, Proxy, ProxyTls, Upstream, UpstreamId};
use crate::rt::clock;
use crate::sticky::{Table, Tables};
use crate::store::{Store, Stores};
use crate::wire::ClientConn;

/// How many exchanges' buffers a thread keeps.
const SPARE: usize = 64;
/// How many servers' TLS sessions it keeps.
const SERVERS: usize = 1024;
/// For how many names of one server.
const NAMES: usize = 8;

/// One a thread and plan.
#[derive(Debug)]
pub struct ProxyThread {
    shared: Arc<[Shared]>,
    tables: Tables,
    names: dns::Client,
    stores: Stores,
    upstreams: Box<[UpstreamThread]>,
    locations: Box<[Option<LocPlan>]>,
    /// TLS with sessions: one store for each settings and server.
    sessions: RefCell<HashMap<(u32, PeerAddr), Arc<ClientConfig>>>,
    pub(super) certificates: RefCell<Caches>,
    /// Buffers that no exchange uses now.
    spare: RefCell<Vec<Outgoing>>,
    /// No connection is kept any more.
    closing: Cell<bool>,
    sweeping: Cell<bool>,
    pub(super) tunnels: Tunnels,
}

#[derive(Debug)]
struct UpstreamThread {
    local: Local,
    pool: RefCell<Pool<Box<ClientConn>>>,
    /// The peers of an upstream whose addresses change.
    live: RefCell<Option<Rc<Live>>>,
}

/// A set of peers, and this thread's weights of them.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) set: Arc<Set>,
    local: Local,
}

/// An upstream as a request sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    live: Option<&'a Rc<Live>>,
    pub(super) upstream: &'a Upstream,
    pub(super) shared: &'a Shared,
    pub(super) local: &'a Local,
}

impl Of<'_> {
    /// Its peers are not those of the plan.
    pub(super) fn changes(&self) -> bool {
        self.live.is_some()
    }
}

#[derive(Debug)]
pub(super) struct LocPlan {
    pub(super) head: HeadPlan,
    pub(super) answer: AnswerPlan,
}

impl LocPlan {
    pub(super) fn new(proxy: &Proxy) -> Self {
        Self { head: HeadPlan::new(proxy), answer: AnswerPlan::new(proxy) }
    }
}

impl ProxyThread {
    /// `shared` is the state of `plan.upstreams`, in their order, `tables` what was learned for them, `stores` where
    /// else it is known; all are the same for all threads. `logs` is told of name servers that do not answer as they
    /// should.
    pub fn new(
        plan: &Plan,
        shared: Arc<[Shared]>,
        tables: Tables,
        stores: Stores,
        logs: &Arc<Logs>,
    ) -> Rc<Self> {
        debug_assert_eq!(plan.upstreams.len(), shared.len(), "each upstream has its state");
        let upstream = |(upstream, shared): (&Upstream, &Shared)| UpstreamThread {
            local: Local::new(shared),
            pool: RefCell::new(Pool::new(upstream.keepalive.clone())),
            live: RefCell::default(),
        };
        let upstreams = plan.upstreams.iter().zip(shared.iter()).map(upstream).collect();
        let locations = plan
            .locations
            .iter()
            .map(|l| match &l.content {
                Content::Proxy(proxy) => Some(LocPlan::new(proxy)),
                _ => None,
            })
            .collect();
        Rc::new(Self {
            shared,
            tables,
            names: dns::Client::new(plan, logs),
            stores,
            upstreams,
            locations,
            sessions: RefCell::default(),
            certificates: RefCell::default(),
            spare: RefCell::default(),
            closing: Cell::default(),
            sweeping: Cell::default(),
            tunnels: Tunnels::default(),
        })
    }

    /// The thread goes: idle connections are closed, and no more are kept.
    pub fn close(&self) {
        self.closing.set(true);
        for upstream in &self.upstreams {
            upstream.pool.borrow_mut().clear();
        }
    }

    /// Connections that wait for a request.
    pub fn idle(&self) -> usize {
        self.upstreams.iter().map(|u| u.pool.borrow().len()).sum()
    }

    pub(super) fn location(&self, id: LocId) -> Option<&LocPlan> {
        self.locations.get(id.ix())?.as_ref()
    }

    /// The peers that an upstream has just now, if its addresses change.
    pub(super) fn live(&self, id: UpstreamId) -> Option<Rc<Live>> {
        self.upstreams.get(id.ix())?.live.borrow().clone()
    }

    /// The peers of an upstream, and what is known of them.
    pub(super) fn of<'a>(
        &'a self,
        plan: &'a Plan,
        id: UpstreamId,
        live: Option<&'a Rc<Live>>,
    ) -> Option<Of<'a>> {
        if let Some(now) = live {
            return Some(Of {
                live,
                upstream: &now.set.upstream,
                shared: &now.set.shared,
                local: &now.local,
            });
        }
        let (upstream, shared) = (plan.upstreams.get(id.ix())?, self.shared.get(id.ix())?);
        Some(Of { live, upstream, shared, local: &self.upstreams.get(id.ix())?.local })
    }

    /// From here on requests begin with these sets. Connections to peers that are gone are closed.
    pub fn adopt(&self, sets: &Sets) {
        for (upstream, set) in self.upstreams.iter().zip(sets.iter()) {
            let Some(set) = set else { continue };
            let before = upstream.live.borrow().clone();
            if before.as_ref().is_some_and(|b| Arc::ptr_eq(&b.set, set)) {
                continue;
            }
            let local = match &before {
                Some(before) => Local::following(&set.shared, (&before.set.shared, &before.local)),
                None => Local::new(&set.shared),
            };
            upstream.pool.borrow_mut().rename(|peer| set.same(&before.as_ref()?.set, peer));
            *upstream.live.borrow_mut() = Some(Rc::new(Live { set: set.clone(), local }));
        }
    }

    /// The peer of a request's set in the set of now; `None`: it is gone.
    fn here(&self, id: UpstreamId, of: Of<'_>, peer: PeerId) -> Option<PeerId> {
        let Some(then) = of.live else { return Some(peer) };
        let now = self.live(id)?;
        if Rc::ptr_eq(&now, then) { Some(peer) } else { now.set.same(&then.set, peer) }
    }

    /// Who looks names up.
    pub(super) fn names(&self) -> &dns::Client {
        &self.names
    }

    /// What `sticky learn` has learned.
    pub(super) fn table(&self, id: UpstreamId) -> Option<&Table> {
        self.tables.get(id).map(|table| &**table)
    }

    /// What several machines know of its sessions; `None`, nearly always: nothing.
    #[inline]
    pub(super) fn store(&self, id: UpstreamId) -> Option<&Store> {
        self.stores.get(id)
    }

    /// Lends the buffers of an exchange.
    pub(super) fn lend(&self) -> Outgoing {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    pub(super) fn give_back(&self, buffers: Outgoing) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE && buffers.head.capacity() <= 64 * 1024 {
            spare.push(buffers);
        }
    }

    /// The configuration of rustls that keeps the sessions with the server at `addr`. rustls takes a session up again only
    /// with the very settings that it was made with.
    pub(super) fn tls_sessions(&self, settings: &ProxyTls, addr: &PeerAddr) -> Arc<ClientConfig> {
        let mut all = self.sessions.borrow_mut();
        if let Some(config) = all.get(&(settings.id, addr.clone())) {
            return config.clone();
        }
        if all.len() >= SERVERS {
            // Addresses that come and go; what is lost is a full handshake each.
            all.clear();
        }
        let mut config = ClientConfig::clone(&settings.config);
        config.resumption = Resumption::in_memory_sessions(NAMES);
        let config = Arc::new(config);
        all.insert((settings.id, addr.clone()), config.clone());
        config
    }

    fn key(pool: &Pool<Box<ClientConn>>, peer: PeerId, location: LocId, tls: Option<&Rc<Who>>) -> Key {
        Key { peer, location: pool.location_bound().then_some(location), tls: tls.cloned() }
    }

    pub(super) fn take(
        &self,
        upstream: UpstreamId,
        of: Of<'_>,
        peer: PeerId,
        location: LocId,
        tls: Option<&Rc<Who>>,
    ) -> Option<Box<ClientConn>> {
        let peer = self.here(upstream, of, peer)?;
        let mut pool = self.upstreams.get(upstream.ix())?.pool.borrow_mut();
        let key = Self::key(&pool, peer, location, tls);
        pool.take(&key, clock::instant(), |conn| conn.is_stale()).map(|(conn, _)| conn)
    }

    pub(super) fn keep(
        self: &Rc<Self>,
        upstream: UpstreamId,
        of: Of<'_>,
        peer: PeerId,
        location: LocId,
        tls: Option<&Rc<Who>>,
        mut conn: Box<ClientConn>,
    ) {
        let Some(peer) = self.here(upstream, of, peer) else { return };
        let Some(of) = self.upstreams.get(upstream.ix()) else { return };
        if self.closing.get() {
            return;
        }
        let mut pool = of.pool.borrow_mut();
        let key = Self::key(&pool, peer, location, tls);
        let life = Life { born: conn.created, requests: conn.requests };
        conn.park();
        if pool.put(key, conn, life, clock::instant(), |conn| conn.is_stale()) && !self.sweeping.replace(true)
        {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }

    /// Closes what timed out or was closed from the other side; `false`: nothing is idle any more.
    fn sweep(&self) -> bool {
        let now = clock::instant();
        for upstream in &self.upstreams {
            upstream.pool.borrow_mut().sweep(now, |conn| conn.is_stale());
        }
        self.idle() > 0
    }
}

/// Runs while connections are idle.
async fn sweep(thread: std::rc::Weak<ProxyThread>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(thread) = thread.upgrade() else { return };
        if !thread.sweep() {
            thread.sweeping.set(false);
            return;
        }
    }
}
