//! The driver: a request goes through the code that serves, from its bytes to those of the answer. Both ends of it, the
//! client and the peers, are in this process; nothing is connected to.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::ask::Ask;
use super::listen::{self, Socket};
use crate::http::{ConnInfo, Event, Offered, Request, Secure, Trace};
use crate::plan::{ListenAddr, Plan};
use crate::rt;
use crate::server::{self, Serving, State};
use crate::sticky::Tables;
use crate::wire::ClientConn;
use crate::zone::Slots;

/// What of an answer, or of a request to a peer, is kept.
const KEPT: usize = 256 * 1024;
/// Nothing here waits for anybody; what takes so long never ends.
const LIMIT: Duration = Duration::from_secs(10);

/// A plan, ready to be asked about.
pub struct Engine {
    pub plan: Arc<Plan>,
    serving: Serving,
    runtime: tokio::runtime::LocalRuntime,
}

/// What became of a request.
pub struct Outcome {
    pub socket: Socket,
    /// The request as it was left.
    pub request: Request,
    pub events: Vec<Event>,
    /// The bytes that the client gets: all of a head, and some of a body.
    pub answer: Vec<u8>,
    /// What the peers get, one after the other.
    pub asked: Vec<Asked>,
}

/// A request to a peer.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub peer: String,
    /// Its head, and some of its body.
    pub bytes: Vec<u8>,
    /// Bytes of the body.
    pub body: u64,
}

impl Engine {
    /// State of its own: counters, weights and learned sessions begin empty.
    pub fn new(plan: Arc<Plan>) -> Result<Self, String> {
        let why = |e: io::Error| e.to_string();
        let tables = Tables::open(&plan, &Tables::default(), rt::clock::unix_millis())
            .map_err(|e| format!("{e:?}"))?;
        let slots = Slots::private();
        let runtime = rt::runtime().map_err(why)?;
        let state = State {
            tables,
            slots,
            names: crate::proxy::Memory::default(),
            limits: crate::limit::Zones::default(),
        };
        let serving = Serving::alone(plan.clone(), state);
        // Each request meets peers of its own.
        serving.proxy.close();
        Ok(Self { plan, serving, runtime })
    }

    /// Carries a request through. The error says that it does not come to any socket.
    pub fn ask(&self, ask: &Ask) -> Result<Outcome, String> {
        let socket = listen::find(&self.plan, ask)?;
        let run = async { tokio::time::timeout(LIMIT, self.run(ask, socket)).await };
        match self.runtime.block_on(run) {
            Ok(outcome) => outcome.map_err(|e| e.to_string()),
            Err(_) => Err(format!("no end after {} seconds", LIMIT.as_secs())),
        }
    }

    async fn run(&self, ask: &Ask, socket: Socket) -> io::Result<Outcome> {
        let info = info(&self.plan, ask, &socket);
        let (near, far) = UnixStream::pair()?;
        let client = tokio::task::spawn_local(client(far, ask.bytes()));
        let asked: Rc<RefCell<Vec<Asked>>> = Rc::default();
        let (answer, list) = (ask.answer.bytes(), Rc::clone(&asked));
        let dial = move |_: &_, name: &str| {
            let (near, far) = UnixStream::pair()?;
            let at = list.borrow().len();
            list.borrow_mut().push(Asked { peer: name.to_owned(), ..Asked::default() });
            tokio::task::spawn_local(peer(far, answer.clone(), Rc::clone(&list), at));
            Ok(ClientConn::new(near))
        };
        let trace = Trace::new(Box::new(dial));
        let mut request = server::explain(near.into(), info, trace, &self.serving).await;
        let answer = client.await.map_err(io::Error::other)?;
        let events = request.trace.take().map(|t| t.events.into_inner()).unwrap_or_default();
        let asked = asked.take();
        Ok(Outcome { socket, request, events, answer, asked })
    }
}

fn info(plan: &Plan, ask: &Ask, socket: &Socket) -> ConnInfo {
    let unix = matches!(socket.local, ListenAddr::Unix(_));
    let entry = plan.listeners.get(socket.listener).and_then(|l| l.addrs.get(socket.entry));
    let ends_tls = entry.is_some_and(|e| e.ssl);
    let secure = entry.filter(|_| socket.tls).map(|entry| {
        let (server, named) = listen::server(plan, entry, ask);
        let server_name = ask.host.parse::<IpAddr>().is_err().then(|| ask.host.as_str().into());
        // A client of today, without a certificate.
        Rc::new(Secure {
            server,
            named,
            server_name,
            version: Some(ProtocolVersion::TLSv1_3),
            suite: None,
            group: None,
            alpn: None,
            resumed: false,
            session_id: Box::default(),
            offered: Offered::default(),
            certificate: None,
            verdict: Ok(()),
        })
    });
    ConnInfo {
        number: 1,
        client: (!unix).then_some(ask.client),
        client_text: if unix { "unix:".into() } else { ask.client.ip().to_string().into() },
        connected: None,
        local: socket.local.clone(),
        listener: socket.listener,
        entry: socket.entry,
        tls: socket.tls,
        secure,
        to_https: ends_tls && !socket.tls,
        proxied: None,
        first: None,
        started: rt::clock::unix_millis(),
        requests: 0,
    }
}

/// Sends the request and reads the answer to its end.
async fn client(mut stream: UnixStream, request: Vec<u8>) -> Vec<u8> {
    let (mut read, mut write) = stream.split();
    let send = async {
        // One that is refused before its end was read is answered all the same.
        let _ = write.write_all(&request).await;
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let receive = async {
        let mut part = vec![0; 16 * 1024];
        while let Ok(n @ 1..) = read.read(&mut part).await {
            if answer.len() < KEPT {
                answer.extend_from_slice(part.get(..n).unwrap_or_default());
            }
        }
    };
    tokio::select! {
        () = send => {}
        () = receive => {}
    }
    answer
}

/// Takes a request and gives the supposed answer once all of it is there.
async fn peer(mut stream: UnixStream, answer: Vec<u8>, list: Rc<RefCell<Vec<Asked>>>, at: usize) {
    let mut seen = Vec::new();
    let mut part = vec![0; 16 * 1024];
    let mut length = 0_u64;
    let mut answered = false;
    while let Ok(n @ 1..) = stream.read(&mut part).await {
        let part = part.get(..n).unwrap_or_default();
        length += n as u64;
        seen.extend_from_slice(part);
        let head = head_end(&seen);
        if let Some(asked) = list.borrow_mut().get_mut(at) {
            if asked.bytes.len() < KEPT {
                asked.bytes.extend_from_slice(part);
            }
            asked.body = head.map_or(0, |end| length - end as u64);
        }
        let whole = head.is_some_and(|end| {
            let (head, body) = seen.split_at(end);
            match framing(head) {
                Body::Length(n) => length - end as u64 >= n,
                Body::Chunked => body.ends_with(b"0\r\n\r\n"),
            }
        });
        if whole && !answered {
            answered = true;
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

enum Body {
    Length(u64),
    Chunked,
}

/// How the body of a request that we have written ourselves ends.
fn framing(head: &[u8]) -> Body {
    for line in head.split(|b| *b == b'\n') {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Body::Chunked;
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            return Body::Length(crate::values::number(value).unwrap_or(0));
        }
    }
    Body::Length(0)
}

/// Where a head ends, its empty line included.
pub(super) fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}
