//! The writing half of either end: an output buffer for heads and small things, and bodies that go out of the caller's
//! memory beside it, in one call.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::pace::Pace;
use super::{SendError, Stream};
use crate::rt::Timeout;

/// Most slices of one call: the output buffer and four more.
const SLICES: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    /// Of `out` and the parts behind it, what was written already.
    written: usize,
    /// How fast it may go; `None`: as fast as it does.
    pub(super) pace: Option<Box<Pace>>,
    /// Bytes written to the socket.
    pub(super) sent: u64,
}

impl Writer {
    /// Writes `out`, then `parts`; `out` is empty afterwards. Call it again with the same parts until it is ready.
    pub(super) fn poll_send(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        parts: &[&[u8]],
    ) -> Poll<io::Result<()>> {
        while !ready!(self.poll_write(stream, cx, parts))? {}
        Poll::Ready(Ok(()))
    }

    /// One write; true when all is written.
    fn poll_write(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        parts: &[&[u8]],
    ) -> Poll<io::Result<bool>> {
        debug_assert!(parts.len() < SLICES, "more parts than one call takes");
        let budget = match &mut self.pace {
            Some(pace) if !self.out.is_empty() || parts.iter().any(|p| !p.is_empty()) => {
                ready!(pace.poll_budget(cx))
            }
            _ => usize::MAX,
        };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (mut count, mut left, mut skip, mut room) = (0, 0, self.written, budget);
        for part in std::iter::once(&self.out[..]).chain(parts.iter().copied()) {
            let skipped = skip.min(part.len());
            skip -= skipped;
            let rest = &part[skipped..];
            if !rest.is_empty() && count < SLICES {
                left += rest.len();
                let now = rest.len().min(room);
                if now > 0 {
                    slices[count] = IoSlice::new(&rest[..now]);
                    count += 1;
                    room -= now;
                }
            }
        }
        let n = match &slices[..count] {
            [] => 0,
            [one] => ready!(stream.poll_write(cx, one))?,
            several => ready!(stream.poll_write_vectored(cx, several))?,
        };
        if n == 0 && left > 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        if let Some(pace) = &mut self.pace {
            pace.spend(n);
        }
        self.sent += n as u64;
        self.written += n;
        let done = n == left;
        if done {
            self.out.clear();
            self.written = 0;
        }
        Poll::Ready(Ok(done))
    }

    /// Writes all, giving the peer `limit` between two writes.
    pub(super) async fn send(
        &mut self,
        stream: &mut Stream,
        timer: &mut Timeout,
        parts: &[&[u8]],
        limit: Duration,
    ) -> Result<(), SendError> {
        loop {
            if let Some(pace) = &mut self.pace {
                // The peer is not late while it is we who wait.
                std::future::poll_fn(|cx| pace.poll_budget(cx)).await;
            }
            let write = std::future::poll_fn(|cx| self.poll_write(stream, cx, parts));
            match timer.bound(limit, write).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => {}
                Ok(Err(e)) => return Err(e.into()),
                Err(_) => return Err(SendError::Timeout),
            }
        }
    }
}
