//! A bucket of a zone: a lock, and [`WAYS`] entries of four words: the key (two), a time or nothing, a count.

use std::sync::atomic::{AtomicU64, Ordering::*, fence};

/// Words of an entry, and of what stands before the first.
const ENTRY: usize = 4;
/// Entries of a bucket.
pub(super) const WAYS: usize = 15;
/// Words of a bucket: 512 bytes.
pub(super) const BUCKET: usize = (1 + WAYS) * ENTRY;
/// Looks at a lock before it is taken from whoever holds it: a process that died.
const PATIENCE: u32 = 20_000;

/// A key: a hash of 128 bits, so that long keys cost no more than short ones. Never all 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) [u64; 2]);

#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket<'t>(&'t [AtomicU64]);

/// An entry, under the lock of its bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'t>(&'t [AtomicU64]);

impl<'t> Bucket<'t> {
    /// `words` are [`BUCKET`].
    pub(super) fn new(words: &'t [AtomicU64]) -> Self {
        debug_assert_eq!(words.len(), BUCKET);
        Self(words)
    }

    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'t>> {
        self.0[ENTRY..].chunks_exact(ENTRY).map(Entry)
    }

    pub(super) fn find(self, key: Key) -> Option<Entry<'t>> {
        self.entries().find(|e| e.key() == key.0)
    }

    fn lock(self) -> u64 {
        let version = &self.0[0];
        let mut looks = 0;
        loop {
            let seen = version.load(Relaxed);
            looks += 1;
            let next = match seen & 1 {
                0 => seen.wrapping_add(1),
                _ if looks > PATIENCE => seen.wrapping_add(2),
                _ => {
                    // A holder needs less than a microsecond, unless it does not run at present.
                    if looks < 64 {
                        std::hint::spin_loop()
                    } else {
                        std::thread::yield_now()
                    }
                    continue;
                }
            };
            if version.compare_exchange(seen, next, Acquire, Relaxed).is_ok() {
                fence(Release);
                return next;
            }
        }
    }

    fn unlock(self, version: u64) {
        self.0[0].store(version.wrapping_add(1), Release);
    }
}

impl Entry<'_> {
    pub(super) fn key(self) -> [u64; 2] {
        [self.0[0].load(Relaxed), self.0[1].load(Relaxed)]
    }

    pub(super) fn is_free(self) -> bool {
        self.key() == [0, 0]
    }

    /// The third and the fourth word.
    pub(super) fn values(self) -> (u64, u64) {
        (self.0[2].load(Relaxed), self.0[3].load(Relaxed))
    }

    pub(super) fn put(self, key: [u64; 2], values: (u64, u64)) {
        for (word, value) in self.0.iter().zip([key[0], key[1], values.0, values.1]) {
            word.store(value, Relaxed);
        }
    }

    pub(super) fn clear(self) {
        self.put([0, 0], (0, 0));
    }
}

/// Runs `write` while nobody else looks at these two, which are in the order of the zone, or the same.
pub(super) fn locked<T>(low: Bucket<'_>, high: Bucket<'_>, write: impl FnOnce() -> T) -> T {
    let first = low.lock();
    let second = (!std::ptr::eq(low.0, high.0)).then(|| high.lock());
    let done = write();
    if let Some(version) = second {
        high.unlock(version);
    }
    low.unlock(first);
    done
}
