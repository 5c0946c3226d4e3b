//! The time as the thread last read it. One reading serves everything that happens between two waits for events, as
//! nginx does it, so that a request costs no clock call.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For differences and deadlines.
    pub instant: Instant,
    /// Since 1970.
    pub unix: Duration,
}

impl Now {
    /// Whole seconds since 1970.
    pub fn secs(&self) -> u64 {
        self.unix.as_secs()
    }

    /// Milliseconds since 1970.
    pub fn millis(&self) -> u64 {
        u64::try_from(self.unix.as_millis()).unwrap_or(u64::MAX)
    }
}

thread_local! {
    static NOW: Cell<Option<Now>> = const { Cell::new(None) };
    static HOOKED: Cell<bool> = const { Cell::new(false) };
}

/// Reads the clocks. The runtime of [`super::runtime`] calls it each time it wakes up.
pub fn refresh() {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    NOW.set(Some(Now { instant: Instant::now(), unix }));
}

/// From here on this thread's runtime refreshes the clock.
pub(super) fn hooked() {
    HOOKED.set(true);
}

/// The time, at most one round of events old; exact on a thread whose runtime does not refresh the clock.
#[inline]
pub fn now() -> Now {
    match NOW.get() {
        Some(now) if HOOKED.get() => now,
        _ => read(),
    }
}

#[cold]
fn read() -> Now {
    refresh();
    NOW.get().expect("refresh has just set it")
}

/// Seconds since 1970.
#[inline]
pub fn unix_secs() -> u64 {
    now().secs()
}

/// Milliseconds since 1970.
#[inline]
pub fn unix_millis() -> u64 {
    now().millis()
}

/// The monotonic clock.
#[inline]
pub fn instant() -> Instant {
    now().instant
}
