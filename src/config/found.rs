//! Diagnostics with the moment at which nginx would give them, so that the first printed is nginx's first.

use super::point::point;
use crate::diag::{Diag, Diags, FileId, Severity, SourceMap};
use crate::source::Conf;

/// An offset in a file of the configuration.
pub type Place = (FileId, u32);

/// When nginx speaks of a thing. The order of the variants is the order of nginx's steps at the end of `http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// While the directive is read.
    Read,
    /// The core settings of servers and locations are merged.
    MergeCore,
    /// Upstreams are built: host names are resolved.
    Upstreams,
    /// The settings of the other modules are merged.
    Merge,
    /// Location trees.
    Locations,
    /// Modules look at the whole.
    Whole,
    /// Variables are looked up.
    Variables,
    /// Server names of an address.
    Names,
}

/// The diagnostics of a run.
#[derive(Debug, Default)]
pub struct Found {
    list: Vec<(Option<Place>, Step, Diag)>,
    /// The files that logs go to, in the order in which they were read.
    pub logs: Vec<std::path::PathBuf>,
}

impl Found {
    pub fn new() -> Self {
        Self::default()
    }

    /// An error of the directive that ends at `at`.
    pub fn emerg(&mut self, at: Place, code: &'static str, message: impl Into<String>) {
        self.at(Severity::Emerg, at, code, message);
    }

    pub fn warn(&mut self, at: Place, code: &'static str, message: impl Into<String>) {
        self.at(Severity::Warn, at, code, message);
    }

    fn at(&mut self, severity: Severity, at: Place, code: &'static str, message: impl Into<String>) {
        let message = message.into();
        let diag = Diag { severity, code, message, span: None, at: Some(at), hint: None };
        self.list.push((Some(at), Step::Read, diag));
    }

    /// Something found at `when`, usually the end of `http`; `at` is what the line names, if it names a place.
    pub fn late(
        &mut self,
        when: Option<Place>,
        step: Step,
        severity: Severity,
        at: Option<Place>,
        message: impl Into<String>,
    ) {
        let message = message.into();
        let diag = Diag { severity, code: "bad-configuration", message, span: None, at, hint: None };
        self.list.push((when, step, diag));
    }

    /// Gives what was said last another code.
    pub fn code(&mut self, code: &'static str) {
        if let Some((_, _, diag)) = self.list.last_mut() {
            diag.code = code;
        }
    }

    /// Adds a hint to what was said last.
    pub fn hint(&mut self, hint: impl Into<String>) {
        if let Some((_, _, diag)) = self.list.last_mut() {
            diag.hint = Some(hint.into());
        }
    }

    /// Takes over what another room said, each thing at its own place, or at `when` if it has none.
    pub fn adopt(&mut self, diags: Diags, when: Option<Place>, step: Step) {
        for diag in diags.iter() {
            let place = if step == Step::Read { diag.at.or(when) } else { when };
            self.list.push((place, step, diag.clone()));
        }
    }

    pub fn fatal(&self) -> bool {
        self.list.iter().any(|(_, _, d)| d.severity.is_fatal())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diag> {
        self.list.iter().map(|(_, _, d)| d)
    }

    /// The diagnostics in nginx's order; a thing said twice is said once.
    pub fn finish(self, conf: &Conf) -> Diags {
        let mut list: Vec<_> =
            self.list.into_iter().map(|(place, step, diag)| (order(&conf.map, place), step, diag)).collect();
        list.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let mut seen = std::collections::HashSet::new();
        let mut diags = Diags::new();
        for (_, _, mut diag) in list {
            point(&mut diag, conf);
            if seen.insert((diag.message.clone(), diag.at)) {
                diags.push(diag);
            }
        }
        diags
    }
}

/// A place as the path of offsets that leads to it through `include`s: lexicographic order is reading order. What
/// has no place comes last; the text of `-g` is read before the files.
fn order(map: &SourceMap, place: Option<Place>) -> Vec<u32> {
    let Some((file, offset)) = place else { return vec![u32::MAX] };
    let mut path = vec![offset, file.0];
    let mut at = map.file(file).included_at;
    let mut root = file;
    while let Some(span) = at {
        path.push(span.end.saturating_sub(1));
        path.push(span.file.0);
        root = span.file;
        at = map.file(span.file).included_at;
    }
    path.push(u32::from(map.file(root).name != "command line"));
    path.reverse();
    path
}
