//! Backends: threads on real sockets that do what a test says, well-behaved or not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::SOON;

/// A request as the backend received it.
#[derive(Debug, Clone)]
pub struct Received {
    pub head: String,
    pub body: Vec<u8>,
    /// Which connection of this backend (from 0), and which request on it (from 0).
    pub connection: usize,
    pub nth: usize,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }

    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// What a backend does with a request; false closes the connection.
type Handler = dyn Fn(&Received, &mut TcpStream) -> bool + Send + Sync;

/// A backend on a port of its own. Dropped, it stops accepting.
pub struct Origin {
    addr: SocketAddr,
    port: u16,
    seen: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Origin {
    /// A backend that answers every request with `body`, keeping connections.
    pub fn says(body: &str) -> Self {
        let body = body.to_owned();
        Self::new(move |_, out| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            out.write_all(head.as_bytes()).and_then(|()| out.write_all(body.as_bytes())).is_ok()
        })
    }

    /// A backend that sends these bytes for every request and keeps the connection when `keep`.
    pub fn sends(bytes: impl Into<Vec<u8>>, keep: bool) -> Self {
        let bytes = bytes.into();
        Self::new(move |_, out| out.write_all(&bytes).is_ok() && keep)
    }

    pub fn new(handler: impl Fn(&Received, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), handler)
    }

    /// A backend for each of these addresses, all on one port, that answers with its address.
    pub fn family(ips: &[&str]) -> Vec<Self> {
        loop {
            let mut port = 0;
            let mut bind = |ip: &&str| {
                let listener = TcpListener::bind((*ip, port)).ok()?;
                port = listener.local_addr().ok()?.port();
                Some(listener)
            };
            if let Some(all) = ips.iter().map(&mut bind).collect::<Option<Vec<_>>>() {
                let says = |(ip, listener): (&&str, TcpListener)| {
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{ip}", ip.len());
                    Self::on(listener, move |_, out| out.write_all(answer.as_bytes()).is_ok())
                };
                return ips.iter().zip(all).map(says).collect();
            }
        }
    }

    /// A backend on a socket that is there already.
    pub fn on(
        listener: TcpListener,
        handler: impl Fn(&Received, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let addr = listener.local_addr().unwrap();
        let port = addr.port();
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let connections = Arc::new(AtomicUsize::new(0));
        let origin =
            Self { addr, port, seen: seen.clone(), connections: connections.clone(), stop: stop.clone() };
        let handler: Arc<Handler> = Arc::new(handler);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (seen, handler) = (seen.clone(), handler.clone());
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(stream, connection, &seen, &*handler));
            }
        });
        origin
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn addr(&self) -> String {
        self.addr.to_string()
    }

    pub fn seen(&self) -> Vec<Received> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    #[track_caller]
    pub fn last(&self) -> Received {
        self.seen().last().cloned().expect("the backend was asked")
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
    }
}

fn serve(mut stream: TcpStream, connection: usize, seen: &Mutex<Vec<Received>>, handler: &Handler) {
    let _ = stream.set_read_timeout(Some(SOON * 6));
    let _ = stream.set_nodelay(true);
    let mut buf = Vec::new();
    for nth in 0.. {
        let Some(mut received) = read_request(&mut stream, &mut buf) else { return };
        (received.connection, received.nth) = (connection, nth);
        seen.lock().unwrap().push(received.clone());
        if !handler(&received, &mut stream) {
            return;
        }
    }
}

pub(super) fn read_request(stream: &mut impl Read, buf: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        if let Some(i) = buf.windows(4).position(|w| w == b"\r\n\r\n") {
            break i + 4;
        }
        fill(stream, buf)?;
    };
    let head = String::from_utf8_lossy(&buf[..end]).into_owned();
    buf.drain(..end);
    let mut received = Received { head, body: Vec::new(), connection: 0, nth: 0 };
    if received.header("Transfer-Encoding").is_some() {
        loop {
            let line = read_line(stream, buf)?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            while buf.len() < size + 2 {
                fill(stream, buf)?;
            }
            received.body.extend(buf.drain(..size));
            buf.drain(..2);
            if size == 0 {
                break;
            }
        }
    } else if let Some(n) = received.header("Content-Length").and_then(|v| v.parse().ok()) {
        while buf.len() < n {
            fill(stream, buf)?;
        }
        received.body = buf.drain(..n).collect();
    }
    Some(received)
}

fn read_line(stream: &mut impl Read, buf: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(i) = buf.windows(2).position(|w| w == b"\r\n") {
            let line = String::from_utf8_lossy(&buf[..i]).into_owned();
            buf.drain(..i + 2);
            return Some(line);
        }
        fill(stream, buf)?;
    }
}

fn fill(stream: &mut impl Read, buf: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16384];
    match stream.read(&mut chunk) {
        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => Some(()),
        Ok(n) if n > 0 => {
            buf.extend_from_slice(&chunk[..n]);
            Some(())
        }
        _ => None,
    }
}
