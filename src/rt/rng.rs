//! Seeded randomness: a thread has one, a test seeds its own.

use std::cell::RefCell;

use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _, TryRngCore as _};

/// A small fast generator. Not for secrets.
#[derive(Debug, Clone)]
pub struct Rng(SmallRng);

thread_local! {
    static THREAD: RefCell<Rng> = RefCell::new(Rng(SmallRng::from_os_rng()));
}

/// Bytes from the system that nobody can guess.
pub fn secret() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).expect("the system gives random bytes once it has started");
    bytes
}

impl Rng {
    /// The same seed gives the same numbers.
    pub fn seeded(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Runs `f` with the thread's own generator.
    pub fn thread<T>(f: impl FnOnce(&mut Self) -> T) -> T {
        THREAD.with_borrow_mut(f)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.0.random_range(0..n) }
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}
