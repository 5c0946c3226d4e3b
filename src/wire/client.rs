//! The upstream end: a connection to a peer.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::body::{self, LAST_CHUNK};
use super::parse::parse_response;
use super::reader::Reader;
use super::writer::Writer;
use super::{BodyError, Framing, ResponseError, ResponseHead, SendError, Stream, Version};
use crate::rt::{Timeout, clock};

/// A connection to a peer: requests out, responses in.
///
/// One exchange: the request's head goes into [`out`](Self::out) and leaves with [`send`](Self::send), then
/// [`read_response_head`](Self::read_response_head), and [`read_body`](Self::read_body) to the end; the connection may be
/// kept when [`is_reusable`](Self::is_reusable) says so.
#[derive(Debug)]
pub struct ClientConn {
    stream: Stream,
    reader: Reader,
    writer: Writer,
    timer: Timeout,
    /// The peer's answer lets the connection stay open.
    keep_alive: bool,
    /// Exchanges begun on this connection.
    pub requests: u64,
    /// When it was opened.
    pub created: Instant,
    marks: (u64, u64),
}

impl ClientConn {
    pub fn new(stream: impl Into<Stream>) -> Self {
        Self {
            stream: stream.into(),
            reader: Reader::default(),
            writer: Writer::default(),
            timer: Timeout::new(),
            keep_alive: false,
            requests: 0,
            created: clock::instant(),
            marks: (0, 0),
        }
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Begins an exchange: the output buffer is empty, the counters of bytes begin at 0.
    pub fn start(&mut self) {
        self.writer.out.clear();
        self.keep_alive = false;
        self.requests += 1;
        self.marks = (self.reader.received, self.writer.sent);
    }

    /// Bytes read in this exchange.
    pub fn bytes_received(&self) -> u64 {
        self.reader.received - self.marks.0
    }

    /// Bytes written in this exchange.
    pub fn bytes_sent(&self) -> u64 {
        self.writer.sent - self.marks.1
    }

    /// The output buffer: what is appended goes out before the next part of a body.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.writer.out
    }

    /// Writes the output buffer and `body` behind it, in one call if the socket takes it. `limit` is for one wait.
    pub async fn send(&mut self, body: &[u8], limit: Duration) -> Result<(), SendError> {
        self.writer.send(&mut self.stream, &mut self.timer, &[body], limit).await
    }

    /// As [`send`](Self::send), with `data` as one chunk of a chunked body, and the end of the body if it is the `last`.
    pub async fn send_chunk(&mut self, data: &[u8], last: bool, limit: Duration) -> Result<(), SendError> {
        if data.is_empty() {
            let end = if last { LAST_CHUNK } else { &[] };
            return self.send(end, limit).await;
        }
        body::chunk_head(data.len(), &mut self.writer.out);
        let end: &[u8] = if last { b"\r\n0\r\n\r\n" } else { b"\r\n" };
        self.writer.send(&mut self.stream, &mut self.timer, &[data, end], limit).await
    }

