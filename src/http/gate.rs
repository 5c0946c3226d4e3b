//! The access phase: `allow` and `deny`, `auth_basic`, `auth_request`; `satisfy` says how they go together.

use super::{Event, Request, ThreadState, basic, sub};
use crate::diag::Severity;
use crate::plan::Who;
use crate::wire::ServerConn;

/// What one check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    In,
    /// It does not concern this request.
    Silent,
    /// Not let in, with this status: 401, 403, 407; any other is a failure, and no other check can mend it.
    Out(u16),
}

/// The status that ends a request whose client is not let in.
pub(super) async fn refused(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Option<u16> {
    let loc = req.location();
    if loc.gate.is_empty() && loc.basic.is_none() && loc.auth_request.is_none() || req.is_sub {
        return None;
    }
    let any = loc.satisfy_any;
    let mut refusal = None;
    for check in [Check::Address, Check::Basic, Check::Request] {
        let verdict = match check {
            Check::Address => by_address(req, thread),
            Check::Basic => basic::check(req, thread).await,
            Check::Request => sub::auth(req, thread).await,
        };
        match verdict {
            Verdict::Silent => {}
            Verdict::In if any => {
                req.out.remove(b"WWW-Authenticate");
                req.out.remove(b"Proxy-Authenticate");
                return None;
            }
            Verdict::In => {}
            Verdict::Out(status) if any && matches!(status, 401 | 403 | 407) => {
                // What may be mended by a password is told before what may not.
                if !matches!(refusal, Some(401 | 407)) {
                    refusal = Some(status);
                }
            }
            Verdict::Out(status) => return Some(late(req, conn, thread, status).await),
        }
    }
    let status = refusal?;
    if status == 403 {
        thread.log_error(req, Severity::Error, format_args!("access forbidden by rule"));
    }
    Some(late(req, conn, thread, status).await)
}

#[derive(Clone, Copy)]
enum Check {
    Address,
    Basic,
    Request,
}

/// `auth_delay`: a request for a password waits, so that guessing takes its time. A client that leaves meanwhile: 499.
async fn late(req: &Request, conn: &mut ServerConn, thread: &ThreadState, status: u16) -> u16 {
    let delay = req.location().auth_delay;
    if !matches!(status, 401 | 407) || delay.is_zero() || req.trace.is_some() {
        return status;
    }
    thread.log_error(req, Severity::Info, format_args!("delaying unauthorized request"));
    if wait(conn, delay).await {
        return status;
    }
    thread.log_error(req, Severity::Info, format_args!("client prematurely closed connection"));
    499
}

/// Waits; false: the client left.
pub(super) async fn wait(conn: &mut ServerConn, time: std::time::Duration) -> bool {
    tokio::select! {
        biased;
        () = tokio::time::sleep(time) => true,
        () = conn.closed() => false,
    }
}

/// `allow` and `deny`: the first rule that fits decides.
fn by_address(req: &Request, thread: &ThreadState) -> Verdict {
    let rules = &req.location().gate;
    if rules.is_empty() {
        return Verdict::Silent;
    }
    let client = req.conn.client.map(|a| a.ip());
    let rule = rules.iter().find(|rule| match (rule.who, client) {
        (Who::All, _) | (Who::Unix, None) => true,
        (Who::Network(network), Some(ip)) => network.contains(ip),
        _ => false,
    });
    let refused = rule.is_some_and(|rule| !rule.allow);
    req.note(|| Event::Access { rule: rule.copied(), refused });
    match rule {
        None => Verdict::Silent,
        Some(rule) if rule.allow => Verdict::In,
        Some(_) => {
            if !req.location().satisfy_any {
                thread.log_error(req, Severity::Error, format_args!("access forbidden by rule"));
            }
            Verdict::Out(403)
        }
    }
}
