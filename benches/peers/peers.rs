//! The proxies: how each is configured for a case, started on processor 0, and stopped.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cases::{BROWSER, By, Case};
use crate::checks::{self, Check, Run};
use crate::measure::{Figures, load};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tenrec,
    Nginx,
    Tengine,
    Haproxy,
}

impl Peer {
    pub const ALL: [Peer; 4] = [Peer::Tenrec, Peer::Nginx, Peer::Tengine, Peer::Haproxy];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Tenrec => "tenrec",
            Peer::Nginx => "nginx",
            Peer::Tengine => "tengine",
            Peer::Haproxy => "haproxy",
        }
    }
}

/// What is installed, and the backends, which run for the whole bench.
pub struct Bench {
    nginx: PathBuf,
    nginx_version: String,
    /// A built Tengine, named by `TENREC_TENGINE`.
    tengine: Option<PathBuf>,
    haproxy: Option<PathBuf>,
    wrk: PathBuf,
    dir: tempfile::TempDir,
    backends: Vec<u16>,
    _origin: Process,
}

/// A child that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status();
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            if let Ok(Some(_)) = self.0.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bench {
    pub fn prepare() -> Result<Self, String> {
        if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
            return Err("needs two processors".to_owned());
        }
        install();
        let wrk = find("wrk", "").ok_or("wrk is not installed and could not be")?;
        let nginx = find("nginx", "TENREC_NGINX").ok_or("nginx is not installed and could not be")?;
        let version = Command::new(&nginx).arg("-v").output().map_err(|e| e.to_string())?;
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let backends = vec![free_port()?, free_port()?];
        let conf = origin_conf(dir.path(), &backends);
        let origin = start(&nginx, "1", dir.path(), "origin.conf", &conf)?;
        answers(backends[0])?;
        Ok(Self {
            nginx_version: String::from_utf8_lossy(&version.stderr).trim().replace("nginx version: ", ""),
            nginx,
            tengine: std::env::var_os("TENREC_TENGINE").map(PathBuf::from),
            haproxy: find("haproxy", ""),
            wrk,
            dir,
            backends,
            _origin: origin,
        })
    }

    /// `Err`: why a proxy has no row in a case.
    pub fn has(&self, peer: Peer, case: &Case) -> Result<(), &'static str> {
        let own = case.session.as_ref().is_some_and(|s| s.of == peer);
        match (peer, case.words(peer)) {
            (Peer::Nginx, Some(words)) if words.starts_with("sticky") && !self.nginx_sticks() => {
                Err("this nginx is older than 1.29.6 and has no sticky")
            }
            (_, Some(_)) if case.session.is_none() && peer == Peer::Tengine => Err(""),
            (Peer::Tengine, Some(_)) if self.tengine.is_none() => Err("TENREC_TENGINE names none"),
            (Peer::Haproxy, Some(_)) if self.haproxy.is_none() => Err("it is not installed"),
            (_, Some(_)) => Ok(()),
            (_, None) if own => Err("it has no such thing"),
            (_, None) => Err(""),
        }
    }

    /// `-t` of nginx or of tenrec.
    pub fn check(&self, check: &Check, nginx: bool) -> Result<Run, String> {
        let program = if nginx { &self.nginx } else { Path::new(env!("CARGO_BIN_EXE_tenrec")) };
        checks::run(program, check, self.dir.path())
    }

    pub fn describe(&self) -> String {
        let haproxy = match &self.haproxy {
            Some(path) => {
                let out = Command::new(path).arg("-v").output().map(|o| o.stdout).unwrap_or_default();
                String::from_utf8_lossy(&out).lines().next().unwrap_or_default().to_owned()
            }
            None => "no HAProxy here: its rows are left out".to_owned(),
        };
        format!("tenrec {}, {}, {haproxy}", env!("CARGO_PKG_VERSION"), self.nginx_version)
    }

    /// Starts `peer` for `case`, loads it, stops it.
    pub fn run(&self, peer: Peer, case: &Case, seconds: u64) -> Result<Figures, String> {
        let port = free_port()?;
        let dir = self.dir.path();
        let process = match peer {
            Peer::Tenrec | Peer::Nginx | Peer::Tengine => {
                let program = match peer {
                    Peer::Tenrec => Path::new(env!("CARGO_BIN_EXE_tenrec")),
                    Peer::Nginx => &self.nginx,
                    _ => self.tengine.as_deref().ok_or("no Tengine")?,
                };
                let conf = self.nginx_conf(port, case.words(peer).unwrap_or_default());
                start(program, "0", dir, &format!("{}.conf", peer.name()), &conf)?
            }
            Peer::Haproxy => {
                let program = self.haproxy.as_deref().ok_or("no haproxy")?;
                let file = dir.join("haproxy.cfg");
                std::fs::write(&file, self.haproxy_conf(port, case)).map_err(|e| e.to_string())?;
                let mut command = pinned("0", program);
                command.arg("-db").arg("-f").arg(file);
                Process(command.spawn().map_err(|e| e.to_string())?)
            }
        };
        answers(port)?;
        let mut fields: Vec<String> = Vec::new();
        if case.browser {
            fields.extend(BROWSER.iter().map(|f| (*f).to_owned()));
        }
        if case.close {
            fields.push("Connection: close".to_owned());
        }
        let pin = match case.session.as_ref().map(|s| s.by) {
            None => None,
            Some(By::Given) => Some(cookie(port)?.ok_or("no session's cookie was given")?),
            Some(By::Own(pair)) => Some(pair.to_owned()),
            Some(By::Address) => Some("SRV=none".to_owned()),
        };
        if let (Some(pin), Some(session)) = (pin, &case.session) {
            keeps(port, &pin, session.by)?;
            fields.push(format!("Cookie: lang=en; {pin}; theme=dark"));
        }
        let url = format!("http://127.0.0.1:{port}/{}", case.body);
        load(&self.wrk, process.0.id(), &url, &fields, case.connections, seconds)
    }

    /// Whether this nginx has `sticky` (1.29.6 and later).
    fn nginx_sticks(&self) -> bool {
        let mut parts =
            self.nginx_version.trim_start_matches("nginx/").split('.').map_while(|p| p.parse::<u32>().ok());
        let version = (parts.next(), parts.next(), parts.next());
        version >= (Some(1), Some(29), Some(6))
    }

    fn nginx_conf(&self, port: u16, sticky: &str) -> String {
        let names = match sticky {
            _ if sticky.contains("hash=plain") => "id=s",
            _ if sticky.starts_with("sticky route") => "route=r",
            _ => "",
        };
        let name = |i: usize| if names.is_empty() { String::new() } else { format!("{names}{i}") };
        let servers: String = (self.backends.iter().enumerate())
            .map(|(i, p)| format!("server 127.0.0.1:{p} {};\n", name(i)))
            .collect();
        let hide = if sticky.contains("indirect") { "session_sticky_hide_cookie upstream=b;" } else { "" };
        let user = user();
        format!(
            "{user}\nworker_processes 1;\npid {dir}/p{port}.pid;\nerror_log {dir}/error.log;\n\
             events {{ worker_connections 4096; }}\nhttp {{\naccess_log off;\nkeepalive_requests 1000000000;\n\
             upstream b {{ {sticky} {servers} keepalive 64; keepalive_requests 1000000000; }}\n\
             server {{ listen 127.0.0.1:{port} backlog=4096;\n\
             location / {{ {hide} proxy_pass http://b; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_set_header Host $host; }} }} }}\n",
            dir = self.dir.path().display(),
        )
    }

    fn haproxy_conf(&self, port: u16, case: &Case) -> String {
        let cookie = case.words(Peer::Haproxy).unwrap_or_default();
        let servers: String = (self.backends.iter().enumerate())
            .map(|(i, p)| format!("    server s{i} 127.0.0.1:{p} cookie s{i}\n"))
            .collect();
        format!(
            "global\n    nbthread 1\n    maxconn 8192\ndefaults\n    mode http\n    timeout connect 5s\n    \
             timeout client 60s\n    timeout server 60s\n    http-reuse always\nfrontend f\n    \
             bind 127.0.0.1:{port}\n    default_backend b\nbackend b\n    balance roundrobin\n    {cookie}\n{servers}"
        )
    }
}

