//! The master: it serves nothing, keeps its privileges, and looks after its worker. See `LIFECYCLE.md`.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use crate::diag::Severity;
use crate::log::Logs;
use crate::rt::clock;
use crate::sticky::Tables;
use crate::sys::{self, Exit, Fork, Pid, Signal, Signals};

use super::console::Control;
use super::control::{self, Inbox, Message};
use super::generation::{Generation, Known};
use super::options::Options;
use super::snapshots::{self, Snapshots};
use super::{child, load, pidfile, signals, upgrade};

/// nginx's code of a worker that must not be started again.
const FATAL: i32 = 2;
/// How long a reload waits for the new worker to accept connections before the old one is told to go.
const START: Duration = Duration::from_secs(10);
/// A worker that ended sooner than this is not started again at once.
const TOO_SOON: Duration = Duration::from_millis(200);

/// A process that this one started.
#[derive(Debug)]
struct Child {
    pid: Pid,
    /// `None`: a new binary.
    control: Option<OwnedFd>,
    /// It was told to end.
    exiting: bool,
    started: Instant,
}

impl Child {
    fn name(&self) -> &'static str {
        if self.control.is_some() { "worker process" } else { "new binary process" }
    }
}

/// What signals asked for and was not done yet.
#[derive(Debug, Default)]
struct Asked {
    terminate: bool,
    quit: bool,
    reload: bool,
    reopen: bool,
    upgrade: bool,
    no_accept: bool,
    reap: bool,
    restart: bool,
}

#[derive(Debug)]
pub(crate) struct Master<'o> {
    options: &'o Options,
    generation: Generation,
    signals: Signals,
    children: Vec<Child>,
    asked: Asked,
    new_binary: Option<Pid>,
    /// WINCH has sent the workers home, the new binary's serve.
    no_accepting: bool,
    /// Not at a terminal: WINCH is meant.
    daemonized: bool,
    /// This process was executed by an older binary.
    inherited: bool,
    parent: Pid,
    snapshots: Snapshots,
    /// What workers that still end learn into, where their zones have other sizes now.
    resized: Vec<Tables>,
    /// Time between two attempts to end the workers by force.
    delay: Option<(Duration, Instant)>,
    quit_sent: bool,
}

impl<'o> Master<'o> {
    pub(crate) fn new(
        options: &'o Options,
        generation: Generation,
        signals: Signals,
        inherited: bool,
        parent: Pid,
    ) -> Self {
        let daemonized = inherited || generation.plan.process.daemon;
        Self {
            options,
            generation,
            signals,
            children: Vec::new(),
            asked: Asked::default(),
            new_binary: None,
            no_accepting: false,
            daemonized,
            inherited,
            parent,
            snapshots: Snapshots::default(),
            resized: Vec::new(),
            delay: None,
            quit_sent: false,
        }
    }

    /// Runs until the last child is gone after QUIT, TERM or INT.
    pub(crate) fn run(mut self) {
        self.log(Severity::Notice, format_args!("start worker processes"));
        self.spawn();
        loop {
            let now = Instant::now();
            let force = self.delay.map(|(_, at)| at.saturating_duration_since(now));
            let save =
                self.saves().then(|| self.snapshots.wait(&self.generation.state.tables, now)).flatten();
            let wait = force.into_iter().chain(save).min();
            sys::wait_readable(&[self.signals.fd()], wait);
            while let Some(received) = self.signals.next() {
                self.receive(received);
            }
            if std::mem::take(&mut self.asked.reap) {
                self.reap();
            }
            if (self.asked.terminate || self.asked.quit) && !self.any_live() {
                return self.exit();
            }
            if self.asked.terminate {
                self.terminate();
                continue;
            }
            if self.asked.quit {
                self.quit();
                continue;
            }
            if self.saves() {
                let Generation { state, logs, .. } = &self.generation;
                self.snapshots.start(&state.tables, logs, Instant::now());
            }
            if std::mem::take(&mut self.asked.reload) {
                self.reload();
            }
            if std::mem::take(&mut self.asked.restart) {
                self.spawn();
            }
            if std::mem::take(&mut self.asked.reopen) {
                self.log(Severity::Notice, format_args!("reopening logs"));
                self.generation.logs.reopen(self.generation.owner());
                self.tell(&Message::Reopen, Signal::Usr1);
            }
            if std::mem::take(&mut self.asked.upgrade) {
                self.log(Severity::Notice, format_args!("changing binary"));
                // The new binary begins with what is known now.
                self.save();
                self.new_binary = upgrade::execute(&self.generation, self.options);
                self.children.extend(self.new_binary.map(|pid| Child {
                    pid,
                    control: None,
                    exiting: false,
                    started: Instant::now(),
                }));
            }
            if std::mem::take(&mut self.asked.no_accept) {
                self.no_accepting = true;
                self.tell(&Message::Quit(Vec::new()), Signal::Quit);
            }
        }
    }

