//! Text to plan.

use std::path::Path;

use super::{Loaded, load};
use crate::diag::render_nginx;
use crate::plan::Plan;

mod listeners;
mod locations;
mod upstreams;

/// Loads a text as the main file of a prefix of its own.
fn loaded(text: &str) -> Loaded {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("nginx.conf");
    std::fs::write(&file, text).expect("a file");
    load(&file, Path::new("/prefix"), None)
}

/// The plan of servers, which must be good.
fn plan(servers: &str) -> Plan {
    let loaded = loaded(&format!("events {{}} http {{ {servers} }}"));
    let said: Vec<String> = loaded.diags.iter().map(|d| render_nginx(&loaded.conf.map, d)).collect();
    loaded.plan.unwrap_or_else(|| panic!("{said:?}"))
}
