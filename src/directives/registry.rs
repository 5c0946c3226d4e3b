//! The table as the build wrote it, and look-ups in it.

use super::{Arity, Count, Merge, Origin, Row, Status, Variable};

include!(concat!(env!("OUT_DIR"), "/registry.rs"));

impl Id {
    pub fn name(self) -> &'static str {
        NAMES[self as usize].0
    }

    /// The rows of the name, one for each meaning.
    pub fn rows(self) -> &'static [Row] {
        let (_, _, start, end) = NAMES[self as usize];
        &ROWS[start as usize..end as usize]
    }

    /// The row that holds in `context`.
    pub fn row(self, context: Context) -> Option<&'static Row> {
        self.rows().iter().find(|row| row.contexts.intersects(context))
    }
}

/// The directive of that name.
pub fn id(name: &str) -> Option<Id> {
    NAMES.binary_search_by(|(n, ..)| (*n).cmp(name)).ok().map(|i| NAMES[i].1)
}

/// Every meaning of `name`; empty when there is none.
pub fn lookup(name: &str) -> &'static [Row] {
    id(name).map_or(&[], Id::rows)
}

/// Every row, in order of the names.
pub fn all() -> &'static [Row] {
    &ROWS
}

/// Every variable that is known, in order of the names.
pub fn variables() -> &'static [Variable] {
    VARIABLES
}

/// The row of the variable `name` (without `$`): its own, or else that of its longest prefix.
pub fn variable(name: &str) -> Option<&'static Variable> {
    let own = VARIABLES.iter().find(|v| !v.prefix && v.name == name);
    let prefixes =
        VARIABLES.iter().filter(|v| v.prefix && name.len() > v.name.len() && name.starts_with(v.name));
    own.or_else(|| prefixes.max_by_key(|v| v.name.len()))
}