fn origin_conf(dir: &Path, ports: &[u16]) -> String {
    let listens: String = ports.iter().map(|p| format!("listen 127.0.0.1:{p} backlog=4096;\n")).collect();
    for size in [1024, 65536] {
        // A file that cannot be written shows as a backend that does not answer.
        let _ = std::fs::write(dir.join(size.to_string()), vec![b'x'; size]);
    }
    format!(
        "{user}\nworker_processes 1;\npid {dir}/origin.pid;\nerror_log {dir}/origin.log;\n\
         events {{ worker_connections 4096; }}\nhttp {{ access_log off; keepalive_requests 1000000000; sendfile on;\n\
         open_file_cache max=10;\nserver {{ {listens} root {dir}; add_header X-Backend $server_port; }} }}\n",
        user = user(),
        dir = dir.display(),
    )
}

/// The workers read files of this run's own folder: they stay who started them.
fn user() -> &'static str {
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if root { "user root;" } else { "" }
}

fn pinned(cpu: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cpu]).arg(program).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn start(program: &Path, cpu: &str, dir: &Path, file: &str, conf: &str) -> Result<Process, String> {
    let path = dir.join(file);
    std::fs::write(&path, conf).map_err(|e| e.to_string())?;
    let mut command = pinned(cpu, program);
    command.arg("-p").arg(dir).arg("-c").arg(path).args(["-e", "start.log", "-g", "daemon off;"]);
    command.spawn().map(Process).map_err(|e| format!("{}: {e}", program.display()))
}

