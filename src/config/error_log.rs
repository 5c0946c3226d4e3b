//! `error_log`.

use super::Cx;
use super::cx::show;
use crate::diag::Severity;
use crate::plan::{ErrorLog, LogTarget};
use crate::source::Dir;
use crate::values;

/// Adds one `error_log` to those of its level.
pub fn read(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<ErrorLog>>) {
    let target = match d.arg(0) {
        b"stderr" => LogTarget::Stderr,
        path if path.starts_with(b"memory:") => {
            return cx.emerg(d, "nginx was built without debug support");
        }
        path if path.starts_with(b"syslog:") => {
            let server = path.get(7..).unwrap_or_default();
            if !syslog(cx, d, server) {
                return;
            }
            LogTarget::Syslog(show(server).into_owned())
        }
        path => {
            let path = cx.path(path);
            cx.found.logs.push(path.clone());
            LogTarget::File(path)
        }
    };
    let Some(level) = level(cx, d) else { return };
    slot.get_or_insert_default().push(ErrorLog { target, level });
}

const LEVELS: [(&str, Severity); 8] = [
    ("emerg", Severity::Emerg),
    ("alert", Severity::Alert),
    ("crit", Severity::Crit),
    ("error", Severity::Error),
    ("warn", Severity::Warn),
    ("notice", Severity::Notice),
    ("info", Severity::Info),
    ("debug", Severity::Debug),
];

fn level(cx: &mut Cx<'_>, d: Dir<'_>) -> Option<Severity> {
    let words = d.args().get(1..).unwrap_or_default();
    let mut level = None;
    for word in words {
        let shown = show(&word.value);
        match LEVELS.iter().find(|(name, _)| name.as_bytes() == &word.value[..]) {
            Some(_) if level.is_some() => {
                cx.emerg(d, format!("duplicate log level \"{shown}\""));
                return None;
            }
            Some(&(_, found)) => level = Some(found),
            // Debug masks: nginx takes them for what they add to `debug`.
            None if word.value.starts_with(b"debug_") => level = Some(Severity::Debug),
            None => {
                cx.emerg(d, format!("invalid log level \"{shown}\""));
                return None;
            }
        }
    }
    Some(level.unwrap_or(Severity::Error))
}

/// `server=…,facility=…,severity=…,tag=…,nohostname`
pub fn syslog(cx: &mut Cx<'_>, d: Dir<'_>, text: &[u8]) -> bool {
    let mut server = false;
    for part in text.split(|&b| b == b',') {
        let shown = show(part);
        if let Some(address) = part.strip_prefix(b"server=") {
            server = true;
            if let Err(e) = values::server(address) {
                cx.emerg(d, format!("{e} in syslog server \"{}\"", show(address)));
                return false;
            }
        } else if !(part.starts_with(b"facility=")
            || part.starts_with(b"severity=")
            || part.starts_with(b"tag=")
            || part == b"nohostname")
        {
            cx.emerg(d, format!("unknown syslog parameter \"{shown}\""));
            return false;
        }
    }
    if !server {
        cx.emerg(d, "no syslog server specified");
    }
    server
}
