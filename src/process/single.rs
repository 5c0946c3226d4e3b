//! `master_process off`: one process that serves and answers to signals itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::diag::Severity;
use crate::rt::clock;
use crate::server::{Leaving, Worker};
use crate::sticky::Tables;
use crate::sys::{self, Signal, Signals};

use super::console::Control;
use super::generation::{Generation, Known};
use super::options::Options;
use super::snapshots::{self, Snapshots};
use super::sockets::Sockets;
use super::{child, load, pidfile, signals};

/// How long a reload waits for the new threads to accept before the old ones are told to go.
const START: Duration = Duration::from_secs(10);

/// How long the next writing of sessions waits for the one before it to end.
const BUSY: Duration = Duration::from_millis(100);

/// Serves until QUIT, TERM or INT.
pub(crate) fn run(options: &Options, mut generation: Generation, signals: &Signals) {
    child::report_panics(&generation.logs);
    let Some(mut worker) = start(&generation) else { return };
    let mut draining: Vec<Worker> = Vec::new();
    let (mut snapshots, mut writing) = (Snapshots::default(), None::<std::thread::JoinHandle<()>>);
    // What draining threads learn into where a zone has another size now.
    let mut resized: Vec<Tables> = Vec::new();
    let (mut quitting, mut terminating) = (false, false);
    while !worker.is_finished() {
        let fds: Vec<_> =
            std::iter::once(&worker).chain(&draining).map(Worker::news).chain([signals.fd()]).collect();
        let wait = snapshots.wait(&generation.state.tables, Instant::now());
        let busy = writing.as_ref().is_some_and(|w| !w.is_finished());
        let wait = if busy { Some(wait.unwrap_or(BUSY).max(BUSY)) } else { wait };
        let due = std::iter::once(&worker).chain(&draining).filter_map(Worker::look_after).chain(wait).min();
        sys::wait_readable(&fds, due);
        if !busy {
            let started = snapshots.start_thread(&generation.state.tables, &generation.logs, Instant::now());
            writing = started.or(writing);
        }
        worker.update();
        draining.iter_mut().for_each(Worker::update);
        let (done, left) = draining.into_iter().partition(Worker::is_finished);
        draining = left;
        let done: Vec<Worker> = done;
        let ended = !done.is_empty();
        done.into_iter().for_each(|w| w.join(&generation.logs));
        if ended {
            let now = clock::unix_millis();
            resized.iter().for_each(|old: &Tables| generation.state.tables.catch_up(old, now));
        }
        if draining.is_empty() {
            resized.clear();
        }
        let mut reload = false;
        while let Some(received) = signals.next() {
            let action = match received.signal {
                Signal::Quit => {
                    quitting = true;
                    ", shutting down"
                }
                Signal::Term | Signal::Int => {
                    terminating = true;
                    ", exiting"
                }
                Signal::Hup => {
                    reload = true;
                    ", reconfiguring"
                }
                Signal::Usr1 => {
                    generation.logs.reopen(None);
                    worker.flush();
                    ", reopening logs"
                }
                Signal::Usr2 | Signal::Winch | Signal::Chld => "",
            };
            signals::note(&generation.logs, received, action);
        }
        if terminating {
            worker.terminate();
            draining.iter().for_each(Worker::terminate);
        } else if quitting {
            let all: Arc<[Leaving]> = generation.all_leaving().into();
            close(&mut generation);
            worker.quit(&all, generation.plan.process.shutdown_timeout);
        } else if reload
            && let Some((next, leaving)) = next(options, &generation)
            && let Some(mut started) = start(&next)
        {
            started.wait_ready(START);
            let timeout = generation.plan.process.shutdown_timeout;
            let was = std::mem::replace(&mut generation, next).state.tables;
            if generation.state.tables.differ(&was) {
                resized.push(was);
            }
            worker.quit(&leaving.into(), timeout);
            draining.push(std::mem::replace(&mut worker, started));
            child::report_panics(&generation.logs);
        }
    }
    if let Some(writing) = writing {
        let _ = writing.join();
    }
    worker.join(&generation.logs);
    draining.into_iter().for_each(|w| w.join(&generation.logs));
    snapshots::save_all(&generation.state.tables, &generation.logs);
    if let Err(text) = pidfile::remove(&generation.plan.process.pid) {
        generation.logs.main(Severity::Alert, format_args!("{text}"));
    }
    generation.logs.main(Severity::Notice, format_args!("exit"));
    close(&mut generation);
}

fn start(generation: &Generation) -> Option<Worker> {
    let failed = |e| {
        let why = sys::err_text(&e);
        generation.logs.main(Severity::Emerg, format_args!("starting threads failed ({why})"));
    };
    generation.start().map_err(failed).ok()
}

/// What the configuration says now, opened, and the queues that it no longer has.
fn next(options: &Options, old: &Generation) -> Option<(Generation, Vec<Leaving>)> {
    old.logs.main(Severity::Notice, format_args!("reconfiguring"));
    let (plan, record) = load::again(options, &old.plan, &old.logs)?;
    let mut next = Generation::open(
        plan,
        options.error_log.as_deref(),
        &old.sockets,
        old.control.as_ref(),
        Known::Here(&old.state),
        &old.logs,
    )
    .ok()?;
    next.record = record;
    if next.plan.process.pid != old.plan.process.pid {
        if let Err(text) = pidfile::write(&next.plan.process.pid) {
            old.logs.main(Severity::Emerg, format_args!("{text}"));
            return None;
        }
        let _ = pidfile::remove(&old.plan.process.pid);
    }
    let _ = next.logs.redirect_stderr();
    next.sockets.steer(&old.sockets, &next.logs);
    old.sockets.unlink_gone(&next.sockets, &next.logs);
    Control::retire(old.control.as_ref(), next.control.as_ref());
    let leaving = old.sockets.gone(&next.sockets);
    Some((next, leaving))
}

fn close(generation: &mut Generation) {
    let gone = std::mem::take(&mut generation.sockets);
    gone.unlink_gone(&Sockets::default(), &generation.logs);
    Control::retire(generation.control.take().as_ref(), None);
}
