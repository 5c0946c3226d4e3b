//! What `set`, `if`, `rewrite`, `return` and `break` say of a server or a location, in order.

use super::{LocId, RegexId, Return, SlotId, Template, Var};

/// The program of a server block or a location. What stands inside an `if` is part of it.
#[derive(Debug, Clone, Default)]
pub struct Program {
    pub ops: Vec<Op>,
}

#[derive(Debug, Clone)]
pub enum Op {
    Set {
        to: SetTo,
        value: Template,
    },
    /// Goes on with the next operation when `test` holds, otherwise at `end`. `enter`: the settings that hold from
    /// then on; an `if` of a server has none.
    If {
        test: Test,
        enter: Option<LocId>,
        end: usize,
    },
    Rewrite(Box<Rewrite>),
    Return(Return),
    Break,
}

/// What `set` changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTo {
    Slot(SlotId),
    /// `$args`
    Args,
    /// `$limit_rate`
    LimitRate,
}

#[derive(Debug, Clone)]
pub enum Test {
    /// Neither empty nor `0`.
    True(Var),
    Equal {
        var: Var,
        value: Template,
        not: bool,
    },
    Matches {
        var: Var,
        regex: RegexId,
        not: bool,
    },
    File {
        path: Template,
        kind: FileKind,
        not: bool,
    },
}

/// What a file has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `-f`
    Plain,
    /// `-d`
    Dir,
    /// `-e`: a file or a directory.
    Any,
    /// `-x`: its owner may execute it.
    Exec,
}

/// `rewrite REGEX REPLACEMENT [FLAG]`
#[derive(Debug, Clone)]
pub struct Rewrite {
    pub regex: RegexId,
    /// The replacement; of one that is no redirect, up to its first `?`.
    pub path: Template,
    /// What follows that `?`.
    pub args: Option<Template>,
    /// The request's own arguments are appended: the replacement does not end in `?`.
    pub keep_args: bool,
    pub redirect: Option<Redirection>,
    /// The program ends here when the regex matches.
    pub last: bool,
    /// `break`: no other location is looked for.
    pub stay: bool,
}

/// A replacement that the client is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirection {
    pub status: u16,
    /// There is a `?` in the replacement.
    pub has_args: bool,
}
