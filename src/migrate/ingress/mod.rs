//! Owns: ingress-nginx: Ingress manifests with their annotations, and the Services and Endpoints that they name.
//! May use: the migrate room's model, input and ledger, and what lies below migrate.
//! Never touches: the text that is written, sockets, a cluster.

mod annotations;
mod backends;
mod canary;
mod routes;
mod snippets;

use std::collections::BTreeMap;

use super::can::Can;
use super::input::{Input, Place, Problem};
use super::json::{Node, Value};
use super::ledger::Ledger;
use super::model::{Model, Names};
use super::report::{Class, Report};
use super::yaml;

/// What the parts share.
struct Cx<'n> {
    ledger: Ledger,
    can: Can,
    model: Model,
    names: Names,
    cluster: Cluster<'n>,
    /// The upstreams by backend and settings.
    made: BTreeMap<String, Option<String>>,
}

/// What of the input is not an Ingress.
#[derive(Default)]
struct Cluster<'n> {
    services: Vec<&'n Node>,
    endpoints: Vec<&'n Node>,
    slices: Vec<&'n Node>,
}

/// A text at the end of a path of keys.
fn said<'n>(node: &'n Node, path: &[&str]) -> Option<&'n str> {
    let node = at(node, path)?;
    match &node.value {
        Value::Text(t) | Value::Number(t) => Some(t),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        _ => None,
    }
}

fn at<'n>(node: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(node, |n, key| n.get(key))
}

pub(super) fn convert(inputs: &[Input], can: Can, report: &mut Report) -> Result<Model, Problem> {
    let mut documents = Vec::new();
    let mut next = 0;
    for file in 0..inputs.len() {
        for root in yaml::parse(inputs, file, next)? {
            next = root.last_id().max(next) + 1;
            if !matches!(root.value, Value::Map(_) | Value::Null) {
                return Err(Problem::new(inputs, root.place, "a manifest is a map"));
            }
            documents.push(root);
        }
    }
    let mut objects = Vec::new();
    documents.iter().for_each(|d| flatten(d, &mut objects));
    let ingresses: Vec<&Node> =
        objects.iter().copied().filter(|o| said(o, &["kind"]) == Some("Ingress")).collect();
    if ingresses.is_empty() {
        let place = Place { file: 0, line: 1, column: 1 };
        return Err(Problem::new(inputs, place, "no manifest of the kind \"Ingress\" is here"));
    }
    let mut cx = Cx {
        ledger: Ledger::default(),
        can,
        model: Model::default(),
        names: Names::default(),
        cluster: Cluster::default(),
        made: BTreeMap::new(),
    };
    for object in &objects {
        match said(object, &["kind"]) {
            Some("Service") => cx.cluster.services.push(object),
            Some("Endpoints") => cx.cluster.endpoints.push(object),
            Some("EndpointSlice") => cx.cluster.slices.push(object),
            Some("Ingress") | None => {}
            Some(kind) => {
                let why = format!("of a \"{kind}\" nothing is taken");
                cx.ledger.give_up(object, &why);
            }
        }
    }
    routes::convert(&mut cx, &ingresses);
    for object in objects.iter().copied().chain(&documents) {
        quiet(&mut cx, object);
    }
    for root in &documents {
        cx.ledger.rows(root, &mut report.rows);
    }
    Ok(cx.model)
}

/// The objects of a document: those of a list each.
fn flatten<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    let kind = said(node, &["kind"]).unwrap_or_default();
    match node.get("items") {
        Some(items) if kind.ends_with("List") => items.items().iter().for_each(|n| flatten(n, out)),
        _ => out.push(node),
    }
}

/// What tells who an object is, and what the cluster writes into it.
fn quiet(cx: &mut Cx<'_>, object: &Node) {
    let note = "says nothing of the traffic";
    for path in [
        &["apiVersion"][..],
        &["kind"],
        &["status"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "labels"],
        &["metadata", "uid"],
        &["metadata", "resourceVersion"],
        &["metadata", "creationTimestamp"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "ownerReferences"],
        &["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"],
    ] {
        if let Some(n) = at(object, path) {
            cx.ledger.all(n, Class::Exact, note);
        }
    }
    match said(object, &["kind"]) {
        Some("Service") => {
            for key in [
                "selector",
                "type",
                "clusterIP",
                "clusterIPs",
                "ipFamilies",
                "ipFamilyPolicy",
                "ports",
                "internalTrafficPolicy",
            ] {
                if let Some(n) = at(object, &["spec", key]) {
                    cx.ledger.all(n, Class::Exact, "a matter of the cluster");
                }
            }
            match at(object, &["spec", "sessionAffinity"]) {
                Some(n) if matches!(&n.value, Value::Text(t) if t != "None") => {
                    cx.ledger.all(n, Class::Exact, "of connections that do not come through an Ingress");
                }
                Some(n) => cx.ledger.all(n, Class::Exact, ""),
                None => {}
            }
        }
        Some("Endpoints" | "EndpointSlice") => {
            for key in ["subsets", "endpoints", "ports", "addressType"] {
                if let Some(n) = object.get(key) {
                    cx.ledger.all(n, Class::Exact, "the addresses of the servers");
                }
            }
        }
        _ => {}
    }
}
