//! Exchanges with origins that misbehave, byte by byte.

mod retry_rules;
