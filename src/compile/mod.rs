//! Owns: settings to the plan: names looked up, references resolved, templates and routers built.
//! May use: diag, values, sys, syntax, source, directives, config, plan.
//! Never touches: requests, sockets, the clock.

pub mod upstream;
