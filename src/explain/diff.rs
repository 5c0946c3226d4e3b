//! What a change of the configuration changes: settings, where requests go, and sessions.

use std::io::BufRead;
use std::sync::Arc;

use serde_json::{Value, json};

use super::ask::{Ask, Listen};
use super::engine::{Engine, Outcome};
use super::listen;
use super::pins::{self, Fate, Impact, SAMPLE};
use super::report::Report;
use super::settings::{self, Settings};
use super::traffic::{Counts, Traffic};
use super::words::text;
use crate::compile::Loaded;
use crate::plan::{ListenAddr, Plan};

/// How many changed requests are listed; all are counted.
const LISTED: usize = 100;

/// Everything that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    pub settings: Settings,
    pub sessions: Vec<Impact>,
    /// `None`: none were given.
    pub requests: Option<Requests>,
}

/// Requests through both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Requests {
    pub asked: u64,
    pub changed: u64,
    pub listed: Vec<Moved>,
    pub counts: Counts,
}

/// A request that goes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub request: String,
    pub before: Goal,
    pub after: Goal,
}

/// Where a request goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Goal {
    pub server: String,
    pub location: String,
    /// The last upstream, or the address.
    pub upstream: Option<String>,
    /// Nothing listens there, or there is no end to it.
    pub refused: Option<String>,
}

impl Diff {
    /// Compares two configurations that can run; `a` and `b` are their plans. `traffic`: requests to be carried through
    /// both; none is sent anywhere. `listen`: the socket of those whose URL does not say it.
    pub fn new<R: BufRead>(
        (old, a): (&Loaded, &Arc<Plan>),
        (new, b): (&Loaded, &Arc<Plan>),
        listen: Option<&Listen>,
        traffic: Option<&mut Traffic<R>>,
    ) -> Result<Self, String> {
        let requests = match traffic {
            Some(traffic) => {
                let sides = [(&Engine::new(a.clone())?, old), (&Engine::new(b.clone())?, new)];
                Some(requests(sides, listen, traffic)?)
            }
            None => None,
        };
        Ok(Self {
            settings: settings::compare(&old.conf, &new.conf),
            sessions: pins::compare(a, b),
            requests,
        })
    }

    /// Nothing differs.
    pub fn same(&self) -> bool {
        self.settings.is_empty()
            && self.sessions.iter().all(Impact::harmless)
            && self.requests.as_ref().is_none_or(|r| r.changed == 0)
    }

    pub fn json(&self) -> Value {
        json!({
            "tenrec": env!("CARGO_PKG_VERSION"),
            "same": self.same(),
            "settings": self.settings.json(),
            "sessions": self.sessions.iter().map(session).collect::<Vec<_>>(),
            "requests": self.requests.as_ref().map(Requests::json),
        })
    }

    pub fn text(&self) -> String {
        let mut out = self.settings.text();
        for impact in self.sessions.iter().filter(|i| !i.harmless()) {
            out += &format!("sessions: {impact}\n");
        }
        if let Some(requests) = &self.requests {
            out += &requests.text();
        }
        if self.same() {
            out += "no difference\n";
        }
        out
    }
}

/// The first TCP port of a plan: where requests that say none come from.
fn first_port(plan: &Plan) -> Option<Listen> {
    plan.listeners.iter().flat_map(|l| &l.addrs).find_map(|e| match e.addr {
        ListenAddr::Inet(a) => Some(Listen::Port(a.port())),
        ListenAddr::Unix(_) => None,
    })
}

fn requests<R: BufRead>(
    sides: [(&Engine, &Loaded); 2],
    listen: Option<&Listen>,
    traffic: &mut Traffic<R>,
) -> Result<Requests, String> {
    let mut out = Requests::default();
    while let Some(mut ask) = traffic.next_request().map_err(|e| e.to_string())? {
        if ask.port.is_none() {
            ask.listen = listen.cloned();
        }
        // Behind something that ends TLS, or that has port 80 itself.
        let [(old, _), _] = sides;
        if ask.port.is_none() && ask.listen.is_none() && listen::find(&old.plan, &ask).is_err() {
            ask.listen = first_port(&old.plan);
        }
        out.asked += 1;
        let [before, after] = sides.map(|(engine, loaded)| goal(engine, loaded, &ask));
        if before == after {
            continue;
        }
        out.changed += 1;
        if out.listed.len() < LISTED {
            out.listed.push(Moved { request: ask.to_string(), before, after });
        }
    }
    out.counts = traffic.counts;
    Ok(out)
}

fn goal(engine: &Engine, loaded: &Loaded, ask: &Ask) -> Goal {
    let outcome: Outcome = match engine.ask(ask) {
        Ok(outcome) => outcome,
        Err(why) => return Goal { refused: Some(why), ..Goal::default() },
    };
    let report = Report::new(ask, &outcome, &engine.plan, &loaded.conf.map);
    let upstream = report.upstream().map(str::to_owned);
    Goal { server: report.server, location: report.location, upstream, refused: None }
}

impl Goal {
    fn json(&self) -> Value {
        json!({
            "server": self.server, "location": self.location, "upstream": self.upstream, "refused": self.refused,
        })
    }

    fn text(&self) -> String {
        if let Some(why) = &self.refused {
            return why.clone();
        }
        let upstream = self.upstream.as_ref().map_or(String::new(), |u| format!(", upstream \"{u}\""));
        format!("server \"{}\", location \"{}\"{upstream}", self.server, self.location)
    }
}

impl Requests {
    fn json(&self) -> Value {
        let listed = self
            .listed
            .iter()
            .map(|m| json!({ "request": m.request, "before": m.before.json(), "after": m.after.json() }));
        json!({
            "asked": self.asked,
            "changed": self.changed,
            "lines": self.counts.lines,
            "undecodable": self.counts.undecodable,
            "repeated": self.counts.repeated,
            "left": self.counts.left,
            "listed": listed.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for moved in &self.listed {
            out +=
                &format!("{}\n    - {}\n    + {}\n", moved.request, moved.before.text(), moved.after.text());
        }
        if self.changed > self.listed.len() as u64 {
            out += &format!("… and {} more\n", self.changed - self.listed.len() as u64);
        }
        let counts = self.counts;
        out += &format!("requests: {} of {} go elsewhere", self.changed, self.asked);
        for (n, what) in [
            (counts.repeated, "repeated"),
            (counts.undecodable, "lines not understood"),
            (counts.left, "not asked about (--limit)"),
        ] {
            if n > 0 {
                out += &format!(", {n} {what}");
            }
        }
        out.push('\n');
        out
    }
}

fn session(impact: &Impact) -> Value {
    let pin = |p: &pins::Pin| {
        let (to, why) = match &p.fate {
            Fate::Kept => (None, None),
            Fate::Alias(new) | Fate::Renamed(new) => (Some(text(new)), None),
            Fate::Moved(peer) => (Some(peer.to_string()), None),
            Fate::Lost(why) => (None, Some(why.text())),
        };
        json!({
            "peer": &*p.peer, "pin": text(&p.value), "fate": p.fate.word(), "becomes": to, "why": why,
        })
    };
    json!({
        "upstream": &*impact.upstream,
        "renamed": impact.renamed.as_deref(),
        "kept_by": impact.how,
        "harmless": impact.harmless(),
        "pins": impact.pins.iter().map(pin).collect::<Vec<_>>(),
        "hash": impact.hash.map(|h| json!({ "moved": h.moved, "of": SAMPLE, "anew": h.anew })),
        "text": impact.to_string(),
    })
}
