//! One configuration as the master holds it: plan, logs, sockets, and who the worker is.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use crate::diag::Severity;
use crate::limit::{self, NoZone};
use crate::log::Logs;
use crate::plan::Plan;
use crate::proxy::Memory;
use crate::rt::clock;
use crate::server::{Leaving, Queue, State, Worker};
use crate::sticky::{NoTables, Tables};
use crate::sys::{self, Ids};
use crate::zone::Slots;

use super::console::Control;
use super::record::Record;
use super::sockets::{Refused, Sockets};
use super::{snapshots, temp_dirs};

#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) plan: Arc<Plan>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) sockets: Sockets,
    /// Where `tenrec drain` and its kin are heard.
    pub(crate) control: Option<Control>,
    /// What workers of later generations go on with.
    pub(crate) state: State,
    /// Whom the worker becomes; `None`: it stays who the master is.
    pub(crate) ids: Option<Ids>,
    /// Its text, for who asks.
    pub(crate) record: Record,
}

/// What is known of sessions and peers before a plan is opened.
pub(crate) enum Known<'k> {
    Here(&'k State),
    /// The sessions of the master that this one follows, if any.
    Elsewhere(Tables),
}

impl Generation {
    /// Opens what `plan` asks for, sockets of `old` and what is known of sessions and peers taken over. What goes wrong is said to `say`, and once the plan's own logs are
    /// open to them.
    pub(crate) fn open(
        plan: Plan,
        error_log: Option<&Path>,
        old: &Sockets,
        control: Option<&Control>,
        known: Known<'_>,
        say: &Logs,
    ) -> Result<Self, Refused> {
        let ids = worker_ids(&plan, say)?;
        temp_dirs::make(&plan, ids.as_ref().map(|i| i.uid), say)?;
        let logs = open_logs(&plan, error_log, say)?;
        logs.console(say.has_console());
        let (learned, known) = match known {
            Known::Here(state) => (state.tables.clone(), Some(state)),
            Known::Elsewhere(tables) => (tables, None),
        };
        snapshots::check(&plan, &logs)?;
        let tables = Tables::open(&plan, &learned, clock::unix_millis()).map_err(|e| refuse(&e, &logs))?;
        snapshots::load(&tables, ids.as_ref().map(|i| i.uid), &logs);
        let slots = Slots::open(&plan, known.map(|k| &k.slots));
        let slots = slots.map_err(|e| refuse(&NoTables::Memory(e), &logs))?;
        let resolved = known.map_or_else(Memory::default, |k| k.names.clone());
        let names = Memory::open(&plan, &resolved).map_err(|e| refuse(&NoTables::Memory(e), &logs))?;
        let limits = limit::Zones::open(&plan, known.map(|k| &k.limits)).map_err(|e| match e {
            NoZone::Memory(e) => refuse(&NoTables::Memory(e), &logs),
            NoZone::Rekeyed(text) => refuse(&NoTables::Moved(text), &logs),
        })?;
        // What the workers of this generation share, from before they are forked.
        plan.tls.begin();
        let state = State { tables, slots, names, limits };
        let sockets = Sockets::open(&plan.listeners, plan.process.workers as usize, old, &logs)?;
        let control = Control::open(plan.process.control.as_deref(), control, &logs)?;
        Ok(Self {
            plan: Arc::new(plan),
            logs: Arc::new(logs),
            sockets,
            control,
            state,
            ids,
            record: Record::default(),
        })
    }

    /// Starts the threads that serve.
    pub(crate) fn start(&self) -> io::Result<Worker> {
        let control = self.control.as_ref().map(Control::duplicate).transpose()?;
        Worker::start(self.plan.clone(), self.logs.clone(), self.state.clone(), self.queues()?, control)
    }

    /// The queues of each thread, as duplicates.
    fn queues(&self) -> io::Result<Vec<Vec<Queue>>> {
        (0..self.plan.process.workers.max(1) as usize)
            .map(|thread| {
                let mut queues = Vec::new();
                for (listener, group) in self.sockets.groups.iter().enumerate() {
                    let Some(socket) = group.queues.get(thread).or(group.queues.first()) else { continue };
                    let id = socket.as_raw_fd();
                    queues.push(Queue { socket: OwnedFd::try_clone(socket)?, id, listener });
                }
                Ok(queues)
            })
            .collect()
    }

    /// Every queue, as what goes away when nobody follows.
    pub(crate) fn all_leaving(&self) -> Vec<Leaving> {
        self.sockets.fds().map(|id| Leaving { id, linger: false }).collect()
    }

    /// The user that files of the worker belong to.
    pub(crate) fn owner(&self) -> Option<u32> {
        self.ids.as_ref().map(|ids| ids.uid)
    }
}

fn refuse(why: &NoTables, logs: &Logs) -> Refused {
    match why {
        NoTables::Moved(text) => logs.main(Severity::Emerg, format_args!("{text}")),
        NoTables::Memory(e) => {
            logs.main(Severity::Emerg, format_args!("mmap() failed ({})", sys::err_text(e)));
        }
    }
    Refused
}

pub(crate) fn open_logs(plan: &Plan, error_log: Option<&Path>, say: &Logs) -> Result<Logs, Refused> {
    Logs::open(plan, error_log).map_err(|e| {
        say.main(Severity::Emerg, format_args!("{e}"));
        Refused
    })
}

/// Who the worker becomes: `user`, or nobody; only when this process is root's.
pub(crate) fn worker_ids(plan: &Plan, say: &Logs) -> Result<Option<Ids>, Refused> {
    if !sys::is_root() {
        return Ok(None);
    }
    let failed = |call: &str, name: &str, e: Option<io::Error>| {
        let why = e.map_or(String::new(), |e| format!(" ({})", sys::err_text(&e)));
        say.main(Severity::Emerg, format_args!("{call}(\"{name}\") failed{why}"));
        Refused
    };
    let (user, group) = match &plan.process.user {
        Some((user, group)) => (user.clone(), group.clone()),
        None => ("nobody".to_owned(), None),
    };
    let (uid, primary) = match sys::lookup_user(&user) {
        Ok(Some(found)) => found,
        Ok(None) => return Err(failed("getpwnam", &user, None)),
        Err(e) => return Err(failed("getpwnam", &user, Some(e))),
    };
    // `user NAME` alone means the group of that name; a default `nobody` has the group that it has.
    let group = group.or_else(|| plan.process.user.is_some().then(|| user.clone()));
    let gid = match group {
        None => primary,
        Some(group) => match sys::lookup_group(&group) {
            Ok(Some(gid)) => gid,
            Ok(None) => return Err(failed("getgrnam", &group, None)),
            Err(e) => return Err(failed("getgrnam", &group, Some(e))),
        },
    };
    Ok(Some(Ids { name: user, uid, gid }))
}
