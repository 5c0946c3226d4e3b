//! Owns: what all processes know of a peer: what its operator and its health check say, and who still asks for it.
//! May use: plan; sys for memory that outlives a worker.
//! Never touches: the choice among peers (see `balance`), sockets, the clock (time is an argument: milliseconds since
//! 1970).
//!
//! A [`Slot`] is a peer's place in memory that the master maps before it forks. It is found by the names of upstream
//! and peer, so that the master, its worker, an old worker that drains and the worker after a reload or a crash all see
//! the same one. Counts of failures and connections are not here: they are a worker's own, as nginx's are.
//!
//! ```text
//! let slots = Slots::open(&plan, &previous)?;      // the master, before it forks
//! let slot = slots.get("backend", "10.0.0.1:80");  // at any time, in any process
//! slot.drain(Some(deadline), now);                 // the operator
//! slot.set_health(Health::Down, now);              // the health check
//! slots.troubled()                                 // one load: false, and no slot needs to be looked at
//! slot.standing(now)                               // what `balance` makes its verdict of
//! ```

mod arena;
mod sessions;
mod slot;

#[cfg(test)]
mod tests;

pub use arena::Slots;
pub use slot::{Health, Operator, Probe, Slot, Standing};
