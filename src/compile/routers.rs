//! How a path finds its location.

use std::collections::HashMap;

use super::Builder;
use crate::config::{Location, Step, show};
use crate::diag::Severity;
use crate::plan::{LocId, LocMatch, LocRouter, PrefixEntry};

impl Builder<'_> {
    /// The router of the locations directly inside one place, given in the order of the file.
    pub fn router(&mut self, inside: &[u32]) -> LocRouter {
        let mut router = LocRouter::default();
        let mut fixed: Vec<(&[u8], bool, u32)> = Vec::new();
        for &i in inside {
            let Some(location) = self.http.locations.get(i as usize) else { continue };
            match location.kind {
                LocMatch::Exact => fixed.push((&location.name, true, i)),
                LocMatch::Prefix | LocMatch::PrefixNoRegex => fixed.push((&location.name, false, i)),
                LocMatch::Regex => {
                    let regex = location.pattern.as_ref().and_then(|p| self.names.regex(p, self.found));
                    router.regexes.extend(regex.map(|r| (r, LocId(i))));
                }
                LocMatch::Named | LocMatch::Server | LocMatch::If | LocMatch::LimitExcept => {}
            }
        }
        // nginx's order: by text, an exact one before a prefix of the same text, else as in the file.
        fixed.sort_by(|a, b| (a.0, !a.1).cmp(&(b.0, !b.1)));
        for pair in fixed.windows(2) {
            if let [a, b] = pair
                && (a.0, a.1) == (b.0, b.1)
                && let Some(location) = self.http.locations.get(b.2 as usize)
            {
                self.duplicate(location);
            }
        }
        router.exact = fixed
            .iter()
            .filter(|f| f.1)
            .map(|&(text, _, i)| (text.into(), LocId(i)))
            .collect::<HashMap<Box<[u8]>, LocId>>();
        let mut above: Vec<u32> = Vec::new();
        for &(text, _, i) in fixed.iter().filter(|f| !f.1) {
            let outer = |e: &u32| router.prefixes.get(*e as usize).is_some_and(|p| text.starts_with(&p.text));
            while above.last().is_some_and(|e| !outer(e)) {
                above.pop();
            }
            let shorter = above.last().copied();
            above.push(router.prefixes.len() as u32);
            router.prefixes.push(PrefixEntry { text: text.into(), loc: LocId(i), shorter });
        }
        router
    }

    fn duplicate(&mut self, location: &Location) {
        let words = format!("duplicate location \"{}\"", show(&location.name));
        self.found.late(self.http.close, Step::Locations, Severity::Emerg, Some(location.at), words);
    }
}
