//! Owns: other systems' configurations: read, mapped to what tenrec runs, written, and accounted for field by field.
//! May use: everything but cli.
//! Never touches: sockets, the running process.
//!
//! A dialect is a reader (text to a model that knows its places) and a mapper to `model`; one `writer` makes the
//! text of it and `verify` has tenrec read that text. The `report` has a row for every line or field of the input:
//! what nobody mapped is in it as dropped.

mod can;
mod certificates;
mod cloud;
mod convert;
mod f5;
mod fgw;
mod haproxy;
mod ids;
mod ingress;
mod input;
mod json;
mod ledger;
mod model;
mod nginx;
mod report;
mod verify;
mod writer;
mod yaml;

pub use can::{Can, store};
pub use convert::{Asked, Converted, Dialect, convert, convert_as, to_nginx};
pub use input::{Input, Place, Problem};
pub use report::{Class, Fate, Report, Row, Sessions};

#[cfg(test)]
mod tests;
