//! One thread of a worker: its runtime, its accept loops, its end.

use std::cell::Cell;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, watch};

use crate::diag::Severity;
use crate::http::{Checks, LivePeer, Serial, Stats, ThreadState};
use crate::log::Logs;
use crate::plan::{Checked, Plan, Upstream};
use crate::proxy::{self, ProxyThread, Set, Sets};
use crate::store::Stores;
use crate::zone::Slots;
use crate::{balance, limit, rt, sticky, sys};

use super::Serving;
use super::accept;
use super::control::{self, Control};
use super::probes::Probes;
use super::worker::{Leaving, Queue, State};

/// What the main thread tells the others.
#[derive(Debug)]
pub(super) enum Command {
    Quit { leaving: Arc<[Leaving]>, timeout: Option<Duration> },
    Terminate,
    Flush,
}

pub(super) const READY: u8 = b'r';
const ENDED: u8 = b'e';

/// The thread's way to wake the main thread; its end is told when it is dropped.
#[derive(Debug)]
pub(super) struct Teller(OwnedFd);

impl Teller {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    fn say(&self, byte: u8) {
        let _ = sys::write_all_or_part(self.0.as_fd(), &[byte]);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.say(ENDED);
    }
}

/// What the threads of a worker have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Arc<Plan>,
    pub(super) logs: Arc<Logs>,
    stats: Arc<Stats>,
    serial: Arc<Serial>,
    pub(super) peers: Arc<[balance::Shared]>,
    pub(super) slots: Slots,
    pub(super) tables: sticky::Tables,
    pub(super) stores: Stores,
    names: proxy::Memory,
    limits: limit::Zones,
    /// The peers of upstreams whose addresses change.
    sets: watch::Receiver<Sets>,
}

/// What looks names up, for the one thread that does.
#[derive(Debug)]
pub(super) struct Following {
    rolls: proxy::Rolls,
    sets: watch::Sender<Sets>,
}

/// An upstream as it is now.
pub(super) struct At<'s> {
    set: Option<Arc<Set>>,
    plan: &'s Upstream,
    peers: &'s balance::Shared,
}

impl At<'_> {
    pub(super) fn upstream(&self) -> &Upstream {
        self.set.as_ref().map_or(self.plan, |set| &set.upstream)
    }

    pub(super) fn balance(&self) -> &balance::Shared {
        self.set.as_ref().map_or(self.peers, |set| &set.shared)
    }
}

impl Shared {
    /// … and what the thread needs that looks names up.
    pub(super) fn new(plan: Arc<Plan>, logs: Arc<Logs>, state: State, stores: Stores) -> (Self, Following) {
        let State { tables, slots, names, limits } = state;
        let peers = plan.upstreams.iter().map(|u| balance::Shared::new(u, &slots)).collect();
        let rolls = proxy::Rolls::new(&plan, &slots, &names);
        let (sender, sets) = watch::channel(rolls.sets());
        let (stats, serial) = (Arc::default(), Arc::default());
        let shared = Self { plan, logs, stats, serial, peers, slots, tables, stores, names, limits, sets };
        (shared, Following { rolls, sets: sender })
    }

