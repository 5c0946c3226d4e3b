//! How long peers take: averages for `least_time`, and the estimate that compares them, both nginx's.

use std::sync::atomic::{AtomicU64, Ordering::*};

/// From here on all peers are equally slow, milliseconds.
const SLOWEST: u64 = 5000;
/// Peers whose times are in one step go round, milliseconds.
const STEP: u64 = 20;
/// An average gains a twentieth of each new time.
const SHARE: f64 = 0.05;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// Until the head of the answer is there.
    Header,
    /// Until its last byte is there.
    LastByte,
}

/// A successful exchange's times, milliseconds since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    pub header: u64,
    pub response: u64,
}

/// A peer's averages. Threads update them without a lock.
#[derive(Debug, Default)]
pub(super) struct Pace {
    header: Average,
    response: Average,
    waiting: Average,
    inflight: Inflight,
}

/// Milliseconds; 0: nothing is known yet.
#[derive(Debug, Default)]
struct Average(AtomicU64);

impl Average {
    fn add(&self, time: u64) {
        let next = |avg: u64| match avg {
            0 => Some(time),
            avg => Some((0.5 + time as f64 * SHARE + avg as f64 * (1.0 - SHARE)) as u64),
        };
        let _ = self.0.fetch_update(Relaxed, Relaxed, next);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Requests that a peer has not answered yet: how many, and the sum of the times they began.
///
/// A request adds its time before it counts and takes it away after: whoever finds the count unchanged around the sum
/// has all times of those counted, so that an age is never too great.
#[derive(Debug, Default)]
struct Inflight {
    /// The low half is the count, the high half goes up with every change.
    count: AtomicU64,
    began: AtomicU64,
}

const CHANGE: u64 = 1 << 32;

impl Inflight {
    fn begin(&self, now: u64) {
        self.began.fetch_add(now, Relaxed);
        self.count.fetch_add(CHANGE + 1, Release);
    }

    fn end(&self, began: u64) {
        self.count.fetch_add(CHANGE.wrapping_sub(1), AcqRel);
        self.began.fetch_sub(began, Relaxed);
    }

    /// How many there are.
    fn len(&self) -> u64 {
        self.count.load(Relaxed) & (CHANGE - 1)
    }

    /// How long they have been waiting on the average; `None`: nobody waits, or threads are at work on it.
    fn age(&self, now: u64) -> Option<u64> {
        let before = self.count.load(Acquire);
        let began = self.began.load(Acquire);
        let n = before & (CHANGE - 1);
        if n == 0 || self.count.load(Relaxed) != before {
            return None;
        }
        let sum = now.wrapping_mul(n).wrapping_sub(began).cast_signed();
        Some(sum.max(0).unsigned_abs() / n)
    }
}

impl Pace {
    /// A request is on its way.
    pub(super) fn begin(&self, now: u64) {
        self.inflight.begin(now);
    }

    /// The request that began then is answered, or given up.
    pub(super) fn end(&self, began: u64) {
        self.inflight.end(began);
    }

    /// The head of an answer came after so many milliseconds.
    pub(super) fn header(&self, time: u64) {
        self.header.add(time);
    }

    /// The last byte did.
    pub(super) fn response(&self, time: u64) {
        self.response.add(time);
    }

    /// Takes note of how long the present requests have been waiting; done with each look at the peer.
    pub(super) fn look(&self, now: u64) {
        if let Some(age) = self.inflight.age(now) {
            self.waiting.add(age);
        }
    }

    /// How long the peer will need for what it has to do and one more request, in its own milliseconds. `rested`: so
    /// often since it was last looked at has a `fail_timeout` passed, which halves its time: the slow get a chance.
    pub(super) fn estimate(&self, metric: Metric, conns: u32, rested: i64) -> u64 {
        let mut time = match metric {
            Metric::Header => self.header.get(),
            Metric::LastByte => self.response.get(),
        };
        if rested > 0 {
            time = u32::try_from(rested).ok().and_then(|n| time.checked_shr(n)).unwrap_or(0);
        }
        if self.inflight.len() > 0 {
            time = time.max(self.waiting.get());
        }
        let time = if time > SLOWEST { SLOWEST } else { time + STEP - time % STEP };
        time * (1 + u64::from(conns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_starts_with_the_first_time_and_gains_a_twentieth_of_the_others() {
        let pace = Pace::default();
        for (time, avg) in [(100, 100), (300, 110), (300, 120), (0, 114)] {
            pace.header(time);
            assert_eq!(pace.header.get(), avg);
        }
    }

    #[test]
    fn close_times_are_one_step_and_from_five_seconds_on_all_are_equal() {
        let estimate = |time, conns, rested| {
            let pace = Pace::default();
            pace.response(time);
            pace.estimate(Metric::LastByte, conns, rested)
        };
        assert_eq!((estimate(0, 0, 0), estimate(19, 0, 0), estimate(20, 0, 0)), (20, 20, 40));
        assert_eq!(
            (estimate(5000, 1, 0), estimate(5001, 0, 0), estimate(90_000, 2, 0)),
            (10_040, 5000, 15_000)
        );
        assert_eq!((estimate(400, 0, 1), estimate(400, 0, 3), estimate(400, 0, 1 << 40)), (220, 60, 20));
    }

    #[test]
    fn waiting_requests_make_a_peer_slow_while_they_wait() {
        let pace = Pace::default();
        pace.header(30);
        pace.begin(1000);
        pace.begin(3000);
        pace.look(5000);
        assert_eq!(pace.inflight.age(5000), Some(3000));
        assert_eq!(pace.estimate(Metric::Header, 0, 0), 3020);
        pace.end(1000);
        assert_eq!(pace.inflight.age(5000), Some(2000));
        pace.end(3000);
        assert_eq!((pace.inflight.age(9000), pace.inflight.len()), (None, 0));
        assert_eq!(pace.estimate(Metric::Header, 0, 0), 40, "the head's average is all that is left");
        pace.begin(9000);
        assert_eq!(pace.inflight.age(8000), Some(0), "a clock that went back");
    }
}
