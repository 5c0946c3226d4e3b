//! A name server on UDP and TCP that answers what a test says, well-behaved or not.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::SOON;

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;

/// A question as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub id: u16,
    pub name: String,
    pub kind: u16,
    pub tcp: bool,
    pub from: SocketAddr,
}

/// An answer as it goes.
#[derive(Debug, Clone)]
pub struct Answer {
    pub code: u16,
    pub ttl: u32,
    /// Added to the question's id.
    pub id: u16,
    pub truncated: bool,
    /// Type and data.
    pub records: Vec<(u16, Vec<u8>)>,
    /// Bytes in place of all that.
    pub raw: Option<Vec<u8>>,
}

impl Answer {
    pub fn none() -> Self {
        Self { code: 0, ttl: 1, id: 0, truncated: false, records: Vec::new(), raw: None }
    }

    pub fn code(code: u16) -> Self {
        Self { code, ..Self::none() }
    }

    pub fn a(addrs: &[&str]) -> Self {
        let data = |a: &&str| (A, a.parse::<Ipv4Addr>().unwrap().octets().to_vec());
        Self { records: addrs.iter().map(data).collect(), ..Self::none() }
    }

    pub fn aaaa(addrs: &[&str]) -> Self {
        let data = |a: &&str| (AAAA, a.parse::<Ipv6Addr>().unwrap().octets().to_vec());
        Self { records: addrs.iter().map(data).collect(), ..Self::none() }
    }

    pub fn cname(name: &str) -> Self {
        Self { records: vec![(CNAME, wire(name))], ..Self::none() }
    }

    /// Priority, weight, port, name.
    pub fn srv(list: &[(u16, u16, u16, &str)]) -> Self {
        let data = |(priority, weight, port, name): &(u16, u16, u16, &str)| {
            (SRV, [&[*priority, *weight, *port].map(u16::to_be_bytes).concat()[..], &wire(name)].concat())
        };
        Self { records: list.iter().map(data).collect(), ..Self::none() }
    }

    pub fn ttl(self, ttl: u32) -> Self {
        Self { ttl, ..self }
    }
}

/// What the server says; `None`: nothing.
type Script = dyn FnMut(&Question) -> Option<Answer> + Send;

/// A name server on a port of its own, for both protocols. Dropped, it ends.
pub struct NameServer {
    port: u16,
    script: Arc<Mutex<Box<Script>>>,
    seen: Arc<Mutex<Vec<Question>>>,
    stop: Arc<AtomicBool>,
}

impl NameServer {
    pub fn new(script: impl FnMut(&Question) -> Option<Answer> + Send + 'static) -> Self {
        let (udp, tcp) = sockets();
        let port = udp.local_addr().unwrap().port();
        let server = Self {
            port,
            script: Arc::new(Mutex::new(Box::new(script))),
            seen: Arc::default(),
            stop: Arc::default(),
        };
        let reply = |server: &Self| {
            let (script, seen) = (server.script.clone(), server.seen.clone());
            move |bytes: &[u8], tcp: bool, from: SocketAddr| {
                let question = question(bytes, tcp, from)?;
                seen.lock().unwrap().push(question.clone());
                let answer = script.lock().unwrap()(&question)?;
                Some(encode(&question, bytes, answer))
            }
        };
        let (respond, stop) = (reply(&server), server.stop.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((n, from)) = udp.recv_from(&mut buffer) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(answer) = respond(&buffer[..n], false, from) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let (respond, stop) = (Arc::new(reply(&server)), server.stop.clone());
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), respond) = (stream, respond.clone()) else { continue };
                std::thread::spawn(move || serve(stream, |bytes, from| respond(bytes, true, from)));
            }
        });
        server
    }

    /// A server that knows these names: `kind name` to an answer; of everything else it says that there is no such name.
    pub fn knows(names: &[(u16, &str, Answer)]) -> Self {
        let names: Vec<_> = names.iter().map(|(k, n, a)| (*k, (*n).to_owned(), a.clone())).collect();
        Self::new(move |q| Some(look_up(&names, q)))
    }

    /// From now on these are the names.
    pub fn now(&self, names: &[(u16, &str, Answer)]) {
        let names: Vec<_> = names.iter().map(|(k, n, a)| (*k, (*n).to_owned(), a.clone())).collect();
        self.says(move |q| Some(look_up(&names, q)));
    }

    /// From now on this is what it says.
    pub fn says(&self, script: impl FnMut(&Question) -> Option<Answer> + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn seen(&self) -> Vec<Question> {
        self.seen.lock().unwrap().clone()
    }

    /// How often a name was asked for.
    pub fn asked(&self, kind: u16, name: &str) -> usize {
        self.seen().iter().filter(|q| q.kind == kind && q.name == name).count()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Ok(udp) = UdpSocket::bind("127.0.0.1:0") {
            let _ = udp.send_to(b"", ("127.0.0.1", self.port));
        }
    }
}

fn look_up(names: &[(u16, String, Answer)], q: &Question) -> Answer {
    if let Some((_, _, answer)) = names.iter().find(|(k, n, _)| *k == q.kind && *n == q.name) {
        return answer.clone();
    }
    let known = names.iter().any(|(_, n, _)| *n == q.name);
    if known { Answer::none() } else { Answer::code(3) }
}

/// One port for both protocols.
fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

fn serve(mut stream: TcpStream, respond: impl Fn(&[u8], SocketAddr) -> Option<Vec<u8>>) {
    let _ = stream.set_read_timeout(Some(SOON));
    let Ok(from) = stream.peer_addr() else { return };
    let mut len = [0; 2];
    while stream.read_exact(&mut len).is_ok() {
        let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
        if stream.read_exact(&mut message).is_err() {
            return;
        }
        let Some(answer) = respond(&message, from) else { continue };
        let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
        if stream.write_all(&framed).is_err() {
            return;
        }
    }
}

fn question(bytes: &[u8], tcp: bool, from: SocketAddr) -> Option<Question> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(bytes.get(at..at + len)?).into_owned());
        at += len;
    }
    let number = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    Some(Question { id: number(0)?, name: labels.join("."), kind: number(at)?, tcp, from })
}

fn encode(q: &Question, asked: &[u8], answer: Answer) -> Vec<u8> {
    if let Some(raw) = answer.raw {
        return raw;
    }
    let flags = 0x8180 | answer.code | if answer.truncated && !q.tcp { 0x200 } else { 0 };
    let mut out = Vec::new();
    for n in [q.id.wrapping_add(answer.id), flags, 1, answer.records.len() as u16, 0, 0] {
        out.extend(n.to_be_bytes());
    }
    out.extend(&asked[12..]);
    for (kind, data) in answer.records {
        out.extend([0xc0, 12]);
        out.extend([kind, 1].map(u16::to_be_bytes).concat());
        out.extend(answer.ttl.to_be_bytes());
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    out
}

fn wire(name: &str) -> Vec<u8> {
    let label = |l: &str| [&[l.len() as u8][..], l.as_bytes()].concat();
    let mut out: Vec<u8> = name.split('.').flat_map(label).collect();
    out.push(0);
    out
}
