//! A front for tests: a configuration's text, a listener, and a driver as small as can be; and origins that say exactly
//! what they are told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::balance::Shared;
use crate::diag::Severity;
use crate::http::{self, Checks, ConnInfo, Request, Stats, Step, ThreadState};
use crate::log::Logs;
use crate::plan::{ListenAddr, Plan};
use crate::proxy::{Outcome, ProxyThread, pass};
use crate::wire::{Idle, Limits, ServerConn};

/// What no wait in a test may exceed.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// Runs a test on a thread's own runtime, with a deadline.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = crate::rt::runtime().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(SOON, test).await.expect("the test ends in time") })
}

/// A proxy in this process.
pub(super) struct Front {
    pub(super) addr: SocketAddr,
    pub(super) proxy: Rc<ProxyThread>,
    dir: tempfile::TempDir,
}

impl Front {
    /// Serves `http`, the inside of an `http` block, on a port of its own. The block's `listen` is never bound.
    pub(super) async fn start(http: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.conf");
        let text = format!("events {{}}\nhttp {{\naccess_log off;\n{http}\n}}\n");
        std::fs::write(&file, text).expect("a file");
        let loaded = crate::compile::load(&file, dir.path(), None);
        let plan = Arc::new(loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.diags)));
        let log = dir.path().join("error.log");
        let logs = Arc::new(Logs::builtin(Some(&log), Severity::Info).expect("a log"));
        let stats = Arc::new(Stats::default());
        let thread =
            Rc::new(ThreadState::new(Arc::clone(&logs), stats, Checks::default(), Default::default()));
        let slots = crate::zone::Slots::private();
        let shared: Arc<[Shared]> = plan.upstreams.iter().map(|u| Shared::new(u, &slots)).collect();
        let (tables, stores) = (crate::sticky::Tables::default(), crate::store::Stores::default());
        let proxy = ProxyThread::new(&plan, shared, tables, stores, &logs);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        let mine = Rc::clone(&proxy);
        tokio::task::spawn_local(async move {
            while let Ok((stream, from)) = listener.accept().await {
                let served =
                    serve(stream, from, addr, Arc::clone(&plan), Rc::clone(&thread), Rc::clone(&mine));
                tokio::task::spawn_local(served);
            }
        });
        Self { addr, proxy, dir }
    }

    /// A front whose only location passes to `origin`, with `more` in that location.
    pub(super) async fn to(origin: SocketAddr, more: &str) -> Self {
        let http = format!("server {{ listen 80; location / {{ proxy_pass http://{origin}; {more} }} }}");
        Self::start(&http).await
    }

    pub(super) async fn client(&self) -> Client {
        Client { stream: TcpStream::connect(self.addr).await.expect("the front listens"), seen: Vec::new() }
    }

    /// Sends a request and reads all until the connection is closed.
    pub(super) async fn exchange(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.send(request).await;
        client.rest().await
    }

    /// `GET /` on a connection that is closed afterwards.
    pub(super) async fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n")).await
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.dir.path().to_path_buf()
    }
}

async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    local: SocketAddr,
    plan: Arc<Plan>,
    thread: Rc<ThreadState>,
    proxy: Rc<ProxyThread>,
) {
    let info = ConnInfo {
        connected: None,
        number: 1,
        client: Some(from),
        client_text: from.ip().to_string().into(),
        local: ListenAddr::Inet(local),
        listener: 0,
        entry: 0,
        tls: false,
        secure: None,
        to_https: false,
        proxied: None,
        first: None,
        started: 0,
        requests: 1,
    };
    let mut req = Request::new(Arc::clone(&plan), Rc::clone(&thread), info);
    let mut conn = ServerConn::new(stream);
    let limits = Limits::of(req.server());
    while matches!(conn.wait(SOON).await, Ok(Idle::Ready)) {
        req.reset();
        if conn.read_head(&mut req.head, &limits).await.is_err() {
            return;
        }
        let mut step = http::run(&mut req, &mut conn, &thread).await;
        while let Step::Proxy(_) = step {
            step = match pass(&mut req, &mut conn, &thread, &proxy).await {
                Outcome::Done if req.completed => Step::Done,
                Outcome::Done | Outcome::Gone(_) => return,
                Outcome::Error(status) => http::error(&mut req, &mut conn, &thread, status).await,
                Outcome::Redirect(to) => http::redirect(&mut req, &mut conn, &thread, &to).await,
            };
        }
        if !matches!(step, Step::Done)
            || conn.flush(SOON).await.is_err()
            || !req.keepalive
            || !conn.body_done()
        {
            return;
        }
    }
}

