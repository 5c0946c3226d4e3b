//! Locations, and what is theirs alone.

use super::access::Access;
use super::core::{Core, ErrorPage};
use super::cx::{Here, PassSeen, show};
use super::encoding::Encoding;
use super::gate::Gate;
use super::headers::Headers;
use super::limit::Limit;
use super::proxy::{Pass, PassTo, Proxy};
use super::proxy_tls::ProxyTls;
use super::realip::RealIp;
use super::referer::Referer;
use super::script::Script;
use super::text::{Pattern, Text};
use super::{Cx, Place, sticky};
use crate::plan::{LocMatch, StatusFormat};
use crate::source::Dir;
use crate::values;

/// The settings of a level that the levels below inherit. A family without a directive here is absent.
#[derive(Debug, Clone, Default)]
pub struct Level {
    pub core: Option<Box<Core>>,
    pub headers: Option<Box<Headers>>,
    pub access: Option<Box<Access>>,
    pub encoding: Option<Box<Encoding>>,
    pub gate: Option<Box<Gate>>,
    pub limit: Option<Box<Limit>>,
    pub referer: Option<Box<Referer>>,
    pub real_ip: Option<Box<RealIp>>,
    pub proxy: Option<Box<Proxy>>,
    pub proxy_tls: Option<Box<ProxyTls>>,
    pub sticky: Option<Box<sticky::Hiding>>,
}

impl Level {
    /// Reads a directive, if it is one of these families.
    pub fn read(&mut self, cx: &mut Cx<'_>, d: Dir<'_>) {
        let name = d.name();
        if Core::knows(name) {
            self.core.get_or_insert_default().read(cx, d);
        } else if Proxy::knows(name) {
            self.proxy.get_or_insert_default().read(cx, d);
        } else if ProxyTls::knows(name) {
            self.proxy_tls.get_or_insert_default().read(cx, d);
        } else if Headers::knows(name) {
            self.headers.get_or_insert_default().read(cx, d);
        } else if Access::knows(name) {
            self.access.get_or_insert_default().read(cx, d);
        } else if Encoding::knows(name) {
            self.encoding.get_or_insert_default().read(cx, d);
        } else if Referer::knows(name) {
            self.referer.get_or_insert_default().read(cx, d);
        } else if Limit::knows(name) {
            self.limit.get_or_insert_default().read(cx, d);
        } else if Gate::knows(name) {
            self.gate.get_or_insert_default().read(cx, d);
        } else if RealIp::knows(name) {
            self.real_ip.get_or_insert_default().read(cx, d);
        } else if sticky::Hiding::knows(name) {
            let mut diags = crate::diag::Diags::new();
            self.sticky.get_or_insert_default().read(d, &mut diags);
            cx.found.adopt(diags, Some(d.at()), super::Step::Read);
        }
    }
}

/// A location, or the server block itself.
#[derive(Debug, Clone)]
pub struct Location {
    pub kind: LocMatch,
    pub name: Box<[u8]>,
    /// The regex of one with `~` or `~*`.
    pub pattern: Option<Pattern>,
    /// Index into [`super::Http::servers`].
    pub server: usize,
    /// Index into [`super::Http::locations`]; `None`: the server block.
    pub parent: Option<usize>,
    pub level: Level,
    pub content: Content,
    /// `content` was said in this block.
    pub own_content: bool,
    /// `check_status FORMAT`; locations inside inherit it.
    pub status_format: Option<StatusFormat>,
    pub try_files: Option<Vec<TryFile>>,
    /// `limit_except`: the methods that it names, and its inside: index into [`super::Http::locations`].
    pub limit_except: Option<(Vec<&'static [u8]>, usize)>,
    /// `set`, `if`, `rewrite` …; those of an `if` are its parent's.
    pub script: Script,
    /// The `{`.
    pub at: Place,
}

/// What answers; the last directive that names something wins, as in nginx.
#[derive(Debug, Clone, Default)]
pub enum Content {
    #[default]
    Static,
    Proxy(Pass),
    StubStatus,
    EmptyGif,
    CheckStatus,
}

#[derive(Debug, Clone)]
pub enum TryFile {
    /// `dir`: it ended in `/`.
    File {
        path: Text,
        dir: bool,
    },
    Code(u16),
    /// The last argument: a named location or a URI.
    Last(Text),
}

impl Location {
    pub fn server_itself(server: usize, at: Place) -> Self {
        Self {
            kind: LocMatch::Server,
            name: Box::default(),
            pattern: None,
            server,
            parent: None,
            level: Level::default(),
            content: Content::Static,
            own_content: false,
            status_format: None,
            try_files: None,
            limit_except: None,
            script: Script::default(),
            at,
        }
    }

    /// Reads the head of a location inside `parent`; `None` when it is refused.
    pub fn open(cx: &mut Cx<'_>, d: Dir<'_>, parent: (usize, &Location)) -> Option<Self> {
        let mut location = Self::server_itself(parent.1.server, d.at());
        location.parent = Some(parent.0);
        let (modifier, name) = match d.args() {
            [modifier, name] => (&modifier.value[..], &name.value[..]),
            _ => split_modifier(d.arg(0)),
        };
        location.kind = match modifier {
            b"" if d.args().len() > 1 => {
                cx.emerg(d, "invalid location modifier \"\"");
                return None;
            }
            b"=" => LocMatch::Exact,
            b"^~" => LocMatch::PrefixNoRegex,
            b"~" | b"~*" => {
                let caseless = modifier == b"~*";
                location.pattern = Some(Pattern { text: name.into(), caseless, at: d.at() });
                LocMatch::Regex
            }
            b"" if name.first() == Some(&b'@') => LocMatch::Named,
            b"" => LocMatch::Prefix,
            _ => {
                cx.emerg(d, format!("invalid location modifier \"{}\"", show(modifier)));
                return None;
            }
        };
        location.name = name.into();
        if let Some(wrong) = misplaced(&location, parent.1) {
            cx.emerg(d, wrong);
            return None;
        }
        Some(location)
    }

