//! Owns: heads from bytes, pure; what nginx accepts and refuses, and a little less where two readers could disagree.
//! May use: the head types of wire, httparse.
//! Never touches: sockets, clocks.

mod fields;
mod line;
mod request;
mod response;

pub use request::{RequestParser, skip_empty_lines, validate_host};
pub use response::{parse_response, parse_trailers};
