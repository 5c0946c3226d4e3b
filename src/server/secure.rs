//! A connection to an address with TLS, or behind a proxy that says who it speaks for, before its first request.

use std::fmt::Display;
use std::rc::Rc;

use rustls::Connection;

use super::conn::Serving;
use crate::diag::Severity;
use crate::http::{self, ConnInfo, Offered, Request, Secure};
use crate::plan::{ListenAddr, ListenEntry, Plan, ServerId, Tls};
use crate::sys::x509::{Certificate, Purpose};
use crate::wire::Stream;
use crate::wire::proxy_protocol::{self, Proxied};
use crate::wire::tls::{self, First, HandshakeError, Hello};

/// What comes before a request, as long as the server's `client_header_timeout` lets it take. A client that speaks plain HTTP is kept: its
/// bytes come with it, and its request is answered with why it is not served. `None`: the connection is over.
pub(super) async fn begin(
    stream: Stream,
    info: &mut ConnInfo,
    serving: &Serving,
) -> Option<(Stream, Vec<u8>)> {
    let plan = &serving.plan;
    let entry = info.listen_entry(plan)?;
    let limit = plan.servers.get(entry.default_server.ix())?.header_timeout;
    let mut stage = Stage { server: entry.default_server, what: "reading PROXY protocol" };
    let mut proxied = None;
    let shake = handshake(stream, entry, plan, &mut stage, &mut proxied);
    let shaken = tokio::time::timeout(limit, shake).await;
    let (severity, said) = match shaken {
        Ok(Ok(shaken)) => {
            info.proxied = proxied.map(Rc::new);
            return Some(match shaken {
                Shaken::Plain(stream, bytes) => {
                    info.to_https = entry.ssl;
                    (stream, bytes)
                }
                Shaken::Secure(stream, secure) => {
                    info.tls = true;
                    info.secure = Some(Rc::new(*secure));
                    (stream, Vec::new())
                }
            });
        }
        Err(_) => (Severity::Info, "client timed out (110: Connection timed out)".to_owned()),
        Ok(Err(Failed::Header(why))) => (Severity::Error, why),
        Ok(Err(Failed::Handshake(HandshakeError::Rejected))) => {
            (Severity::Info, "handshake rejected".to_owned())
        }
        Ok(Err(Failed::Handshake(e))) => {
            (if e.is_peers() { Severity::Info } else { Severity::Crit }, e.to_string())
        }
    };
    log(&said, severity, info, &stage, serving);
    None
}

/// How far a connection has come.
struct Stage {
    /// Whose settings hold.
    server: ServerId,
    what: &'static str,
}

/// Why there is no connection.
enum Failed {
    /// No PROXY protocol.
    Header(String),
    Handshake(HandshakeError),
}

impl<E: Into<HandshakeError>> From<E> for Failed {
    fn from(e: E) -> Self {
        Self::Handshake(e.into())
    }
}

/// nginx's line about a connection that has no request.
fn log(said: &dyn Display, severity: Severity, info: &ConnInfo, stage: &Stage, serving: &Serving) {
    let (plan, doing) = (&serving.plan, stage.what);
    let root = plan.servers.get(stage.server.ix()).and_then(|s| plan.locations.get(s.root.ix()));
    let to = root.map_or(&[][..], |l| &l.error_logs);
    let logs = &serving.http.logs;
    if !logs.wants(to, severity) {
        return;
    }
    let at = match plan.listeners.get(info.listener).map(|l| &l.bind) {
        Some(ListenAddr::Inet(a)) => a.to_string(),
        Some(ListenAddr::Unix(path)) => format!("unix:{}", path.display()),
        None => String::new(),
    };
    let client = &info.client_text;
    let text = format_args!("{said} while {doing}, client: {client}, server: {at}");
    logs.error(to, severity, Some(info.number), text);
}

/// Whether HTTP/2 was agreed on.
pub(super) fn is_h2(req: &Request) -> bool {
    req.conn.secure.as_ref().is_some_and(|s| s.alpn.as_deref() == Some(b"h2"))
}

enum Shaken {
    Plain(Stream, Vec<u8>),
    Secure(Stream, Box<Secure>),
}

/// The header of a proxy, then the handshake, as far as the address has them.
async fn handshake(
    mut stream: Stream,
    entry: &ListenEntry,
    plan: &Plan,
    stage: &mut Stage,
    proxied: &mut Option<Proxied>,
) -> Result<Shaken, Failed> {
    let mut input = Vec::new();
    if entry.proxy_protocol {
        let (said, length) = loop {
            let more = tls::read(&mut stream, &mut input).await?;
            match proxy_protocol::parse(&input).map_err(Failed::Header)? {
                Some(read) => break read,
                None if more == 0 => return Err(HandshakeError::Closed.into()),
                None => {}
            }
        };
        *proxied = said;
        input.drain(..length);
    }
    if !entry.ssl {
        return Ok(Shaken::Plain(stream, input));
    }
    stage.what = "SSL handshaking";
    let hello = match tls::first(stream, input).await? {
        First::Plain(stream, bytes) => return Ok(Shaken::Plain(stream, bytes)),
        First::Hello(hello) => hello,
    };
    let server = &mut stage.server;
    let mut named = None;
    if let Some(name) = hello.client_hello().server_name() {
        let name = name.trim_end_matches('.').to_ascii_lowercase().into_bytes();
        if let Some(found) = http::server_of(plan, entry, &name) {
            *server = found;
            named = Some(name.into_boxed_slice());
        }
    }
    let of = |id: ServerId| plan.servers.get(id.ix());
    if of(*server).is_some_and(|s| s.reject_handshake) {
        return Err(hello.reject().into());
    }
    // A server without certificates shows those of the default one.
    let own = of(*server).and_then(|s| s.tls.as_ref());
    let Some(context) = own.or(of(entry.default_server).and_then(|s| s.tls.as_ref())) else {
        return Err(hello.reject().into());
    };
    let root = of(*server).and_then(|s| plan.locations.get(s.root.ix()));
    if root.is_some_and(|l| l.tcp_nodelay) {
        hello.no_delay();
    }
    let offered = offered(&hello);
    let speaks_h2 = entry.http2 || of(*server).is_some_and(|s| s.http2.on);
    let config = if speaks_h2 { context.http2.clone() } else { context.http1.clone() };
    let stream = hello.accept(config).await?;
    let mut secure = match stream.tls().map(tls::TlsStream::session) {
        Some(Connection::Server(session)) => Secure::of(session, *server, offered),
        _ => return Err(HandshakeError::Closed.into()),
    };
    secure.named = named;
    secure.session_id = stream.tls().map(|t| t.session_id().into()).unwrap_or_default();
    judge(&stream, context, &mut secure);
    Ok(Shaken::Secure(stream, Box::new(secure)))
}

fn offered(hello: &Hello) -> Offered {
    let hello = hello.client_hello();
    Offered {
        suites: hello.cipher_suites().into(),
        groups: hello.named_groups().unwrap_or_default().into(),
        schemes: hello.signature_schemes().into(),
    }
}

/// Finds out whether the client's certificate is trusted. Of a session that is resumed too: it tells what was shown.
fn judge(stream: &Stream, context: &Tls, secure: &mut Secure) {
    let Some(trust) = &context.trust else { return };
    let shown = stream.tls().and_then(|t| t.session().peer_certificates()).unwrap_or_default();
    let chain: Vec<Certificate> = shown.iter().filter_map(|der| Certificate::from_der(der)).collect();
    if chain.is_empty() {
        return;
    }
    secure.verdict = trust.verify(&chain, Purpose::Client);
    secure.certificate = chain.into_iter().next();
}
