//! The life of a connection: requests one after the other, and how it ends.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UnixStream;

use super::thread::Shared;
use super::{State, h2, secure};
use crate::diag::Severity;
use crate::http::{self, ConnInfo, Request, Serial, Step, SubRunner, ThreadState, Trace};
use crate::log::Logs;
use crate::plan::{Lingering, ListenAddr, Plan};
use crate::proxy::{self, Outcome, ProxyThread};
use crate::rt::clock;
use crate::sys::err_text;
use crate::wire::{HeadError, Idle, Limits, PeerAddr, SendError, ServerConn, Stream};

/// What the connections of one thread need.
#[derive(Debug, Clone)]
pub struct Serving {
    pub plan: Arc<Plan>,
    pub http: Rc<ThreadState>,
    pub proxy: Rc<ProxyThread>,
    pub serial: Arc<Serial>,
}

impl Serving {
    /// What one thread needs that serves nobody: see [`explain`].
    pub fn alone(plan: Arc<Plan>, state: State) -> Self {
        let stores = crate::store::Stores::default();
        Shared::new(plan, Arc::new(Logs::nowhere()), state, stores).0.serving()
    }
}

/// How a request left its connection.
pub(super) enum After {
    /// The next request may come.
    Keep,
    /// Closed, once the client has had time to read the answer if it still sends.
    Close,
    /// Closed at once.
    Drop,
    /// Closed at once, what is unsent thrown away when `reset_timedout_connection` says so.
    TimedOut,
}

/// Adds one while it lives.
pub(super) struct Count<'a>(&'a AtomicU64);

