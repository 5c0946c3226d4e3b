//! Checks the tables of `grammar/` and writes the registry that `directives` includes.
//!
//! What is wrong in a table ends the build with `grammar/FILE:LINE: what`, every fault at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextRow {
    name: String,
    family: String,
    about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeRow {
    name: String,
    once: bool,
    about: String,
}

/// A name that no table has and that files do have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    name: String,
    is: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariableRow {
    name: String,
    #[serde(default = "core_module")]
    module: String,
    #[serde(default = "nginx")]
    origin: String,
    status: String,
    help: String,
}

fn core_module() -> String {
    "ngx_http_core_module".to_owned()
}

fn nginx() -> String {
    "nginx".to_owned()
}

/// A directive in one or more contexts, as the tables have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Contexts, blank between them; `any`.
    #[serde(rename = "in")]
    contexts: String,
    /// `flag`, `1`, `1,2`, `1+`, `2+`, `any`; before it `block` for one that opens a block.
    args: String,
    /// Contexts that its block is; none for a block with a grammar of its own.
    #[serde(default)]
    opens: String,
    #[serde(rename = "type")]
    kind: String,
    /// The words that an `enum` or a `bitmask` takes.
    #[serde(default)]
    values: String,
    default: Option<String>,
    #[serde(default = "inherit")]
    merge: String,
    repeat: Option<bool>,
    module: Option<String>,
    origin: Option<String>,
    /// The version of nginx that had it first, where that is 1.21.0 or later.
    since: Option<String>,
    status: String,
    #[serde(default)]
    note: String,
    help: String,
}

fn inherit() -> String {
    "inherit".to_owned()
}

const MERGES: &[&str] = &["inherit", "list", "none"];
const ORIGINS: &[&str] = &["nginx", "older", "tengine", "tenrec"];
const STATUSES: &[&str] = &["full", "inert", "partial", "planned", "refused"];

/// One row with what its file adds.
struct Entry {
    name: String,
    family: String,
    module: String,
    origin: String,
    row: Row,
    place: String,
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, place: &str, what: impl std::fmt::Display) {
        self.0.push(format!("{place}: {what}"));
    }
}

fn main() {
    println!("cargo::rerun-if-changed=grammar");
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("grammar");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut faults = Faults::default();
    let contexts: Vec<ContextRow> = list(&root.join("contexts.toml"), "context", &mut faults);
    let types: Vec<TypeRow> = list(&root.join("types.toml"), "type", &mut faults);
    let elsewhere: Vec<Elsewhere> = list(&root.join("elsewhere.toml"), "elsewhere", &mut faults);
    let (families, mut entries) = directives(&root.join("directives"), &mut faults);
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for row in &contexts {
        if row.about.is_empty() {
            faults.add("grammar/contexts.toml", format!("{}: no `about`", row.name));
        }
    }
    for row in &types {
        if row.about.is_empty() {
            faults.add("grammar/types.toml", format!("{}: no `about`", row.name));
        }
    }
    let variables: Vec<VariableRow> = list(&root.join("variables.toml"), "variable", &mut faults);
    check_variables(&variables, &mut faults);
    for other in &elsewhere {
        if entries.iter().any(|e| e.name == other.name) {
            faults.add("grammar/elsewhere.toml", format!("{} has a row in directives", other.name));
        }
    }
    for entry in &entries {
        check(entry, &contexts, &types, &mut faults);
    }
    overlaps(&entries, &contexts, &mut faults);
    if faults.0.is_empty() {
        let mut text = registry(&contexts, &types, &families, &entries, &mut faults);
        text.push_str("\n/// Names that are at home elsewhere, and where.\n");
        text.push_str("pub(super) static ELSEWHERE: &[(&str, &str)] = &[\n");
        for Elsewhere { name, is } in &elsewhere {
            let _ = writeln!(text, "    ({name:?}, {is:?}),");
        }
        text.push_str("];\n");
        variable_rows(&mut text, &variables);
        std::fs::write(out.join("registry.rs"), text).expect("OUT_DIR can be written");
    }
    for fault in &faults.0 {
        println!("cargo::error={fault}");
    }
}

fn read(path: &Path, faults: &mut Faults) -> (String, toml::Table) {
    let place = place(path);
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| {
        faults.add(&place, e);
        String::new()
    });
    let table = text.parse().unwrap_or_else(|e| {
        faults.add(&place, e);
        toml::Table::new()
    });
    (text, table)
}

