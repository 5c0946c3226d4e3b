//! The body of an answer on its way from a peer to the client.
//!
//! With `proxy_buffering` a peer is read as fast as it gives, and what a slow client has not taken yet waits in memory
//! and then in a file; without it, a peer is read as fast as the client takes.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::spill::Spill;
use crate::http::{Then, Transform, TransformError};
use crate::rt::{Timeout, clock};
use crate::wire::body::chunk_head;
use crate::wire::{BodyError, ClientConn, ServerConn};

/// How it went.
#[derive(Debug)]
pub(super) enum End {
    /// The peer's body is whole, and all of it is on its way to the client.
    Whole,
    /// The peer closed, failed, or made no sense before its body was whole; what came was passed on.
    Upstream(BodyError),
    UpstreamTimeout,
    Client(io::Error),
    ClientTimeout,
    ClientClosed,
    /// The body is not what it says that it is, and cannot be unpacked.
    Transform(TransformError),
    /// The temporary file could not be written.
    Spill(io::Error),
}

/// What a location says about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) buffering: bool,
    /// Bytes kept in memory for a slow client.
    pub(super) memory: usize,
    pub(super) file: u64,
    pub(super) temp_path: &'a Path,
    pub(super) read_timeout: Duration,
    pub(super) send_timeout: Duration,
    /// Bytes a second; 0: as fast as it goes.
    pub(super) rate: u64,
    /// The client is watched.
    pub(super) watched: bool,
    pub(super) chunked: bool,
    /// `tcp_nodelay`
    pub(super) no_delay: bool,
}

/// Pieces up to this size are copied behind what is to be sent before them, and leave with it; larger ones leave from
/// where they were read.
const COPIED: usize = 4 * 1024;
/// The output buffer is sent when it is this large.
const FULL: usize = 16 * 1024;

/// Bytes that are compressed without a break for other connections.
const WORK: usize = 64 * 1024;

pub(super) struct Relay<'a> {
    settings: Settings<'a>,
    /// What the body goes through.
    pub(super) transform: Option<Box<Transform>>,
    /// It has more to give.
    unfinished: bool,
    /// Bytes that it was given since others had their turn.
    worked: usize,
    spill: Spill,
    /// The client has not taken all of the output buffer yet.
    blocked: bool,
    /// The output buffer holds the head and no more: with buffering it waits for some body.
    head_only: bool,
    began: Instant,
    taken: u64,
    /// A first byte went to a file.
    pub(super) spilled: bool,
}

impl<'a> Relay<'a> {
    pub(super) fn new(settings: Settings<'a>, transform: Option<Box<Transform>>) -> Self {
        let file = if settings.buffering { settings.file } else { 0 };
        Self {
            spill: Spill::new(settings.memory, file),
            settings,
            transform,
            unfinished: false,
            worked: 0,
            blocked: false,
            head_only: true,
            began: clock::instant(),
            taken: 0,
            spilled: false,
        }
    }

    /// Passes the body on until the peer has no more of it, or the client cannot get it. The client may have to wait for
    /// some of it still: see [`Self::drain`].
    pub(super) async fn run(
        &mut self,
        conn: &mut ServerConn,
        link: &mut ClientConn,
        timer: &mut Timeout,
    ) -> End {
        let (mut heard, mut took) = (clock::instant(), clock::instant());
        poll_fn(|cx| {
            let before = (link.bytes_received(), conn.bytes_sent());
            match self.step(conn, link, cx) {
                Ok(Some(end)) | Err(end) => return Poll::Ready(end),
                Ok(None) => {}
            }
            let now = clock::instant();
            if link.bytes_received() != before.0 {
                heard = now;
            }
            if conn.bytes_sent() != before.1 || !self.blocked || conn.is_paced() {
                took = now;
            }
            // Only what is waited for can be late.
            if self.blocked && timer.poll_until(cx, took + self.settings.send_timeout).is_ready() {
                return Poll::Ready(End::ClientTimeout);
            }
            if let Some(pause) = self.pause(now) {
                heard = now;
                if timer.poll_until(cx, now + pause).is_ready() {
                    cx.waker().wake_by_ref();
                }
            } else if self.may_read() && timer.poll_until(cx, heard + self.settings.read_timeout).is_ready() {
                return Poll::Ready(End::UpstreamTimeout);
            }
            Poll::Pending
        })
        .await
    }

    /// Sends what the client has not taken yet; the last of it may be left in its output buffer.
    pub(super) async fn drain(&mut self, conn: &mut ServerConn, timer: &mut Timeout) -> Result<(), End> {
        if !self.blocked && self.spill.is_empty() {
            return Ok(());
        }
        let mut took = (conn.bytes_sent(), clock::instant());
        poll_fn(|cx| {
            loop {
                if self.blocked && self.flush(conn, cx)? {
                    self.blocked = false;
                }
                if self.blocked {
                    break;
                }
                if self.spill.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                if self.is_tired(cx) {
                    return Poll::Pending;
                }
                self.unspill(conn, cx)?;
            }
            if conn.bytes_sent() != took.0 || conn.is_paced() {
                took = (conn.bytes_sent(), clock::instant());
            }
            timer.poll_until(cx, took.1 + self.settings.send_timeout).map(|()| Err(End::ClientTimeout))
        })
        .await
    }

    /// Whether the peer is to be read, as far as the client goes.
    fn may_read(&self) -> bool {
        if self.settings.buffering { self.spill.has_room() } else { !self.blocked && self.spill.is_empty() }
    }

