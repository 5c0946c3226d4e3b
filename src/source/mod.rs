//! Owns: a configuration as a whole: its files read, their includes resolved, seen as one tree.
//! May use: diag, values, sys, syntax.
//! Never touches: the meaning of any directive but `include`.

mod conf;
mod load;
mod multiply;
mod order;
mod read;
mod record;

pub use conf::{Children, Conf, Dir};
pub use load::{full_name, load, load_given};
pub use order::ReadingOrder;
pub use record::{Recalled, recall, record};

#[cfg(test)]
mod tests;
