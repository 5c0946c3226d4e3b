//! Owns: settings to the plan that all threads share: inheritance carried out, routers built, names resolved.
//! May use: diag, values, sys, syntax, source, directives, plan, config.
//! Never touches: sockets, log files, the life of a request.

pub mod certs;
mod checks;
mod encoding;
mod learn;
mod limit;
mod listeners;
mod load;
mod locations;
mod logs;
mod names;
pub mod ng;
mod pins;
mod program;
mod proxy;
mod proxy_tls;
mod referer;
mod resolver;
mod routers;
mod script;
mod tables;
mod tls;
pub mod upstream;
mod vars;

pub use load::{Loaded, check, check_text, load, load_text};
pub use pins::{KEY_FILE, load_key};
pub use program::{Builder, compile};
pub use vars::Names;

#[cfg(test)]
mod tests;
