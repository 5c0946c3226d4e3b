//! Where the settings of two configurations differ.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::effective::{Block, Held, Source};
use crate::diag::SourceMap;
use crate::directives::Merge;
use crate::source::Conf;

/// One setting that is another one now, in one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `http / server shop.example (80) / location /x`
    pub block: String,
    /// Where the block is in the new configuration; a block that is gone: in the old one.
    pub place: String,
    pub name: String,
    /// The lines that held, and those that hold; empty: none, and no default.
    pub before: Vec<String>,
    pub after: Vec<String>,
    /// Lines that the block inherited and has no more because it has lines of its own now.
    pub lost: Vec<String>,
    /// Blocks inside that inherit the difference.
    pub inherited_by: usize,
}

/// A block that only one of them has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alone {
    pub block: String,
    pub place: String,
    /// It is the new one's.
    pub added: bool,
    /// Lines around it that it does not inherit because it has lines of its own.
    pub lost: Vec<String>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pub changed: Vec<Setting>,
    pub alone: Vec<Alone>,
}

/// Compares what holds in every block.
pub fn compare(old: &Conf, new: &Conf) -> Settings {
    let mut out = Settings::default();
    let (a, b) = (Block::of(old), Block::of(new));
    let mut walk = Walk { old: &old.map, new: &new.map, out: &mut out };
    walk.blocks(&[&a], &[&b], "", &[]);
    out
}

struct Walk<'w> {
    old: &'w SourceMap,
    new: &'w SourceMap,
    out: &'w mut Settings,
}

/// A difference that blocks inside may inherit: index into `changed`.
type Above<'a> = &'a [(usize, Vec<String>, Vec<String>)];

impl Walk<'_> {
    fn blocks(&mut self, old: &[&Block<'_>], new: &[&Block<'_>], label: &str, above: Above<'_>) {
        let (Some(a), Some(b)) = (old.last(), new.last()) else { return };
        let mut inner = above.to_vec();
        let names: BTreeSet<&String> = a.names().chain(b.names()).collect();
        let own: Vec<String> = names.into_iter().cloned().collect();
        let inherited: Vec<String> =
            above.iter().filter_map(|(at, ..)| self.out.changed.get(*at)).map(|s| s.name.clone()).collect();
        for name in own.iter().chain(inherited.iter().filter(|n| !own.contains(n))) {
            let (was, is) = (Block::held(old, name), Block::held(new, name));
            if was.same(&is) {
                inner.retain(|(at, ..)| self.out.changed.get(*at).is_none_or(|s| s.name != *name));
                continue;
            }
            let (before, after) = (was.shown(), is.shown());
            let same = inner.iter().find(|(at, x, y)| {
                *x == before && *y == after && self.out.changed.get(*at).is_some_and(|s| s.name == *name)
            });
            if let Some(&(at, ..)) = same {
                if let Some(setting) = self.out.changed.get_mut(at) {
                    setting.inherited_by += 1;
                }
                continue;
            }
            let lost = lost(a, b, name, &was, &is);
            inner.retain(|(at, ..)| self.out.changed.get(*at).is_none_or(|s| s.name != *name));
            inner.push((self.out.changed.len(), before.clone(), after.clone()));
            self.out.changed.push(Setting {
                block: if label.is_empty() { "main".to_owned() } else { label.to_owned() },
                place: place(self.new, b),
                name: name.clone(),
                before,
                after,
                lost,
                inherited_by: 0,
            });
        }
        self.inside(old, new, label, &inner);
    }

    fn inside(&mut self, old: &[&Block<'_>], new: &[&Block<'_>], label: &str, above: Above<'_>) {
        let (Some(a), Some(b)) = (old.last(), new.last()) else { return };
        let (pairs, taken) = pair(a, b);
        for (i, x) in a.blocks.iter().enumerate() {
            let name = join(label, &x.key);
            match pairs.get(i).copied().flatten().and_then(|r| b.blocks.get(r)) {
                Some(y) => {
                    let old: Vec<&Block<'_>> = old.iter().copied().chain([x]).collect();
                    let new: Vec<&Block<'_>> = new.iter().copied().chain([y]).collect();
                    self.blocks(&old, &new, &join(label, &y.key), above);
                }
                None => self.out.alone.push(Alone {
                    block: name,
                    place: place(self.old, x),
                    added: false,
                    lost: Vec::new(),
                }),
            }
        }
        for (i, y) in b.blocks.iter().enumerate() {
            if taken.get(i) == Some(&false) {
                let alone = Alone {
                    block: join(label, &y.key),
                    place: place(self.new, y),
                    added: true,
                    lost: begun(new, y),
                };
                self.out.alone.push(alone);
            }
        }
    }
}

fn join(label: &str, key: &str) -> String {
    if label.is_empty() { key.to_owned() } else { format!("{label} / {key}") }
}

fn place(map: &SourceMap, block: &Block<'_>) -> String {
    let Some((file, offset)) = block.at() else { return String::new() };
    let file = map.file(file);
    format!("{}:{}", file.name, file.line_col(offset).0)
}

