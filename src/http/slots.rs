//! The variables that the configuration makes: what was set, or what their tables say.

use std::net::{IpAddr, SocketAddr};

use super::captures::run_regex;
use super::{Request, realip};
use crate::diag::Severity;
use crate::plan::{Geo, Made, Map, Plan, Slot, SlotId, Split};
use crate::vars::{self, Source};

/// How deep tables may ask each other.
const DEPTH: u8 = 100;

impl Request {
    /// Sets a variable; it stays set for the rest of the request.
    pub(super) fn set_slot(&self, slot: SlotId, value: Vec<u8>) {
        if let Some(place) = self.slots.borrow_mut().get_mut(slot.ix()) {
            *place = Some(value);
        }
    }

    /// Appends the value of a variable; `false`: it has none.
    pub(super) fn slot(&self, id: SlotId, out: &mut Vec<u8>) -> bool {
        if let Some(Some(value)) = self.slots.borrow().get(id.ix()) {
            out.extend_from_slice(value);
            return true;
        }
        let plan = self.plan.clone();
        let Some(slot) = plan.slots.get(id.ix()) else { return false };
        match &slot.made {
            Made::Capture => false,
            Made::Var(var) => self.append(var, out),
            Made::Set => {
                if self.location().uninitialized_variable_warn {
                    self.thread.log_error(
                        self,
                        Severity::Warn,
                        format_args!("using uninitialized \"{}\" variable", slot.name),
                    );
                }
                self.set_slot(id, Vec::new());
                true
            }
            Made::Map(map) => self.table(&plan, slot, id, map.volatile, out, |req, plan, out| {
                let mut of = Vec::new();
                vars::eval(&map.of, req, &mut of);
                let found = find(req, plan, map, &mut of).or(map.default);
                if let Some(value) = found.and_then(|i| map.values.get(i as usize)) {
                    vars::eval(value, req, out);
                }
            }),
            Made::Geo(geo) => self.table(&plan, slot, id, geo.volatile, out, |req, _, out| {
                out.extend_from_slice(by_address(req, geo));
            }),
            Made::Split(split) => self.table(&plan, slot, id, false, out, |req, _, out| {
                out.extend_from_slice(share(split, &vars::eval_to_vec(&split.of, req)));
            }),
        }
    }

    /// A value out of a table, which is remembered unless it is volatile.
    fn table(
        &self,
        plan: &Plan,
        slot: &Slot,
        id: SlotId,
        volatile: bool,
        out: &mut Vec<u8>,
        value: impl FnOnce(&Self, &Plan, &mut Vec<u8>),
    ) -> bool {
        let depth = self.depth.get();
        if depth >= DEPTH {
            self.thread.log_error(
                self,
                Severity::Error,
                format_args!("cycle while evaluating variable \"{}\"", slot.name),
            );
            return false;
        }
        self.depth.set(depth + 1);
        let start = out.len();
        value(self, plan, out);
        self.depth.set(depth);
        if !volatile {
            self.set_slot(id, out.get(start..).unwrap_or_default().to_vec());
        }
        true
    }
}

/// The entry for a value: nginx's order is exact, `*.x`, `x.*`, regexes.
fn find(req: &Request, plan: &Plan, map: &Map, of: &mut Vec<u8>) -> Option<u32> {
    if map.hostnames && of.last() == Some(&b'.') {
        of.pop();
    }
    let fixed = !(map.exact.is_empty() && map.head.is_empty() && map.tail.is_empty());
    if fixed {
        let found = req.thread.scratch(|low| {
            low.extend_from_slice(of);
            low.make_ascii_lowercase();
            by_name(map, low)
        });
        if found.is_some() {
            return found;
        }
    }
    if of.is_empty() {
        return None;
    }
    for &(regex, value) in &map.regexes {
        match run_regex(req, plan, regex, of) {
            Ok(true) => return Some(value),
            Ok(false) => {}
            Err(_) => return None,
        }
    }
    None
}

pub(super) fn by_name(map: &Map, name: &[u8]) -> Option<u32> {
    if let Some(&value) = map.exact.get(name) {
        return Some(value);
    }
    let dots = || memchr::memchr_iter(b'.', name).filter(|&at| at > 0);
    if !map.head.is_empty()
        && let Some(&value) = dots().find_map(|at| map.head.get(name.get(at..)?))
    {
        return Some(value);
    }
    if map.tail.is_empty() {
        return None;
    }
    memchr::memrchr_iter(b'.', name).find_map(|at| map.tail.get(name.get(..=at)?)).copied()
}

/// The value of the network that an address is in. What is no address is 255.255.255.255, as in nginx.
fn by_address<'g>(req: &Request, geo: &'g Geo) -> &'g [u8] {
    let nobody = IpAddr::from([255; 4]);
    let client = match &geo.of {
        None => Some(req.conn.client.map_or(SocketAddr::new(nobody, 0), |client| client)),
        Some(of) => {
            let text = vars::eval_to_vec(of, req);
            let ip = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
            ip.map(|ip| SocketAddr::new(ip, 0))
        }
    };
    let told = || realip::told(req, client?, geo.proxies.as_ref()?);
    let ip = told().or(client).map_or(nobody, |client| client.ip());
    geo.networks.find(ip).and_then(|ix| geo.values.get(ix as usize)).map_or(b"", |value| value)
}

/// The part that a text falls into.
fn share<'a>(split: &'a Split, text: &[u8]) -> &'a [u8] {
    let hash = murmur2(text);
    let part = split.parts.iter().find(|(below, _)| below.is_none_or(|b| hash < b));
    part.map_or(b"", |(_, value)| value)
}

/// MurmurHash2 with the seed that nginx has, its length.
fn murmur2(text: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut chunks = text.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes(chunk.try_into().expect("chunks of four bytes")).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, &b) in rest.iter().enumerate() {
            hash ^= u32::from(b) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}
