//! A frontend, backend or listen with the defaults that it takes.

use super::read::{Line, Section};

pub(super) struct Proxy<'a> {
    pub(super) section: &'a Section,
    pub(super) defaults: Option<&'a Section>,
}

/// Every proxy of the file with its defaults: those named by `from`, otherwise the last ones before it.
pub(super) fn proxies(sections: &[Section]) -> Vec<Proxy<'_>> {
    let mut out = Vec::new();
    let mut last: Option<&Section> = None;
    for section in sections {
        match section.kind.as_str() {
            "defaults" => last = Some(section),
            "frontend" | "backend" | "listen" => {
                let words = section.head.as_ref().map_or(&[][..], |h| h.from(2));
                let named = words.iter().position(|w| w == "from").and_then(|i| words.get(i + 1));
                let named =
                    named.and_then(|n| sections.iter().find(|s| s.kind == "defaults" && s.name == *n));
                out.push(Proxy { section, defaults: named.or(last) });
            }
            _ => {}
        }
    }
    out
}

impl<'a> Proxy<'a> {
    pub(super) fn own(&self) -> impl DoubleEndedIterator<Item = &'a Line> + use<'a> {
        self.section.lines.iter()
    }

    /// The section's lines, those of its defaults first.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &'a Line> + use<'a> {
        self.defaults.into_iter().flat_map(|d| &d.lines).chain(&self.section.lines)
    }

    /// The line of a keyword that holds: the last one.
    pub(super) fn last(&self, keyword: &str) -> Option<&'a Line> {
        self.all().rev().find(|l| l.word(0) == keyword)
    }

    /// `option NAME` when it is on.
    pub(super) fn option(&self, name: &str) -> Option<&'a Line> {
        let is = |l: &&Line| {
            (l.word(0) == "option" && l.word(1) == name)
                || (l.word(0) == "no" && l.word(1) == "option" && l.word(2) == name)
        };
        self.all().rev().find(is).filter(|l| l.word(0) == "option")
    }

    /// `timeout NAME`
    pub(super) fn timeout(&self, name: &str) -> Option<&'a Line> {
        self.all().rev().find(|l| l.word(0) == "timeout" && l.word(1) == name)
    }
}
