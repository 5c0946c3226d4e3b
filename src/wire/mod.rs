//! Owns: HTTP/1 on sockets: heads, bodies, their framing, and the two ends of a connection; TLS above one; the streams of an
//! HTTP/2 connection as such ends.
//! May use: rt, sys, values, plan (its types).
//! Never touches: what a request means, which peer serves it, logs.

pub mod body;
mod buffer;
mod client;
mod error;
mod frames;
pub mod h2;
mod head;
mod known;
mod method;
mod pace;
pub mod parse;
pub mod proxy_protocol;
mod reader;
mod server;
mod stream;
pub mod tls;
mod tunnel;
mod writer;

#[cfg(test)]
mod tests;

pub use body::Framing;
pub use client::ClientConn;
pub use error::{BodyError, HeadError, Refusal, ResponseError, SendError};
pub use head::{Field, Limits, RequestHead, ResponseHead, Span, Version};
pub use known::KnownField;
pub use method::Method;
pub use pace::Pace;
pub use server::{Idle, ServerConn};
pub use stream::{PeerAddr, Stream};
pub use tunnel::{TunnelEnd, tunnel, tunnel_until};
