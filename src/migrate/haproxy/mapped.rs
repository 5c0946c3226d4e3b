//! A frontend whose rules ask more than names and paths: one server that maps choose for.

use super::super::model::{Line as Out, Location, Server};
use super::Cx;
use super::binds::Group;
use super::changes::Changes;
use super::condition::{Any, Conditions};
use super::proxy::Proxy;
use super::rules::{Rule, fit_if};

/// Statuses that no server sends and that stand for a backend, from the first on.
const FIRST: usize = 551;
const LAST: usize = 599;

/// A server for each kind of listeners, all with the same rules: a list for each stage.
pub(super) fn servers(
    cx: &mut Cx,
    proxy: &Proxy<'_>,
    groups: Vec<Group>,
    (conditions, stages): (&mut Conditions<'_>, &[Vec<Rule<'_>>]),
    changes: &Changes,
    last: &[Out],
    lines: &[Out],
) {
    let mut lines = lines.to_vec();
    let (mut locations, mut root) = (Vec::new(), Vec::new());
    let mut next = FIRST;
    for (cite, head, then) in chosen(conditions, stages) {
        let then = changes.on(then, false);
        let inside = if fit_if(&then) {
            then
        } else {
            if next > LAST {
                if let Some(line) = proxy.own().find(|l| Some(l.place) == cite) {
                    cx.account.dropped(line, "too many rules");
                }
                continue;
            }
            let name = conditions.place_named(&format!("to_{next}"));
            let page = ["error_page".to_owned(), next.to_string(), "=".to_owned(), name.clone()];
            lines.push(Out::new(cite, page));
            locations.push(Location { cite, modifier: "", path: name, lines: then });
            next += 1;
            vec![Out::new(None, ["return".to_owned(), (next - 1).to_string()])]
        };
        root.push(Out::block(cite, head, inside));
    }
    // What no rule takes has a place of its own too, so that what its answers carry is not in those of the rules.
    if last.iter().any(|l| l.words.first().is_some_and(|w| w == "proxy_pass")) {
        let name = conditions.place_named("default");
        let status = (FIRST - 1).to_string();
        lines.push(Out::new(None, ["error_page".to_owned(), status.clone(), "=".to_owned(), name.clone()]));
        locations.push(Location { cite: None, modifier: "", path: name, lines: last.to_vec() });
        root.push(Out::new(None, ["return".to_owned(), status]));
    } else {
        root.extend(last.iter().cloned());
    }
    locations.insert(0, Location { cite: None, modifier: "", path: "/".to_owned(), lines: root });
    let mut merged: Vec<Group> = Vec::new();
    for group in groups {
        match merged.first_mut().filter(|first| !first.tls && first.lines.is_empty()) {
            Some(first) => {
                first.listens.extend(group.listens);
                first.lines = group.lines;
            }
            None => merged.push(group),
        }
    }
    for group in merged {
        cx.model.servers.push(Server {
            cite: proxy.section.head.as_ref().map(|h| h.place),
            listens: group.listens,
            names: Vec::new(),
            lines: [lines.clone(), group.lines].concat(),
            locations: locations.iter().map(Location::again).collect(),
        });
    }
}

/// The rules as answers of maps: a place, the head of an `if`, and what then.
type Chosen<'r> = (Option<super::super::input::Place>, [String; 4], &'r [Out]);

/// The first rule that fits holds; where a stage lets through what it does not refuse, the next ones have a map of their
/// own.
pub(super) fn chosen<'r>(conditions: &mut Conditions<'_>, stages: &'r [Vec<Rule<'_>>]) -> Vec<Chosen<'r>> {
    let mut out = Vec::new();
    let mut chain: Vec<&Rule<'_>> = Vec::new();
    let mut number = 0;
    let mut count = 0;
    for (i, stage) in stages.iter().enumerate() {
        chain.extend(stage);
        let passes = stage.iter().any(|r| r.then.is_none());
        if chain.is_empty() || !(passes || i + 1 == stages.len()) {
            continue;
        }
        number += 1;
        let name = if number == 1 { "rule".to_owned() } else { format!("rule{number}") };
        let mut list: Vec<(Any, String)> = Vec::new();
        let choice = conditions.variable(&name);
        for rule in chain.drain(..) {
            let value = match &rule.then {
                Some(then) => {
                    let value = format!("r{count}");
                    count += 1;
                    let head = ["if".to_owned(), format!("({choice}"), "=".to_owned(), format!("{value})")];
                    out.push((Some(rule.line.place), head, &then[..]));
                    value
                }
                None => "none".to_owned(),
            };
            list.push((rule.when.clone(), value));
        }
        conditions.choose(&name, &list, "none");
    }
    out
}
