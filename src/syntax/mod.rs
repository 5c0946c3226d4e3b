//! Owns: the form of an nginx file: bytes to a lossless tree, and back.
//! May use: diag, values.
//! Never touches: the name or meaning of any directive, the file system.

mod tree;

pub use tree::{Body, Node, NodeId, Quote, Tree, Word};