fn place(path: &Path) -> String {
    let mut parts: Vec<_> = path.iter().rev().take_while(|p| *p != "grammar").collect();
    parts.reverse();
    format!("grammar/{}", parts.iter().collect::<PathBuf>().display())
}

fn list<T: for<'a> Deserialize<'a>>(path: &Path, key: &str, faults: &mut Faults) -> Vec<T> {
    let (_, mut table) = read(path, faults);
    let rows = table.remove(key).unwrap_or(toml::Value::Array(Vec::new()));
    if let Some(other) = table.keys().next() {
        faults.add(&place(path), format!("{other:?} is not a row of [[{key}]]"));
    }
    rows.try_into().unwrap_or_else(|e| {
        faults.add(&place(path), e);
        Vec::new()
    })
}

/// Every `directives/FAMILY.toml`: the families with what they are about, and the rows.
fn directives(dir: &Path, faults: &mut Faults) -> (BTreeMap<String, String>, Vec<Entry>) {
    let mut families = BTreeMap::new();
    let mut entries = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .expect("grammar/directives is there")
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    for path in paths {
        let file = place(&path);
        let family = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (text, mut table) = read(&path, faults);
        if table.is_empty() {
            continue;
        }
        let mut word = |key: &str, faults: &mut Faults| match table.remove(key) {
            Some(toml::Value::String(s)) if !s.is_empty() => s,
            _ => {
                faults.add(&file, format!("no `{key}`"));
                String::new()
            }
        };
        let (about, module, origin) = (word("about", faults), word("module", faults), word("origin", faults));
        families.insert(family.clone(), about);
        let mut last = String::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            let Some(name) = line.strip_prefix("[[").and_then(|r| r.strip_suffix("]]")) else { continue };
            let place = format!("{file}:{}", i + 1);
            if name < last.as_str() {
                faults.add(&place, format!("{name} stands after {last}: rows are sorted by name"));
            }
            name.clone_into(&mut last);
            let nth = seen.entry(name.to_owned()).or_default();
            let row = table.get(name).and_then(|rows| rows.get(*nth)).cloned();
            *nth += 1;
            match row.map(toml::Value::try_into::<Row>) {
                Some(Ok(row)) => entries.push(Entry {
                    name: name.to_owned(),
                    family: family.clone(),
                    module: row.module.clone().unwrap_or_else(|| module.clone()),
                    origin: row.origin.clone().unwrap_or_else(|| origin.clone()),
                    row,
                    place,
                }),
                Some(Err(e)) => faults.add(&place, format!("{name}: {}", e.message())),
                None => faults.add(&place, format!("{name}: not read as a row")),
            }
        }
        for name in table.keys().filter(|n| !seen.contains_key(*n)) {
            faults.add(&file, format!("{name}: a row begins with a line [[{name}]]"));
        }
    }
    (families, entries)
}

fn version(text: &str) -> Option<[u16; 3]> {
    let numbers: Result<Vec<u16>, _> = text.split('.').map(str::parse).collect();
    numbers.ok()?.try_into().ok()
}

fn check(entry: &Entry, contexts: &[ContextRow], types: &[TypeRow], faults: &mut Faults) {
    let Entry { name, row, place, .. } = entry;
    let mut fault = |what: String| faults.add(place, format!("{name}: {what}"));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(|c| plain(c) || c.is_ascii_uppercase()) {
        fault("a name is made of letters, digits and _".to_owned());
    }
    if row.contexts.is_empty() {
        fault("no context".to_owned());
    }
    if row.since.as_deref().is_some_and(|v| version(v).is_none()) {
        fault("`since` is three numbers with dots".to_owned());
    }
    for word in row.contexts.split(' ').chain(row.opens.split(' ')).filter(|w| !w.is_empty()) {
        if word != "any" && !contexts.iter().any(|c| c.name == word) {
            fault(format!("no such context: {word:?}"));
        }
    }
    if !types.iter().any(|t| t.name == row.kind) {
        fault(format!("no such type: {:?}", row.kind));
    }
    for (what, word, known) in
        [("merge", &row.merge, MERGES), ("origin", &entry.origin, ORIGINS), ("status", &row.status, STATUSES)]
    {
        if !known.contains(&word.as_str()) {
            fault(format!("no such {what}: {word:?} (known: {})", known.join(", ")));
        }
    }
    match arity(&row.args) {
        None => fault(format!("cannot read args = {:?}", row.args)),
        Some(arity) => {
            // A flag that nginx does not look at any more is "custom".
            let unread = row.kind == "custom" && row.args == "flag";
            if (row.kind == "flag") != (row.args == "flag") && row.args != "1" && !unread {
                fault("type and args disagree on its being a flag".to_owned());
            }
            if !row.opens.is_empty() && !arity.block {
                fault("opens a context and is no block".to_owned());
            }
        }
    }
    if !row.values.is_empty() && row.kind != "enum" && row.kind != "bitmask" {
        fault("`values` are for an enum or a bitmask".to_owned());
    }
    if row.default.as_deref() == Some("") {
        fault("leave out an empty default".to_owned());
    }
    let sentence = row.help.starts_with(|c: char| !c.is_lowercase()) && row.help.ends_with('.');
    if !sentence || row.help.len() < 10 {
        fault(format!("help is one sentence, not {:?}", row.help));
    }
    if row.note.ends_with('.') {
        fault("a note has no full stop".to_owned());
    }
}

