//! The one integration binary: a module a behaviour.
#![allow(dead_code, reason = "each behaviour uses a part of the support")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod agreement;
mod architecture;
mod check;
mod check_status;
mod completions;
mod config;
mod demo;
mod diff;
mod differential;
mod directive_fixtures;
mod directives;
mod drain;
mod dump;
mod explain;
mod faults;
mod fmt;
mod foreign_pins;
mod framing;
mod full_disk;
mod grammar;
mod health;
mod health_sessions;
mod learned;
mod lint;
mod migrate;
mod migrate_out;
mod migrate_pins;
mod moves;
mod mutations;
mod pins;
mod process_options;
mod process_signals;
mod properties;
mod requests;
mod resolver;
mod rewrite;
mod seeds;
mod sessions;
mod sticky_ng;
mod stores;
mod support;
mod syntax;
mod together;
