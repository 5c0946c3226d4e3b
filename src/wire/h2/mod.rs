//! Owns: one stream of an HTTP/2 connection in the form that requests are served in: head, body and answer, hyper below.
//! May use: hyper's bodies, the head types and the parser of wire.
//! Never touches: which connection a stream is of, what a request means.

mod answer;
mod io;
mod stream;

pub use answer::{Aborted, Answer, AnswerBody, Answering, Passes, StreamTask};
pub use io::{Io, PREFACE};
pub use stream::H2Stream;
