//! Ours on sessions: parameters that every dialect's cookie may have, and `session_sticky_key`, `sticky_accept`,
//! `sticky_alias`, `sticky_bypass`, `sticky_parallel`.

use std::time::Duration;

use super::sticky_ng;
use super::upstream::{Say, show};
use crate::diag::FileId;
use crate::plan::{NgInput, NgValue, SameSite, Secure};
use crate::source::Dir;
use crate::values;

type Place = (FileId, u32);

/// What an upstream says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    pub params: Params,
    /// `session_sticky_key`: those of `http` hold when there is none.
    pub keys: Vec<KeyFile>,
    pub accepts: Vec<Accept>,
    pub aliases: Vec<Alias>,
    /// `sticky_bypass`: texts with variables.
    pub bypass: Vec<Box<[u8]>>,
    /// `sticky_parallel`; `None`: off.
    pub parallel: Option<Duration>,
}

/// The parameters of `session_sticky`, `sticky cookie` and its like that are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// Which of them stand there.
    seen: Vec<Box<[u8]>>,
    pub always: bool,
    /// `send=due`
    pub due: bool,
    pub nocache: bool,
    pub postonly: bool,
    pub preserve: bool,
    pub secure: Secure,
    pub httponly: bool,
    pub samesite: Option<SameSite>,
    /// Seconds; Tengine's are its own.
    pub maxidle: Option<i64>,
    pub maxlife: Option<i64>,
    /// `signed`, `signed=off`; `None`: when there is a key.
    pub signed: Option<bool>,
}

/// `session_sticky_key FILE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// As written.
    pub path: Box<[u8]>,
    /// The `;`.
    pub at: Place,
}

/// `sticky_alias OLD=NEW`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    pub old: Box<[u8]>,
    pub new: Box<[u8]>,
    pub at: Place,
}

/// `sticky_accept FORM …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    pub form: Form,
    /// `cookie=`; `None`: the form's own name, or that of the upstream's cookie.
    pub cookie: Option<Box<[u8]>>,
    pub at: Place,
}

/// Whose pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Tengine's `session_sticky`.
    Tengine { md5: bool },
    /// nginx's `sticky cookie`.
    Nginx,
    /// nginx-sticky-module-ng's `sticky`.
    StickyNg { value: NgValue, input: NgInput },
    /// Names of servers, with or without dates, alone or before the application's own value.
    Haproxy,
    /// F5's `BIGipServerPOOL`.
    F5,
    /// Names of servers with dates (Alibaba's SERVERID).
    ServerId,
}

/// The dialects, as far as their parameters differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Has dates of its own, sends nothing from status 400 on and knows no attributes.
    Tengine,
    /// Has attributes.
    Cookie,
    /// Has attributes but no `samesite`.
    Ng,
}

impl Params {
    /// Takes a parameter; `None`: it is not ours.
    pub(super) fn take(&mut self, dialect: Dialect, text: &[u8]) -> Option<Result<(), String>> {
        let at = text.iter().position(|b| *b == b'=');
        let (name, value) = (&text[..at.unwrap_or(text.len())], at.and_then(|at| text.get(at + 1..)));
        let tengine = dialect == Dialect::Tengine;
        let samesite = |v: &[u8]| {
            let words = [
                (&b"strict"[..], SameSite::Strict),
                (b"lax", SameSite::Lax),
                (b"none", SameSite::None),
                (b"auto", SameSite::Auto),
            ];
            words.iter().find(|(w, _)| v.eq_ignore_ascii_case(w)).map(|(_, s)| *s)
        };
        let mut good = true;
        match (name, value) {
            (b"always", None) if tengine => self.always = true,
            (b"nocache", None) => self.nocache = true,
            (b"postonly", None) => self.postonly = true,
            (b"preserve", None) => self.preserve = true,
            (b"signed", None | Some(b"on")) => self.signed = Some(true),
            (b"signed", Some(b"off")) => self.signed = Some(false),
            (b"send", Some(b"due")) => self.due = true,
            (b"send", Some(b"usual")) => self.due = false,
            (b"secure", Some(b"auto")) => self.secure = Secure::Auto,
            (b"secure", None) if tengine => self.secure = Secure::On,
            (b"httponly", None) if tengine => self.httponly = true,
            (b"samesite", Some(v)) if dialect != Dialect::Cookie || v.eq_ignore_ascii_case(b"auto") => {
                self.samesite = samesite(v);
                good = self.samesite.is_some();
            }
            (b"maxidle" | b"maxlife", Some(v)) if !tengine => {
                let seconds = values::sec(v).and_then(|n| i64::try_from(n).ok()).filter(|n| *n > 0);
                good = seconds.is_some();
                *(if name == b"maxidle" { &mut self.maxidle } else { &mut self.maxlife }) = seconds;
            }
            (b"send" | b"signed", Some(_)) => good = false,
            (b"secure", Some(_)) if tengine => good = false,
            _ => return None,
        }
        if !good {
            return Some(Err(format!("invalid \"{}\" parameter value", show(name))));
        }
        if self.seen.iter().any(|s| **s == *name) {
            return Some(Err(format!("parameter \"{}\" is duplicate", show(name))));
        }
        self.seen.push(name.into());
        Some(Ok(()))
    }

