//! Owns: one exchange with a peer: connecting, the pool of idle connections, retries, the way of head and body there and back, upgraded tunnels.
//! May use: values, plan, vars, balance, sticky, wire, log, dns, http, rt, sys.
//! Never touches: listening sockets, the choice of a location, the text of a configuration.

mod answer;
mod answered;
mod ask;
mod certificates;
mod connect;
mod destination;
mod exchange;
mod follow;
mod head;
mod kept;
mod live;
mod next;
mod pool;
mod reach;
mod redirect;
mod relay;
mod report;
mod request;
mod resolve;
mod rewrite;
mod secure;
mod session;
mod spill;
mod target;
mod thread;
mod tunnels;

pub use connect::{DialError, DialOptions, Dialled, dial};
pub use exchange::{Outcome, pass};
pub use kept::Memory;
pub use live::{Rolls, Set, Sets};
pub use next::{Fault, Situation};
pub use thread::ProxyThread;

#[cfg(test)]
mod tests;
