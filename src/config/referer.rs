//! `valid_referers`

use super::Cx;
use super::family::family;
use super::tables::Map;
use super::text::Pattern;
use crate::source::Dir;

family! {
    /// `ngx_http_referer_module`
    pub struct Referer {
        "valid_referers" => referers: Referers = referers, Referers::default();
    }
}

/// The referers that are welcome; the numbers of `hosts` are indices into `paths`.
#[derive(Debug, Clone, Default)]
pub struct Referers {
    pub none: bool,
    pub blocked: bool,
    pub server_names: bool,
    /// The regexes of `server_name`; what a level says of other names does not end them.
    pub server_regexes: bool,
    pub hosts: Map,
    pub paths: Vec<Option<Box<[u8]>>>,
    pub regexes: Vec<Pattern>,
}

impl Referer {
    /// Inheritance as nginx has it: a level without regexes has those of the level above. Call it in place of `inherit`.
    pub fn merge(&mut self, parent: &Self) {
        if let (Some(own), Some(above)) = (&mut self.referers, &parent.referers) {
            own.server_regexes |= above.server_regexes;
            if own.regexes.is_empty() {
                own.regexes.clone_from(&above.regexes);
            }
        }
        self.inherit(parent);
    }
}

impl Referers {
    /// Adds a host, which may have a wildcard; `Err`: nginx's words.
    pub fn add(&mut self, host: &[u8], path: Option<&[u8]>) -> Result<(), String> {
        self.hosts.hostnames = true;
        self.paths.push(path.map(Into::into));
        self.hosts.add_name(host, self.paths.len() as u32 - 1)
    }

    /// No host is named.
    pub fn no_hosts(&self) -> bool {
        self.hosts.exact.is_empty() && self.hosts.head.is_empty() && self.hosts.tail.is_empty()
    }
}

fn referers(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Referers>) {
    let list = slot.get_or_insert_default();
    for word in d.args() {
        let text = &word.value[..];
        match text {
            b"" => return cx.emerg(d, "invalid referer \"\""),
            b"none" => list.none = true,
            b"blocked" => list.blocked = true,
            b"server_names" => {
                list.server_names = true;
                list.server_regexes = true;
            }
            b"~" => return cx.emerg(d, "empty regex in \"~\""),
            [b'~', regex @ ..] => {
                list.regexes.push(Pattern { text: regex.into(), caseless: true, at: d.at() });
            }
            _ => {
                let (host, path) = match memchr::memchr(b'/', text).and_then(|at| text.split_at_checked(at)) {
                    Some((host, path)) => (host, Some(path)),
                    None => (text, None),
                };
                if let Err(words) = list.add(host, path) {
                    return cx.emerg(d, words);
                }
            }
        }
    }
}
