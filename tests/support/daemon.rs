//! A proxy as a process of its own, in a prefix of its own.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::{SOON, eventually};

/// Which program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    Tenrec,
    /// The nginx to compare with.
    Nginx(PathBuf),
}

impl Program {
    pub fn path(&self) -> &Path {
        match self {
            Program::Tenrec => Path::new(env!("CARGO_BIN_EXE_tenrec")),
            Program::Nginx(path) => path,
        }
    }
}

/// The nginx named by `TENREC_NGINX`, or the one installed.
pub fn nginx() -> Option<Program> {
    let named = std::env::var_os("TENREC_NGINX").map(PathBuf::from);
    let known = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].map(PathBuf::from);
    named.into_iter().chain(known).find(|p| p.is_file()).map(Program::Nginx)
}

/// Whether that nginx is of the version whose behaviour tenrec follows; an older one differs in places.
pub fn nginx_is_current(nginx: &Program) -> bool {
    let said = Command::new(nginx.path()).arg("-v").output().unwrap().stderr;
    String::from_utf8_lossy(&said).contains("nginx/1.31.")
}

/// Ports that were given away, each with the lock that says so to other processes.
static TAKEN: Mutex<Vec<(u16, Option<UnixListener>)>> = Mutex::new(Vec::new());

/// A port that nobody has, and that nobody is given while this process lives: neither another test, in whatever process,
/// nor a socket that asks the kernel for any port. (What the kernel calls free it gives to the next who asks: a test would
/// talk to another one's server.)
pub fn free_port() -> u16 {
    let mut taken = TAKEN.lock().unwrap();
    let start = std::process::id().wrapping_mul(2_654_435_761);
    let own = || {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let first_of_kernel: u32 = range.split_whitespace().next()?.parse().ok()?;
        let many = first_of_kernel.checked_sub(FIRST)?;
        (0..many).find_map(|i| {
            let port = u16::try_from(FIRST + start.wrapping_add(i) % many).ok()?;
            if taken.iter().any(|t| t.0 == port) {
                return None;
            }
            let name = format!("tenrec-test-port-{port}");
            let lock = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()?;
            TcpListener::bind(("0.0.0.0", port)).ok().map(|_| (port, Some(lock)))
        })
    };
    let (port, lock) = own().unwrap_or_else(|| {
        loop {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if taken.iter().all(|t| t.0 != port) {
                break (port, None);
            }
        }
    });
    taken.push((port, lock));
    port
}

/// Below are ports that services of the machine may want.
const FIRST: u32 = 10_000;

/// A running proxy. Dropped, it is told to stop and waited for.
pub struct Daemon {
    child: Child,
    /// The master that a new binary is, when the first one has gone.
    heir: Option<i32>,
    dir: tempfile::TempDir,
    ports: BTreeMap<u16, u16>,
    program: Program,
}

impl Daemon {
    /// Starts tenrec on `conf`. See [`Daemon::run`].
    #[track_caller]
    pub fn start(conf: &str) -> Self {
        Self::run(Program::Tenrec, conf, &[])
    }

    /// Starts `program` on `conf` with `files` (paths relative to the prefix) beside it, and waits until every
    /// `listen` answers. In the configuration `%%8080%%` is a port from the kernel, the same one wherever 8080
    /// stands; `%%DIR%%` is the prefix.
    #[track_caller]
    pub fn run(program: Program, conf: &str, files: &[(&str, &[u8])]) -> Self {
        for attempt in 0.. {
            match Self::try_run(&program, conf, files) {
                Ok(daemon) => return daemon,
                Err(why) if attempt < 3 && why.contains("Address already in use") => {}
                Err(why) => panic!("{program:?} did not start: {why}"),
            }
        }
        unreachable!("the loop returns or panics");
    }

