//! `auth_request`: a request of our own, on a client's behalf, whose answer decides; nobody is sent it.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use super::gate::Verdict;
use super::{Request, ThreadState};
use crate::diag::Severity;
use crate::plan::SetTo;
use crate::values;
use crate::vars;
use crate::wire::{Framing, KnownField};

/// Carries a subrequest through, peers included, and gives it back.
pub type SubRunner = dyn Fn(Request) -> Pin<Box<dyn Future<Output = Request>>>;

impl Request {
    /// A request for another path with this one's head, without its body.
    fn sub(&self, uri: &[u8]) -> Self {
        let mut sub = Self::new(Arc::clone(&self.plan), Rc::clone(&self.thread), self.conn.clone());
        sub.conn = self.conn.clone();
        sub.head = self.head.clone();
        sub.head.framing = Framing::Empty;
        sub.started = self.started;
        sub.request_length = self.request_length;
        sub.server = self.server;
        sub.uri = uri.to_vec();
        sub.method_is_get = true;
        sub.internal = true;
        sub.valid_unparsed_uri = false;
        sub.discard_body = true;
        sub.expect_tested = true;
        sub.header_only = true;
        sub.is_sub = true;
        sub.limit_req = self.limit_req;
        sub.limit_conn = self.limit_conn;
        sub.id.set(self.id.get());
        // As in nginx, both have the same variables.
        sub.slots.clone_from(&self.slots);
        sub
    }
}

/// The check of the access phase.
pub(super) async fn auth(req: &mut Request, thread: &ThreadState) -> Verdict {
    let set = req.location().set.clone();
    let Some(auth) = set.auth_request.as_deref() else { return Verdict::Silent };
    if req.trace.is_some() {
        let text = "auth_request is not asked here, its answer is taken for a yes";
        thread.log_error(req, Severity::Notice, format_args!("{text}"));
        return Verdict::In;
    }
    let Some(run) = thread.subrequests() else { return Verdict::Out(500) };
    let sub = run(req.sub(&auth.uri)).await;
    req.slots.swap(&sub.slots);
    req.id.set(sub.id.get());
    for (to, value) in &auth.set {
        let value = vars::eval_to_vec(value, &sub);
        match to {
            SetTo::Slot(slot) => req.set_slot(*slot, value),
            SetTo::Args => req.args = value,
            SetTo::LimitRate => req.limit_rate = values::size(&value),
        }
    }
    match sub.out.status {
        403 => Verdict::Out(403),
        401 => {
            challenge(req, &sub);
            Verdict::Out(401)
        }
        200..=299 => Verdict::In,
        status => {
            thread.log_error(req, Severity::Error, format_args!("auth request unexpected status: {status}"));
            Verdict::Out(500)
        }
    }
}

/// What the answer says of how to log in.
fn challenge(req: &mut Request, sub: &Request) {
    let name = KnownField::WwwAuthenticate.name();
    let said: Vec<_> = sub.out.fields().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).collect();
    for (name, value) in &said {
        req.out.push(name, value);
    }
    if said.is_empty() && sub.has_upstream_head {
        for (name, value, _) in sub.upstream_head.iter().filter(|f| f.2 == KnownField::WwwAuthenticate) {
            req.out.push(name, value);
        }
    }
}
