//! What names were found to mean, as long as that holds.

use std::collections::HashMap;
use std::rc::Rc;

use super::query::Meaning;

/// Names kept by a thread for one `resolver` directive.
const MOST: usize = 8192;
/// Seconds for which a name is kept after it was last asked for.
const UNUSED: i64 = 30;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Addresses,
    Service,
}

/// A question: the name is in lower case.
pub(super) type Key = (Asked, Box<[u8]>);

#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) meaning: Rc<Meaning>,
    /// The last second at which it holds.
    pub(super) valid: i64,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    /// When it is forgotten although it holds: nobody asks for it.
    unused: i64,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
    /// When unused names were last looked for.
    swept: i64,
}

impl Cache {
    pub(super) fn get(&mut self, key: &Key, now: i64) -> Option<Known> {
        let entry = self.entries.get_mut(key).filter(|e| e.known.valid >= now)?;
        entry.unused = now + UNUSED;
        Some(entry.known.clone())
    }

    pub(super) fn put(&mut self, key: Key, known: Known, now: i64) {
        if now - self.swept >= UNUSED || self.entries.len() >= MOST {
            self.swept = now;
            self.entries.retain(|_, e| e.unused >= now && e.known.valid >= now);
        }
        if self.entries.len() >= MOST {
            // An eighth makes room at once, so that this is not done for every name of a flood.
            let mut ages: Vec<i64> = self.entries.values().map(|e| e.unused).collect();
            let (_, oldest, _) = ages.select_nth_unstable(MOST / 8);
            let oldest = *oldest;
            let mut spare = MOST / 8;
            self.entries.retain(|_, e| {
                let goes = spare > 0 && e.unused <= oldest;
                spare -= usize::from(goes);
                !goes
            });
        }
        self.entries.insert(key, Entry { known, unused: now + UNUSED });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
