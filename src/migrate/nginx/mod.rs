//! Owns: files in nginx's form that hold what another product added: sticky-module-ng's, NGINX Plus', and back to nginx.
//! May use: the migrate room's input, report and writer, and what lies below migrate.
//! Never touches: sockets, other files than the inputs.

mod checks;
mod doc;
mod ng;
mod plus;
mod settle;
mod stock;

use super::can::Can;
use super::input::{Input, Problem};
use super::report::Report;
use super::writer::Text;
use doc::{Body, Fate, Item};

pub(super) use ng::sticky_ng;
pub(super) use plus::plus;
pub(super) use stock::stock;

/// What the parts share.
struct Cx<'a> {
    can: Can,
    report: &'a mut Report,
}

/// Reads the inputs, has `work` change them, and prints them.
fn rewrite(
    inputs: &[Input],
    can: Can,
    report: &mut Report,
    title: &str,
    work: impl FnOnce(&mut Cx<'_>, &mut Vec<Item>),
) -> Result<Text, Problem> {
    let mut items = wrap(doc::read(inputs)?);
    work(&mut Cx { can, report }, &mut items);
    doc::rows(&items, &mut report.rows);
    Ok(doc::print(&items, inputs, title))
}

/// A piece of a file, as documents show it, in the blocks that it needs.
fn wrap(items: Vec<Item>) -> Vec<Item> {
    let place = items.iter().find(|i| !i.is_comment()).or(items.first()).map(|i| i.place);
    let Some(place) = place else { return items };
    let block = |name: &str, inside| {
        let mut item = Item::new(place, [name]);
        item.body = Body::Block(inside);
        item
    };
    let has = |name: &str| items.iter().any(|i| i.is(name));
    if has("http") || has("stream") || has("mail") {
        let mut items = items;
        if !items.iter().any(|i| i.is("events")) {
            let at = items.iter().position(|i| i.is("http") || i.is("stream")).unwrap_or(0);
            items.insert(at, block("events", Vec::new()));
        }
        return items;
    }
    let main = |i: &Item| {
        matches!(i.name.as_str(), "events" | "user" | "pid" | "worker_processes" | "load_module" | "daemon")
    };
    let (mut out, mut rest): (Vec<Item>, Vec<Item>) = items.into_iter().partition(main);
    if rest.iter().any(|i| i.is("location")) {
        rest = vec![block("server", rest)];
    }
    if !out.iter().any(|i| i.is("events")) {
        out.push(block("events", Vec::new()));
    }
    if !rest.is_empty() {
        out.push(block("http", rest));
    }
    out
}

/// Calls `f` with the directives of every block that is still there, with the block's name.
fn blocks(items: &mut Vec<Item>, within: &str, f: &mut impl FnMut(&mut Vec<Item>, &str)) {
    f(items, within);
    for item in items.iter_mut().filter(|i| i.fate != Fate::Gone) {
        let name = item.name.clone();
        if let Some(inside) = item.inside_mut() {
            blocks(inside, &name, f);
        }
    }
}

/// The upstream that a `proxy_pass` names.
fn passes_to(item: &Item) -> Option<&str> {
    if !item.is("proxy_pass") {
        return None;
    }
    let url = item.arg(0);
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    Some(rest.split('/').next().unwrap_or(rest))
}

/// Puts a line into every place that passes to the upstream.
fn beside_pass(items: &mut Vec<Item>, upstream: &str, line: &Item) {
    blocks(items, "main", &mut |items, _| {
        let at = items.iter().position(|i| passes_to(i) == Some(upstream));
        if let Some(at) = at {
            let mut line = line.clone();
            if let Some(pass) = items.get(at) {
                line.place = pass.place;
            }
            items.insert(at, line);
        }
    });
}