    /// Writes the output buffer and `body`; call again with the same `body` until it is ready.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, body: &[u8]) -> Poll<io::Result<()>> {
        self.writer.poll_send(&mut self.stream, cx, &[body])
    }

    /// Reads the response's head, of at most `max` bytes (`proxy_buffer_size`), past any interim one (1xx other than
    /// 101). `head_request`: the request's method was HEAD. `limit` is for one wait.
    pub async fn read_response_head(
        &mut self,
        head: &mut ResponseHead,
        head_request: bool,
        max: usize,
        limit: Duration,
    ) -> Result<(), ResponseError> {
        loop {
            if self.take_head(head, head_request, max)? {
                return Ok(());
            }
            let Self { stream, reader, timer, .. } = self;
            match timer.bound(limit, poll_fn(|cx| reader.poll_fill(stream, cx))).await {
                Ok(Ok(0)) => return Err(ResponseError::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(e)) => return Err(e.into()),
                Err(_) => return Err(ResponseError::Timeout),
            }
        }
    }

    /// [`read_response_head`](Self::read_response_head) without a limit.
    pub fn poll_response_head(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut ResponseHead,
        head_request: bool,
        max: usize,
    ) -> Poll<Result<(), ResponseError>> {
        loop {
            if self.take_head(head, head_request, max)? {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.reader.poll_fill(&mut self.stream, cx))? == 0 {
                return Poll::Ready(Err(ResponseError::Closed));
            }
        }
    }

    fn take_head(
        &mut self,
        head: &mut ResponseHead,
        head_request: bool,
        max: usize,
    ) -> Result<bool, ResponseError> {
        loop {
            let input = self.reader.buf.filled();
            if input.is_empty() {
                return Ok(false);
            }
            let len = match parse_response(input, head, head_request)? {
                Some(len) if len <= max => len,
                None if input.len() < max => return Ok(false),
                _ => return Err(ResponseError::TooBig),
            };
            self.reader.buf.consume(len);
            if (100..200).contains(&head.status) && head.status != 101 {
                if head.status == 103 && head.version < Version::HTTP_11 {
                    let text = "upstream sent HTTP/1.0 response with early hints";
                    return Err(ResponseError::Invalid(text.into()));
                }
                continue;
            }
            self.keep_alive = head.keep_alive && !head.upgrade;
            self.reader.start_body(head.framing);
            return Ok(true);
        }
    }

    /// Takes what was read, and all that follows, as a body (an HTTP/0.9 answer).
    pub fn take_all_as_body(&mut self) {
        self.keep_alive = false;
        self.reader.start_body(Framing::UntilClose);
    }

    /// The next part of the body, decoded; `None` at its end. `limit` is for one wait.
    pub async fn read_body(&mut self, limit: Duration) -> Result<Option<&[u8]>, BodyError> {
        let part = self.reader.body().len();
        self.reader.consume(part);
        Ok(if self.fill_body(limit).await? { Some(self.reader.body()) } else { None })
    }

    /// Waits for a part of the body: [`body`](Self::body). False: it is over.
    pub async fn fill_body(&mut self, limit: Duration) -> Result<bool, BodyError> {
        let Self { stream, reader, timer, .. } = self;
        timer
            .bound(limit, poll_fn(|cx| reader.poll_body(stream, cx)))
            .await
            .unwrap_or(Err(BodyError::Timeout))
    }

    /// [`fill_body`](Self::fill_body) without a limit.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        self.reader.poll_body(&mut self.stream, cx)
    }

    /// A part of the body that was read already, with no wait: `None`: more must be read. True: [`body`](Self::body).
    pub fn buffered_body(&mut self) -> Result<Option<bool>, BodyError> {
        self.reader.decode()
    }

    /// The part of the body that is there.
    pub fn body(&self) -> &[u8] {
        self.reader.body()
    }

    pub fn consume_body(&mut self, n: usize) {
        self.reader.consume(n);
    }

    /// The whole body was read and taken.
    pub fn body_done(&self) -> bool {
        self.reader.is_done()
    }

    /// Bytes of the body, decoded, so far.
    pub fn body_bytes(&self) -> u64 {
        self.reader.body_bytes
    }

    /// The trailer section of a chunked body that is over; see [`parse_trailers`](super::parse::parse_trailers).
    pub fn trailers(&self) -> &[u8] {
        self.reader.trailers()
    }

    /// Bytes came that belong to no response: nginx warns and does not keep the connection.
    pub fn has_excess(&self) -> bool {
        self.reader.is_done() && !self.reader.buf.is_empty()
    }

    /// The exchange is over and the connection may serve another one.
    pub fn is_reusable(&self) -> bool {
        self.keep_alive
            && self.reader.is_done()
            && self.reader.buf.is_empty()
            && !self.reader.eof
            && self.writer.out.is_empty()
    }

    /// Gives back the memory that an idle connection does not need.
    pub fn park(&mut self) {
        self.reader.buf.release();
    }

    /// Whether an idle connection was closed by its peer, or has bytes nobody asked for. It costs no system call unless
    /// something happened on the socket.
    pub fn is_stale(&mut self) -> bool {
        self.poll_stale(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    /// Ready when an idle connection can no longer be used.
    pub fn poll_stale(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(self.stream.poll_read_ready(cx)).is_err() {
            return Poll::Ready(());
        }
        let read = self.reader.poll_fill(&mut self.stream, cx);
        self.reader.buf.release();
        read.map(|_| ())
    }

    pub(super) fn parts(&mut self) -> (&mut Stream, &mut Reader, &mut Writer, &mut Timeout) {
        (&mut self.stream, &mut self.reader, &mut self.writer, &mut self.timer)
    }
}
