//! `map`, `split_clients`, `geo`: tables that make variables.

use std::collections::HashMap;

use super::cx::show;
use super::script::made_name;
use super::text::{Pattern, Text};
use super::{Cx, Geo};
use crate::source::Dir;

/// A variable and the table that it is looked up in.
#[derive(Debug, Clone)]
pub struct Table {
    /// Lower-case, without `$`.
    pub name: Box<str>,
    pub kind: TableKind,
}

#[derive(Debug, Clone)]
pub enum TableKind {
    Map(Map),
    Split(Split),
    Geo(Geo),
}

/// A `map` block. Numbers are indices into `values`.
#[derive(Debug, Clone, Default)]
pub struct Map {
    pub of: Text,
    pub hostnames: bool,
    pub volatile: bool,
    /// Lower-case.
    pub exact: HashMap<Box<[u8]>, u32>,
    /// `*.example.com` kept as `.example.com`.
    pub head: HashMap<Box<[u8]>, u32>,
    /// `www.example.*` kept as `www.example.`.
    pub tail: HashMap<Box<[u8]>, u32>,
    pub regexes: Vec<(Pattern, u32)>,
    pub values: Vec<Text>,
    pub default: Option<u32>,
}

/// A `split_clients` block: a hash below the number has the value, `None`: every hash has.
#[derive(Debug, Clone, Default)]
pub struct Split {
    pub of: Text,
    pub parts: Vec<(Option<u32>, Box<[u8]>)>,
}

impl Table {
    pub fn knows(name: &str) -> bool {
        matches!(name, "map" | "split_clients" | "geo")
    }

    /// Reads a block; `None`: it was refused.
    pub fn read(cx: &mut Cx<'_>, d: Dir<'_>) -> Option<Self> {
        if d.name() == "geo" {
            let (name, of) = match d.args() {
                [name] => (&name.value, None),
                _ if d.arg(0).first() != Some(&b'$') => {
                    cx.emerg(d, format!("invalid variable name \"{}\"", show(d.arg(0))));
                    return None;
                }
                _ => (&d.args().get(1)?.value, Some(Text::read(cx, d, d.arg(0))?)),
            };
            let name = made_name(cx, d, name)?;
            return Some(Self { name, kind: TableKind::Geo(Geo::read(cx, d, of)) });
        }
        let of = Text::read(cx, d, d.arg(0))?;
        let name = made_name(cx, d, d.arg(1))?;
        let kind = match d.name() {
            "map" => TableKind::Map(Map::read(cx, d, of)),
            _ => TableKind::Split(Split::read(cx, d, of)),
        };
        Some(Self { name, kind })
    }
}

/// Why a name is not taken.
enum Refusal {
    Invalid,
    Busy,
}

impl Map {
    fn read(cx: &mut Cx<'_>, block: Dir<'_>, of: Text) -> Self {
        let mut map = Self { of, ..Self::default() };
        let mut known = HashMap::new();
        for d in block.children() {
            let key = &d.node().name.value[..];
            match (key, d.args()) {
                (b"hostnames", []) => map.hostnames = true,
                (b"volatile", []) => map.volatile = true,
                (_, [value]) => {
                    let value = &value.value[..];
                    let index = match known.get(value) {
                        Some(&index) => index,
                        None => {
                            let Some(text) = Text::read(cx, d, value) else { continue };
                            let index = map.values.len() as u32;
                            map.values.push(text);
                            known.insert(value.to_vec(), index);
                            index
                        }
                    };
                    map.entry(cx, d, key, index);
                }
                _ => cx.emerg(d, "invalid number of the map parameters"),
            }
        }
        map
    }