impl<'a> Count<'a> {
    pub(super) fn up(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection to its end. `listener` is the index into the plan's listeners.
/// `client` is who accept named, if it was asked.
pub async fn serve(stream: Stream, client: Option<SocketAddr>, listener: usize, serving: &Serving) {
    let stats = Arc::clone(&serving.http.stats);
    stats.accepted.fetch_add(1, Ordering::Relaxed);
    stats.handled.fetch_add(1, Ordering::Relaxed);
    let _active = Count::up(&stats.active);
    let Some(mut info) = describe(&stream, client, listener, serving) else { return };
    let (mut stream, mut input) = (stream, Vec::new());
    if info.listen_entry(&serving.plan).is_some_and(|e| e.ssl || e.proxy_protocol) {
        let begun = Box::pin(secure::begin(stream, &mut info, serving)).await;
        let Some(begun) = begun else { return };
        (stream, input) = begun;
    }
    let mut req = Request::new(Arc::clone(&serving.plan), Rc::clone(&serving.http), info);
    let mut conn = ServerConn::with_input(stream, &input);
    let limits = Limits::of(req.server());
    let mut idle = limits.timeout;
    if secure::is_h2(&req) {
        let (stream, early) = conn.into_stream();
        return Box::pin(h2::serve(stream, early, req, serving)).await;
    }
    if may_be_h2(&req) {
        if !wait(&mut conn, &serving.http, idle, false).await {
            return;
        }
        match conn.begins_h2(limits.timeout).await {
            None => return,
            Some(false) => {}
            Some(true) => {
                let (stream, early) = conn.into_stream();
                return Box::pin(h2::serve(stream, early, req, serving)).await;
            }
        }
    }
    loop {
        if !wait(&mut conn, &serving.http, idle, req.conn.requests > 0).await {
            return;
        }
        stats.requests.fetch_add(1, Ordering::Relaxed);
        req.conn.requests += 1;
        req.reset();
        let after = one(&mut req, &mut conn, &limits, serving).await;
        match after {
            After::Keep => {
                // As nginx: nothing that was written may wait for an ACK now, and nothing will from here on.
                if req.location().tcp_nodelay {
                    conn.no_delay();
                }
                idle = req.location().keepalive_timeout;
            }
            After::Close => return close(conn, &req).await,
            After::TimedOut if req.location().reset_timedout => return conn.reset(),
            After::Drop | After::TimedOut => return,
        }
    }
}

/// Whether HTTP/2 is spoken without having been agreed on: its preface tells. TLS agrees on it.
fn may_be_h2(req: &Request) -> bool {
    if req.conn.tls || req.conn.to_https {
        return false;
    }
    req.server().http2.on || req.conn.listen_entry(&req.plan).is_some_and(|e| e.http2)
}

/// Carries the first request of `stream` through as [`serve`] does, its steps noted in `trace`. Gives it back as it was
/// left; nothing is logged.
pub async fn explain(stream: Stream, info: ConnInfo, trace: Trace, serving: &Serving) -> Request {
    let mut req = Request::new(Arc::clone(&serving.plan), Rc::clone(&serving.http), info);
    let mut conn = ServerConn::new(stream);
    req.trace = Some(Box::new(trace));
    req.conn.requests = 1;
    let limits = Limits::of(req.server());
    one(&mut req, &mut conn, &limits, serving).await;
    req
}

/// Who is connected to what; `None`: the client is gone already.
fn describe(
    stream: &Stream,
    client: Option<SocketAddr>,
    listener: usize,
    serving: &Serving,
) -> Option<ConnInfo> {
    let place = serving.plan.listeners.get(listener)?;
    let client = match client {
        Some(a) => Some(a),
        None => match stream.peer_addr().ok()? {
            PeerAddr::Inet(a) => Some(a),
            PeerAddr::Unix => None,
        },
    };
    let local = match &place.bind {
        // Every connection of this socket is to this address.
        ListenAddr::Inet(a) if !a.ip().is_unspecified() && a.port() != 0 => place.bind.clone(),
        _ => match stream.local_addr().ok()? {
            PeerAddr::Inet(a) => ListenAddr::Inet(a),
            PeerAddr::Unix => place.bind.clone(),
        },
    };
    Some(ConnInfo {
        number: serving.serial.next(),
        client,
        client_text: client.map_or_else(|| "unix:".into(), |a| a.ip().to_string().into()),
        connected: None,
        entry: place.entry_of(&local),
        local,
        listener,
        tls: false,
        secure: None,
        to_https: false,
        proxied: None,
        first: serving.plan.parallel.then(Rc::default),
        started: clock::unix_millis(),
        requests: 0,
    })
}

/// What carries the requests through that are our own. Their answers go into a socket that nobody reads: they have no
/// body.
pub(super) fn subrequests(proxy: Rc<ProxyThread>) -> Rc<SubRunner> {
    Rc::new(move |mut req| {
        let proxy = Rc::clone(&proxy);
        Box::pin(async move {
            let thread = Rc::clone(&req.thread);
            let (near, _far) = match UnixStream::pair() {
                Ok(pair) => pair,
                Err(e) => {
                    thread.log_error(
                        &req,
                        Severity::Crit,
                        format_args!("socketpair() failed ({})", err_text(&e)),
                    );
                    req.out.status = 500;
                    return req;
                }
            };
            let mut conn = ServerConn::new(Stream::Unix(near));
            let mut step = http::run_sub(&mut req, &mut conn, &thread).await;
            while let Step::Proxy(_) = step {
                step = match proxy::pass(&mut req, &mut conn, &thread, &proxy).await {
                    Outcome::Done => break,
                    Outcome::Error(status) => http::error(&mut req, &mut conn, &thread, status).await,
                    Outcome::Redirect(to) => http::redirect(&mut req, &mut conn, &thread, &to).await,
                    Outcome::Gone(status) => {
                        req.out.status = status;
                        break;
                    }
                };
            }
            req
        })
    })
}

/// How long a kept connection may still bring a request once the process drains. A client that asks without a pause has
/// its next request on the way when the connection would be closed under it; this lets it arrive, and its answer says
/// `Connection: close`.
const LAST_CALL: Duration = Duration::from_millis(500);

/// Waits for a request; false: none will come. A connection that idles when the process drains is closed, unless a
/// request comes at once.
async fn wait(conn: &mut ServerConn, thread: &ThreadState, limit: Duration, kept: bool) -> bool {
    if conn.has_input() {
        return true;
    }
    let _waiting = Count::up(&thread.stats.waiting);
    let drained = async {
        if kept {
            thread.drained().await;
        } else {
            // A new connection's first request is still served.
            std::future::pending::<()>().await;
        }
    };
    let idle = tokio::select! {
        biased;
        idle = conn.wait(limit) => idle,
        () = drained => conn.wait(limit.min(LAST_CALL)).await,
    };
    matches!(idle, Ok(Idle::Ready))
}

/// One request, from its head to its log line.
pub(super) async fn one(
    req: &mut Request,
    conn: &mut ServerConn,
    limits: &Limits,
    serving: &Serving,
) -> After {
    let thread = &*serving.http;
    let sent_before = conn.bytes_sent();
    let read = {
        let _reading = Count::up(&thread.stats.reading);
        conn.read_head(&mut req.head, limits).await
    };
    let _writing = Count::up(&thread.stats.writing);
    req.request_length = req.head.length as u64;
    let after = match read {
        Ok(()) => {
            let step = http::run(req, conn, thread).await;
            finish(step, req, conn, serving).await
        }
        Err(HeadError::Closed) => return After::Drop,
        Err(HeadError::Refused(refusal)) => {
            if !req.head.target().is_empty() {
                http::set_uri(req).ok();
            }
            http::choose_server(req);
            thread.log_error(req, Severity::Info, format_args!("{}", refusal.text));
            req.lingering = refusal.status == 494;
            let step = http::error(req, conn, thread, refusal.status).await;
            let after = finish(step, req, conn, serving).await;
            if matches!(after, After::Keep) { After::Close } else { after }
        }
        Err(e) => {
            http::choose_server(req);
            log_lost(req, thread, &e);
            req.out.status = e.status();
            if matches!(e, HeadError::Timeout) { After::TimedOut } else { After::Drop }
        }
    };
    req.bytes_sent = conn.bytes_sent() - sent_before;
    req.request_length += conn.body_bytes();
    if req.trace.is_none() {
        http::log_access(req, thread);
    }
    req.end();
    match after {
        After::Keep if !rest_of_body(req, conn).await => After::Drop,
        after => after,
    }
}

/// The log line of a head that did not come whole.
fn log_lost(req: &Request, thread: &ThreadState, error: &HeadError) {
    let part = if req.head.target().is_empty() { "line" } else { "headers" };
    let why = match error {
        HeadError::Timeout => "client timed out (110: Connection timed out)".to_owned(),
        HeadError::Io(e) => format!("recv() failed ({})", err_text(e)),
        _ => "client prematurely closed connection".to_owned(),
    };
    thread.log_error(req, Severity::Info, format_args!("{why} while reading client request {part}"));
}

/// Carries a request on from where the phases left it, until it is answered.
async fn finish(mut step: Step, req: &mut Request, conn: &mut ServerConn, serving: &Serving) -> After {
    let thread = &*serving.http;
    loop {
        step = match step {
            Step::Done => break,
            Step::Close => return After::TimedOut,
            Step::Failed(e) => {
                req.keepalive = false;
                return match e {
                    SendError::Timeout => {
                        thread.log_error(
                            req,
                            Severity::Info,
                            format_args!("client timed out (110: Connection timed out) while sending response to client"),
                        );
                        After::TimedOut
                    }
                    SendError::Io(_) => After::Drop,
                };
            }
            Step::Proxy(_) => match proxy::pass(req, conn, thread, &serving.proxy).await {
                Outcome::Done if req.completed => break,
                Outcome::Done => return After::Drop,
                Outcome::Error(status) => http::error(req, conn, thread, status).await,
                Outcome::Redirect(to) => http::redirect(req, conn, thread, &to).await,
                Outcome::Gone(status) => {
                    req.out.status = status;
                    return After::TimedOut;
                }
            },
        };
    }
    if req.keepalive && !thread.draining() { After::Keep } else { After::Close }
}

/// Reads what is left of a body that nobody wanted; false: it does not end, and the connection must.
async fn rest_of_body(req: &Request, conn: &mut ServerConn) -> bool {
    if conn.body_done() {
        return true;
    }
    if !req.discard_body {
        // Somebody began to read it and stopped: what comes next is not a request.
        return false;
    }
    let (time, limit) = (req.location().lingering_time, req.location().lingering_timeout);
    match conn.try_discard_body() {
        Ok(true) => true,
        Ok(false) => matches!(tokio::time::timeout(time, conn.discard_body(limit)).await, Ok(Ok(()))),
        Err(_) => false,
    }
}

/// The end after an answer.
async fn close(conn: ServerConn, req: &Request) {
    let loc = req.location();
    let unread = (req.lingering && !conn.body_done()) || conn.has_input();
    if loc.lingering == Lingering::Always || (loc.lingering == Lingering::On && unread) {
        conn.lingering_close(loc.lingering_time, loc.lingering_timeout).await;
    }
}
