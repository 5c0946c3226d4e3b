//! The life of an HTTP/2 connection. hyper reads and writes its frames; each stream is a request as any other, served
//! by the same code, in the task that hyper makes for the stream as long as its answer is short, and in one of its own
//! when it is not.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::Serving;
use super::conn::{self, Count};
use crate::diag::Severity;
use crate::http::{Request, ThreadState};
use crate::rt::{Timeout, clock};
use crate::wire::h2::{Aborted, Answer, AnswerBody, Answering, H2Stream, Io, Passes, StreamTask};
use crate::wire::{Limits, ServerConn, Stream};

/// How long a client has to take GOAWAY once no request is left. What it sends before it knows is still served.
const LAST_CALL: Duration = Duration::from_millis(500);
/// The smallest window for a body: hyper opens one only as it is read.
const LEAST_WINDOW: u32 = 16 * 1024;
const MAX_WINDOW: u32 = (1 << 31) - 1;
/// What a stream of an answer may have in hyper's hands.
const SEND_BUFFER: usize = 64 * 1024;
/// What frames may take beyond their content before it is a flood, as nginx has it.
const FLOOD: u64 = 1 << 20;
/// Bytes of a head beyond what is allowed that are still read.
const LIST_SLACK: usize = 16 * 1024;
/// Requests that are kept for the next streams of a connection.
const SPARE: usize = 16;

/// What the streams of one connection have in common.
struct Link {
    serving: Serving,
    limits: Limits,
    /// What the connection's requests begin with.
    spare: RefCell<Vec<Request>>,
    info: crate::http::ConnInfo,
    /// Requests so far.
    requests: Cell<u64>,
    /// Streams whose answer hyper still has.
    open: Cell<u32>,
    /// Requests that are not over.
    running: Cell<u32>,
    /// No more requests are wanted.
    last: Cell<bool>,
    /// When something was last taken by the client, or a stream or its request began or ended.
    moved: Cell<Instant>,
    received: Rc<Cell<u64>>,
    /// What was received and sent but for frames.
    payload: Cell<u64>,
    /// Also wakes the connection's task.
    passes: Rc<Passes>,
    /// The answer of the stream that has just begun.
    begun: Cell<Option<Answer>>,
}

impl Link {
    /// One more stream.
    fn begin(self: &Rc<Self>, request: hyper::Request<Incoming>) -> Task {
        let n = self.requests.get() + 1;
        self.requests.set(n);
        self.serving.http.stats.requests.fetch_add(1, Ordering::Relaxed);
        self.moved.set(clock::instant());
        let mut req = self.spare.borrow_mut().pop().unwrap_or_else(|| {
            let (plan, thread) = (self.serving.plan.clone(), Rc::clone(&self.serving.http));
            Request::new(plan, thread, self.info.clone())
        });
        req.conn.requests = n;
        req.reset();
        if is_last(&req) {
            self.last.set(true);
        }
        self.running.set(self.running.get() + 1);
        let answer = Answer::default();
        let mut conn = ServerConn::new(Stream::H2(Box::new(H2Stream::new(request, answer.clone()))));
        let (link, at) = (Rc::clone(self), answer.clone());
        let work = async move {
            conn::one(&mut req, &mut conn, &link.limits, &link.serving).await;
            link.payload.set(link.payload.get() + req.request_length);
            drop(conn);
            at.end(req.completed);
            link.moved.set(clock::instant());
            link.running.set(link.running.get() - 1);
            if link.spare.borrow().len() < SPARE {
                link.spare.borrow_mut().push(req);
            }
            if link.running.get() == 0 {
                link.passes.wake();
            }
        };
        self.begun.set(Some(answer.clone()));
        Task { work: Some(Box::pin(work)), answer, stream: Some(Open::new(self)) }
    }

    /// When the connection has waited long enough, as it stands now; `None`: the requests know.
    fn deadline(&self, keepalive: Duration, send: Duration) -> Option<Instant> {
        if self.open.get() == 0 {
            let wait = if self.requests.get() == 0 { self.limits.timeout } else { keepalive };
            return Some(self.moved.get() + wait);
        }
        // All answers are made, and the client takes none of them.
        (self.running.get() == 0).then(|| self.moved.get() + send)
    }
}

