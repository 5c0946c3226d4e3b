//! What holds in each block of a configuration: its own lines, what it inherits by the directive's row, else the default.

use std::collections::{BTreeMap, HashMap};

use super::words::text;
use crate::diag::FileId;
use crate::directives::{self, Context, Kind, Merge, Row};
use crate::source::{Children, Conf, Dir};
use crate::values;

/// Blocks deeper than this are not looked into.
const DEPTH: usize = 64;

/// The lines of a script, whose order is what they mean.
pub(super) const SCRIPT: &str = "rewrite rules";
const SCRIPTED: &[&str] = &["set", "if", "rewrite", "return", "break"];
/// Directives that are one setting together.
const TOGETHER: &[(&str, &[&str])] =
    &[("allow, deny", &["allow", "deny"]), ("root, alias", &["root", "alias"])];

/// A block and what is in it.
pub(super) struct Block<'c> {
    pub(super) dir: Option<Dir<'c>>,
    pub(super) context: Context,
    /// What it is known by among its siblings.
    pub(super) key: String,
    /// Its own lines by setting.
    own: BTreeMap<String, Setting>,
    pub(super) blocks: Vec<Block<'c>>,
}

/// The lines of one setting in one block.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) merge: Merge,
    pub(super) lines: Vec<Line>,
}

/// One line.
#[derive(Clone)]
pub(super) struct Line {
    /// As written.
    pub(super) shown: String,
    /// The same for everything that means the same.
    pub(super) meaning: String,
}

/// What holds in a block.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) lines: Vec<Line>,
    pub(super) source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Own,
    Inherited,
    Default,
    Unset,
}

impl Held {
    pub(super) fn same(&self, other: &Self) -> bool {
        self.lines.iter().map(|l| &l.meaning).eq(other.lines.iter().map(|l| &l.meaning))
    }

    pub(super) fn shown(&self) -> Vec<String> {
        self.lines.iter().map(|l| l.shown.clone()).collect()
    }
}

impl<'c> Block<'c> {
    pub(super) fn of(conf: &'c Conf) -> Self {
        Self::read(None, conf.main(), Context::MAIN, String::new(), 0)
    }

    fn read(
        dir: Option<Dir<'c>>,
        children: Children<'c>,
        context: Context,
        key: String,
        depth: usize,
    ) -> Self {
        let mut block = Self { dir, context, key, own: BTreeMap::new(), blocks: Vec::new() };
        let mut seen = HashMap::new();
        for child in children {
            let name = child.name();
            let Some(row) =
                directives::id(name).and_then(|id| directives::pick(id, context, child.args().len()))
            else {
                continue;
            };
            let inside = directives::opens(row, context).filter(|_| child.has_block() && depth < DEPTH);
            if SCRIPTED.contains(&name) && row.module.ends_with("rewrite_module") {
                block.add(SCRIPT, Merge::None, script(child, 0));
            } else if inside.is_none() {
                let together = TOGETHER.iter().find(|(_, names)| names.contains(&name));
                let setting = together.map_or(name, |(setting, _)| setting);
                let keyed = setting_name(setting, row, child);
                block.add(&keyed, row.merge, line(row, child));
            }
            if let Some(inside) = inside {
                let key = key_of(child, &mut seen);
                let inner = Self::read(Some(child), child.children(), inside, key, depth + 1);
                block.blocks.push(inner);
            }
        }
        block
    }

    fn add(&mut self, name: &str, merge: Merge, line: Line) {
        let setting = self.own.entry(name.to_owned()).or_insert_with(|| Setting { merge, lines: Vec::new() });
        setting.lines.push(line);
    }

    pub(super) fn at(&self) -> Option<(FileId, u32)> {
        self.dir.map(Dir::at)
    }

    /// Names of the block's own settings.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.own.keys()
    }

    pub(super) fn own(&self, name: &str) -> Option<&Setting> {
        self.own.get(name)
    }

    /// What holds in the innermost of `path`, the outermost first.
    pub(super) fn held(path: &[&Self], name: &str) -> Held {
        let Some((last, outer)) = path.split_last() else {
            return Held { lines: Vec::new(), source: Source::Unset };
        };
        if let Some(own) = last.own(name) {
            return Held { lines: own.lines.clone(), source: Source::Own };
        }
        let inherits = |b: &&&Self| b.own(name).is_some_and(|s| s.merge != Merge::None);
        // Nothing is inherited past the block that a setting's family begins with.
        if let Some(block) = outer.iter().rev().find(inherits)
            && let Some(own) = block.own(name)
        {
            return Held { lines: own.lines.clone(), source: Source::Inherited };
        }
        match default(name, last.context) {
            Some(line) => Held { lines: vec![line], source: Source::Default },
            None => Held { lines: Vec::new(), source: Source::Unset },
        }
    }

    /// The arguments of its own lines of a directive.
    pub(super) fn args_of(&self, name: &str) -> Vec<String> {
        let lines = self.own(name).map(|s| &s.lines[..]).unwrap_or_default();
        lines.iter().map(|l| l.shown.strip_prefix(name).unwrap_or(&l.shown).trim().to_owned()).collect()
    }
}

