//! Owns: the tree as typed settings, a family a file, one line a field, with nginx's words for what is wrong.
//! May use: diag, values, sys, syntax, source, directives; of plan only the types of values.
//! Never touches: sockets, files, what the settings are for.

pub mod sticky;
pub mod upstream;
