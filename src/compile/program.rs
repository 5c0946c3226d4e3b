//! The whole plan, put together.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::logs::Logs;
use super::proxy::Upstreams;
use super::resolver::Resolvers;
use super::tls::Read;
use super::{Names, listeners, locations};
use crate::config::{Found, Http, Settings};
use crate::plan::{Plan, Process};

/// By the file that a configuration names.
pub type Passwords = HashMap<Box<[u8]>, Arc<[Box<[u8]>]>>;

/// What the parts of the compiler share while a plan is made.
pub struct Builder<'a> {
    pub found: &'a mut Found,
    pub http: &'a Http,
    pub prefix: &'a Path,
    /// The folder of the main file.
    pub folder: &'a Path,
    /// Files of certificates and keys are read.
    pub files: bool,
    /// The passwords of files that were read.
    pub passwords: Passwords,
    pub names: Names,
    pub logs: Logs,
    pub upstreams: Upstreams,
    pub resolvers: Resolvers,
    /// What TLS has read.
    pub read: Read,
    pub plan: Plan,
}

/// The plan of settings; of use only when `found` holds nothing fatal. Without `files` no certificate and no key is read, and
/// the plan cannot run what needs them.
pub fn compile(settings: &Settings, prefix: &Path, files: bool, found: &mut Found) -> Plan {
    let process = process(settings, prefix);
    let empty = Http::default();
    let http = settings.http.as_ref().unwrap_or(&empty);
    let mut b = Builder {
        found,
        http,
        prefix,
        folder: &settings.folder,
        files,
        passwords: Passwords::new(),
        names: Names::default(),
        logs: Logs::default(),
        upstreams: Upstreams::default(),
        resolvers: Resolvers::new(),
        read: Read::default(),
        plan: Plan { process, ..Plan::default() },
    };
    if settings.http.is_some() {
        b.tables();
        b.set_variables();
        for name in &settings.used {
            b.names.var(name);
        }
        b.formats();
        b.name_upstreams();
        b.names_of_servers();
        b.limit_zones();
        locations::compile(&mut b);
        listeners::compile(&mut b);
        b.plan.parallel =
            b.plan.upstreams.iter().any(|u| u.pins.as_ref().is_some_and(|p| p.parallel.is_some()));
        b.plan.slots = b.names.finish(http.close, b.found);
    }
    b.plan.regexes = std::mem::take(&mut b.names.regexes);
    b.plan.log_files = std::mem::take(&mut b.logs.files);
    b.plan.log_order = std::mem::take(&mut b.found.logs);
    b.plan
}

fn process(settings: &Settings, prefix: &Path) -> Process {
    let main = &settings.main;
    let events = settings.events.clone().unwrap_or_default();
    let path = |bytes: &[u8]| {
        use std::os::unix::ffi::OsStrExt;
        prefix.join(Path::new(std::ffi::OsStr::from_bytes(bytes)))
    };
    let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Process {
        user: main.user(),
        workers: clamp(main.workers()),
        connections: clamp(events.connections()),
        daemon: main.daemon(),
        master_process: main.master_process(),
        pid: path(&main.pid().unwrap_or_else(|| (*b"logs/nginx.pid").into())),
        control: main.control_path().map(|p| prefix.join(p)),
        error_logs: main.error_logs(),
        shutdown_timeout: main.shutdown_timeout().filter(|t| !t.is_zero()),
        rlimit_nofile: main.rlimit_nofile(),
        working_directory: main.working_directory().map(|d| path(&d)),
        env: main.env(),
    }
}
