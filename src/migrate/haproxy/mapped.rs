//! A frontend whose rules ask more than names and paths: one server that maps choose for.

use super::super::model::{Line as Out, Location, Server};
use super::Cx;
use super::dispatch::{Any, Dispatch};
use super::frontend::{STAGES, action, chooses, condition, lost};
use super::http::Headers;
use super::proxy::Proxy;

/// Statuses that no server sends and that stand for a backend, from the first on.
const FIRST: usize = 551;
const LAST: usize = 599;

pub(super) fn server(
    cx: &mut Cx,
    proxy: &Proxy<'_>,
    listens: Vec<Out>,
    headers: &Headers<'_>,
    last: &[Out],
    mut lines: Vec<Out>,
) {
    let mut dispatch = Dispatch::new(proxy, &proxy.section.name);
    let mut rules: Vec<(Any, String)> = Vec::new();
    let mut ways: Vec<(String, Vec<Out>, Option<super::super::input::Place>)> = Vec::new();
    if let Some(line) = proxy.last("monitor-uri").filter(|l| l.word(1).starts_with('/')) {
        let words = ["path".to_owned(), line.word(1).to_owned()];
        if let Ok(any) = dispatch.test(&words) {
            cx.account.exact(line, "");
            rules.push((any, "r0".to_owned()));
            ways.push((
                "r0".to_owned(),
                vec![Out::new(Some(line.place), ["return", "200"])],
                Some(line.place),
            ));
        }
    }
    for stage in STAGES {
        for line in proxy.own().filter(|l| l.word(0) == stage && chooses(l)) {
            let Some((then, _)) = action(cx, line) else { continue };
            match dispatch.condition(condition(line)) {
                Ok(any) => {
                    cx.account.exact(line, "");
                    let value = format!("r{}", ways.len());
                    rules.push((any, value.clone()));
                    ways.push((value, headers.on(&then), Some(line.place)));
                }
                Err(why) => cx.account.dropped(line, &lost(line, why)),
            }
        }
    }
    let choice = dispatch.variable("rule");
    let mut locations = Vec::new();
    let mut root = Vec::new();
    for (i, (value, then, cite)) in ways.into_iter().enumerate() {
        let returns = then.len() == 1 && then.iter().all(|l| l.words.first().is_some_and(|w| w == "return"));
        let inside = if returns {
            then
        } else {
            let status = FIRST + i;
            if status > LAST {
                if let Some(line) = proxy.own().find(|l| Some(l.place) == cite) {
                    cx.account.dropped(line, "too many rules");
                }
                continue;
            }
            let name = format!("@{}_{value}", dispatch.variable("to").trim_start_matches('$'));
            lines.push(Out::new(
                cite,
                ["error_page".to_owned(), status.to_string(), "=".to_owned(), name.clone()],
            ));
            locations.push(Location { cite, modifier: "", path: name, lines: then });
            vec![Out::new(None, ["return".to_owned(), status.to_string()])]
        };
        root.push(Out::block(
            cite,
            ["if".to_owned(), format!("({choice}"), "=".to_owned(), format!("{value})")],
            inside,
        ));
    }
    // What no rule takes has a place of its own too, so that what its answers carry is not in those of the rules.
    if last.iter().any(|l| l.words.first().is_some_and(|w| w == "proxy_pass")) {
        let name = format!("@{}_default", dispatch.variable("to").trim_start_matches('$'));
        let status = (FIRST - 1).to_string();
        lines.push(Out::new(None, ["error_page".to_owned(), status.clone(), "=".to_owned(), name.clone()]));
        locations.push(Location { cite: None, modifier: "", path: name, lines: last.to_vec() });
        root.push(Out::new(None, ["return".to_owned(), status]));
    } else {
        root.extend(last.iter().cloned());
    }
    locations.insert(0, Location { cite: None, modifier: "", path: "/".to_owned(), lines: root });
    cx.model.http.extend(dispatch.asked());
    cx.model.http.extend(dispatch.maps("rule", &rules, "none"));
    cx.model.servers.push(Server {
        cite: proxy.section.head.as_ref().map(|h| h.place),
        listens,
        names: Vec::new(),
        lines,
        locations,
    });
}
