//! The counters of one `limit_req_zone` or `limit_conn_zone`.
//!
//! A key has its place in one of two buckets; the emptier one takes it, so that a zone is nearly full before a key that
//! counts has to go. Each is locked for a few memory accesses. The arithmetic of requests is nginx's: a bucket that leaks
//! a thousandth of a request in each thousandth of the rate, in whole milliseconds.

use std::io;

use md5::{Digest as _, Md5};

use super::bucket::{BUCKET, Bucket, Entry, Key, WAYS, locked};
use crate::sys::SharedMemory;

/// How far a key is over its rate, in thousandths of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Within the burst.
    Within(u64),
    /// Over it: nothing was counted.
    Over(u64),
}

/// A zone's memory.
#[derive(Debug)]
pub struct Zone {
    memory: SharedMemory,
    buckets: usize,
}

impl Zone {
    /// A zone in no more than `bytes` (and one bucket at least).
    pub fn new(bytes: usize) -> io::Result<Self> {
        let buckets = (bytes / (BUCKET * 8)).max(1);
        Ok(Self { memory: SharedMemory::new(buckets * BUCKET)?, buckets })
    }

    /// How many keys there is room for.
    pub fn capacity(&self) -> usize {
        self.buckets * WAYS
    }

    /// What `write` makes of the two buckets of a key while nobody else looks at them.
    fn at<T>(&self, key: &[u8], write: impl FnOnce(Key, [Bucket<'_>; 2]) -> T) -> T {
        let hash = u128::from_le_bytes(Md5::digest(key).into());
        let key = Key([(hash as u64).max(1), (hash >> 64) as u64]);
        let scale = |x: u64| ((u128::from(x) * self.buckets as u128) >> 64) as usize;
        let (a, b) = (scale(key.0[0]), scale(key.0[1]));
        let bucket = |n: usize| Bucket::new(&self.memory[n * BUCKET..(n + 1) * BUCKET]);
        let (low, high) = (bucket(a.min(b)), bucket(a.max(b)));
        locked(low, high, || write(key, [low, high]))
    }

    /// A request under `key` at `now` (milliseconds of a clock that all processes share): whether it is within `burst`
    /// (thousandths of a request) of the `rate` (thousandths of a request a second). It is counted when it is and `count`
    /// says so.
    pub fn request(&self, key: &[u8], now: u64, rate: u64, burst: u64, count: bool) -> Excess {
        self.at(key, |key, buckets| {
            let Some(entry) = buckets.iter().find_map(|b| b.find(key)) else {
                if count {
                    free_or_oldest(&buckets, now, rate).put(key.0, (now, meta(0, now)));
                }
                return Excess::Within(0);
            };
            let (last, old) = entry.values();
            let ms = elapsed(now, last);
            let excess = (old >> 32).saturating_add(1000).saturating_sub(gone(rate, ms));
            if excess > burst {
                entry.put(key.0, (last, meta(old >> 32, now)));
                return Excess::Over(excess);
            }
            if count {
                let last = if ms > 0 { now } else { last };
                entry.put(key.0, (last, meta(excess, now)));
            }
            Excess::Within(excess)
        })
    }

    /// Counts a request that was found to be within several limits, and says its excess, as of now.
    pub fn count(&self, key: &[u8], now: u64, rate: u64) -> u64 {
        match self.request(key, now, rate, u64::MAX, true) {
            Excess::Within(excess) | Excess::Over(excess) => excess,
        }
    }

    /// One more connection under `key`, unless there are `most` already. `None`: there are, or the zone is full.
    pub fn enter(&self, key: &[u8], most: u64) -> Result<(), Full> {
        self.at(key, |key, buckets| {
            if let Some(entry) = buckets.iter().find_map(|b| b.find(key)) {
                let (_, count) = entry.values();
                if count >= most {
                    return Err(Full::Limit);
                }
                entry.put(key.0, (0, count + 1));
                return Ok(());
            }
            let emptier = if used(buckets[1]) < used(buckets[0]) { 1 } else { 0 };
            let mut entries = buckets[emptier].entries();
            entries.find(|e| e.is_free()).ok_or(Full::Zone)?.put(key.0, (0, 1));
            Ok(())
        })
    }

    /// One less.
    pub fn leave(&self, key: &[u8]) {
        self.at(key, |key, buckets| {
            let Some(entry) = buckets.iter().find_map(|b| b.find(key)) else { return };
            match entry.values() {
                (_, 0 | 1) => entry.clear(),
                (_, count) => entry.put(key.0, (0, count - 1)),
            }
        });
    }

    /// Forgets all keys: nobody is connected.
    pub fn clear(&self) {
        for words in self.memory.chunks_exact(BUCKET) {
            let bucket = Bucket::new(words);
            locked(bucket, bucket, || bucket.entries().for_each(Entry::clear));
        }
    }
}

/// Why a connection is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Limit,
    /// There is no room for its key.
    Zone,
}

/// The excess, and when it was looked at last (seconds), in one word.
fn meta(excess: u64, now: u64) -> u64 {
    excess.min(u64::from(u32::MAX)) << 32 | ((now / 1000) & 0xffff_ffff)
}

/// Milliseconds since `last`; a clock that was put back by more than a minute counts for one.
fn elapsed(now: u64, last: u64) -> u64 {
    match last.checked_sub(now) {
        Some(1..=60_000) => 0,
        Some(60_001..) => 1,
        _ => now - last,
    }
}

/// What leaks away in a time.
fn gone(rate: u64, ms: u64) -> u64 {
    u64::try_from(u128::from(rate) * u128::from(ms) / 1000).unwrap_or(u64::MAX)
}

fn used(bucket: Bucket<'_>) -> usize {
    bucket.entries().filter(|e| !e.is_free()).count()
}

/// The place for a new key: a free one, else the key that was not looked at for longest, those whose excess has leaked
/// away first.
fn free_or_oldest<'t>(buckets: &[Bucket<'t>; 2], now: u64, rate: u64) -> Entry<'t> {
    let [a, b] = *buckets;
    let order = if used(b) < used(a) { [b, a] } else { [a, b] };
    if let Some(free) = order.iter().flat_map(|b| b.entries()).find(|e| e.is_free()) {
        return free;
    }
    let age = |entry: &Entry<'t>| {
        let (last, meta) = entry.values();
        ((meta >> 32) > gone(rate, elapsed(now, last)), meta & 0xffff_ffff)
    };
    order.into_iter().flat_map(Bucket::entries).min_by_key(age).expect("a bucket has entries")
}
