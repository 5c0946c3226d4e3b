//! All that there is to say about a request, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::ask::Ask;
use super::engine::{Outcome, head_end};
use super::listen;
use super::steps::{Step, steps};
use super::upstream::{Passed, passed};
use super::words::{Names, text};
use crate::diag::SourceMap;
use crate::http::Event;
use crate::plan::{ListenAddr, LocId, Plan};

/// The answer to "why does this request go where it goes?".
///
/// The names of the JSON's fields are stable; new ones may come.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The request as it was asked about, and where its client is.
    pub request: String,
    pub client: String,
    /// The socket: as in `listen`, where, and why.
    pub listen: String,
    pub listen_why: String,
    /// The URL alone does not lead to that socket.
    pub assumed: bool,
    /// The last server, and the last location that the search or an internal redirect chose.
    pub server: String,
    pub server_place: String,
    pub location: String,
    pub location_place: String,
    pub steps: Vec<Step>,
    pub passed: Vec<Passed>,
    pub response: Response,
}

/// What the client gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The status that the access log would have.
    pub status: u16,
    /// It is the backend's, which was only supposed to answer so.
    pub supposed: bool,
    /// The connection is closed without an answer.
    pub silent: bool,
    pub fields: Vec<Field>,
}

/// A field of the answer's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
    /// As it came from the supposed backend, or because of what came.
    pub backend: bool,
}

/// What a backend's answer decides.
const BACKEND: &str = "its status, Content-Type, Content-Length, Last-Modified, cookies and all else it sends, less what \
                       proxy_hide_header hides; add_header without \"always\" only with 200, 201, 204, 206, 301 to 304, \
                       307 and 308";

impl Report {
    pub fn new(ask: &Ask, outcome: &Outcome, plan: &Plan, map: &SourceMap) -> Self {
        let names = Names { plan, map };
        let req = &outcome.request;
        let (server, server_place) = names.server(req.server);
        let loc = chosen(plan, outcome);
        let entry =
            plan.listeners.get(outcome.socket.listener).and_then(|l| l.addrs.get(outcome.socket.entry));
        let passed = passed(&names, outcome);
        let response = response(ask, outcome, &passed);
        Self {
            request: ask.to_string(),
            client: match outcome.socket.local {
                ListenAddr::Inet(_) => ask.client.ip().to_string(),
                ListenAddr::Unix(_) => "unix:".to_owned(),
            },
            listen: entry.map_or(String::new(), |e| listen::name(&e.addr)),
            listen_why: outcome.socket.why.clone(),
            assumed: outcome.socket.assumed,
            server,
            server_place,
            location: names.location(loc),
            location_place: names.loc_place(loc),
            steps: steps(&names, outcome),
            passed,
            response,
        }
    }

    /// The peer whose answer counts.
    pub fn peer(&self) -> Option<&str> {
        self.passed.last().and_then(Passed::peer)
    }

    pub fn upstream(&self) -> Option<&str> {
        self.passed.last().map(|p| &*p.to)
    }

    pub fn json(&self) -> Value {
        let field = |f: &Field| {
            json!({
                "name": text(&f.name),
                "value": text(&f.value),
                "from": if f.backend { "backend" } else { "tenrec" },
            })
        };
        json!({
            "tenrec": env!("CARGO_PKG_VERSION"),
            "request": { "text": self.request, "client": self.client },
            "listen": { "socket": self.listen, "why": self.listen_why, "assumed": self.assumed },
            "server": { "name": self.server, "place": self.server_place },
            "location": { "name": self.location, "place": self.location_place },
            "steps": self.steps.iter().map(Step::json).collect::<Vec<_>>(),
            "upstreams": self.passed.iter().map(Passed::json).collect::<Vec<_>>(),
            "response": {
                "status": self.response.status,
                "supposed": self.response.supposed,
                "silent": self.response.silent,
                "fields": self.response.fields.iter().map(field).collect::<Vec<_>>(),
                "from_backend": self.response.supposed.then_some(BACKEND),
            },
        })
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut row = |label: &str, said: &str| {
            let _ = writeln!(out, "{label:<11} {said}");
        };
        row("request", &format!("{}, from {}", self.request, self.client));
        let assumed = if self.assumed { " (assumed)" } else { "" };
        row("listen", &format!("{}{assumed}: {}", self.listen, self.listen_why));
        for step in &self.steps {
            row(&step.kind.replace("server_name", "name"), &step.text);
            step.lines.iter().for_each(|line| row("", &format!("  {line}")));
        }
        for passed in &self.passed {
            self.upstream_text(passed, &mut row);
        }
        let response = &self.response;
        match (response.silent, response.supposed) {
            (true, _) => {
                row("to client", &format!("nothing: the connection is closed ({})", response.status))
            }
            (_, true) => row("to client", &format!("{}, if the backend answers so", response.status)),
            _ => row("to client", &response.status.to_string()),
        }
        for field in response.fields.iter().filter(|f| !f.backend) {
            row("", &format!("  {}: {}", text(&field.name), text(&field.value)));
        }
        let given: Vec<&Field> = response.fields.iter().filter(|f| f.backend).collect();
        for field in &given {
            row("", &format!("  {}: {}   [backend]", text(&field.name), text(&field.value)));
        }
        if response.supposed {
            row("", &format!("  [what the backend decides: {BACKEND}]"));
        }
        out
    }

