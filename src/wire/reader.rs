//! The reading half of either end of a connection: what was read, and where the body at hand ends.

use std::io;
use std::task::{Context, Poll, ready};

use super::body::{Decoder, Step};
use super::buffer::Buffer;
use super::{BodyError, Framing, Stream};

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) buf: Buffer,
    decoder: Decoder,
    /// Of the bytes read, how many at the front are body.
    ready: usize,
    /// Bytes read from the socket.
    pub(super) received: u64,
    /// Bytes of the body at hand, decoded, that were found so far.
    pub(super) body_bytes: u64,
    pub(super) eof: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            buf: Buffer::default(),
            decoder: Decoder::Done,
            ready: 0,
            received: 0,
            body_bytes: 0,
            eof: false,
        }
    }
}

impl Reader {
    pub(super) fn poll_fill(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let n = ready!(self.buf.poll_fill(stream, cx))?;
        self.received += n as u64;
        self.eof |= n == 0;
        Poll::Ready(Ok(n))
    }

    pub(super) fn start_body(&mut self, framing: Framing) {
        self.decoder = Decoder::new(framing);
        self.ready = 0;
        self.body_bytes = 0;
    }

    /// Forgets what was read.
    pub(super) fn drop_input(&mut self) {
        self.ready = 0;
        self.buf.consume(self.buf.filled().len());
    }

    /// All of the body was read and taken.
    pub(super) fn is_done(&self) -> bool {
        self.ready == 0 && self.decoder.is_done()
    }

    pub(super) fn trailers(&self) -> &[u8] {
        self.decoder.trailers()
    }

    /// The part of the body that is there; empty before [`Self::poll_body`] and at the end.
    #[inline]
    pub(super) fn body(&self) -> &[u8] {
        &self.buf.filled()[..self.ready]
    }

    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        let n = n.min(self.ready);
        self.ready -= n;
        self.buf.consume(n);
    }

    /// True: a part of the body is there; false: the body is over.
    pub(super) fn poll_body(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, BodyError>> {
        loop {
            if let Some(found) = self.decode()? {
                return Poll::Ready(Ok(found));
            }
            if ready!(self.poll_fill(stream, cx))? == 0 {
                if self.decoder != Decoder::UntilClose {
                    return Poll::Ready(Err(BodyError::Closed));
                }
                self.decoder = Decoder::Done;
            }
        }
    }

    /// Looks for body in what was read; `None`: more must be read.
    pub(super) fn decode(&mut self) -> Result<Option<bool>, BodyError> {
        if self.ready > 0 {
            return Ok(Some(true));
        }
        match self.decoder.step(self.buf.filled()).map_err(|_| BodyError::Invalid)? {
            Step::Data(range) => {
                self.buf.consume(range.start);
                self.ready = range.len();
                self.body_bytes += range.len() as u64;
                Ok(Some(true))
            }
            Step::Done(n) => {
                self.buf.consume(n);
                Ok(Some(false))
            }
            Step::More(n) => {
                self.buf.consume(n);
                Ok(None)
            }
        }
    }
}
