//! Owns: one exchange with a peer: connecting, the pool of idle connections, retries, the way of head and body there and back, upgraded tunnels.
//! May use: plan, vars, balance, sticky, wire, log, http, rt, sys.
//! Never touches: listening sockets, the choice of a location, the text of a configuration.

mod connect;
mod next;
mod pool;
mod rewrite;
mod spill;

pub use connect::{DialError, DialOptions, Dialled, dial};
pub use next::{Fault, Situation, is_non_idempotent};
pub use pool::{Life, Pool};
pub use spill::Spill;

#[cfg(test)]
mod tests;
