//! How fast a client may be sent to: `limit_rate` and `limit_rate_after`.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::rt::{Timeout, clock};

/// The bytes that one answer may have sent by now.
#[derive(Debug)]
pub struct Pace {
    /// Bytes a second.
    rate: u64,
    /// Bytes that are free.
    after: u64,
    began: Instant,
    sent: u64,
    /// Nothing is sent before.
    until: Option<Instant>,
    timer: Timeout,
}

impl Pace {
    /// `rate` is not 0.
    pub fn new(rate: u64, after: u64) -> Self {
        debug_assert!(rate > 0, "no limit is no pace");
        Self { rate, after, began: clock::instant(), sent: 0, until: None, timer: Timeout::new() }
    }

    /// Ready with how many bytes may be sent now; at least one.
    pub(super) fn poll_budget(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            if let Some(until) = self.until {
                if clock::instant() < until && self.timer.poll_until(cx, until).is_pending() {
                    return Poll::Pending;
                }
                self.until = None;
            }
            let now = clock::instant();
            let seconds = now.saturating_duration_since(self.began).as_secs() + 1;
            let may = self.rate.saturating_mul(seconds).saturating_add(self.after);
            match may.checked_sub(self.sent).filter(|n| *n > 0) {
                Some(n) => return Poll::Ready(usize::try_from(n).unwrap_or(usize::MAX)),
                None => self.until = Some(now + self.time(self.sent - may) + Duration::from_millis(1)),
            }
        }
    }

    /// Notes what was sent: what took a part of a second is waited for.
    pub(super) fn spend(&mut self, n: usize) {
        let before = self.sent.saturating_sub(self.after);
        self.sent += n as u64;
        let pause = self.time(self.sent.saturating_sub(self.after) - before);
        if !pause.is_zero() {
            self.until = Some(clock::instant() + pause);
        }
    }

    /// Whether it is the pace that keeps the client waiting.
    pub(super) fn holds(&self) -> bool {
        self.until.is_some_and(|until| clock::instant() < until)
    }

    fn time(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1000) / self.rate.max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_second_s_worth_leaves_at_once_and_the_rest_waits() {
        crate::rt::runtime().expect("a runtime").block_on(async {
            let mut cx = Context::from_waker(Waker::noop());
            let mut pace = Pace::new(1000, 500);
            assert_eq!(pace.poll_budget(&mut cx), Poll::Ready(1500));
            pace.spend(400);
            assert!(!pace.holds(), "the first bytes are free");
            assert_eq!(pace.poll_budget(&mut cx), Poll::Ready(1100));
            pace.spend(1100);
            assert!(pace.holds());
            assert_eq!(pace.poll_budget(&mut cx), Poll::Pending);
        });
    }
}
