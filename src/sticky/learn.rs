//! `sticky learn` on a request's way: the session's name, and the zones of a plan.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::table::{Key, Learned, Sid, Table};
use crate::plan::{LearnSnapshot, PeerId, Plan, Sticky, StickyLearn, Template, Upstream, UpstreamId};
use crate::vars::{self, Source};

/// The tables of a plan's upstreams.
#[derive(Debug, Clone, Default)]
pub struct Tables(Arc<[Option<Zone>]>);

/// A zone of `sticky learn`.
#[derive(Debug, Clone)]
pub struct Zone {
    pub name: Box<str>,
    pub upstream: Box<str>,
    /// Bytes, as configured.
    pub size: usize,
    pub timeout: Duration,
    pub snapshot: Option<LearnSnapshot>,
    pub table: Arc<Table>,
    /// Nothing of it was there before.
    pub fresh: bool,
}

/// Why there are no tables.
#[derive(Debug)]
pub enum NoTables {
    /// nginx's words.
    Moved(String),
    Memory(io::Error),
}

impl Tables {
    /// Makes the zones of a plan; those of `old` that have the same name and size are taken over with all that is in
    /// them, those that have another size now with what there is room for. `now` is milliseconds since 1970.
    pub fn open(plan: &Plan, old: &Self, now: u64) -> Result<Self, NoTables> {
        plan.upstreams.iter().map(|u| zone(u, old, now)).collect::<Result<_, _>>().map(Self)
    }

    /// Zones that another master has left.
    pub fn inherited(zones: Vec<Zone>) -> Self {
        Self(zones.into_iter().map(Some).collect())
    }

    pub fn get(&self, upstream: UpstreamId) -> Option<&Arc<Table>> {
        Some(&self.0.get(upstream.ix())?.as_ref()?.table)
    }

    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.0.iter().flatten()
    }

    /// Takes over what those who still work with `old` have learned meanwhile, where a zone has another size now.
    pub fn catch_up(&self, old: &Self, now: u64) {
        for zone in self.zones() {
            if let Some(was) = old.resized(zone) {
                zone.take_over(was, now);
            }
        }
    }

    /// Whether [`Self::catch_up`] with `old` has anything to do.
    pub fn differ(&self, old: &Self) -> bool {
        self.zones().any(|zone| old.resized(zone).is_some())
    }

    /// What `zone` was before it had another size.
    fn resized(&self, zone: &Zone) -> Option<&Zone> {
        let same = |z: &&Zone| z.name == zone.name && z.upstream == zone.upstream;
        self.zones().find(same).filter(|z| !Arc::ptr_eq(&z.table, &zone.table))
    }
}

impl Zone {
    fn take_over(&self, was: &Self, now: u64) {
        for session in was.table.sessions(now, self.timeout) {
            self.table.restore(session, now, self.timeout);
        }
    }
}

fn zone(upstream: &Upstream, old: &Tables, now: u64) -> Result<Option<Zone>, NoTables> {
    let Some(Sticky::Learn(learn)) = &upstream.sticky else { return Ok(None) };
    let known = old.zones().find(|z| z.name == learn.zone);
    let mut zone = Zone {
        name: learn.zone.clone(),
        upstream: upstream.name.clone(),
        size: learn.size,
        timeout: learn.timeout,
        snapshot: learn.snapshot.clone(),
        table: match known.filter(|z| z.size == learn.size) {
            Some(known) if known.upstream == upstream.name => known.table.clone(),
            Some(known) => {
                return Err(NoTables::Moved(format!(
                    "sticky zone \"{}\" is used in upstream \"{}\" while previously it was used in upstream \"{}\"",
                    known.name, upstream.name, known.upstream
                )));
            }
            None => Arc::new(Table::new(learn.size).map_err(NoTables::Memory)?),
        },
        fresh: known.is_none(),
    };
    match known.filter(|was| was.size != zone.size) {
        Some(was) if was.upstream == zone.upstream => zone.take_over(was, now),
        Some(_) => zone.fresh = true,
        None => {}
    }
    Ok(Some(zone))
}

/// The first of `texts` that is not empty, appended to `out`.
pub fn first<S: Source>(texts: &[Template], source: &S, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    texts.iter().any(|text| {
        vars::eval(text, source, out);
        out.len() > start
    })
}

/// The session's name and what the table says about it. `None`: the request has no session.
pub fn look_up<S: Source>(
    learn: &StickyLearn,
    table: &Table,
    source: &S,
    now: u64,
) -> Option<(Key, Option<Sid>)> {
    let mut name = Vec::new();
    if !first(&learn.lookup, source, &mut name) {
        return None;
    }
    let key = Key::of(&name);
    Some((key, table.look_up(key, now, learn.timeout)))
}

/// Notes which peer answered, for which session. `asked` is the name that the request came with: known, it is kept alive when the answer
/// names none.
pub fn learn<S: Source>(
    of: (&Upstream, &StickyLearn, &Table),
    peer: PeerId,
    asked: Option<Key>,
    source: &S,
    now: u64,
) -> (Learned, Option<Key>) {
    let (upstream, learn, table) = of;
    let Some(sid) = upstream.sids.get(peer.ix()) else { return (Learned::Unknown, None) };
    let mut name = Vec::new();
    let (key, create) = match first(&learn.create, source, &mut name) {
        true => (Key::of(&name), true),
        false => match asked {
            Some(key) => (key, false),
            None => return (Learned::Unknown, None),
        },
    };
    (table.learn(key, sid, create, now, learn.timeout), Some(key))
}
