//! What is sent for a note, and what the answers mean.

use std::time::Duration;

use redis::{Cmd, Value};

use super::handle::{Asked, Kind, Write};
use crate::sticky::{Key, Sid};

/// The names that a zone's sessions have in the store.
#[derive(Debug)]
pub(super) struct Names {
    zone: Box<str>,
}

impl Names {
    pub(super) fn new(zone: &str) -> Self {
        Self { zone: zone.into() }
    }

    pub(super) fn zone(&self) -> &str {
        &self.zone
    }

    pub(super) fn key(&self, key: Key) -> String {
        format!("{}:{key}", self.zone)
    }

    /// Where moves are told.
    pub(super) fn channel(&self) -> String {
        format!("{}:moved", self.zone)
    }

    pub(super) fn get(&self, key: Key) -> Cmd {
        let mut get = redis::cmd("GET");
        get.arg(self.key(key));
        get
    }

    /// Appends the commands of a note; the last one but a `PUBLISH` is the one that counts. `life` is how long the
    /// session is good for.
    pub(super) fn push(&self, write: &Write, life: Duration, out: &mut Vec<Cmd>) {
        let name = self.key(write.key);
        let (sid, len) = write.sid.text();
        let (sid, life) = (&sid[..len], u64::try_from(life.as_millis()).unwrap_or(u64::MAX >> 8).max(1));
        let mut first = redis::cmd(match write.kind {
            Kind::Touch => "PEXPIRE",
            Kind::New | Kind::Put => "SET",
            Kind::Forget => "DEL",
        });
        first.arg(&name);
        match write.kind {
            Kind::Touch => {
                first.arg(life);
            }
            Kind::New => {
                first.arg(sid).arg("NX").arg("PX").arg(life);
            }
            Kind::Put => {
                first.arg(sid).arg("PX").arg(life);
            }
            Kind::Forget => {}
        }
        out.push(first);
        out.push(match write.kind {
            Kind::Put | Kind::Forget => {
                let mut publish = redis::cmd("PUBLISH");
                let sid = if write.kind == Kind::Put { sid } else { &[] };
                publish.arg(self.channel()).arg(message(write.key, sid));
                publish
            }
            _ => self.get(write.key),
        });
    }
}

/// Commands of a note.
pub(super) const EACH: usize = 2;

fn message(key: Key, sid: &[u8]) -> Vec<u8> {
    [&key.to_bytes()[..], sid].concat()
}

/// A session that moved, as another machine told it; without a value it is to be forgotten.
pub(super) fn moved(message: &[u8]) -> Option<(Key, Option<Sid>)> {
    let (key, sid) = message.split_first_chunk()?;
    let sid = if sid.is_empty() { None } else { Some(Sid::new(sid)?) };
    Some((Key::from_bytes(*key), sid))
}

/// What `GET` says. A value that is no peer's is none.
pub(super) fn asked(value: &Value) -> Asked {
    let text = match value {
        Value::Nil => return Asked::Unknown,
        Value::BulkString(text) => text,
        _ => return Asked::Away,
    };
    match Sid::new(text) {
        Some(sid) if !text.is_empty() => Asked::Known(sid),
        _ => Asked::Unknown,
    }
}