pub(super) struct Client {
    pub(super) stream: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the front reads");
    }

    /// Reads until what came ends in `mark`, and takes it.
    pub(super) async fn until(&mut self, mark: &str) -> String {
        while !self.seen.ends_with(mark.as_bytes()) {
            let n = self.stream.read_buf(&mut self.seen).await.expect("readable");
            assert!(n > 0, "closed before {mark:?}: {:?}", String::from_utf8_lossy(&self.seen));
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.seen)).into_owned()
    }

    pub(super) async fn rest(&mut self) -> String {
        let _ = self.stream.read_to_end(&mut self.seen).await;
        String::from_utf8_lossy(&std::mem::take(&mut self.seen)).into_owned()
    }
}

/// A backend that a test plays by hand.
pub(super) struct Origin {
    pub(super) addr: SocketAddr,
    listener: TcpListener,
}

/// One connection to an origin.
pub(super) struct Served {
    pub(super) stream: TcpStream,
    seen: Vec<u8>,
}

impl Origin {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        Self { addr: listener.local_addr().expect("bound"), listener }
    }

    pub(super) async fn accept(&self) -> Served {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        Served { stream, seen: Vec::new() }
    }

    /// Takes one connection, one request without a body, gives `answer`, and closes. The request's head is the result.
    pub(super) fn once(self, answer: impl Into<Vec<u8>>) -> tokio::task::JoinHandle<String> {
        let answer = answer.into();
        tokio::task::spawn_local(async move {
            let mut served = self.accept().await;
            let head = served.head().await;
            served.send(answer).await;
            head
        })
    }

    /// Answers every request of every connection with `answer`.
    pub(super) fn always(self, answer: impl Into<Vec<u8>>) -> SocketAddr {
        let (addr, answer) = (self.addr, answer.into());
        tokio::task::spawn_local(async move {
            loop {
                let mut served = self.accept().await;
                let answer = answer.clone();
                tokio::task::spawn_local(async move {
                    while !served.head().await.is_empty() {
                        served.send(&answer).await;
                    }
                });
            }
        });
        addr
    }

    /// An address where nobody listens.
    pub(super) async fn nobody() -> SocketAddr {
        Self::new().await.addr
    }
}

impl Served {
    /// Reads a request's head; empty at the end of the connection.
    pub(super) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.seen.windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = self.seen.split_off(end + 4);
                return String::from_utf8_lossy(&std::mem::replace(&mut self.seen, rest)).into_owned();
            }
            match self.stream.read_buf(&mut self.seen).await {
                Ok(n) if n > 0 => {}
                _ => return String::new(),
            }
        }
    }

    /// Reads `n` bytes of body.
    pub(super) async fn body(&mut self, n: usize) -> String {
        while self.seen.len() < n {
            let read = self.stream.read_buf(&mut self.seen).await.expect("readable");
            assert!(read > 0, "closed inside the body: {:?}", String::from_utf8_lossy(&self.seen));
        }
        let rest = self.seen.split_off(n);
        String::from_utf8_lossy(&std::mem::replace(&mut self.seen, rest)).into_owned()
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Closes with RST.
    pub(super) fn reset(self) {
        self.stream.set_zero_linger().expect("a TCP socket");
    }

    /// Whether the front closes this connection.
    pub(super) async fn closed(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.seen).await, Ok(0) | Err(_))
    }
}
