//! `set`, `if`, `rewrite`, `return`, `break`.

use super::cx::show;
use super::text::{Pattern, Text, Tok};
use super::{Cx, Place};
use crate::plan::{FileKind, Redirection, VarId};
use crate::source::Dir;
use crate::values;

/// What a server block or a location does with a request, in the order of the file. What stands inside an `if` is
/// here as well.
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub ops: Vec<Op>,
}

#[derive(Debug, Clone)]
pub enum Op {
    /// The name is lower-case.
    Set {
        name: Box<str>,
        value: Text,
        at: Place,
    },
    /// `enter`: index into [`super::Http::locations`]; `end`: the operation after its block.
    If {
        test: Test,
        enter: usize,
        end: usize,
    },
    Rewrite(Rewrite),
    Return(Return),
    Break,
}

#[derive(Debug, Clone)]
pub enum Test {
    True(Box<str>),
    Equal { var: Box<str>, value: Text, not: bool },
    Matches { var: Box<str>, pattern: Pattern, not: bool },
    File { path: Text, kind: FileKind, not: bool },
}

#[derive(Debug, Clone)]
pub struct Rewrite {
    pub pattern: Pattern,
    pub path: Text,
    pub args: Option<Text>,
    pub keep_args: bool,
    pub redirect: Option<Redirection>,
    pub last: bool,
    pub stay: bool,
}

#[derive(Debug, Clone)]
pub struct Return {
    pub code: u16,
    pub text: Option<Text>,
}

/// The variables of nginx that `set` may change.
pub const CHANGEABLE: [VarId; 2] = [VarId::Args, VarId::LimitRate];

impl Script {
    /// Whether a directive is an operation (`if` excepted: it has a block).
    pub fn knows(name: &str) -> bool {
        matches!(name, "set" | "rewrite" | "return" | "break")
    }

    pub fn read(&mut self, cx: &mut Cx<'_>, d: Dir<'_>) {
        let op = match d.name() {
            "set" => set(cx, d),
            "rewrite" => Rewrite::read(cx, d).map(Op::Rewrite),
            "return" => Return::read(cx, d).map(Op::Return),
            _ => Some(Op::Break),
        };
        self.ops.extend(op);
    }

    /// Opens an `if` whose settings are those of location `enter`; gives the operation that [`Script::close`] ends.
    pub fn open(&mut self, cx: &mut Cx<'_>, d: Dir<'_>, enter: usize) -> Option<usize> {
        let test = Test::read(cx, d)?;
        self.ops.push(Op::If { test, enter, end: 0 });
        Some(self.ops.len() - 1)
    }

    pub fn close(&mut self, opened: usize) {
        let here = self.ops.len();
        if let Some(Op::If { end, .. }) = self.ops.get_mut(opened) {
            *end = here;
        }
    }
}

/// The name after `$`, lower-case, that a directive makes a variable of.
pub fn made_name(cx: &mut Cx<'_>, d: Dir<'_>, word: &[u8]) -> Option<Box<str>> {
    let name = match word.strip_prefix(b"$") {
        Some(name) if !name.is_empty() => show(name).to_ascii_lowercase(),
        _ => {
            cx.emerg(d, format!("invalid variable name \"{}\"", show(word)));
            return None;
        }
    };
    if VarId::from_name(&name).is_some_and(|id| !CHANGEABLE.contains(&id)) {
        let name = show(word.get(1..).unwrap_or_default());
        cx.emerg(d, format!("the duplicate \"{name}\" variable"));
        return None;
    }
    Some(name.into())
}

fn set(cx: &mut Cx<'_>, d: Dir<'_>) -> Option<Op> {
    let name = made_name(cx, d, d.arg(0))?;
    let value = Text::read(cx, d, d.arg(1))?;
    Some(Op::Set { name, value, at: d.at() })
}

