//! `syslog:` as a log (RFC 3164), sent over UDP or a unix socket.
//! <https://nginx.org/en/docs/syslog.html>

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use crate::diag::Severity;
use crate::sys;
use crate::values::Civil;

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv", "ftp",
    "ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A syslog server and how it is talked to.
#[derive(Debug)]
pub struct Syslog {
    server: Server,
    facility: usize,
    severity: usize,
    tag: String,
    /// Lower-case name of this machine; `None`: `nohostname`.
    host: Option<String>,
}

#[derive(Debug)]
enum Server {
    Udp(Option<(UdpSocket, SocketAddr)>),
    Unix(Option<UnixDatagram>, PathBuf),
}

impl Syslog {
    /// Reads `server=…,facility=…`; the configuration's check has refused what cannot be read.
    pub fn parse(text: &str) -> Self {
        let mut log = Self {
            server: Server::Udp(None),
            facility: 23,
            severity: 6,
            tag: "nginx".to_owned(),
            host: Some(sys::hostname()),
        };
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("server", to)) => log.server = Server::open(to),
                Some(("facility", name)) => {
                    log.facility = FACILITIES.iter().position(|f| *f == name).unwrap_or(log.facility);
                }
                Some(("severity", name)) => {
                    log.severity = SEVERITIES.iter().position(|s| *s == name).unwrap_or(log.severity);
                }
                Some(("tag", tag)) => tag.clone_into(&mut log.tag),
                _ if part == "nohostname" => log.host = None,
                _ => {}
            }
        }
        log
    }

    /// Sends a line, its newline left out. `severity`: that of an error line. What cannot be sent is lost, as with
    /// nginx when the server is away.
    pub(super) fn send(&self, severity: Option<Severity>, line: &[u8]) {
        let mut message = self.header(severity).into_bytes();
        message.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        let _ = match &self.server {
            Server::Udp(Some((socket, to))) => socket.send_to(&message, to),
            Server::Unix(Some(socket), path) => socket.send_to(&message, path),
            Server::Udp(None) | Server::Unix(None, _) => Ok(0),
        };
    }

    fn header(&self, severity: Option<Severity>) -> String {
        let word = severity.map(Severity::word);
        let severity = SEVERITIES.iter().position(|s| Some(*s) == word).unwrap_or(self.severity);
        let (seconds, _) = sys::now();
        let c = Civil::from_unix(seconds + i64::from(sys::utc_offset_minutes(seconds)) * 60);
        let month = MONTHS.get(usize::from(c.month).wrapping_sub(1)).copied().unwrap_or("Jan");
        let host = self.host.as_ref().map_or(String::new(), |h| format!("{h} "));
        format!(
            "<{}>{month} {:>2} {:02}:{:02}:{:02} {host}{}: ",
            self.facility * 8 + severity,
            c.day,
            c.hour,
            c.minute,
            c.second,
            self.tag
        )
    }
}

impl Server {
    fn open(to: &str) -> Self {
        if let Some(path) = to.strip_prefix("unix:") {
            let socket = UnixDatagram::unbound().ok().filter(|s| s.set_nonblocking(true).is_ok());
            return Server::Unix(socket, PathBuf::from(path));
        }
        let found = to
            .to_socket_addrs()
            .or_else(|_| (to.trim_matches(['[', ']']), 514).to_socket_addrs())
            .ok()
            .and_then(|mut addrs| addrs.next());
        let open = |addr: SocketAddr| {
            let any = if addr.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, addr))
        };
        Server::Udp(found.and_then(open))
    }
}
