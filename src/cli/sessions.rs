//! `tenrec sessions`, `tenrec forget`: what `sticky learn` of the tenrec that runs has learned.

use serde_json::{Value, json};

use super::ask::{CONF, Control, Failed, GLOBALS, PREFIX, SOCKET, query};
use super::sub::{Flag, Words, print};

pub(super) const SESSIONS: &[Flag] =
    &[Flag { name: "json", value: None, about: "all that is known, as JSON" }, CONF, PREFIX, GLOBALS, SOCKET];

pub(super) const FORGET: &[Flag] = &[CONF, PREFIX, GLOBALS, SOCKET];

pub(super) fn sessions(words: Words) -> Result<u8, String> {
    let mut target = String::from("/sessions?upstream=");
    match words.operands.as_slice() {
        [upstream] => target += &query(&upstream.to_string_lossy()),
        [upstream, session] => {
            target += &query(&upstream.to_string_lossy());
            target += "&session=";
            target += &query(&session.to_string_lossy());
        }
        _ => return Err("UPSTREAM is needed, and of a single one its SESSION".to_owned()),
    }
    let said = Control::find(&words)?.ask("sessions", &target, None).map_err(Failed::text)?;
    if words.has("json") {
        let mut text = serde_json::to_vec_pretty(&said).map_err(|e| e.to_string())?;
        text.push(b'\n');
        print(&text);
        return Ok(0);
    }
    print(text(&said).as_bytes());
    Ok(0)
}

fn text(said: &Value) -> String {
    let word = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_u64).unwrap_or(0);
    if let Some(session) = said.get("session") {
        return format!(
            "{}: with {}, last used {} s ago\n",
            word(session, "md5"),
            word(session, "peer"),
            number(session, "idle") / 1000
        );
    }
    let mut out = format!(
        "zone {} of upstream {}: {} sessions, room for {}\n",
        word(said, "zone"),
        word(said, "upstream"),
        number(said, "sessions"),
        number(said, "room")
    );
    for (peer, count) in said.get("peers").and_then(Value::as_object).into_iter().flatten() {
        out += &format!("  {peer}  {count}\n");
    }
    out
}

pub(super) fn forget(words: Words) -> Result<u8, String> {
    let [upstream, session] = words.operands.as_slice() else {
        return Err("UPSTREAM and SESSION are needed".to_owned());
    };
    let order = json!({ "upstream": upstream.to_string_lossy(), "session": session.to_string_lossy() });
    let said = Control::find(&words)?.ask("forget", "/forget", Some(&order)).map_err(Failed::text)?;
    let peer =
        said.get("peer").and_then(Value::as_str).map_or_else(String::new, |p| format!(", it was with {p}"));
    print(format!("forgotten{peer}\n").as_bytes());
    Ok(0)
}
