//! What `sticky learn` has learned: which peer's value goes with a session's name. The memory is shared with the
//! processes that are forked later, so that a reload loses nothing.
//!
//! A session has its place in one of two buckets of 1 KiB, each with room for 15; the emptier one takes it, so that a
//! table is nearly full before the first session in use has to go. A reader takes no lock: it reads a bucket between
//! two looks at its version, which is odd while somebody writes. The memory is bounded by the zone: when both buckets
//! are full the entry of the two that was not used for longest makes room.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use md5::{Digest, Md5};

use super::bucket::{BUCKET, Bucket, Found, WAYS, locked, meta, over};
use crate::sys::SharedMemory;

/// The longest value of a peer (`route=` has no more, an MD5 has as many).
pub const SID_LEN: usize = 32;

/// A session's name: its MD5, so that long names cost no more than short ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(super) [u64; 2]);

impl Key {
    pub fn of(name: &[u8]) -> Self {
        Self::from_bytes(Md5::digest(name).into())
    }

    /// The MD5 itself.
    pub fn from_bytes(md5: [u8; 16]) -> Self {
        let n = u128::from_le_bytes(md5);
        Self([n as u64, (n >> 64) as u64])
    }

    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.0[1]) << 64 | u128::from(self.0[0])).to_le_bytes()
    }

    /// A number that no two names are likely to have in common.
    pub fn hash(self) -> u64 {
        self.0[0]
    }

    /// Not 0, which is no entry's.
    pub(super) fn tag(self) -> u64 {
        (self.0[1] & 0xffff).max(1)
    }

    /// Two numbers below `n`, different ones if `n` allows it. Neither depends on the tag.
    fn places(self, n: usize) -> (usize, usize) {
        let scale = |x: u64| ((u128::from(x) * n as u128) >> 64) as usize;
        let (home, other) = (scale(self.0[0]), scale(self.0[1] & !0xffff));
        (home, if home == other { (home + 1) % n } else { other })
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A peer's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sid {
    pub(super) words: [u64; 4],
    pub(super) len: u8,
}

impl Sid {
    /// `None`: it is too long.
    pub fn new(text: &[u8]) -> Option<Self> {
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
    /// The session was known with this value.
    Known,
    /// It was known with another one.
    Moved,
    /// It was not known, and not to be created.
    Unknown,
    Created,
    /// It was created, and another one, still in use, made room.
    Evicted,
}

/// A session of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub key: Key,
    pub sid: Sid,
    /// Milliseconds since 1970.
    pub used: u64,
}

/// One zone.
#[derive(Debug)]
pub struct Table {
    memory: SharedMemory,
    buckets: usize,
}

impl Table {
    /// Bytes that a session takes, the share of its bucket's head included.
    pub const COST: f64 = (BUCKET * 8) as f64 / WAYS as f64;

    /// How many sessions a zone of so many bytes has room for.
    pub const fn room(bytes: usize) -> usize {
        let buckets = bytes / (BUCKET * 8);
        (if buckets == 0 { 1 } else { buckets }) * WAYS
    }

    /// What the memory means. A binary that lays it out otherwise has another number here.
    pub const LAYOUT: u32 = 1;

