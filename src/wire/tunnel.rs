//! Bytes both ways after an upgrade.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::reader::Reader;
use super::writer::Writer;
use super::{ClientConn, ServerConn, Stream};
use crate::rt::clock;

/// How a tunnel ended.
#[derive(Debug)]
pub enum TunnelEnd {
    /// Either side closed and what it sent was passed on.
    Closed,
    /// No byte either way for the whole of the limit.
    Idle,
    /// The client's connection failed.
    Client(io::Error),
    /// The peer's connection failed.
    Upstream(io::Error),
}

/// Copies both ways, beginning with what both sides have in their buffers. When the client closes its half, the peer is
/// told and may finish its answer; when the peer closes, the tunnel is over.
pub async fn tunnel(client: &mut ServerConn, upstream: &mut ClientConn, idle: Duration) -> TunnelEnd {
    let (c_stream, c_reader, c_writer, timer) = client.parts();
    let (u_stream, u_reader, u_writer, _) = upstream.parts();
    let mut told = false;
    let mut last = clock::instant();
    poll_fn(|cx| {
        match poll_copy(cx, c_stream, c_reader, u_stream, u_writer, &mut last) {
            Ok(Poll::Ready(())) if !told => {
                told = true;
                // A peer that is gone already shows in the other direction.
                let _ = u_stream.poll_shutdown(cx);
            }
            Ok(_) => {}
            Err(end) => return Poll::Ready(end),
        }
        match poll_copy(cx, u_stream, u_reader, c_stream, c_writer, &mut last) {
            Ok(Poll::Ready(())) => return Poll::Ready(TunnelEnd::Closed),
            Ok(Poll::Pending) => {}
            Err(end) => return Poll::Ready(end.turned()),
        }
        timer.poll_until(cx, last + idle).map(|()| TunnelEnd::Idle)
    })
    .await
}

impl TunnelEnd {
    /// The sides exchanged.
    fn turned(self) -> Self {
        match self {
            Self::Client(e) => Self::Upstream(e),
            Self::Upstream(e) => Self::Client(e),
            end => end,
        }
    }
}

/// One direction as far as it goes now; ready at the end of what `from` sends. The reading side is named `Client` in errors.
fn poll_copy(
    cx: &mut Context<'_>,
    from: &mut Stream,
    reader: &mut Reader,
    to: &mut Stream,
    writer: &mut Writer,
    last: &mut Instant,
) -> Result<Poll<()>, TunnelEnd> {
    loop {
        let len = reader.buf.filled().len();
        if len > 0 || !writer.out.is_empty() {
            match writer.poll_send(to, cx, &[reader.buf.filled()]) {
                Poll::Ready(Ok(())) => reader.buf.consume(len),
                Poll::Ready(Err(e)) => return Err(TunnelEnd::Upstream(e)),
                Poll::Pending => return Ok(Poll::Pending),
            }
            *last = clock::instant();
        }
        if reader.eof {
            return Ok(Poll::Ready(()));
        }
        match reader.poll_fill(from, cx) {
            Poll::Ready(Ok(_)) => *last = clock::instant(),
            Poll::Ready(Err(e)) => return Err(TunnelEnd::Client(e)),
            Poll::Pending => return Ok(Poll::Pending),
        }
    }
}