    /// The inside of an `if` or a `limit_except` in `parent`: what is not said there is the parent's.
    pub fn inside(kind: LocMatch, d: Dir<'_>, parent: (usize, &Self)) -> Self {
        let mut location = Self::server_itself(parent.1.server, d.at());
        location.kind = kind;
        location.name.clone_from(&parent.1.name);
        location.parent = Some(parent.0);
        location
    }

    /// What the readers of its directives are told of it.
    pub fn here(&self) -> Here {
        let pass = match &self.content {
            Content::Proxy(Pass { to: PassTo::Url { .. }, .. }) => PassSeen::Url,
            Content::Proxy(_) => PassSeen::Variable,
            _ => PassSeen::No,
        };
        Here {
            name: self.name.clone(),
            named: matches!(self.kind, LocMatch::Named | LocMatch::If | LocMatch::LimitExcept),
            regex: self.kind == LocMatch::Regex,
            pass,
        }
    }

    /// Reads a directive inside it, a nested location excepted.
    pub fn read(&mut self, cx: &mut Cx<'_>, d: Dir<'_>) {
        match d.name() {
            "proxy_pass" => {
                let mut pass = match &self.content {
                    Content::Proxy(pass) if self.own_content => Some(pass.clone()),
                    _ => None,
                };
                Pass::read(cx, d, &mut pass);
                if let Some(pass) = pass {
                    self.content = Content::Proxy(pass);
                    self.own_content = true;
                    cx.loc.pass = self.here().pass;
                }
            }
            "stub_status" | "empty_gif" => {
                self.content = if d.name() == "empty_gif" { Content::EmptyGif } else { Content::StubStatus };
                self.own_content = true;
            }
            "check_status" => {
                self.content = Content::CheckStatus;
                self.own_content = true;
                if let Some(format) = d.args().first() {
                    self.status_format = StatusFormat::of(&format.value);
                    if self.status_format.is_none() {
                        cx.emerg(d, format!("invalid check format \"{}\"", show(&format.value)));
                    }
                }
            }
            "try_files" => try_files(cx, d, &mut self.try_files),
            _ => self.level.read(cx, d),
        }
    }

    /// The `error_page`s of this level.
    pub fn error_pages(&self) -> &[ErrorPage] {
        self.level.core.as_ref().and_then(|c| c.error_pages.as_deref()).unwrap_or_default()
    }
}

/// A modifier that was written without a blank: `=/x`, `^~/x`, `~x`, `~*x`.
fn split_modifier(word: &[u8]) -> (&[u8], &[u8]) {
    for modifier in [&b"="[..], b"^~", b"~*", b"~"] {
        if let Some(name) = word.strip_prefix(modifier) {
            return (modifier, name);
        }
    }
    (b"", word)
}

/// What nginx says of a location that may not stand where it does.
fn misplaced(location: &Location, parent: &Location) -> Option<String> {
    let (name, outer) = (show(&location.name), show(&parent.name));
    match parent.kind {
        LocMatch::Server => return None,
        LocMatch::Exact => {
            return Some(format!("location \"{name}\" cannot be inside the exact location \"{outer}\""));
        }
        LocMatch::Named => {
            return Some(format!("location \"{name}\" cannot be inside the named location \"{outer}\""));
        }
        _ => {}
    }
    if location.kind == LocMatch::Named {
        return Some(format!("named location \"{name}\" can be on the server level only"));
    }
    let outside = location.kind != LocMatch::Regex && !location.name.starts_with(&parent.name);
    outside.then(|| format!("location \"{name}\" is outside location \"{outer}\""))
}

/// The methods that `limit_except` may name.
const METHODS: [&[u8]; 14] = [
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"OPTIONS",
    b"PROPFIND",
    b"PROPPATCH",
    b"LOCK",
    b"UNLOCK",
    b"PATCH",
];

/// The methods of a `limit_except`; GET stands for HEAD as well.
pub fn limited(cx: &mut Cx<'_>, d: Dir<'_>) -> Vec<&'static [u8]> {
    let mut methods = Vec::new();
    for word in d.args() {
        match METHODS.iter().find(|m| m.eq_ignore_ascii_case(&word.value)) {
            Some(&method) => methods.push(method),
            None => cx.emerg(d, format!("invalid method \"{}\"", show(&word.value))),
        }
    }
    if methods.contains(&&b"GET"[..]) {
        methods.push(b"HEAD");
    }
    methods
}

fn try_files(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<TryFile>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let Some((last, files)) = d.args().split_last() else { return };
    let mut list = Vec::new();
    for word in files {
        let (path, dir) = word.value.strip_suffix(b"/").map_or((&word.value[..], false), |p| (p, true));
        let Some(path) = Text::read(cx, d, path) else { return };
        list.push(TryFile::File { path, dir });
    }
    if let Some(code) = last.value.strip_prefix(b"=") {
        match values::number(code) {
            Some(n @ 0..=999) => list.push(TryFile::Code(n as u16)),
            _ => return cx.emerg(d, format!("invalid code \"{}\"", show(&last.value))),
        }
    } else {
        let Some(text) = Text::read(cx, d, &last.value) else { return };
        list.push(TryFile::Last(text));
    }
    *slot = Some(list);
}
