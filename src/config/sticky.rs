//! Sessions: `session_sticky` and `sticky_cookie_insert` of an upstream, `session_sticky_hide_cookie` and
//! `session_sticky_header` of a location.

use super::learn::{self, Learn};
use super::pins::{Dialect, Params};
use super::sticky_ng;
use super::upstream::{Say, show};
use crate::diag::{Diags, FileId};
use crate::plan::{SameSite, Secure, SessionSticky, StickyExpires, StickyMode, StickyNg};
use crate::source::Dir;
use crate::values;

/// How an upstream keeps its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sticky {
    /// `session_sticky`
    Tengine(SessionSticky),
    /// `sticky_cookie_insert`, `sticky cookie`
    Cookie(CookieInsert),
    /// `sticky route`: names of variables.
    Route(Vec<Box<str>>),
    /// `sticky learn`
    Learn(Box<Learn>),
    /// nginx-sticky-module-ng's `sticky`
    Ng(StickyNg),
}

/// `sticky_cookie_insert NAME …`. Texts with variables are as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieInsert {
    pub name: Box<[u8]>,
    /// `expires=`; default: until the browser ends.
    pub expires: StickyExpires,
    pub domain: Option<Box<[u8]>>,
    /// Default: none is sent, so that the browser takes the request's folder.
    pub path: Option<Box<[u8]>>,
    pub httponly: bool,
    pub secure: bool,
    pub samesite: Option<Box<[u8]>>,
}

/// `session_sticky`: Tengine's parameters with its defaults. Values of which Tengine compares the beginning only are
/// taken as it takes them, with a warning.
pub(super) fn session_sticky(say: &mut Say<'_, '_>, ours: &mut Params) -> Option<SessionSticky> {
    let mut s = SessionSticky {
        cookie: (*b"route").into(),
        domain: None,
        path: Some((*b"/").into()),
        maxage: None,
        maxidle: None,
        maxlife: None,
        mode: StickyMode::Insert,
        indirect: false,
        fallback: true,
        md5: true,
    };
    let dir = say.dir;
    let mut good = true;
    for (i, word) in dir.args().iter().enumerate() {
        if i == 0 && *word.value == *b"session_sticky" {
            let hint = "write it once; the documentation's example has it twice";
            say.warn(i, "the word \"session_sticky\" is repeated", hint);
            continue;
        }
        match ours.take(Dialect::Tengine, &word.value) {
            None => {}
            Some(Ok(())) => continue,
            Some(Err(message)) => {
                say.emerg(i, message);
                good = false;
                continue;
            }
        }
        match parameter(&mut s, &word.value) {
            Ok(None) => {}
            Ok(Some(read_as)) => {
                let text = show(&word.value);
                let name = text.split('=').next().unwrap_or_default();
                let message = format!("\"{text}\" is read as \"{name}={read_as}\"");
                say.warn(i, message, "Tengine compares the beginning of this value only");
            }
            Err(message) => {
                say.emerg(i, message);
                good = false;
            }
        }
    }
    let timed = s.maxidle.is_some() || s.maxlife.is_some();
    let arg = |name: &[u8]| dir.args().iter().position(|w| w.value.starts_with(name)).unwrap_or(0);
    if timed && s.mode != StickyMode::Insert {
        let hint = "the cookie's life is the backend's matter in this mode";
        if ours.signed != Some(true) {
            say.warn(arg(b"max"), "\"maxidle\" and \"maxlife\" do nothing without \"mode=insert\"", hint);
        }
        (ours.maxidle, ours.maxlife) = (s.maxidle.take(), s.maxlife.take());
    } else if timed && s.maxage.is_some() {
        let hint = "the cookie lasts until the browser ends, its dates say how long it is good for";
        say.warn(arg(b"maxage="), "\"maxage\" is ignored with \"maxidle\" or \"maxlife\"", hint);
    }
    if s.mode == StickyMode::Rewrite && s.indirect {
        let hint = "the backend made the cookie, so it is not kept from it";
        say.warn(arg(b"option="), "\"option=indirect\" does nothing with \"mode=rewrite\"", hint);
        s.indirect = false;
    }
    good &= ours.check_samesite(say, ours.samesite == Some(SameSite::None), ours.secure == Secure::On);
    if s.mode != StickyMode::Insert && ours.any_of_insert() {
        let hint = "the cookie is the backend's in this mode, and so is when it is sent and what it says";
        let message = "\"always\", \"send\", \"postonly\", \"preserve\", \"secure\", \"httponly\" and \"samesite\" do \
                       nothing without \"mode=insert\"";
        say.warn(0, message, hint);
    }
    good.then_some(s)
}

