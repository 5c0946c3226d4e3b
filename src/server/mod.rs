//! Owns: the threads of a worker: accepting, the life of a connection, the end of both; the control socket's answers; the
//! probes of health checks.
//! May use: plan, rt, sys, zone, balance, health, sticky, wire, log, store, http, proxy.
//! Never touches: files of the configuration, signals, other processes.

mod accept;
mod conn;
mod control;
mod h2;
mod orders;
mod probes;
mod secure;
mod sessions;
mod thread;
mod worker;

pub use conn::{Serving, explain, serve};
pub use control::Control;
pub use worker::{Leaving, Queue, State, Worker};
