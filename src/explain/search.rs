//! The search for a location: who was looked at, who won, and why each other one did not.

use serde_json::{Value, json};

use super::words::{Names, text};
use crate::http::Event;
use crate::plan::{LocId, LocMatch, LocRouter, RegexId};

/// Of a block with more locations than this those that have nothing to do with the path are only counted.
const SHOWN: usize = 40;

/// One location of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub loc: LocId,
    pub fate: Fate,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Won,
    /// It fits, and another one goes before it.
    Beaten,
    /// It does not fit.
    Lost,
    /// It was not looked at.
    Skipped,
}

impl Fate {
    pub fn word(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Beaten => "beaten",
            Self::Lost => "lost",
            Self::Skipped => "skipped",
        }
    }
}

/// The locations of one block, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The server block, or the location around them.
    pub of: LocId,
    pub tried: Vec<Tried>,
    /// Not in `tried`: they do not fit.
    pub others: usize,
}

/// What the events of one search say. `path`: what was looked for.
pub fn blocks(names: &Names<'_>, events: &[Event], path: &[u8]) -> Vec<Block> {
    let levels = events.iter().enumerate().filter(|(_, e)| matches!(e, Event::Level { .. }));
    levels.filter_map(|(at, _)| block(names, events, at, path)).collect()
}

fn block(names: &Names<'_>, events: &[Event], at: usize, path: &[u8]) -> Option<Block> {
    let Event::Level { block, exact, prefix, redirect } = events.get(at)? else { return None };
    let router = router(names, *block)?;
    let rest = events.get(at + 1..).unwrap_or_default();
    let regex = |loc: LocId| {
        rest.iter().find_map(|e| match e {
            Event::Regex { loc: of, matched } if *of == loc => Some(*matched),
            _ => None,
        })
    };
    let matched = router.regexes.iter().find(|(_, id)| regex(*id) == Some(Some(true))).map(|(_, id)| *id);
    let label = |loc: LocId| format!("\"{}\"", names.location(loc));
    let mut out = Vec::new();
    for (name, &loc) in &router.exact {
        out.push(match (*exact == Some(loc), *redirect == Some(loc)) {
            (true, _) => tried(loc, Fate::Won, "the path exactly; the search ends here"),
            (_, true) => tried(loc, Fate::Won, "the path lacks its last \"/\": the client is redirected"),
            _ => {
                tried(loc, Fate::Lost, if name.starts_with(path) { "longer" } else { "not the path exactly" })
            }
        });
    }
    let inner = prefix.filter(|_| exact.is_none() && redirect.is_none() && matched.is_none());
    for entry in router.prefixes.iter().filter(|e| !router.exact.values().any(|x| *x == e.loc)) {
        let loc = entry.loc;
        out.push(if *redirect == Some(loc) {
            tried(loc, Fate::Won, "the path lacks its last \"/\": the client is redirected")
        } else if !path.starts_with(&entry.text) {
            tried(loc, Fate::Lost, "the path does not begin with it")
        } else if exact.is_some() || redirect.is_some() {
            let winner = exact.or(*redirect).map(label).unwrap_or_default();
            tried(loc, Fate::Beaten, format!("begins the path, but {winner} goes before it"))
        } else if *prefix != Some(loc) {
            let longer = prefix.map(label).unwrap_or_default();
            tried(loc, Fate::Beaten, format!("begins the path, but {longer} is longer"))
        } else if let Some(winner) = matched {
            tried(
                loc,
                Fate::Beaten,
                format!("the longest that begins the path, but the regex {} fits", label(winner)),
            )
        } else if names.plan.locations.get(loc.ix()).is_some_and(|l| l.kind == LocMatch::PrefixNoRegex) {
            tried(loc, Fate::Won, "the longest that begins the path; ^~: no regex is tried")
        } else {
            tried(loc, Fate::Won, "the longest that begins the path")
        });
    }
    for &(id, loc) in &router.regexes {
        out.push(match regex(loc) {
            Some(Some(true)) => tried(loc, Fate::Won, "fits, the first that does"),
            Some(Some(false)) => tried(loc, Fate::Lost, "does not fit"),
            Some(None) => tried(loc, Fate::Lost, "could not be run"),
            None => tried(loc, Fate::Skipped, skipped(names, (*exact).or(*redirect), inner, matched, id)),
        });
    }
    let place = |t: &Tried| names.plan.locations.get(t.loc.ix()).map(|l| l.at);
    out.sort_by_key(|t| place(t).map(|(file, offset)| (file.0, offset)));
    let all = out.len();
    if all > SHOWN {
        out.retain(|t| matches!(t.fate, Fate::Won | Fate::Beaten));
    }
    Some(Block { of: *block, others: all - out.len(), tried: out })
}

