//! How many sessions still come to a peer that drains. While it drains only, it has a sketch: cells that each keep when a
//! session of theirs was last seen. The number of cells that were seen lately gives the number of sessions (linear
//! counting), within some percent; a few sessions are counted exactly, which is when it matters. Beyond what the cells can
//! tell, a second set of cells, which one session in 64 comes to, goes on.

use std::sync::atomic::{AtomicU64, Ordering::*};

/// Cells of a set. A word holds two: seconds since 1970 each.
const CELLS: usize = 1024;
const SET: usize = CELLS / 2;
const SKETCH: usize = 2 * SET;
/// How many peers may drain with their sessions counted.
const SKETCHES: usize = 64;
/// A word that says which sketches are taken, on a line of its own.
const HEAD: usize = 8;

pub(super) const WORDS: usize = HEAD + SKETCHES * SKETCH;

/// A sketch of one's own, emptied: its number; 0: there is none.
pub(super) fn take(memory: &[AtomicU64]) -> u64 {
    let Some(head) = memory.first() else { return 0 };
    let free = |seen: u64| (seen != u64::MAX).then(|| seen | 1 << seen.trailing_ones());
    let Ok(before) = head.fetch_update(AcqRel, Relaxed, free) else { return 0 };
    let number = u64::from(before.trailing_ones()) + 1;
    for word in sketch(memory, number).unwrap_or_default() {
        word.store(0, Relaxed);
    }
    number
}

pub(super) fn give_back(memory: &[AtomicU64], number: u64) {
    if let Some(head) = memory.first()
        && (1..=SKETCHES as u64).contains(&number)
    {
        head.fetch_and(!(1 << (number - 1)), AcqRel);
    }
}

fn sketch(memory: &[AtomicU64], number: u64) -> Option<&[AtomicU64]> {
    let at = HEAD + usize::try_from(number).ok()?.checked_sub(1)? * SKETCH;
    memory.get(at..at + SKETCH)
}

/// A session was seen.
pub(super) fn note(memory: &[AtomicU64], number: u64, session: u64, now: u64) {
    let Some(sketch) = sketch(memory, number) else { return };
    let hash = mix(session);
    let cell = hash as usize % CELLS;
    mark(&sketch[..SET], cell, now);
    if hash >> 58 == 0 {
        mark(&sketch[SET..], (hash >> 20) as usize % CELLS, now);
    }
}

fn mark(set: &[AtomicU64], cell: usize, now: u64) {
    let Some(word) = set.get(cell / 2) else { return };
    let shift = cell % 2 * 32;
    let seconds = (now / 1000) & 0xffff_ffff;
    let seen = word.load(Relaxed);
    let next = seen & !(0xffff_ffff << shift) | seconds << shift;
    if next != seen {
        // The cell beside it may be marked at the same time.
        let _ = word
            .fetch_update(Relaxed, Relaxed, |seen| Some(seen & !(0xffff_ffff << shift) | seconds << shift));
    }
}

/// About how many sessions were seen in the last `window` milliseconds; `None`: there is no such sketch.
pub(super) fn count(memory: &[AtomicU64], number: u64, window: u64, now: u64) -> Option<u64> {
    let sketch = sketch(memory, number)?;
    let since = now.saturating_sub(window) / 1000;
    let hit = |set: &[AtomicU64]| {
        let cells = set.iter().map(|w| w.load(Relaxed)).flat_map(|w| [w & 0xffff_ffff, w >> 32]);
        cells.filter(|seconds| *seconds != 0 && *seconds >= since).count()
    };
    let (near, far) = (hit(&sketch[..SET]), hit(&sketch[SET..]));
    let full = CELLS * 15 / 16;
    Some(if near < full { linear(near) } else { 64 * linear(far.min(CELLS - 1)) })
}

/// How many sessions hit so many of the cells, most likely.
fn linear(hit: usize) -> u64 {
    let (cells, hit) = (CELLS as f64, hit as f64);
    (-cells * (1.0 - hit / cells).ln()).round() as u64
}

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