fn free_port() -> Result<u16, String> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    bound.map(|a| a.port()).map_err(|e| e.to_string())
}

fn answers(port: u16) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > end {
            return Err(format!("nothing answers on port {port}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// One answer, with `fields` in the request.
fn ask(port: u16, fields: &str) -> Result<String, String> {
    let once = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let head = format!("GET /1024 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(head.as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    once().map_err(|e| e.to_string())
}

/// The session cookie that a first request is given.
fn cookie(port: u16) -> Result<Option<String>, String> {
    let text = ask(port, "")?;
    Ok(text.lines().find_map(|l| {
        Some(l.strip_prefix("Set-Cookie: ").or(l.strip_prefix("set-cookie: "))?.split(';').next()?.to_owned())
    }))
}

/// With the session's cookie one backend answers, without a cookie both do in turn, or what has no cookie is one session
/// as well. Otherwise what is measured is no stickiness.
fn keeps(port: u16, pin: &str, by: By) -> Result<(), String> {
    let backends = |fields: &str| -> Result<usize, String> {
        let mut seen = Vec::new();
        for _ in 0..6 {
            let text = ask(port, fields)?;
            let named =
                text.lines().find_map(|l| l.strip_prefix("X-Backend: ").or(l.strip_prefix("x-backend: ")));
            let named = named.ok_or_else(|| format!("no backend answered: {text}"))?.to_owned();
            if !seen.contains(&named) {
                seen.push(named);
            }
        }
        Ok(seen.len())
    };
    match (backends("")?, backends(&format!("Cookie: lang=en; {pin}; theme=dark\r\n"))?) {
        (2, 1) => Ok(()),
        (1, 1) if by != By::Given => Ok(()),
        (without, with) => Err(format!("{without} backends without a session's cookie, {with} with it")),
    }
}

fn find(program: &str, variable: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(PathBuf::from(path));
    }
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    path.split(':').map(|d| Path::new(d).join(program)).find(|p| p.is_file())
}

fn install() {
    let missing: Vec<&str> =
        ["wrk", "nginx", "haproxy"].into_iter().filter(|p| find(p, "").is_none()).collect();
    if missing.is_empty() {
        return;
    }
    println!("installing {}", missing.join(" "));
    for args in [&["update"][..], &["install", "-y", "--no-install-recommends"][..]] {
        let mut command = Command::new("apt-get");
        command
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if args.len() > 1 {
            command.args(&missing);
        }
        if !command.status().is_ok_and(|s| s.success()) {
            println!("could not install {}", missing.join(" "));
            return;
        }
    }
}
