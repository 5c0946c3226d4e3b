//! Owns: a configuration as a whole: its files read, their includes resolved, seen as one tree.
//! May use: diag, values, sys, syntax.
//! Never touches: the meaning of any directive but `include`.

mod conf;

pub use conf::{Children, Conf, Dir};
