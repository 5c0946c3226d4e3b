//! Owns: the command line, what it prints, exit codes.
//! May use: everything.
//! Never touches: sockets, requests.

mod args;
mod ask;
mod build;
mod check;
mod completions;
mod crossplane;
mod diff;
mod dump;
mod explain;
mod fmt;
mod ignored;
mod impact;
mod lint;
mod man;
mod migrate;
mod options;
mod peers;
mod place;
mod report;
mod run;
mod sessions;
mod sticky;
mod sub;
mod version;
mod write;
mod zones;

pub use run::main;
