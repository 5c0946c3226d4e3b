//! One request's way through the peers.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

use smallvec::{SmallVec, smallvec};

use super::decide::{Decider, View};
use super::least_time::{Metric, Times};
use super::state::{Local, Pins, Rule, Shared, Weights};
use super::verdict::Verdict;
use crate::plan::PeerId;
use crate::zone::Slot;

/// What a request brings to the choice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The peer that `sticky` says the request belongs to.
    pub pin: Option<PeerId>,
    /// `pin` is a wish: no session depends on it.
    pub soft: bool,
    /// The backup that it belongs to once backups are due, when that is another one.
    pub backup_pin: Option<PeerId>,
    /// The client's address after realip; `None`: a unix socket.
    pub client: Option<IpAddr>,
    /// [`Shared::key`] evaluated; empty when there is none.
    pub key: &'a [u8],
    /// Any number, a new one each time; used by `random` alone.
    pub seed: u64,
    /// `sticky_no_fallback` in the location: the pinned peer or none.
    pub strict: bool,
    /// `proxy_next_upstream_tries`; 0: as many as there are peers.
    pub max_tries: u32,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The peer answered, or it was not the peer's fault.
    Done,
    /// 403 or 404 with `proxy_next_upstream`: another peer is asked, this one is well.
    Next,
    /// It counts against the peer.
    Failed,
}

/// Why there is no peer: nginx's 502 both times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPeer {
    /// `no live upstreams`
    NoLive,
    /// `fallback=off`, and the session's own peer cannot be used.
    PinnedAway,
}

/// One request's choices. Dropped in mid-exchange it gives its connection back.
#[derive(Debug)]
pub struct Selection<'s> {
    shared: &'s Shared,
    local: &'s Local,
    decider: Decider,
    pin: Option<usize>,
    backup_pin: Option<usize>,
    /// A bit a peer.
    tried: SmallVec<[u64; 1]>,
    /// Backups' turn.
    backup: bool,
    /// With a pin there is no other peer.
    strict: bool,
    tries: u32,
    current: Option<usize>,
    /// When the attempt began, where requests under way count; milliseconds.
    waiting: Option<u64>,
    pin_verdict: Option<Verdict>,
}

impl<'s> Selection<'s> {
    pub fn start(shared: &'s Shared, local: &'s Local, request: &Request<'_>) -> Self {
        let all = shared.tries();
        Self {
            decider: Decider::new(shared, request.client, request.key, request.seed),
            pin: request.pin.map(PeerId::ix).filter(|ix| *ix < shared.len()),
            backup_pin: request.backup_pin.map(PeerId::ix).filter(|ix| *ix < shared.len()),
            tried: smallvec![0; shared.len().div_ceil(64).max(1)],
            backup: false,
            strict: request.pin.is_some()
                && !request.soft
                && match shared.pins {
                    Pins::Strict => true,
                    Pins::Prefer => request.strict,
                    Pins::Weigh => false,
                },
            tries: if request.max_tries == 0 { all } else { all.min(request.max_tries) },
            current: None,
            waiting: None,
            pin_verdict: None,
            shared,
            local,
        }
    }

    /// The peer of the next attempt; its connection is counted until [`Self::finish`].
    pub fn next(&mut self, now: i64) -> Result<PeerId, NoPeer> {
        self.next_at(now.saturating_mul(1000))
    }

    /// The same; `ms` is the time in milliseconds.
    pub fn next_at(&mut self, ms: i64) -> Result<PeerId, NoPeer> {
        let now = secs(ms);
        debug_assert!(self.current.is_none(), "an attempt is finished before the next");
        self.give_back();
        loop {
            let ix = self.choose(ms)?;
            if !self.shared.state(ix).acquire() {
                // Another thread took the last connection: now it is full for this one too.
                continue;
            }
            self.tried[ix / 64] |= 1 << (ix % 64);
            let peer = self.shared.state(ix);
            if now - peer.checked.load(Relaxed) > peer.fail_timeout {
                peer.checked.store(now, Relaxed);
            }
            self.current = Some(ix);
            if let Rule::LeastTime { inflight: true, .. } = self.shared.rule
                && let Some(pace) = self.shared.paces.get(ix)
            {
                pace.begin(ms.unsigned_abs());
                self.waiting = Some(ms.unsigned_abs());
            }
            return Ok(PeerId(ix as u32));
        }
    }

    /// What the verdict on the session's own peer was when it was last looked at; `None`: the request has none. It can be
    /// usable, and the request still go elsewhere, when the peer was asked and failed.
    pub fn pin_verdict(&self) -> Option<Verdict> {
        self.pin_verdict
    }

