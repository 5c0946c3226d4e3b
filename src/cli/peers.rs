//! `tenrec peers`, `tenrec drain`, `tenrec undrain`: what is known of the peers of the tenrec that runs, and an
//! operator's orders to them.

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ask::{CONF, Control, Failed, GLOBALS, PREFIX, SOCKET, query};
use super::sub::{Flag, Words, print, say};
use crate::sys;
use crate::values;

const WINDOW: Flag = Flag {
    name: "window",
    value: Some("TIME"),
    about: "how long ago a session was last seen that counts (5m)",
};

pub(super) const PEERS: &[Flag] = &[
    Flag { name: "json", value: None, about: "all that is known, as JSON" },
    WINDOW,
    CONF,
    PREFIX,
    GLOBALS,
    SOCKET,
];

pub(super) const DRAIN: &[Flag] = &[
    Flag {
        name: "deadline",
        value: Some("TIME"),
        about: "after this (10m, 1h …) the server goes down for its own sessions too",
    },
    Flag {
        name: "watch",
        value: None,
        about: "show its sessions as they go, until none is left or it is down",
    },
    WINDOW,
    CONF,
    PREFIX,
    GLOBALS,
    SOCKET,
];

pub(super) const UNDRAIN: &[Flag] = &[CONF, PREFIX, GLOBALS, SOCKET];

/// How often `--watch` looks, and how long it does without an answer.
const LOOK: Duration = Duration::from_secs(1);
const LOST: Duration = Duration::from_secs(15);

pub(super) fn peers(words: Words) -> Result<u8, String> {
    let upstream = match words.operands.as_slice() {
        [] => None,
        [one] => Some(one.to_string_lossy()),
        _ => return Err("one UPSTREAM, or none, is needed".to_owned()),
    };
    let window = window(&words)?;
    let control = Control::find(&words)?;
    let said = look(&control, upstream.as_deref(), window).map_err(Failed::text)?;
    if words.has("json") {
        let mut text = serde_json::to_vec_pretty(&said).map_err(|e| e.to_string())?;
        text.push(b'\n');
        print(&text);
        return Ok(0);
    }
    let mut out = String::new();
    for upstream in list(&said, "upstreams") {
        if !out.is_empty() {
            out.push('\n');
        }
        table(upstream, &said, &mut out);
    }
    print(out.as_bytes());
    Ok(0)
}

fn table(upstream: &Value, said: &Value, out: &mut String) {
    let sticky = if upstream.get("sticky").and_then(Value::as_bool) == Some(true) { " (sticky)" } else { "" };
    *out += &format!("upstream {}{sticky}\n", text(upstream, "name"));
    let rows = list(upstream, "peers").map(|p| {
        let backup = if p.get("backup").and_then(Value::as_bool) == Some(true) { " backup" } else { "" };
        [
            name(p),
            text(p, "verdict").to_owned() + backup,
            counted(number(p, "connections"), "connection"),
            counted(number(p, "fails"), "fail"),
            note(p, said),
        ]
    });
    let rows: Vec<[String; 5]> = rows.collect();
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += &format!("  {cell:<width$}");
        }
        line += "  ";
        line += &row[4];
        *out += line.trim_end();
        out.push('\n');
    }
}

/// The peer's name, and how else an operator may call it.
fn name(peer: &Value) -> String {
    let (name, server, id) = (text(peer, "name"), text(peer, "server"), text(peer, "id"));
    let others: Vec<&str> = [server, id].into_iter().filter(|s| !s.is_empty() && *s != name).collect();
    if others.is_empty() { name.to_owned() } else { format!("{name} ({})", others.join(", ")) }
}

/// Why the verdict is what it is, and who still comes.
fn note(peer: &Value, said: &Value) -> String {
    let mut out = reasons(peer, said);
    if let Some(sessions) = peer.get("sessions").and_then(Value::as_u64) {
        out.push(sessions_left(peer, said, sessions));
    }
    out.join("; ")
}