    /// Whether sessions are saved from time to time: a newer binary does it itself, and the end does it once.
    fn saves(&self) -> bool {
        !self.asked.terminate && !self.asked.quit && self.new_binary.is_none()
    }

    fn save(&mut self) {
        self.snapshots.stop();
        if self.new_binary.is_none() {
            snapshots::save_all(&self.generation.state.tables, &self.generation.logs);
        }
    }

    /// What workers that still end have learned is not lost when a zone has another size now.
    fn catch_up(&mut self) {
        let now = clock::unix_millis();
        self.resized.iter().for_each(|old| self.generation.state.tables.catch_up(old, now));
        if !self.children.iter().any(|c| c.control.is_some() && c.exiting) {
            self.resized.clear();
        }
    }

    fn log(&self, severity: Severity, text: std::fmt::Arguments<'_>) {
        self.generation.logs.main(severity, text);
    }

    fn receive(&mut self, received: sys::Received) {
        let mut ignored = false;
        let action = match received.signal {
            Signal::Quit => {
                self.asked.quit = true;
                ", shutting down"
            }
            Signal::Term | Signal::Int => {
                self.asked.terminate = true;
                ", exiting"
            }
            Signal::Hup => {
                self.asked.reload = true;
                ", reconfiguring"
            }
            Signal::Usr1 => {
                self.asked.reopen = true;
                ", reopening logs"
            }
            Signal::Winch if self.daemonized => {
                self.asked.no_accept = true;
                ", stop accepting connections"
            }
            // Also when the old binary, this one's parent, still runs.
            Signal::Usr2 if self.new_binary.is_some() || (self.inherited && sys::parent() == self.parent) => {
                ignored = true;
                ", ignoring"
            }
            Signal::Usr2 => {
                self.asked.upgrade = true;
                ", changing binary"
            }
            Signal::Chld => {
                self.asked.reap = true;
                ""
            }
            Signal::Winch => "",
        };
        signals::note(&self.generation.logs, received, action);
        if ignored {
            self.log(
                Severity::Crit,
                format_args!(
                    "the changing binary signal is ignored: you should shutdown or terminate before either old or \
                     new binary's process"
                ),
            );
        }
    }

    /// Forks a worker of the current generation; its place among the children.
    fn spawn(&mut self) -> Option<usize> {
        let (ours, theirs) = match sys::pair() {
            Ok(pair) => pair,
            Err(e) => {
                let why = sys::err_text(&e);
                self.log(
                    Severity::Alert,
                    format_args!("socketpair() failed while spawning \"worker process\" ({why})"),
                );
                return None;
            }
        };
        match sys::fork() {
            Ok(Fork::Child) => {
                drop(ours);
                self.children.clear();
                let code = child::run(&mut self.generation, &self.signals, Inbox::new(theirs));
                sys::exit_now(code)
            }
            Ok(Fork::Parent(pid)) => {
                self.log(Severity::Notice, format_args!("start worker process {pid}"));
                let (control, started) = (Some(ours), Instant::now());
                self.children.push(Child { pid, control, exiting: false, started });
                Some(self.children.len() - 1)
            }
            Err(e) => {
                let why = sys::err_text(&e);
                self.log(
                    Severity::Alert,
                    format_args!("fork() failed while spawning \"worker process\" ({why})"),
                );
                None
            }
        }
    }

