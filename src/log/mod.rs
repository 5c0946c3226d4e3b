//! Owns: error-log lines and where they go, the files of access logs, syslog, reopening.
//! May use: diag, values, plan, sys, vars.
//! Never touches: requests (lines come ready), the choice of what is logged.

mod access;
mod line;
mod logs;
mod sink;
mod syslog;

pub use access::AccessFiles;
pub use logs::{Logs, OpenError};
pub use syslog::Syslog;

#[cfg(test)]
mod tests;
