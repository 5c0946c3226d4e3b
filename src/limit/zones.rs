//! The zones of a plan.

use std::io;
use std::sync::Arc;

use super::Zone;
use crate::plan::{LimitKind, LimitZone, Plan};

/// The zones of a plan, in its order.
#[derive(Debug, Clone, Default)]
pub struct Zones(Arc<[Open]>);

#[derive(Debug, Clone)]
struct Open {
    name: Box<str>,
    kind: LimitKind,
    key: Box<[u8]>,
    bytes: usize,
    zone: Arc<Zone>,
}

/// Why a plan cannot have its zones.
#[derive(Debug, thiserror::Error)]
pub enum NoZone {
    /// nginx's words.
    #[error("{0}")]
    Rekeyed(String),
    #[error("mmap() failed")]
    Memory(#[from] io::Error),
}

impl Zones {
    /// Makes the zones of a plan; those of `old` that have the same name, kind and size are taken over with all that is in
    /// them.
    pub fn open(plan: &Plan, old: Option<&Self>) -> Result<Self, NoZone> {
        plan.limit_zones.iter().map(|zone| open(zone, old)).collect::<Result<_, _>>().map(Self)
    }

    /// By its number in the plan.
    pub fn get(&self, at: usize) -> Option<&Arc<Zone>> {
        self.0.get(at).map(|open| &open.zone)
    }

    /// Forgets the connections: nobody is left that could end them.
    pub fn nobody_connected(&self) {
        self.0.iter().filter(|open| open.kind == LimitKind::Connections).for_each(|open| open.zone.clear());
    }
}

fn open(zone: &LimitZone, old: Option<&Zones>) -> Result<Open, NoZone> {
    let same = |open: &&Open| open.name == zone.name && open.kind == zone.kind && open.bytes == zone.bytes;
    let known = old.and_then(|old| old.0.iter().find(same));
    if let Some(known) = known.filter(|known| known.key != zone.key_text) {
        return Err(NoZone::Rekeyed(format!(
            "{} \"{}\" uses the \"{}\" key while previously it used the \"{}\" key",
            match zone.kind {
                LimitKind::Requests { .. } => "limit_req",
                LimitKind::Connections => "limit_conn_zone",
            },
            zone.name,
            String::from_utf8_lossy(&zone.key_text),
            String::from_utf8_lossy(&known.key)
        )));
    }
    Ok(Open {
        name: zone.name.clone(),
        kind: zone.kind,
        key: zone.key_text.clone(),
        bytes: zone.bytes,
        zone: match known {
            Some(known) => Arc::clone(&known.zone),
            None => Arc::new(Zone::new(zone.bytes)?),
        },
    })
}