fn check_variables(rows: &[VariableRow], faults: &mut Faults) {
    let mut fault = |row: &VariableRow, what: &str| {
        faults.add("grammar/variables.toml", format!("{}: {what}", row.name));
    };
    for (row, before) in rows.iter().skip(1).zip(rows) {
        if row.name <= before.name {
            fault(row, "rows are sorted by name, each once");
        }
    }
    for row in rows {
        if !STATUSES.contains(&row.status.as_str()) || !ORIGINS.contains(&row.origin.as_str()) {
            fault(row, "no such status or origin");
        }
        if !row.help.ends_with('.') {
            fault(row, "help is one sentence");
        }
    }
}

fn variable_rows(s: &mut String, rows: &[VariableRow]) {
    s.push_str("\n/// Every row, in order of the names.\nstatic VARIABLES: &[Variable] = &[\n");
    for row in rows {
        let _ = writeln!(
            s,
            "    Variable {{ name: {:?}, prefix: {}, module: {:?}, origin: Origin::{}, status: Status::{}, help: {:?} }},",
            row.name.trim_end_matches('*'),
            row.name.ends_with('*'),
            row.module,
            camel(&row.origin),
            camel(&row.status),
            row.help
        );
    }
    s.push_str("];\n");
}

/// No two rows of one name and origin may hold in the same context.
fn overlaps(entries: &[Entry], contexts: &[ContextRow], faults: &mut Faults) {
    let mut at: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
    for entry in entries {
        let any = entry.row.contexts == "any";
        let words = contexts.iter().map(|c| c.name.as_str());
        for word in words.filter(|w| any || entry.row.contexts.split(' ').any(|c| c == *w)) {
            if let Some(other) = at.insert((&entry.name, word, &entry.origin), &entry.place) {
                faults.add(&entry.place, format!("{} in {word} has a row already: {other}", entry.name));
            }
        }
    }
}

struct Arity {
    block: bool,
    count: String,
}

fn arity(text: &str) -> Option<Arity> {
    let (block, rest) = match text.strip_prefix("block ") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let count = match rest {
        "any" => "Count::Any".to_owned(),
        "flag" => "Count::Flag".to_owned(),
        "1+" => "Count::AtLeast(1)".to_owned(),
        "2+" => "Count::AtLeast(2)".to_owned(),
        _ => {
            let mut mask = 0_u8;
            for word in rest.split(',') {
                mask |= 1 << word.parse::<u8>().ok().filter(|n| *n < 8)?;
            }
            format!("Count::OneOf({mask:#b})")
        }
    };
    Some(Arity { block, count })
}

