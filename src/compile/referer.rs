//! `valid_referers`: with the names of the server where they are asked for.

use super::Builder;
use crate::config::{Referers, ServerName, Step};
use crate::diag::Severity;
use crate::plan;

impl Builder<'_> {
    /// `own`: it was said at this level. `server`: index into the settings' servers.
    pub fn referers(&mut self, own: bool, set: &Referers, server: usize) -> Option<Box<plan::Referers>> {
        let mut set = set.clone();
        let mut host_regexes = Vec::new();
        if set.server_names || set.server_regexes {
            let names = self.http.servers.get(server).map_or(&[][..], |s| &s.names);
            if names.is_empty() && set.server_names {
                // As in nginx: a server without names has the empty one.
                set.add(b"", None).ok();
            }
            for name in names {
                match name {
                    ServerName::Regex(pattern) => host_regexes.extend(self.names.regex(pattern, self.found)),
                    ServerName::Text(_) if !set.server_names => {}
                    ServerName::Text(text) => {
                        if let Err(words) = set.add(text, None)
                            && own
                        {
                            self.late(words);
                        }
                    }
                }
            }
        }
        if own && (set.none || set.blocked) && set.no_hosts() {
            let words = "the \"none\" or \"blocked\" referers are specified in the \"valid_referers\" directive \
                         without any valid referer";
            self.late(words.to_owned());
        }
        let regexes = set.regexes.iter().filter_map(|p| self.names.regex(p, self.found)).collect();
        let hosts = plan::Map {
            hostnames: true,
            exact: set.hosts.exact,
            head: set.hosts.head,
            tail: set.hosts.tail,
            ..plan::Map::default()
        };
        let paths = set.paths;
        let referers =
            plan::Referers { none: set.none, blocked: set.blocked, hosts, paths, regexes, host_regexes };
        (!referers.is_empty()).then(|| Box::new(referers))
    }

    fn late(&mut self, words: String) {
        self.found.late(self.http.close, Step::Merge, Severity::Emerg, None, words);
    }
}
