//! A bucket of the learn table: a line of its version and a tag for each entry, then [`WAYS`] entries of a line each.
//!
//! An entry is a key (two words), when it was last used with the length of its value (one), the value (four), and when
//! the shared store was last told of it (one).

use std::sync::atomic::{AtomicU64, Ordering::*, fence};
use std::time::Duration;

use super::table::{Key, Sid};

/// Words of a cache line, and of an entry.
const LINE: usize = 8;
/// Entries of a bucket.
pub(super) const WAYS: usize = 15;
/// Words of a bucket.
pub(super) const BUCKET: usize = (1 + WAYS) * LINE;
/// Looks at a bucket that is being written before a reader does without, or a writer takes over: the one before it
/// has died.
const PATIENCE: u32 = 2_000;

/// Where the time of last use stands in an entry.
const META: usize = 2;
/// Where the time stands at which the store was told.
const TOLD: usize = 7;

#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket<'t>(&'t [AtomicU64]);

/// An entry as it was read: when it was last used, and what it says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) way: usize,
    pub(super) key: Key,
    pub(super) meta: u64,
    pub(super) sid: Sid,
}

/// What room a bucket has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Ways that nobody uses any more.
    pub(super) free: usize,
    /// One of them, else the one not used for longest.
    pub(super) way: usize,
    /// When that was used last; 0: never.
    pub(super) used: u64,
}

impl<'t> Bucket<'t> {
    /// `words` are [`BUCKET`].
    pub(super) fn new(words: &'t [AtomicU64]) -> Self {
        debug_assert_eq!(words.len(), BUCKET);
        Self(words)
    }

    fn line(self, way: usize) -> &'t [AtomicU64] {
        &self.0[(1 + way) * LINE..(2 + way) * LINE]
    }

    fn tag(self, way: usize) -> u64 {
        self.0[1 + way / 4].load(Relaxed) >> (way % 4 * 16) & 0xffff
    }

    fn set_tag(self, way: usize, tag: u64) {
        let (tags, shift) = (&self.0[1 + way / 4], way % 4 * 16);
        tags.store(tags.load(Relaxed) & !(0xffff << shift) | tag << shift, Relaxed);
    }

    fn entry(self, way: usize) -> Found {
        let line = self.line(way);
        let key = Key([line[0].load(Relaxed), line[1].load(Relaxed)]);
        let meta = line[META].load(Relaxed);
        let words = [3, 4, 5, 6].map(|i: usize| line[i].load(Relaxed));
        Found { way, key, meta, sid: Sid { words, len: meta as u8 } }
    }

    /// As it is now: what a writer may ask under its lock.
    pub(super) fn find(self, key: Key) -> Option<Found> {
        let tag = key.tag();
        (0..WAYS)
            .filter(|way| self.tag(*way) == tag)
            .map(|way| self.entry(way))
            .find(|entry| entry.key == key)
    }

    /// What `look` sees while nobody writes; `None`: somebody writes without end.
    fn quiet<T>(self, look: impl Fn() -> T) -> Option<T> {
        for looks in 0..PATIENCE {
            let version = self.0[0].load(Acquire);
            if version & 1 == 0 {
                let seen = look();
                fence(Acquire);
                if self.0[0].load(Relaxed) == version {
                    return Some(seen);
                }
            }
            pause(looks);
        }
        None
    }

    pub(super) fn read(self, key: Key) -> Option<Found> {
        self.quiet(|| self.find(key)).flatten()
    }

    /// The entry at a place, if there is one.
    pub(super) fn at(self, way: usize) -> Option<Found> {
        self.quiet(|| (self.tag(way) != 0).then(|| self.entry(way))).flatten()
    }

    /// Notes that an entry is in use, unless somebody noted more since it was read.
    pub(super) fn refresh(self, entry: Found, meta: u64) {
        let _ = self.line(entry.way)[META].compare_exchange(entry.meta, meta, Relaxed, Relaxed);
    }

    /// Whether the store was not told of the entry since `before`; from now on it was told at `now`.
    pub(super) fn tell(self, entry: Found, before: u64, now: u64) -> bool {
        let word = &self.line(entry.way)[TOLD];
        let told = word.load(Relaxed);
        told <= before && word.compare_exchange(told, now, Relaxed, Relaxed).is_ok()
    }

    /// Under the lock.
    pub(super) fn room(self, now: u64, timeout: Duration) -> Room {
        let mut room = Room { free: 0, way: 0, used: u64::MAX };
        for way in 0..WAYS {
            let meta = match self.tag(way) {
                0 => 0,
                _ => self.line(way)[META].load(Relaxed),
            };
            room.free += usize::from(meta == 0 || over(meta, now, timeout));
            if meta >> 8 < room.used {
                room = Room { way, used: meta >> 8, ..room };
            }
        }
        room
    }

    /// Under the lock: puts an entry into a way.
    pub(super) fn put(self, way: usize, key: Key, meta: u64, sid: Sid) {
        let words = [key.0[0], key.0[1], meta];
        for (word, value) in self.line(way).iter().zip(words.iter().chain(&sid.words).chain(&[0])) {
            word.store(*value, Relaxed);
        }
        self.set_tag(way, key.tag());
    }

    /// Under the lock: another value of an entry that is there.
    pub(super) fn set(self, way: usize, meta: u64, sid: Sid) {
        let line = self.line(way);
        line[META].store(meta, Relaxed);
        line[3..TOLD].iter().zip(&sid.words).for_each(|(word, value)| word.store(*value, Relaxed));
    }

    /// Under the lock.
    pub(super) fn clear(self, way: usize) {
        self.set_tag(way, 0);
    }

    /// Makes the version odd and gives it.
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
                    pause(looks);
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

/// Runs `write` while nobody else writes to these two, which are in the order of the table, or the same.
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

/// The time of last use, and how long the value is.
pub(super) fn meta(now: u64, len: u8) -> u64 {
    now << 8 | u64::from(len)
}

pub(super) fn over(meta: u64, now: u64, timeout: Duration) -> bool {
    let idle = now.saturating_sub(meta >> 8);
    u128::from(idle) >= timeout.as_millis()
}

/// A writer needs a few hundred nanoseconds, unless it does not run at present.
fn pause(looks: u32) {
    if looks < 64 { std::hint::spin_loop() } else { std::thread::yield_now() }
}
