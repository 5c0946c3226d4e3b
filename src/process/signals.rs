//! What is logged of a signal.

use crate::diag::Severity;
use crate::log::Logs;
use crate::sys::Received;

/// nginx's line for a signal that came: `signal 1 (SIGHUP) received from 4711, reconfiguring`.
pub(crate) fn note(logs: &Logs, received: Received, action: &str) {
    let (number, name) = (received.signal.number(), received.signal.name());
    match received.from {
        0 => logs.main(Severity::Notice, format_args!("signal {number} ({name}) received{action}")),
        from => {
            logs.main(
                Severity::Notice,
                format_args!("signal {number} ({name}) received from {from}{action}"),
            );
        }
    }
}
