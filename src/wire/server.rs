//! The downstream end: a client's connection.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::body::{self, LAST_CHUNK};
use super::h2::PREFACE;
use super::pace::Pace;
use super::parse::{RequestParser, skip_empty_lines};
use super::reader::Reader;
use super::writer::Writer;
use super::{BodyError, HeadError, Limits, RequestHead, SendError, Stream};
use crate::rt::{Timeout, clock};

/// How a wait for the next request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// The first bytes of a request are there.
    Ready,
    /// The client closed.
    Closed,
    TimedOut,
}

/// A client's connection: requests in, responses out.
///
/// One request: [`wait`](Self::wait), [`read_head`](Self::read_head), then [`read_body`](Self::read_body) to its end or
/// [`discard_body`](Self::discard_body); the response's head goes into [`out`](Self::out), and leaves with the first
/// [`send`](Self::send).
#[derive(Debug)]
pub struct ServerConn {
    stream: Stream,
    reader: Reader,
    writer: Writer,
    timer: Timeout,
    no_delay: bool,
}

impl ServerConn {
    pub fn new(stream: impl Into<Stream>) -> Self {
        Self {
            stream: stream.into(),
            reader: Reader::default(),
            writer: Writer::default(),
            timer: Timeout::new(),
            no_delay: false,
        }
    }

    /// A connection of which `input` was read already.
    pub fn with_input(stream: impl Into<Stream>, input: &[u8]) -> Self {
        let mut conn = Self::new(stream);
        conn.reader.buf.put(input);
        conn.reader.received = input.len() as u64;
        conn
    }

    /// Small writes leave at once from here on (`tcp_nodelay`). A connection that serves one answer does without.
    pub fn no_delay(&mut self) {
        if !self.no_delay {
            self.no_delay = true;
            // A socket that does not know the option still works.
            self.stream.set_nodelay(true).ok();
        }
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Bytes read from the client so far, over all requests.
    pub fn bytes_received(&self) -> u64 {
        self.reader.received
    }

    /// Bytes written to the client so far, over all requests.
    pub fn bytes_sent(&self) -> u64 {
        self.writer.sent
    }

    /// Bytes are there that no request has taken (the next request, pipelined, or a body not read).
    pub fn has_input(&self) -> bool {
        !self.reader.buf.is_empty()
    }

    /// Waits for the first bytes of a request. A connection that has to wait holds no read buffer.
    pub async fn wait(&mut self, limit: Duration) -> io::Result<Idle> {
        if self.has_input() {
            return Ok(Idle::Ready);
        }
        let Self { stream, reader, timer, .. } = self;
        let first = poll_fn(|cx| {
            if stream.poll_read_ready(cx).is_pending() {
                reader.buf.release();
                return Poll::Pending;
            }
            reader.poll_fill(stream, cx)
        });
        match timer.bound(limit, first).await {
            Ok(n) => Ok(if n? == 0 { Idle::Closed } else { Idle::Ready }),
            Err(_) => Ok(Idle::TimedOut),
        }
    }

    /// Reads the head of the next request into `head`; the body that follows is ready to be read then. After
    /// [`HeadError::Refused`] `head` has what was understood.
    pub async fn read_head(&mut self, head: &mut RequestHead, limits: &Limits) -> Result<(), HeadError> {
        head.clear();
        self.writer.pace = None;
        if let Stream::H2(stream) = &mut self.stream {
            let framing = stream.read_head(head, limits)?;
            self.reader.start_body(framing);
            return Ok(());
        }
        let mut parser = RequestParser::new(limits);
        let mut begun = false;
        let mut deadline = None;
        loop {
            if !begun {
                let empty = skip_empty_lines(self.reader.buf.filled());
                self.reader.buf.consume(empty);
                begun = !self.reader.buf.is_empty();
            }
            if begun && let Some(len) = parser.parse(self.reader.buf.filled(), head, limits)? {
                self.reader.buf.consume(len);
                self.reader.start_body(head.framing);
                return Ok(());
            }
            let Self { stream, reader, timer, .. } = self;
            let mut fill = std::pin::pin!(poll_fn(|cx| reader.poll_fill(stream, cx)));
            let read = poll_fn(|cx| {
                if let Poll::Ready(n) = fill.as_mut().poll(cx) {
                    return Poll::Ready(Ok(n));
                }
                let deadline = *deadline.get_or_insert_with(|| clock::instant() + limits.timeout);
                timer.poll_until(cx, deadline).map(|()| Err(HeadError::Timeout))
            });
            if read.await?? == 0 {
                return Err(if begun { HeadError::Aborted } else { HeadError::Closed });
            }
        }
    }

    /// The next part of the body, decoded; `None` at its end. `limit` is for one wait.
    pub async fn read_body(&mut self, limit: Duration) -> Result<Option<&[u8]>, BodyError> {
        let part = self.reader.body().len();
        self.reader.consume(part);
        Ok(if self.fill_body(limit).await? { Some(self.reader.body()) } else { None })
    }

    /// Waits for a part of the body: [`body`](Self::body). False: it is over. What
    /// [`consume_body`](Self::consume_body) left is still there.
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

    /// [`poll_body`](Self::poll_body) without waiting.
    pub fn try_fill_body(&mut self) -> Poll<Result<bool, BodyError>> {
        self.poll_body(&mut Context::from_waker(std::task::Waker::noop()))
    }

    /// The part of the body that is there.
    pub fn body(&self) -> &[u8] {
        self.reader.body()
    }

    pub fn consume_body(&mut self, n: usize) {
        self.reader.consume(n);
    }

    /// The whole body, if there is one, was read and taken.
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

    /// Drops what is there of the body without waiting. True: all of it is gone.
    pub fn try_discard_body(&mut self) -> Result<bool, BodyError> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        loop {
            let part = self.reader.body().len();
            self.reader.consume(part);
            match self.reader.poll_body(&mut self.stream, &mut cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Ok(true),
                Poll::Ready(Err(e)) => return Err(e),
                Poll::Pending => return Ok(false),
            }
        }
    }

