//! What `sticky learn` has learned: which peer's value goes with a session's name. The memory is shared with the
//! processes that are forked later, so that a reload loses nothing.
//!
//! A bucket is 1 KiB: a line of its version and a tag for each entry, then [`WAYS`] entries of a line each. A reader
//! takes no lock: it reads the bucket between two looks at its version, which is odd while somebody writes. The
//! memory is bounded by the zone: in a full bucket the entry that was not used for longest makes room.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::*, fence};
use std::time::Duration;

use md5::{Digest, Md5};

use crate::sys::SharedMemory;

/// Words of a cache line, and of an entry.
const LINE: usize = 8;
/// Entries of a bucket.
const WAYS: usize = 15;
const BUCKET: usize = (1 + WAYS) * LINE;
/// Looks at a bucket that is being written before a reader does without, or a writer takes over: the one before it
/// has died.
const PATIENCE: u32 = 2_000;

/// The longest value of a peer (`route=` has no more, an MD5 has as many).
pub const SID_LEN: usize = 32;

/// A session's name: its MD5, so that long names cost no more than short ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u64; 2]);

impl Key {
    pub fn of(name: &[u8]) -> Self {
        let md5: [u8; 16] = Md5::digest(name).into();
        let n = u128::from_le_bytes(md5);
        Self([n as u64, (n >> 64) as u64])
    }

    /// Not 0, which is no entry's.
    fn tag(self) -> u64 {
        (self.0[1] & 0xffff).max(1)
    }
}

/// A peer's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sid {
    words: [u64; 4],
    len: u8,
}

impl Sid {
    /// `None`: it is too long.
    fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; SID_LEN];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Some(Self { words, len: text.len() as u8 })
    }

    /// Its bytes, and how many of them count.
    pub fn text(&self) -> ([u8; SID_LEN], usize) {
        let mut bytes = [0; SID_LEN];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.words) {
            *bytes = word.to_le_bytes();
        }
        (bytes, usize::from(self.len).min(SID_LEN))
    }
}

/// What [`Table::learn`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// The session was known, or it was not to be created.
    Known,
    Created,
    /// Another one, still in use, made room.
    Evicted,
}

/// One zone.
#[derive(Debug)]
pub struct Table {
    memory: SharedMemory,
    buckets: usize,
}

/// An entry as it was read: when it was last used, and what it says.
#[derive(Debug, Clone, Copy)]
struct Entry {
    way: usize,
    meta: u64,
    sid: Sid,
}

impl Table {
    /// A table in no more than `bytes`.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let buckets = (bytes / (BUCKET * 8)).max(1);
        Ok(Self { memory: SharedMemory::new(buckets * BUCKET)?, buckets })
    }

    /// How many sessions there is room for.
    pub fn capacity(&self) -> usize {
        self.buckets * WAYS
    }

    /// The value that the session has, unless it was not used for `timeout`. `now` is milliseconds.
    pub fn look_up(&self, key: Key, now: u64, timeout: Duration) -> Option<Sid> {
        let entry = self.read(self.bucket(key), key)?;
        (!over(entry.meta, now, timeout)).then_some(entry.sid)
    }

    /// Notes that the session was with the peer of this value. A session that is not known is created when `create`
    /// says so.
    pub fn learn(&self, key: Key, sid: &[u8], create: bool, now: u64, timeout: Duration) -> Learned {
        let Some(sid) = Sid::new(sid) else { return Learned::Known };
        let bucket = self.bucket(key);
        let known = self.read(bucket, key).filter(|e| !over(e.meta, now, timeout));
        match known {
            Some(entry) if entry.sid == sid => {
                // The usual case needs no lock: only the time changes, and only if nobody changed more meanwhile.
                let word = &bucket[(1 + entry.way) * LINE + 2];
                let _ = word.compare_exchange(entry.meta, meta(now, sid.len), Relaxed, Relaxed);
                Learned::Known
            }
            None if !create => Learned::Known,
            _ => write(bucket, key, sid, create, now, timeout),
        }
    }

    fn bucket(&self, key: Key) -> &[AtomicU64] {
        let at = ((u128::from(key.0[0]) * self.buckets as u128) >> 64) as usize * BUCKET;
        &self.memory[at..at + BUCKET]
    }

    fn read(&self, bucket: &[AtomicU64], key: Key) -> Option<Entry> {
        for looks in 0..PATIENCE {
            let version = bucket[0].load(Acquire);
            if version & 1 == 0 {
                let found = find(bucket, key);
                fence(Acquire);
                if bucket[0].load(Relaxed) == version {
                    return found;
                }
            }
            pause(looks);
        }
        None
    }
}