    /// `SameSite=None` without `Secure`, said at the parameter that is `samesite=none`. `false`: it is.
    pub(super) fn check_samesite(&self, say: &mut Say<'_, '_>, none: bool, secure: bool) -> bool {
        if !none || secure {
            return true;
        }
        let of = |w: &crate::syntax::Word| w.value.starts_with(b"samesite=");
        let arg = say.dir.args().iter().position(of).unwrap_or(0);
        let hint = match self.secure {
            Secure::Auto => {
                "\"secure=auto\" leaves \"Secure\" out where the client came without TLS; write \"samesite=auto\""
            }
            _ => "browsers throw such a cookie away; write \"secure\" too, or \"secure=auto samesite=auto\"",
        };
        say.emerg_with(arg, "\"samesite=none\" requires \"secure\"", hint);
        false
    }

    /// Whether there is one that is about a cookie of our own.
    pub(super) fn any_of_insert(&self) -> bool {
        let names = ["always", "send", "postonly", "preserve", "secure", "httponly", "samesite"];
        self.seen.iter().any(|s| names.iter().any(|n| n.as_bytes() == &**s))
    }

    /// Whether any of it stands there.
    pub fn any(&self) -> bool {
        !self.seen.is_empty() || self.maxidle.is_some() || self.maxlife.is_some()
    }
}

impl Pins {
    pub(super) fn knows(name: &str) -> bool {
        let names =
            ["session_sticky_key", "sticky_accept", "sticky_alias", "sticky_bypass", "sticky_parallel"];
        names.contains(&name)
    }

    /// Reads one of them.
    pub(super) fn read(&mut self, say: &mut Say<'_, '_>) {
        match say.dir.name() {
            "session_sticky_key" => self.keys.extend(key(say)),
            "sticky_accept" => self.accepts.extend(accept(say)),
            "sticky_alias" => {
                for i in 0..say.dir.args().len() {
                    self.aliases.extend(alias(say, i));
                }
            }
            "sticky_bypass" => {
                for (i, word) in say.dir.args().iter().enumerate() {
                    match values::template(&word.value) {
                        Ok(_) => self.bypass.push(word.value[..].into()),
                        Err(e) => say.emerg(i, e.to_string()),
                    }
                }
            }
            _ => self.parallel(say),
        }
    }

    /// `sticky_parallel [TIME|off]`
    fn parallel(&mut self, say: &mut Say<'_, '_>) {
        let text = say.dir.arg(0);
        self.parallel = match (text, values::msec(text).filter(|n| *n > 0)) {
            (b"", _) => Some(Duration::from_secs(1)),
            (b"off", _) => None,
            (_, Some(n)) => Some(Duration::from_millis(n)),
            _ => return say.directive(0, "invalid value"),
        };
    }
}

/// `session_sticky_key FILE`, in an upstream or in `http`.
pub(super) fn key(say: &mut Say<'_, '_>) -> Option<KeyFile> {
    let path = say.dir.arg(0);
    if path.is_empty() {
        say.directive(0, "invalid value");
        return None;
    }
    Some(KeyFile { path: path.into(), at: say.dir.at() })
}

fn alias(say: &mut Say<'_, '_>, i: usize) -> Option<Alias> {
    let text = say.dir.arg(i);
    let cut = text.iter().position(|b| *b == b'=').map(|at| (&text[..at], &text[at + 1..]));
    match cut {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => {
            Some(Alias { old: old.into(), new: new.into(), at: say.dir.at() })
        }
        _ => {
            say.emerg(i, format!("invalid parameter \"{}\", it must be OLD=NEW", show(text)));
            None
        }
    }
}

fn accept(say: &mut Say<'_, '_>) -> Option<Accept> {
    let dir: Dir<'_> = say.dir;
    let (mut cookie, mut pool) = (None, None);
    let mut md5 = true;
    if dir.arg(0) == b"sticky-ng" {
        // The parameters of the old `sticky` line may all stand there; what its cookie says is what counts.
        let s = sticky_ng::read(say, &mut Params::default(), 1)?;
        let form = Form::StickyNg { value: s.value, input: s.input };
        return Some(Accept { form, cookie: Some(s.name), at: dir.at() });
    }
    let product = dir.arg(0);
    if !matches!(product, b"tengine" | b"nginx" | b"haproxy" | b"f5" | b"serverid") {
        say.emerg(0, format!("unknown form \"{}\"", show(product)));
        return None;
    }
    for (i, word) in dir.args().iter().enumerate().skip(1) {
        let text = &word.value[..];
        let at = text.iter().position(|b| *b == b'=').map_or(text.len(), |at| at + 1);
        let good = match (text.split_at(at), product) {
            ((b"cookie=", v), _) if !v.is_empty() => {
                cookie = Some(v.into());
                true
            }
            ((b"pool=", v), b"f5") if !v.is_empty() => {
                pool = Some([b"BIGipServer", v].concat().into());
                true
            }
            ((b"hash=", v @ (b"md5" | b"plain")), b"tengine") => {
                md5 = v == b"md5";
                true
            }
            _ => false,
        };
        if !good {
            say.emerg(i, format!("invalid parameter \"{}\"", show(text)));
            return None;
        }
    }
    let form = match product {
        b"tengine" => Form::Tengine { md5 },
        b"nginx" => Form::Nginx,
        b"haproxy" => Form::Haproxy,
        b"f5" => Form::F5,
        _ => Form::ServerId,
    };
    let own = match form {
        Form::ServerId => Some((*b"SERVERID").into()),
        _ => pool,
    };
    Some(Accept { form, cookie: cookie.or(own), at: dir.at() })
}
