//! The stores of a worker as its serving threads see them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::task;
use crate::log::Logs;
use crate::plan::{Plan, Sticky, UpstreamId};
use crate::sticky::{Key, Sid, Tables};

/// Look-ups in a row that came too late, after which the store counts as away.
pub(super) const LATE: u32 = 3;

/// What the store says of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Known(Sid),
    Unknown,
    /// It did not say.
    Away,
}

/// How much a note weighs: of two about one session the heavier one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It was used.
    Touch,
    /// It is new, the store said so.
    New,
    /// It holds whatever the store says.
    Put,
    /// It is no session any more, anywhere.
    Forget,
}

/// What the store is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    pub key: Key,
    pub sid: Sid,
    pub kind: Kind,
}

pub(super) enum Job {
    LookUp(Key, oneshot::Sender<Asked>),
    Note(Write),
}

/// What task and handle both see.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The store answers.
    pub(super) up: AtomicBool,
}

/// One upstream's store.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::UnboundedSender<Job>,
    state: Arc<State>,
    timeout: Duration,
}

impl Store {
    pub(super) fn new(timeout: Duration) -> (Self, mpsc::UnboundedReceiver<Job>, Arc<State>) {
        let (jobs, queue) = mpsc::unbounded_channel();
        let state = Arc::<State>::default();
        (Self { jobs, state: state.clone(), timeout }, queue, state)
    }

    /// Asks for a session; waits for `store_timeout` at most, and not at all while the store is away.
    pub async fn look_up(&self, key: Key) -> Asked {
        if !self.state.up.load(Relaxed) {
            return Asked::Away;
        }
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Job::LookUp(key, reply)).is_err() {
            return Asked::Away;
        }
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(asked)) => asked,
            Ok(Err(_)) | Err(_) => Asked::Away,
        }
    }

    /// Tells the store, some time soon.
    pub fn note(&self, write: Write) {
        let _ = self.jobs.send(Job::Note(write));
    }
}

/// The stores of a plan, by upstream.
#[derive(Debug, Clone, Default)]
pub struct Stores(Arc<[Option<Store>]>);

/// The thread that talks to them.
#[derive(Debug)]
pub struct Talker(JoinHandle<()>);

impl Stores {
    /// Starts a thread when the plan has any store. The thread ends, having told what is left to tell, when the last
    /// copy of the answer is gone.
    pub fn start(plan: &Plan, tables: &Tables, logs: &Arc<Logs>) -> io::Result<(Self, Option<Talker>)> {
        let mut tasks = Vec::new();
        let mut one = |(i, upstream): (usize, &crate::plan::Upstream)| {
            let Some(Sticky::Learn(learn)) = &upstream.sticky else { return None };
            let settings = learn.store.clone()?;
            let table = tables.get(UpstreamId(i as u32))?.clone();
            let (store, queue, state) = Store::new(settings.timeout);
            tasks.push(task::Task::new(learn, settings, table, queue, state, logs.clone()));
            Some(store)
        };
        let stores: Arc<[_]> = plan.upstreams.iter().enumerate().map(&mut one).collect();
        if tasks.is_empty() {
            return Ok((Self::default(), None));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            // Another crate may have brought a second one in: which it is must not depend on that.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            runtime.block_on(async {
                let all: Vec<_> = tasks.into_iter().map(|task| tokio::spawn(task.run())).collect();
                for one in all {
                    let _ = one.await;
                }
            });
            // Host names are looked up in threads of the runtime: one that hangs is not waited for.
            runtime.shutdown_background();
        };
        let talker = std::thread::Builder::new().name("store".to_owned()).spawn(run)?;
        Ok((Self(stores), Some(Talker(talker))))
    }

    pub fn get(&self, upstream: UpstreamId) -> Option<&Store> {
        self.0.get(upstream.ix())?.as_ref()
    }
}

impl Talker {
    /// Waits for the end; nobody holds [`Stores`] any more.
    pub fn join(self) -> bool {
        self.0.join().is_ok()
    }
}
