//! The threads of a worker, from the outside.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::diag::Severity;
use crate::log::Logs;
use crate::plan::Plan;
use crate::proxy::Memory;
use crate::sticky::Tables;
use crate::store::{Stores, Talker};
use crate::zone::Slots;
use crate::{limit, sys};

use super::control::Control;
use super::orders;
use super::probes::Probes;
use super::thread::{self, Command, Duties, Shared};

/// A listening socket as a thread uses it: a duplicate that the thread owns.
#[derive(Debug)]
pub struct Queue {
    pub socket: OwnedFd,
    /// The descriptor's number in the master, which names the queue.
    pub id: RawFd,
    /// Index into the plan's listeners.
    pub listener: usize,
}

/// A queue that no one will accept from after this worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    pub id: RawFd,
    /// The address stays with fewer queues: connections whose handshake is under way may still come to this one.
    pub linger: bool,
}

/// What outlives a worker: the plan's memory, which the next generation and a worker forked anew go on with.
#[derive(Debug, Clone)]
pub struct State {
    /// What `sticky learn` has learned.
    pub tables: Tables,
    /// What is known of the peers.
    pub slots: Slots,
    /// What names meant that are looked up while running.
    pub names: Memory,
    /// The counters of `limit_req` and `limit_conn`.
    pub limits: limit::Zones,
}

/// The running threads.
#[derive(Debug)]
pub struct Worker {
    threads: Vec<(UnboundedSender<Command>, JoinHandle<()>)>,
    /// Talks to the stores of learned sessions.
    talker: Option<Talker>,
    /// Readable when a thread has begun or ended.
    news: OwnedFd,
    ready: usize,
    shared: Arc<Shared>,
}

impl Worker {
    /// Starts a thread for each element of `queues`; the first serves the control socket.
    pub fn start(
        plan: Arc<Plan>,
        logs: Arc<Logs>,
        state: State,
        queues: Vec<Vec<Queue>>,
        control: Option<Control>,
    ) -> io::Result<Self> {
        let probes = Probes::new(plan.clone(), logs.clone(), state.slots.clone());
        probes.begin();
        let (stores, talker) = Stores::start(&plan, &state.tables, &logs)?;
        let (shared, following) = Shared::new(plan, logs, state, stores);
        let shared = Arc::new(shared);
        // They are the first thread's.
        let mut duties = Duties { control, probes: Some(probes), following: Some(following) };
        let (news, tell) = sys::pair()?;
        let mut threads = Vec::new();
        for (index, queues) in queues.into_iter().enumerate() {
            let (sender, commands) = tokio::sync::mpsc::unbounded_channel();
            let tell = thread::Teller::new(tell.try_clone()?);
            let (shared, duties) = (shared.clone(), std::mem::take(&mut duties));
            let join = std::thread::Builder::new()
                .name(format!("serve-{index}"))
                .spawn(move || thread::run(&shared, queues, duties, commands, &tell))?;
            threads.push((sender, join));
        }
        Ok(Self { threads, talker, news, ready: 0, shared })
    }

    /// Something to wait on beside signals: readable when [`Worker::update`] has something to learn.
    pub fn news(&self) -> RawFd {
        self.news.as_raw_fd()
    }

    /// Learns what the threads told.
    pub fn update(&mut self) {
        while let Some(byte) = sys::read_byte(&self.news) {
            self.ready += usize::from(byte == thread::READY);
        }
    }

    /// Looks after deadlines of draining peers. The answer is when to call it again; `None`: there is nothing to look after.
    pub fn look_after(&self) -> Option<Duration> {
        orders::look_after(&self.shared)
    }

    /// Every thread accepts connections.
    pub fn is_ready(&self) -> bool {
        self.ready >= self.threads.len()
    }

    /// Every thread has ended.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(|(_, join)| join.is_finished())
    }

    /// Waits until every thread accepts connections, or the time is over.
    pub fn wait_ready(&mut self, timeout: Duration) {
        let end = std::time::Instant::now() + timeout;
        loop {
            self.update();
            let left = end.saturating_duration_since(std::time::Instant::now());
            if self.is_ready() || self.is_finished() || left.is_zero() {
                return;
            }
            sys::wait_readable(&[self.news()], Some(left));
        }
    }

    /// The graceful end: what waits in the queues of `leaving` is accepted, requests are answered, then the threads
    /// end. `timeout` is `worker_shutdown_timeout`.
    pub fn quit(&self, leaving: &Arc<[Leaving]>, timeout: Option<Duration>) {
        for (sender, _) in &self.threads {
            let _ = sender.send(Command::Quit { leaving: leaving.clone(), timeout });
        }
    }

    /// The end without regard to connections.
    pub fn terminate(&self) {
        for (sender, _) in &self.threads {
            let _ = sender.send(Command::Terminate);
        }
    }

    /// Buffered access logs are written now.
    pub fn flush(&self) {
        for (sender, _) in &self.threads {
            let _ = sender.send(Command::Flush);
        }
    }

    /// Waits for the threads; a thread that panicked is reported.
    pub fn join(self, logs: &Logs) {
        orders::leave(&self.shared);
        for (_, join) in self.threads {
            if join.join().is_err() {
                logs.main(Severity::Alert, format_args!("a thread of the worker ended by a panic"));
            }
        }
        // The stores are told what is left once nobody can tell them more.
        drop(self.shared);
        if self.talker.is_some_and(|talker| !talker.join()) {
            logs.main(Severity::Alert, format_args!("the thread of the stores ended by a panic"));
        }
    }
}
