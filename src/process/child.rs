//! The worker process.

use std::sync::Arc;

use crate::diag::Severity;
use crate::log::Logs;
use crate::server::{Leaving, Worker};
use crate::sys::{self, Signal, Signals};

use super::control::{Inbox, Message};
use super::generation::Generation;
use super::signals;
use super::sockets::Sockets;

/// nginx's code of a worker that must not be started again.
const FATAL: i32 = 2;

/// Runs the worker in the process that was forked for it; the answer is its exit code.
pub(crate) fn run(generation: &mut Generation, signals: &Signals, mut inbox: Inbox) -> i32 {
    let logs = generation.logs.clone();
    if let Err(text) = prepare(generation) {
        logs.main(Severity::Emerg, format_args!("{text}"));
        return FATAL;
    }
    report_panics(&logs);
    let started = generation.start();
    let mut worker = match started {
        Ok(worker) => worker,
        Err(e) => {
            logs.main(Severity::Emerg, format_args!("starting threads failed ({})", sys::err_text(&e)));
            return FATAL;
        }
    };
    // The threads have sockets of their own: one that goes away must not stay open here.
    generation.sockets = Sockets::default();
    generation.control = None;
    let timeout = generation.plan.process.shutdown_timeout;
    let quit = |worker: &Worker, leaving: Vec<Leaving>| {
        logs.main(Severity::Notice, format_args!("gracefully shutting down"));
        worker.quit(&Arc::from(leaving), timeout);
    };
    let (mut told_ready, mut quitting) = (false, false);
    while !worker.is_finished() {
        let fds: Vec<_> = [signals.fd(), worker.news()].into_iter().chain(inbox.fd()).collect();
        sys::wait_readable(&fds, worker.look_after());
        worker.update();
        if !told_ready && worker.is_ready() {
            told_ready = true;
            inbox.say_ready();
        }
        inbox.read();
        let mut messages: Vec<Message> = std::iter::from_fn(|| inbox.next()).collect();
        while let Some(received) = signals.next() {
            let (message, action) = match received.signal {
                Signal::Quit | Signal::Winch => (Some(Message::Quit(Vec::new())), ", shutting down"),
                Signal::Term | Signal::Int => (Some(Message::Terminate), ", exiting"),
                Signal::Usr1 => (Some(Message::Reopen), ", reopening logs"),
                Signal::Hup | Signal::Usr2 => (None, ", ignoring"),
                Signal::Chld => (None, ""),
            };
            signals::note(&logs, received, action);
            messages.extend(message);
        }
        for message in messages {
            match message {
                Message::Quit(_) if quitting => {}
                Message::Quit(leaving) => {
                    quitting = true;
                    quit(&worker, leaving);
                }
                Message::Terminate => worker.terminate(),
                Message::Reopen => {
                    logs.main(Severity::Notice, format_args!("reopening logs"));
                    logs.reopen(None);
                    worker.flush();
                }
            }
        }
    }
    logs.main(Severity::Notice, format_args!("exiting"));
    worker.join(&logs);
    logs.main(Severity::Notice, format_args!("exit"));
    0
}

/// Limits, user and working directory, in nginx's order.
fn prepare(generation: &Generation) -> Result<(), String> {
    let process = &generation.plan.process;
    if let Some(limit) = process.rlimit_nofile
        && let Err(e) = sys::set_nofile(limit)
    {
        let why = sys::err_text(&e);
        let logs = &generation.logs;
        logs.main(Severity::Alert, format_args!("setrlimit(RLIMIT_NOFILE, {limit}) failed ({why})"));
    }
    if let Some(ids) = &generation.ids {
        sys::become_user(ids).map_err(|(text, e)| format!("{text} ({})", sys::err_text(&e)))?;
    }
    if let Some(dir) = &process.working_directory {
        std::env::set_current_dir(dir)
            .map_err(|e| format!("chdir(\"{}\") failed ({})", dir.display(), sys::err_text(&e)))?;
    }
    Ok(())
}

/// A panic is a line of the error log: the task that panicked is gone, the rest serves on.
pub(crate) fn report_panics(logs: &Arc<Logs>) {
    let logs = logs.clone();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.to_string().replace('\n', " ");
        logs.main(Severity::Alert, format_args!("{text}"));
    }));
}
