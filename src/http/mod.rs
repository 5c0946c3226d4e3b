//! Owns: the life of a request between its head and its answer: server, location, phases, content, error pages, the
//! answer's head, access-log lines.
//! May use: values, plan, vars, zone, limit, health, wire, log, rt, sys; of balance and sticky the types that a trace names.
//! Never touches: peers (the driver in `server` calls `proxy`), listening sockets, the configuration's text.

mod access;
mod attempt;
mod basic;
pub mod body;
mod browser;
mod captures;
mod charset;
mod checks;
mod content;
mod context;
mod filters;
mod first;
mod gate;
mod gzip;
mod h2;
mod host;
mod limit;
mod out;
mod pages;
mod path;
mod phases;
mod range;
mod realip;
mod referer;
mod request;
pub mod respond;
mod route;
mod script;
mod secure;
mod slots;
mod special;
mod status;
mod stored;
mod sub;
mod thread;
mod trace;
mod transform;
mod uri;
mod variables;

pub use access::log as log_access;
pub use attempt::{Attempt, AttemptAddr};
pub use captures::{Captures, RegexFailed, run_regex};
pub use checks::{Checks, LivePeer};
pub use context::Bytes;
pub use first::FirstPeers;
pub use host::server_of;
pub use out::{FieldIx, OutHead};
pub use phases::{Step, choose_server, error, redirect, run, run_sub, set_uri};
pub use request::{ConnInfo, Request};
pub use secure::{Offered, Secure};
pub use status::{COMPATIBLE_VERSION, SERVER_FULL, SERVER_SHORT, line as status_line};
pub use sub::SubRunner;
pub use thread::{Serial, Stats, ThreadState};
pub use trace::{Dial, Event, NamedBy, Rewritten, Trace};
pub use transform::{Then, Transform, TransformError};
pub use uri::escape_path;
