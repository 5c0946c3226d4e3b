//! What names meant last, in memory that outlives the worker: the one after a reload, or after a crash, begins with it.
//!
//! Each upstream has a region, as large as its zone, with JSON in it. One worker writes; who reads meanwhile tries again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*, fence};

use serde_json::{Value, json};

use super::live::Found;
use crate::plan::{DynamicServer, Plan, Upstream};
use crate::sys::SharedMemory;

/// Words before the text: a version, odd while it is written, and the text's length.
const HEAD: usize = 2;
/// The text's room at least, bytes.
const LEAST: usize = 32 * 1024;
/// Looks at a region that is being written before it is given up.
const PATIENCE: u32 = 1000;

/// The regions of a plan's upstreams.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<[Option<Region>]>);

#[derive(Debug, Clone)]
struct Region {
    zone: Box<str>,
    upstream: Box<str>,
    words: Arc<SharedMemory>,
}

/// What the lines of an upstream meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Vec<(Line, Known)>);

/// What a line asks for: host and service.
type Line = (Box<str>, Option<Box<str>>);

/// What a line meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) found: Vec<Found>,
    /// The last second at which it holds.
    pub(super) valid: i64,
}

impl Memory {
    /// Regions for a plan; what `old` knows of upstreams that stay goes into the new ones.
    pub fn open(plan: &Plan, old: &Self) -> io::Result<Self> {
        plan.upstreams.iter().map(|u| region(u, old).transpose()).collect::<io::Result<_>>().map(Self)
    }

    pub(super) fn read(&self, ix: usize) -> Kept {
        let text = self.0.get(ix).and_then(Option::as_ref).and_then(Region::read);
        text.and_then(|t| serde_json::from_slice(&t).ok()).map_or_else(Kept::default, |v| Kept::of(&v))
    }

    pub(super) fn write(&self, ix: usize, kept: &Kept) {
        if let Some(region) = self.0.get(ix).and_then(Option::as_ref) {
            region.write(kept.json().to_string().as_bytes());
        }
    }
}

fn region(upstream: &Upstream, old: &Memory) -> Option<io::Result<Region>> {
    let (dynamic, zone) = (upstream.dynamic.as_deref()?, upstream.zone.clone()?);
    let words = HEAD + dynamic.zone_size.max(LEAST).div_ceil(8);
    let words = match SharedMemory::new(words) {
        Ok(words) => Arc::new(words),
        Err(e) => return Some(Err(e)),
    };
    let region = Region { zone, upstream: upstream.name.clone(), words };
    let same = |r: &&Region| r.zone == region.zone && r.upstream == region.upstream;
    if let Some(text) = old.0.iter().flatten().find(same).and_then(Region::read) {
        region.write(&text);
    }
    Some(Ok(region))
}

impl Region {
    /// `None`: nothing was written, or it is being written all the time.
    fn read(&self) -> Option<Vec<u8>> {
        let (head, text) = self.words.split_at_checked(HEAD)?;
        for _ in 0..PATIENCE {
            let version = head.first()?.load(Acquire);
            if version % 2 == 0 {
                let len = usize::try_from(head.get(1)?.load(Relaxed)).ok()?;
                let load = |w: &AtomicU64| w.load(Relaxed).to_le_bytes();
                let mut bytes: Vec<u8> = text.get(..len.div_ceil(8))?.iter().flat_map(load).collect();
                bytes.truncate(len);
                fence(Acquire);
                if head.first()?.load(Relaxed) == version {
                    return (version > 0).then_some(bytes);
                }
            }
            std::thread::yield_now();
        }
        None
    }

    /// What has no room is not written, and what was there stays.
    fn write(&self, bytes: &[u8]) {
        let Some((head, text)) = self.words.split_at_checked(HEAD) else { return };
        let (Some(version), Some(len)) = (head.first(), head.get(1)) else { return };
        if bytes.len().div_ceil(8) > text.len() {
            return;
        }
        // A writer that died has left it odd.
        let next = (version.load(Relaxed) | 1) + 1;
        version.store(next - 1, Relaxed);
        fence(Release);
        for (word, chunk) in text.iter().zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            eight.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            word.store(u64::from_le_bytes(eight), Relaxed);
        }
        len.store(bytes.len() as u64, Relaxed);
        version.store(next, Release);
    }
}

impl Kept {
    pub(super) fn get(&self, server: &DynamicServer) -> Option<&Known> {
        let same = |(k, _): &&(Line, Known)| k.0 == server.host && k.1 == server.service;
        self.0.iter().find(same).map(|(_, known)| known)
    }

    pub(super) fn put(&mut self, server: &DynamicServer, known: Known) {
        self.0.retain(|(k, _)| k.0 != server.host || k.1 != server.service);
        self.0.push(((server.host.clone(), server.service.clone()), known));
    }

    fn json(&self) -> Value {
        let found = |f: &Found| json!([f.addr.to_string(), f.name, f.weight, f.backup]);
        let line = |((host, service), known): &(Line, Known)| {
            let list: Vec<Value> = known.found.iter().map(found).collect();
            json!({ "host": host, "service": service, "valid": known.valid, "found": list })
        };
        self.0.iter().map(line).collect()
    }

    fn of(value: &Value) -> Self {
        let text = |v: &Value| v.as_str().map(Box::<str>::from);
        let found = |v: &Value| {
            Some(Found {
                addr: v.get(0)?.as_str()?.parse::<SocketAddr>().ok()?,
                name: v.get(1).and_then(text),
                weight: u32::try_from(v.get(2)?.as_u64()?).ok()?,
                backup: v.get(3)?.as_bool()?,
            })
        };
        let line = |v: &Value| {
            let key = (text(v.get("host")?)?, v.get("service").and_then(text));
            let list = v.get("found")?.as_array()?.iter().filter_map(found).collect();
            Some((key, Known { found: list, valid: v.get("valid")?.as_i64()? }))
        };
        Self(value.as_array().map(|list| list.iter().filter_map(line).collect()).unwrap_or_default())
    }
}
