//! Owns: what TLS is made of: certificates, keys, suites, groups, tickets and sessions, as rustls asks for them.
//! May use: sys, rt.
//! Never touches: sockets, the text of a configuration, which server is meant.

pub mod ciphers;
mod clients;
pub mod groups;
mod sessions;
mod shown;
mod tickets;

pub use clients::Ask;
pub use sessions::{Sessions, Zone};
pub use shown::Shown;
pub use tickets::{Key, Keys, Rotating, Tickets};
