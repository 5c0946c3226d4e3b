//! The one verdict on a peer, which every balancer and every kind of stickiness obeys.

use super::state::PeerState;
use crate::zone::Standing;

/// Whether a peer can take a request now, and if not, why: of several reasons the first of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `down` of the configuration, or the operator's word: a drain whose deadline is over.
    Down,
    /// Its health check says so.
    Unhealthy,
    /// `max_fails` within `fail_timeout`.
    Failed,
    /// `max_conns` are there.
    Full,
    /// It takes requests of its own sessions: `drain`, the operator's word, or its own answer to the health check.
    Draining,
    Usable,
}

impl Verdict {
    /// It can take a request: `own`: one of its own sessions.
    #[inline]
    pub fn admits(self, own: bool) -> bool {
        match self {
            Self::Usable => true,
            Self::Draining => own,
            _ => false,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Unhealthy => "unhealthy",
            Self::Failed => "failed",
            Self::Full => "full",
            Self::Draining => "draining",
            Self::Usable => "up",
        }
    }
}

impl PeerState {
    /// `troubled`: the slot must be asked ([`super::Shared::troubled`]). `now` is in seconds.
    #[inline]
    pub(super) fn verdict(&self, now: i64, troubled: bool) -> Verdict {
        let said = self.configured();
        let said = if troubled { worse(said, self.ordered(now)) } else { said };
        match said {
            Some(v @ (Verdict::Down | Verdict::Unhealthy)) => v,
            _ if self.failed(now) => Verdict::Failed,
            _ if self.full() => Verdict::Full,
            Some(v) => v,
            None => Verdict::Usable,
        }
    }

    /// What the configuration says.
    #[inline]
    pub(super) fn configured(&self) -> Option<Verdict> {
        match (self.down, self.drain) {
            (true, _) => Some(Verdict::Down),
            (false, true) => Some(Verdict::Draining),
            (false, false) => None,
        }
    }

    /// What operator and health check say.
    pub(super) fn ordered(&self, now: i64) -> Option<Verdict> {
        match self.slot.standing(u64::try_from(now).unwrap_or(0).saturating_mul(1000)) {
            Standing::Open => None,
            Standing::Draining => Some(Verdict::Draining),
            Standing::Unhealthy => Some(Verdict::Unhealthy),
            Standing::Down => Some(Verdict::Down),
        }
    }
}

/// Of two words about a peer the one that weighs more.
fn worse(a: Option<Verdict>, b: Option<Verdict>) -> Option<Verdict> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.weight() > a.weight() { b } else { a }),
        (a, b) => a.or(b),
    }
}

impl Verdict {
    fn weight(self) -> u8 {
        match self {
            Self::Down => 2,
            Self::Unhealthy => 1,
            _ => 0,
        }
    }
}
