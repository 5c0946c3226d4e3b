//! Where the slots are: chunks of shared memory, and the way from a peer's name to its slot.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use md5::{Digest, Md5};

use super::sessions;
use super::slot::{Slot, WORDS};
use crate::plan::Plan;
use crate::sys::{SharedMemory, SharedWords};

/// The head of a chunk: a lock, and how many slots are taken.
const LOCK: usize = 0;
const TAKEN: usize = 1;
const CHUNK_HEAD: usize = 8;
/// Where a slot has its peer's key, the last generation that had the peer, and since when nobody has it any more.
const KEY: usize = WORDS - 2;
const SEEN: usize = WORDS - 3;
const RETIRED: usize = WORDS - 4;
/// Generations without a peer after which nothing is known of it, and after which its slot may be another's. An old worker
/// that drains still looks at the slots of its own peers.
const FORGOTTEN: u64 = 2;
const FREE: u64 = 16;
/// Slots of the first chunk at least: peers that a resolver brings need some as well.
const SPARE: usize = 1024;
/// Looks at a lock before it is taken over: its holder has died.
const PATIENCE: u32 = 10_000;

/// Bits of the word that says whether there is trouble.
const SOME: u64 = 1;
const ALWAYS: u64 = 2;

/// The slots of all peers. A clone is the same memory.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    common: Arc<Common>,
    chunks: Vec<Chunk>,
    /// Counts plans.
    generation: u64,
    /// What this process has looked up.
    known: Mutex<HashMap<Key, Slot>>,
}

/// What slots of all chunks share: a word that says whether any is in trouble, and the memory of sessions that are counted.
#[derive(Debug)]
pub(super) struct Common {
    memory: SharedWords,
}

#[derive(Debug, Clone)]
struct Chunk {
    memory: Arc<SharedMemory>,
    slots: usize,
}

type Key = [u64; 2];

fn key(upstream: &str, peer: &str) -> Key {
    let md5: [u8; 16] =
        Md5::new().chain_update(upstream).chain_update([0]).chain_update(peer).finalize().into();
    let n = u128::from_le_bytes(md5);
    // 0 is a slot that nobody has.
    [(n as u64).max(1), ((n >> 64) as u64).max(1)]
}

impl Slots {
    /// Slots for the peers of `plan`. Those of `previous` stay what they are, with all that is known of their peers; a
    /// peer that neither `plan` nor the plan before it has is forgotten.
    pub fn open(plan: &Plan, previous: Option<&Self>) -> io::Result<Self> {
        let peers = plan.upstreams.iter().flat_map(|u| u.peers.iter().map(|p| key(&u.name, &p.name)));
        let keys: HashSet<Key> = peers.collect();
        let mut inner = match previous {
            Some(Self(old)) => Inner {
                common: old.common.clone(),
                chunks: old.chunks.clone(),
                generation: old.generation + 1,
                known: Mutex::default(),
            },
            None => Inner {
                common: Arc::new(Common::new()?),
                chunks: Vec::new(),
                generation: 1,
                known: Mutex::default(),
            },
        };
        inner.forget(&keys);
        let new = keys.iter().filter(|k| inner.chunks.iter().all(|c| c.find(**k).is_none())).count();
        let free: usize = inner.chunks.iter().map(Chunk::free).sum();
        if new > free || inner.chunks.is_empty() {
            inner.chunks.push(Chunk::new((new * 2).max(SPARE))?);
        }
        for (upstream, peer) in plan.upstreams.iter().flat_map(|u| u.peers.iter().map(move |p| (u, p))) {
            let slot = inner.look_up(key(&upstream.name, &peer.name));
            if peer.drain {
                slot.count_sessions();
            }
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Slots that no other process sees: those of tests and simulations. Sessions are not counted.
    pub fn private() -> Self {
        let common = Common { memory: SharedWords::alone(Common::SESSIONS) };
        let common = Arc::new(common);
        Self(Arc::new(Inner { common, chunks: Vec::new(), generation: 1, known: Mutex::default() }))
    }

    /// The slot of a peer. A peer that comes while the process runs gets one of those that are spare; when there is none,
    /// one that no other process sees.
    pub fn get(&self, upstream: &str, peer: &str) -> Slot {
        self.0.look_up(key(upstream, peer))
    }

    /// Notes that a peer which came while the process runs has gone. What is known of it stays until its slot is needed, in
    /// case it comes back.
    pub fn retire(&self, upstream: &str, peer: &str, now: u64) {
        let key = key(upstream, peer);
        self.0.known().remove(&key);
        if let Some(words) = self.0.chunks.iter().find_map(|c| c.find(key)) {
            words[RETIRED].store(now.max(1), Relaxed);
        }
    }

    /// How many plans these slots were opened for, the present one included.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Whether anything may be wrong with any peer: one load. While it is `false`, every slot's standing is open.
    #[inline]
    pub fn troubled(&self) -> bool {
        self.0.common.troubled()
    }

    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.0.chunks.len()
    }

    /// Finds out whether there is trouble still. Whoever has a clock calls it now and then.
    pub fn settle(&self) {
        let inner = &*self.0;
        if inner.common.troubled() {
            inner.common.settle(|| inner.slots().any(|s| s.in_trouble()));
        }
    }

    /// A worker has died without taking its notes back.
    pub fn bury(&self, pid: u32) {
        self.0.slots().for_each(|slot| {
            slot.note_connections(pid, 0);
            slot.release(pid);
        });
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        // What a panicking thread left here is whole: a map entry is made in one go.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.chunks.iter().flat_map(Chunk::all).map(|words| Slot::new(words, &self.common))
    }

    fn look_up(&self, key: Key) -> Slot {
        let mut known = self.known();
        if let Some(slot) = known.get(&key) {
            return slot.clone();
        }
        let chunks = || self.chunks.iter();
        let words = chunks()
            .find_map(|c| c.find(key))
            .or_else(|| chunks().find_map(|c| c.take(key, false)))
            .or_else(|| chunks().find_map(|c| c.take(key, true)));
        if let Some(words) = &words {
            words[SEEN].store(self.generation, Relaxed);
            words[RETIRED].store(0, Relaxed);
        }
        let slot = words.map_or_else(|| self.lone(), |words| Slot::new(words, &self.common));
        known.insert(key, slot.clone());
        slot
    }

    /// What peers of older plans leave behind.
    fn forget(&self, keys: &HashSet<Key>) {
        let mine = |w: &SharedWords| keys.contains(&[w[KEY].load(Relaxed), w[KEY + 1].load(Relaxed)]);
        for words in self.chunks.iter().flat_map(Chunk::all).filter(|w| !mine(w)) {
            let gone = self.generation.saturating_sub(words[SEEN].load(Relaxed));
            if gone >= FORGOTTEN {
                Slot::new(words.clone(), &self.common).clear();
            }
            if gone >= FREE {
                words[KEY].store(0, Relaxed);
            }
        }
    }

    /// A slot in memory of its own, which others cannot look through when they ask whether there is trouble.
    fn lone(&self) -> Slot {
        self.common.mark(ALWAYS);
        Slot::new(SharedWords::alone(WORDS), &self.common)
    }
}

impl Common {
    const TROUBLED: usize = 0;
    const SESSIONS: usize = 8;

