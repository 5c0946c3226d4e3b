//! Owns: the command line, what it prints, exit codes.
//! May use: everything.
//! Never touches: sockets, requests.

mod args;
mod place;
mod run;
mod version;

pub use run::main;
