//! `server_name`.

use super::Cx;
use super::cx::show;
use super::text::Pattern;
use crate::source::Dir;

/// One of a server's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    /// Exact or with a wildcard, lower-case.
    Text(Box<[u8]>),
    Regex(Pattern),
}

/// Reads a `server_name` line.
pub fn read(cx: &mut Cx<'_>, d: Dir<'_>, names: &mut Vec<ServerName>) {
    for word in d.args() {
        let name = &word.value[..];
        let shown = show(name);
        let star = name.first() == Some(&b'*') && (name.len() < 3 || name.get(1) != Some(&b'.'));
        if star || name == b"." {
            return cx.emerg(d, format!("server name \"{shown}\" is invalid"));
        }
        if name.contains(&b'/') {
            cx.warn(d, format!("server name \"{shown}\" has suspicious symbols"));
        }
        match name.strip_prefix(b"~") {
            Some(b"") => return cx.emerg(d, format!("empty regex in server name \"{shown}\"")),
            Some(regex) => {
                let caseless = regex.iter().any(u8::is_ascii_uppercase);
                names.push(ServerName::Regex(Pattern { text: regex.into(), caseless, at: d.at() }));
            }
            None if name.eq_ignore_ascii_case(b"$hostname") => {
                names.push(ServerName::Text(cx.hostname.to_ascii_lowercase().into()));
            }
            None => names.push(ServerName::Text(name.to_ascii_lowercase().into())),
        }
    }
}
