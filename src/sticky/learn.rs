//! `sticky learn` on a request's way: the session's name, and the zones of a plan.

use std::io;
use std::sync::Arc;

use super::table::{Key, Learned, Sid, Table};
use crate::plan::{PeerId, Plan, Sticky, StickyLearn, Template, Upstream, UpstreamId};
use crate::vars::{self, Source};

/// The tables of a plan's upstreams.
#[derive(Debug, Clone, Default)]
pub struct Tables(Arc<[Option<Zone>]>);

#[derive(Debug, Clone)]
struct Zone {
    name: Box<str>,
    upstream: Box<str>,
    size: usize,
    table: Arc<Table>,
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
    /// them.
    pub fn open(plan: &Plan, old: &Self) -> Result<Self, NoTables> {
        plan.upstreams.iter().map(|u| zone(u, old)).collect::<Result<_, _>>().map(Self)
    }

    pub fn get(&self, upstream: UpstreamId) -> Option<&Table> {
        Some(&*self.0.get(upstream.ix())?.as_ref()?.table)
    }
}

fn zone(upstream: &Upstream, old: &Tables) -> Result<Option<Zone>, NoTables> {
    let Some(Sticky::Learn(learn)) = &upstream.sticky else { return Ok(None) };
    let known = old.0.iter().flatten().find(|z| z.name == learn.zone && z.size == learn.size);
    if let Some(zone) = known {
        if zone.upstream == upstream.name {
            return Ok(Some(zone.clone()));
        }
        return Err(NoTables::Moved(format!(
            "sticky zone \"{}\" is used in upstream \"{}\" while previously it was used in upstream \"{}\"",
            zone.name, upstream.name, zone.upstream
        )));
    }
    let table = Table::new(learn.size).map_err(NoTables::Memory)?;
    let (name, upstream) = (learn.zone.clone(), upstream.name.clone());
    Ok(Some(Zone { name, upstream, size: learn.size, table: Arc::new(table) }))
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

/// Notes which peer answered. `asked` is the name that the request came with: known, it is kept alive when the answer
/// names none.
pub fn learn<S: Source>(
    of: (&Upstream, &StickyLearn, &Table),
    peer: PeerId,
    asked: Option<Key>,
    source: &S,
    now: u64,
) -> Learned {
    let (upstream, learn, table) = of;
    let Some(sid) = upstream.sids.get(peer.ix()) else { return Learned::Known };
    let mut name = Vec::new();
    let (key, create) = match first(&learn.create, source, &mut name) {
        true => (Key::of(&name), true),
        false => match asked {
            Some(key) => (key, false),
            None => return Learned::Known,
        },
    };
    table.learn(key, sid, create, now, learn.timeout)
}
