//! Texts with variables, and regexes, as they stand in the settings: cut, not yet resolved.

use super::cx::show;
use super::{Cx, Place};
use crate::source::Dir;
use crate::values::{self, Token};

/// A text with variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    pub tokens: Vec<Tok>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tok {
    Text(Box<[u8]>),
    /// Lower-case, as nginx looks variables up.
    Var(Box<str>),
    /// `$1` … `$9`
    Capture(u8),
}

impl Text {
    /// Cuts a text; what is wrong with it is said. Its variables must exist, whether it is used or not.
    pub fn read(cx: &mut Cx<'_>, d: Dir<'_>, text: &[u8]) -> Option<Self> {
        let text = Self::read_lazy(cx, d, text)?;
        text.uses(&mut cx.used);
        Some(text)
    }

    /// Notes the variables that are named.
    pub fn uses(&self, used: &mut Vec<Box<str>>) {
        used.extend(
            self.tokens.iter().filter_map(|t| if let Tok::Var(v) = t { Some(v.clone()) } else { None }),
        );
    }

    /// The same for what nginx compiles where it holds only (`proxy_set_header`).
    pub fn read_lazy(cx: &mut Cx<'_>, d: Dir<'_>, text: &[u8]) -> Option<Self> {
        match values::template(text) {
            Ok(tokens) => Some(Self { tokens: tokens.into_iter().map(Tok::from).collect() }),
            Err(e) => {
                cx.emerg(d, e.to_string());
                None
            }
        }
    }

    /// A text that was found good when it was read.
    pub fn well_formed(text: &[u8]) -> Self {
        let tokens = values::template(text).unwrap_or_default();
        Self { tokens: tokens.into_iter().map(Tok::from).collect() }
    }

    /// A text that is known to have no variables.
    pub fn plain(text: impl Into<Box<[u8]>>) -> Self {
        let text = text.into();
        Self { tokens: if text.is_empty() { Vec::new() } else { vec![Tok::Text(text)] } }
    }

    /// As it was written, near enough for a message: braces are left out.
    pub fn written(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for token in &self.tokens {
            match token {
                Tok::Text(text) => out.extend_from_slice(text),
                Tok::Var(name) => out.extend_from_slice(format!("${name}").as_bytes()),
                Tok::Capture(n) => out.extend_from_slice(format!("${n}").as_bytes()),
            }
        }
        out
    }

    /// Whether there is no variable in it.
    pub fn fixed(&self) -> bool {
        self.tokens.iter().all(|t| matches!(t, Tok::Text(_)))
    }

    /// The text when there is no variable in it.
    pub fn as_plain(&self) -> Option<&[u8]> {
        match &self.tokens[..] {
            [] => Some(b""),
            [Tok::Text(t)] => Some(t),
            _ => None,
        }
    }
}

impl From<Token<'_>> for Tok {
    fn from(token: Token<'_>) -> Self {
        match token {
            Token::Text(t) => Tok::Text(t.into()),
            Token::Variable(name) => Tok::Var(show(name).to_ascii_lowercase().into()),
            Token::Capture(n) => Tok::Capture(n),
        }
    }
}

/// A regex as written, without its `~` or `~*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub text: Box<[u8]>,
    pub caseless: bool,
    pub at: Place,
}

/// A text to compare with or a regex to match (`proxy_redirect`, `proxy_cookie_*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Text(Text),
    Regex(Pattern),
}
