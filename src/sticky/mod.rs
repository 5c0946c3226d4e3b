//! Owns: sessions: which peer a request belongs to, and what its request and its answer must carry for that.
//! May use: plan, values, vars; sys for memory that outlives a worker.
//! Never touches: the choice among peers (see `balance`), sockets, the clock (time is an argument).
//!
//! ```text
//! let ticket = sticky::read(upstream, cookie_lines, now);
//! if ticket.refused() { 502 with `sticky::expire` as its Set-Cookie }
//! … balance: Request { pin: ticket.pin(), .. } …
//! per Cookie line to the peer: `sticky::hide(&sticky::hidden(proxy, upstreams, own), line, out)`
//! let mut answer = Answer::new(upstream, &ticket, peer, status, hidden, now);
//! per Set-Cookie of the peer: `answer.relay`; where `answer.place()` says: `answer.issue`
//! log: `ticket.status(peer)`
//!
//! sticky route: `sticky::first(variables, request, text)`, `sticky::named(upstream, text)` in place of `read`
//! sticky learn: `sticky::look_up`, `sticky::named`; `sticky::learn` when the peer has answered
//! ```

mod answer;
mod bucket;
mod cookie;
mod hide;
mod learn;
mod pinned;
mod snapshot;
mod table;
mod ticket;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Asked, Place, expire, value};
pub use hide::{Hidden, cookie_of, hidden, hide, hides};
pub use learn::{NoTables, Tables, Zone, first, learn, look_up};
pub use snapshot::{Digest, Lost, read_snapshot, write_snapshot};
pub use table::{Key, Learned, SID_LEN, Session, Sid, Table};
pub use ticket::{Own, Status, Ticket, named, read};

/// What becomes of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// As it came; nothing was written.
    Keep,
    /// What was appended to `out` takes its place.
    Replace,
    /// The field goes.
    Drop,
}
