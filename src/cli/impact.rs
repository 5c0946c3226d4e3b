//! What a configuration does to the sessions of the one that runs: which upstreams' pins it keeps, renames or loses.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::compile;
use crate::explain::pins::{self, Fate, Impact, SAMPLE};
use crate::plan::Plan;
use crate::process;

/// Against the tenrec that `plan`'s pid file names; `None`: none runs that this user may ask.
pub(super) fn of(plan: &Plan) -> Option<Vec<Impact>> {
    let running = process::running(&plan.process.pid)?;
    let old = compile::check(running.conf, &running.prefix, running.diags).plan?;
    Some(pins::compare(&old, plan))
}

/// For a person: a line for each upstream, one more for each pin that is not kept. Empty when no session is kept by
/// what runs.
pub(super) fn text(impacts: &[Impact]) -> String {
    if impacts.is_empty() {
        return String::new();
    }
    let mut out = "sessions of the running configuration after a reload:\n".to_owned();
    let width = impacts.iter().map(|i| i.upstream.chars().count()).max().unwrap_or(0);
    for impact in impacts {
        let _ = write!(out, "  {:width$}  {}", impact.upstream, impact.how);
        if let Some(name) = &impact.renamed {
            let _ = write!(out, ", now \"{name}\"");
        }
        if let Some(hash) = impact.hash {
            let _ = match (hash.anew, hash.moved) {
                (true, _) => writeln!(out, ": every client is placed anew"),
                (false, 0) => writeln!(out, ": every client stays"),
                (false, moved) => {
                    writeln!(
                        out,
                        ": {:.1} % of the clients move",
                        f64::from(moved) * 100.0 / f64::from(SAMPLE)
                    )
                }
            };
            continue;
        }
        let kept = impact.count(Fate::holds);
        let _ = writeln!(out, ": {kept} of {} pins kept", impact.pins.len());
        for pin in impact.pins.iter().filter(|p| p.fate != Fate::Kept) {
            let _ = match &pin.fate {
                Fate::Kept => Ok(()),
                Fate::Alias(new) => {
                    writeln!(out, "    {}: kept, and given out as {} from now on", pin.peer, show(new))
                }
                Fate::Renamed(new) => {
                    writeln!(out, "    {}: lost, its pin is {} from now on", pin.peer, show(new))
                }
                Fate::Moved(peer) => writeln!(out, "    {}: goes to {peer}", pin.peer),
                Fate::Lost(why) => writeln!(out, "    {}: lost, {}", pin.peer, why.text()),
            };
        }
    }
    out
}

/// For machines: `null` where nothing runs.
pub(super) fn json(impacts: Option<&[Impact]>) -> Value {
    let Some(impacts) = impacts else { return Value::Null };
    let pin = |p: &pins::Pin| {
        let mut out = json!({ "peer": p.peer, "value": show(&p.value), "fate": p.fate.word() });
        match &p.fate {
            Fate::Kept => {}
            Fate::Alias(new) | Fate::Renamed(new) => out["now"] = show(new).into(),
            Fate::Moved(peer) => out["now_peer"] = peer.as_ref().into(),
            Fate::Lost(why) => out["why"] = why.text().into(),
        }
        out
    };
    let one = |i: &Impact| {
        json!({
            "upstream": i.upstream,
            "renamed": i.renamed,
            "how": i.how,
            "kept": i.harmless(),
            "pins": i.pins.iter().map(pin).collect::<Vec<_>>(),
            "hash": i.hash.map(|h| json!({ "sampled": SAMPLE, "moved": h.moved, "anew": h.anew })),
        })
    };
    impacts.iter().map(one).collect()
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
