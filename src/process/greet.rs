//! The few lines for a person who starts tenrec at a terminal.

use std::fmt::Write as _;

use crate::plan::{LogTarget, Method, Plan, Sticky, StickyMode};
use crate::sys;

use super::generation::Generation;
use super::options::Options;
use super::sockets::text;

pub(super) fn print(options: &Options, generation: &Generation) {
    sys::write_stderr(lines(options, generation).as_bytes());
}

fn lines(options: &Options, generation: &Generation) -> String {
    let plan = &generation.plan;
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(out, "tenrec {version} runs {}", options.conf.display());
    let addresses: Vec<String> = generation.sockets.groups.iter().map(|g| text(&g.addr)).collect();
    let threads = plan.process.workers;
    let plural = if threads == 1 { "" } else { "s" };
    let _ = writeln!(out, "  listens   {} ({threads} thread{plural})", addresses.join(", "));
    for line in sessions(plan) {
        let _ = writeln!(out, "  sessions  {line}");
    }
    let _ = writeln!(out, "  errors    {}", generation.logs.main_names().join(", "));
    let files: Vec<String> = plan
        .log_files
        .iter()
        .filter_map(|f| match &f.target {
            LogTarget::File(path) => Some(path.display().to_string()),
            LogTarget::Syslog(text) => Some(format!("syslog:{text}")),
            LogTarget::Stderr => Some("stderr".to_owned()),
            LogTarget::Variable(_) => None,
        })
        .collect();
    let files = if files.is_empty() { "off".to_owned() } else { files.join(", ") };
    let _ = writeln!(out, "  requests  {files}");
    let _ = writeln!(out, "  pid file  {}", plan.process.pid.display());
    out
}

/// A line for each upstream that keeps sessions, and how.
fn sessions(plan: &Plan) -> Vec<String> {
    plan.upstreams
        .iter()
        .filter_map(|upstream| {
            let how = match (&upstream.sticky, &upstream.method) {
                (Some(Sticky::Tengine(s)), _) => {
                    let mode = match s.mode {
                        StickyMode::Insert => "inserted",
                        StickyMode::Rewrite => "rewritten",
                        StickyMode::Prefix => "prefixed",
                    };
                    format!("by the cookie {} ({mode})", String::from_utf8_lossy(&s.cookie))
                }
                (Some(Sticky::Cookie(s)), _) => {
                    format!("by the cookie {} (inserted)", String::from_utf8_lossy(&s.name))
                }
                (Some(Sticky::Ng(s)), _) => {
                    format!("by the cookie {} (nginx-sticky-module-ng)", String::from_utf8_lossy(&s.name))
                }
                (Some(Sticky::Route(_)), _) => "by a route in the request".to_owned(),
                (Some(Sticky::Learn(s)), _) => format!("as learned (zone {})", s.zone),
                (None, Method::IpHash) => "by the client's address".to_owned(),
                (None, Method::Hash(_) | Method::HashConsistent(_) | Method::ConsistentHash(_)) => {
                    "by a hash".to_owned()
                }
                (None, _) => return None,
            };
            let (name, peers) = (&upstream.name, upstream.peers.len());
            Some(format!("{name}: {peers} peer{} {how}", if peers == 1 { "" } else { "s" }))
        })
        .collect()
}
