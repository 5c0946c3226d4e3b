//! One peer's slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*, fence};

use super::arena::Common;
use super::sessions;
use crate::sys::SharedWords;

/// A slot is four lines: what the operator said, what the health check found, what is counted, whose it is.
pub(super) const WORDS: usize = 32;

const STATE: usize = 0;
const DEADLINE: usize = 1;
const SINCE: usize = 2;
const SESSIONS: usize = 3;
const ASKED_BY: usize = 4;

const COUNTS: usize = 8;
const CHECKED: usize = 9;
const CHANGED: usize = 10;
const PROBER: usize = 11;
const RESULT: usize = 12;

const SERVED: usize = 16;
/// Connections of up to so many workers: a process's number above, their count below.
const WORKERS: std::ops::Range<usize> = 17..21;

/// Bits of the state. The first four are trouble.
const DRAINING: u64 = 1;
const DOWN: u64 = 1 << 1;
const SICK: u64 = 1 << 2;
const LEAVING: u64 = 1 << 3;
const TROUBLE: u64 = DRAINING | DOWN | SICK | LEAVING;
/// A health check has found it up.
const WELL: u64 = 1 << 4;
/// The deadline was over, and nobody has said so yet.
const OVER: u64 = 1 << 5;
const HEALTH: u64 = SICK | LEAVING | WELL;

/// What the operator wants of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Active,
    /// It serves its own sessions only; at the deadline (milliseconds since 1970) it goes down.
    Draining {
        until: Option<u64>,
    },
    /// It serves nobody.
    Down,
}

/// What a peer's health check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// There is no check, or none has ended yet.
    Unchecked,
    Up,
    Down,
    /// The peer's own answer asks to be left alone by new sessions.
    Draining,
}

/// What is known of a peer's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub health: Health,
    /// Checks in a row that were passed, and failed.
    pub rise: u32,
    pub fall: u32,
    /// When the last check ended, and when the health last changed; 0: never.
    pub checked: u64,
    pub changed: u64,
    /// Whatever the checker noted of the last check (a status code, say).
    pub result: u64,
}

/// What operator and health check say of a peer together; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The operator's word: nobody.
    Down,
    /// The health check's: nobody.
    Unhealthy,
    /// Its own sessions only.
    Draining,
    Open,
}

/// A peer's place in the memory that all processes share.
#[derive(Debug, Clone)]
pub struct Slot {
    words: SharedWords,
    common: Arc<Common>,
}

/// The right to check a peer: 24 bits of the owner, 40 of the time in units of 64 milliseconds.
fn right(owner: u32, until: u64) -> u64 {
    (u64::from(owner) & 0xff_ffff) << 40 | until.div_ceil(64) & 0xff_ffff_ffff
}

impl Slot {
    pub(super) fn new(words: SharedWords, common: &Arc<Common>) -> Self {
        Self { words, common: common.clone() }
    }

    #[inline]
    fn word(&self, ix: usize) -> &AtomicU64 {
        &self.words[ix]
    }

    fn bits(&self) -> u64 {
        self.word(STATE).load(Relaxed)
    }

    /// What `balance` makes its verdict of; one load when nothing is set.
    #[inline]
    pub fn standing(&self, now: u64) -> Standing {
        let bits = self.bits();
        if bits & TROUBLE == 0 { Standing::Open } else { self.trouble(bits, now) }
    }

    #[cold]
    fn trouble(&self, bits: u64, now: u64) -> Standing {
        fence(Acquire);
        if bits & DOWN != 0 || bits & DRAINING != 0 && self.is_over(now) {
            Standing::Down
        } else if bits & SICK != 0 {
            Standing::Unhealthy
        } else {
            Standing::Draining
        }
    }

    fn is_over(&self, now: u64) -> bool {
        let deadline = self.word(DEADLINE).load(Relaxed);
        deadline != 0 && now >= deadline
    }

    pub(super) fn in_trouble(&self) -> bool {
        self.word(STATE).load(SeqCst) & TROUBLE != 0
    }