    /// Waits until a new worker accepts connections; false: it ended instead, or takes too long.
    fn wait_ready(&self, child: usize) -> bool {
        let Some(control) = self.children.get(child).and_then(|c| c.control.as_ref()) else { return false };
        sys::wait_readable(&[control.as_raw_fd()], Some(START))
            && sys::read_byte(control) == Some(control::READY)
    }

    /// Sends a message to every worker, as a signal when the message cannot be sent. QUIT goes to each once.
    fn tell(&mut self, message: &Message, signal: Signal) {
        let logs = &self.generation.logs;
        for child in &mut self.children {
            let Some(control) = &child.control else { continue };
            tell_one(child.pid, control, &mut child.exiting, message, signal, logs);
        }
    }

    fn quit(&mut self) {
        if std::mem::replace(&mut self.quit_sent, true) {
            return;
        }
        // With a new binary beside this one the queues have somebody who accepts from them.
        let leaving = if self.has_heir() { Vec::new() } else { self.generation.all_leaving() };
        self.tell(&Message::Quit(leaving), Signal::Quit);
        self.close_sockets();
    }

    fn terminate(&mut self) {
        let now = Instant::now();
        let delay = match self.delay {
            None => Duration::from_millis(50),
            Some((_, at)) if now < at => return,
            Some((delay, _)) => delay * 2,
        };
        self.delay = Some((delay, now + delay));
        if delay > Duration::from_secs(1) {
            for child in self.children.iter().filter(|c| c.control.is_some()) {
                let _ = sys::kill(child.pid, sys::SIGKILL);
            }
        } else {
            self.tell(&Message::Terminate, Signal::Term);
        }
    }

    /// Reads the configuration again. Only when all of it works is anything changed.
    fn reload(&mut self) {
        if self.new_binary.is_some() {
            self.spawn();
            self.no_accepting = false;
            return;
        }
        self.log(Severity::Notice, format_args!("reconfiguring"));
        let again = load::again(self.options, &self.generation.plan, &self.generation.logs);
        let Some((plan, record)) = again else { return };
        let old = &self.generation;
        let opened = Generation::open(
            plan,
            self.options.error_log.as_deref(),
            &old.sockets,
            old.control.as_ref(),
            Known::Here(&old.state),
            &old.logs,
        );
        let Ok(mut next) = opened else { return };
        next.record = record;
        if next.plan.process.pid != old.plan.process.pid {
            if let Err(text) = pidfile::write(&next.plan.process.pid) {
                return self.log(Severity::Emerg, format_args!("{text}"));
            }
            if let Err(text) = pidfile::remove(&old.plan.process.pid) {
                self.log(Severity::Alert, format_args!("{text}"));
            }
        }
        let _ = next.logs.redirect_stderr();
        next.sockets.steer(&old.sockets, &next.logs);
        old.sockets.unlink_gone(&next.sockets, &next.logs);
        Control::retire(old.control.as_ref(), next.control.as_ref());
        let leaving = old.sockets.gone(&next.sockets);
        if next.state.tables.differ(&old.state.tables) {
            self.resized.push(old.state.tables.clone());
        }
        // What `next` does not keep is now open in the old worker alone.
        self.generation = next;
        let before: Vec<Pid> = self.children.iter().map(|c| c.pid).collect();
        let Some(new) = self.spawn() else { return };
        if !self.wait_ready(new) {
            let pid = self.children.get(new).map_or(0, |c| c.pid);
            return self.log(
                Severity::Alert,
                format_args!("the new worker process {pid} does not accept connections, the old one goes on"),
            );
        }
        let logs = &self.generation.logs;
        for child in self.children.iter_mut().filter(|c| before.contains(&c.pid)) {
            let Some(control) = &child.control else { continue };
            let message = Message::Quit(leaving.clone());
            tell_one(child.pid, control, &mut child.exiting, &message, Signal::Quit, logs);
        }
        self.catch_up();
    }

