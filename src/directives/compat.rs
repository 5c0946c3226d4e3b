//! What another program would say of the names in a configuration: an older nginx, NGINX Plus, Tengine.

use std::collections::HashMap;
use std::fmt;

use super::check::{opens, pick};
use super::{Context, Id, Origin, Row, hint, id};
use crate::diag::{Diag, Diags, Severity, Span};
use crate::source::{Children, Conf, Dir};
use crate::values::c_text;

/// A version of nginx: `1.29.6` is `[1, 29, 6]`.
type Version = [u16; 3];

/// The oldest one that the table's `since` speaks of: a row without it is older.
const OLDEST: Version = [1, 21, 0];
/// The one that tenrec follows, and the one that Tengine 3.2 is made from.
const NEWEST: Version = [1, 31, 5];
const TENGINE: Version = [1, 31, 3];

/// The program that a configuration is to be fit for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The newest of a branch when no patch was named.
    Nginx(Version, bool),
    Plus,
    Tengine,
}

impl Target {
    /// `nginx=1.28`, `nginx=1.31.0` (1.21 to 1.31), `tengine=3.2`, `plus`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('=') {
            Some(("nginx", version)) => {
                let mut parts = version.split('.').map(|p| p.parse::<u16>().ok());
                let (major, minor) = (parts.next()??, parts.next()??);
                let patch = match parts.next() {
                    Some(patch) => Some(patch?),
                    None => None,
                };
                let version = [major, minor, patch.unwrap_or(u16::MAX)];
                let known = version >= OLDEST && (version <= NEWEST || patch.is_none() && minor <= NEWEST[1]);
                (known && major == 1 && parts.next().is_none())
                    .then_some(Self::Nginx(version, patch.is_some()))
            }
            Some(("tengine", "3.2" | "3.2.0")) => Some(Self::Tengine),
            None if text == "plus" => Some(Self::Plus),
            _ => None,
        }
    }

    fn version(self) -> Version {
        match self {
            Self::Nginx(version, _) => version,
            Self::Plus => NEWEST,
            Self::Tengine => TENGINE,
        }
    }

    fn has(self, origin: Origin, since: Option<Version>) -> bool {
        match origin {
            Origin::Nginx => since.is_none_or(|since| since <= self.version()),
            Origin::Tengine => self == Self::Tengine,
            _ => false,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nginx([major, minor, patch], true) => write!(f, "nginx {major}.{minor}.{patch}"),
            Self::Nginx([major, minor, _], false) => write!(f, "nginx {major}.{minor}"),
            Self::Plus => f.write_str("NGINX Plus"),
            Self::Tengine => f.write_str("Tengine 3.2"),
        }
    }
}

/// Who has a parameter.
#[derive(Clone, Copy)]
enum Home {
    Nginx(Version),
    Tengine,
    Plus,
    Tenrec,
}

/// Parameters that not every program has whose directive it knows; `=` at the end: with a value.
const PARAMETERS: &[(&str, Context, &str, Home)] = &[
    ("check", Context::UPSTREAM, "drain=", Home::Tenrec),
    ("keepalive", Context::UPSTREAM, "local", Home::Nginx([1, 29, 7])),
    ("listen", Context::SERVER, "multipath", Home::Nginx([1, 29, 7])),
    ("listen", Context::SERVER, "quic", Home::Nginx([1, 25, 0])),
    ("server", Context::UPSTREAM, "drain", Home::Nginx([1, 29, 6])),
    ("server", Context::UPSTREAM, "id=", Home::Tengine),
    ("server", Context::UPSTREAM, "resolve", Home::Nginx([1, 27, 3])),
    ("server", Context::UPSTREAM, "route=", Home::Nginx([1, 29, 6])),
    ("server", Context::UPSTREAM, "service=", Home::Nginx([1, 27, 3])),
    ("server", Context::UPSTREAM, "slow_start=", Home::Plus),
    ("session_sticky", Context::UPSTREAM, "always", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "httponly", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "nocache", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "postonly", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "preserve", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "samesite=", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "secure", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "secure=", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "send=", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "signed", Home::Tenrec),
    ("session_sticky", Context::UPSTREAM, "signed=", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "maxidle=", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "maxlife=", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "nocache", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "postonly", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "preserve", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "samesite=auto", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "secure=auto", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "send=", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "signed", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "signed=", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "snapshot=", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "snapshot_interval=", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "store=", Home::Tenrec),
    ("sticky", Context::UPSTREAM, "sync", Home::Plus),
];

/// Directives whose default was another one before a version: what nginx's CHANGES say of it.
const DEFAULTS: &[(&str, &str, Version, &str)] = &[
    ("proxy_pass", "proxy_http_version", [1, 29, 7], "1.0, with \"Connection: close\", before 1.29.7"),
    ("upstream", "keepalive", [1, 29, 7], "no idle connections before 1.29.7, 32 since"),
    ("ssl_certificate", "ssl_protocols", [1, 27, 3], "TLSv1 and TLSv1.1 were on before 1.27.3"),
];