    fn try_run(program: &Program, conf: &str, files: &[(&str, &[u8])]) -> Result<Self, String> {
        let dir = prefix(files);
        let mut ports = BTreeMap::new();
        std::fs::write(dir.path().join("nginx.conf"), fill(conf, dir.path(), &mut ports)).unwrap();
        let child = command(program, dir.path())
            .args(["-g", "daemon off;"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, heir: None, dir, ports, program: program.clone() };
        let end = std::time::Instant::now() + SOON;
        for name in listening(conf) {
            let addr = std::net::SocketAddr::from(([127, 0, 0, 1], daemon.port(name)));
            while TcpStream::connect_timeout(&addr, SOON).is_err() {
                if let Some(status) = daemon.child.try_wait().unwrap() {
                    return Err(format!("{status}: {}", daemon.stderr()));
                }
                assert!(std::time::Instant::now() < end, "{addr} never answered: {}", daemon.stderr());
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // Sockets answer before all of it is there: a worker is the last thing that a master makes.
        let children = format!("/proc/{0}/task/{0}/children", daemon.child.id());
        let made = || !std::fs::read_to_string(&children).is_ok_and(|text| text.trim().is_empty());
        let end = std::time::Instant::now() + Duration::from_secs(2);
        while !conf.contains("master_process off") && !made() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(daemon)
    }

    /// The port that stands for `name` in the configuration.
    #[track_caller]
    pub fn port(&self, name: u16) -> u16 {
        *self.ports.get(&name).unwrap_or_else(|| panic!("no %%{name}%% in the configuration"))
    }

    /// Every name in the configuration with its port.
    pub fn ports(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        self.ports.iter().map(|(&name, &port)| (name, port))
    }

    pub fn pid(&self) -> i32 {
        self.heir.unwrap_or(self.child.id() as i32)
    }

    /// From now on the master of this pid is the daemon, which is not this process's child.
    pub fn adopt(&mut self, heir: i32) {
        self.heir = Some(heir);
    }

    pub fn prefix(&self) -> &Path {
        self.dir.path()
    }

    pub fn stderr(&self) -> String {
        self.file("stderr")
    }

    /// A file of the prefix as text; empty when there is none.
    pub fn file(&self, name: &str) -> String {
        let bytes = std::fs::read(self.dir.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `needle` stands in the prefix's file `name`, and gives the line.
    #[track_caller]
    pub fn logged(&self, name: &str, needle: &str) -> String {
        eventually(&format!("{needle:?} in {name}"), || {
            self.file(name).lines().find(|l| l.contains(needle)).map(str::to_owned)
        })
    }

    /// Puts another configuration in place of the running one, ports staying what they are. Nobody is told.
    pub fn rewrite(&mut self, conf: &str) {
        let text = fill(conf, self.dir.path(), &mut self.ports);
        std::fs::write(self.dir.path().join("nginx.conf"), text).unwrap();
    }

    /// Runs the program once more on the same prefix: `-t`, `-s reload`, ….
    pub fn control(&self, args: &[&str]) -> Output {
        command(&self.program, self.dir.path()).args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a subcommand that asks this daemon.
    pub fn run_sub(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.program.path());
        command
            .args(args)
            .arg("-p")
            .arg(format!("{}/", self.dir.path().display()))
            .args(["-c", "nginx.conf"]);
        command.stdin(Stdio::null()).output().unwrap()
    }

    pub fn signal(&self, signal: &str) {
        kill(self.pid(), signal);
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        if let Some(heir) = self.heir {
            eventually("the new binary's process ends", || gone(heir).then_some(()));
        }
        let child = &mut self.child;
        eventually("the process ends", || child.try_wait().unwrap())
    }

    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(heir) = self.heir.filter(|heir| !gone(*heir)) {
            kill(heir, "TERM");
            eventually("the new binary's process ends", || gone(heir).then_some(()));
        }
        if self.child.try_wait().ok().flatten().is_some() {
            return;
        }
        self.signal("TERM");
        let end = std::time::Instant::now() + SOON;
        while std::time::Instant::now() < end {
            if self.child.try_wait().ok().flatten().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether there is no such process, or nothing but its exit code.
fn gone(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
}

/// Sends `signal` (`HUP`, `TERM`, …) to one process.
pub fn kill(pid: i32, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -s {signal} {pid}: {status}");
}

/// A prefix with the folders that a configuration expects, and `files` in it.
pub fn prefix(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["logs", "conf", "html"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

/// The program on `dir`/nginx.conf, everything that it would write kept inside `dir`.
pub fn command(program: &Program, dir: &Path) -> Command {
    let mut command = Command::new(program.path());
    command.arg("-p").arg(format!("{}/", dir.display())).args(["-c", "nginx.conf", "-e", "error.log"]);
    command
}

/// Runs `program` with `args` on a configuration that is not started: `-t` and its kin.
pub fn once(program: &Program, conf: &str, args: &[&str]) -> Output {
    let dir = prefix(&[]);
    std::fs::write(dir.path().join("nginx.conf"), fill(conf, dir.path(), &mut BTreeMap::new())).unwrap();
    command(program, dir.path()).args(args).stdin(Stdio::null()).output().unwrap()
}

fn fill(conf: &str, dir: &Path, ports: &mut BTreeMap<u16, u16>) -> String {
    let mut parts = conf.split("%%");
    let mut out = parts.next().unwrap_or_default().to_owned();
    while let (Some(name), Some(text)) = (parts.next(), parts.next()) {
        match name.parse::<u16>() {
            Ok(name) => out.push_str(&ports.entry(name).or_insert_with(free_port).to_string()),
            Err(_) if name == "DIR" => out.push_str(&dir.display().to_string()),
            Err(_) => panic!("no such word in a test's configuration: %%{name}%%"),
        }
        out.push_str(text);
    }
    out
}

/// The port names behind `listen`.
fn listening(conf: &str) -> Vec<u16> {
    conf.split("listen")
        .skip(1)
        .filter_map(|rest| rest.split(';').next()?.split("%%").nth(1)?.parse().ok())
        .collect()
}
