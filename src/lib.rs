//! tenrec reads nginx and Tengine configuration files and runs them.
//!
//! The rooms are listed bottom-up: a room imports its own room and rooms above it in this list only;
//! `tests/architecture.rs` fails the build otherwise.

pub mod diag;
pub mod values;

pub mod rt;
pub mod sys;

pub mod tls;

pub mod syntax;

pub mod source;

pub mod directives;

pub mod plan;

pub mod config;

pub mod compile;

pub mod lint;

pub mod vars;

pub mod limit;
pub mod zone;

pub mod balance;
pub mod health;
pub mod sticky;

pub mod wire;

pub mod log;

pub mod dns;
pub mod store;

pub mod http;

pub mod proxy;

pub mod server;

pub mod process;

pub mod explain;
pub mod migrate;

pub mod cli;