/// Says what `target` would not know, in its words, and which defaults are others there.
pub fn compat(conf: &Conf, target: Target, diags: &mut Diags) {
    let mut stack: Vec<(Children<'_>, Context)> = vec![(conf.main(), Context::MAIN)];
    let mut first: HashMap<&'static str, Dir<'_>> = HashMap::new();
    let mut set: Vec<Id> = Vec::new();
    while let Some((rest, here)) = stack.last_mut() {
        let here = *here;
        let Some(dir) = rest.next() else {
            stack.pop();
            continue;
        };
        let Some(id) = id(dir.name()) else {
            if target == Target::Plus && hint::elsewhere(dir.name()).is_some_and(|h| h.contains("NGINX Plus"))
            {
                in_plus(dir, diags);
            }
            continue;
        };
        set.push(id);
        let Some(row) = pick(id, here, dir.args().len()) else { continue };
        let at_home = id.rows().iter().any(|r| r.contexts.intersects(here) && target.has(r.origin, r.since));
        if at_home {
            parameters(dir, row, here, target, diags);
            for (starts, ..) in DEFAULTS.iter().filter(|d| d.0 == row.name) {
                first.entry(starts).or_insert(dir);
            }
        } else {
            let name = String::from_utf8_lossy(c_text(&dir.node().name.value));
            say(
                diags,
                dir,
                dir.node().name.span,
                format!("unknown directive \"{name}\" in {target} ({})", home(row)),
            );
        }
        if let Some(inside) = opens(row, here) {
            stack.push((dir.children(), inside));
        }
    }
    for (starts, name, changed, was) in DEFAULTS {
        let Some(dir) = first.get(starts).filter(|_| target.version() < *changed) else { continue };
        if id(name).is_some_and(|id| set.contains(&id)) {
            continue;
        }
        let message = format!("the default of \"{name}\" is another one in {target}: {was}");
        let diag = Diag::new(Severity::Warn, "other-default", message);
        diags.push(diag.with_span(dir.span()).with_at(dir.at()));
    }
}

/// What tenrec has no table of and NGINX Plus knows: that is said instead of "unknown".
fn in_plus(dir: Dir<'_>, diags: &mut Diags) {
    let name = dir.node().name.span;
    let mut kept = Diags::new();
    for diag in diags.iter().filter(|d| d.code != "unknown-directive" || d.span != Some(name)) {
        kept.push(diag.clone());
    }
    *diags = kept;
    let message = format!("\"{}\" directive is known in NGINX Plus and not supported by tenrec", dir.name());
    diags.push(Diag::emerg("not-supported", message).with_span(name).with_at(dir.at()));
}

fn parameters(dir: Dir<'_>, row: &Row, here: Context, target: Target, diags: &mut Diags) {
    if row.name == "sticky" && !matches!(dir.arg(0), b"cookie" | b"route" | b"learn") {
        let message = format!("invalid \"sticky\" in {target} (it is nginx-sticky-module-ng's)");
        return say(diags, dir, dir.node().name.span, message);
    }
    let of = |p: &&(&str, Context, &str, Home)| p.0 == row.name && p.1.intersects(here);
    for (_, _, parameter, whose) in PARAMETERS.iter().filter(of) {
        let (known, is) = match whose {
            Home::Nginx(since) => {
                (target.has(Origin::Nginx, Some(*since)), format!("nginx has it since {}", text(*since)))
            }
            Home::Tengine => (target == Target::Tengine, "it is Tengine's".to_owned()),
            Home::Tenrec => (false, "it is tenrec's own".to_owned()),
            Home::Plus => (target == Target::Plus, "it is NGINX Plus's".to_owned()),
        };
        if known {
            continue;
        }
        for (i, word) in dir.args().iter().enumerate() {
            let hit = match parameter.strip_suffix('=') {
                Some(_) => word.value.starts_with(parameter.as_bytes()),
                None => *word.value == *parameter.as_bytes(),
            };
            if hit {
                let shown = String::from_utf8_lossy(&word.value);
                say(diags, dir, dir.arg_span(i), format!("invalid parameter \"{shown}\" in {target} ({is})"));
            }
        }
    }
}

/// Where a directive is at home.
fn home(row: &Row) -> String {
    match (row.origin, row.since) {
        (Origin::Nginx, Some(since)) => format!("nginx has it since {}", text(since)),
        (Origin::Nginx, None) => "nginx has it elsewhere".to_owned(),
        (Origin::Tengine, _) => "it is Tengine's".to_owned(),
        (origin, _) => format!("its origin is: {}", origin.word()),
    }
}

fn text([major, minor, patch]: Version) -> String {
    format!("{major}.{minor}.{patch}")
}

fn say(diags: &mut Diags, dir: Dir<'_>, span: Span, message: String) {
    diags.push(Diag::emerg("compat", message).with_span(span).with_at(dir.at()));
}