    /// The slot of the peer at hand when it drains and the request is of its own session.
    pub fn draining(&self) -> Option<&'s Slot> {
        match self.pin_verdict {
            Some(Verdict::Draining) if self.current == self.pin => {
                Some(&self.shared.state(self.current?).slot)
            }
            _ => None,
        }
    }

    /// The peer of the attempt that is going on.
    pub fn current(&self) -> Option<PeerId> {
        self.current.map(|ix| PeerId(ix as u32))
    }

    /// How many attempts are left; nginx passes on to the next peer while it is not 0.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Another attempt than was counted (nginx gives one for a kept connection that was closed).
    pub fn grant(&mut self) {
        self.tries = self.tries.saturating_add(1);
    }

    /// Ends the attempt. `true`: the peer has now failed often enough to be left alone for `fail_timeout`.
    pub fn finish(&mut self, outcome: Outcome, now: i64) -> bool {
        self.finish_at(outcome, now.saturating_mul(1000), None)
    }

    /// The head of the answer came after so many milliseconds. Of use where `least_time header inflight` is.
    pub fn head(&mut self, time: u64) {
        if let Rule::LeastTime { metric: Metric::Header, inflight: true } = self.shared.rule
            && let Some(pace) = self.current.and_then(|ix| self.shared.paces.get(ix))
        {
            pace.header(time);
            if let Some(began) = self.waiting.take() {
                pace.end(began);
            }
        }
    }

    /// [`Self::finish`] at a time in milliseconds. `times` are those of an exchange that got an answer.
    pub fn finish_at(&mut self, outcome: Outcome, ms: i64, times: Option<Times>) -> bool {
        let now = secs(ms);
        let Some(ix) = self.current else { return false };
        if let (Outcome::Done, Some(times), Some(pace)) = (outcome, times, self.shared.paces.get(ix)) {
            // Only answers count: who fails fast is not fast.
            pace.response(times.response);
            let noted =
                matches!(self.shared.rule, Rule::LeastTime { metric: Metric::Header, inflight: true });
            if !noted {
                pace.header(times.header);
            }
        }
        let peer = self.shared.state(ix);
        let mut disabled = false;
        if self.shared.single() {
            peer.fails.store(0, Relaxed);
            self.tries = 0;
        } else {
            if outcome == Outcome::Failed {
                let fails = peer.fails.fetch_add(1, Relaxed) + 1;
                peer.accessed.store(now, Relaxed);
                peer.checked.store(now, Relaxed);
                if peer.max_fails != 0 {
                    let w = self.local.get(ix);
                    let effective = (w.effective - peer.weight / i64::from(peer.max_fails)).max(0);
                    self.local.set(ix, Weights { effective, ..w });
                    disabled = fails >= peer.max_fails;
                }
            } else if peer.accessed.load(Relaxed) < peer.checked.load(Relaxed)
                && peer.fails.load(Relaxed) != 0
            {
                // It was let out again after its time and has passed.
                let fails = peer.fails.swap(0, Relaxed);
                if peer.max_fails != 0
                    && fails >= peer.max_fails
                    && let Some(slow) = self.shared.slow.get(ix)
                {
                    slow.back(ms);
                }
            }
            self.tries = self.tries.saturating_sub(1);
            if self.strict {
                self.tries = 0;
            }
        }
        self.give_back();
        disabled
    }

    fn view(&self, ms: i64) -> View<'_> {
        view(self.shared, self.local, self.backup, &self.tried, ms)
    }

    fn choose(&mut self, ms: i64) -> Result<usize, NoPeer> {
        if let Some(ix) = self.pin {
            let view = self.view(ms);
            if !view.tried(ix) {
                self.pin_verdict = Some(view.verdict(ix));
            }
        }
        if let Some(ix) = self.pin
            && self.shared.pins != Pins::Weigh
        {
            if self.view(ms).usable_pinned(ix) {
                return Ok(ix);
            }
            if self.strict {
                return Err(NoPeer::PinnedAway);
            }
        }
        if let Some(ix) = self.choose_in_group(ms, false) {
            return Ok(ix);
        }
        if !self.backup && !self.shared.group(true).range.is_empty() {
            self.backup = true;
            return self.choose_in_group(ms, true).ok_or(NoPeer::NoLive);
        }
        Err(NoPeer::NoLive)
    }

    /// `turn`: the backups' turn has just come. nginx leaves this choice to the round where a hash or chance decides
    /// otherwise.
    fn choose_in_group(&mut self, ms: i64, turn: bool) -> Option<usize> {
        let Self { shared, local, decider, pin, backup_pin, tried, backup, .. } = self;
        let (shared, local) = (*shared, *local);
        let view = view(shared, local, *backup, tried, ms);
        let pin = if *backup { backup_pin.or(*pin) } else { *pin };
        let pin = pin.filter(|ix| {
            shared.pins == Pins::Weigh && shared.is_backup(*ix) == *backup && view.usable_pinned(*ix)
        });
        if shared.single() {
            // Failures do not count, and nothing is asked about earlier attempts: there is no other peer.
            return view.verdict(0).admits(pin.is_some()).then_some(0);
        }
        let Some(ix) = pin else {
            return if turn && decider.is_blind() {
                view.weighted(view.range(), None)
            } else {
                decider.choose(&view)
            };
        };
        if let Decider::RoundRobin = decider {
            // One pinned request in a row is paid for; a flood of them must not starve the peer of new sessions.
            let low = shared.state(ix).weight.unsigned_abs().abs_diff(shared.group(*backup).total_weight);
            let low = low.saturating_mul(view.unit());
            if local.get(ix).current > -i64::try_from(low).unwrap_or(i64::MAX) {
                return view.weighted(view.range(), Some(ix));
            }
        }
        Some(ix)
    }

    fn give_back(&mut self) {
        if let Some(ix) = self.current.take() {
            self.shared.state(ix).release();
            if let (Some(began), Some(pace)) = (self.waiting.take(), self.shared.paces.get(ix)) {
                pace.end(began);
            }
        }
    }
}

fn view<'v>(shared: &'v Shared, local: &'v Local, backup: bool, tried: &'v [u64], ms: i64) -> View<'v> {
    View { shared, local, backup, tried, now: secs(ms), ms, troubled: shared.troubled() }
}

fn secs(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

impl Drop for Selection<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}
