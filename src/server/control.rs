//! The control socket: HTTP/1.1 over a unix socket that only its owner and root may use. One thread serves it beside its
//! connections; a client that is slow, or says nothing, holds a place for a moment and nothing else.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::accept::Stop;
use super::orders;
use super::sessions;
use super::thread::Shared;
use crate::diag::Severity;
use crate::sys;

/// Clients at once; more wait.
const SEATS: usize = 64;
/// What a client may take for its request and the answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest request body, and head.
const LONGEST: usize = 16 * 1024;
/// No accepting for this long when it fails.
const STARVED: Duration = Duration::from_millis(500);

/// The control socket as a worker serves it: a duplicate, and who may use it beside root.
#[derive(Debug)]
pub struct Control {
    pub socket: OwnedFd,
    pub owner: u32,
}

/// Serves until the worker stops accepting.
pub(super) async fn serve(control: Control, shared: Arc<Shared>, mut stop: watch::Receiver<Stop>) {
    let listener = match UnixListener::from_std(control.socket.into()) {
        Ok(listener) => listener,
        Err(e) => {
            let why = sys::err_text(&e);
            return shared
                .logs
                .main(Severity::Alert, format_args!("control socket: epoll_ctl() failed ({why})"));
        }
    };
    let seats = Rc::new(Semaphore::new(SEATS));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.changed() => return,
            accepted = async {
                let seat = seats.acquire().await;
                let accepted = listener.accept().await;
                seat.ok().map(|seat| { seat.forget(); accepted })
            } => accepted,
        };
        match accepted {
            Some(Ok((stream, _))) => {
                let (shared, seats) = (shared.clone(), seats.clone());
                tokio::task::spawn_local(async move {
                    // The time is up for clients that say nothing, or do not read.
                    let _ = tokio::time::timeout(PATIENCE, connection(stream, control.owner, &shared)).await;
                    seats.add_permits(1);
                });
            }
            Some(Err(e)) => {
                let why = sys::err_text(&e);
                shared.logs.main(Severity::Crit, format_args!("control socket: accept4() failed ({why})"));
                seats.add_permits(1);
                tokio::time::sleep(STARVED).await;
            }
            None => return,
        }
    }
}

/// One request; broken ones are hyper's to answer.
async fn connection(stream: UnixStream, owner: u32, shared: &Arc<Shared>) {
    let uid = stream.peer_cred().map(|c| c.uid()).ok();
    let answer = |request: Request<Incoming>| async move {
        let (status, said) = match uid {
            Some(uid) if uid == 0 || uid == owner => respond(request, uid, shared).await,
            _ => (403, json!({ "error": "only the user who started tenrec, and root, may ask" })),
        };
        Ok::<_, Infallible>(response(status, said))
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    let http = http.keep_alive(false).max_buf_size(LONGEST);
    let _ = http.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

fn response(status: u16, mut said: Value) -> Response<Full<Bytes>> {
    if let Some(map) = said.as_object_mut() {
        map.insert("tenrec".to_owned(), env!("CARGO_PKG_VERSION").into());
    }
    let mut out = Response::new(Full::new(Bytes::from(said.to_string() + "\n")));
    *out.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = hyper::header::HeaderValue::from_static("application/json");
    out.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    out
}

/// What a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Drain,
    Undrain,
    Forget,
}

async fn respond(request: Request<Incoming>, uid: u32, shared: &Shared) -> orders::Answer {
    let order = match (request.method(), request.uri().path()) {
        (&Method::GET, "/peers") => {
            let query = request.uri().query().unwrap_or_default();
            let window = value(query, "window").and_then(|w| w.parse().ok());
            return orders::peers(shared, value(query, "upstream").as_deref(), window);
        }
        (&Method::GET, "/sessions") => {
            let query = request.uri().query().unwrap_or_default();
            let (upstream, session) = (value(query, "upstream"), value(query, "session"));
            return sessions::sessions(shared, upstream.as_deref(), session.as_deref());
        }
        (&Method::POST, "/drain") => Order::Drain,
        (&Method::POST, "/undrain") => Order::Undrain,
        (&Method::POST, "/forget") => Order::Forget,
        (_, "/peers" | "/sessions" | "/drain" | "/undrain" | "/forget") => {
            return (405, json!({ "error": "not by this method" }));
        }
        _ => return (404, json!({ "error": "no such request", "unknown": true })),
    };
    match Limited::new(request.into_body(), LONGEST).collect().await {
        Ok(body) => match order {
            Order::Forget => sessions::forget(shared, &body.to_bytes(), uid),
            order => orders::order(shared, order == Order::Drain, &body.to_bytes(), uid),
        },
        Err(_) => (413, json!({ "error": "the request is too long, or not whole" })),
    }
}

/// A value of a query, percent-decoded.
fn value(query: &str, name: &str) -> Option<String> {
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(String::from_utf8_lossy(&crate::values::percent_decode(pair.as_bytes())).into_owned())
}
