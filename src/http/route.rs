//! The location of a path.

use smallvec::SmallVec;

use super::{Event, RegexFailed, Request};
use crate::plan::{LocId, LocMatch, LocRouter, Plan, RegexId};

/// What the search for a location found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The location, or the one that the search began in.
    Loc(LocId),
    /// The path lacks the `/` that the location's name ends in: redirect to that name.
    AutoRedirect(LocId),
    /// A regex could not be run (its limits were passed): 500.
    Failed,
}

/// Finds the location of `path`, starting in `root` (the server block) with the server's `router`.
///
/// nginx's order on each level: an exact match ends the search; the longest prefix is remembered and searched inside;
/// then the level's regexes, unless the prefix (or one inside it) said `^~`.
/// `matched` is called for the regex that is taken (and for outer ones around a nested match); `req` notes the steps.
pub fn find(
    plan: &Plan,
    root: LocId,
    router: &LocRouter,
    path: &[u8],
    matched: &mut dyn FnMut(RegexId) -> Result<bool, RegexFailed>,
    req: &Request,
) -> Found {
    let mut at = root;
    match search(plan, router, path, &mut at, matched, req) {
        End::Ok | End::Declined | End::Again => Found::Loc(at),
        End::Redirect => Found::AutoRedirect(at),
        End::Error => Found::Failed,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// An exact or regex match: the search is over.
    Ok,
    Redirect,
    Declined,
    /// A prefix matched.
    Again,
    Error,
}

fn search(
    plan: &Plan,
    router: &LocRouter,
    path: &[u8],
    at: &mut LocId,
    matched: &mut dyn FnMut(RegexId) -> Result<bool, RegexFailed>,
    req: &Request,
) -> End {
    let block = *at;
    let mut end = static_match(plan, router, path, at);
    req.note(|| level(block, router, path, end, *at));
    let mut no_regex = false;
    if end == End::Again
        && let Some(loc) = plan.locations.get(at.ix())
    {
        no_regex = loc.kind == LocMatch::PrefixNoRegex;
        end = search(plan, &loc.router, path, at, matched, req);
    }
    if matches!(end, End::Ok | End::Redirect | End::Error) {
        return end;
    }
    if !no_regex {
        for &(regex, id) in &router.regexes {
            let ran = matched(regex);
            req.note(|| Event::Regex { loc: id, matched: ran.ok() });
            match ran {
                Ok(false) => {}
                Err(RegexFailed) => return End::Error,
                Ok(true) => {
                    *at = id;
                    let Some(loc) = plan.locations.get(id.ix()) else { return End::Ok };
                    let inner = search(plan, &loc.router, path, at, matched, req);
                    return if inner == End::Error { inner } else { End::Ok };
                }
            }
        }
    }
    end
}

/// What was found without a regex, for a trace.
fn level(block: LocId, router: &LocRouter, path: &[u8], end: End, at: LocId) -> Event {
    let of = |which: End| (end == which).then_some(at);
    let prefix = of(End::Again).or_else(|| longest_prefix(router, path));
    Event::Level { block, exact: of(End::Ok), prefix, redirect: of(End::Redirect) }
}

fn static_match(plan: &Plan, router: &LocRouter, path: &[u8], at: &mut LocId) -> End {
    if let Some(&id) = router.exact.get(path) {
        *at = id;
        return End::Ok;
    }
    let found = longest_prefix(router, path);
    // A location that redirects has a name one `/` longer than the path; it wins over a shorter prefix.
    if path.last() != Some(&b'/')
        && let Some(id) = redirecting(plan, router, path)
    {
        *at = id;
        return End::Redirect;
    }
    match found {
        Some(id) => {
            *at = id;
            End::Again
        }
        None => End::Declined,
    }
}

/// The longest prefix entry of `path`.
fn longest_prefix(router: &LocRouter, path: &[u8]) -> Option<LocId> {
    let above = router.prefixes.partition_point(|e| &*e.text <= path);
    let mut next = above.checked_sub(1);
    while let Some(entry) = next.and_then(|i| router.prefixes.get(i)) {
        if path.starts_with(&entry.text) {
            return Some(entry.loc);
        }
        next = entry.shorter.map(|i| i as usize);
    }
    None
}

/// A location named `path` + `/` that redirects to its own name; an exact location there does so too.
fn redirecting(plan: &Plan, router: &LocRouter, path: &[u8]) -> Option<LocId> {
    let wants = |id: LocId| plan.locations.get(id.ix()).is_some_and(|l| l.auto_redirect);
    if !router.exact.is_empty() {
        let mut name: SmallVec<[u8; 256]> = SmallVec::from_slice(path);
        name.push(b'/');
        if let Some(&id) = router.exact.get(&name[..])
            && wants(id)
        {
            return Some(id);
        }
    }
    let longer = |text: &[u8]| text.strip_suffix(b"/") == Some(path);
    let from = router.prefixes.partition_point(|e| &*e.text <= path);
    // Between `path` and `path/` only names that begin with `path` and a byte below `/` can stand.
    let rest = router.prefixes.get(from..).unwrap_or_default();
    let to = rest.partition_point(|e| e.text.strip_prefix(path).is_some_and(|t| t < b"/".as_slice()));
    rest.get(to).filter(|e| longer(&e.text) && wants(e.loc)).map(|e| e.loc)
}
