//! Exchanges with origins that misbehave, byte by byte.

mod answers;
mod faults;
mod requests;
mod retry;
mod retry_rules;
mod support;
