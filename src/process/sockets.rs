//! The listening sockets, which the master owns and keeps across reloads.
//!
//! An internet address has a queue (a socket of its own, SO_REUSEPORT) for each thread. The first one is bound without
//! SO_REUSEPORT, so that an address which another program holds is an error, even when that program is tenrec; after
//! that it lets the others join. A unix socket has one queue, which all threads accept from.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crate::diag::Severity;
use crate::log::Logs;
use crate::plan::{ListenAddr, ListenOptions, Listener};
use crate::server::Leaving;
use crate::sys::{self, LocalName, Tuning};

/// How often an address in use is tried, and how long to wait in between, as nginx does.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// The sockets of a configuration; `groups` has an entry for each of the plan's listeners, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sockets {
    pub(crate) groups: Vec<Group>,
}

/// The sockets of one address.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) addr: ListenAddr,
    backlog: i32,
    tuning: Tuning,
    pub(crate) queues: Vec<Arc<OwnedFd>>,
}

/// The failure was logged.
#[derive(Debug)]
pub(crate) struct Refused;

/// Why one address could not be opened.
enum Trouble {
    Taken,
    Refused,
}

impl Sockets {
    /// Opens what `listeners` ask for on `threads` threads, taking over from `old` what is there already. Failures go
    /// to `logs`; a taken address is tried five times.
    pub(crate) fn open(
        listeners: &[Listener],
        threads: usize,
        old: &Sockets,
        logs: &Logs,
    ) -> Result<Self, Refused> {
        let mut made: Vec<Option<Group>> = vec![None; listeners.len()];
        for attempt in 1.. {
            let mut taken = false;
            for (slot, listener) in made.iter_mut().zip(listeners) {
                if slot.is_some() {
                    continue;
                }
                match Group::open(listener, threads, old, logs) {
                    Ok(group) => *slot = Some(group),
                    Err(Trouble::Taken) => taken = true,
                    Err(Trouble::Refused) => return Err(Refused),
                }
            }
            if !taken {
                break;
            }
            logs.main(Severity::Notice, format_args!("try again to bind() after 500ms"));
            std::thread::sleep(PAUSE);
            if attempt == TRIES {
                logs.main(Severity::Emerg, format_args!("still could not bind()"));
                return Err(Refused);
            }
        }
        Ok(Self { groups: made.into_iter().flatten().collect() })
    }

    /// What a test of the configuration does: binds every address that is free and lets go of it. A taken one is no
    /// error.
    pub(crate) fn probe(listeners: &[Listener], logs: &Logs) -> Result<(), Refused> {
        for listener in listeners {
            let name = local(&listener.bind);
            match sys::bind_stream(&name, false, listener.options.ipv6only.unwrap_or(true)) {
                Ok(socket) => {
                    if let ListenAddr::Unix(path) = &listener.bind {
                        drop(socket);
                        let _ = std::fs::remove_file(path);
                    }
                }
                Err(e) if in_use(&e) => {}
                Err(e) => return Err(refuse(logs, "bind() to", &listener.bind, &e)),
            }
        }
        Ok(())
    }

    /// Sockets that the program which executed this one left open, by the numbers in the variable `NGINX`.
    pub(crate) fn inherited(numbers: &str, logs: &Logs) -> Self {
        logs.main(Severity::Notice, format_args!("using inherited sockets from \"{numbers}\""));
        let mut sockets = Self::default();
        for text in numbers.split_terminator([':', ';']) {
            let Ok(fd) = text.parse::<RawFd>() else {
                logs.main(
                    Severity::Emerg,
                    format_args!(
                        "invalid socket number \"{text}\" in NGINX environment variable, ignoring the rest of the \
                         variable"
                    ),
                );
                break;
            };
            let addr = match sys::local_name(fd) {
                Ok(LocalName::Inet(addr)) => ListenAddr::Inet(addr),
                Ok(LocalName::Unix(path)) => ListenAddr::Unix(path),
                Err(e) => {
                    let why = sys::err_text(&e);
                    logs.main(
                        Severity::Crit,
                        format_args!("getsockname() of the inherited socket #{fd} failed ({why})"),
                    );
                    continue;
                }
            };
            let Ok(socket) = sys::adopt(fd).map(Arc::new) else { continue };
            match sockets.groups.iter_mut().find(|g| g.addr == addr) {
                Some(group) => group.queues.push(socket),
                None => sockets.groups.push(Group {
                    addr,
                    backlog: 0,
                    tuning: Tuning::default(),
                    queues: vec![socket],
                }),
            }
        }
        sockets
    }

