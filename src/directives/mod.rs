//! Owns: what is known of each directive (the registry that `grammar/` becomes) and the check of a tree against it.
//! May use: diag, values, syntax, source.
//! Never touches: what a directive does, files.

mod check;
mod compat;
mod hint;
mod registry;
mod row;
mod value;

pub use check::{Ignored, check, inert, opens, pick};
pub use compat::{Target, compat};
pub use hint::near_word;
pub use registry::{CONTEXTS, Context, FAMILIES, Id, Kind, all, id, lookup, variable, variables};
pub use row::{Arity, Count, Merge, Origin, Row, Status, Variable};