fn reasons(peer: &Value, said: &Value) -> Vec<String> {
    let now = number(said, "now");
    let mut out: Vec<String> = Vec::new();
    let (operator, health) =
        (peer.get("operator").unwrap_or(&Value::Null), peer.get("health").unwrap_or(&Value::Null));
    match text(peer, "configured") {
        "" => {}
        word => out.push(format!("\"{word}\" in the configuration")),
    }
    match (text(operator, "state"), number(operator, "deadline")) {
        ("draining", 0) => out.push("drained by the operator".to_owned()),
        ("draining", at) => {
            out.push(format!("drained by the operator, down in {}", span(at.saturating_sub(now))))
        }
        ("down", 0) => out.push("taken down by the operator".to_owned()),
        ("down", at) => out.push(format!("its time to drain was over {} ago", span(now.saturating_sub(at)))),
        _ => {}
    }
    match text(health, "state") {
        "down" => out.push(format!("{} failed", counted(number(health, "fall"), "check"))),
        "draining" => out.push("its own answer to the check asks for it".to_owned()),
        _ => {}
    }
    out
}

fn sessions_left(peer: &Value, said: &Value, sessions: u64) -> String {
    let (window, requests) = (span(number(said, "window")), counted(number(peer, "requests"), "request"));
    format!("{} in the last {window}, {requests}", counted(sessions, "session"))
}

pub(super) fn drain(words: Words) -> Result<u8, String> {
    let (upstream, server) = operands(&words)?;
    let deadline = words.value("deadline").map(|d| time(&d.to_string_lossy())).transpose()?;
    let window = window(&words)?;
    let control = Control::find(&words)?;
    let order = json!({ "upstream": upstream, "server": server, "deadline": deadline });
    let said = control.ask("drain", "/drain", Some(&order)).map_err(Failed::text)?;
    let names: Vec<String> = list(&said, "peers").map(|p| text(p, "name").to_owned()).collect();
    for peer in list(&said, "peers") {
        let connections = counted(number(peer, "connections"), "connection");
        let why = reasons(peer, &said).join("; ");
        print(format!("{} of upstream {upstream} drains: {connections}; {why}\n", name(peer)).as_bytes());
    }
    print(b"this holds over reloads and new binaries, until undrain or a stop; \"drain\" in the file outlives those\n");
    if number(&said, "others") == 0 {
        say(&format!(
            "drain: no other server of upstream {upstream} takes new sessions: requests without one get 502"
        ));
    }
    if words.has("watch") { watch(&control, &upstream, &names, window) } else { Ok(0) }
}

pub(super) fn undrain(words: Words) -> Result<u8, String> {
    let (upstream, server) = operands(&words)?;
    let control = Control::find(&words)?;
    let order = json!({ "upstream": upstream, "server": server });
    let said = control.ask("undrain", "/undrain", Some(&order)).map_err(Failed::text)?;
    for peer in list(&said, "peers") {
        let but = match (text(peer, "verdict"), reasons(peer, &said).join("; ")) {
            ("up" | "full", _) => String::new(),
            (verdict, note) if note.is_empty() => format!(", but {verdict}"),
            (verdict, note) => format!(", but {verdict}: {note}"),
        };
        print(format!("{} of upstream {upstream} is back in service{but}\n", name(peer)).as_bytes());
    }
    Ok(0)
}