    fn reap(&mut self) {
        while let Some((pid, exit)) = sys::reap() {
            if self.snapshots.ended(pid, &self.generation.state.tables, Instant::now()) {
                continue;
            }
            let at = self.children.iter().position(|c| c.pid == pid);
            let child = at.map(|i| self.children.remove(i));
            let name = child.as_ref().map_or("unknown process", Child::name);
            match exit {
                Exit::Signal { number, core } => {
                    let core = if core { " (core dumped)" } else { "" };
                    self.log(Severity::Alert, format_args!("{name} {pid} exited on signal {number}{core}"));
                }
                Exit::Code(code) => {
                    self.log(Severity::Notice, format_args!("{name} {pid} exited with code {code}"));
                }
            }
            self.catch_up();
            self.generation.state.slots.bury(pid.unsigned_abs());
            let Some(child) = child else { continue };
            if child.control.is_none() {
                self.binary_ended();
            } else if !child.exiting && !self.asked.terminate && !self.asked.quit {
                self.respawn(&child, exit);
            }
        }
    }

    fn respawn(&mut self, child: &Child, exit: Exit) {
        if exit == Exit::Code(FATAL) {
            return self.log(
                Severity::Alert,
                format_args!(
                    "worker process {} exited with fatal code {FATAL} and cannot be respawned",
                    child.pid
                ),
            );
        }
        if self.children.iter().all(|c| c.control.is_none()) {
            // The dead one's connections went with it.
            self.generation.state.limits.nobody_connected();
        }
        if child.started.elapsed() < TOO_SOON {
            std::thread::sleep(TOO_SOON);
        }
        if self.spawn().is_none() {
            self.log(Severity::Alert, format_args!("could not respawn worker process"));
        }
    }

    fn binary_ended(&mut self) {
        let pid = &self.generation.plan.process.pid;
        let old = pidfile::old(pid);
        if let Err(e) = std::fs::rename(&old, pid) {
            let (from, to, why) = (old.display(), pid.display(), sys::err_text(&e));
            self.log(
                Severity::Alert,
                format_args!(
                    "rename() {from} back to {to} failed after the new binary process exited ({why})"
                ),
            );
        }
        self.new_binary = None;
        if std::mem::take(&mut self.no_accepting) {
            self.asked.restart = true;
        }
    }

    /// Whether a child is there that has to be waited for: any worker.
    fn any_live(&self) -> bool {
        self.children.iter().any(|c| c.control.is_some())
    }

    /// Whether another binary has the same sockets: a newer one, or the older one that executed this.
    fn has_heir(&self) -> bool {
        self.new_binary.is_some() || (self.inherited && sys::parent() == self.parent)
    }

    fn close_sockets(&mut self) {
        let gone = std::mem::take(&mut self.generation.sockets);
        if !self.has_heir() {
            gone.unlink_gone(&super::sockets::Sockets::default(), &self.generation.logs);
            Control::retire(self.generation.control.take().as_ref(), None);
        }
    }

    fn exit(mut self) {
        self.save();
        let pid = &self.generation.plan.process.pid;
        let pid = if self.new_binary.is_some() { pidfile::old(pid) } else { pid.clone() };
        if let Err(text) = pidfile::remove(&pid) {
            self.log(Severity::Alert, format_args!("{text}"));
        }
        self.log(Severity::Notice, format_args!("exit"));
        self.close_sockets();
    }
}

fn tell_one(pid: Pid, control: &OwnedFd, exiting: &mut bool, message: &Message, signal: Signal, logs: &Logs) {
    if *exiting && matches!(message, Message::Quit(_)) {
        return;
    }
    if !control::send(control, message)
        && let Err(e) = sys::kill(pid, signal.number())
    {
        let (number, why) = (signal.number(), sys::err_text(&e));
        logs.main(Severity::Alert, format_args!("kill({pid}, {number}) failed ({why})"));
    }
    *exiting |= *message != Message::Reopen;
}