    fn upstream_text(&self, passed: &Passed, row: &mut impl FnMut(&str, &str)) {
        let by = passed.balancer.as_ref().map_or(String::new(), |b| format!(", {b}"));
        row("upstream", &format!("\"{}\"{by}", passed.to));
        if let Some(tls) = &passed.tls {
            row("tls", &tls.said());
        }
        if let Some(session) = &passed.session {
            row("session", &session.said());
        }
        for peer in &passed.peers {
            let mark = if peer.asked > 0 { '+' } else { '-' };
            row("", &format!("  {mark} {}", peer.said()));
        }
        for attempt in &passed.attempts {
            row("peer", &format!("{}: {}", attempt.peer, attempt.why));
            let mut label = "to peer";
            for line in text(&attempt.head).lines().filter(|l| !l.is_empty()) {
                row(label, line);
                label = "";
            }
            if attempt.body > 0 {
                row("", &format!("[body of {} bytes]", attempt.body));
            }
        }
        if let Some(nobody) = passed.nobody {
            row("peer", &format!("none: {nobody}"));
        }
    }
}

/// The location that the search, or a jump to a named one, chose last; the server block when none was.
fn chosen(plan: &Plan, outcome: &Outcome) -> LocId {
    let server = || plan.servers.get(outcome.request.server.ix()).map_or(LocId(0), |s| s.root);
    let last = outcome.events.iter().rev().find_map(|e| match e {
        Event::Location { loc, .. } | Event::Named(loc) => Some(*loc),
        Event::Redirect { .. } => Some(server()),
        _ => None,
    });
    last.unwrap_or_else(server)
}

fn response(ask: &Ask, outcome: &Outcome, passed: &[Passed]) -> Response {
    let bytes = skip_interim(&outcome.answer);
    let head = bytes.get(..head_end(bytes).unwrap_or(0)).unwrap_or_default();
    // Answered by the last peer, unless what it said was taken for an error of our own.
    let supposed = passed.last().is_some_and(|p| !p.attempts.is_empty())
        && outcome.request.has_upstream_head
        && outcome.request.out.status == ask.answer.status;
    let silent = head.is_empty();
    let mut fields = Vec::new();
    for line in head.split(|b| *b == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let (name, value) = (&line[..colon], line.get(colon + 2..).unwrap_or_default());
        let framing = ["content-length", "transfer-encoding"];
        let framing = framing.iter().any(|f| name.eq_ignore_ascii_case(f.as_bytes()));
        let given = ask.answer.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && *v == *value);
        let backend = supposed && (framing || given);
        if backend && framing && !given {
            // It stands for what is not known.
            continue;
        }
        fields.push(Field { name: name.to_vec(), value: value.to_vec(), backend });
    }
    Response { status: outcome.request.out.status, supposed, silent, fields }
}

/// An answer without the `100 Continue` before it.
fn skip_interim(mut bytes: &[u8]) -> &[u8] {
    while bytes.get(9..12).is_some_and(|s| s == b"100")
        && let Some(end) = head_end(bytes)
    {
        bytes = bytes.get(end..).unwrap_or_default();
    }
    bytes
}