    pub(super) fn at(&self, ix: usize) -> Option<At<'_>> {
        let set = self.sets.borrow().get(ix).cloned().flatten();
        Some(At { set, plan: self.plan.upstreams.get(ix)?, peers: self.peers.get(ix)? })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = At<'_>> {
        (0..self.plan.upstreams.len()).filter_map(|ix| self.at(ix))
    }

    /// What a thread's connections need; made on the thread itself.
    pub(super) fn serving(&self) -> Serving {
        let (peers, tables, stores) = (self.peers.clone(), self.tables.clone(), self.stores.clone());
        let proxy = ProxyThread::new(&self.plan, peers, tables, stores, &self.logs);
        proxy.adopt(&self.sets.borrow());
        let checks = self.checks();
        let http = ThreadState::new(self.logs.clone(), self.stats.clone(), checks, self.limits.clone());
        http.set_subrequests(super::conn::subrequests(Rc::clone(&proxy)));
        Serving { plan: self.plan.clone(), http: Rc::new(http), proxy, serial: self.serial.clone() }
    }

    fn checks(&self) -> Checks {
        let slot = |c: &Checked| {
            let upstream = self.plan.upstreams.get(c.upstream.ix())?;
            Some(self.slots.get(&upstream.name, &upstream.peers.get(c.peer.ix())?.name))
        };
        let fixed = self.plan.checked.iter().filter_map(slot).collect();
        let changing = self.plan.upstreams.iter().any(|u| u.check.is_some() && u.dynamic.is_some());
        let (plan, sets, slots) = (self.plan.clone(), self.sets.clone(), self.slots.clone());
        let live = move || brought(&plan, &sets.borrow(), &slots);
        Checks {
            slots: fixed,
            generation: self.slots.generation(),
            live: changing.then(|| Box::new(live) as Box<dyn Fn() -> Vec<LivePeer>>),
        }
    }

    /// Looks names up on this thread, or takes over what the thread that does has found.
    fn follow(&self, proxy: &Rc<ProxyThread>, following: Option<Following>) {
        if let Some(Following { rolls, sets }) = following {
            return rolls.follow(&self.plan, proxy, &self.logs, &self.names, sets);
        }
        let (mut sets, proxy) = (self.sets.clone(), Rc::downgrade(proxy));
        tokio::task::spawn_local(async move {
            loop {
                let Some(thread) = proxy.upgrade() else { return };
                thread.adopt(&sets.borrow_and_update());
                drop(thread);
                if sets.changed().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// The checked peers that names have brought.
fn brought(plan: &Plan, sets: &Sets, slots: &Slots) -> Vec<LivePeer> {
    let mut list = Vec::new();
    for (ix, (set, upstream)) in sets.iter().zip(&plan.upstreams).enumerate() {
        let Some(set) = set.as_ref().filter(|_| upstream.check.is_some()) else { continue };
        let fixed = |name: &str| upstream.peers.iter().any(|p| *p.name == *name);
        for peer in set.upstream.peers.iter().filter(|p| !p.down && !fixed(&p.name)) {
            let (name, slot) = (peer.name.clone(), slots.get(&upstream.name, &peer.name));
            list.push(LivePeer { upstream: crate::plan::UpstreamId(ix as u32), name, slot });
        }
    }
    list
}

/// A thread as its accept loops see it.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) serving: Serving,
    connections: Cell<u32>,
    /// Told when the last connection has ended.
    empty: Notify,
}

impl Thread {
    fn new(shared: &Shared) -> Self {
        Self { serving: shared.serving(), connections: Cell::new(0), empty: Notify::new() }
    }

    pub(super) fn logs(&self) -> &Logs {
        &self.serving.http.logs
    }

    /// One more connection, unless `worker_connections` are there already. It counts until the answer is dropped.
    pub(super) fn enter(self: &Rc<Self>) -> Option<Seat> {
        let n = self.connections.get();
        if n >= self.serving.plan.process.connections {
            return None;
        }
        self.connections.set(n + 1);
        Some(Seat(self.clone()))
    }

    async fn until_empty(&self) {
        while self.connections.get() > 0 {
            self.empty.notified().await;
        }
    }
}

/// A connection's place among the thread's `worker_connections`.
#[derive(Debug)]
pub(super) struct Seat(Rc<Thread>);

impl Drop for Seat {
    fn drop(&mut self) {
        let n = self.0.connections.get() - 1;
        self.0.connections.set(n);
        if n == 0 {
            self.0.empty.notify_one();
        }
    }
}

/// What one thread does beside serving.
#[derive(Debug, Default)]
pub(super) struct Duties {
    pub(super) control: Option<Control>,
    pub(super) probes: Option<Probes>,
    pub(super) following: Option<Following>,
}

/// Runs the thread until it is told to end.
pub(super) fn run(
    shared: &Arc<Shared>,
    queues: Vec<Queue>,
    duties: Duties,
    commands: UnboundedReceiver<Command>,
    tell: &Teller,
) {
    let runtime = match rt::runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            let why = sys::err_text(&e);
            return shared.logs.main(Severity::Emerg, format_args!("epoll_create() failed ({why})"));
        }
    };
    // What is left of the connections when the future is over is dropped with the runtime.
    runtime.block_on(serve(shared, queues, duties, commands, tell));
}

async fn serve(
    shared: &Arc<Shared>,
    queues: Vec<Queue>,
    duties: Duties,
    mut commands: UnboundedReceiver<Command>,
    tell: &Teller,
) {
    let thread = Rc::new(Thread::new(shared));
    shared.follow(&thread.serving.proxy, duties.following);
    let (stop, stopped) = watch::channel(accept::Stop::No);
    let mut loops = Vec::new();
    for queue in queues {
        match accept::Listening::new(queue) {
            Ok(listening) => {
                let run = accept::run(listening, thread.clone(), stopped.clone());
                loops.push(tokio::task::spawn_local(run));
            }
            Err(e) => {
                let why = sys::err_text(&e);
                thread.logs().main(Severity::Alert, format_args!("epoll_ctl() failed ({why})"));
            }
        }
    }
    if let Some(control) = duties.control {
        tokio::task::spawn_local(control::serve(control, shared.clone(), stopped.clone()));
    }
    drop(stopped);
    let probes = duties.probes.and_then(|p| p.start(shared.sets.clone()));
    tell.say(READY);
    let Some((leaving, timeout)) = until_quit(&thread, &mut commands).await else { return };

    // Another worker asks from now on.
    drop(probes);
    let _ = stop.send(accept::Stop::Leave(leaving));
    thread.serving.http.start_drain();
    thread.serving.proxy.close();
    let end = async {
        for run in loops {
            let _ = run.await;
        }
        thread.until_empty().await;
    };
    let late = async {
        match timeout {
            Some(t) => tokio::time::sleep(t).await,
            None => std::future::pending().await,
        }
    };
    let terminated = async { while until_quit(&thread, &mut commands).await.is_some() {} };
    tokio::select! {
        () = end => {}
        () = late => {}
        () = terminated => {}
    }
}

/// Serves until the thread is told to quit; `None`: to end at once.
async fn until_quit(
    thread: &Thread,
    commands: &mut UnboundedReceiver<Command>,
) -> Option<(Arc<[Leaving]>, Option<Duration>)> {
    let flush = thread.serving.http.access.borrow().shortest_flush();
    loop {
        let due = async {
            match flush {
                Some(t) => tokio::time::sleep(t.min(Duration::from_secs(1))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Quit { leaving, timeout }) => return Some((leaving, timeout)),
                Some(Command::Flush) => thread.serving.http.access.borrow_mut().flush(),
                Some(Command::Terminate) | None => return None,
            },
            () = due => thread.serving.http.access.borrow_mut().flush_due(Instant::now()),
        }
    }
}
