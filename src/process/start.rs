//! From a plan to a running process, and the same as a test.

use crate::diag::Severity;
use crate::log::Logs;
use crate::plan::Plan;
use crate::sticky::Tables;
use crate::sys::{self, Signals};

use super::generation::{Generation, Known, open_logs, worker_ids};
use super::master::Master;
use super::options::Options;
use super::record::Record;
use super::sockets::Sockets;
use super::{greet, handover, pidfile, single, snapshots, upgrade};

/// Runs until a signal ends it; the answer is the exit code. Until the process serves, what goes wrong is said to
/// `builtin`, whose console is on.
pub fn start(options: &Options, mut plan: Plan, record: Record, builtin: Logs) -> u8 {
    let numbers = std::env::var(upgrade::VARIABLE).ok();
    let left = numbers.as_ref().map_or_else(Tables::default, |_| handover::inherit(&mut plan));
    let parent = sys::parent();
    let old = numbers.as_ref().map_or_else(Sockets::default, |n| Sockets::inherited(n, &builtin));
    let (error_log, left) = (options.error_log.as_deref(), Known::Elsewhere(left));
    let Ok(mut generation) = Generation::open(plan, error_log, &old, None, left, &builtin) else { return 1 };
    generation.record = record;
    if let Some(orders) = numbers.as_ref().and_then(|_| std::env::var(handover::VARIABLE).ok()) {
        handover::take_over(&orders, &generation);
    }
    drop(old);
    drop(builtin);
    let logs = generation.logs.clone();
    let failed = |text: String| {
        logs.main(Severity::Emerg, format_args!("{text}"));
        1
    };
    let signals = match Signals::block() {
        Ok(signals) => signals,
        Err(e) => return failed(format!("signalfd() failed ({})", sys::err_text(&e))),
    };
    let process = &generation.plan.process;
    if options.greet {
        greet::print(options, &generation);
    }
    if process.daemon
        && numbers.is_none()
        && let Err(e) = sys::daemonize()
    {
        return failed(format!("fork() failed ({})", sys::err_text(&e)));
    }
    if let Err(text) = pidfile::write(&process.pid) {
        return failed(text);
    }
    if let Err(e) = logs.redirect_stderr() {
        logs.main(Severity::Alert, format_args!("dup2(STDERR) failed ({})", sys::err_text(&e)));
    }
    logs.console(false);
    let version = env!("CARGO_PKG_VERSION");
    generation.logs.main(Severity::Notice, format_args!("tenrec/{version}"));
    if process.master_process {
        Master::new(options, generation, signals, numbers.is_some(), parent).run();
    } else {
        single::run(options, generation, &signals);
    }
    0
}

/// What `-t` tries of the surroundings: user, pid file, logs, addresses. False: `builtin` was told what is wrong.
pub fn probe(options: &Options, plan: &Plan, builtin: &Logs) -> bool {
    if worker_ids(plan, builtin).is_err() {
        return false;
    }
    if let Err(text) = pidfile::probe(&plan.process.pid) {
        builtin.main(Severity::Emerg, format_args!("{text}"));
        return false;
    }
    let Ok(logs) = open_logs(plan, options.error_log.as_deref(), builtin) else { return false };
    logs.console(builtin.has_console());
    if snapshots::check(plan, &logs).is_err() {
        return false;
    }
    Sockets::probe(&plan.listeners, &logs).is_ok()
}
