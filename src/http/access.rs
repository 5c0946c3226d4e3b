//! The access log: one line a request.

use super::{Request, ThreadState};
use crate::vars;

/// Writes the lines of a request that is over.
pub fn log(req: &Request, thread: &ThreadState) {
    for log in &req.location().access_logs {
        let Some(format) = req.plan.log_formats.get(log.format.ix()) else { continue };
        thread.scratch(|line| {
            if log.condition.as_ref().is_some_and(|c| !vars::truthy(c, req, line)) {
                return;
            }
            vars::eval_log(&format.template, format.escape, req, line);
            line.push(b'\n');
            thread.access.borrow_mut().write(log.file, line);
        });
    }
}
