//! Owns: the master and its worker: forking, signals, privileges, the pid file, listening sockets, reloads, upgrades.
//! May use: everything below it; it is what joins a plan, sockets and threads.
//! Never touches: a connection, a request.

mod child;
mod console;
mod control;
mod generation;
mod greet;
mod handover;
mod load;
mod master;
mod options;
mod pidfile;
mod record;
mod signals;
mod single;
mod snapshots;
mod sockets;
mod start;
mod temp_dirs;
mod upgrade;

pub use load::{load, report};
pub use options::Options;
pub use pidfile::read_pid;
pub use record::{Record, running};
pub use start::{probe, start};
