//! `map`, `split_clients` and `geo` as tables of the plan.

use super::Builder;
use crate::config::{Map, TableKind};
use crate::plan::{self, Made};

impl Builder<'_> {
    /// Defines the variables of tables, then makes the tables: one may name another's variable.
    pub fn tables(&mut self) {
        let http = self.http;
        let slots: Vec<_> = http.tables.iter().map(|table| self.names.table(&table.name)).collect();
        for (table, slot) in http.tables.iter().zip(slots) {
            let made = match &table.kind {
                TableKind::Map(map) => Made::Map(Box::new(self.map(map))),
                TableKind::Geo(geo) => Made::Geo(Box::new(plan::Geo {
                    of: geo.of.as_ref().map(|of| self.names.template(of)),
                    proxies: (!geo.proxies.is_empty()).then(|| plan::RealIp {
                        from: geo.proxies.clone(),
                        field: plan::RealIpField::Forwarded,
                        recursive: geo.recursive,
                    }),
                    volatile: geo.volatile,
                    values: geo.values.clone(),
                    networks: plan::Networks::new(&geo.networks),
                })),
                TableKind::Split(split) => Made::Split(Box::new(plan::Split {
                    of: self.names.template(&split.of),
                    parts: split.parts.clone(),
                })),
            };
            self.names.made(slot, made);
        }
    }

    fn map(&mut self, map: &Map) -> plan::Map {
        let mut regexes = Vec::new();
        for (pattern, value) in &map.regexes {
            regexes.extend(self.names.regex(pattern, self.found).map(|regex| (regex, *value)));
        }
        plan::Map {
            of: self.names.template(&map.of),
            hostnames: map.hostnames,
            volatile: map.volatile,
            exact: map.exact.clone(),
            head: map.head.clone(),
            tail: map.tail.clone(),
            regexes,
            values: map.values.iter().map(|text| self.names.template(text)).collect(),
            default: map.default,
        }
    }
}