impl Test {
    /// The condition between `(` and `)`; either may be a word of its own.
    fn read(cx: &mut Cx<'_>, d: Dir<'_>) -> Option<Self> {
        let mut words: Vec<&[u8]> = d.args().iter().map(|w| &w.value[..]).collect();
        let first = words.first().copied().unwrap_or_default();
        let invalid = |cx: &mut Cx<'_>, word: &[u8]| {
            cx.emerg(d, format!("invalid condition \"{}\"", show(word)));
            None
        };
        match first.strip_prefix(b"(") {
            None => return invalid(cx, first),
            Some(b"") => drop(words.remove(0)),
            Some(rest) => *words.first_mut()? = rest,
        }
        let end = words.last().copied().unwrap_or_default();
        match end.strip_suffix(b")") {
            None => return invalid(cx, end),
            Some(b"") => drop(words.pop()),
            Some(rest) => *words.last_mut()? = rest,
        }
        let subject = words.first().copied().unwrap_or(b")");
        match &words[..] {
            [var] if var.len() > 1 && var.first() == Some(&b'$') => Some(Self::True(used(cx, var))),
            [var, how, value] if var.len() > 1 && var.first() == Some(&b'$') => {
                let var = used(cx, var);
                Self::compare(cx, d, var, how, value)
            }
            [how, path] => {
                let (kind, not) = match *how {
                    b"-f" => (FileKind::Plain, false),
                    b"!-f" => (FileKind::Plain, true),
                    b"-d" => (FileKind::Dir, false),
                    b"!-d" => (FileKind::Dir, true),
                    b"-e" => (FileKind::Any, false),
                    b"!-e" => (FileKind::Any, true),
                    b"-x" => (FileKind::Exec, false),
                    b"!-x" => (FileKind::Exec, true),
                    _ => return invalid(cx, how),
                };
                Some(Self::File { path: Text::read(cx, d, path)?, kind, not })
            }
            _ => invalid(cx, subject),
        }
    }

    fn compare(cx: &mut Cx<'_>, d: Dir<'_>, var: Box<str>, how: &[u8], value: &[u8]) -> Option<Self> {
        let (caseless, not) = match how {
            b"=" | b"!=" => {
                let value = Text::read(cx, d, value)?;
                return Some(Self::Equal { var, value, not: how != b"=" });
            }
            b"~" => (false, false),
            b"~*" => (true, false),
            b"!~" => (false, true),
            b"!~*" => (true, true),
            _ => {
                cx.emerg(d, format!("unexpected \"{}\" in condition", show(how)));
                return None;
            }
        };
        let pattern = Pattern { text: value.into(), caseless, at: d.at() };
        Some(Self::Matches { var, pattern, not })
    }
}

/// The name of a `$variable` that has to exist.
fn used(cx: &mut Cx<'_>, word: &[u8]) -> Box<str> {
    let name: Box<str> = show(word.get(1..).unwrap_or_default()).to_ascii_lowercase().into();
    cx.used.push(name.clone());
    name
}

/// What makes a replacement, or the only argument of `return`, a redirect.
fn is_url(word: &[u8]) -> bool {
    [&b"http://"[..], b"https://", b"$scheme"].iter().any(|p| word.starts_with(p))
}

impl Rewrite {
    fn read(cx: &mut Cx<'_>, d: Dir<'_>) -> Option<Self> {
        let written = d.arg(1);
        if written.is_empty() {
            cx.emerg(d, "empty replacement");
            return None;
        }
        let pattern = Pattern { text: d.arg(0).into(), caseless: false, at: d.at() };
        let (replacement, keep_args) = match written.strip_suffix(b"?") {
            Some(rest) => (rest, false),
            None => (written, true),
        };
        let mut status = is_url(replacement).then_some(302);
        let mut last = status.is_some();
        let mut stay = false;
        if let Some(flag) = d.args().get(2) {
            last = true;
            match &flag.value[..] {
                b"last" => {}
                b"break" => stay = true,
                b"redirect" => status = Some(302),
                b"permanent" => status = Some(301),
                other => {
                    cx.emerg(d, format!("invalid parameter \"{}\"", show(other)));
                    return None;
                }
            }
        }
        let whole = Text::read(cx, d, replacement)?;
        let (path, args, redirect) = match status {
            Some(status) => {
                let has_args = question(&whole).is_some();
                (whole, None, Some(Redirection { status, has_args }))
            }
            None => {
                let (path, args) = split(whole);
                (path, args, None)
            }
        };
        Some(Self { pattern, path, args, keep_args, redirect, last, stay })
    }
}

/// The first `?` that is no variable's: its token and its place there.
fn question(text: &Text) -> Option<(usize, usize)> {
    text.tokens.iter().enumerate().find_map(|(i, token)| match token {
        Tok::Text(t) => memchr::memchr(b'?', t).map(|at| (i, at)),
        _ => None,
    })
}

/// Cuts a text at its first `?`.
fn split(mut text: Text) -> (Text, Option<Text>) {
    let Some((token, at)) = question(&text) else { return (text, None) };
    let mut args = text.tokens.split_off(token);
    if let Some(Tok::Text(t)) = args.first_mut() {
        let (before, after) = (t.get(..at).unwrap_or_default(), t.get(at + 1..).unwrap_or_default());
        let after = Tok::Text(after.into());
        if !before.is_empty() {
            text.tokens.push(Tok::Text(before.into()));
        }
        if let Some(first) = args.first_mut() {
            *first = after;
        }
    }
    (text, Some(Text { tokens: args }))
}

impl Return {
    fn read(cx: &mut Cx<'_>, d: Dir<'_>) -> Option<Self> {
        let word = d.arg(0);
        let (code, text) = match values::number(word) {
            Some(code @ 0..=999) => (code as u16, d.args().get(1).map(|w| &w.value[..])),
            None if d.args().len() == 1 && is_url(word) => (302, Some(word)),
            _ => {
                cx.emerg(d, format!("invalid return code \"{}\"", show(word)));
                return None;
            }
        };
        let text = match text {
            Some(text) => Some(Text::read(cx, d, text)?),
            None => None,
        };
        Some(Self { code, text })
    }
}
