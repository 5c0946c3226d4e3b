//! One attempt: connecting, sending the request, waiting for the head of the answer. The client is watched all along.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use super::exchange::Exchange;
use super::next::Fault;
use super::report::{Action, Os, read_failed, write_failed};
use super::request::{Outgoing, Source};
use crate::diag::Severity;
use crate::http::Request;
use crate::http::body::{self, BodyFail};
use crate::plan::PeerAddr;
use crate::rt::{Elapsed, clock};
use crate::wire::{BodyError, ClientConn, ResponseError, ServerConn, body::LAST_CHUNK, body::chunk_head};

/// How an attempt ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Fault(Fault),
    /// Nothing can be answered any more; the status is for the log.
    Gone(u16),
    /// The request ends with this status, whatever other peers there are.
    Status(u16),
}

/// What came first while a part of the request was being sent.
enum Sent {
    Part,
    /// The head of the answer: the peer does not want the rest.
    Early,
    Failed(io::Error),
    Answer(ResponseError),
    Gone,
}

impl Exchange<'_> {
    /// Asks the peer at `addr`; afterwards its head is in the request. `link` is where the connection is left.
    pub(super) async fn ask(
        &mut self,
        addr: &PeerAddr,
        name: &str,
        kept: Option<Box<ClientConn>>,
        link: &mut Option<Box<ClientConn>>,
    ) -> Result<(), Ended> {
        let conn = match kept {
            Some(conn) => conn,
            None => self.connect(addr, name).await?,
        };
        let link = link.insert(conn);
        link.start();
        let took = self.since_attempt();
        if let Some(attempt) = self.attempt() {
            attempt.connect_ms = Some(took);
        }
        self.out.action = Action::Sending;
        self.out.sent = true;
        let early = match self.out.source {
            Source::Nothing => self.send_kept(link, false).await?,
            Source::Kept => self.send_kept(link, true).await?,
            Source::Streamed { chunked } => self.send_streamed(link, chunked).await?,
        };
        if !early {
            self.out.sent_all = true;
            self.out.action = Action::ReadingHead;
            self.wait(link).await?;
        }
        self.out.action = Action::ReadingHead;
        self.req.has_upstream_head = true;
        let took = self.since_attempt();
        let status = self.req.upstream_head.status;
        if let Some(attempt) = self.attempt() {
            attempt.header_ms = Some(took);
            attempt.status = status;
        }
        Ok(())
    }

    pub(super) fn client_left(&self) -> Ended {
        self.log(
            Severity::Info,
            self.out.action,
            format_args!("client prematurely closed connection, so upstream connection is closed too"),
        );
        Ended::Gone(499)
    }

    /// Sends the head and the body that is kept. `true`: the answer came before all of it was sent.
    async fn send_kept(&mut self, link: &mut ClientConn, with_body: bool) -> Result<bool, Ended> {
        link.out().extend_from_slice(&self.out.head);
        if !with_body || self.req.body.is_empty() {
            return self.send_part(link, Part::Nothing).await;
        }
        // What follows the first write must not wait for the peer's ACK.
        link.stream().set_nodelay(true).ok();
        if self.req.body.memory().is_some() {
            return self.send_part(link, Part::Memory).await;
        }
        let mut at = 0;
        loop {
            self.out.block.resize(64 * 1024, 0);
            let n = match self.req.body.read_at(at, &mut self.out.block) {
                Ok(n) => n,
                Err(e) => {
                    self.log(Severity::Crit, Action::Sending, format_args!("pread() failed {}", Os(&e)));
                    return Err(Ended::Status(500));
                }
            };
            if n == 0 {
                return Ok(false);
            }
            at += n as u64;
            self.out.block.truncate(n);
            if self.send_part(link, Part::Block).await? {
                return Ok(true);
            }
        }
    }

    /// Sends the head, then the body as it comes.
    async fn send_streamed(&mut self, link: &mut ClientConn, chunked: bool) -> Result<bool, Ended> {
        link.stream().set_nodelay(true).ok();
        link.out().extend_from_slice(&self.out.head);
        let limit = self.plan.locations.get(self.req.loc.ix()).map_or(Duration::MAX, |l| l.body_timeout);
        if let Some(begun) = self.req.body.memory() {
            put_part(begun, chunked, link.out());
            if self.send_part(link, Part::Nothing).await? {
                return Ok(true);
            }
            self.req.body.clear();
        }
        loop {
            let head = &mut self.req.upstream_head;
            let (conn, head_request, max) = (&mut *self.conn, self.out.head_request, self.proxy.buffer_size);
            // The client's next part, or the peer's answer; what is there to send leaves meanwhile.
            let next = self.out.timer.bound(
                limit,
                poll_fn(|cx| {
                    if let Poll::Ready(part) = conn.poll_body(cx) {
                        return Poll::Ready(Ok(part));
                    }
                    if let Poll::Ready(Err(e)) = link.poll_send(cx, &[]) {
                        return Poll::Ready(Err(Sent::Failed(e)));
                    }
                    match link.poll_response_head(cx, head, head_request, max) {
                        Poll::Ready(Ok(())) => Poll::Ready(Err(Sent::Early)),
                        Poll::Ready(Err(e)) => Poll::Ready(Err(Sent::Answer(e))),
                        Poll::Pending => Poll::Pending,
                    }
                }),
            );
            let part = match next.await {
                Ok(Ok(part)) => part,
                Ok(Err(sent)) => return self.after_part(sent, link),
                Err(Elapsed) => Err(BodyError::Timeout),
            };
            match part {
                Ok(true) if chunked => {
                    self.gather();
                    let (read, n) = (self.conn.body_bytes(), self.out.block.len() as u64);
                    body::check_size(self.req, self.thread, read.saturating_sub(n), n)
                        .map_err(Ended::Status)?;
                    put_part(&self.out.block, true, link.out());
                    let last = self.conn.body_done();
                    if last {
                        // The end that came with it leaves with it.
                        link.out().extend_from_slice(LAST_CHUNK);
                    }
                    let early = self.send_part(link, Part::Nothing).await?;
                    if early || last {
                        return Ok(early);
                    }
                }
                Ok(true) => {
                    let n = self.conn.body().len();
                    let early = self.send_part(link, Part::Client).await?;
                    self.conn.consume_body(n);
                    if early {
                        return Ok(true);
                    }
                }
                Ok(false) => {
                    if chunked {
                        link.out().extend_from_slice(LAST_CHUNK);
                    }
                    return self.send_part(link, Part::Nothing).await;
                }
                Err(e) => {
                    return Err(match body::failed(self.req, self.thread, &e) {
                        BodyFail::Status(status) => Ended::Status(status),
                        BodyFail::Gone(status) => Ended::Gone(status),
                    });
                }
            }
        }
    }

    /// Takes what is there of a chunked body, so that it becomes one chunk however it was cut before.
    fn gather(&mut self) {
        const ENOUGH: usize = 16 * 1024;
        let block = &mut self.out.block;
        block.clear();
        loop {
            let part = self.conn.body();
            let n = part.len();
            block.extend_from_slice(part);
            self.conn.consume_body(n);
            // What is wrong with the rest shows when it is waited for.
            if block.len() >= ENOUGH || !matches!(self.conn.try_fill_body(), Poll::Ready(Ok(true))) {
                return;
            }
        }
    }

    /// Sends what waits in the output buffer and a part of the body behind it.
    async fn send_part(&mut self, link: &mut ClientConn, part: Part) -> Result<bool, Ended> {
        let watched = !self.proxy.ignore_client_abort && part != Part::Client && !self.out.streaming();
        let (max, limit) = (self.proxy.buffer_size, self.proxy.send_timeout);
        let Request { body, upstream_head: head, .. } = &mut *self.req;
        let conn = &mut *self.conn;
        let Outgoing { block, timer, head_request, .. } = &mut *self.out;
        let head_request = *head_request;
        let mut progress = (link.bytes_sent(), clock::instant());
        let sent = poll_fn(|cx| {
            let bytes = match part {
                Part::Nothing => &[],
                Part::Memory => body.memory().unwrap_or_default(),
                Part::Block => &block[..],
                Part::Client => conn.body(),
            };
            match link.poll_send(cx, bytes) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(Sent::Part)),
                // A peer that answered and closed: its answer may be here.
                Poll::Ready(Err(e)) => {
                    let answer = link.poll_response_head(cx, head, head_request, max);
                    return Poll::Ready(Ok(match answer {
                        Poll::Ready(Ok(())) => Sent::Early,
                        _ => Sent::Failed(e),
                    }));
                }
                Poll::Pending => {}
            }
            match link.poll_response_head(cx, head, head_request, max) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(Sent::Early)),
                Poll::Ready(Err(e)) => return Poll::Ready(Ok(Sent::Answer(e))),
                Poll::Pending => {}
            }
            if client_gone(conn, watched, cx).is_ready() {
                return Poll::Ready(Ok(Sent::Gone));
            }
            if link.bytes_sent() != progress.0 {
                progress = (link.bytes_sent(), clock::instant());
            }
            timer.poll_until(cx, progress.1 + limit).map(|()| Err(Ended::Fault(Fault::Timeout)))
        });
        let sent = sent.await?;
        self.after_part(sent, link)
    }

    fn after_part(&mut self, sent: Sent, link: &mut ClientConn) -> Result<bool, Ended> {
        match sent {
            Sent::Part => Ok(false),
            Sent::Early => Ok(true),
            Sent::Gone => Err(self.client_left()),
            Sent::Failed(e) => {
                let (level, text) = write_failed(&e, self.secure.is_some());
                self.log(level, Action::Sending, format_args!("{text}"));
                Err(Ended::Fault(Fault::Error))
            }
            Sent::Answer(e) => {
                self.out.action = Action::ReadingHead;
                self.bad_answer(&e, link).map(|()| true)
            }
        }
    }

    /// Waits for the head of the answer.
    async fn wait(&mut self, link: &mut ClientConn) -> Result<(), Ended> {
        let watched = !self.proxy.ignore_client_abort;
        let (head_request, max) = (self.out.head_request, self.proxy.buffer_size);
        let (conn, head) = (&mut *self.conn, &mut self.req.upstream_head);
        let answer = poll_fn(|cx| match link.poll_response_head(cx, head, head_request, max) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => client_gone(conn, watched, cx).map(|()| None),
        });
        match self.out.timer.bound(self.proxy.read_timeout, answer).await {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(e))) => self.bad_answer(&e, link),
            Ok(None) => Err(self.client_left()),
            Err(Elapsed) => Err(Ended::Fault(Fault::Timeout)),
        }
    }

    /// Says what is wrong with an answer. What is no HTTP at all is passed on as HTTP/0.9, as nginx does.
    fn bad_answer(&mut self, e: &ResponseError, link: &mut ClientConn) -> Result<(), Ended> {
        let action = Action::ReadingHead;
        let fault = match e {
            ResponseError::Timeout => Fault::Timeout,
            ResponseError::Closed => {
                self.log(Severity::Error, action, format_args!("upstream prematurely closed connection"));
                Fault::Error
            }
            ResponseError::Io(e) => {
                let (level, text) = read_failed(e, self.secure.is_some(), "recv");
                self.log(level, action, format_args!("{text}"));
                Fault::Error
            }
            ResponseError::NotHttp => {
                self.log(Severity::Error, action, format_args!("{e}"));
                let head = &mut self.req.upstream_head;
                head.clear();
                head.status = 200;
                self.req.head.version = crate::wire::Version::HTTP_09;
                self.req.keepalive = false;
                link.take_all_as_body();
                return Ok(());
            }
            ResponseError::TooBig | ResponseError::Invalid(_) => {
                self.log(Severity::Error, action, format_args!("{e}"));
                Fault::InvalidHeader
            }
        };
        Err(Ended::Fault(fault))
    }
}

/// Which bytes of the body are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Nothing,
    /// All of a body in memory.
    Memory,
    /// The block read from its file.
    Block,
    /// What came from the client.
    Client,
}

/// A part of a body as the peer gets it.
fn put_part(part: &[u8], chunked: bool, out: &mut Vec<u8>) {
    if chunked {
        chunk_head(part.len(), out);
    }
    out.extend_from_slice(part);
    if chunked {
        out.extend_from_slice(b"\r\n");
    }
}

/// Ready when the client is gone and that matters.
pub(super) fn client_gone(conn: &mut ServerConn, watched: bool, cx: &mut std::task::Context<'_>) -> Poll<()> {
    if watched { conn.poll_closed(cx) } else { Poll::Pending }
}
