//! What every dialect is mapped to: upstreams, servers, locations. Words are as tenrec means them; the writer quotes.

use super::input::Place;
use super::report::Sessions;

#[derive(Debug, Default)]
pub(super) struct Model {
    /// Directives of `events`, of the main context and of `http`.
    pub(super) events: Vec<Line>,
    pub(super) main: Vec<Line>,
    pub(super) http: Vec<Line>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) servers: Vec<Server>,
    pub(super) sessions: Vec<Sessions>,
}

/// A simple directive.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) words: Vec<String>,
    pub(super) cite: Option<Place>,
    /// What tenrec lacks to carry it out: it is written as a comment.
    pub(super) needs: Option<&'static str>,
    /// The lines of a block.
    pub(super) inside: Option<Vec<Line>>,
    /// What whoever reads the output must know or do.
    pub(super) says: Option<String>,
}

impl Line {
    pub(super) fn new<S: Into<String>>(cite: Option<Place>, words: impl IntoIterator<Item = S>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            cite,
            needs: None,
            inside: None,
            says: None,
        }
    }

    /// A block with its lines.
    pub(super) fn block<S: Into<String>>(
        cite: Option<Place>,
        words: impl IntoIterator<Item = S>,
        inside: Vec<Line>,
    ) -> Self {
        Self { inside: Some(inside), ..Self::new(cite, words) }
    }

    /// The same, as a comment unless `can`.
    pub(super) fn needs(mut self, can: bool, what: &'static str) -> Self {
        self.needs = (!can).then_some(what);
        self
    }
}

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) cite: Option<Place>,
    /// The balancer's line; round robin without.
    pub(super) method: Option<Line>,
    pub(super) sticky: Option<Sticky>,
    pub(super) peers: Vec<Peer>,
    /// More lines, after the servers.
    pub(super) lines: Vec<Line>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Peer {
    pub(super) address: String,
    pub(super) cite: Option<Place>,
    pub(super) weight: u32,
    pub(super) max_conns: u32,
    /// As nginx writes times.
    pub(super) slow_start: Option<String>,
    /// With `fail_timeout` in seconds.
    pub(super) max_fails: Option<(u32, u32)>,
    pub(super) down: bool,
    pub(super) backup: bool,
    pub(super) drain: bool,
    /// Looked up while tenrec runs; with the `service=` of its name.
    pub(super) resolve: bool,
    pub(super) service: Option<String>,
    /// The session value: `id=` or `route=` by the kind of stickiness.
    pub(super) id: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Sticky {
    pub(super) cite: Option<Place>,
    pub(super) kind: StickyKind,
}

#[derive(Debug, Clone)]
pub(super) enum StickyKind {
    Session(Session),
    Cookie(Cookie),
    /// `sticky learn`, words after it.
    Learn(Vec<String>),
    /// `sticky route`, words after it.
    Route(Vec<String>),
}

/// `session_sticky`
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) cookie: String,
    /// `insert`, `prefix`, `rewrite`
    pub(super) mode: &'static str,
    pub(super) indirect: bool,
    pub(super) domain: Option<String>,
    pub(super) path: Option<String>,
    /// Seconds.
    pub(super) maxage: Option<u64>,
    pub(super) maxidle: Option<u64>,
    pub(super) maxlife: Option<u64>,
    pub(super) fallback: bool,
    pub(super) plain: bool,
    pub(super) secure: bool,
    pub(super) httponly: bool,
    pub(super) samesite: Option<String>,
    /// With answers of 400 and above too.
    pub(super) always: bool,
    pub(super) nocache: bool,
    pub(super) postonly: bool,
    pub(super) preserve: bool,
}

impl Session {
    pub(super) fn insert(cookie: impl Into<String>) -> Self {
        Self {
            cookie: cookie.into(),
            mode: "insert",
            indirect: false,
            domain: None,
            path: Some("/".to_owned()),
            maxage: None,
            maxidle: None,
            maxlife: None,
            fallback: true,
            plain: true,
            secure: false,
            httponly: false,
            samesite: None,
            always: false,
            nocache: false,
            postonly: false,
            preserve: false,
        }
    }

    /// Whether the location hides the cookie from the backend.
    pub(super) fn hides(&self) -> bool {
        self.indirect || self.mode == "prefix"
    }
}

/// `sticky cookie`
#[derive(Debug, Clone, Default)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) expires: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) path: Option<String>,
    pub(super) httponly: bool,
    pub(super) secure: bool,
    pub(super) samesite: Option<String>,
}

/// The longest value that `route=` takes.
pub(super) const LONGEST_ROUTE: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) cite: Option<Place>,
    pub(super) listens: Vec<Line>,
    pub(super) names: Vec<String>,
    pub(super) lines: Vec<Line>,
    pub(super) locations: Vec<Location>,
}

#[derive(Debug, Default)]
pub(super) struct Location {
    pub(super) cite: Option<Place>,
    /// ``, `=`, `~`, `~*`, `^~`
    pub(super) modifier: &'static str,
    pub(super) path: String,
    pub(super) lines: Vec<Line>,
}

impl Location {
    /// The same once more.
    pub(super) fn again(&self) -> Self {
        let (cite, modifier) = (self.cite, self.modifier);
        Self { cite, modifier, path: self.path.clone(), lines: self.lines.clone() }
    }
}

/// Names for upstreams: what a host may hold, each once.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: Vec<String>,
}

impl Names {
    pub(super) fn make(&mut self, wanted: &str) -> String {
        let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
        let mut name: String = wanted.chars().map(fit).collect();
        if name.is_empty() {
            name.push_str("upstream");
        }
        let stem = name.clone();
        let mut n = 2;
        while self.taken.iter().any(|t| t.eq_ignore_ascii_case(&name)) {
            name = format!("{stem}_{n}");
            n += 1;
        }
        self.taken.push(name.clone());
        name
    }
}