/// Takes a parameter. `Some`: the word that a longer one was read as. The errors are Tengine's.
fn parameter(s: &mut SessionSticky, text: &[u8]) -> Result<Option<&'static str>, &'static str> {
    let Some(at) = text.iter().position(|b| *b == b'=') else { return Err("invalid argument") };
    let (name, value) = text.split_at(at + 1);
    let full = |error| if value.is_empty() { Err(error) } else { Ok(value.into()) };
    let seconds = |error| values::number(value).and_then(|n| i64::try_from(n).ok()).ok_or(error);
    match name {
        b"cookie=" => s.cookie = full("invalid cookie")?,
        b"domain=" => s.domain = Some(full("invalid domain")?),
        b"path=" => s.path = Some(full("invalid path")?),
        b"maxage=" => s.maxage = Some(seconds("invalid maxage")?),
        b"maxidle=" => s.maxidle = Some(seconds("invalid maxidle")?),
        b"maxlife=" => s.maxlife = Some(seconds("invalid maxlife")?),
        b"mode=" => {
            let modes = [
                ("insert", StickyMode::Insert),
                ("prefix", StickyMode::Prefix),
                ("rewrite", StickyMode::Rewrite),
            ];
            return begins(value, &modes, "invalid mode", |m| {
                s.mode = m;
                s.indirect &= m != StickyMode::Rewrite;
            });
        }
        b"option=" => {
            let options = [("indirect", true), ("direct", false)];
            return begins(value, &options, "invalid option", |o| s.indirect = o);
        }
        b"fallback=" => {
            let words = [("on", true), ("off", false)];
            return begins(value, &words, "invalid fallback", |f| s.fallback = f);
        }
        b"hash=" if value == b"md5" => s.md5 = true,
        b"hash=" => return begins(value, &[("plain", false)], "invalid hash mode", |h| s.md5 = h),
        _ => return Err("invalid argument"),
    }
    Ok(None)
}

