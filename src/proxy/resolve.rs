//! A `proxy_pass` whose variables made a host name: its addresses are looked up when the body is there.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use super::exchange::{Exchange, Outcome};
use crate::compile::upstream::peer_name;
use crate::diag::Severity;
use crate::plan::PeerAddr;

/// nginx's status for a host that nobody knows, or that nobody can be asked about.
const BAD_GATEWAY: u16 = 502;

impl Exchange<'_> {
    /// The addresses of `name`, in the order in which they are to be asked.
    pub(super) async fn resolve(
        &mut self,
        name: &[u8],
        port: u16,
    ) -> Result<Vec<(PeerAddr, Box<str>)>, Outcome> {
        let set = &self.req.location().set;
        let (resolver, timeout) = (set.resolver, set.resolver_timeout);
        let mine = self.mine.clone();
        let Some(resolver) = resolver else {
            let name = String::from_utf8_lossy(name);
            return Err(self.unresolved(format_args!("no resolver defined to resolve {name}")));
        };
        if self.req.trace.is_some() {
            // Explaining asks no name server: the host stands for its addresses.
            let addr = PeerAddr::Inet(SocketAddr::from(([0, 0, 0, 0], port)));
            return Ok(vec![(addr, format!("{}:{port}", String::from_utf8_lossy(name)).into())]);
        }
        let mut found = pin!(mine.names().addresses(resolver, name, timeout));
        let (conn, watched) = (&mut *self.conn, !self.proxy.ignore_client_abort);
        let found = poll_fn(|cx| {
            if let Poll::Ready(found) = found.as_mut().poll(cx) {
                return Poll::Ready(Some(found));
            }
            if watched { conn.poll_closed(cx).map(|()| None) } else { Poll::Pending }
        })
        .await;
        match found {
            Some(Ok(addresses)) => {
                let addr = |ip| PeerAddr::Inet(SocketAddr::new(ip, port));
                let named = |addr| (peer_name(&addr), addr);
                let list = addresses.list.into_iter().map(addr).map(named);
                Ok(list.map(|(name, addr)| (addr, name)).collect())
            }
            Some(Err(failure)) => {
                let name = name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
                let (name, code) = (String::from_utf8_lossy(&name), failure.code);
                Err(self.unresolved(format_args!("{name} could not be resolved ({code})")))
            }
            None => {
                let text = format_args!("client prematurely closed connection");
                self.thread.log_error(self.req, Severity::Info, text);
                Err(Outcome::Gone(499))
            }
        }
    }

    fn unresolved(&self, text: std::fmt::Arguments<'_>) -> Outcome {
        self.thread.log_error(self.req, Severity::Error, text);
        Outcome::Error(BAD_GATEWAY)
    }
}
