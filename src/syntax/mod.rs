//! Owns: the form of an nginx file: bytes to a lossless tree, and back.
//! May use: diag, values.
//! Never touches: the name or meaning of any directive, the file system.

mod foreign;
mod lexer;
mod parse;
mod print;
mod tree;

pub use parse::parse;
pub use print::print;
pub use tree::{Body, Node, NodeId, Quote, Tree, Word};

#[cfg(test)]
mod tests;
