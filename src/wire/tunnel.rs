//! Bytes both ways after an upgrade.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::frames::Frames;
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
    /// It was told to end.
    Stopped,
}

/// How long both sides have to close after a tunnel was told to end.
const GOODBYE: Duration = Duration::from_secs(2);

/// Copies both ways, beginning with what both sides have in their buffers. When the client closes its half, the peer is
/// told and may finish its answer; when the peer closes, the tunnel is over.
pub async fn tunnel(client: &mut ServerConn, upstream: &mut ClientConn, idle: Duration) -> TunnelEnd {
    tunnel_until(client, upstream, idle, false, pending()).await
}

/// As [`tunnel`], until `stop`. Then what was read is passed on, both sides are told (with WebSocket's close frame, 1001
/// "going away", RFC 6455 section 7.4.1, where `websocket` and no frame is half sent), and have a moment to close.
pub async fn tunnel_until(
    client: &mut ServerConn,
    upstream: &mut ClientConn,
    idle: Duration,
    websocket: bool,
    stop: impl Future<Output = ()>,
) -> TunnelEnd {
    let mut stop = pin!(stop);
    let (mut asked, mut answered) = (Frames::new(websocket), Frames::new(websocket));
    let (c_stream, c_reader, c_writer, timer) = client.parts();
    let (u_stream, u_reader, u_writer, _) = upstream.parts();
    let mut told = false;
    let mut last = clock::instant();
    let end = poll_fn(|cx| {
        match poll_copy(cx, c_stream, c_reader, u_stream, u_writer, &mut last, &mut asked) {
            Ok(Poll::Ready(())) if !told => {
                told = true;
                // A peer that is gone already shows in the other direction.
                let _ = u_stream.poll_shutdown(cx);
            }
            Ok(_) => {}
            Err(end) => return Poll::Ready(end),
        }
        match poll_copy(cx, u_stream, u_reader, c_stream, c_writer, &mut last, &mut answered) {
            Ok(Poll::Ready(())) => return Poll::Ready(TunnelEnd::Closed),
            Ok(Poll::Pending) => {}
            Err(end) => return Poll::Ready(end.turned()),
        }
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(TunnelEnd::Stopped);
        }
        timer.poll_until(cx, last + idle).map(|()| TunnelEnd::Idle)
    })
    .await;
    if !matches!(end, TunnelEnd::Stopped) {
        return end;
    }
    let until = clock::instant() + GOODBYE;
    let (mut to_client, mut to_upstream) = (Goodbye::default(), Goodbye::default());
    poll_fn(|cx| {
        let up = to_upstream.poll(cx, c_reader, u_stream, u_writer, &mut asked, true);
        let down = to_client.poll(cx, u_reader, c_stream, c_writer, &mut answered, false);
        // Reading what still comes lets both see an orderly end and no reset.
        let ends = [poll_end(cx, c_stream, c_reader, up), poll_end(cx, u_stream, u_reader, down)];
        if ends.iter().all(Poll::is_ready) { Poll::Ready(()) } else { timer.poll_until(cx, until) }
    })
    .await;
    TunnelEnd::Stopped
}

/// One direction's end: what was read, the farewell, and no more.
#[derive(Default)]
struct Goodbye {
    said: bool,
    closed: bool,
}

impl Goodbye {
    /// True once all of it is out, or cannot be.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut Reader,
        to: &mut Stream,
        writer: &mut Writer,
        frames: &mut Frames,
        masked: bool,
    ) -> bool {
        if self.closed {
            return true;
        }
        if !self.said {
            let len = reader.buf.filled().len();
            match writer.poll_send(to, cx, &[reader.buf.filled()]) {
                Poll::Ready(Ok(())) => {
                    frames.pass(reader.buf.filled());
                    reader.buf.consume(len);
                }
                Poll::Ready(Err(_)) => self.closed = true,
                Poll::Pending => return false,
            }
            self.said = true;
            writer.out.extend_from_slice(frames.close(masked));
        }
        if !self.closed && writer.poll_send(to, cx, &[]).is_pending() {
            return false;
        }
        self.closed = self.closed || to.poll_shutdown(cx).is_ready();
        self.closed
    }
}

/// Reads and drops until the other side has closed too. `passed`: what was read before is not needed any more.
fn poll_end(cx: &mut Context<'_>, from: &mut Stream, reader: &mut Reader, passed: bool) -> Poll<()> {
    while passed && !reader.eof {
        reader.buf.consume(reader.buf.filled().len());
        match reader.poll_fill(from, cx) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
    if passed { Poll::Ready(()) } else { Poll::Pending }
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
    frames: &mut Frames,
) -> Result<Poll<()>, TunnelEnd> {
    loop {
        let len = reader.buf.filled().len();
        if len > 0 || !writer.out.is_empty() {
            match writer.poll_send(to, cx, &[reader.buf.filled()]) {
                Poll::Ready(Ok(())) => {
                    frames.pass(reader.buf.filled());
                    reader.buf.consume(len);
                }
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