    /// How long the peer is left alone because of the rate.
    fn pause(&self, now: Instant) -> Option<Duration> {
        let rate = self.settings.rate;
        if rate == 0 {
            return None;
        }
        let elapsed = now.saturating_duration_since(self.began).as_millis();
        let due = u128::from(self.taken) * 1000 / u128::from(rate);
        let ahead = due.saturating_sub(elapsed + 1000);
        (ahead > 0).then(|| Duration::from_millis(u64::try_from(ahead).unwrap_or(u64::MAX).max(1)))
    }

    /// As far as it goes now; `Some`: the peer has no more, `Err`: it cannot go on.
    fn step(
        &mut self,
        conn: &mut ServerConn,
        link: &mut ClientConn,
        cx: &mut Context<'_>,
    ) -> Result<Option<End>, End> {
        loop {
            if self.blocked && self.flush(conn, cx)? {
                self.blocked = false;
            }
            if self.is_tired(cx) {
                return Ok(None);
            }
            if !self.blocked && self.unfinished {
                self.send(conn, b"", cx)?;
                continue;
            }
            if !self.blocked && !self.spill.is_empty() {
                self.unspill(conn, cx)?;
                continue;
            }
            if self.may_read() && self.pause(clock::instant()).is_none() {
                match link.poll_body(cx) {
                    Poll::Ready(Ok(true)) => {
                        let n = link.body().len();
                        self.taken += n as u64;
                        self.pass(conn, link.body(), cx)?;
                        link.consume_body(n);
                        continue;
                    }
                    Poll::Ready(Ok(false)) => return Ok(Some(End::Whole)),
                    Poll::Ready(Err(e)) => return Ok(Some(End::Upstream(e))),
                    Poll::Pending => {}
                }
            }
            // The peer makes us wait: what there is goes out.
            let held = self.head_only && self.settings.buffering;
            if !self.blocked && !held && !conn.out().is_empty() {
                if self.settings.no_delay {
                    conn.no_delay();
                }
                self.blocked = !self.flush(conn, cx)?;
            }
            if self.settings.watched && conn.poll_closed(cx).is_ready() {
                return Err(End::ClientClosed);
            }
            return Ok(None);
        }
    }

    /// Sends the output buffer; `false`: the client does not take all of it now.
    fn flush(&mut self, conn: &mut ServerConn, cx: &mut Context<'_>) -> Result<bool, End> {
        match conn.poll_send(cx, &[]) {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(e)) => Err(End::Client(e)),
            Poll::Pending => Ok(false),
        }
    }

    /// A piece from the peer: to the client, or to what waits for it.
    fn pass(&mut self, conn: &mut ServerConn, piece: &[u8], cx: &mut Context<'_>) -> Result<(), End> {
        let wait = self.blocked || !self.spill.is_empty();
        let taken = if wait { 0 } else { self.send(conn, piece, cx)? };
        match piece.get(taken..) {
            None | Some([]) => Ok(()),
            Some(rest) => {
                self.spilled |= self.spill.will_spill(rest.len());
                self.spill.push(rest, self.settings.temp_path).map_err(End::Spill)
            }
        }
    }

    /// Whether the other connections of the thread are to have their turn.
    fn is_tired(&mut self, cx: &Context<'_>) -> bool {
        let tired = self.worked >= WORK;
        if tired {
            self.worked = 0;
            cx.waker().wake_by_ref();
        }
        tired
    }

    /// Sends a piece, or as much of it as the client takes; how much that is.
    fn send(&mut self, conn: &mut ServerConn, piece: &[u8], cx: &mut Context<'_>) -> Result<usize, End> {
        let Some(mut transform) = self.transform.take() else {
            return self.put(conn, piece, cx).map(|()| piece.len());
        };
        let result = self.send_through(&mut transform, conn, piece, cx);
        self.transform = Some(transform);
        result
    }

    fn send_through(
        &mut self,
        transform: &mut Transform,
        conn: &mut ServerConn,
        piece: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<usize, End> {
        let then = if self.settings.buffering { Then::More } else { Then::Flush };
        let (mut taken, mut made) = (0, Vec::new());
        loop {
            let rest = piece.get(taken..).unwrap_or_default();
            let stepped = transform.step(rest, then, &mut made).map_err(End::Transform)?;
            taken += stepped.taken;
            self.worked += stepped.taken + made.len();
            if !made.is_empty() {
                self.put(conn, &made, cx)?;
                made.clear();
            }
            self.unfinished = !stepped.done;
            if stepped.done || self.blocked {
                return Ok(taken);
            }
        }
    }

    fn put(&mut self, conn: &mut ServerConn, piece: &[u8], cx: &mut Context<'_>) -> Result<(), End> {
        self.head_only = false;
        if self.settings.chunked {
            chunk_head(piece.len(), conn.out());
        }
        if piece.len() <= COPIED && conn.out().len() + piece.len() <= FULL {
            conn.out().extend_from_slice(piece);
        } else {
            match conn.poll_send(cx, piece) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => return Err(End::Client(e)),
                Poll::Pending => {
                    // What was not taken waits behind what was before it.
                    conn.out().extend_from_slice(piece);
                    self.blocked = true;
                }
            }
        }
        if self.settings.chunked {
            conn.out().extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn unspill(&mut self, conn: &mut ServerConn, cx: &mut Context<'_>) -> Result<(), End> {
        let mut spill = std::mem::take(&mut self.spill);
        let result = match spill.front() {
            Ok(front) => self.send(conn, front, cx),
            Err(e) => Err(End::Spill(e)),
        };
        self.spill = spill;
        self.spill.consume(result?);
        Ok(())
    }
}
