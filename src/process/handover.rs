//! What a new binary (USR2) is left: operators' orders to peers that are not usual, in a variable of its environment; the
//! memory of learned sessions, which both masters go on with; keys that were made up, in a file in memory.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::generation::Generation;
use crate::plan::{Plan, Sticky};
use crate::rt::clock;
use crate::sticky::{Table, Tables, Zone};
use crate::sys;
use crate::values::PinKey;
use crate::zone::Operator;

/// Which descriptors hold what: `[[LAYOUT, zone, upstream, bytes, descriptor], …]`, `-1` in place of a layout for the keys.
pub(crate) const MEMORY: &str = "TENREC_MEMORY";

pub(crate) const VARIABLE: &str = "TENREC_PEERS";

/// The longest text: the kernel takes 128 KiB for one variable.
const LONGEST: usize = 120 * 1024;

/// `None`: there are none, or more than there is room for.
pub(crate) fn text(generation: &Generation) -> Option<String> {
    let now = clock::unix_millis();
    let mut rows = Vec::new();
    for upstream in &generation.plan.upstreams {
        for peer in &upstream.peers {
            let slot = generation.state.slots.get(&upstream.name, &peer.name);
            let (operator, since) = slot.operator(now);
            if operator == Operator::Active {
                continue;
            }
            let until = slot.deadline().unwrap_or(0);
            rows.push(json!([&*upstream.name, &*peer.name, until, since, slot.asked_by()]));
        }
    }
    (!rows.is_empty()).then(|| Value::from(rows).to_string()).filter(|text| text.len() <= LONGEST)
}

/// Gives the orders anew. What cannot be read is no order.
pub(crate) fn take_over(text: &str, generation: &Generation) {
    let Ok(rows) = serde_json::from_str::<Vec<(String, String, u64, u64, u32)>>(text) else { return };
    for (upstream, peer, until, since, who) in rows {
        let until = (until != 0).then_some(until);
        let slot = generation.state.slots.get(&upstream, &peer);
        slot.set_operator(Operator::Draining { until }, who, since);
    }
}

/// A zone of learned sessions: layout, name, upstream, bytes, descriptor.
type Row = (i64, String, String, usize, RawFd);
/// In place of a layout.
const KEYS: i64 = -1;
/// A text of keys is no longer.
const KEYS_LONGEST: u64 = 4 << 20;

/// What is left to a new binary; its descriptors are open until it is dropped.
pub(crate) struct Legacy {
    rows: Vec<Row>,
    _keys: Option<File>,
}

impl Legacy {
    pub(crate) fn of(generation: &Generation) -> Self {
        let zone = |zone: &Zone| {
            let fd = zone.table.file()?.as_raw_fd();
            Some((i64::from(Table::LAYOUT), zone.name.to_string(), zone.upstream.to_string(), zone.size, fd))
        };
        let mut rows: Vec<Row> = generation.state.tables.zones().filter_map(zone).collect();
        let keys = keys(&generation.plan);
        rows.extend(keys.as_ref().map(|file| (KEYS, String::new(), String::new(), 0, file.as_raw_fd())));
        Self { rows, _keys: keys }
    }

    pub(crate) fn fds(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.rows.iter().map(|row| row.4)
    }

    /// The value of [`MEMORY`]; `None`: nothing is left.
    pub(crate) fn text(&self) -> Option<String> {
        let text = || Value::from(self.rows.iter().map(|row| json!(row)).collect::<Vec<_>>()).to_string();
        (!self.rows.is_empty()).then(text).filter(|text| text.len() <= LONGEST)
    }
}

/// The keys that were made up: `[[upstream, [byte, …]], …]`.
fn keys(plan: &Plan) -> Option<File> {
    let secret = |u: &crate::plan::Upstream| {
        let secret = u.random_seal()?.keys.first()?.secret()?;
        Some(json!([&*u.name, secret.as_slice()]))
    };
    let rows: Vec<Value> = plan.upstreams.iter().filter_map(secret).collect();
    if rows.is_empty() {
        return None;
    }
    let mut file = sys::memory_file(c"tenrec-keys").ok()?;
    file.write_all(Value::from(rows).to_string().as_bytes()).ok()?;
    file.rewind().ok()?;
    Some(file)
}

/// Takes over what the master before this one left: its keys into the plan, and its sessions. What cannot be read, or
/// means something else here, is left alone. To be called once, before anything is opened.
pub(crate) fn inherit(plan: &mut Plan) -> Tables {
    let rows = std::env::var(MEMORY).ok().and_then(|text| serde_json::from_str::<Vec<Row>>(&text).ok());
    let (mut zones, mut taken) = (Vec::new(), HashSet::from([0, 1, 2]));
    for (layout, name, upstream, size, fd) in rows.unwrap_or_default() {
        if !taken.insert(fd) {
            continue;
        }
        let Some(mut file) = sys::inherited_file(fd) else { continue };
        if layout == KEYS {
            take_keys(plan, &mut file);
            continue;
        }
        let learns =
            |u: &&crate::plan::Upstream| matches!(&u.sticky, Some(Sticky::Learn(l)) if *l.zone == *name);
        let same = plan.upstreams.iter().find(learns).is_some_and(|u| *u.name == *upstream);
        if layout != i64::from(Table::LAYOUT) || !same {
            continue;
        }
        let Ok(table) = Table::inherited(size, file) else { continue };
        zones.push(Zone {
            name: name.into(),
            upstream: upstream.into(),
            size,
            timeout: Duration::ZERO,
            snapshot: None,
            table: Arc::new(table),
            fresh: false,
        });
    }
    Tables::inherited(zones)
}

fn take_keys(plan: &mut Plan, file: &mut File) {
    let mut text = String::new();
    if file.take(KEYS_LONGEST).read_to_string(&mut text).is_err() {
        return;
    }
    let rows = serde_json::from_str::<Vec<(String, [u8; 32])>>(&text).unwrap_or_default();
    for (name, secret) in rows {
        for upstream in plan.upstreams.iter_mut().filter(|u| *u.name == *name) {
            upstream.take_random_keys(vec![PinKey::made_up(secret)]);
        }
    }
}
