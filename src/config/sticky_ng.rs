//! `sticky` as nginx-sticky-module-ng reads it, with its words for what is wrong.

use super::pins::{Dialect, Params};
use super::upstream::{Say, show};
use crate::plan::{NgDigest, NgInput, NgValue, SameSite, StickyNg};
use crate::values;

/// Whether these arguments of `sticky` are the module's and not nginx's own.
pub(super) fn is(args: &[&[u8]]) -> bool {
    const FLAGS: [&[u8]; 5] = [b"secure", b"httponly", b"no_fallback", b"hide_cookie", b"transfer"];
    match args.first() {
        None => true,
        Some(first) => first.contains(&b'=') || FLAGS.iter().any(|f| first.starts_with(f)),
    }
}

/// Which of the three ways to name a peer was asked for. The key of an HMAC comes on its own.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Index,
    Hash(NgDigest),
    Hmac(NgDigest),
    Text(Option<NgDigest>),
}

impl Kind {
    fn family(self) -> u8 {
        match self {
            Self::Index | Self::Hash(_) => 0,
            Self::Hmac(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

const HASHES: &[(&str, Kind)] =
    &[("index", Kind::Index), ("md5", Kind::Hash(NgDigest::Md5)), ("sha1", Kind::Hash(NgDigest::Sha1))];
const HMACS: &[(&str, Kind)] = &[("md5", Kind::Hmac(NgDigest::Md5)), ("sha1", Kind::Hmac(NgDigest::Sha1))];
const TEXTS: &[(&str, Kind)] = &[
    ("raw", Kind::Text(None)),
    ("md5", Kind::Text(Some(NgDigest::Md5))),
    ("sha1", Kind::Text(Some(NgDigest::Sha1))),
];

/// Reads the directive. As in the module the last of two equal parameters holds.
pub(super) fn sticky(say: &mut Say<'_, '_>, ours: &mut Params) -> Option<StickyNg> {
    read(say, ours, 0)
}

/// Reads its parameters from argument `from` on.
pub(super) fn read(say: &mut Say<'_, '_>, ours: &mut Params, from: usize) -> Option<StickyNg> {
    let mut s = StickyNg {
        name: (*b"route").into(),
        domain: None,
        path: (*b"/").into(),
        expires: None,
        secure: false,
        httponly: false,
        fallback: true,
        hide: false,
        value: NgValue::Hash(NgDigest::Md5),
        input: NgInput::Address,
    };
    let dir = say.dir;
    let (mut kind, mut key) = (None, None);
    for (i, word) in dir.args().iter().enumerate().skip(from) {
        match ours.take(Dialect::Ng, &word.value) {
            None => {}
            Some(Ok(())) => continue,
            Some(Err(message)) => {
                say.emerg(i, message);
                return None;
            }
        }
        match parameter(&mut s, &mut kind, &mut key, &word.value) {
            Ok(None) => {}
            Ok(Some(read_as)) => {
                let message = format!("\"{}\" is read as \"{read_as}\"", show(&word.value));
                say.warn(i, message, "nginx-sticky-module-ng compares the beginning only");
            }
            Err(message) => {
                say.emerg(i, message);
                return None;
            }
        }
    }
    let at = |name: &[u8]| dir.args().iter().position(|w| w.value.starts_with(name)).unwrap_or(0);
    s.value = match (kind, key) {
        (Some(Kind::Hmac(digest)), Some(key)) => NgValue::Hmac(digest, key),
        (Some(Kind::Hmac(_)), None) => {
            say.emerg(at(b"hmac="), "please specify \"hmac_key=\" when using \"hmac\"");
            return None;
        }
        (Some(Kind::Text(digest)), _) => NgValue::Text(digest),
        (_, Some(_)) => {
            say.emerg(at(b"hmac_key="), "\"hmac_key=\" is meaningless without \"hmac=\", please remove it");
            return None;
        }
        (Some(Kind::Hash(digest)), None) => NgValue::Hash(digest),
        (Some(Kind::Index), None) => NgValue::Index,
        (None, None) => NgValue::Hash(NgDigest::Md5),
    };
    if s.input == NgInput::Server && matches!(s.value, NgValue::Text(Some(_))) {
        say.emerg(at(b"hash_of="), "\"hash_of=server\" has no digests of \"text=\", use \"hash=\"");
        return None;
    }
    ours.check_samesite(say, ours.samesite == Some(SameSite::None), s.secure).then_some(s)
}

/// Takes a parameter. `Some`: what a longer word was read as.
fn parameter(
    s: &mut StickyNg,
    kind: &mut Option<Kind>,
    key: &mut Option<Box<[u8]>>,
    text: &[u8],
) -> Result<Option<String>, String> {
    let at = text.iter().position(|b| *b == b'=').map_or(0, |i| i + 1);
    let (name, value) = text.split_at(at);
    let known: [&[u8]; 10] = [
        b"name=",
        b"domain=",
        b"path=",
        b"expires=",
        b"hash=",
        b"hmac=",
        b"hmac_key=",
        b"text=",
        b"hash_of=",
        b"delimiter=",
    ];
    if value.is_empty() && known.contains(&name) {
        return Err(format!("a value must be provided to \"{}\"", show(name)));
    }
    match name {
        b"name=" => s.name = value.into(),
        b"domain=" => s.domain = Some(value.into()),
        b"path=" => s.path = value.into(),
        b"expires=" => {
            let seconds = values::sec(value).and_then(|n| i64::try_from(n).ok()).filter(|n| *n > 0);
            s.expires = Some(seconds.ok_or("invalid value for \"expires=\"")?);
        }
        b"hash=" => return named(kind, HASHES, "hash", value),
        b"hmac=" => return named(kind, HMACS, "hmac", value),
        b"text=" => return named(kind, TEXTS, "text", value),
        b"hmac_key=" => *key = Some(value.into()),
        b"hash_of=" => {
            s.input = match value {
                b"address" => NgInput::Address,
                b"server" => NgInput::Server,
                _ => return Err("wrong value for \"hash_of=\": address or server".to_owned()),
            };
        }
        b"delimiter=" => return Err(unsupported("delimiter=")),
        _ => return flag(s, text),
    }
    Ok(None)
}

fn flag(s: &mut StickyNg, text: &[u8]) -> Result<Option<String>, String> {
    match text {
        b"secure" => s.secure = true,
        b"httponly" => s.httponly = true,
        b"transfer" => return Err(unsupported("transfer")),
        _ => {
            let word = if text.starts_with(b"no_fallback") {
                s.fallback = false;
                "no_fallback"
            } else if text.starts_with(b"hide_cookie") {
                s.hide = true;
                "hide_cookie"
            } else {
                return Err(format!("invalid argument ({})", show(text)));
            };
            return Ok((text.len() > word.len()).then(|| word.to_owned()));
        }
    }
    Ok(None)
}

fn unsupported(word: &str) -> String {
    format!("\"{word}\" of \"sticky\" is not supported by tenrec")
}

/// The first of `words` that `value` begins with.
fn named(
    kind: &mut Option<Kind>,
    words: &[(&str, Kind)],
    name: &str,
    value: &[u8],
) -> Result<Option<String>, String> {
    let Some((word, found)) = words.iter().find(|(w, _)| value.starts_with(w.as_bytes())) else {
        let all: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
        let (last, others) = all.split_last().expect("there are words");
        return Err(format!("wrong value for \"{name}=\": {} or {last}", others.join(", ")));
    };
    if kind.is_some_and(|k| k.family() != found.family()) {
        return Err("please choose between \"hash=\", \"hmac=\" and \"text=\"".to_owned());
    }
    *kind = Some(*found);
    Ok((value.len() > word.len()).then(|| format!("{name}={word}")))
}

#[cfg(test)]
#[path = "tests/sticky_ng.rs"]
mod tests;