    /// Reads the rest of the body and drops it.
    pub async fn discard_body(&mut self, limit: Duration) -> Result<(), BodyError> {
        while self.read_body(limit).await?.is_some() {}
        Ok(())
    }

    /// Ready when the client has closed its end or the connection failed. What it sends meanwhile is kept.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Stream::H2(stream) = &self.stream {
            return stream.answer().poll_gone(cx);
        }
        loop {
            if self.reader.eof {
                return Poll::Ready(());
            }
            if self.reader.buf.is_full() {
                // A client that sends so much ahead is there.
                return Poll::Pending;
            }
            ready!(self.stream.poll_read_ready(cx)).ok();
            match ready!(self.reader.poll_fill(&mut self.stream, cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// [`poll_closed`](Self::poll_closed) as a future.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// The answer goes to a stream of HTTP/2: its head does not go through the output buffer, and its body is not framed.
    pub fn is_h2(&self) -> bool {
        matches!(self.stream, Stream::H2(_))
    }

    /// The head of the answer; `size`: about what it takes. `chunk`: the most bytes of one DATA frame.
    pub fn send_h2_head(&mut self, head: hyper::Response<()>, size: u64, chunk: usize) {
        if let Stream::H2(stream) = &self.stream {
            self.writer.sent += size;
            stream.answer().head(head, chunk);
        }
    }

    /// The fields that follow the body, which is in the output buffer or sent.
    pub fn send_h2_trailers(&mut self, trailers: hyper::HeaderMap) {
        if let Stream::H2(stream) = &self.stream {
            stream.answer().trailers(trailers);
        }
    }

    /// Whether a new connection begins as HTTP/2 does; what was read of it stays. `None`: it ended, or said nothing for
    /// `limit`.
    pub async fn begins_h2(&mut self, limit: Duration) -> Option<bool> {
        loop {
            let begun = self.reader.buf.filled();
            if begun.starts_with(PREFACE) {
                return Some(true);
            }
            if !begun.is_empty() && !PREFACE.starts_with(begun) {
                return Some(false);
            }
            let Self { stream, reader, timer, .. } = self;
            let fill = poll_fn(|cx| reader.poll_fill(stream, cx));
            match timer.bound(limit, fill).await {
                Ok(Ok(n)) if n > 0 => {}
                _ => return None,
            }
        }
    }

    /// The stream, and what was read of it and not taken.
    pub fn into_stream(self) -> (Stream, Vec<u8>) {
        let early = self.reader.buf.filled().to_vec();
        (self.stream, early)
    }

    /// The output buffer: what is appended goes out before the next part of a body.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.writer.out
    }

    /// Writes the output buffer. `limit` is for one wait.
    pub async fn flush(&mut self, limit: Duration) -> Result<(), SendError> {
        self.send(&[], limit).await
    }

    /// Writes the output buffer and `body` behind it, in one call if the socket takes it.
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

    /// Sends no faster than this from now on.
    pub fn set_pace(&mut self, pace: Option<Pace>) {
        self.writer.pace = pace.map(Box::new);
    }

    /// Whether what is to be sent waits because of the pace.
    pub fn is_paced(&self) -> bool {
        self.writer.pace.as_ref().is_some_and(|p| p.holds())
    }

    /// Answers `Expect: 100-continue`.
    pub async fn send_continue(&mut self, limit: Duration) -> Result<(), SendError> {
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n", limit).await
    }

    /// Closes so that the client gets all of the answer although it still sends: FIN, then what it sends is read and
    /// dropped for at most `time`, and no longer than `limit` without a byte (`lingering_close`).
    pub async fn lingering_close(mut self, time: Duration, limit: Duration) {
        if poll_fn(|cx| self.stream.poll_shutdown(cx)).await.is_err() {
            return;
        }
        let end = clock::instant() + time;
        loop {
            let now = clock::instant();
            if self.reader.eof || now >= end {
                return;
            }
            self.reader.drop_input();
            let Self { stream, reader, timer, .. } = &mut self;
            let deadline = end.min(now + limit);
            match timer.bound_at(deadline, poll_fn(|cx| reader.poll_fill(stream, cx))).await {
                Ok(Ok(n)) if n > 0 => {}
                _ => return,
            }
        }
    }

    /// Closes with RST: what is unsent is dropped (`reset_timedout_connection`).
    pub fn reset(self) {
        // A socket that does not know the option is simply closed.
        self.stream.set_reset_on_close().ok();
    }

    pub(super) fn parts(&mut self) -> (&mut Stream, &mut Reader, &mut Writer, &mut Timeout) {
        (&mut self.stream, &mut self.reader, &mut self.writer, &mut self.timer)
    }
}
