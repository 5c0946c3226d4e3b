//! Dialling a peer: TCP or unix, from a given local address, without blocking the thread.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpStream, UnixStream};

use crate::plan::PeerAddr;

/// A connected (or still connecting, see [`Dialled::finish`]) socket.
#[derive(Debug)]
pub enum Dialled {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Why a peer could not be dialled. nginx words and weighs the three cases differently.
#[derive(Debug)]
pub enum DialError {
    /// The socket itself could not be made or bound: the request ends in 500, no other peer is tried.
    Local { call: &'static str, error: io::Error },
    /// `connect()` refused at once: `connect() to ADDR failed (…)`.
    Refused(io::Error),
    /// The connection failed later: `connect() failed (…)`.
    Failed(io::Error),
}

/// What a location asks of its sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct DialOptions {
    /// `proxy_bind`.
    pub bind: Option<SocketAddr>,
    /// `proxy_socket_keepalive`.
    pub keepalive: bool,
}

/// Begins to connect. TCP connections are usually still under way when this returns; `finish` waits for them.
pub fn dial(addr: &PeerAddr, options: DialOptions) -> Result<Dialled, DialError> {
    match addr {
        PeerAddr::Inet(addr) => dial_inet(*addr, options),
        PeerAddr::Unix(path) => dial_unix(path),
    }
}

fn dial_inet(addr: SocketAddr, options: DialOptions) -> Result<Dialled, DialError> {
    let local = |call| move |error| DialError::Local { call, error };
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(addr), kind, None).map_err(local("socket()"))?;
    if options.keepalive {
        socket.set_keepalive(true).map_err(local("setsockopt(SO_KEEPALIVE)"))?;
    }
    if let Some(bind) = options.bind {
        socket.bind(&bind.into()).map_err(local("bind()"))?;
    }
    match socket.connect(&SockAddr::from(addr)) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(DialError::Refused(error)),
    }
    TcpStream::from_std(socket.into()).map(Dialled::Tcp).map_err(local("epoll_ctl()"))
}

fn dial_unix(path: &Path) -> Result<Dialled, DialError> {
    let local = |call| move |error| DialError::Local { call, error };
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::UNIX, kind, None).map_err(local("socket()"))?;
    let addr = SockAddr::unix(path).map_err(DialError::Refused)?;
    socket.connect(&addr).map_err(DialError::Refused)?;
    UnixStream::from_std(socket.into()).map(Dialled::Unix).map_err(local("epoll_ctl()"))
}

impl Dialled {
    /// Waits until the connection stands or has failed. The caller sets the deadline.
    pub async fn finish(self) -> Result<Self, DialError> {
        if let Self::Tcp(stream) = &self {
            stream.writable().await.map_err(DialError::Failed)?;
            if let Some(error) = stream.take_error().map_err(DialError::Failed)? {
                return Err(DialError::Failed(error));
            }
        }
        Ok(self)
    }
}

impl DialError {
    pub fn error(&self) -> &io::Error {
        match self {
            Self::Local { error, .. } | Self::Refused(error) | Self::Failed(error) => error,
        }
    }

    /// nginx logs most refusals as errors and the unexpected ones (a missing unix socket, no rights) as `crit`.
    pub fn is_critical(&self) -> bool {
        let usual = [
            libc::ECONNREFUSED,
            libc::EAGAIN,
            libc::ECONNRESET,
            libc::ENETDOWN,
            libc::ENETUNREACH,
            libc::EHOSTDOWN,
            libc::EHOSTUNREACH,
            libc::ENOTCONN,
            libc::ETIMEDOUT,
            libc::EPIPE,
        ];
        !self.error().raw_os_error().is_some_and(|e| usual.contains(&e))
    }
}