/// Whether the connection ends with this request.
fn is_last(req: &Request) -> bool {
    let loc = req.location();
    let age = clock::unix_millis().saturating_sub(req.conn.started);
    loc.keepalive_timeout.is_zero()
        || req.conn.requests >= loc.keepalive_requests
        || u128::from(age) > loc.keepalive_time.as_millis()
}

/// Counts a stream while it lives.
struct Open(Rc<Link>);

impl Open {
    fn new(link: &Rc<Link>) -> Self {
        link.open.set(link.open.get() + 1);
        Self(Rc::clone(link))
    }
}

impl Answering for Open {
    fn moved(&self, bytes: usize) {
        self.0.moved.set(clock::instant());
        self.0.payload.set(self.0.payload.get() + bytes as u64);
    }

    fn passes(&self) -> &Passes {
        &self.0.passes
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let link = &self.0;
        link.open.set(link.open.get() - 1);
        link.moved.set(clock::instant());
        if link.open.get() == 0 {
            link.passes.wake();
        }
    }
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// One stream: the request until its head is answered.
struct Task {
    work: Option<Work>,
    answer: Answer,
    stream: Option<Open>,
}

impl Future for Task {
    type Output = Result<Response<AnswerBody<Open>>, Aborted>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = &mut *self;
        if let Some(work) = &mut me.work
            && work.as_mut().poll(cx).is_ready()
        {
            me.work = None;
        }
        match me.answer.take_head() {
            Some(head) => {
                if let Some(rest) = me.work.take() {
                    tokio::task::spawn_local(rest);
                }
                let stream = me.stream.take().expect("a stream answers once");
                let answer = me.answer.clone();
                Poll::Ready(Ok(head.map(|()| AnswerBody::new(answer, stream))))
            }
            None if me.work.is_none() => Poll::Ready(Err(Aborted)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Task {
    /// The client has reset the stream, or is gone: the request ends as one whose connection is closed.
    fn drop(&mut self) {
        if let Some(rest) = self.work.take() {
            self.answer.drop_stream();
            tokio::task::spawn_local(rest);
        }
    }
}

/// Puts hyper's streams among the thread's tasks. What it is given right after a request began is that one's.
#[derive(Clone)]
struct Local(Rc<Link>);

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(StreamTask::new(future, self.0.begun.take(), Rc::clone(&self.0.passes)));
    }
}

/// How a connection ends.
enum End {
    /// hyper is done with it.
    Over(hyper::Result<()>),
    Flood,
    /// Nobody answered GOAWAY, or there was nothing to wait for.
    Idle,
    /// The client takes nothing of what it asked for.
    Stalled,
}

/// Serves a connection that is known to speak HTTP/2. `early`: what was read of it. `req`: as it is before the first
/// request.
pub(super) async fn serve(stream: Stream, early: Vec<u8>, req: Request, serving: &Serving) {
    let settings = req.server().http2;
    let (keepalive, send) = (req.location().keepalive_timeout, req.location().send_timeout);
    let limits = Limits::of(req.server());
    // Nothing of an answer may wait for an ACK.
    stream.set_nodelay(true).ok();
    let received = Rc::new(Cell::new(0));
    let io = TokioIo::new(Io::new(stream, early, Rc::clone(&received)));
    let link = Rc::new(Link {
        serving: serving.clone(),
        limits,
        info: req.conn.clone(),
        spare: RefCell::default(),
        requests: Cell::new(0),
        open: Cell::new(0),
        running: Cell::new(0),
        last: Cell::new(false),
        moved: Cell::new(clock::instant()),
        received,
        payload: Cell::new(0),
        passes: Rc::default(),
        begun: Cell::default(),
    });
    let streams = Rc::clone(&link);
    let service = service_fn(move |request| streams.begin(request));
    let mut conn = Box::pin(builder(&settings, &limits, &link).serve_connection(io, service));
    let thread = &*serving.http;
    let end = drive(conn.as_mut(), &link, thread, keepalive, send).await;
    // The requests of a connection that is gone see it, and end.
    drop(conn);
    report(&end, &req, thread);
    poll_fn(|cx| {
        if link.running.get() == 0 {
            return Poll::Ready(());
        }
        link.passes.pass(cx);
        Poll::Pending
    })
    .await;
}

fn builder(settings: &crate::plan::Http2, limits: &Limits, link: &Rc<Link>) -> http2::Builder<Local> {
    let (count, size) = limits.large_buffers;
    // hyper counts 32 bytes for each field beside its text (RFC 9113, section 6.5.2), nginx the text alone.
    // What is a little more than nginx allows still comes up to here, and is refused in its words.
    let list = count.saturating_mul(size).saturating_add(limits.max_headers.min(1000) * 32 + LIST_SLACK);
    let resets = settings.streams.max(100) as usize;
    let mut builder = http2::Builder::new(Local(Rc::clone(link)));
    builder
        .initial_stream_window_size(settings.preread.clamp(LEAST_WINDOW, MAX_WINDOW))
        .initial_connection_window_size(MAX_WINDOW)
        .max_concurrent_streams(settings.streams)
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(resets)
        .max_local_error_reset_streams(resets)
        .auto_date_header(false);
    builder
}

/// Carries the connection on until it ends, or has to.
async fn drive<S, B>(
    mut conn: Pin<&mut http2::Connection<TokioIo<Io>, S, Local>>,
    link: &Link,
    thread: &ThreadState,
    keepalive: Duration,
    send: Duration,
) -> End
where
    S: hyper::service::HttpService<Incoming, ResBody = B, Future = Task>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Local: hyper::rt::bounds::Http2ServerConnExec<Task, B>,
{
    let mut drained = pin!(thread.drained());
    let mut timer = Timeout::new();
    let mut waiting = None;
    // When GOAWAY was sent.
    let mut closing: Option<Instant> = None;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(over) = conn.as_mut().poll(cx) {
                return Poll::Ready(End::Over(over));
            }
            if link.received.get() / 8 > link.payload.get() + FLOOD {
                return Poll::Ready(End::Flood);
            }
            if closing.is_none() && (link.last.get() || drained.as_mut().poll(cx).is_ready()) {
                conn.as_mut().graceful_shutdown();
                closing = Some(clock::instant());
                continue;
            }
            let idle = link.open.get() == 0;
            if idle != waiting.is_some() {
                waiting = idle.then(|| Count::up(&thread.stats.waiting));
            }
            link.passes.pass(cx);
            let deadline = match closing {
                Some(since) if idle => since.max(link.moved.get()) + LAST_CALL,
                _ => match link.deadline(keepalive, send) {
                    Some(deadline) => deadline,
                    None => return Poll::Pending,
                },
            };
            if timer.poll_until(cx, deadline).is_pending() {
                return Poll::Pending;
            }
            match (idle, closing) {
                (false, _) => return Poll::Ready(End::Stalled),
                (true, Some(_)) => return Poll::Ready(End::Idle),
                (true, None) => {
                    conn.as_mut().graceful_shutdown();
                    closing = Some(clock::instant());
                }
            }
        }
    })
    .await
}

/// nginx's line of a connection that ends before its time.
fn report(end: &End, req: &Request, thread: &ThreadState) {
    let info = |what: std::fmt::Arguments<'_>| {
        thread.log_error(req, Severity::Info, format_args!("{what} while processing HTTP/2 connection"))
    };
    match end {
        End::Over(Ok(())) | End::Idle => {}
        End::Over(Err(e)) => {
            let why = std::error::Error::source(e).map_or_else(|| e.to_string(), ToString::to_string);
            // Streams that are reset, or refused, one after the other.
            if why.contains("excessive load") {
                info(format_args!("http2 flood detected"));
            } else {
                info(format_args!("http2 connection failed ({why})"));
            }
        }
        End::Flood => info(format_args!("http2 flood detected")),
        End::Stalled => info(format_args!("client timed out (110: Connection timed out)")),
    }
}
