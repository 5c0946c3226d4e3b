//! The request on its way to a peer: head, body, and what of them was sent.

use super::destination::Uri;
use super::exchange::Outcome;
use super::head::{Framing, HeadPlan};
use super::report::{self, Action};
use super::target::{self, Asked, UriPart};
use crate::http::body::{self, BodyFail};
use crate::http::{Request, ThreadState};
use crate::plan::{Proxy, ProxyVersion, Upstream};
use crate::rt::Timeout;
use crate::sticky::{self, Change};
use crate::vars;
use crate::wire::{self, KnownField, ServerConn};

/// Where the body comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// None, or it is behind the head already (`proxy_set_body`).
    #[default]
    Nothing,
    /// `Request::body`: it can be sent again.
    Kept,
    /// What is in `Request::body`, then the client's connection: `proxy_request_buffering off`.
    Streamed { chunked: bool },
}

/// Buffers and marks of an exchange. A thread has a few of them and uses them again and again.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) head: Vec<u8>,
    uri: (usize, usize),
    /// The method is HEAD: no body answers it.
    pub(super) head_request: bool,
    pub(super) source: Source,
    /// Something may have reached the peer of the attempt at hand.
    pub(super) sent: bool,
    /// All of it did.
    pub(super) sent_all: bool,
    pub(super) action: Action,
    pub(super) timer: Timeout,
    /// The URL of the attempt at hand, for the log.
    pub(super) url: Vec<u8>,
    /// It is spoken to by TLS.
    pub(super) https: bool,
    /// A part of a body that lies in a file.
    pub(super) block: Vec<u8>,
}

impl Outgoing {
    /// Reads the body, unless it is to be passed on as it comes.
    pub(super) async fn read_body(
        &mut self,
        req: &mut Request,
        conn: &mut ServerConn,
        thread: &ThreadState,
        proxy: &Proxy,
    ) -> Result<(), Outcome> {
        self.source = Source::Nothing;
        if req.discard_body || !(req.has_body() || req.head.expect_continue) {
            return Ok(());
        }
        let chunked = req.head.framing == wire::Framing::Chunked;
        let streamed = !proxy.request_buffering
            && proxy.set_body.is_none()
            && proxy.pass_request_body
            && (!chunked || proxy.http_version == ProxyVersion::Http11)
            && req.has_body()
            && !conn.body_done()
            && req.body.is_empty();
        if streamed {
            if body::send_continue(req, conn).await.is_err() {
                return Err(Outcome::Gone(400));
            }
            let whole = body::read_at_hand(req, conn, thread).map_err(outcome)?;
            self.source = if whole { Source::Kept } else { Source::Streamed { chunked } };
            return Ok(());
        }
        body::read(req, conn, thread).await.map_err(outcome)?;
        if req.has_body() && proxy.set_body.is_none() && proxy.pass_request_body {
            self.source = Source::Kept;
        }
        Ok(())
    }

    pub(super) fn streaming(&self) -> bool {
        matches!(self.source, Source::Streamed { .. })
    }

    /// Begins another attempt.
    pub(super) fn begin(&mut self) {
        self.sent = false;
        self.sent_all = false;
        self.action = Action::Connecting;
    }

    /// Notes who is asked, for the log.
    pub(super) fn set_url(&mut self, name: &str, unix: bool) {
        let uri = self.head.get(self.uri.0..self.uri.1).unwrap_or_default();
        report::write_url(self.https, name, unix, uri, &mut self.url);
    }

    /// Writes the head. `hiding`: the upstreams whose session cookies the peer is not to see.
    pub(super) fn write(
        &mut self,
        req: &Request,
        proxy: &Proxy,
        plan: &HeadPlan,
        uri: &Uri,
        hiding: &[&Upstream],
    ) {
        let made = proxy.set_body.as_ref().map(|template| vars::eval_to_vec(template, req));
        let framing = self.framing(req, made.as_deref());
        let out = &mut self.head;
        out.clear();
        match &proxy.method {
            Some(method) => vars::eval(method, req, out),
            None => out.extend_from_slice(req.method_text()),
        }
        self.head_request = out.eq_ignore_ascii_case(b"HEAD");
        out.push(b' ');
        let start = out.len();
        let asked = Asked {
            raw: req.valid_unparsed_uri.then(|| req.head.target()),
            path: &req.uri,
            args: &req.args,
            escape: req.internal || quoted(req),
        };
        let part = match uri.part(proxy.replaces) {
            // A `rewrite … break` made the path, and it goes on whole.
            UriPart::Prefix(..) if !req.valid_location => UriPart::None,
            part => part,
        };
        target::write(asked, part, out);
        self.uri = (start, out.len());
        plan.write_top(proxy, framing, req, out);
        if proxy.pass_request_headers {
            for field in &req.head.fields {
                let (name, value) = (req.head.text(field.name), req.head.text(field.value));
                if plan.dropped.contains(field.id, name) {
                    continue;
                }
                let before = out.len();
                out.extend_from_slice(name);
                out.extend_from_slice(b": ");
                let change = if hiding.is_empty() || field.id != KnownField::Cookie {
                    Change::Keep
                } else {
                    sticky::hide(hiding, value, out)
                };
                match change {
                    Change::Keep => out.extend_from_slice(value),
                    Change::Replace => {}
                    Change::Drop => {
                        out.truncate(before);
                        continue;
                    }
                }
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(made.as_deref().unwrap_or_default());
    }

    fn framing(&self, req: &Request, made: Option<&[u8]>) -> Framing {
        match (made, self.source, req.head.framing) {
            (Some(body), ..) => Framing::Length(body.len() as u64),
            (_, Source::Streamed { chunked: true }, _) => Framing::Chunked,
            (_, Source::Nothing, _) if req.discard_body && req.has_body() => Framing::Length(0),
            (_, _, wire::Framing::Chunked) => Framing::Length(req.body.len()),
            // nginx says so even when the body itself is not passed on.
            (_, _, wire::Framing::Length(n)) => Framing::Length(n),
            _ => Framing::None,
        }
    }
}

fn outcome(fail: BodyFail) -> Outcome {
    match fail {
        BodyFail::Status(status) => Outcome::Error(status),
        BodyFail::Gone(status) => Outcome::Gone(status),
    }
}

/// The client's path had escapes in it, so that the path we know has to be escaped again.
fn quoted(req: &Request) -> bool {
    let target = req.head.target();
    let path = target.split(|b| *b == b'?').next().unwrap_or_default();
    path.contains(&b'%')
}
