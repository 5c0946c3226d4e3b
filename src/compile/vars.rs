//! Variables and regexes: names to slots, texts to templates.

use std::collections::HashMap;

use crate::config::{Found, Pattern, Place, Step, Text, Tok, show};
use crate::diag::Severity;
use crate::directives;
use crate::plan::{self, Made, Part, Regex, RegexId, SlotId, Template, Var, VarId};

/// What the configuration calls by name.
#[derive(Debug, Default)]
pub struct Names {
    slots: Vec<Slot>,
    by_name: HashMap<Box<str>, SlotId>,
    pub regexes: Vec<Regex>,
    by_pattern: HashMap<(Box<[u8]>, bool), RegexId>,
}

#[derive(Debug)]
struct Slot {
    name: Box<str>,
    /// `None`: it is named, and nothing makes it.
    made: Option<Made>,
}

/// A prefix, what its variables are, and whether `_` stands for `-`.
type Open = (&'static str, fn(Box<[u8]>) -> Var, bool);

/// The families of variables whose names are open, longest prefix first.
const OPEN: [Open; 8] = [
    ("upstream_trailer_", Var::UpstreamTrailer, true),
    ("upstream_cookie_", Var::UpstreamCookie, false),
    ("upstream_http_", Var::UpstreamHttp, true),
    ("sent_trailer_", Var::SentTrailer, true),
    ("sent_http_", Var::SentHttp, true),
    ("cookie_", Var::Cookie, false),
    ("http_", Var::Http, true),
    ("arg_", Var::Arg, false),
];

impl Names {
    /// The template of a text.
    pub fn template(&mut self, text: &Text) -> Template {
        let mut parts: Vec<Part> = Vec::with_capacity(text.tokens.len());
        for token in &text.tokens {
            parts.push(match token {
                Tok::Text(t) => Part::Text(t.clone()),
                Tok::Var(name) => Part::Var(self.var(name)),
                Tok::Capture(n) => Part::Var(Var::Capture(*n)),
            });
        }
        Template { parts }
    }

    /// A variable by its lower-case name. One that nothing defines gets a slot too; [`Names::finish`] says so.
    pub fn var(&mut self, name: &str) -> Var {
        if let Some(&slot) = self.by_name.get(name) {
            return Var::Slot(slot);
        }
        known(name).unwrap_or_else(|| Var::Slot(self.slot(name)))
    }

    fn slot(&mut self, name: &str) -> SlotId {
        if let Some(&slot) = self.by_name.get(name) {
            return slot;
        }
        let slot = SlotId(self.slots.len() as u32);
        self.slots.push(Slot { name: name.into(), made: None });
        self.by_name.insert(name.into(), slot);
        slot
    }

    /// Defines the variable of a named group.
    pub fn define(&mut self, name: &str) -> SlotId {
        let id = self.slot(&name.to_ascii_lowercase());
        if let Some(slot) = self.slots.get_mut(id.ix())
            && matches!(slot.made, None | Some(Made::Set | Made::Var(_)))
        {
            slot.made = Some(Made::Capture);
        }
        id
    }

    /// Defines a variable that `set` makes, by its lower-case name. Until it is set, `$http_NAME` and its like are
    /// what they are by themselves.
    pub fn set(&mut self, name: &str) {
        let made = match known(name) {
            Some(Var::Fixed(_)) => return,
            Some(var) => Made::Var(var),
            None => Made::Set,
        };
        let id = self.slot(name);
        if let Some(slot) = self.slots.get_mut(id.ix())
            && slot.made.is_none()
        {
            slot.made = Some(made);
        }
    }

    /// The slot of a variable that a table makes, by its lower-case name.
    pub fn table(&mut self, name: &str) -> SlotId {
        let id = self.slot(name);
        self.made(id, Made::Set);
        id
    }

    pub fn made(&mut self, id: SlotId, made: Made) {
        if let Some(slot) = self.slots.get_mut(id.ix()) {
            slot.made = Some(made);
        }
    }

    /// Compiles a regex; equal ones are one.
    pub fn regex(&mut self, pattern: &Pattern, found: &mut Found) -> Option<RegexId> {
        let key = (pattern.text.clone(), pattern.caseless);
        if let Some(&id) = self.by_pattern.get(&key) {
            return Some(id);
        }
        let regex = self.compile(pattern, found)?;
        let id = RegexId(self.regexes.len() as u32);
        self.regexes.push(regex);
        self.by_pattern.insert(key, id);
        Some(id)
    }

    fn compile(&mut self, pattern: &Pattern, found: &mut Found) -> Option<Regex> {
        let shown = show(&pattern.text);
        let Ok(text) = std::str::from_utf8(&pattern.text) else {
            found.emerg(pattern.at, "bad-regex", format!("regex \"{shown}\" compilation failed: not UTF-8"));
            return None;
        };
        let built =
            pcre2::bytes::RegexBuilder::new().caseless(pattern.caseless).jit_if_available(true).build(text);
        let code = match built {
            Ok(code) => code,
            Err(e) => {
                found.emerg(pattern.at, "bad-regex", failed(text, &e));
                return None;
            }
        };
        let mut names = Vec::new();
        for (group, name) in code.capture_names().iter().enumerate() {
            let Some(name) = name else { continue };
            if VarId::from_name(&name.to_ascii_lowercase()).is_some() {
                found.emerg(pattern.at, "duplicate", format!("the duplicate \"{name}\" variable"));
                continue;
            }
            names.push((group, self.define(name)));
        }
        let groups = code.captures_len().saturating_sub(1);
        Some(Regex { pattern: text.into(), caseless: pattern.caseless, code, names, groups })
    }

    /// The slots by number; a name that is used and never defined is said, at the end of `http`.
    pub fn finish(&mut self, close: Option<Place>, found: &mut Found) -> Vec<plan::Slot> {
        let slots = std::mem::take(&mut self.slots);
        let finish = |slot: Slot| {
            if slot.made.is_none() {
                let words = match directives::variable(&slot.name) {
                    Some(_) => format!("\"{}\" variable is not supported by tenrec yet", slot.name),
                    None => format!("unknown \"{}\" variable", slot.name),
                };
                found.late(close, Step::Variables, Severity::Emerg, None, words);
            }
            plan::Slot { name: slot.name, made: slot.made.unwrap_or(Made::Set) }
        };
        slots.into_iter().map(finish).collect()
    }
}

/// A variable that is known without the configuration.
fn known(name: &str) -> Option<Var> {
    if let Some(id) = VarId::from_name(name) {
        return Some(Var::Fixed(id));
    }
    OPEN.iter().find_map(|(prefix, var, dashes)| {
        let rest = name.strip_prefix(prefix)?;
        let rest = if *dashes { rest.replace('_', "-") } else { rest.to_owned() };
        Some(var(rest.into_bytes().into()))
    })
}

/// nginx's line for a regex that does not compile.
fn failed(text: &str, e: &pcre2::Error) -> String {
    let full = e.to_string();
    let words = full.rsplit_once(": ").map_or(&full[..], |(_, words)| words);
    let rest = e.offset().and_then(|at| text.get(at..)).unwrap_or_default();
    if rest.is_empty() {
        format!("pcre2_compile() failed: {words} in \"{text}\"")
    } else {
        format!("pcre2_compile() failed: {words} in \"{text}\" at \"{rest}\"")
    }
}