/// `proxy_pass` to `ProxyPass`.
fn camel(name: &str) -> String {
    let mut out = String::new();
    for part in name.split(['_', '-']) {
        let mut chars = part.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}

fn constant(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

fn contexts_of(words: &str) -> String {
    if words == "any" {
        return "Context::all()".to_owned();
    }
    let mut words = words.split(' ').filter(|w| !w.is_empty());
    let Some(first) = words.next() else { return "Context::empty()".to_owned() };
    words.fold(format!("Context::{}", constant(first)), |all, w| {
        format!("{all}.union(Context::{})", constant(w))
    })
}

fn registry(
    contexts: &[ContextRow],
    types: &[TypeRow],
    families: &BTreeMap<String, String>,
    entries: &[Entry],
    faults: &mut Faults,
) -> String {
    let mut s = String::from("// Written by grammar/build.rs from the tables of grammar/.\n\n");
    context_items(&mut s, contexts);
    s.push_str("/// What the arguments of a directive are; `grammar/types.toml` has a line on each.\n");
    s.push_str("#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]\npub enum Kind {\n");
    for row in types {
        let _ = writeln!(s, "    /// {}\n    {},", row.about, camel(&row.name));
    }
    s.push_str("}\n\nimpl Kind {\n    /// The word that the tables use.\n    pub fn word(self) -> &'static str {\n        match self {\n");
    for row in types {
        let _ = writeln!(s, "            Kind::{} => {:?},", camel(&row.name), row.name);
    }
    s.push_str("        }\n    }\n}\n\n");
    s.push_str(
        "/// The families of directives, each a file of `grammar/directives`, with what it is about.\n",
    );
    s.push_str("pub static FAMILIES: &[(&str, &str)] = &[\n");
    for (name, about) in families {
        let _ = writeln!(s, "    ({name:?}, {about:?}),");
    }
    s.push_str("];\n\n");
    rows(&mut s, types, entries, faults);
    s
}

fn context_items(s: &mut String, contexts: &[ContextRow]) {
    s.push_str("bitflags::bitflags! {\n    /// Places where a directive may stand.\n");
    s.push_str("    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]\n    pub struct Context: u32 {\n");
    for (i, row) in contexts.iter().enumerate() {
        let _ = writeln!(s, "        /// {}\n        const {} = 1 << {i};", row.about, constant(&row.name));
    }
    s.push_str("    }\n}\n\n/// Each context with its name and the tree that it belongs to.\n");
    s.push_str("pub static CONTEXTS: &[(Context, &str, &str)] = &[\n");
    for row in contexts {
        let _ = writeln!(s, "    (Context::{}, {:?}, {:?}),", constant(&row.name), row.name, row.family);
    }
    s.push_str("];\n\n");
}

fn rows(s: &mut String, types: &[TypeRow], entries: &[Entry], faults: &mut Faults) {
    let mut names: Vec<(&str, usize, usize)> = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        match names.last_mut() {
            Some((name, _, end)) if *name == entry.name => *end = i + 1,
            _ => names.push((&entry.name, i, i + 1)),
        }
    }
    s.push_str("/// A directive's name, cheap to compare and to match on.\n#[repr(u16)]\n");
    s.push_str("#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]\npub enum Id {\n");
    let mut variants: BTreeMap<String, &str> = BTreeMap::new();
    for (name, start, _) in &names {
        if let Some(other) = variants.insert(camel(name), name) {
            faults.add("grammar/directives", format!("{name} and {other} give one identifier"));
        }
        let _ = writeln!(s, "    /// {}\n    {},", entries[*start].row.help, camel(name));
    }
    s.push_str("}\n\n/// Every name in order of its bytes, with its rows.\n");
    let _ = writeln!(s, "static NAMES: [(&str, Id, u16, u16); {}] = [", names.len());
    for (name, start, end) in &names {
        let _ = writeln!(s, "    ({name:?}, Id::{}, {start}, {end}),", camel(name));
    }
    s.push_str("];\n\n/// Every row, in order of the names.\n");
    let _ = writeln!(s, "static ROWS: [Row; {}] = [", entries.len());
    for entry in entries {
        let row = &entry.row;
        let arity = arity(&row.args).expect("checked before");
        let once = types.iter().any(|t| t.name == row.kind && t.once);
        let values: Vec<&str> = row.values.split(' ').filter(|v| !v.is_empty()).collect();
        let _ = writeln!(
            s,
            "    Row {{ id: Id::{}, name: {:?}, contexts: {}, arity: Arity {{ block: {}, count: {} }}, opens: {}, \
             kind: Kind::{}, values: &{values:?}, default: {:?}, merge: Merge::{}, repeat: {}, origin: Origin::{}, \
             module: {:?}, family: {:?}, since: {:?}, status: Status::{}, note: {:?}, help: {:?} }},",
            camel(&entry.name),
            entry.name,
            contexts_of(&row.contexts),
            arity.block,
            arity.count,
            contexts_of(&row.opens),
            camel(&row.kind),
            row.default,
            camel(&row.merge),
            row.repeat.unwrap_or(!once),
            camel(&entry.origin),
            entry.module,
            entry.family,
            row.since.as_deref().and_then(version),
            camel(&row.status),
            row.note,
            row.help,
        );
    }
    s.push_str("];\n");
}
