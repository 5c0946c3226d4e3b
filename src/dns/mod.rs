//! Owns: names looked up while serving: queries to the name servers of a `resolver` directive, their answers, how long these hold.
//! May use: plan, rt, sys, log.
//! Never touches: requests, peers, the text of a configuration.
//!
//! One [`Client`] a thread, with a cache for each `resolver` directive; look-ups of one name that is under way are
//! joined. Times are whole seconds, as nginx counts them: an answer with a TTL of 1 holds for one to two seconds.

mod answer;
mod cache;
mod client;
mod exchange;
mod message;
mod query;
mod service;

pub use answer::{Addresses, Code, Failure, Service, Target};
pub use client::Client;

#[cfg(test)]
mod tests;
