//! Accepting connections from one queue.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

use crate::diag::Severity;
use crate::sys;
use crate::wire::Stream;

use super::conn;
use super::thread::Thread;
use super::worker::{Leaving, Queue};

/// No accepting for this long when the process or the system has no descriptor left.
const STARVED: Duration = Duration::from_millis(500);
/// How long a queue that goes is still accepted from while its address stays.
const LINGER: Duration = Duration::from_secs(1);

/// What the accept loops of a thread are told.
#[derive(Debug, Clone)]
pub(super) enum Stop {
    No,
    /// Stop; the queues named go away and are emptied first.
    Leave(Arc<[Leaving]>),
}

/// A queue that the runtime watches.
#[derive(Debug)]
pub(super) struct Listening {
    socket: Socket,
    id: i32,
    listener: usize,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    pub(super) fn new(queue: Queue) -> io::Result<Self> {
        let Queue { socket, id, listener } = queue;
        let socket = match sys::name_of(socket.as_fd())? {
            sys::LocalName::Inet(_) => Socket::Tcp(TcpListener::from_std(socket.into())?),
            sys::LocalName::Unix(_) => Socket::Unix(UnixListener::from_std(socket.into())?),
        };
        Ok(Self { socket, id, listener })
    }

    async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Tcp(listener) => listener.accept().await.map(|(s, from)| (Stream::Tcp(s), Some(from))),
            Socket::Unix(listener) => listener.accept().await.map(|(s, _)| (Stream::Unix(s), None)),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener) => listener.as_fd(),
        }
    }

    /// What waits in the queue at this moment, without asking the runtime.
    fn accept_now(&self) -> io::Result<Option<Stream>> {
        let Some(fd) = sys::accept_waiting(self.fd())? else { return Ok(None) };
        self.stream(fd).map(Some)
    }

    fn stream(&self, fd: OwnedFd) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(_) => TcpStream::from_std(fd.into()).map(Stream::Tcp),
            Socket::Unix(_) => UnixStream::from_std(fd.into()).map(Stream::Unix),
        }
    }
}

/// Accepts until told to stop; then empties the queue if it goes away.
pub(super) async fn run(listening: Listening, thread: Rc<Thread>, mut stop: watch::Receiver<Stop>) {
    loop {
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            accepted = listening.accept() => match accepted {
                Ok((stream, from)) => begin(stream, from, &listening, &thread),
                Err(e) => pause_after(&e, &thread).await,
            },
        }
    }
    let Stop::Leave(leaving) = stop.borrow().clone() else { return };
    let Some(leaving) = leaving.iter().find(|l| l.id == listening.id).copied() else { return };
    empty(&listening, &thread);
    let end = Instant::now() + LINGER;
    while leaving.linger && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
        empty(&listening, &thread);
    }
}

fn empty(listening: &Listening, thread: &Rc<Thread>) {
    while let Ok(Some(stream)) = listening.accept_now() {
        begin(stream, None, listening, thread);
    }
}

/// A failed accept is logged as nginx does; without descriptors it waits before the next.
async fn pause_after(error: &io::Error, thread: &Thread) {
    let severity = match error.raw_os_error() {
        Some(sys::ECONNABORTED) => Severity::Error,
        Some(sys::EMFILE | sys::ENFILE) => Severity::Crit,
        _ => Severity::Alert,
    };
    thread.logs().main(severity, format_args!("accept4() failed ({})", sys::err_text(error)));
    if severity == Severity::Crit {
        tokio::time::sleep(STARVED).await;
    }
}

fn begin(stream: Stream, client: Option<SocketAddr>, listening: &Listening, thread: &Rc<Thread>) {
    let Some(seat) = thread.enter() else {
        let n = thread.serving.plan.process.connections;
        thread.logs().main(Severity::Alert, format_args!("{n} worker_connections are not enough"));
        return;
    };
    let (thread, listener) = (thread.clone(), listening.listener);
    tokio::task::spawn_local(async move {
        conn::serve(stream, client, listener, &thread.serving).await;
        drop(seat);
    });
}
