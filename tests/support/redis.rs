//! redis-server as the machine has it, or the server that `TENREC_REDIS` names: a Valkey, say.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::daemon::free_port;
use super::eventually;

/// A running server. Dropped, it is killed.
pub struct Redis {
    child: Child,
    port: u16,
    args: Vec<String>,
    dir: tempfile::TempDir,
    /// What redis-cli needs to come in.
    way: Vec<String>,
}

/// The program.
fn server() -> OsString {
    std::env::var_os("TENREC_REDIS").unwrap_or_else(|| "redis-server".into())
}

/// Whether there is one here, and somebody to ask it.
pub fn installed() -> bool {
    let cli = Command::new("redis-cli").arg("--version").output().is_ok_and(|o| o.status.success());
    cli && Command::new(server()).arg("--version").output().is_ok_and(|o| o.status.success())
}

impl Redis {
    /// A server that keeps nothing on disk; `args` are its options.
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, &["--port"], &[])
    }

    /// The same with another option for the port, and what redis-cli needs beside it.
    pub fn start_with(args: &[&str], port_option: &[&str], way: &[&str]) -> Self {
        let port = free_port();
        let dir = tempfile::tempdir().unwrap();
        let mut all: Vec<String> = port_option.iter().map(|&o| o.to_owned()).collect();
        all.push(port.to_string());
        all.extend(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned));
        all.extend(args.iter().map(|&a| a.to_owned()));
        let child = run(&all, dir.path());
        let way = way.iter().map(|&w| w.to_owned()).collect();
        let redis = Self { child, port, args: all, dir, way };
        redis.ready();
        redis
    }

    fn ready(&self) {
        eventually("redis-server answers", || (self.cli(&["PING"]).contains("PONG")).then_some(()));
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, empty, where it was.
    pub fn again(&mut self) {
        self.kill();
        self.child = run(&self.args, self.dir.path());
        self.ready();
    }

    /// What redis-cli prints.
    pub fn cli(&self, args: &[&str]) -> String {
        String::from_utf8_lossy(&self.output(args).stdout).trim().to_owned()
    }

    pub fn output(&self, args: &[&str]) -> Output {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--no-auth-warning"])
            .args(&self.way)
            .args(args);
        cli.stdin(Stdio::null()).output().unwrap()
    }

    /// The names of all keys.
    pub fn keys(&self) -> Vec<String> {
        self.cli(&["KEYS", "*"]).lines().filter(|l| !l.is_empty()).map(str::to_owned).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(args: &[String], dir: &Path) -> Child {
    let mut server = Command::new(server());
    server.args(args).arg("--dir").arg(dir);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