/// Tables that have a name of their own are a setting each.
fn setting_name(name: &str, row: &Row, dir: Dir<'_>) -> String {
    match name {
        "map" | "geo" | "split_clients" => {
            let last = dir.args().last().map(|w| text(&w.value)).unwrap_or_default();
            format!("{name} {last}")
        }
        "log_format" | "limit_req_zone" | "limit_conn_zone" | "proxy_cache_path" => {
            format!("{name} {}", text(dir.arg(0)))
        }
        _ if row.kind == Kind::Keyval && row.merge == Merge::None => format!("{name} {}", text(dir.arg(0))),
        _ => name.to_owned(),
    }
}

fn words(dir: Dir<'_>) -> Vec<String> {
    dir.args().iter().map(|w| text(&w.value)).collect()
}

fn line(row: &Row, dir: Dir<'_>) -> Line {
    let words = words(dir);
    let mut shown = std::iter::once(dir.name().to_owned()).chain(words.iter().map(|w| quoted(w)));
    let mut shown = shown.by_ref().collect::<Vec<_>>().join(" ");
    let mut meaning = meaning(row, &words);
    if dir.has_block() {
        let inside: Vec<String> = dir
            .children()
            .map(|d| std::iter::once(d.name().to_owned()).chain(self::words(d)).collect::<Vec<_>>().join(" "))
            .collect();
        shown += &format!(" {{ {} }}", inside.join("; "));
        meaning += &format!("{{{}}}", inside.join("\u{1}"));
    }
    let name = if row.name == "allow" || row.name == "deny" || row.name == "alias" { row.name } else { "" };
    Line { shown, meaning: format!("{name}{meaning}") }
}

fn default(name: &str, context: Context) -> Option<Line> {
    let row = directives::id(name).and_then(|id| id.row(context))?;
    let words: Vec<String> = row.default?.split_ascii_whitespace().map(str::to_owned).collect();
    Some(Line { shown: format!("{name} {}", words.join(" ")), meaning: meaning(row, &words) })
}

/// Times, sizes and numbers as what they come to.
fn meaning(row: &Row, words: &[String]) -> String {
    let first = words.first().map(String::as_bytes).unwrap_or_default();
    let value = match row.kind {
        _ if words.len() > 2 => None,
        Kind::Bufs => words
            .get(1)
            .and_then(|size| values::size(size.as_bytes()))
            .and_then(|size| Some(format!("{} {size}", values::number(first)?))),
        _ if words.len() != 1 => None,
        Kind::Msec => values::msec(first).map(|v| v.to_string()),
        Kind::Sec => values::sec(first).map(|v| v.to_string()),
        Kind::Size => values::size(first).map(|v| v.to_string()),
        Kind::Offset => values::offset(first).map(|v| v.to_string()),
        Kind::Number => values::number(first).map(|v| v.to_string()),
        Kind::Flag | Kind::Enum | Kind::Bitmask => Some(text(first).to_ascii_lowercase()),
        _ => None,
    };
    value.unwrap_or_else(|| words.join("\u{0}"))
}

/// A line of a script, with what is inside it that belongs to the script.
fn script(dir: Dir<'_>, depth: usize) -> Line {
    let mut shown = dir.name().to_owned();
    let words = words(dir);
    for word in &words {
        shown += " ";
        shown += &quoted(word);
    }
    if dir.has_block() && depth < DEPTH {
        let inside: Vec<String> = dir
            .children()
            .filter(|d| SCRIPTED.contains(&d.name()))
            .map(|d| script(d, depth + 1).shown)
            .collect();
        shown += &format!(" {{ {} }}", inside.join("; "));
    }
    Line { meaning: shown.clone(), shown }
}

fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && !word.contains([' ', '\t', '\n', ';', '{', '}', '"', '\'']);
    if plain { word.to_owned() } else { format!("{word:?}") }
}

/// A block's place among its siblings: its words, and how many there were of the same before.
fn key_of(dir: Dir<'_>, seen: &mut HashMap<String, u32>) -> String {
    let mut key = dir.name().to_owned();
    for word in dir.args() {
        key += " ";
        key += &text(&word.value);
    }
    if dir.name() == "server" {
        key = server_key(dir);
    }
    let nth = seen.entry(key.clone()).or_default();
    *nth += 1;
    if *nth > 1 { format!("{key} #{nth}") } else { key }
}

/// `server NAMES (SOCKETS)`
fn server_key(dir: Dir<'_>) -> String {
    let of = |name: &str| {
        let lines = dir.children().filter(move |d| d.name() == name);
        let mut all: Vec<String> = match name {
            "listen" => lines.map(|d| text(d.arg(0))).collect(),
            _ => lines.flat_map(words).collect(),
        };
        all.dedup();
        all.join(" ")
    };
    let (names, listen) = (of("server_name"), of("listen"));
    let names = if names.is_empty() { "without a name".to_owned() } else { names };
    let listen = if listen.is_empty() { "80".to_owned() } else { listen };
    format!("server {names} ({listen})")
}