/// The time of last use, and how long the value is.
fn meta(now: u64, len: u8) -> u64 {
    now << 8 | u64::from(len)
}

fn over(meta: u64, now: u64, timeout: Duration) -> bool {
    let idle = now.saturating_sub(meta >> 8);
    u128::from(idle) >= timeout.as_millis()
}

fn tag_of(bucket: &[AtomicU64], way: usize) -> u64 {
    bucket[1 + way / 4].load(Relaxed) >> (way % 4 * 16) & 0xffff
}

fn find(bucket: &[AtomicU64], key: Key) -> Option<Entry> {
    let tag = key.tag();
    for way in (0..WAYS).filter(|way| tag_of(bucket, *way) == tag) {
        let line = &bucket[(1 + way) * LINE..(2 + way) * LINE];
        if line[0].load(Relaxed) == key.0[0] && line[1].load(Relaxed) == key.0[1] {
            let meta = line[2].load(Relaxed);
            let words = [3, 4, 5, 6].map(|i: usize| line[i].load(Relaxed));
            return Some(Entry { way, meta, sid: Sid { words, len: meta as u8 } });
        }
    }
    None
}

fn write(bucket: &[AtomicU64], key: Key, sid: Sid, create: bool, now: u64, timeout: Duration) -> Learned {
    let version = lock(&bucket[0]);
    let (way, learned) = match find(bucket, key).filter(|e| !over(e.meta, now, timeout)) {
        Some(entry) => (Some(entry.way), Learned::Known),
        None if !create => (None, Learned::Known),
        None => {
            let (way, evicted) = room(bucket, key, now, timeout);
            (Some(way), if evicted { Learned::Evicted } else { Learned::Created })
        }
    };
    if let Some(way) = way {
        let line = &bucket[(1 + way) * LINE..(2 + way) * LINE];
        for (word, value) in
            line.iter().zip([key.0[0], key.0[1], meta(now, sid.len)].iter().chain(&sid.words))
        {
            word.store(*value, Relaxed);
        }
        let (tags, shift) = (&bucket[1 + way / 4], way % 4 * 16);
        tags.store(tags.load(Relaxed) & !(0xffff << shift) | key.tag() << shift, Relaxed);
    }
    bucket[0].store(version.wrapping_add(1), Release);
    learned
}

/// The place for a new entry: its own old one, a free one, one that is over, else the one not used for longest.
/// `true`: somebody loses it.
fn room(bucket: &[AtomicU64], key: Key, now: u64, timeout: Duration) -> (usize, bool) {
    if let Some(old) = find(bucket, key) {
        return (old.way, false);
    }
    let mut oldest = (0, u64::MAX);
    for way in 0..WAYS {
        if tag_of(bucket, way) == 0 {
            return (way, false);
        }
        let used = bucket[(1 + way) * LINE + 2].load(Relaxed);
        if used < oldest.1 {
            oldest = (way, used);
        }
    }
    (oldest.0, !over(oldest.1, now, timeout))
}

/// A writer needs a few hundred nanoseconds, unless it does not run at present.
fn pause(looks: u32) {
    if looks < 64 { std::hint::spin_loop() } else { std::thread::yield_now() }
}

/// Makes the version odd and gives it.
fn lock(version: &AtomicU64) -> u64 {
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
