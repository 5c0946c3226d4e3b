//! Owns: what a health check decides: rise and fall, what a probe says and which answers are good, `check_status`.
//! May use: plan.
//! Never touches: sockets, the clock, logs, the state that processes share.
//!
//! A probe is one exchange with one peer, driven from outside:
//!
//! ```text
//! let mut exchange = Exchange::new(&check, keep, random);
//! … connect; send exchange.request() …
//! loop {
//!     … read …                                   // the end of the stream: exchange.end()
//!     match exchange.take(bytes) { None => {}, Some(verdict) => break }
//! }
//! standing.record(verdict.good(), &rules);        // Some(change): the peer goes up or down
//! ```

mod exchange;
mod fastcgi;
mod hello;
mod http;
mod page;
mod standing;

#[cfg(test)]
mod tests;

pub use exchange::{Exchange, Fault, Rest, Verdict};
pub use page::{Page, Row};
pub use standing::{Change, Rules, Standing};
