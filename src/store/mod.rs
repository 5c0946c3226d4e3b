//! Owns: what several machines know together of learned sessions: the connection to Redis or Valkey, what is asked of it and told to it.
//! May use: plan, sticky, log, rt, sys.
//! Never touches: a request, the choice of a peer; nothing waits for it longer than `store_timeout`.
//!
//! Each worker has one thread for its stores, with a connection for each upstream that has one. The zone in memory is
//! asked first, and answers alone while the store is away: then nobody waits.
//!
//! A session is one key, `ZONE:MD5`, its value that of the peer, its life the zone's `timeout`:
//!
//! | what happened | commands |
//! |---|---|
//! | not in memory, or its peer cannot be used | `GET` |
//! | learned, and the store did not know it | `SET NX PX`, `GET`: of two machines at once the first holds |
//! | moved, or learned while the store was away | `SET PX`, `PUBLISH ZONE:moved` |
//! | forgotten by order | `DEL`, `PUBLISH ZONE:moved` |
//! | used, at most once in an eighth of the timeout | `PEXPIRE`, `GET` |
//! | the connection is there (again) | as learned, for all that is in memory |
//!
//! What comes back from `GET` and over the channel is what memory says from then on.

mod command;
mod connection;
mod dirty;
mod handle;
mod task;

#[cfg(test)]
mod tests;

pub use handle::{Asked, Kind, Store, Stores, Talker, Write};
