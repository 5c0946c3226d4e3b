//! A connection to a peer: dialled, and secured where the location asks for TLS. The client is watched meanwhile.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::ask::{Ended, client_gone};
use super::connect::{DialError, DialOptions, Dialled, dial};
use super::exchange::Exchange;
use super::next::Fault;
use super::report::{Action, Os, connection_level};
use super::secure::Stranger;
use crate::diag::Severity;
use crate::plan::PeerAddr;
use crate::rt::Elapsed;
use crate::vars;
use crate::wire::tls::HandshakeError;
use crate::wire::{ClientConn, Stream};

/// Why there is no connection.
enum NoLink {
    Dial(DialError),
    Handshake(HandshakeError),
    Stranger(Stranger),
}

impl Exchange<'_> {
    /// `proxy_connect_timeout` is for all of it.
    pub(super) async fn connect(&mut self, addr: &PeerAddr, name: &str) -> Result<Box<ClientConn>, Ended> {
        if let Some(trace) = &self.req.trace {
            let conn = (trace.dial)(addr, name).map_err(|_| Ended::Fault(Fault::Error))?;
            return Ok(Box::new(conn));
        }
        let options = DialOptions { bind: self.bind_address(), keepalive: self.proxy.socket_keepalive };
        let dialled = match dial(addr, options) {
            Ok(dialled) => dialled,
            Err(e) => return Err(self.dial_failed(&e, name)),
        };
        let config = match &self.secure {
            Some(secure) => match self.tls_config(secure.settings, addr) {
                Ok(config) => Some(config),
                Err(words) => {
                    self.log(Severity::Error, Action::Connecting, format_args!("{words}"));
                    return Err(Ended::Status(500));
                }
            },
            None => None,
        };
        let no_delay = self.req.location().tcp_nodelay;
        let shaking = Cell::new(false);
        let secure = self.secure.as_ref();
        let mut made = pin!(async {
            let stream = match dialled.finish().await.map_err(NoLink::Dial)? {
                Dialled::Tcp(stream) => Stream::from(stream),
                Dialled::Unix(stream) => Stream::from(stream),
            };
            let (Some(secure), Some(config)) = (secure, config) else { return Ok(stream) };
            if no_delay {
                stream.set_nodelay(true).ok();
            }
            shaking.set(true);
            let stream = secure.shake(stream, config).await.map_err(NoLink::Handshake)?;
            secure.judge(&stream).map_err(NoLink::Stranger)?;
            Ok(stream)
        });
        let watched = !self.proxy.ignore_client_abort;
        let limit = self.proxy.connect_timeout;
        let conn = &mut *self.conn;
        let result = self
            .out
            .timer
            .bound(
                limit,
                poll_fn(|cx| {
                    if let Poll::Ready(done) = made.as_mut().poll(cx) {
                        return Poll::Ready(Some(done));
                    }
                    client_gone(conn, watched, cx).map(|()| None)
                }),
            )
            .await;
        if shaking.get() {
            self.out.action = Action::Shaking;
        }
        match result {
            Ok(Some(Ok(stream))) => Ok(Box::new(ClientConn::new(stream))),
            Ok(Some(Err(NoLink::Dial(e)))) => Err(self.dial_failed(&e, name)),
            Ok(Some(Err(NoLink::Handshake(e)))) => Err(self.shaking_failed(&e)),
            Ok(Some(Err(NoLink::Stranger(e)))) => {
                self.log(Severity::Error, Action::Shaking, format_args!("{e}"));
                Err(Ended::Fault(Fault::Error))
            }
            Ok(None) => Err(self.client_left()),
            Err(Elapsed) => Err(Ended::Fault(Fault::Timeout)),
        }
    }

    fn shaking_failed(&self, e: &HandshakeError) -> Ended {
        let level = if e.is_peers() { Severity::Error } else { Severity::Crit };
        match e {
            HandshakeError::Io(e) => {
                let text = "peer closed connection in SSL handshake";
                self.log(level, Action::Shaking, format_args!("{text} {}", Os(e)));
            }
            e => self.log(level, Action::Shaking, format_args!("{e}")),
        }
        Ended::Fault(Fault::Error)
    }

    /// `proxy_bind`.
    fn bind_address(&self) -> Option<std::net::SocketAddr> {
        let text = vars::eval_to_vec(self.proxy.bind.as_ref()?, self.req);
        let text = std::str::from_utf8(&text).ok()?;
        text.parse().ok().or_else(|| text.parse().ok().map(|ip| std::net::SocketAddr::new(ip, 0)))
    }

    fn dial_failed(&self, e: &DialError, name: &str) -> Ended {
        let action = Action::Connecting;
        match e {
            DialError::Local { call, error } => {
                self.log(Severity::Alert, action, format_args!("{call} failed {}", Os(error)));
                Ended::Status(500)
            }
            DialError::Refused(error) => {
                let level = if e.is_critical() { Severity::Crit } else { Severity::Error };
                self.log(level, action, format_args!("connect() to {name} failed {}", Os(error)));
                Ended::Fault(Fault::Error)
            }
            DialError::Failed(error) => {
                let level = connection_level(error);
                self.log(level, action, format_args!("connect() failed {}", Os(error)));
                Ended::Fault(Fault::Error)
            }
        }
    }
}
