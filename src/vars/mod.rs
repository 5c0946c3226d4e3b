//! Owns: evaluating templates, escaping for logs, and the look-ups inside a query string and a cookie line.
//! May use: plan, values.
//! Never touches: requests (it sees a [`Source`]), sockets, the clock (times are arguments).

mod eval;
mod lookup;
mod time;

pub use eval::{Source, escape_default, escape_json, eval, eval_log, eval_to_vec, truthy};
pub use lookup::{arg, cookie};
pub use time::{iso8601, log_time, push_msec};
