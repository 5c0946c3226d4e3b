//! `slow_start`: a peer that has come back gets its weight by and by.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::zone::{Health, Slot};

/// Parts of a weight.
pub(super) const WHOLE: i64 = 1000;

/// One peer's way back.
#[derive(Debug)]
pub(super) struct SlowStart {
    /// Milliseconds; 0: the whole weight at once.
    takes: i64,
    /// When it was found to answer again after it had failed, milliseconds since 1970.
    since: AtomicI64,
}

impl SlowStart {
    pub(super) fn new(takes: std::time::Duration) -> Self {
        Self { takes: i64::try_from(takes.as_millis()).unwrap_or(i64::MAX), since: AtomicI64::new(0) }
    }

    /// It had failed, and answers.
    pub(super) fn back(&self, now: i64) {
        if self.takes > 0 {
            self.since.store(now, Relaxed);
        }
    }

    /// How much of its weight the peer has, of [`WHOLE`]: none when it comes back, all of it `slow_start` later.
    /// `slot` knows when a health check found it well again.
    pub(super) fn part(&self, slot: &Slot, now: i64) -> i64 {
        if self.takes <= 0 {
            return WHOLE;
        }
        let probe = slot.probe();
        let checked = if probe.health == Health::Up { i64::try_from(probe.changed).unwrap_or(0) } else { 0 };
        let passed = now.saturating_sub(self.since.load(Relaxed).max(checked)).max(0);
        if passed >= self.takes { WHOLE } else { passed.saturating_mul(WHOLE) / self.takes }
    }
}
