//! Owns: where text came from (files, spans, lines) and what is said about it (severity, message, hint).
//! May use: nothing of tenrec.
//! Never touches: files, the terminal, the meaning of a directive.

mod json;
mod long;
mod render;
mod source_map;

pub use json::to_json;
pub use long::render_long;
pub use render::render_nginx;
pub use source_map::{FileId, SourceFile, SourceMap, Span};

/// nginx's severities, most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Emerg,
    Alert,
    Crit,
    Error,
    Warn,
    Notice,
    Info,
    Debug,
}

impl Severity {
    /// The word that stands between brackets in nginx's lines.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Emerg => "emerg",
            Severity::Alert => "alert",
            Severity::Crit => "crit",
            Severity::Error => "error",
            Severity::Warn => "warn",
            Severity::Notice => "notice",
            Severity::Info => "info",
            Severity::Debug => "debug",
        }
    }

    /// Whether a configuration with such a diagnostic is refused.
    pub fn is_fatal(self) -> bool {
        self <= Severity::Error
    }
}

/// Stands in a message that names its place before it ends; others end with it. No text of a file is shown with a zero in it.
pub const HERE: &str = "\u{0}\u{fdd0}\u{0}";

/// One thing to say about a configuration.
#[derive(Debug, Clone)]
pub struct Diag {
    pub severity: Severity,
    /// A stable word for machines, kebab case: `unknown-directive`, `bad-value`, ….
    pub code: &'static str,
    /// nginx's own wording where nginx has one, without ` in FILE:LINE`.
    pub message: String,
    /// What to underline.
    pub span: Option<Span>,
    /// The place nginx names: the line where its reader stood, usually that of the `;` or `{` which ended the
    /// directive. `None`: the message ends without ` in FILE:LINE`.
    pub at: Option<(FileId, u32)>,
    /// What tenrec adds to nginx's words: a "did you mean", a way out. One sentence, no full stop.
    pub hint: Option<String>,
}

impl Diag {
    /// The message without a mark for its place.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        if self.message.contains(HERE) {
            self.message.replace(HERE, "").into()
        } else {
            (&*self.message).into()
        }
    }

    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity, code, message: message.into(), span: None, at: None, hint: None }
    }

    /// What refuses a configuration: nginx says nearly all of it as `[emerg]`.
    pub fn emerg(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Emerg, code, message)
    }

    pub fn warn(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warn, code, message)
    }

    #[must_use]
    pub fn with_span(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    #[must_use]
    pub fn with_at(mut self, at: (FileId, u32)) -> Self {
        self.at = Some(at);
        self
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The diagnostics of a run, in the order in which they were found.
#[derive(Debug, Clone, Default)]
pub struct Diags {
    list: Vec<Diag>,
}

impl Diags {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, diag: Diag) {
        self.list.push(diag);
    }

    pub fn extend(&mut self, other: Diags) {
        self.list.extend(other.list);
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diag> {
        self.list.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether anything here refuses the configuration.
    pub fn fatal(&self) -> bool {
        self.list.iter().any(|d| d.severity.is_fatal())
    }

    /// Puts the diagnostics into the order of the text that they speak of, `order` giving each file's rank; those
    /// without a place stay last. Stable.
    pub fn sort_by_place(&mut self, order: impl Fn(FileId, u32) -> (u32, u32)) {
        self.list.sort_by_key(|d| {
            let place = d.at.or(d.span.map(|s| (s.file, s.start)));
            place.map_or((u32::MAX, u32::MAX), |(file, offset)| order(file, offset))
        });
    }
}

#[cfg(test)]
mod tests;
