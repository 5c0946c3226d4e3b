//! A look-up on the wire: UDP first, the next name server when the answer takes too long, TCP for what was cut short.

use std::fmt::Display;
use std::future::poll_fn;
use std::io;

use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::Code;
use super::client::Resolver;
use super::query::{Meaning, Next, Round};
use crate::diag::Severity;
use crate::plan::NameServer;
use crate::sys;

/// How long an answer is waited for before the next name server is asked.
const RESEND: Duration = Duration::from_secs(5);
/// How long a TCP connection may be silent.
const TCP: Duration = Duration::from_secs(5);
/// The longest datagram that is read.
const DATAGRAM: usize = 4096;

/// The sockets of a look-up. Each name server has its own, connected, with a port that the kernel chose: nobody else's
/// answers reach it.
struct Sockets<'r> {
    resolver: &'r Resolver,
    udp: Vec<(usize, UdpSocket)>,
    tcp: JoinSet<Option<Vec<u8>>>,
    /// The name server whose turn it is.
    at: usize,
}

enum Event {
    Response { tcp: bool },
    Late,
}

/// Asks until there is an answer, or nobody wants it any more (`None`).
pub(super) async fn run(
    resolver: &Resolver,
    mut round: Round,
    wanted: impl Fn() -> bool,
) -> Option<Result<(Meaning, u32), Code>> {
    let mut sockets = Sockets { resolver, udp: Vec::new(), tcp: JoinSet::new(), at: resolver.next_server() };
    if !sockets.send(&round) {
        sockets.turn();
        sockets.send(&round);
    }
    let mut due = Instant::now() + RESEND;
    let mut buffer = Vec::with_capacity(DATAGRAM);
    loop {
        let Sockets { udp, tcp, .. } = &mut sockets;
        let event = tokio::select! {
            () = poll_fn(|cx| poll_datagram(resolver, udp, cx, &mut buffer)) => Event::Response { tcp: false },
            Some(message) = tcp.join_next(), if !tcp.is_empty() => match message {
                Ok(Some(message)) => {
                    buffer = message;
                    Event::Response { tcp: true }
                }
                _ => continue,
            },
            () = sleep_until(due) => Event::Late,
        };
        match event {
            Event::Response { tcp } => {
                match round.take(&buffer, tcp, |text| resolver.logs.main(Severity::Error, text)) {
                    Next::Wait => {}
                    Next::Tcp(part) => {
                        if let Some((_, query, _)) = round.query(part) {
                            sockets.tcp(query);
                        }
                        due = Instant::now() + RESEND;
                    }
                    Next::Done(result) => return Some(result),
                }
            }
            Event::Late if !wanted() => return None,
            Event::Late => {
                sockets.turn();
                sockets.send(&round);
                due = Instant::now() + RESEND;
            }
        }
    }
}

impl Sockets<'_> {
    fn server(&self) -> Option<&NameServer> {
        self.resolver.plan.servers.get(self.at)
    }

    fn turn(&mut self) {
        self.at = (self.at + 1) % self.resolver.plan.servers.len().max(1);
    }

    /// Sends what is not answered yet to the name server whose turn it is.
    fn send(&mut self, round: &Round) -> bool {
        let mut sent = true;
        for (_, query, tcp) in round.open() {
            sent &= if tcp { self.tcp(query) } else { self.udp(query) };
        }
        sent
    }

    fn udp(&mut self, query: &[u8]) -> bool {
        let Some(server) = self.server().cloned() else { return false };
        if !self.udp.iter().any(|(at, _)| *at == self.at) {
            match udp(&server) {
                Ok(socket) => self.udp.push((self.at, socket)),
                Err((call, level, e)) => {
                    failed(self.resolver, level, call, &e, &server);
                    return false;
                }
            }
        }
        let Some(at) = self.udp.iter().position(|(at, _)| *at == self.at) else { return false };
        // Straight to the kernel: a datagram either fits or is lost, there is nothing to wait for.
        let sent = self.udp.get(at).map(|(_, socket)| SockRef::from(socket).send(query));
        match sent {
            Some(Err(e)) if e.kind() != io::ErrorKind::WouldBlock => {
                failed(self.resolver, Severity::Error, "send()", &e, &server);
                self.udp.remove(at);
                false
            }
            _ => true,
        }
    }

    fn tcp(&mut self, query: &[u8]) -> bool {
        let Some(server) = self.server().cloned() else { return false };
        let (query, logs) = (query.to_vec(), self.resolver.logs.clone());
        self.tcp.spawn_local(async move {
            match timeout(TCP, over_tcp(&server, &query)).await {
                Ok(Ok(message)) => message,
                Ok(Err((call, e))) => {
                    let why = said(call, &e, &server);
                    logs.main(Severity::Error, format_args!("{why}"));
                    None
                }
                Err(_) => None,
            }
        });
        true
    }
}

/// The next datagram of any name server that was asked.
fn poll_datagram(
    resolver: &Resolver,
    udp: &mut Vec<(usize, UdpSocket)>,
    cx: &mut Context<'_>,
    buffer: &mut Vec<u8>,
) -> Poll<()> {
    let mut at = 0;
    while let Some((server, socket)) = udp.get(at) {
        buffer.resize(DATAGRAM, 0);
        let mut read = ReadBuf::new(buffer);
        match socket.poll_recv(cx, &mut read) {
            Poll::Ready(Ok(())) => {
                let n = read.filled().len();
                buffer.truncate(n);
                return Poll::Ready(());
            }
            Poll::Ready(Err(e)) => {
                if let Some(server) = resolver.plan.servers.get(*server) {
                    failed(resolver, Severity::Error, "recv()", &e, server);
                }
                udp.remove(at);
            }
            Poll::Pending => at += 1,
        }
    }
    Poll::Pending
}

/// A socket that only `server` can answer to.
fn udp(server: &NameServer) -> Result<UdpSocket, (&'static str, Severity, io::Error)> {
    let alert = |call| move |e| (call, Severity::Alert, e);
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(server.addr), kind, None).map_err(alert("socket()"))?;
    socket.connect(&SockAddr::from(server.addr)).map_err(|e| ("connect()", Severity::Crit, e))?;
    UdpSocket::from_std(socket.into()).map_err(alert("epoll_ctl()"))
}

/// A query and its answer, each behind its length (RFC 1035 section 4.2.2). `None`: the name server closed.
async fn over_tcp(server: &NameServer, query: &[u8]) -> Result<Option<Vec<u8>>, (&'static str, io::Error)> {
    let mut stream = TcpStream::connect(server.addr).await.map_err(|e| ("send()", e))?;
    let len = u16::try_from(query.len()).unwrap_or(u16::MAX);
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await.map_err(|e| ("send()", e))?;
    let mut read = async || {
        let mut message = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut message).await?;
        Ok(message)
    };
    match read().await {
        Ok(message) => Ok(Some(message)),
        Err(e) if io::Error::kind(&e) == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(("recv()", e)),
    }
}

fn said(call: &str, e: &io::Error, server: &NameServer) -> impl Display + use<> {
    format!("{call} failed ({}) while resolving, resolver: {}", sys::err_text(e), server.name)
}

fn failed(resolver: &Resolver, level: Severity, call: &str, e: &io::Error, server: &NameServer) {
    resolver.logs.main(level, format_args!("{}", said(call, e, server)));
}
