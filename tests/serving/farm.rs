//! Backends that die and return, that hold a request until they are told, and that answer what the path asks for.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::support::daemon::free_port;
use crate::support::eventually;
use crate::support::origin::{Origin, Received};

pub const PEERS: usize = 6;

/// So many backends, on one port of an address each.
pub struct Farm {
    port: u16,
    live: Vec<Option<(Origin, Arc<Peer>)>>,
    gate: Arc<Gate>,
}

/// What there is of a live backend.
#[derive(Default)]
struct Peer {
    dead: AtomicBool,
    /// Connections by number, with nothing asked on them at the moment.
    idle: Mutex<BTreeMap<usize, TcpStream>>,
}

/// Who waits at a backend.
#[derive(Default)]
struct Gate {
    /// For whom it is open.
    opened: Mutex<Vec<String>>,
    news: Condvar,
    waiting: AtomicUsize,
}

impl Farm {
    pub fn new() -> Self {
        let (port, all) = eventually("a port that is free at all addresses", || {
            let port = free_port();
            let all =
                (0..PEERS).map(|i| TcpListener::bind((ip(i), port)).ok()).collect::<Option<Vec<_>>>()?;
            Some((port, all))
        });
        let mut farm = Self { port, live: (0..PEERS).map(|_| None).collect(), gate: Arc::default() };
        for (i, listener) in all.into_iter().enumerate() {
            farm.open(i, listener);
        }
        farm
    }

    pub fn addr(&self, i: usize) -> String {
        format!("{}:{}", ip(i), self.port)
    }

    pub fn alive(&self, i: usize) -> bool {
        self.live[i].is_some()
    }

    /// From now on it refuses connections. Those that are kept are closed; what waits is answered yet.
    pub fn kill(&mut self, i: usize) {
        let Some((origin, peer)) = self.live[i].take() else { return };
        peer.dead.store(true, Ordering::SeqCst);
        drop(origin);
        for kept in std::mem::take(&mut *peer.idle.lock().unwrap()).into_values() {
            let _ = kept.shutdown(Shutdown::Both);
        }
        let addr = SocketAddr::from((ip(i).parse::<std::net::IpAddr>().unwrap(), self.port));
        eventually("the backend refuses", || TcpStream::connect(addr).is_err().then_some(()));
    }

    pub fn revive(&mut self, i: usize) {
        if self.live[i].is_none() {
            let listener =
                eventually("the port is free again", || TcpListener::bind((ip(i), self.port)).ok());
            self.open(i, listener);
        }
    }

    /// How many requests wait at a backend.
    pub fn waiting(&self) -> usize {
        self.gate.waiting.load(Ordering::SeqCst)
    }

    /// Lets go on those that wait with `hold=ID`.
    pub fn release(&self, id: usize) {
        self.gate.opened.lock().unwrap().push(id.to_string());
        self.gate.news.notify_all();
    }

    fn open(&mut self, i: usize, listener: TcpListener) {
        let (peer, gate) = (Arc::<Peer>::default(), self.gate.clone());
        let me = peer.clone();
        let origin = Origin::on(listener, move |r, out| {
            me.idle.lock().unwrap().remove(&r.connection);
            let args = r.path().split_once('?').map_or("", |(_, args)| args).to_owned();
            if let Some(id) = args.split('&').find_map(|a| a.strip_prefix("hold=")) {
                gate.wait(id);
            }
            let asked = r.header("Connection") != Some("close") && !args.contains("late");
            let keep = asked && !me.dead.load(Ordering::SeqCst);
            if keep {
                me.idle.lock().unwrap().insert(r.connection, out.try_clone().unwrap());
            }
            let kept = answer((i, &args), r, out, keep);
            if !kept {
                me.idle.lock().unwrap().remove(&r.connection);
            }
            kept
        });
        self.live[i] = Some((origin, peer));
    }
}

impl Gate {
    fn wait(&self, id: &str) {
        let mut opened = self.opened.lock().unwrap();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while !opened.iter().any(|o| o == id) {
            opened = self.news.wait(opened).unwrap();
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

pub fn ip(i: usize) -> String {
    format!("127.0.0.{}", i + 2)
}

/// What the arguments of the path say: `close=PEERS`, `junk=PEERS`, `PEER=STATUS`, `set=SET-COOKIE`, `sid=VALUE` of `X-Session`. The body
/// is what was received.
fn answer((i, args): (usize, &str), r: &Received, out: &mut TcpStream, keep: bool) -> bool {
    let me = i.to_string();
    let (mut status, mut fields) = ("200".to_owned(), String::new());
    for (name, value) in args.split('&').map(|a| a.split_once('=').unwrap_or((a, ""))) {
        match name {
            "close" if value.contains(&me) => return false,
            "junk" if value.contains(&me) => {
                let _ = out.write_all(b"no such protocol\r\n\r\n");
                return false;
            }
            "set" => fields += &format!("Set-Cookie: {}\r\n", value.replace('+', " ")),
            "sid" => fields += &format!("X-Session: {value}\r\n"),
            _ if *name == me => status = value.to_owned(),
            _ => {}
        }
    }
    let mut body = format!("peer {i}, request {} of its connection\n{}", r.nth, r.head).into_bytes();
    body.extend_from_slice(&r.body);
    let length =
        if keep { format!("Content-Length: {}\r\n", body.len()) } else { "Connection: close\r\n".to_owned() };
    let head = format!("HTTP/1.1 {status} Said\r\nX-First: 1\r\n{fields}{length}x-last: 2\r\n\r\n");
    let head_only = r.head.starts_with("HEAD") || status == "204" || status == "304";
    out.write_all(head.as_bytes()).is_ok() && (head_only || out.write_all(&body).is_ok()) && keep
}
