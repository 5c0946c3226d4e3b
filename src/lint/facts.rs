//! The configuration as sessions see it: upstreams, and the locations that pass to them.

use crate::source::{Conf, Dir};

pub(super) struct Upstream<'c> {
    pub(super) name: &'c [u8],
    /// `session_sticky`, `sticky` or `sticky_cookie_insert`.
    pub(super) sticky: Option<Dir<'c>>,
    pub(super) lines: Vec<Dir<'c>>,
}

pub(super) struct Pass<'c> {
    pub(super) upstream: usize,
    /// The blocks around it, the innermost last.
    pub(super) around: Vec<Dir<'c>>,
}

pub(super) struct Facts<'c> {
    pub(super) upstreams: Vec<Upstream<'c>>,
    pub(super) passes: Vec<Pass<'c>>,
    /// Every directive outside of upstreams.
    pub(super) others: Vec<Dir<'c>>,
}

impl<'c> Facts<'c> {
    pub(super) fn of(conf: &'c Conf) -> Self {
        let mut facts = Self { upstreams: Vec::new(), passes: Vec::new(), others: Vec::new() };
        let mut passes = Vec::new();
        let mut around: Vec<Dir<'c>> = Vec::new();
        let mut stack = vec![conf.main()];
        while let Some(rest) = stack.last_mut() {
            let Some(dir) = rest.next() else {
                stack.pop();
                around.pop();
                continue;
            };
            match dir.name() {
                "upstream" => {
                    let lines: Vec<Dir<'c>> = dir.children().collect();
                    let of = |d: &&Dir<'c>| {
                        matches!(d.name(), "session_sticky" | "sticky" | "sticky_cookie_insert")
                    };
                    let sticky = lines.iter().find(of).copied();
                    facts.upstreams.push(Upstream { name: dir.arg(0), sticky, lines });
                    continue;
                }
                "proxy_pass" => passes.push((dir, around.clone())),
                _ => {}
            }
            facts.others.push(dir);
            if dir.has_block() {
                stack.push(dir.children());
                around.push(dir);
            }
        }
        for (dir, around) in passes {
            let url = dir.arg(0);
            let host = url.strip_prefix(b"http://").or(url.strip_prefix(b"https://")).unwrap_or(url);
            let host = host.split(|b| matches!(b, b'/' | b':' | b'$')).next().unwrap_or_default();
            if let Some(upstream) = facts.upstreams.iter().position(|u| u.name.eq_ignore_ascii_case(host)) {
                facts.passes.push(Pass { upstream, around });
            }
        }
        facts
    }
}

impl<'c> Upstream<'c> {
    pub(super) fn servers(&self) -> impl Iterator<Item = Dir<'c>> {
        self.lines.iter().copied().filter(|d| d.name() == "server")
    }

    /// The session directive when it is Tengine's.
    pub(super) fn tengine(&self) -> Option<Dir<'c>> {
        self.sticky.filter(|d| d.name() == "session_sticky")
    }

    /// The session directive when it sets nginx's cookie.
    pub(super) fn cookie(&self) -> Option<Dir<'c>> {
        self.sticky
            .filter(|d| d.name() == "sticky_cookie_insert" || (d.name() == "sticky" && d.arg(0) == b"cookie"))
    }

    /// Name and path of the cookie that is set.
    pub(super) fn sets(&self) -> Option<(&'c [u8], &'c [u8])> {
        if let Some(dir) = self.tengine() {
            return Some((value(dir, b"cookie=").unwrap_or(b"route"), value(dir, b"path=").unwrap_or(b"/")));
        }
        let dir = self.cookie()?;
        let name = dir.arg(usize::from(dir.name() == "sticky"));
        Some((name, value(dir, b"path=").unwrap_or_default()))
    }

    /// Whether the cookies are signed: asked for, or there is a key.
    pub(super) fn signed(&self, facts: &Facts<'c>) -> bool {
        let has = |word: &[u8]| self.sticky.is_some_and(|d| d.args().iter().any(|w| *w.value == *word));
        let key = |d: &Dir<'c>| d.name() == "session_sticky_key";
        !has(b"signed=off")
            && (has(b"signed") || has(b"signed=on") || self.lines.iter().chain(&facts.others).any(key))
    }

    pub(super) fn strict(&self) -> Option<Dir<'c>> {
        self.tengine().filter(|d| value(*d, b"fallback=") == Some(b"off"))
    }
}

impl<'c> Pass<'c> {
    /// The setting that holds here, by name: the innermost block's that has one.
    pub(super) fn setting(&self, name: &str) -> Option<Dir<'c>> {
        self.around.iter().rev().find_map(|block| block.children().find(|d| d.name() == name))
    }
}

/// What follows `name=` in the parameters; the last one holds.
pub(super) fn value<'c>(dir: Dir<'c>, name: &[u8]) -> Option<&'c [u8]> {
    dir.args().iter().rev().find_map(|w| w.value.strip_prefix(name))
}

/// Which parameter begins so.
pub(super) fn parameter(dir: Dir<'_>, name: &[u8]) -> Option<usize> {
    dir.args().iter().position(|w| w.value.starts_with(name))
}