    fn new() -> io::Result<Self> {
        let words = Self::SESSIONS + sessions::WORDS;
        let memory = Arc::new(SharedMemory::new(words)?);
        Ok(Self { memory: SharedWords::new(&memory, 0..words).ok_or(io::ErrorKind::OutOfMemory)? })
    }

    #[inline]
    fn troubled(&self) -> bool {
        self.memory.first().is_some_and(|w| w.load(Relaxed) != 0)
    }

    /// Called after a slot was marked.
    pub(super) fn trouble(&self) {
        self.mark(SOME);
    }

    fn mark(&self, bits: u64) {
        if let Some(word) = self.memory.get(Self::TROUBLED) {
            word.fetch_or(bits, SeqCst);
        }
    }

    /// Takes the mark back if no slot needs it. A slot that is marked meanwhile is either seen by the second look or sets
    /// the mark after it.
    fn settle(&self, any: impl Fn() -> bool) {
        if any() {
            return self.trouble();
        }
        if let Some(word) = self.memory.get(Self::TROUBLED) {
            word.fetch_and(!SOME, SeqCst);
        }
        if any() {
            self.trouble();
        }
    }

    pub(super) fn sessions(&self) -> &[AtomicU64] {
        self.memory.get(Self::SESSIONS..).unwrap_or_default()
    }
}

impl Chunk {
    fn new(slots: usize) -> io::Result<Self> {
        Ok(Self { memory: Arc::new(SharedMemory::new(CHUNK_HEAD + slots * WORDS)?), slots })
    }

    fn taken(&self) -> usize {
        self.memory.get(TAKEN).map_or(0, |w| w.load(Acquire) as usize).min(self.slots)
    }

    fn free(&self) -> usize {
        let freed = self.all().filter(|w| w[KEY].load(Relaxed) == 0).count();
        self.slots - self.taken() + freed
    }

    fn words(&self, ix: usize) -> Option<SharedWords> {
        let at = CHUNK_HEAD + ix * WORDS;
        SharedWords::new(&self.memory, at..at + WORDS)
    }

    fn all(&self) -> impl Iterator<Item = SharedWords> + '_ {
        (0..self.taken()).filter_map(|ix| self.words(ix))
    }

    fn find(&self, key: Key) -> Option<SharedWords> {
        let at = (0..self.taken()).find(|ix| {
            let at = CHUNK_HEAD + ix * WORDS + KEY;
            self.memory.get(at..at + 2).is_some_and(|w| [w[0].load(Relaxed), w[1].load(Relaxed)] == key)
        })?;
        self.words(at)
    }

    /// A slot for `key`, under the chunk's lock: two processes may want the same peer at once. With `evict` it is that of
    /// the peer that has been gone for longest.
    fn take(&self, key: Key, evict: bool) -> Option<SharedWords> {
        let lock = self.memory.get(LOCK)?;
        let mut looks = 0;
        while lock.compare_exchange(0, 1, Acquire, Relaxed).is_err() && looks < PATIENCE {
            looks += 1;
            std::thread::yield_now();
        }
        let words = self.find(key).or_else(|| self.room(evict)).inspect(|words| {
            words[KEY + 1].store(key[1], Relaxed);
            words[KEY].store(key[0], Release);
        });
        lock.store(0, Release);
        words
    }

    fn room(&self, evict: bool) -> Option<SharedWords> {
        if evict {
            let gone = self.all().filter(|w| w[RETIRED].load(Relaxed) != 0);
            let words = gone.min_by_key(|w| w[RETIRED].load(Relaxed))?;
            words[..SEEN].iter().for_each(|w| w.store(0, Relaxed));
            return Some(words);
        }
        if let Some(freed) = self.all().find(|w| w[KEY].load(Relaxed) == 0) {
            return Some(freed);
        }
        let ix = self.taken();
        let words = self.words(ix).filter(|_| ix < self.slots)?;
        self.memory.get(TAKEN)?.store(ix as u64 + 1, Release);
        Some(words)
    }
}
