//! Owns: why a request goes where it goes, and what a change of the configuration does to requests and sessions.
//! May use: everything but cli and migrate.
//! Never touches: peers (none is asked), listening sockets, logs, the running process.

mod ask;
mod diff;
mod effective;
mod engine;
mod listen;
pub mod pins;
mod report;
mod search;
mod secure;
pub mod settings;
mod steps;
mod traffic;
mod upstream;
mod words;

pub use ask::{Answer, Ask, Listen, Malformed, Scheme};
pub use diff::{Diff, Goal, Moved, Requests};
pub use engine::{Asked, Engine, Outcome};
pub use listen::Socket;
pub use report::{Field, Report, Response};
pub use secure::PeerTls;
pub use steps::Step;
pub use traffic::{Counts, Form, Traffic};
pub use upstream::{Attempt, Passed, Peer, Session};

#[cfg(test)]
mod tests;
