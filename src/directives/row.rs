//! One row of the table.

use super::{Context, Id, Kind};

/// A directive in the contexts where it means one thing. A name that means something else elsewhere (`server` in `http`
/// and in `upstream`) has another row.
#[derive(Debug)]
pub struct Row {
    pub id: Id,
    pub name: &'static str,
    pub contexts: Context,
    pub arity: Arity,
    /// The contexts that its block is. Empty for a simple directive, and for a block whose lines are not directives
    /// (`types`, `map`, …).
    pub opens: Context,
    pub kind: Kind,
    /// The words that an `enum` or a `bitmask` takes, where the table has them.
    pub values: &'static [&'static str],
    /// As nginx documents it; `None`: nothing, or not a text that could be written.
    pub default: Option<&'static str>,
    pub merge: Merge,
    /// Whether it may stand several times in one block.
    pub repeat: bool,
    pub origin: Origin,
    pub module: &'static str,
    /// The file of `grammar/directives`.
    pub family: &'static str,
    /// The version of nginx that had it first; `None`: an older one than 1.21, or it is not nginx's.
    pub since: Option<[u16; 3]>,
    pub status: Status,
    pub note: &'static str,
    pub help: &'static str,
}

/// A variable of http, or all whose names begin with one prefix (`http_`).
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    /// Whether `name` is only how the name begins.
    pub prefix: bool,
    pub module: &'static str,
    pub origin: Origin,
    pub status: Status,
    pub help: &'static str,
}

/// How many arguments, and whether a block follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arity {
    pub block: bool,
    pub count: Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    Any,
    /// One, `on` or `off`.
    Flag,
    AtLeast(u8),
    /// Bit n: n arguments.
    OneOf(u8),
}

impl Count {
    pub fn allows(self, n: usize) -> bool {
        match self {
            Count::Any => true,
            Count::Flag => n == 1,
            Count::AtLeast(least) => n >= least as usize,
            Count::OneOf(mask) => n < 8 && mask & (1 << n) != 0,
        }
    }
}

/// What a block takes over from the one around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The outer value, unless the block has its own.
    Inherit,
    /// The outer list as a whole, unless the block has a line of its own.
    List,
    /// Nothing.
    None,
}

/// Whose directive it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    Nginx,
    Tengine,
    /// An older dialect.
    Older,
    Tenrec,
}

impl Origin {
    pub fn word(self) -> &'static str {
        match self {
            Origin::Nginx => "nginx",
            Origin::Tengine => "tengine",
            Origin::Older => "older",
            Origin::Tenrec => "tenrec",
        }
    }
}

/// What tenrec does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Carried out.
    Full,
    /// Carried out but for what the note says.
    Partial,
    /// Accepted; ignoring it changes neither what a client gets nor who gets in.
    Inert,
    /// Known, not carried out, an error at start; will be.
    Planned,
    /// Known, not carried out, an error at start.
    Refused,
}

impl Status {
    pub const ALL: [Status; 5] =
        [Status::Full, Status::Partial, Status::Inert, Status::Planned, Status::Refused];

    pub fn word(self) -> &'static str {
        match self {
            Status::Full => "full",
            Status::Partial => "partial",
            Status::Inert => "inert",
            Status::Planned => "planned",
            Status::Refused => "refused",
        }
    }

    /// Whether a configuration that has the directive may start.
    pub fn starts(self) -> bool {
        !matches!(self, Status::Planned | Status::Refused)
    }
}
