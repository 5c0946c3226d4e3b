//! Owns: the form of an nginx file: bytes to a lossless tree, and back.
//! May use: diag, values.
//! Never touches: the name or meaning of any directive, the file system.

mod foreign;
mod format;
mod lexer;
mod parse;
mod pieces;
mod print;
mod tree;

pub use foreign::is_foreign;
pub use format::format;
pub use parse::parse;
pub use pieces::{Part, Piece, pieces};
pub use print::print;
pub use tree::{Body, Node, NodeId, Quote, Tree, Word};

#[cfg(test)]
mod tests;
