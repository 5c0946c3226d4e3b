//! Owns: FGW's gateway configuration: listeners, routes, services, read and mapped.
//! May use: the migrate room's model, input and ledger, and what lies below migrate.
//! Never touches: the text that is written, sockets.

mod routes;
mod services;

use std::collections::BTreeMap;

use super::can::Can;
use super::input::{Input, Place, Problem};
use super::json::{self, Node, Value};
use super::ledger::Ledger;
use super::model::{Model, Names};
use super::report::Report;

/// Several inputs are laid over each other in their order, as FGW does with the parts of its configuration.
pub(super) fn convert(inputs: &[Input], can: Can, report: &mut Report) -> Result<Model, Problem> {
    let mut ledger = Ledger::default();
    let mut documents = Vec::new();
    let mut next = 0;
    for file in 0..inputs.len() {
        let root = json::parse(inputs, file, next)?;
        next = root.last_id() + 1;
        if !matches!(root.value, Value::Map(_)) {
            return Err(Problem::new(inputs, root.place, "an object is expected here"));
        }
        documents.push(root);
    }
    let Some(first) = documents.first().cloned() else {
        return Err(Problem::new(inputs, Place { file: 0, line: 1, column: 1 }, "no input"));
    };
    let mut whole = first;
    for later in documents.iter().skip(1) {
        lay_over(&mut whole, later, &mut ledger);
    }
    let known = ["Listeners", "RouteRules", "Services"];
    if !known.iter().any(|k| whole.get(k).is_some()) {
        let message =
            "none of \"Listeners\", \"RouteRules\" and \"Services\" is here: this is no FGW configuration";
        return Err(Problem::new(inputs, whole.place, message));
    }
    let mut cx = Cx {
        ledger,
        can,
        model: Model::default(),
        names: Names::default(),
        services: BTreeMap::new(),
        secure: BTreeMap::new(),
    };
    services::convert(&mut cx, &whole);
    routes::convert(&mut cx, &whole);
    cx.rest(&whole);
    for root in &documents {
        cx.ledger.rows(root, &mut report.rows);
    }
    Ok(cx.model)
}

/// What the parts of the conversion share.
struct Cx {
    ledger: Ledger,
    can: Can,
    model: Model,
    names: Names,
    /// The services by name.
    services: BTreeMap<String, Service>,
    /// What the listeners with TLS say, by their port.
    secure: BTreeMap<u16, Vec<super::model::Line>>,
}

/// What the routes need of a service.
#[derive(Debug, Clone)]
struct Service {
    /// `None`: there is no endpoint, and so no upstream.
    upstream: Option<String>,
    /// `https` where the endpoints say so.
    tls: bool,
    /// The words of `proxy_next_upstream` and its tries.
    retry: Vec<Vec<String>>,
}

impl Cx {
    /// The fields that are neither routes nor services.
    fn rest(&mut self, root: &Node) {
        for (key, node) in root.fields() {
            match key.as_str() {
                "Version" => self.ledger.all(node, super::Class::Exact, "says nothing of the traffic"),
                "Chains" => self.chains(node),
                "Configs" => self.configs(node),
                _ => {}
            }
        }
    }

    fn chains(&mut self, node: &Node) {
        const INSIDE: &[&str] = &[
            "common/access-control.js",
            "common/consumer.js",
            "common/tls-termination.js",
            "http/codec.js",
            "http/route.js",
            "http/service.js",
            "http/forward.js",
            "http/default.js",
            "http/logging.js",
        ];
        for (chain, plugins) in node.fields() {
            for plugin in plugins.items() {
                let Value::Text(name) = &plugin.value else { continue };
                if !chain.starts_with("HTTP") {
                    self.ledger.dropped(plugin, "only the chains of HTTP have a counterpart");
                } else if INSIDE.contains(&name.as_str()) {
                    self.ledger.exact(plugin, "built in");
                } else {
                    self.ledger.dropped(plugin, "no plugins here");
                }
            }
        }
    }

    fn configs(&mut self, node: &Node) {
        if let Some(n) = node.get("HTTP1PerRequestLoadBalancing") {
            match n.value {
                Value::Bool(true) => self.ledger.exact(n, "every request is balanced"),
                _ => self.ledger.approximated(n, "every request is balanced, not every connection"),
            }
        }
        if let Some(n) = node.get("HTTP2PerRequestLoadBalancing") {
            match n.value {
                Value::Bool(true) => self.ledger.exact(n, "every request is balanced"),
                _ => self.ledger.approximated(n, "every request is balanced, not every connection"),
            }
        }
    }
}

/// Puts `later` over `earlier`: maps are joined, anything else is replaced.
fn lay_over(earlier: &mut Node, later: &Node, ledger: &mut Ledger) {
    let (Value::Map(fields), Value::Map(new)) = (&mut earlier.value, &later.value) else {
        let note = format!("replaced by line {} of a later input", later.place.line);
        ledger.all(earlier, super::Class::Exact, &note);
        *earlier = later.clone();
        return;
    };
    for (key, node) in new {
        match fields.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => lay_over(old, node, ledger),
            None => fields.push((key.clone(), node.clone())),
        }
    }
}
