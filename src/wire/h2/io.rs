//! The connection's bytes below hyper: what was read before HTTP/2 was known goes first, and all of it is counted.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::Stream;

/// What a client begins with (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were read already.
#[derive(Debug)]
pub struct Io {
    stream: Stream,
    early: Vec<u8>,
    /// Of `early`, what was taken.
    taken: usize,
    received: Rc<Cell<u64>>,
}

impl Io {
    /// `received` counts the bytes that are read.
    pub fn new(stream: Stream, early: Vec<u8>, received: Rc<Cell<u64>>) -> Self {
        Self { stream, early, taken: 0, received }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        let early = me.early.get(me.taken..).unwrap_or_default();
        let n = if early.is_empty() {
            let n = ready!(me.stream.poll_read(cx, buf.initialize_unfilled()))?;
            buf.advance(n);
            n
        } else {
            let n = early.len().min(buf.remaining());
            buf.put_slice(&early[..n]);
            me.taken += n;
            if me.taken == me.early.len() {
                (me.early, me.taken) = (Vec::new(), 0);
            }
            n
        };
        me.received.set(me.received.get() + n as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
