//! `limit_req` and `limit_conn`: names of zones to numbers.

use super::Builder;
use crate::config::{Limit, Place, Step};
use crate::diag::Severity;
use crate::plan::{ConnectionLimit, LimitKind, LimitZone, Limits, Refusal, RequestLimit};

/// More than any request can be over its rate.
const NEVER: u64 = u64::MAX;

impl Builder<'_> {
    /// The zones of the plan.
    pub fn limit_zones(&mut self) {
        for zone in &self.http.limit_zones {
            let key = self.names.template(&zone.key);
            self.plan.limit_zones.push(LimitZone {
                name: zone.name.clone(),
                kind: zone.kind,
                key,
                key_text: zone.key_text.clone(),
                bytes: zone.bytes,
            });
        }
    }

    /// `None`: no limit holds here.
    pub fn limits(&mut self, set: &Limit) -> Option<Box<Limits>> {
        let mut limits = Limits {
            requests: Vec::new(),
            requests_refused: Refusal {
                status: set.requests_status() as u16,
                level: set.requests_level(),
                dry_run: set.requests_dry_run(),
            },
            connections: Vec::new(),
            connections_refused: Refusal {
                status: set.connections_status() as u16,
                level: set.connections_level(),
                dry_run: set.connections_dry_run(),
            },
        };
        for limit in set.requests() {
            let Some(zone) = self.limit_zone(&limit.zone, true, limit.at) else { continue };
            let delay = limit.delay.map_or(NEVER, |n| n.saturating_mul(1000));
            limits.requests.push(RequestLimit { zone, burst: limit.burst.saturating_mul(1000), delay });
        }
        for limit in set.connections() {
            let Some(zone) = self.limit_zone(&limit.zone, false, limit.at) else { continue };
            limits.connections.push(ConnectionLimit { zone, most: limit.most });
        }
        (!limits.requests.is_empty() || !limits.connections.is_empty()).then(|| Box::new(limits))
    }

    /// The number of a zone; one that there is not, or that is another's, is said.
    fn limit_zone(&mut self, name: &str, requests: bool, at: Place) -> Option<usize> {
        let found = self.plan.limit_zones.iter().position(|z| &*z.name == name);
        match found.and_then(|zone| Some((zone, self.plan.limit_zones.get(zone)?.kind))) {
            Some((zone, kind)) if matches!(kind, LimitKind::Requests { .. }) == requests => Some(zone),
            Some(_) => {
                let words =
                    format!("the shared memory zone \"{name}\" is already declared for a different use");
                self.found.emerg(at, "bad-value", words);
                None
            }
            None => {
                let words = format!("zero size shared memory zone \"{name}\"");
                self.found.late(self.http.close, Step::Names, Severity::Emerg, None, words);
                None
            }
        }
    }
}