/// What a list had by inheritance, and has no more because the block has begun one of its own.
fn lost(a: &Block<'_>, b: &Block<'_>, name: &str, was: &Held, is: &Held) -> Vec<String> {
    let begun = a.own(name).is_none()
        && b.own(name).is_some_and(|s| s.merge == Merge::List)
        && was.source == Source::Inherited;
    if !begun {
        return Vec::new();
    }
    let gone = was.lines.iter().filter(|l| !is.lines.iter().any(|n| n.meaning == l.meaning));
    gone.map(|l| l.shown.clone()).collect()
}

/// What a new block would have inherited but for its own lines of the same lists.
fn begun(around: &[&Block<'_>], block: &Block<'_>) -> Vec<String> {
    let lists = block.names().filter(|n| block.own(n).is_some_and(|s| s.merge == Merge::List));
    let mut out = Vec::new();
    for name in lists {
        let own = block.own(name).map(|s| &s.lines[..]).unwrap_or_default();
        let outer = Block::held(around, name);
        if matches!(outer.source, Source::Own | Source::Inherited) {
            let gone = outer.lines.iter().filter(|l| !own.iter().any(|o| o.meaning == l.meaning));
            out.extend(gone.map(|l| l.shown.clone()));
        }
    }
    out
}

/// Which block of `b` stands for each of `a`, and which of `b` do: the same words, and servers of which a name or the
/// sockets stayed.
fn pair(a: &Block<'_>, b: &Block<'_>) -> (Vec<Option<usize>>, Vec<bool>) {
    let keys: HashMap<&str, usize> = b.blocks.iter().enumerate().map(|(i, y)| (&*y.key, i)).collect();
    let mut taken = vec![false; b.blocks.len()];
    let mut pairs: Vec<Option<usize>> = a.blocks.iter().map(|x| keys.get(&*x.key).copied()).collect();
    let mut take = |j: usize| taken.get_mut(j).map(|t| std::mem::replace(t, true));
    pairs.iter().flatten().for_each(|&j| _ = take(j));
    let is_server = |x: &Block<'_>| x.key.starts_with("server ");
    let alike: [fn(&Block<'_>, &Block<'_>) -> bool; 2] = [
        |x, y| {
            let (x, y) = (names(x), names(y));
            x.iter().any(|n| y.contains(n))
        },
        |x, y| x.args_of("listen") == y.args_of("listen"),
    ];
    for alike in alike {
        for (x, pair) in a.blocks.iter().zip(&mut pairs).filter(|(x, p)| p.is_none() && is_server(x)) {
            let free = |j: usize| taken.get(j) == Some(&false);
            let found = b.blocks.iter().enumerate().find(|(j, y)| free(*j) && is_server(y) && alike(x, y));
            if let Some((j, _)) = found {
                *pair = Some(j);
                if let Some(taken) = taken.get_mut(j) {
                    *taken = true;
                }
            }
        }
    }
    (pairs, taken)
}

fn names(server: &Block<'_>) -> Vec<String> {
    server.args_of("server_name").iter().flat_map(|l| l.split(' ')).map(str::to_owned).collect()
}

impl Settings {
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.alone.is_empty()
    }

    pub fn json(&self) -> Value {
        let changed = self.changed.iter().map(|s| {
            json!({
                "block": s.block, "place": s.place, "setting": s.name, "before": s.before, "after": s.after,
                "lost": s.lost, "inherited_by": s.inherited_by,
            })
        });
        let alone = self.alone.iter().map(|a| {
            json!({ "block": a.block, "place": a.place, "change": if a.added { "added" } else { "removed" },
                "lost": a.lost })
        });
        json!({ "changed": changed.collect::<Vec<_>>(), "blocks": alone.collect::<Vec<_>>() })
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        for a in &self.alone {
            let mark = if a.added { "+" } else { "-" };
            out += &format!("{mark} {} ({})\n", a.block, a.place);
            if !a.lost.is_empty() {
                out += &format!("    ! not inherited here: {}\n", a.lost.join("; "));
            }
        }
        let mut last = "";
        for s in &self.changed {
            if s.block != last {
                last = &s.block;
                let place = if s.place.is_empty() { String::new() } else { format!(" ({})", s.place) };
                out += &format!("~ {}{place}\n", s.block);
            }
            let inner = match s.inherited_by {
                0 => String::new(),
                1 => ", and a block inside".to_owned(),
                n => format!(", and {n} blocks inside"),
            };
            out += &format!("    {}{inner}\n", s.name);
            // What stayed of a list is not told.
            for line in s.before.iter().filter(|l| !s.after.contains(l)) {
                out += &format!("    - {line}\n");
            }
            for line in s.after.iter().filter(|l| !s.before.contains(l)) {
                out += &format!("    + {line}\n");
            }
            if s.before.iter().all(|l| s.after.contains(l)) && s.before.len() == s.after.len() {
                out += "    (in another order)\n";
            }
            if !s.lost.is_empty() {
                out += &format!("    ! no longer inherited here: {}\n", s.lost.join("; "));
            }
        }
        out
    }
}
