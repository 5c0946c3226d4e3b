//! The byte stream below a request: a socket, or one stream of an HTTP/2 connection.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::h2::H2Stream;
use super::tls::TlsStream;

/// A connected socket, or what TLS makes of one; or the bodies of one request of an HTTP/2 connection.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
    H2(Box<H2Stream>),
}

/// Either end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerAddr {
    Inet(SocketAddr),
    Unix,
}

macro_rules! each {
    ($self:expr, $s:ident => $e:expr, $t:ident => $tls:expr) => {
        match $self {
            Stream::Tcp($s) => $e,
            Stream::Unix($s) => $e,
            Stream::Tls($t) => $tls,
            Stream::H2($t) => $tls,
        }
    };
}

impl Stream {
    /// Reads into `into`; 0 is the end of the stream. Reading less than asked for tells the runtime that the socket is
    /// drained, so the next wait costs no failing read.
    #[inline]
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(into);
        ready!(each!(
            self,
            s => Pin::new(s).poll_read(cx, &mut buf),
            t => return t.poll_read(cx, buf.initialize_unfilled())
        ))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    #[inline]
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(
            self,
            s => Pin::new(s).poll_write(cx, bytes),
            t => t.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        )
    }

    #[inline]
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, s => Pin::new(s).poll_write_vectored(cx, bufs), t => t.poll_write_vectored(cx, bufs))
    }

    /// Ready when a read would not wait.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s => s.poll_read_ready(cx), t => t.poll_read_ready(cx))
    }

    /// Sends FIN, behind TLS's farewell.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s => Pin::new(s).poll_shutdown(cx), t => t.poll_shutdown(cx))
    }

    pub fn peer_addr(&self) -> io::Result<PeerAddr> {
        match self {
            Self::Tcp(s) => s.peer_addr().map(PeerAddr::Inet),
            Self::Unix(_) | Self::H2(_) => Ok(PeerAddr::Unix),
            Self::Tls(t) => t.socket().peer_addr(),
        }
    }

    pub fn local_addr(&self) -> io::Result<PeerAddr> {
        match self {
            Self::Tcp(s) => s.local_addr().map(PeerAddr::Inet),
            Self::Unix(_) | Self::H2(_) => Ok(PeerAddr::Unix),
            Self::Tls(t) => t.socket().local_addr(),
        }
    }

    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Tcp(s) => s.set_nodelay(on),
            Self::Unix(_) | Self::H2(_) => Ok(()),
            Self::Tls(t) => t.socket().set_nodelay(on),
        }
    }

    /// Closing will send RST and drop what is unsent (`reset_timedout_connection`).
    pub fn set_reset_on_close(&self) -> io::Result<()> {
        match self {
            Self::Tcp(s) => s.set_zero_linger(),
            Self::Unix(_) | Self::H2(_) => Ok(()),
            Self::Tls(t) => t.set_reset_on_close(),
        }
    }

    /// The TLS of the connection, if it has any.
    pub fn tls(&self) -> Option<&TlsStream> {
        match self {
            Self::Tls(t) => Some(t),
            Self::Tcp(_) | Self::Unix(_) | Self::H2(_) => None,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(s: TcpStream) -> Self {
        Self::Tcp(s)
    }
}

impl From<UnixStream> for Stream {
    fn from(s: UnixStream) -> Self {
        Self::Unix(s)
    }
}

impl std::os::fd::AsRawFd for Stream {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        match self {
            Self::Tcp(s) => s.as_raw_fd(),
            Self::Unix(s) => s.as_raw_fd(),
            Self::Tls(t) => t.socket().as_raw_fd(),
            // A stream has no descriptor of its own.
            Self::H2(_) => -1,
        }
    }
}
