//! Sessions that are remembered (`ssl_session_cache`): memory that the threads share, and after a reload the next worker.
//!
//! A zone is rows of places; a session has a row by its id and takes the place of the row that is free or oldest. A row is
//! taken for a moment at a time; what cannot have it at once does without.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::server::StoresServerSessions;
use sha2::{Digest as _, Sha256};

use crate::rt;
use crate::sys::SharedMemory;

/// Words of a place: the key (4), when it ends (1), its length (1), the session.
const PLACE: usize = 64;
const HEAD: usize = 6;
/// The longest session, in bytes. One with a client's certificate may be longer, and is not kept.
const LONGEST: usize = (PLACE - HEAD) * 8;
/// Places of a row.
const PLACES: usize = 4;
/// A lock and places.
const ROW: usize = 1 + PLACES * PLACE;
/// How often a taken row is asked for before the session is given up.
const TRIES: u32 = 1000;

/// The memory of a cache.
#[derive(Debug)]
pub struct Zone {
    bytes: usize,
    rows: usize,
    memory: OnceLock<Option<Arc<SharedMemory>>>,
}

impl Zone {
    /// For `bytes` of memory, of which none is taken yet.
    pub fn new(bytes: usize) -> Self {
        Self { bytes, rows: (bytes / 8 / ROW).max(1), memory: OnceLock::new() }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Goes on with the memory of another one; before it is used.
    pub fn adopt(&self, other: &Self) {
        if let Some(memory) = other.memory.get().filter(|_| other.rows == self.rows) {
            // Who has some already keeps it.
            let _ = self.memory.set(memory.clone());
        }
    }

    /// Takes the memory, which a process shares with those it forks from then on.
    pub fn begin(&self) {
        self.memory();
    }

    fn memory(&self) -> Option<&SharedMemory> {
        self.memory.get_or_init(|| SharedMemory::new(self.rows * ROW).ok().map(Arc::new)).as_deref()
    }

    fn with<T>(&self, key: &[u64; 4], run: impl FnOnce(&[AtomicU64]) -> Option<T>) -> Option<T> {
        let row = usize::try_from(key[3] % self.rows as u64).ok()?;
        let words = self.memory()?.get(row * ROW..(row + 1) * ROW)?;
        let (lock, places) = words.split_first()?;
        let mut tries = 0;
        // Whoever dies with a lock in hand leaves it: after that time it is nobody's.
        let now = rt::clock::unix_secs().max(1);
        loop {
            let held = lock.load(Ordering::Relaxed);
            let free = held == 0 || now.saturating_sub(held) > 5;
            if free && lock.compare_exchange(held, now, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                break;
            }
            tries += 1;
            if tries > TRIES {
                return None;
            }
            std::hint::spin_loop();
        }
        let found = run(places);
        lock.store(0, Ordering::Release);
        found
    }

    fn put(&self, key: &[u64; 4], session: &[u8], now: u64, ends: u64) -> bool {
        if session.len() > LONGEST {
            return false;
        }
        self.with(key, |places| {
            let rank = |place: &&[AtomicU64]| {
                let end = place[4].load(Ordering::Relaxed);
                if is(place, key) || end <= now { 0 } else { end }
            };
            let place = places.chunks_exact(PLACE).min_by_key(rank)?;
            for (word, value) in place.iter().zip(key) {
                word.store(*value, Ordering::Relaxed);
            }
            place[4].store(ends, Ordering::Relaxed);
            place[5].store(session.len() as u64, Ordering::Relaxed);
            for (word, bytes) in place[HEAD..].iter().zip(session.chunks(8)) {
                let mut eight = [0; 8];
                eight[..bytes.len()].copy_from_slice(bytes);
                word.store(u64::from_ne_bytes(eight), Ordering::Relaxed);
            }
            Some(())
        })
        .is_some()
    }

    fn get(&self, key: &[u64; 4], now: u64, take: bool) -> Option<Vec<u8>> {
        self.with(key, |places| {
            let place = places.chunks_exact(PLACE).find(|p| is(p, key))?;
            if place[4].load(Ordering::Relaxed) <= now {
                return None;
            }
            if take {
                place[4].store(0, Ordering::Relaxed);
            }
            let len = usize::try_from(place[5].load(Ordering::Relaxed)).ok()?;
            let words = place.get(HEAD..HEAD + len.div_ceil(8))?;
            let mut session: Vec<u8> =
                words.iter().flat_map(|w| w.load(Ordering::Relaxed).to_ne_bytes()).collect();
            session.truncate(len);
            Some(session)
        })
    }
}

fn is(place: &[AtomicU64], key: &[u64; 4]) -> bool {
    place.iter().zip(key).all(|(word, value)| word.load(Ordering::Relaxed) == *value)
}

/// The sessions of a server block.
#[derive(Debug)]
pub struct Sessions {
    pub zone: Arc<Zone>,
    /// What its sessions are good for.
    pub context: [u8; 32],
    /// Seconds (`ssl_session_timeout`).
    pub lifetime: u32,
}

impl Sessions {
    fn key(&self, id: &[u8]) -> [u64; 4] {
        let digest: [u8; 32] = Sha256::new().chain_update(self.context).chain_update(id).finalize().into();
        let mut key = [0; 4];
        for (word, bytes) in key.iter_mut().zip(digest.chunks_exact(8)) {
            *word = bytes.try_into().map_or(0, u64::from_ne_bytes);
        }
        key
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        let now = rt::clock::unix_secs();
        self.zone.put(&self.key(&id), &session, now, now + u64::from(self.lifetime))
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.zone.get(&self.key(id), rt::clock::unix_secs(), false)
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.zone.get(&self.key(id), rt::clock::unix_secs(), true)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_found_until_they_end() {
        let zone = Zone::new(32 << 10);
        let key = [1, 2, 3, 4];
        let long: Vec<u8> = (0..LONGEST).map(|n| n as u8).collect();
        for session in [&b"short"[..], &long, b""] {
            assert!(zone.put(&key, session, 10, 20));
            assert_eq!(zone.get(&key, 19, false).as_deref(), Some(session));
            assert_eq!(zone.get(&key, 20, false), None);
        }
        assert!(!zone.put(&key, &[0; LONGEST + 1], 10, 20));
        assert_eq!(zone.get(&[1, 2, 3, 5], 10, false), None);
        assert!(zone.get(&key, 10, true).is_some());
        assert_eq!(zone.get(&key, 10, true), None, "it was taken");
    }

    #[test]
    fn the_oldest_of_a_full_row_leaves() {
        let zone = Zone::new(1);
        for n in 0..=PLACES as u64 {
            assert!(zone.put(&[n, 0, 0, 0], &n.to_ne_bytes(), 1, 100 + n));
        }
        assert_eq!(zone.get(&[0; 4], 1, false), None);
        for n in 1..=PLACES as u64 {
            assert_eq!(zone.get(&[n, 0, 0, 0], 1, false), Some(n.to_ne_bytes().to_vec()));
        }
    }

    #[test]
    fn the_next_one_goes_on_with_the_memory() {
        let (old, new, other) = (Zone::new(64 << 10), Zone::new(64 << 10), Zone::new(32 << 10));
        assert!(old.put(&[7; 4], b"session", 1, 100));
        new.adopt(&old);
        other.adopt(&old);
        assert!(new.get(&[7; 4], 1, false).is_some());
        assert!(other.get(&[7; 4], 1, false).is_none(), "another size is another zone");
    }

    #[test]
    fn threads_share_a_zone() {
        let zone = Zone::new(32 << 10);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let zone = &zone;
                scope.spawn(move || {
                    for n in 0..2000 {
                        let key = [thread, n % 50, 0, n % 50];
                        zone.put(&key, &[thread as u8; 100], 1, 100);
                        if let Some(session) = zone.get(&key, 1, false) {
                            assert_eq!(session, [thread as u8; 100]);
                        }
                    }
                });
            }
        });
    }
}