fn tried(loc: LocId, fate: Fate, why: impl Into<String>) -> Tried {
    Tried { loc, fate, why: why.into() }
}

/// Why a regex was not run.
fn skipped(
    names: &Names<'_>,
    fixed: Option<LocId>,
    prefix: Option<LocId>,
    matched: Option<LocId>,
    _: RegexId,
) -> String {
    let label = |loc: LocId| format!("\"{}\"", names.location(loc));
    let no_regex =
        |loc: &LocId| names.plan.locations.get(loc.ix()).is_some_and(|l| l.kind == LocMatch::PrefixNoRegex);
    match (fixed, matched, prefix) {
        (Some(loc), ..) => format!("not tried: {} ends the search", label(loc)),
        (_, Some(loc), _) => format!("not tried: {} comes first", label(loc)),
        (_, _, Some(loc)) if no_regex(&loc) => format!("not tried: {} has ^~", label(loc)),
        (_, _, Some(loc)) => format!("not tried: a location inside {} ends the search", label(loc)),
        _ => "not tried".to_owned(),
    }
}

fn router<'a>(names: &Names<'a>, block: LocId) -> Option<&'a LocRouter> {
    let location = names.plan.locations.get(block.ix())?;
    match location.kind {
        LocMatch::Server => names.plan.servers.get(location.server.ix()).map(|s| &s.router),
        _ => Some(&location.router),
    }
}

impl Block {
    pub fn json(&self, names: &Names<'_>) -> Value {
        let one = |t: &Tried| {
            json!({
                "location": names.location(t.loc),
                "place": names.loc_place(t.loc),
                "fate": t.fate.word(),
                "why": t.why,
            })
        };
        json!({
            "block": names.location(self.of),
            "tried": self.tried.iter().map(one).collect::<Vec<_>>(),
            "others": self.others,
        })
    }

    /// A line for each.
    pub fn lines(&self, names: &Names<'_>) -> Vec<String> {
        let width = self.tried.iter().map(|t| names.location(t.loc).chars().count()).max().unwrap_or(0);
        let one = |t: &Tried| {
            let mark = if t.fate == Fate::Won { '+' } else { '-' };
            let (name, place) = (names.location(t.loc), names.loc_place(t.loc));
            format!("{mark} {name:<width$}  {} ({place})", t.why)
        };
        let mut out: Vec<String> = self.tried.iter().map(one).collect();
        if self.others > 0 {
            out.push(format!("- {} others do not fit", self.others));
        }
        out
    }
}

/// What the search is about: the path that it was given.
pub fn path_of(events: &[Event]) -> Option<&[u8]> {
    events.iter().find_map(|e| match e {
        Event::Location { uri, .. } => Some(&uri[..]),
        _ => None,
    })
}

/// The heading of a block's lines.
pub fn heading(names: &Names<'_>, block: &Block, path: &[u8]) -> String {
    match names.location(block.of).as_str() {
        "server" => format!("\"{}\" among the server's locations", text(path)),
        inside => format!("\"{}\" inside \"{inside}\"", text(path)),
    }
}
