//! The access phase: `allow` and `deny`.

use super::{Event, Request, ThreadState};
use crate::diag::Severity;
use crate::plan::Who;

/// The status that ends a request whose client is not let in; the first rule that fits decides, and none lets in.
pub(super) fn refused(req: &Request, thread: &ThreadState) -> Option<u16> {
    let rules = &req.location().gate;
    if rules.is_empty() {
        return None;
    }
    let client = req.conn.client.map(|a| a.ip());
    let rule = rules.iter().find(|rule| match (rule.who, client) {
        (Who::All, _) | (Who::Unix, None) => true,
        (Who::Network(network), Some(ip)) => network.contains(ip),
        _ => false,
    });
    let refused = rule.is_some_and(|rule| !rule.allow);
    req.note(|| Event::Access { rule: rule.copied(), refused });
    if !refused {
        return None;
    }
    thread.log_error(req, Severity::Error, format_args!("access forbidden by rule"));
    Some(403)
}
