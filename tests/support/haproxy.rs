//! The HAProxy that is installed, to compare with.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use super::daemon::free_port;
use super::eventually;

/// A running HAProxy. Dropped, it is stopped.
pub struct Haproxy {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Haproxy {
    /// Starts it on `conf`, in which `%%PORT%%` is its port; `None` when there is none here.
    pub fn start(conf: &str) -> Option<Self> {
        let program = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"]
            .into_iter()
            .find(|p| std::path::Path::new(p).is_file())?;
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = dir.path().join("haproxy.cfg");
        std::fs::write(&file, conf.replace("%%PORT%%", &port.to_string())).unwrap();
        let mut command = Command::new(program);
        command
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        eventually("HAProxy listens", || {
            assert!(child.try_wait().unwrap().is_none(), "HAProxy refused:\n{conf}");
            TcpStream::connect(addr).ok()
        });
        Some(Self { child, port, _dir: dir })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
