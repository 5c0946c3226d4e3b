//! The request's end of a stream: its head, its body as bytes, and its answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::Request;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::http::request::Parts;

use super::super::parse::h2_request;
use super::super::{Framing, HeadError, Limits, RequestHead};
use super::Answer;

/// One stream, as the byte stream of one request.
#[derive(Debug)]
pub struct H2Stream {
    head: Option<Parts>,
    body: Incoming,
    /// What came of the body and was not taken.
    part: Bytes,
    answer: Answer,
}

impl H2Stream {
    /// The answer goes to `answer`.
    pub fn new(request: Request<Incoming>, answer: Answer) -> Self {
        let (head, body) = request.into_parts();
        Self { head: Some(head), body, part: Bytes::new(), answer }
    }

    pub(in super::super) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Turns the head into ours. How the body is to be read is given back: its length is known, or it ends with the
    /// stream.
    pub(in super::super) fn read_head(
        &mut self,
        head: &mut RequestHead,
        limits: &Limits,
    ) -> Result<Framing, HeadError> {
        let parts = self.head.take().ok_or(HeadError::Closed)?;
        let ended = self.body.is_end_stream();
        h2_request(&parts, ended, head, limits)?;
        Ok(match head.framing {
            Framing::Chunked => Framing::UntilClose,
            framing => framing,
        })
    }

    pub(in super::super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        while self.part.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(0)),
                Some(Ok(frame)) => self.part = frame.into_data().unwrap_or_default(),
                // Reset, or not as long as it was said to be.
                Some(Err(_)) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
        let n = self.part.len().min(into.len());
        into[..n].copy_from_slice(&self.part.split_to(n));
        Poll::Ready(Ok(n))
    }

    pub(in super::super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answer.poll_write(cx, parts)
    }

    /// What is to be read comes through `poll_read` alone.
    #[expect(clippy::unused_self, reason = "a byte stream as the others")]
    pub(in super::super) fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The end of the answer is told by [`Answer::end`].
    #[expect(clippy::unused_self, reason = "a byte stream as the others")]
    pub(in super::super) fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
