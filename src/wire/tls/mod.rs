//! Owns: TLS above a socket, either role: the handshake, records in and out, what ended it.
//! May use: wire (the socket below).
//! Never touches: which certificate is shown or trusted: a configuration of rustls says that.

mod error;
mod handshake;
mod stream;

pub use error::HandshakeError;
pub use handshake::{First, Hello, connect, first, read};
pub use stream::TlsStream;

#[cfg(test)]
#[path = "../tests/tls.rs"]
mod tests;
