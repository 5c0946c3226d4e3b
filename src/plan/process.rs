//! What concerns the processes and not a request.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::ServerId;
use crate::diag::Severity;

/// The main and `events` contexts.
#[derive(Debug, Clone)]
pub struct Process {
    /// `user NAME [GROUP]`; `None`: not given.
    pub user: Option<(String, Option<String>)>,
    /// Threads of the worker; `worker_processes auto` is the number of processors.
    pub workers: u32,
    /// Connections a thread may hold at once (`worker_connections`, default 512).
    pub connections: u32,
    pub daemon: bool,
    pub master_process: bool,
    /// The pid file, resolved against the prefix.
    pub pid: PathBuf,
    /// The control socket, resolved against the prefix; `None`: there is none.
    pub control: Option<PathBuf>,
    /// `error_log` of the main context, in order; empty: the compiled default.
    pub error_logs: Vec<ErrorLog>,
    /// `worker_shutdown_timeout`.
    pub shutdown_timeout: Option<Duration>,
    /// `worker_rlimit_nofile`.
    pub rlimit_nofile: Option<u64>,
    /// `working_directory`.
    pub working_directory: Option<PathBuf>,
    /// `env` lines: name, and value when given.
    pub env: Vec<(String, Option<String>)>,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            user: None,
            workers: 1,
            connections: 512,
            daemon: true,
            master_process: true,
            pid: PathBuf::from("logs/nginx.pid"),
            control: None,
            error_logs: Vec::new(),
            shutdown_timeout: None,
            rlimit_nofile: None,
            working_directory: None,
            env: Vec::new(),
        }
    }
}

/// One `error_log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorLog {
    pub target: LogTarget,
    pub level: Severity,
}

/// Where a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    File(PathBuf),
    Stderr,
    /// `syslog:…`, as written after the colon.
    Syslog(String),
    /// An access log whose path has variables; resolved against the prefix.
    Variable(super::Template),
}

/// One socket that is bound. nginx binds `*:80` alone when `*:80` and `1.2.3.4:80` are both listened on, and tells the
/// two apart by the connection's local address: `addrs` has an entry for each, the wildcard one last.
#[derive(Debug, Clone)]
pub struct Listener {
    pub bind: ListenAddr,
    pub options: ListenOptions,
    pub addrs: Vec<ListenEntry>,
}

impl Listener {
    /// The entry that a connection to `local` belongs to: its own address's, else the wildcard one, which stands last.
    pub fn entry_of(&self, local: &ListenAddr) -> usize {
        self.addrs.iter().position(|e| e.addr == *local).unwrap_or(self.addrs.len().saturating_sub(1))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddr {
    Inet(SocketAddr),
    Unix(PathBuf),
}

/// The virtual servers of one address and port.
#[derive(Debug, Clone)]
pub struct ListenEntry {
    pub addr: ListenAddr,
    pub default_server: ServerId,
    pub names: super::NameRouter,
    /// `proxy_protocol` on the `listen` line.
    pub proxy_protocol: bool,
    /// `http2` on the `listen` line: HTTP/2 is spoken whatever the servers say.
    pub http2: bool,
    /// `ssl` on the `listen` line.
    pub ssl: bool,
}

/// The socket options of `listen`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenOptions {
    /// `None`: 511.
    pub backlog: Option<i32>,
    pub rcvbuf: Option<usize>,
    pub sndbuf: Option<usize>,
    pub reuseport: bool,
    pub deferred: bool,
    /// `ipv6only=`; nginx's default is on.
    pub ipv6only: Option<bool>,
    pub fastopen: Option<i32>,
    /// `so_keepalive=`: on or off, idle, interval, count.
    pub keepalive: Option<KeepAlive>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeepAlive {
    pub on: bool,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
}
