//! What every behaviour test stands on: real processes, real sockets, ports from the kernel, deadlines.

pub mod client;
pub mod clients;
pub mod daemon;
pub mod diff;
pub mod dns;
pub mod h2;
pub mod haproxy;
pub mod origin;
pub mod redis;
pub mod secure;
pub mod tls;

use std::io::Write as _;
use std::time::{Duration, Instant};

/// How long anything that should happen soon may take before the test fails.
pub const SOON: Duration = Duration::from_secs(10);

/// Waits until `ready` gives something, and fails the test when [`SOON`] has passed.
#[track_caller]
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + SOON;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < end, "waited {SOON:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says that something was not tested, and why: past the test harness, which shows nothing of a test that passes.
pub fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