    /// The numbers of all sockets, as the variable `NGINX` has them.
    pub(crate) fn numbers(&self) -> String {
        self.fds().map(|fd| format!("{fd};")).collect()
    }

    pub(crate) fn fds(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.groups.iter().flat_map(|g| g.queues.iter().map(|q| q.as_raw_fd()))
    }

    /// Those of `self` that `next` does not have.
    pub(crate) fn gone(&self, next: &Sockets) -> Vec<Leaving> {
        let kept: Vec<RawFd> = next.fds().collect();
        let mut gone = Vec::new();
        for group in &self.groups {
            let linger = group.queues.iter().any(|q| kept.contains(&q.as_raw_fd()));
            let fds = group.queues.iter().map(|q| q.as_raw_fd()).filter(|fd| !kept.contains(fd));
            gone.extend(fds.map(|id| Leaving { id, linger }));
        }
        gone
    }

    /// Where an address lost queues against `old`, no new connection goes to those any more; where it did not, all get
    /// their share.
    pub(crate) fn steer(&self, old: &Sockets, logs: &Logs) {
        for group in &self.groups {
            let had = old.groups.iter().find(|g| g.addr == group.addr).map_or(0, |g| g.queues.len());
            let has = group.queues.len();
            let Some(first) = group.queues.first() else { continue };
            if had <= has {
                // What an earlier reload steered must reach the queues that are new; mostly there is nothing to undo.
                let _ = sys::steer_no_more(first.as_fd());
                continue;
            }
            if let Err(e) = sys::steer(first.as_fd(), u32::try_from(has).unwrap_or(1)) {
                let why = sys::err_text(&e);
                logs.main(
                    Severity::Alert,
                    format_args!(
                        "setsockopt(SO_ATTACH_REUSEPORT_CBPF) {} failed ({why}), ignored",
                        text(&group.addr)
                    ),
                );
            }
        }
    }

    /// Removes the files of unix sockets that `next` does not have.
    pub(crate) fn unlink_gone(&self, next: &Sockets, logs: &Logs) {
        for group in &self.groups {
            let ListenAddr::Unix(path) = &group.addr else { continue };
            if next.groups.iter().any(|g| g.addr == group.addr) {
                continue;
            }
            if let Err(e) = std::fs::remove_file(path) {
                let why = sys::err_text(&e);
                logs.main(Severity::Emerg, format_args!("unlink() {} failed ({why})", path.display()));
            }
        }
    }
}