/// Shows the peers as they empty. A reload in between is a moment without an answer.
fn watch(control: &Control, upstream: &str, names: &[String], window: u64) -> Result<u8, String> {
    let terminal = sys::is_terminal(io::stdout().as_raw_fd());
    let mut shown = String::new();
    let mut heard = Instant::now();
    loop {
        let said = match look(control, Some(upstream), window) {
            Ok(said) => said,
            Err(Failed::Unreached(_)) if heard.elapsed() < LOST => {
                std::thread::sleep(LOOK);
                continue;
            }
            Err(failed) => return Err(failed.text()),
        };
        heard = Instant::now();
        let peers: Vec<&Value> = list(&said, "upstreams")
            .flat_map(|u| list(u, "peers"))
            .filter(|p| names.iter().any(|n| *n == text(p, "name")))
            .collect();
        let lines: Vec<String> = peers.iter().map(|p| progress(p, &said)).collect();
        let line = lines.join("; ");
        let over = peers.iter().all(|p| is_over(p, &said));
        if terminal {
            print(format!("\r\x1b[K{line}").as_bytes());
        } else if line != shown {
            print(format!("{line}\n").as_bytes());
        }
        if over {
            if terminal {
                print(b"\n");
            }
            return Ok(0);
        }
        shown = line;
        std::thread::sleep(LOOK);
    }
}

fn progress(peer: &Value, said: &Value) -> String {
    let connections = counted(number(peer, "connections"), "connection");
    let verdict = text(peer, "verdict");
    let sessions = match peer.get("sessions").and_then(Value::as_u64) {
        Some(n) => format!(", {}", sessions_left(peer, said, n)),
        None => String::new(),
    };
    let left = match number(peer.get("operator").unwrap_or(&Value::Null), "deadline") {
        at if at > number(said, "now") => format!(", down in {}", span(at - number(said, "now"))),
        _ => String::new(),
    };
    format!("{} {verdict}: {connections}{sessions}{left}", text(peer, "name"))
}

/// Nothing more will come of it: it is down, it is no longer drained, or its last session was seen longer ago than counts.
fn is_over(peer: &Value, said: &Value) -> bool {
    let operator = peer.get("operator").unwrap_or(&Value::Null);
    let idle = number(peer, "connections") == 0;
    let drained_for = number(said, "now").saturating_sub(number(operator, "since"));
    let none = peer.get("sessions").and_then(Value::as_u64) == Some(0);
    match text(operator, "state") {
        "draining" => idle && none && drained_for >= number(said, "window"),
        "down" => idle,
        _ => true,
    }
}

fn look(control: &Control, upstream: Option<&str>, window: u64) -> Result<Value, Failed> {
    let mut target = format!("/peers?window={window}");
    if let Some(upstream) = upstream {
        target += &format!("&upstream={}", query(upstream));
    }
    control.ask("peers", &target, None)
}

fn operands(words: &Words) -> Result<(String, String), String> {
    match words.operands.as_slice() {
        [upstream, server] => Ok((upstream.to_string_lossy().into(), server.to_string_lossy().into())),
        _ => Err("UPSTREAM and SERVER are needed (tenrec peers lists them)".to_owned()),
    }
}

fn window(words: &Words) -> Result<u64, String> {
    words.value("window").map_or(Ok(300_000), |w| time(&w.to_string_lossy()))
}

/// Milliseconds.
fn time(text: &str) -> Result<u64, String> {
    values::msec(text.as_bytes()).ok_or_else(|| format!("invalid time \"{text}\" (30s, 10m, 1h 30m …)"))
}

fn list<'v>(of: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    of.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(of: &'v Value, name: &str) -> &'v str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(of: &Value, name: &str) -> u64 {
    of.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn counted(n: u64, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

/// `1h 5m`, `9m 58s`, `12s`.
fn span(ms: u64) -> String {
    let s = ms.div_ceil(1000);
    let parts = [(s / 86400, "d"), (s / 3600 % 24, "h"), (s / 60 % 60, "m"), (s % 60, "s")];
    let shown: Vec<String> = parts
        .iter()
        .skip_while(|p| p.0 == 0)
        .take(2)
        .filter(|p| p.0 > 0)
        .map(|p| format!("{}{}", p.0, p.1))
        .collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_by_their_two_largest_parts() {
        for (ms, text) in [
            (0, "0s"),
            (1, "1s"),
            (598_000, "9m 58s"),
            (600_000, "10m"),
            (3_900_000, "1h 5m"),
            (90_061_000, "1d 1h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