    /// A table in no more than `bytes`.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let buckets = Self::room(bytes) / WAYS;
        Ok(Self { memory: SharedMemory::inheritable(c"tenrec-sessions", buckets * BUCKET)?, buckets })
    }

    /// The table of so many bytes of another master, which goes on with it.
    pub fn inherited(bytes: usize, file: File) -> io::Result<Self> {
        let buckets = Self::room(bytes) / WAYS;
        Ok(Self { memory: SharedMemory::inherited(file, buckets * BUCKET)?, buckets })
    }

    /// The file that another master can go on with.
    pub fn file(&self) -> Option<&File> {
        self.memory.file()
    }

    /// How many sessions there is room for.
    pub fn capacity(&self) -> usize {
        self.buckets * WAYS
    }

    /// The value that the session has, unless it was not used for `timeout`. `now` is milliseconds.
    pub fn look_up(&self, key: Key, now: u64, timeout: Duration) -> Option<Sid> {
        let (_, entry) = self.read(key)?;
        (!over(entry.meta, now, timeout)).then_some(entry.sid)
    }

    /// Notes that the session was with the peer of this value. A session that is not known is created when `create`
    /// says so.
    pub fn learn(&self, key: Key, sid: &[u8], create: bool, now: u64, timeout: Duration) -> Learned {
        let Some(sid) = Sid::new(sid) else { return Learned::Unknown };
        let known = self.read(key).filter(|(_, e)| !over(e.meta, now, timeout));
        match known {
            Some((bucket, entry)) if entry.sid == sid => {
                // The usual case needs no lock: only the time changes, and only if nobody changed more meanwhile.
                bucket.refresh(entry, meta(now, sid.len));
                Learned::Known
            }
            None if !create => Learned::Unknown,
            _ => self.write(key, |table, found| match found.filter(|(_, e)| !over(e.meta, now, timeout)) {
                Some((bucket, entry)) => {
                    bucket.set(entry.way, meta(now, sid.len), sid);
                    if entry.sid == sid { Learned::Known } else { Learned::Moved }
                }
                None if !create => Learned::Unknown,
                None => table.put(Session { key, sid, used: now }, now, timeout, found),
            }),
        }
    }

    /// Takes a session over as it was elsewhere. One that was used later than this one stays as it is, and for one that
    /// was used before all others nobody makes room. `true`: it is there now.
    pub fn restore(&self, session: Session, now: u64, timeout: Duration) -> bool {
        let stamp = meta(session.used.min(now), session.sid.len);
        if over(stamp, now, timeout) {
            return false;
        }
        self.write(session.key, |table, found| match found {
            Some((_, entry)) if entry.meta >> 8 >= stamp >> 8 => entry.sid == session.sid,
            Some((bucket, entry)) => {
                bucket.set(entry.way, stamp, session.sid);
                true
            }
            None => {
                let (home, other) = table.places(session.key);
                let rooms = [home.room(now, timeout), other.room(now, timeout)];
                let full = rooms.iter().all(|r| r.free == 0);
                if full && rooms.iter().all(|r| r.used >= stamp >> 8) {
                    return false;
                }
                table.put(Session { used: stamp >> 8, ..session }, now, timeout, None);
                true
            }
        })
    }

    /// Gives a session another value, if it still has the one it `had`; one that is not there (`None`) is created.
    pub fn adopt(&self, key: Key, had: Option<Sid>, sid: Sid, now: u64, timeout: Duration) -> bool {
        self.write(key, |table, found| {
            let live = found.filter(|(_, e)| !over(e.meta, now, timeout));
            match (live, had) {
                (Some((bucket, entry)), Some(had)) if entry.sid == had => {
                    bucket.set(entry.way, meta(entry.meta >> 8, sid.len), sid);
                    true
                }
                (None, None) => {
                    table.put(Session { key, sid, used: now }, now, timeout, found);
                    true
                }
                _ => false,
            }
        })
    }

    /// Whether the store was not told of the session for as long as `every`; now it counts as told.
    pub fn tell(&self, key: Key, now: u64, every: u64) -> bool {
        self.read(key).is_some_and(|(bucket, entry)| bucket.tell(entry, now.saturating_sub(every), now))
    }

    /// Takes a session away. `true`: it was there.
    pub fn forget(&self, key: Key) -> bool {
        self.write(key, |_, found| found.map(|(bucket, entry)| bucket.clear(entry.way)).is_some())
    }

    /// The sessions of a part of the table, of which there are [`Self::parts`], that were used within `timeout`. A part
    /// has one entry of each of its buckets: a table that is filled in this order fills evenly, as it would not if
    /// whole buckets came at once.
    pub fn part(&self, part: usize, now: u64, timeout: Duration) -> Vec<Session> {
        let (way, run) = (part / self.runs(), part % self.runs());
        let buckets = run * PART..self.buckets.min((run + 1) * PART);
        let mut found: Vec<Found> = buckets.filter_map(|ix| self.bucket(ix).at(way)).collect();
        found.retain(|e| !over(e.meta, now, timeout));
        found.iter().map(|e| Session { key: e.key, sid: e.sid, used: e.meta >> 8 }).collect()
    }

    pub fn parts(&self) -> usize {
        self.runs() * WAYS
    }

    fn runs(&self) -> usize {
        self.buckets.div_ceil(PART)
    }

    /// All sessions that were used within `timeout`, in no order.
    pub fn sessions(&self, now: u64, timeout: Duration) -> impl Iterator<Item = Session> {
        (0..self.parts()).flat_map(move |part| self.part(part, now, timeout))
    }

    fn bucket(&self, ix: usize) -> Bucket<'_> {
        let words: &[AtomicU64] = &self.memory;
        Bucket::new(&words[ix * BUCKET..(ix + 1) * BUCKET])
    }

    fn places(&self, key: Key) -> (Bucket<'_>, Bucket<'_>) {
        let (home, other) = key.places(self.buckets);
        (self.bucket(home), self.bucket(other))
    }

    fn read(&self, key: Key) -> Option<(Bucket<'_>, Found)> {
        let (home, other) = key.places(self.buckets);
        [home, other].into_iter().find_map(|ix| {
            let bucket = self.bucket(ix);
            Some((bucket, bucket.read(key)?))
        })
    }

    /// Runs `change` while no one else writes to the key's two buckets, with what is there of it.
    fn write<'t, T>(
        &'t self,
        key: Key,
        change: impl FnOnce(&'t Self, Option<(Bucket<'t>, Found)>) -> T,
    ) -> T {
        let (home, other) = key.places(self.buckets);
        let (low, high) = (self.bucket(home.min(other)), self.bucket(home.max(other)));
        locked(low, high, || {
            let found = [low, high].into_iter().find_map(|b| Some((b, b.find(key)?)));
            change(self, found)
        })
    }

    /// Under the lock: creates a session. Its place is its own old one, a free one where there are more of them, one
    /// that is over, else the one not used for longest.
    fn put(
        &self,
        session: Session,
        now: u64,
        timeout: Duration,
        old: Option<(Bucket<'_>, Found)>,
    ) -> Learned {
        let stamp = meta(session.used, session.sid.len);
        if let Some((bucket, entry)) = old {
            bucket.put(entry.way, session.key, stamp, session.sid);
            return Learned::Created;
        }
        let (home, other) = self.places(session.key);
        let (a, b) = (home.room(now, timeout), other.room(now, timeout));
        let (bucket, room) = match a.free == 0 && b.free == 0 {
            true if a.used <= b.used => (home, a),
            true => (other, b),
            false if a.free >= b.free => (home, a),
            false => (other, b),
        };
        bucket.put(room.way, session.key, stamp, session.sid);
        if room.free == 0 { Learned::Evicted } else { Learned::Created }
    }
}

/// Buckets of a part.
pub(super) const PART: usize = 64 * WAYS;