    fn entry(&mut self, cx: &mut Cx<'_>, d: Dir<'_>, key: &[u8], value: u32) {
        if key == b"default" {
            if self.default.is_some() {
                return cx.emerg(d, "duplicate default map parameter");
            }
            self.default = Some(value);
            return;
        }
        if let Some(regex) = key.strip_prefix(b"~") {
            let (text, caseless) = regex.strip_prefix(b"*").map_or((regex, false), |rest| (rest, true));
            self.regexes.push((Pattern { text: text.into(), caseless, at: d.at() }, value));
            return;
        }
        let key = key.strip_prefix(b"\\").unwrap_or(key);
        if let Err(words) = self.add_name(key, value) {
            cx.emerg(d, words);
        }
    }

    /// Adds a host name, which may have a wildcard; `Err`: nginx's words.
    pub(super) fn add_name(&mut self, key: &[u8], value: u32) -> Result<(), String> {
        self.name(key, value).map_err(|why| match why {
            Refusal::Invalid => format!("invalid hostname or wildcard \"{}\"", show(key)),
            Refusal::Busy => format!("conflicting parameter \"{}\"", show(key)),
        })
    }

    /// Adds a text, which may be a name with a wildcard among `hostnames`.
    fn name(&mut self, key: &[u8], value: u32) -> Result<(), Refusal> {
        let key = key.to_ascii_lowercase();
        if !self.hostnames {
            return put(&mut self.exact, &key, value);
        }
        let stars = key.iter().filter(|&&b| b == b'*').count();
        if stars > 1 || key.windows(2).any(|w| w == b"..") || key.contains(&0) {
            return Err(Refusal::Invalid);
        }
        if let Some(rest) = key.strip_prefix(b".").filter(|rest| !rest.is_empty()) {
            put(&mut self.exact, rest, value)?;
            return put(&mut self.head, &key, value);
        }
        if key.len() > 2 && key.starts_with(b"*.") {
            return put(&mut self.head, key.get(1..).unwrap_or_default(), value);
        }
        if key.len() > 2 && key.ends_with(b".*") {
            return put(&mut self.tail, key.strip_suffix(b"*").unwrap_or_default(), value);
        }
        if stars > 0 {
            return Err(Refusal::Invalid);
        }
        put(&mut self.exact, &key, value)
    }
}

fn put(names: &mut HashMap<Box<[u8]>, u32>, key: &[u8], value: u32) -> Result<(), Refusal> {
    if names.contains_key(key) {
        return Err(Refusal::Busy);
    }
    names.insert(key.into(), value);
    Ok(())
}

impl Split {
    fn read(cx: &mut Cx<'_>, block: Dir<'_>, of: Text) -> Self {
        let mut parts = Vec::new();
        for d in block.children() {
            let share = &d.node().name.value[..];
            let percent = if share == b"*" {
                None
            } else {
                let Some(n) = share.strip_suffix(b"%").and_then(hundredths).filter(|&n| n > 0) else {
                    cx.emerg(d, format!("invalid percent value \"{}\"", show(share)));
                    continue;
                };
                Some(n)
            };
            parts.push((percent, Box::<[u8]>::from(d.arg(0))));
        }
        let (mut sum, mut below) = (0, 0);
        let mut split = Self { of, parts: Vec::new() };
        for (percent, value) in parts {
            sum = percent.map_or(10_000, |n| sum + n);
            if sum > 10_000 {
                cx.found.emerg(block.close_at(), "bad-value", "percent total is greater than 100%");
                break;
            }
            let limit = percent.filter(|_| sum < 10_000).map(|n| {
                below += n * u64::from(u32::MAX) / 10_000;
                u32::try_from(below).unwrap_or(u32::MAX)
            });
            split.parts.push((limit, value));
        }
        split
    }
}

/// `12.34` as 1234: at most two digits after the point.
fn hundredths(text: &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    let mut left = 2;
    let mut point = false;
    for &b in text {
        if left == 0 {
            return None;
        }
        if b == b'.' {
            if point {
                return None;
            }
            point = true;
            continue;
        }
        let digit = char::from(b).to_digit(10)?;
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        left -= u32::from(point);
    }
    if text.is_empty() {
        return None;
    }
    value.checked_mul(10_u64.pow(left)).filter(|&v| v <= u64::from(u32::MAX))
}
