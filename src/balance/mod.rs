//! Owns: which peer an attempt goes to: the balancers, failure windows, connection counts, tries.
//! May use: plan, vars, zone.
//! Never touches: sockets, the clock (time is an argument), cookies.
//!
//! [`Shared`] is one upstream's state for the whole worker process, [`Local`] one thread's weights, [`Selection`] one
//! request's way through the peers:
//!
//! ```text
//! let mut selection = Selection::start(&shared, &local, &Request { pin, client, key, .. });
//! loop {
//!     let peer = selection.next(now)?;            // Err: "no live upstreams", 502
//!     … exchange …
//!     selection.finish(Outcome::Failed, now);     // true: log "upstream server temporarily disabled"
//!     if selection.tries() == 0 { … }             // no more attempts
//! }
//! ```
//!
//! A connection kept from before that turns out closed is no failure of the peer: connect anew without `finish`.

mod chash;
mod decide;
mod least_time;
mod ring;
mod selection;
mod slow;
mod state;
mod verdict;

#[cfg(test)]
mod tests;

pub use least_time::Times;
pub use selection::{NoPeer, Outcome, Request, Selection};
pub use state::{Local, PeerView, Shared};
pub use verdict::Verdict;
