//! The handshake, in either role. It has no limit of its own: who calls it sets one.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use rustls::server::{Accepted, Acceptor, ClientHello};
use rustls::{ClientConfig, ClientConnection, Connection, Error, ServerConfig};

use super::super::Stream;
use super::{HandshakeError, TlsStream};

/// What a read of a hello takes. A hello with a post-quantum key share has some 1800 bytes.
const CHUNK: usize = 4096;
/// The content type of a record that has a handshake message (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// The first byte of an SSLv2 hello has its high bit set: nginx takes it for TLS.
const SSLV2: u8 = 0x80;
/// A fatal alert, `unrecognized_name` (RFC 6066, section 3), in a record.
const UNRECOGNIZED: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What a client began with.
#[derive(Debug)]
pub enum First {
    /// A hello of TLS.
    Hello(Box<Hello>),
    /// No TLS: the bytes that were read, to be taken as what they are.
    Plain(Stream, Vec<u8>),
}

/// A client that said what it wants and who it wants to talk to.
pub struct Hello {
    stream: Stream,
    accepted: Accepted,
    /// What came behind the hello.
    unread: Vec<u8>,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// Reads the first message of a client. `input` was read of the socket already.
pub async fn first(mut stream: Stream, mut input: Vec<u8>) -> Result<First, HandshakeError> {
    if input.is_empty() && read(&mut stream, &mut input).await? == 0 {
        return Err(HandshakeError::Closed);
    }
    if input.first().is_some_and(|b| *b != HANDSHAKE && b & SSLV2 == 0) {
        return Ok(First::Plain(stream, input));
    }
    let mut acceptor = Acceptor::default();
    loop {
        let mut rest = &input[..];
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest)?;
            match acceptor.accept() {
                Ok(Some(accepted)) => {
                    let unread = rest.to_vec();
                    return Ok(First::Hello(Box::new(Hello { stream, accepted, unread })));
                }
                Ok(None) => {}
                Err((e, mut alert)) => {
                    let mut bytes = Vec::new();
                    alert.write_all(&mut bytes)?;
                    say(&mut stream, &bytes);
                    return Err(HandshakeError::Tls(e));
                }
            }
        }
        input.clear();
        if read(&mut stream, &mut input).await? == 0 {
            return Err(HandshakeError::Closed);
        }
    }
}

/// Reads what is there behind what was read; 0 is the end of the stream.
pub async fn read(stream: &mut Stream, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; CHUNK];
    let n = poll_fn(|cx| stream.poll_read(cx, &mut chunk)).await?;
    into.extend_from_slice(&chunk[..n]);
    Ok(n)
}

/// Last words, if the socket takes them at once.
fn say(stream: &mut Stream, bytes: &[u8]) {
    let _ = stream.poll_write(&mut Context::from_waker(std::task::Waker::noop()), bytes);
}

impl Hello {
    /// What the client said.
    pub fn client_hello(&self) -> ClientHello<'_> {
        self.accepted.client_hello()
    }

    /// Small writes leave at once from here on.
    pub fn no_delay(&self) {
        // A socket that does not know the option still works.
        self.stream.set_nodelay(true).ok();
    }

    /// Goes on with the handshake as `config` says.
    pub async fn accept(self: Box<Self>, config: Arc<ServerConfig>) -> Result<Stream, HandshakeError> {
        let Self { mut stream, accepted, unread } = *self;
        let session = match accepted.into_connection(config) {
            Ok(session) => session,
            Err((e, mut alert)) => {
                let mut bytes = Vec::new();
                alert.write_all(&mut bytes)?;
                say(&mut stream, &bytes);
                return Err(HandshakeError::Tls(e));
            }
        };
        finish(TlsStream::new(stream, Connection::Server(session), unread)).await
    }

    /// Refuses, whoever the client is (`ssl_reject_handshake`).
    pub fn reject(mut self: Box<Self>) -> HandshakeError {
        say(&mut self.stream, &UNRECOGNIZED);
        HandshakeError::Rejected
    }
}

/// The client's side of a handshake on a connected socket.
pub async fn connect(
    stream: Stream,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<Stream, HandshakeError> {
    let session = ClientConnection::new(config, name).map_err(HandshakeError::Tls)?;
    finish(TlsStream::new(stream, Connection::Client(session), Vec::new())).await
}

/// Carries a handshake to its end: until both sides have said theirs and ours is out.
async fn finish(tls: TlsStream) -> Result<Stream, HandshakeError> {
    let mut tls = Box::new(tls);
    let done = poll_fn(|cx| poll_handshake(&mut tls, cx)).await;
    match done {
        Ok(()) => Ok(Stream::Tls(tls)),
        Err(e) => {
            tls.silence();
            Err(e)
        }
    }
}

fn poll_handshake(tls: &mut TlsStream, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
    loop {
        let flushed = tls.poll_flush(cx)?;
        if !tls.is_handshaking() {
            // The client's last message, or the server's tickets.
            return flushed.map(Ok);
        }
        if let Err(e) = ready!(tls.poll_records(cx)) {
            let inner = e.get_ref().and_then(|e| e.downcast_ref::<Error>()).cloned();
            return Poll::Ready(Err(inner.map_or(HandshakeError::Io(e), HandshakeError::Tls)));
        }
        if tls.has_ended() && tls.is_handshaking() {
            return Poll::Ready(Err(HandshakeError::Closed));
        }
    }
}
