//! What `-t` adds about the zones of `sticky learn`: how many sessions each has room for, and what one costs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::source::{Conf, Dir};
use crate::sticky::Table;
use crate::values;

/// A zone as configured.
struct Zone {
    name: String,
    bytes: usize,
}

/// The zones in the order of the file; those that are refused are left out.
fn of(conf: &Conf) -> Vec<Zone> {
    fn collect(dir: Dir<'_>, out: &mut Vec<Zone>) {
        if dir.name() == "sticky" && dir.arg(0) == b"learn" {
            let zone = dir.args().iter().find_map(|w| w.value.strip_prefix(b"zone="));
            let parts = zone.and_then(|z| z.split_at_checked(z.iter().position(|b| *b == b':')?));
            let bytes = parts.and_then(|(_, size)| usize::try_from(values::size(size.get(1..)?)?).ok());
            if let (Some((name, _)), Some(bytes)) = (parts, bytes) {
                out.push(Zone { name: String::from_utf8_lossy(name).into_owned(), bytes });
            }
        }
        dir.children().for_each(|child| collect(child, out));
    }
    let mut out = Vec::new();
    conf.main().for_each(|dir| collect(dir, &mut out));
    out
}

/// A line for each; empty when there is none.
pub(super) fn text(conf: &Conf) -> String {
    let zones = of(conf);
    if zones.is_empty() {
        return String::new();
    }
    let mut out = format!("learned sessions kept in memory, {:.1} bytes each:\n", Table::COST);
    let width = zones.iter().map(|z| z.name.len()).max().unwrap_or_default();
    for zone in zones {
        let kib = zone.bytes / 1024;
        let _ = writeln!(out, "  {:width$}  {} in {kib} KiB", zone.name, Table::room(zone.bytes));
    }
    out
}

pub(super) fn json(conf: &Conf) -> Value {
    let zone = |zone: Zone| {
        json!({
            "zone": zone.name,
            "bytes": zone.bytes,
            "sessions": Table::room(zone.bytes),
            "bytes_per_session": (Table::COST * 10.0).round() / 10.0,
        })
    };
    of(conf).into_iter().map(zone).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use crate::compile;

    #[test]
    fn a_zone_says_what_it_has_room_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.conf");
        let learn = |zone: &str| {
            format!(
                "upstream {zone} {{ server 127.0.0.1; sticky learn create=$arg_s lookup=$arg_s zone={zone}:1m; }}\n"
            )
        };
        std::fs::write(&file, format!("events {{}}\nhttp {{\n{}{}}}\n", learn("a"), learn("longer")))
            .unwrap();
        let conf = compile::load(&file, dir.path(), None).conf;
        let shown = "learned sessions kept in memory, 68.3 bytes each:\n  a       15360 in 1024 KiB\n  longer  15360 in \
                     1024 KiB\n";
        assert_eq!(super::text(&conf), shown);
        assert_eq!(super::json(&conf)[0]["bytes_per_session"], 68.3);
        std::fs::write(&file, "events {}\n").unwrap();
        assert_eq!(super::text(&compile::load(&file, dir.path(), None).conf), "");
    }
}
