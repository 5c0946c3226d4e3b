//! An answer on its way from the request to hyper. The request writes, hyper takes as the client's window allows; both
//! are tasks of one thread, so a cell is all that lies between them.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::body::{Body, Bytes, Frame};
use hyper::{HeaderMap, Response};

/// Bytes that wait for the client's window; the request waits when there are more.
const ROOM: usize = 32 * 1024;

/// The answer ends before it is whole: the stream is reset.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer is not whole")]
pub struct Aborted;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Whole,
    Aborted,
}

#[derive(Debug)]
struct Cell {
    head: Option<Response<()>>,
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    end: End,
    /// hyper let go of the stream: reset, or the connection is gone, or all was taken.
    gone: bool,
    /// The most bytes of one DATA frame.
    chunk: usize,
    /// Who waits for room, or for the client to go.
    request: Option<Waker>,
    /// hyper waits for more.
    hyper: Option<Waker>,
    /// hyper's task, which may wait for the client's window and not look here.
    task: Option<Waker>,
}

/// The request's end, and what both have in common.
#[derive(Debug, Clone)]
pub struct Answer(Rc<RefCell<Cell>>);

impl Default for Answer {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Cell {
            head: None,
            data: Vec::new(),
            trailers: None,
            end: End::Open,
            gone: false,
            chunk: 8 << 10,
            request: None,
            hyper: None,
            task: None,
        })))
    }
}

impl Answer {
    /// The head. `chunk`: the most bytes of one DATA frame.
    pub(in super::super) fn head(&self, head: Response<()>, chunk: usize) {
        let mut cell = self.0.borrow_mut();
        cell.head = Some(head);
        cell.chunk = chunk.max(1);
    }

    pub(in super::super) fn trailers(&self, trailers: HeaderMap) {
        self.0.borrow_mut().trailers = Some(trailers);
    }

    /// Takes as much as there is room for.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut cell = self.0.borrow_mut();
        if cell.gone {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let room = ROOM.saturating_sub(cell.data.len());
        if room == 0 {
            cell.request = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut left = room;
        for part in parts {
            let n = left.min(part.len());
            cell.data.extend_from_slice(&part[..n]);
            left -= n;
        }
        wake(&mut cell.hyper);
        Poll::Ready(Ok(room - left))
    }

    /// Ready when the client does not want the answer any more.
    pub(in super::super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut cell = self.0.borrow_mut();
        if cell.gone {
            return Poll::Ready(());
        }
        cell.request = Some(cx.waker().clone());
        Poll::Pending
    }

    /// No more comes; not `whole`: the stream is reset.
    pub fn end(&self, whole: bool) {
        let mut cell = self.0.borrow_mut();
        cell.end = if whole { End::Whole } else { End::Aborted };
        if !whole {
            wake(&mut cell.task);
        }
        wake(&mut cell.hyper);
    }

    /// What hyper is to send now; `None`: the request has not answered yet.
    pub fn take_head(&self) -> Option<Response<()>> {
        self.0.borrow_mut().head.take()
    }

    /// The stream is gone: the request is told.
    pub fn drop_stream(&self) {
        let mut cell = self.0.borrow_mut();
        cell.gone = true;
        wake(&mut cell.request);
    }
}

/// hyper's task for a stream. An answer that is given up ends it although the client's window is shut: letting go of a
/// stream resets it.
#[derive(Debug)]
pub struct StreamTask<F> {
    inner: Option<Pin<Box<F>>>,
    answer: Option<Answer>,
    of: Rc<Passes>,
    /// The pass before it was given up.
    aborted: Option<u64>,
}

impl<F> StreamTask<F> {
    pub fn new(inner: F, answer: Option<Answer>, of: Rc<Passes>) -> Self {
        Self { inner: Some(Box::pin(inner)), answer, of, aborted: None }
    }
}

impl<F: Future> Future for StreamTask<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        let Some(inner) = &mut me.inner else { return Poll::Ready(()) };
        if inner.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(answer) = &me.answer else { return Poll::Pending };
        let mut cell = answer.0.borrow_mut();
        if cell.end == End::Aborted {
            if me.of.poll_next(cx, &mut me.aborted).is_pending() {
                return Poll::Pending;
            }
            drop(cell);
            me.inner = None;
            return Poll::Ready(());
        }
        if !cell.task.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            cell.task = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// How often the connection has written all that it could. A reset drops what hyper still has of a stream, so one waits for
/// the next time first.
#[derive(Debug, Default)]
pub struct Passes {
    count: std::cell::Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
    /// The connection's own task.
    driver: RefCell<Option<Waker>>,
}

impl Passes {
    /// The connection has written what it could, and waits.
    pub fn pass(&self, cx: &mut Context<'_>) {
        self.count.set(self.count.get() + 1);
        *self.driver.borrow_mut() = Some(cx.waker().clone());
        self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// Has the connection looked at.
    pub fn wake(&self) {
        wake(&mut self.driver.borrow_mut());
    }

    /// Ready at the first pass after the first call with this `since`.
    fn poll_next(&self, cx: &mut Context<'_>, since: &mut Option<u64>) -> Poll<()> {
        if self.count.get() > *since.get_or_insert(self.count.get()) {
            return Poll::Ready(());
        }
        self.waiting.borrow_mut().push(cx.waker().clone());
        self.wake();
        Poll::Pending
    }
}

/// What the connection wants to know of its answers.
pub trait Answering {
    /// The client took something.
    fn moved(&self, bytes: usize);
    fn passes(&self) -> &Passes;
}

/// hyper's end.
#[derive(Debug)]
pub struct AnswerBody<A: Answering> {
    answer: Answer,
    front: Bytes,
    of: A,
    /// The pass before it was given up.
    aborted: Option<u64>,
}

impl<A: Answering> AnswerBody<A> {
    pub fn new(answer: Answer, of: A) -> Self {
        Self { answer, front: Bytes::new(), of, aborted: None }
    }
}

impl<A: Answering + Unpin> Body for AnswerBody<A> {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let me = &mut *self;
        let mut cell = me.answer.0.borrow_mut();
        if me.front.is_empty() && !cell.data.is_empty() {
            me.front = Bytes::from(std::mem::take(&mut cell.data));
            wake(&mut cell.request);
        }
        if !me.front.is_empty() {
            let piece = me.front.split_to(cell.chunk.min(me.front.len()));
            drop(cell);
            me.of.moved(piece.len());
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match cell.end {
            End::Open => {
                cell.hyper = Some(cx.waker().clone());
                Poll::Pending
            }
            End::Whole => Poll::Ready(cell.trailers.take().map(|t| Ok(Frame::trailers(t)))),
            End::Aborted => me.of.passes().poll_next(cx, &mut me.aborted).map(|()| Some(Err(Aborted))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let cell = self.answer.0.borrow();
        self.front.is_empty() && cell.data.is_empty() && cell.end == End::Whole && cell.trailers.is_none()
    }
}

impl<A: Answering> Drop for AnswerBody<A> {
    fn drop(&mut self) {
        self.answer.drop_stream();
    }
}
