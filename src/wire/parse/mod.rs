//! Owns: heads from bytes, pure; what nginx accepts and refuses, and a little less where two readers could disagree.
//! May use: the head types of wire, httparse.
//! Never touches: sockets, clocks.

mod fields;
mod h2;
mod line;
mod request;
mod response;

pub(super) use h2::h2_request;
pub use request::{RequestParser, skip_empty_lines, validate_host};
pub use response::{parse_response, parse_trailers};
