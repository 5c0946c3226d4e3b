//! What the store was not told yet: a note a session, the oldest leaving first when there are too many.

use std::collections::{HashMap, VecDeque};

use super::handle::{Kind, Write};
use crate::sticky::{Key, Sid};

#[derive(Debug, Default)]
pub(super) struct Dirty {
    notes: HashMap<Key, (Kind, Sid)>,
    /// The keys in the order in which they came; one whose note is gone is passed over.
    order: VecDeque<Key>,
    /// Notes that had to go.
    dropped: u64,
}

impl Dirty {
    /// Sessions whose note is kept. Each takes about 100 bytes.
    pub(super) const MOST: usize = 100_000;

    pub(super) fn len(&self) -> usize {
        self.notes.len()
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.notes.contains_key(&key)
    }

    /// Of two notes the newer value holds, and the heavier kind.
    pub(super) fn add(&mut self, write: Write) {
        let Write { key, sid, kind } = write;
        if let Some((was, value)) = self.notes.get_mut(&key) {
            *was = match (kind, *was) {
                (Kind::Forget, _) => Kind::Forget,
                (_, Kind::Forget) => Kind::Put,
                _ if *value != sid => Kind::Put,
                (kind, was) => kind.max(was),
            };
            *value = sid;
            return;
        }
        self.notes.insert(key, (kind, sid));
        self.order.push_back(key);
        while self.notes.len() > Self::MOST {
            let Some(oldest) = self.order.pop_front() else { break };
            self.dropped += u64::from(self.notes.remove(&oldest).is_some());
        }
    }

    /// What could not be told comes back, unless there is news of the session.
    pub(super) fn give_back(&mut self, writes: Vec<Write>) {
        for write in writes.into_iter().rev() {
            if self.notes.len() >= Self::MOST {
                self.dropped += 1;
            } else if let std::collections::hash_map::Entry::Vacant(place) = self.notes.entry(write.key) {
                place.insert((write.kind, write.sid));
                self.order.push_front(write.key);
            } else if let Some((kind, _)) = self.notes.get_mut(&write.key)
                && write.kind != Kind::Forget
            {
                *kind = write.kind.max(*kind);
            }
        }
    }

    /// Up to `n` notes, the oldest first.
    pub(super) fn take(&mut self, n: usize) -> Vec<Write> {
        let mut taken = Vec::new();
        while taken.len() < n
            && let Some(key) = self.order.pop_front()
        {
            taken.extend(self.notes.remove(&key).map(|(kind, sid)| Write { key, sid, kind }));
        }
        taken
    }

    /// How many notes had to go since this was asked last.
    pub(super) fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}
