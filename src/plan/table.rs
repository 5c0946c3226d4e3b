//! Variables that the configuration makes, and the tables that they are looked up in.

use std::collections::HashMap;

use super::{RegexId, Template, Var};

/// A variable that the configuration made.
#[derive(Debug, Clone)]
pub struct Slot {
    pub name: Box<str>,
    pub made: Made,
}

/// Where the value of a variable comes from while nothing has set it.
#[derive(Debug, Clone)]
pub enum Made {
    /// `set`: empty, and the error log is told.
    Set,
    /// A named group of a regex: it has no value.
    Capture,
    /// `set $http_NAME` and its like: what the name means by itself.
    Var(Var),
    Map(Box<Map>),
    Split(Box<Split>),
    Geo(Box<super::Geo>),
}

/// `map`
#[derive(Debug, Clone, Default)]
pub struct Map {
    pub of: Template,
    /// `hostnames`: names may have wildcards, and a dot at the end does not count.
    pub hostnames: bool,
    /// `volatile`: the value is looked up each time it is asked for.
    pub volatile: bool,
    /// Lower-case; values are indices into `values`.
    pub exact: HashMap<Box<[u8]>, u32>,
    /// `*.example.com` kept as `.example.com`.
    pub head: HashMap<Box<[u8]>, u32>,
    /// `www.example.*` kept as `www.example.`.
    pub tail: HashMap<Box<[u8]>, u32>,
    /// In the order of the file.
    pub regexes: Vec<(RegexId, u32)>,
    pub values: Vec<Template>,
    /// `None`: empty.
    pub default: Option<u32>,
}

/// `split_clients`
#[derive(Debug, Clone, Default)]
pub struct Split {
    pub of: Template,
    /// A hash below the number has the value; `None`: every hash has.
    pub parts: Vec<(Option<u32>, Box<[u8]>)>,
}
