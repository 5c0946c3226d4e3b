//! Backends that speak TLS, well or badly, with the certificates of `fixtures/tls`.

use std::io::{self, Read as _, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned, version};

use super::SOON;
use super::origin::{Received, read_request};

/// A file of `fixtures/tls`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(name)
}

/// A request, and the connection that it came on.
#[derive(Debug, Clone)]
pub struct Seen {
    pub request: Received,
    /// The name that the client sent (SNI).
    pub name: Option<String>,
    /// A session was taken up again.
    pub resumed: bool,
    /// A certificate was shown.
    pub client: bool,
}

/// What is done when a handler has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Keep,
    /// With a farewell.
    Close,
    /// Without.
    Cut,
}

/// How the backend is made.
#[derive(Debug, Clone, Copy)]
pub struct Make {
    /// Its certificate and key: `NAME.crt`, `NAME.key`.
    pub pair: (&'static str, &'static str),
    pub only_tls12: bool,
    /// It wants a certificate of the fixtures' authority.
    pub asks: bool,
}

pub const GOOD: Make = Make { pair: ("backend.crt", "backend.key"), only_tls12: false, asks: false };

type Handler = dyn Fn(&Seen, &mut dyn Write) -> Then + Send + Sync;

/// A backend on a port of its own. Dropped, it stops accepting.
pub struct TlsOrigin {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Make {
    fn config(self) -> Arc<ServerConfig> {
        let read = |name: &str| -> Vec<CertificateDer<'static>> {
            CertificateDer::pem_file_iter(fixture(name)).unwrap().map(Result::unwrap).collect()
        };
        let key = PrivateKeyDer::from_pem_file(fixture(self.pair.1)).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions =
            if self.only_tls12 { vec![&version::TLS12] } else { vec![&version::TLS13, &version::TLS12] };
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_protocol_versions(&versions).unwrap();
        let builder = if self.asks {
            let mut roots = RootCertStore::empty();
            read("ca.crt").into_iter().for_each(|ca| roots.add(ca).unwrap());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        // rustls itself would not show a certificate of version 1.
        let signer = provider.key_provider.load_private_key(key).unwrap();
        let pair = CertifiedKey::new(read(self.pair.0), signer);
        Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair))))
    }

    pub fn serves(
        self,
        handler: impl Fn(&Seen, &mut dyn Write) -> Then + Send + Sync + 'static,
    ) -> TlsOrigin {
        self.on(TcpListener::bind("127.0.0.1:0").unwrap(), handler)
    }

    /// A backend that answers every request with `body`, keeping connections.
    pub fn says(self, body: &str) -> TlsOrigin {
        let body = body.to_owned();
        self.serves(move |_, out| answer(out, &body))
    }

    pub fn on(
        self,
        listener: TcpListener,
        handler: impl Fn(&Seen, &mut dyn Write) -> Then + Send + Sync + 'static,
    ) -> TlsOrigin {
        let addr = listener.local_addr().unwrap();
        let origin =
            TlsOrigin { addr, seen: Arc::default(), connections: Arc::default(), stop: Arc::default() };
        let (seen, connections, stop) =
            (origin.seen.clone(), origin.connections.clone(), origin.stop.clone());
        let (config, handler): (_, Arc<Handler>) = (self.config(), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (seen, handler, config) = (seen.clone(), handler.clone(), config.clone());
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(stream, connection, &config, &seen, &*handler));
            }
        });
        origin
    }
}

/// Writes an answer with this body.
pub fn answer(out: &mut dyn Write, body: &str) -> Then {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    match out.write_all(head.as_bytes()).and_then(|()| out.write_all(body.as_bytes())) {
        Ok(()) => Then::Keep,
        Err(_) => Then::Cut,
    }
}

impl TlsOrigin {
    pub fn addr(&self) -> String {
        self.addr.to_string()
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn last(&self) -> Seen {
        self.seen().last().cloned().expect("the backend was asked")
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for TlsOrigin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
    }
}

fn serve(
    stream: TcpStream,
    connection: usize,
    config: &Arc<ServerConfig>,
    seen: &Mutex<Vec<Seen>>,
    handler: &Handler,
) -> Option<()> {
    stream.set_read_timeout(Some(SOON * 6)).ok()?;
    stream.set_nodelay(true).ok()?;
    let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
    let mut buf = Vec::new();
    for nth in 0.. {
        let mut request = read_request(&mut tls, &mut buf)?;
        (request.connection, request.nth) = (connection, nth);
        let one = Seen {
            request,
            name: tls.conn.server_name().map(str::to_owned),
            resumed: tls.conn.handshake_kind() == Some(HandshakeKind::Resumed),
            client: tls.conn.peer_certificates().is_some(),
        };
        seen.lock().unwrap().push(one.clone());
        let then = handler(&one, &mut tls);
        tls.flush().ok()?;
        match then {
            Then::Keep => {}
            Then::Close => {
                tls.conn.send_close_notify();
                let _ = tls.flush();
                break;
            }
            Then::Cut => break,
        }
    }
    // What the other side still sends must not make it a reset.
    tls.sock.shutdown(Shutdown::Write).ok()?;
    io::copy(&mut tls.sock, &mut io::sink()).ok()?;
    Some(())
}

/// A backend that treats each connection so, and closes it.
pub fn misbehaves(with: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Misbehaving {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, with) = (Arc::new(AtomicBool::new(false)), Arc::new(with));
    let stopped = stop.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if stopped.load(Ordering::SeqCst) {
                return;
            }
            let (Ok(mut stream), with) = (stream, with.clone()) else { continue };
            std::thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(SOON));
                with(&mut stream);
            });
        }
    });
    Misbehaving { addr, stop }
}

/// See [`misbehaves`].
pub struct Misbehaving {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Misbehaving {
    pub fn addr(&self) -> String {
        self.addr.to_string()
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
    }
}

/// Reads a client's hello, or what there is of it.
pub fn hello(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
}