    /// What the operator said last, and when; 0: never.
    pub fn operator(&self, now: u64) -> (Operator, u64) {
        let bits = self.bits();
        fence(Acquire);
        let deadline = self.word(DEADLINE).load(Relaxed);
        let operator = match bits {
            b if b & DOWN != 0 || b & DRAINING != 0 && self.is_over(now) => Operator::Down,
            b if b & DRAINING != 0 => Operator::Draining { until: (deadline != 0).then_some(deadline) },
            _ => Operator::Active,
        };
        (operator, self.word(SINCE).load(Relaxed))
    }

    /// The deadline that was set, also once it is over.
    pub fn deadline(&self) -> Option<u64> {
        Some(self.word(DEADLINE).load(Relaxed)).filter(|d| *d != 0)
    }

    /// The operator's order. `who` is noted: a user's number.
    pub fn set_operator(&self, operator: Operator, who: u32, now: u64) {
        let (set, deadline) = match operator {
            Operator::Active => (0, 0),
            Operator::Draining { until } => (DRAINING, until.unwrap_or(0)),
            Operator::Down => (DOWN, 0),
        };
        self.word(DEADLINE).store(deadline, Relaxed);
        self.word(SINCE).store(now, Relaxed);
        self.word(ASKED_BY).store(u64::from(who), Relaxed);
        self.change(DRAINING | DOWN | OVER, set);
        self.count_if_needed();
    }

    /// The user who gave the last order.
    pub fn asked_by(&self) -> u32 {
        self.word(ASKED_BY).load(Relaxed) as u32
    }

    /// Takes the peer down when its deadline is over.
    pub fn expire(&self, now: u64) {
        let bits = self.bits();
        if bits & DRAINING == 0 {
            return;
        }
        fence(Acquire);
        if self.is_over(now) {
            let down = bits & !DRAINING | DOWN | OVER;
            let _ = self.word(STATE).compare_exchange(bits, down, SeqCst, Relaxed);
        }
    }

    /// Whether the peer has gone down by its deadline and this was not answered before.
    pub fn take_expired(&self) -> bool {
        self.bits() & OVER != 0 && self.word(STATE).fetch_and(!OVER, Relaxed) & OVER != 0
    }

    pub fn probe(&self) -> Probe {
        let counts = self.word(COUNTS).load(Relaxed);
        let health = match self.bits() {
            b if b & SICK != 0 => Health::Down,
            b if b & LEAVING != 0 => Health::Draining,
            b if b & WELL != 0 => Health::Up,
            _ => Health::Unchecked,
        };
        Probe {
            health,
            rise: (counts >> 32) as u32,
            fall: counts as u32,
            checked: self.word(CHECKED).load(Relaxed),
            changed: self.word(CHANGED).load(Relaxed),
            result: self.word(RESULT).load(Relaxed),
        }
    }

    /// What the health check makes of the peer; `true`: that is new.
    pub fn set_health(&self, health: Health, now: u64) -> bool {
        let set = match health {
            Health::Unchecked => 0,
            Health::Up => WELL,
            Health::Down => SICK,
            Health::Draining => LEAVING,
        };
        if self.bits() & HEALTH == set {
            return false;
        }
        self.word(CHANGED).store(now, Relaxed);
        self.change(HEALTH, set);
        self.count_if_needed();
        true
    }

    /// A peer of which nothing is known is down until its check has found it up.
    pub fn begin_down(&self, now: u64) {
        let seen = self.probe();
        if seen.health == Health::Unchecked && seen.checked == 0 {
            self.set_health(Health::Down, now);
        }
    }

    /// Notes a check that has ended, with the checks in a row passed and failed.
    pub fn note_check(&self, rise: u32, fall: u32, result: u64, now: u64) {
        self.word(COUNTS).store(u64::from(rise) << 32 | u64::from(fall), Relaxed);
        self.word(RESULT).store(result, Relaxed);
        self.word(CHECKED).store(now, Relaxed);
    }

