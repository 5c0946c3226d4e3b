//! Owns: advice on sessions (S1–S17): what is accepted and yet loses or misleads clients, and what to write instead.
//! May use: diag, values, syntax, source.
//! Never touches: files, whether a configuration is refused.

mod facts;
mod ignore;
mod rules;

pub use rules::lint;

use crate::diag::{Diag, Span};

/// A piece of advice.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its code is the rule: `S1` to `S17`. The message says what is written, the hint what will happen to whom.
    pub diag: Diag,
    /// What to do where there is only one thing; empty otherwise. The spans do not overlap.
    pub edits: Vec<(Span, Vec<u8>)>,
}

#[cfg(test)]
mod tests;
