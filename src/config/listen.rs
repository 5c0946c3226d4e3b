//! `listen`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::cx::show;
use super::{Cx, Place};
use crate::plan::{KeepAlive, ListenAddr, ListenOptions};
use crate::source::Dir;
use crate::sys;
use crate::values::{self, Host};

/// One `listen` line.
#[derive(Debug, Clone)]
pub struct Listen {
    /// One address, or each of a range of ports or of a host's addresses, without repetition.
    pub addrs: Vec<ListenAddr>,
    pub default_server: bool,
    /// Whether an option of the socket was given, which one line only may do for an address.
    pub set: bool,
    /// Whether the address is bound although a wildcard one is.
    pub bind: bool,
    pub proxy_protocol: bool,
    /// `http2`, deprecated.
    pub http2: bool,
    pub ssl: bool,
    pub options: ListenOptions,
    pub at: Place,
}

impl Listen {
    /// What a server without `listen` has.
    pub fn default_of(root: bool, at: Place) -> Self {
        let port = if root { 80 } else { 8000 };
        Self {
            addrs: vec![ListenAddr::Inet(SocketAddr::from(([0, 0, 0, 0], port)))],
            default_server: false,
            set: false,
            bind: false,
            proxy_protocol: false,
            http2: false,
            ssl: false,
            options: ListenOptions::default(),
            at,
        }
    }

    /// Reads a line; `None` when it is refused.
    pub fn read(cx: &mut Cx<'_>, d: Dir<'_>) -> Option<Self> {
        let addrs = match addresses(d.arg(0)) {
            Ok(addrs) => addrs,
            Err(e) => {
                let shown = show(d.arg(0));
                cx.emerg(d, format!("{e} in \"{shown}\" of the \"listen\" directive"));
                return None;
            }
        };
        let mut listen = Self {
            addrs,
            default_server: false,
            set: false,
            bind: false,
            proxy_protocol: false,
            http2: false,
            ssl: false,
            options: ListenOptions::default(),
            at: d.at(),
        };
        for word in d.args().get(1..).unwrap_or_default() {
            if let Err(wrong) = listen.parameter(&word.value) {
                cx.emerg(d, wrong);
                return None;
            }
            if *word.value == *b"http2" {
                let instead = "use the \"http2\" directive instead";
                cx.warn(d, format!("the \"listen ... http2\" directive is deprecated, {instead}"));
            }
        }
        Some(listen)
    }

    fn parameter(&mut self, word: &[u8]) -> Result<(), String> {
        let shown = show(word);
        let options = &mut self.options;
        match word {
            b"default_server" | b"default" => {
                self.default_server = true;
                return Ok(());
            }
            b"proxy_protocol" => {
                self.proxy_protocol = true;
                return Ok(());
            }
            b"ssl" => {
                self.ssl = true;
                return Ok(());
            }
            b"http2" => {
                self.http2 = true;
                return Ok(());
            }
            b"quic" => return Err("the \"quic\" parameter requires ngx_http_v3_module".to_owned()),
            b"multipath" => return Err("multipath is not supported on this platform, ignored".to_owned()),
            b"bind" => {}
            b"deferred" => options.deferred = true,
            b"reuseport" => options.reuseport = true,
            b"ipv6only=on" => options.ipv6only = Some(true),
            b"ipv6only=off" => options.ipv6only = Some(false),
            _ => self.valued(word).map_err(|what| {
                what.map_or_else(|| format!("invalid parameter \"{shown}\""), |w| w.replace("{}", &shown))
            })?,
        }
        self.set = true;
        self.bind = true;
        Ok(())
    }

    /// `name=value`; the error is nginx's words with `{}` for the parameter, or nothing for an unknown one.
    fn valued(&mut self, word: &[u8]) -> Result<(), Option<String>> {
        let eq = word.iter().position(|&b| b == b'=').ok_or(None)?;
        let (name, value) = word.split_at(eq);
        let value = value.get(1..).unwrap_or_default();
        let wrong = |name: &str| Some(format!("invalid {name} \"{{}}\""));
        let int = |v: &[u8]| values::number(v).and_then(|n| i32::try_from(n).ok());
        let bytes = |v: &[u8]| values::size(v).and_then(|n| usize::try_from(n).ok());
        let options = &mut self.options;
        match name {
            b"backlog" => {
                options.backlog = Some(int(value).filter(|&n| n > 0).ok_or_else(|| wrong("backlog"))?);
            }
            b"fastopen" => options.fastopen = Some(int(value).ok_or_else(|| wrong("fastopen"))?),
            b"rcvbuf" => options.rcvbuf = Some(bytes(value).ok_or_else(|| wrong("rcvbuf"))?),
            b"sndbuf" => options.sndbuf = Some(bytes(value).ok_or_else(|| wrong("sndbuf"))?),
            b"ipv6only" if value.first() == Some(&b'o') => {
                return Err(Some(format!("invalid ipv6only flags \"{}\"", show(value))));
            }
            b"accept_filter" => {
                return Err(Some(
                    "accept filters \"{}\" are not supported on this platform, ignored".to_owned(),
                ));
            }
            b"so_keepalive" => {
                let text = || Some(format!("invalid so_keepalive value: \"{}\"", show(value)));
                options.keepalive = Some(keepalive(value).ok_or_else(text)?);
            }
            _ => return Err(None),
        }
        Ok(())
    }
}

/// `on`, `off`, or `idle:interval:count` with parts left out.
fn keepalive(value: &[u8]) -> Option<KeepAlive> {
    match value {
        b"on" => return Some(KeepAlive { on: true, ..KeepAlive::default() }),
        b"off" => return Some(KeepAlive::default()),
        _ => {}
    }
    let mut parts = value.splitn(3, |&b| b == b':');
    let mut seconds = || match parts.next() {
        None | Some(b"") => Some(0),
        Some(text) => values::sec(text),
    };
    let (idle, interval) = (seconds()?, seconds()?);
    let count = match parts.next() {
        None | Some(b"") => 0,
        Some(text) => u32::try_from(values::number(text)?).ok()?,
    };
    if idle == 0 && interval == 0 && count == 0 {
        return None;
    }
    let time = |s: u64| (s > 0).then(|| Duration::from_secs(s));
    Some(KeepAlive {
        on: true,
        idle: time(idle),
        interval: time(interval),
        count: (count > 0).then_some(count),
    })
}

/// The addresses of a line: ports of a range, addresses of a host.
fn addresses(text: &[u8]) -> Result<Vec<ListenAddr>, String> {
    let address = values::listen(text).map_err(|e| e.to_string())?;
    let first = address.port.unwrap_or(80);
    let last = address.last_port.unwrap_or(first);
    let ips = match address.host {
        Host::Unix(path) => {
            use std::os::unix::ffi::OsStrExt;
            return Ok(vec![ListenAddr::Unix(PathBuf::from(std::ffi::OsStr::from_bytes(path)))]);
        }
        Host::Ip(ip) => vec![ip],
        Host::Name(name) => sys::resolve(name).ok_or("host not found")?,
    };
    let mut addrs = Vec::new();
    for ip in ips {
        for port in first..=last {
            let addr = ListenAddr::Inet(SocketAddr::new(ip, port));
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
    }
    Ok(addrs)
}