    /// Whether the caller may check the peer: one process at a time does. Who has the right keeps it by asking again before
    /// `until`; who does not ask loses it then. `owner` is a process's number.
    pub fn claim(&self, owner: u32, now: u64, until: u64) -> bool {
        let mine = right(owner, until);
        let owner = mine >> 40;
        let free = |seen: u64| seen >> 40 == owner || seen & 0xff_ffff_ffff <= now / 64;
        self.word(PROBER).fetch_update(Relaxed, Relaxed, |seen| free(seen).then_some(mine)).is_ok()
    }

    /// Takes the right away from whoever has it.
    pub fn seize(&self, owner: u32, until: u64) {
        self.word(PROBER).store(right(owner, until), Relaxed);
    }

    /// Gives the right back.
    pub fn release(&self, owner: u32) {
        let owner = u64::from(owner) & 0xff_ffff;
        let _ = self.word(PROBER).fetch_update(Relaxed, Relaxed, |seen| (seen >> 40 == owner).then_some(0));
    }

    /// Notes a request of the peer's own session while it drains. `session` tells sessions apart: a hash of it.
    pub fn seen(&self, session: u64, now: u64) {
        self.word(SERVED).fetch_add(1, Relaxed);
        sessions::note(self.common.sessions(), self.word(SESSIONS).load(Relaxed), session, now);
    }

    /// Requests of its own sessions since it began to drain.
    pub fn served(&self) -> u64 {
        self.word(SERVED).load(Relaxed)
    }

    /// About how many sessions were seen in the last `window` milliseconds. `None`: they are not counted, because the peer
    /// does not drain or too many others do.
    pub fn sessions(&self, window: u64, now: u64) -> Option<u64> {
        sessions::count(self.common.sessions(), self.word(SESSIONS).load(Relaxed), window, now)
    }

    /// Notes how many connections to the peer the worker `pid` has; with 0 it takes its note back. A worker beyond the fourth
    /// notes nothing.
    pub fn note_connections(&self, pid: u32, count: u32) {
        let note = if count == 0 { 0 } else { u64::from(pid) << 32 | u64::from(count) };
        let cells = &self.words[WORKERS];
        if let Some(own) = cells.iter().find(|c| c.load(Relaxed) >> 32 == u64::from(pid)) {
            return own.store(note, Relaxed);
        }
        if note != 0 {
            let _ = cells.iter().find(|c| c.compare_exchange(0, note, Relaxed, Relaxed).is_ok());
        }
    }

    /// Connections to the peer that other workers than `pid` have noted.
    pub fn connections_elsewhere(&self, pid: u32) -> u32 {
        let notes = self.words[WORKERS].iter().map(|c| c.load(Relaxed)).filter(|n| n >> 32 != u64::from(pid));
        notes.fold(0, |sum, n| sum.saturating_add(n as u32))
    }

    /// Sessions are counted while anybody wants the peer to drain, and still when it is down after that.
    fn count_if_needed(&self) {
        if self.bits() & (DRAINING | DOWN | LEAVING) != 0 {
            self.count_sessions()
        } else {
            self.count_no_sessions()
        }
    }

    /// Counts sessions: also those of a peer that the configuration has draining.
    pub(super) fn count_sessions(&self) {
        if self.word(SESSIONS).load(Relaxed) == 0 {
            self.word(SERVED).store(0, Relaxed);
            self.word(SESSIONS).store(sessions::take(self.common.sessions()), Relaxed);
        }
    }

    fn count_no_sessions(&self) {
        sessions::give_back(self.common.sessions(), self.word(SESSIONS).swap(0, Relaxed));
    }

    fn change(&self, mask: u64, set: u64) {
        let _ = self.word(STATE).fetch_update(SeqCst, Relaxed, |bits| Some(bits & !mask | set));
        if set & TROUBLE != 0 {
            self.common.trouble();
        }
    }

    /// Nothing is known of the peer any more.
    pub(super) fn clear(&self) {
        self.count_no_sessions();
        self.change(u64::MAX, 0);
        for word in self.words.iter().take(WORDS - 4) {
            word.store(0, Relaxed);
        }
    }
}
