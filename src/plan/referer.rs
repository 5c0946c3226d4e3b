//! `valid_referers`

use super::{Map, RegexId};

/// The referers that are welcome. Whoever comes from elsewhere has `$invalid_referer`.
#[derive(Debug, Clone, Default)]
pub struct Referers {
    /// Requests without `Referer` are welcome, too.
    pub none: bool,
    /// And those whose `Referer` is no URL.
    pub blocked: bool,
    /// Hosts; the numbers are indices into `paths`.
    pub hosts: Map,
    /// What the path must begin with; `None`: any.
    pub paths: Vec<Option<Box<[u8]>>>,
    /// For all that follows the scheme.
    pub regexes: Vec<RegexId>,
    /// For the host: those of `server_name`.
    pub host_regexes: Vec<RegexId>,
}

impl Referers {
    /// Nobody is named: all are welcome.
    pub fn is_empty(&self) -> bool {
        self.hosts.exact.is_empty()
            && self.hosts.head.is_empty()
            && self.hosts.tail.is_empty()
            && self.regexes.is_empty()
            && self.host_regexes.is_empty()
    }
}