impl Group {
    fn open(listener: &Listener, threads: usize, old: &Sockets, logs: &Logs) -> Result<Self, Trouble> {
        let many = matches!(listener.bind, ListenAddr::Inet(_));
        let wanted = if many { threads.max(1) } else { 1 };
        let old = old.groups.iter().find(|g| g.addr == listener.bind);
        let mut group = Group {
            addr: listener.bind.clone(),
            backlog: listener.options.backlog.unwrap_or(511),
            tuning: tuning(&listener.options),
            queues: old.map_or(Vec::new(), |g| g.queues.iter().take(wanted).cloned().collect()),
        };
        let fresh = group.queues.is_empty();
        if wanted > group.queues.len() {
            for queue in &group.queues {
                sys::share_address(queue.as_fd())
                    .map_err(|e| group.refuse(logs, "setsockopt(SO_REUSEPORT)", &e))?;
            }
        }
        while group.queues.len() < wanted {
            let first = group.queues.is_empty();
            let v6only = listener.options.ipv6only.unwrap_or(true);
            let socket = sys::bind_stream(&local(&group.addr), !first, v6only).map_err(|e| {
                let _ = refuse(logs, "bind() to", &group.addr, &e);
                if in_use(&e) { Trouble::Taken } else { Trouble::Refused }
            })?;
            if first && wanted > 1 {
                sys::share_address(socket.as_fd())
                    .map_err(|e| group.refuse(logs, "setsockopt(SO_REUSEPORT)", &e))?;
            }
            if let ListenAddr::Unix(path) = &group.addr
                && let Err(e) = sys::open_to_all(path)
            {
                let why = sys::err_text(&e);
                logs.main(Severity::Emerg, format_args!("chmod() \"{}\" failed ({why})", path.display()));
            }
            group.queues.push(Arc::new(socket));
            group.listen_last(logs)?;
        }
        if !fresh && old.is_some_and(|g| g.backlog != group.backlog || g.tuning != group.tuning) {
            for queue in &group.queues {
                let _ = sys::listen_on(queue.as_fd(), group.backlog);
            }
            group.tune(logs);
        } else if fresh || old.is_some_and(|g| g.queues.len() < group.queues.len()) {
            group.tune(logs);
        }
        Ok(group)
    }

    fn listen_last(&self, logs: &Logs) -> Result<(), Trouble> {
        let Some(last) = self.queues.last() else { return Ok(()) };
        sys::listen_on(last.as_fd(), self.backlog).map_err(|e| {
            let (addr, why) = (text(&self.addr), sys::err_text(&e));
            logs.main(
                Severity::Emerg,
                format_args!("listen() to {addr}, backlog {} failed ({why})", self.backlog),
            );
            if in_use(&e) { Trouble::Taken } else { Trouble::Refused }
        })
    }

    fn tune(&self, logs: &Logs) {
        for queue in &self.queues {
            for (what, e) in sys::tune(queue.as_fd(), &self.tuning) {
                let (addr, why) = (text(&self.addr), sys::err_text(&e));
                logs.main(Severity::Alert, format_args!("setsockopt({what}) {addr} failed, ignored ({why})"));
            }
        }
    }

    fn refuse(&self, logs: &Logs, call: &str, e: &std::io::Error) -> Trouble {
        let _ = refuse(logs, call, &self.addr, e);
        Trouble::Refused
    }
}

fn refuse(logs: &Logs, call: &str, addr: &ListenAddr, e: &std::io::Error) -> Refused {
    logs.main(Severity::Emerg, format_args!("{call} {} failed ({})", text(addr), sys::err_text(e)));
    Refused
}

fn in_use(e: &std::io::Error) -> bool {
    e.kind() == std::io::ErrorKind::AddrInUse
}

fn local(addr: &ListenAddr) -> LocalName {
    match addr {
        ListenAddr::Inet(addr) => LocalName::Inet(*addr),
        ListenAddr::Unix(path) => LocalName::Unix(path.clone()),
    }
}

/// As nginx prints an address: `0.0.0.0:80`, `[::]:80`, `unix:/path`.
pub(crate) fn text(addr: &ListenAddr) -> String {
    match addr {
        ListenAddr::Inet(addr) => addr.to_string(),
        ListenAddr::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn tuning(options: &ListenOptions) -> Tuning {
    Tuning {
        rcvbuf: options.rcvbuf,
        sndbuf: options.sndbuf,
        keepalive: options.keepalive.as_ref().map(|k| sys::KeepAlive {
            on: k.on,
            idle: k.idle,
            interval: k.interval,
            count: k.count,
        }),
        deferred: options.deferred,
        fastopen: options.fastopen,
    }
}
