//! Starting a new binary beside this one (USR2): it inherits the listening sockets by their numbers in the
//! environment variable `NGINX`, as nginx's does, and so either can follow the other.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use crate::diag::Severity;
use crate::sys::{self, Fork, Pid, Signals};

use super::generation::Generation;
use super::options::Options;
use super::{handover, pidfile};

pub(crate) const VARIABLE: &str = "NGINX";

/// Puts the pid file aside and executes the program anew; the answer is the new process. Failures are logged.
pub(crate) fn execute(generation: &Generation, options: &Options) -> Option<Pid> {
    let (logs, pid) = (&generation.logs, &generation.plan.process.pid);
    let old = pidfile::old(pid);
    let path = program(options);
    let shown = path.to_string_lossy().into_owned();
    if let Err(e) = std::fs::rename(pid, &old) {
        let (from, to, why) = (pid.display(), old.display(), sys::err_text(&e));
        logs.main(
            Severity::Alert,
            format_args!(
                "rename() {from} to {to} failed before executing new binary process \"{shown}\" ({why})"
            ),
        );
        return None;
    }
    let legacy = handover::Legacy::of(generation);
    let env = environment(generation, &legacy);
    match sys::fork() {
        Ok(Fork::Parent(child)) => Some(child),
        Ok(Fork::Child) => {
            for fd in generation.sockets.fds().chain(legacy.fds()) {
                let _ = sys::close_on_exec(fd, false);
            }
            Signals::unblock_all();
            let e = sys::execute(&path, &options.argv, &env);
            let why = sys::err_text(&e);
            logs.main(
                Severity::Alert,
                format_args!("execve() failed while executing new binary process \"{shown}\" ({why})"),
            );
            sys::exit_now(1)
        }
        Err(e) => {
            let why = sys::err_text(&e);
            logs.main(
                Severity::Alert,
                format_args!("fork() failed while spawning \"new binary process\" ({why})"),
            );
            let _ = std::fs::rename(&old, pid);
            None
        }
    }
}

/// The program's file: what it was called by, looked up in PATH when it has no slash.
fn program(options: &Options) -> OsString {
    let name = options.argv.first().cloned().unwrap_or_default();
    if name.as_bytes().contains(&b'/') {
        return name;
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|dir| dir.join(&name)).find(|p| p.is_file());
    found.map_or(name, Into::into)
}

/// `env` of the configuration, TZ, the sockets, and what is known.
fn environment(generation: &Generation, legacy: &handover::Legacy) -> Vec<(OsString, OsString)> {
    let mut env = Vec::new();
    let own = |name: &str| std::env::var_os(name).map(|v| (OsString::from(name), v));
    for (name, value) in &generation.plan.process.env {
        match value {
            Some(value) => env.push((name.into(), value.into())),
            None => env.extend(own(name)),
        }
    }
    if !env.iter().any(|(name, _)| name == "TZ") {
        env.extend(own("TZ"));
    }
    env.push((VARIABLE.into(), generation.sockets.numbers().into()));
    env.extend(handover::text(generation).map(|text| (handover::VARIABLE.into(), text.into())));
    env.extend(legacy.text().map(|text| (handover::MEMORY.into(), text.into())));
    env
}
