//! One timer for a connection, armed late: an operation that is ready at once touches no timer, and one that must wait
//! leaves an armed timer where it is as long as it fires early enough.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::clock;

/// The time was up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// The timer of one connection. It bounds one operation at a time.
#[derive(Debug, Default)]
pub struct Timeout {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timeout {
    pub const fn new() -> Self {
        Self { sleep: None }
    }

    /// Gives `future` at most `limit` from when it is first pending.
    pub async fn bound<F: Future>(&mut self, limit: Duration, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut deadline = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(out) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(out));
            }
            let deadline = *deadline.get_or_insert_with(|| clock::instant() + limit);
            self.poll_until(cx, deadline).map(|()| Err(Elapsed))
        })
        .await
    }

    /// Gives `future` until `deadline`.
    pub async fn bound_at<F: Future>(&mut self, deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(out) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(out));
            }
            self.poll_until(cx, deadline).map(|()| Err(Elapsed))
        })
        .await
    }

    /// Ready once `deadline` has passed. The timer is set when there is none, when it would fire too late, and when it
    /// fired for an earlier deadline.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if sleep.deadline().into_std() > deadline {
            sleep.as_mut().reset(deadline.into());
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline().into_std() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline.into());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(f: impl Future<Output = T>) -> T {
        super::super::runtime().unwrap().block_on(f)
    }

    #[test]
    fn ready_future_arms_no_timer() {
        run(async {
            let mut t = Timeout::new();
            assert_eq!(t.bound(Duration::from_secs(1), async { 7 }).await, Ok(7));
            assert!(t.sleep.is_none());
        });
    }

    #[test]
    fn pending_future_times_out_and_not_before() {
        run(async {
            let mut t = Timeout::new();
            let start = Instant::now();
            let r = t.bound(Duration::from_millis(30), std::future::pending::<()>()).await;
            assert_eq!(r, Err(Elapsed));
            assert!(start.elapsed() >= Duration::from_millis(29));
        });
    }

    #[test]
    fn armed_timer_that_fires_early_is_set_again() {
        run(async {
            let mut t = Timeout::new();
            let r = t.bound(Duration::from_millis(20), tokio::task::yield_now()).await;
            assert_eq!(r, Ok(()));
            let armed = t.sleep.as_ref().unwrap().deadline();
            let start = Instant::now();
            let r = t.bound(Duration::from_millis(60), std::future::pending::<()>()).await;
            assert_eq!(r, Err(Elapsed));
            assert!(t.sleep.as_ref().unwrap().deadline() > armed);
            assert!(start.elapsed() >= Duration::from_millis(59));
        });
    }

    #[test]
    fn earlier_deadline_moves_the_timer_forward() {
        run(async {
            let mut t = Timeout::new();
            assert_eq!(t.bound(Duration::from_secs(60), tokio::task::yield_now()).await, Ok(()));
            let r = tokio::time::timeout(
                Duration::from_secs(5),
                t.bound(Duration::from_millis(10), std::future::pending::<()>()),
            );
            assert_eq!(r.await, Ok(Err(Elapsed)));
        });
    }
}
