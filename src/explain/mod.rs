//! Owns: why a request goes where it goes, and what a change of the configuration does to requests and sessions.
//! May use: everything but cli and migrate.
//! Never touches: peers (none is asked), listening sockets, logs, the running process.

pub mod pins;

#[cfg(test)]
mod tests;