/// The first of `words` that `value` begins with; `Some` when there is more.
fn begins<T: Copy>(
    value: &[u8],
    words: &[(&'static str, T)],
    error: &'static str,
    set: impl FnOnce(T),
) -> Result<Option<&'static str>, &'static str> {
    let Some((word, what)) = words.iter().find(|(w, _)| value.starts_with(w.as_bytes())) else {
        return Err(error);
    };
    set(*what);
    Ok((value.len() > word.len()).then_some(*word))
}

/// `NAME [expires=] [domain=] [path=] [httponly] [secure] [samesite=]` from argument `from` on.
pub(super) fn cookie(say: &mut Say<'_, '_>, from: usize, ours: &mut Params) -> Option<CookieInsert> {
    let dir = say.dir;
    let mut c = CookieInsert {
        name: dir.arg(from).into(),
        expires: StickyExpires::Session,
        domain: None,
        path: None,
        httponly: false,
        secure: false,
        samesite: None,
    };
    if c.name.is_empty() {
        say.directive(from, "empty cookie name");
        return None;
    }
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut good = true;
    for (i, word) in dir.args().iter().enumerate().skip(from + 1) {
        let text = &word.value[..];
        let at = text.iter().position(|b| *b == b'=').unwrap_or(text.len());
        let (name, value) = (&text[..at], text.get(at + 1..));
        let error = if seen.contains(&name) {
            Some(format!("parameter \"{}\" is duplicate", show(name)))
        } else if let Some(taken) = ours.take(Dialect::Cookie, text) {
            if let Err(message) = taken {
                say.emerg(i, message);
                good = false;
            }
            None
        } else {
            attribute(&mut c, name, value)
        };
        seen.push(name);
        match error.as_deref() {
            None => continue,
            Some("") => say.emerg(i, format!("unknown parameter \"{}\"", show(text))),
            Some(what) => say.directive(i, what),
        }
        good = false;
    }
    let none = c.samesite.as_deref().is_some_and(|v| v.eq_ignore_ascii_case(b"none"));
    if ours.secure == Secure::Auto {
        good &= ours.check_samesite(say, none, false);
    } else if none && !c.secure && good {
        // nginx takes it: an error would stop a file that runs.
        let hint = "browsers throw such a cookie away: each of their requests begins a session; write \"secure\" too";
        let of = |w: &crate::syntax::Word| w.value.starts_with(b"samesite=");
        let arg = say.dir.args().iter().position(of).unwrap_or(0);
        say.warn(arg, "\"samesite=none\" without \"secure\" keeps no session", hint);
    }
    good.then_some(c)
}

/// Takes an attribute; an error without text is nginx's `unknown parameter`.
fn attribute(c: &mut CookieInsert, name: &[u8], value: Option<&[u8]>) -> Option<String> {
    match (name, value) {
        (b"domain" | b"path", Some(b"")) => return Some(format!("no value for \"{}\"", show(name))),
        (b"path", Some(v)) => c.path = Some(v.into()),
        (b"domain", Some(v)) | (b"samesite", Some(v)) if values::template(v).is_err() => {
            return Some(format!("invalid \"{}\" parameter value", show(name)));
        }
        (b"domain", Some(v)) => c.domain = Some(v.into()),
        (b"samesite", Some(v)) => {
            let known = [&b"strict"[..], b"lax", b"none"];
            if !v.contains(&b'$') && !known.iter().any(|k| v.eq_ignore_ascii_case(k)) {
                return Some("invalid \"samesite\" parameter value".to_owned());
            }
            c.samesite = Some(v.into());
        }
        (b"expires", Some(b"max")) => c.expires = StickyExpires::Max,
        (b"expires", Some(v)) => match values::sec(v).and_then(|n| i64::try_from(n).ok()) {
            Some(n) => c.expires = StickyExpires::Seconds(n),
            None => return Some("invalid \"expires\" parameter value".to_owned()),
        },
        (b"httponly", None) => c.httponly = true,
        (b"secure", None) => c.secure = true,
        _ => return Some(String::new()),
    }
    None
}

/// `sticky …`: nginx's three forms by their first word, else nginx-sticky-module-ng's.
pub(super) fn sticky(say: &mut Say<'_, '_>, ours: &mut Params) -> Option<Sticky> {
    let args: Vec<&[u8]> = say.dir.args().iter().map(|w| &w.value[..]).collect();
    if sticky_ng::is(&args) {
        return sticky_ng::sticky(say, ours).map(Sticky::Ng);
    }
    if say.dir.args().len() < 2 {
        say.emerg(0, "invalid number of arguments in \"sticky\" directive");
        return None;
    }
    match say.dir.arg(0) {
        b"cookie" => cookie(say, 1, ours).map(Sticky::Cookie),
        b"route" => route(say).map(Sticky::Route),
        b"learn" => learn::read(say).map(|l| Sticky::Learn(Box::new(l))),
        other => {
            let message = format!("unknown parameter \"{}\"", show(other));
            say.emerg(0, message);
            None
        }
    }
}

fn route(say: &mut Say<'_, '_>) -> Option<Vec<Box<str>>> {
    let dir = say.dir;
    let mut texts = Vec::new();
    for (i, word) in dir.args().iter().enumerate().skip(1) {
        if !word.value.starts_with(b"$") {
            say.emerg(i, format!("invalid variable name \"{}\"", show(&word.value)));
            return None;
        }
        texts.push(variable(say, i, &word.value)?);
    }
    Some(texts)
}

/// `$name`: all that follows the `$` is the name.
pub(super) fn variable(say: &mut Say<'_, '_>, arg: usize, text: &[u8]) -> Option<Box<str>> {
    match std::str::from_utf8(text.get(1..)?) {
        Ok("") => say.emerg(arg, "invalid variable name \"$\""),
        Ok(name) => return Some(name.into()),
        Err(_) => say.emerg(arg, format!("invalid variable name \"{}\"", show(text))),
    }
    None
}

/// What a level says about cookies of sessions and the backend; the innermost level that says anything holds.
#[derive(Debug, Clone, Default)]
pub struct Hiding {
    pub upstreams: Vec<Named>,
}

/// One upstream by its name.
#[derive(Debug, Clone)]
pub struct Named {
    pub name: Box<[u8]>,
    /// `switch=off` is false.
    pub hide: bool,
    /// The `;`.
    pub at: (FileId, u32),
}

impl Hiding {
    pub fn knows(name: &str) -> bool {
        matches!(name, "session_sticky_hide_cookie" | "session_sticky_header")
    }

    /// Reads one of the two.
    pub fn read(&mut self, dir: Dir<'_>, diags: &mut Diags) {
        let mut say = Say { diags, dir };
        let older = dir.name() == "session_sticky_header";
        if older {
            let message = "the \"session_sticky_header\" directive is deprecated, \
                           use the \"session_sticky_hide_cookie\" directive instead";
            say.warn(0, message, "\"switch=on\" is what the newer one always does");
        }
        let mut found = None;
        let mut hide = true;
        for (i, word) in dir.args().iter().enumerate() {
            match &word.value[..] {
                b"switch=on" if older => hide = true,
                b"switch=off" if older => hide = false,
                b"upstream=" => return say.emerg(i, "invalid upstream name"),
                text => match text.strip_prefix(b"upstream=") {
                    Some(name) => found = Some(name),
                    None => return say.emerg(i, format!("invalid argument of \"{}\"", show(text))),
                },
            }
        }
        match found {
            Some(name) => self.upstreams.push(Named { name: name.into(), hide, at: dir.at() }),
            None => say.emerg(0, "invalid upstream name"),
        }
    }
}
