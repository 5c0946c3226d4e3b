//! The main context and `events`.

use std::path::PathBuf;
use std::time::Duration;

use super::core::some;
use super::cx::show;
use super::family::family;
use super::{Cx, error_log, set};
use crate::plan::ErrorLog;
use crate::source::Dir;
use crate::sys;
use crate::values;

family! {
    /// `ngx_core_module`
    pub struct Main {
        /// Name and group.
        "user" => user: Option<(String, Option<String>)> = user, None;
        /// `auto` is the number of processors.
        "worker_processes" => workers: u64 = workers, 1;
        "daemon" => daemon: bool = set::flag, true;
        "master_process" => master_process: bool = set::flag, true;
        "control" => control: Option<Control> = some(control), None;
        "pid" => pid: Option<Box<[u8]>> = some(set::text), None;
        "error_log" => error_logs: Vec<ErrorLog> = error_log::read, Vec::new();
        "worker_shutdown_timeout" => shutdown_timeout: Option<Duration> = some(set::msec), None;
        "worker_rlimit_nofile" => rlimit_nofile: Option<u64> = some(set::num), None;
        "worker_rlimit_core" => rlimit_core: Option<u64> = some(set::off), None;
        "worker_priority" => priority: i64 = priority, 0;
        "working_directory" => working_directory: Option<Box<[u8]>> = some(set::text), None;
        "env" => env: Vec<(String, Option<String>)> = env, Vec::new();
        "timer_resolution" => timer_resolution: Option<Duration> = some(set::msec), None;
        "lock_file" => lock_file: Option<Box<[u8]>> = some(set::text), None;
    }
}

family! {
    /// `ngx_event_core_module`
    pub struct Events {
        "worker_connections" => connections: u64 = connections, 512;
        "use" => method: Box<[u8]> = method, (*b"epoll").into();
        "multi_accept" => multi_accept: bool = set::flag, false;
        "accept_mutex" => accept_mutex: bool = set::flag, false;
        "accept_mutex_delay" => accept_mutex_delay: Duration = set::msec, Duration::from_millis(500);
    }
}

/// Where the control socket is; without the directive there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    Off,
    /// Beside the pid file.
    On,
    Path(Box<[u8]>),
}

/// What fits into the address of a unix socket, less what is appended while it is replaced.
const LONGEST: usize = 107 - 4;

impl Main {
    /// The pid file, absolute.
    pub fn pid_path(&self, cx: &Cx<'_>) -> PathBuf {
        cx.path(&self.pid().unwrap_or_else(|| (*b"logs/nginx.pid").into()))
    }

    /// The control socket's path, not yet absolute. `on`: the pid file's with `.sock` for its extension.
    pub fn control_path(&self) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        match self.control()? {
            Control::Off => None,
            Control::On => {
                Some(path(&self.pid().unwrap_or_else(|| (*b"logs/nginx.pid").into())).with_extension("sock"))
            }
            Control::Path(bytes) => Some(path(&bytes)),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    show(bytes).into_owned()
}

fn control(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Control>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let word = d.arg(0);
    *slot = match word {
        b"on" => Some(Control::On),
        b"off" => Some(Control::Off),
        _ => {
            word.strip_prefix(b"unix:").filter(|path| !path.is_empty()).map(|path| Control::Path(path.into()))
        }
    };
    match slot {
        None => cx.emerg(
            d,
            format!(
                "invalid value \"{}\" in \"control\" directive, it must be \"on\", \"off\" or \"unix:PATH\"",
                show(word)
            ),
        ),
        Some(Control::Path(path)) if cx.path(path).as_os_str().len() > LONGEST => {
            cx.emerg(d, format!("the path of \"{}\" is longer than {LONGEST} bytes", show(word)));
        }
        Some(_) => {}
    }
}

fn user(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Option<(String, Option<String>)>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    if !sys::is_root() {
        return cx.warn(
            d,
            "the \"user\" directive makes sense only if the master process runs with super-user privileges, ignored",
        );
    }
    let name = text(d.arg(0));
    let group = d.args().get(1).map(|w| text(&w.value));
    let is = |found: std::io::Result<bool>| found.unwrap_or(false);
    if !is(sys::lookup_user(&name).map(|u| u.is_some())) {
        return cx.emerg(d, format!("getpwnam(\"{name}\") failed"));
    }
    let of = group.as_ref().unwrap_or(&name);
    if !is(sys::lookup_group(of).map(|g| g.is_some())) {
        return cx.emerg(d, format!("getgrnam(\"{of}\") failed"));
    }
    *slot = Some(Some((name, group)));
}

fn workers(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<u64>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    *slot = match d.arg(0) {
        b"auto" => Some(std::thread::available_parallelism().map_or(1, |n| n.get() as u64)),
        number => values::number(number),
    };
    if slot.is_none() {
        cx.says(d, "invalid value");
    }
}

fn priority(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<i64>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let (minus, digits) = match d.arg(0) {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    match values::number(digits).and_then(|n| i64::try_from(n).ok()) {
        Some(n) => *slot = Some(if minus { -n } else { n }),
        None => cx.says(d, "invalid number"),
    }
}

fn env(_: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<(String, Option<String>)>>) {
    let word = text(d.arg(0));
    let pair = match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word, None),
    };
    slot.get_or_insert_default().push(pair);
}

fn connections(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<u64>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    *slot = values::number(d.arg(0));
    if slot.is_none() {
        cx.emerg(d, format!("invalid number \"{}\"", show(d.arg(0))));
    }
}

fn method(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Box<[u8]>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    match d.arg(0) {
        word @ (b"epoll" | b"select" | b"poll") => *slot = Some(word.into()),
        word => cx.emerg(d, format!("invalid event type \"{}\"", show(word))),
    }
}
