//! NGINX Plus' `health_check` and `match` as Tengine's `check`.

use super::super::report::Class;
use super::doc::Item;
use super::{Cx, blocks, passes_to};
use crate::values;

/// What a `match` block asks of an answer, as classes of statuses.
#[derive(Debug, Clone)]
struct Wanted {
    name: String,
    /// `http_2xx`, …; empty: any.
    classes: Vec<&'static str>,
    used: bool,
}

const CLASSES: [(&str, &str); 4] =
    [("2", "http_2xx"), ("3", "http_3xx"), ("4", "http_4xx"), ("5", "http_5xx")];

/// Moves every check to the upstream that it asks.
pub(super) fn convert(cx: &Cx<'_>, items: &mut Vec<Item>) {
    let mut matches = matches(items);
    let mut found: Vec<(String, Vec<Item>)> = Vec::new();
    blocks(items, "main", &mut |items, _| {
        let Some(at) = items.iter().position(|i| i.is("health_check")) else { return };
        let upstream = items.iter().find_map(passes_to).map(str::to_owned);
        let Some(line) = items.get_mut(at) else { return };
        let Some(upstream) = upstream else {
            line.drop("nothing is passed to an upstream here");
            return;
        };
        if !cx.can.check {
            line.drop("needs \"check\"; failures of requests take a server out");
            return;
        }
        if found.iter().any(|(name, _)| *name == upstream) {
            line.drop("the upstream has a check already");
            return;
        }
        let lines = check(line, &mut matches);
        found.push((upstream, lines));
        for line in items.iter_mut().filter(|i| i.is("health_check")) {
            line.drop("the upstream has a check already");
        }
    });
    blocks(items, "main", &mut |items, _| {
        for item in items.iter_mut().filter(|i| i.is("upstream")) {
            let at = found.iter().position(|(name, _)| name == item.arg(0));
            if let (Some(at), Some(inside)) = (at, item.inside_mut()) {
                inside.extend(found.remove(at).1);
            }
        }
    });
    blocks(items, "main", &mut |items, _| {
        for item in items.iter_mut().filter(|i| i.is("match")) {
            let used = matches.iter().any(|m| m.name == item.arg(0) && m.used);
            if used {
                item.retire(Class::Approximated, "in the check that names it");
            } else {
                item.drop("no check takes it");
            }
        }
        // An upstream that is not in the input has no place for its check.
        for item in items.iter_mut().filter(|i| i.name == "health_check" && !found.is_empty()) {
            item.mark(Class::Approximated, "");
        }
    });
}

fn matches(items: &mut Vec<Item>) -> Vec<Wanted> {
    let mut out = Vec::new();
    blocks(items, "main", &mut |items, _| {
        for item in items.iter_mut().filter(|i| i.is("match")) {
            let mut classes = Vec::new();
            let name = item.arg(0).to_owned();
            for line in item.inside_mut().into_iter().flatten() {
                if line.name == "status" {
                    let negated = line.arg(0) == "!";
                    let said: Vec<&str> =
                        line.args.iter().map(|w| w.value.as_str()).filter(|w| *w != "!").collect();
                    for (digit, class) in CLASSES {
                        if said.iter().any(|s| covers(s, digit)) != negated {
                            classes.push(class);
                        }
                    }
                    line.mark(Class::Approximated, "whole classes of statuses");
                } else if !line.is_comment() {
                    line.mark(Class::Dropped, "checks look at the status only");
                }
            }
            out.push(Wanted { name, classes, used: false });
        }
    });
    out
}

/// Whether `200`, `200-399` or `2xx` touches the class of a digit.
fn covers(said: &str, digit: &str) -> bool {
    let class = digit.parse::<u32>().unwrap_or(0);
    let (from, to) = said.split_once('-').unwrap_or((said, said));
    match (from.parse::<u32>(), to.parse::<u32>()) {
        (Ok(from), Ok(to)) => from / 100 <= class && class <= to / 100,
        _ => said.starts_with(digit),
    }
}

/// The lines of an upstream for a `health_check`.
fn check(line: &mut Item, matches: &mut [Wanted]) -> Vec<Item> {
    let mut interval = 5000;
    let (mut rise, mut fall, mut port, mut down) = ("1".to_owned(), "1".to_owned(), None, false);
    let mut uri = "/".to_owned();
    let mut classes = vec!["http_2xx", "http_3xx"];
    let mut kind = "http";
    let words: Vec<String> = line.args.iter().map(|w| w.value.clone()).collect();
    let number = |v: &str| v.parse::<u32>().is_ok_and(|n| n > 0);
    for word in &words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match (name, value) {
            ("interval", v) => match values::msec(v.as_bytes()).filter(|n| *n > 0) {
                Some(n) => interval = n,
                None => line.mark(Class::Dropped, "interval: a time is expected"),
            },
            ("passes", v) if number(v) => rise = v.to_owned(),
            ("fails", v) if number(v) => fall = v.to_owned(),
            ("uri", v) if v.starts_with('/') && !v.contains(['\r', '\n', '$']) => uri = v.to_owned(),
            ("port", v) if v.parse::<u16>().is_ok_and(|p| p > 0) => port = Some(v.to_owned()),
            ("mandatory", "") => down = true,
            ("match", v) => match matches.iter_mut().find(|m| m.name == v) {
                Some(wanted) => {
                    wanted.used = true;
                    if !wanted.classes.is_empty() {
                        classes.clone_from(&wanted.classes);
                    }
                }
                None => line.mark(Class::Dropped, &format!("there is no match \"{v}\"")),
            },
            ("type", "grpc") => {
                kind = "tcp";
                line.mark(Class::Approximated, "type=grpc: whether it can be connected to");
            }
            ("jitter" | "keepalive_time" | "persistent" | "grpc_service" | "grpc_status", _) => {
                line.mark(Class::Dropped, &format!("{name}: checks have no such thing"));
            }
            _ => line.mark(Class::Dropped, &format!("\"{word}\" is not known")),
        }
    }
    let mut check = vec![
        "check".to_owned(),
        format!("interval={interval}"),
        format!("rise={rise}"),
        format!("fall={fall}"),
        format!("timeout={interval}"),
        format!("default_down={down}"),
        format!("type={kind}"),
    ];
    check.extend(port.map(|p| format!("port={p}")));
    let mut out = vec![Item::new(line.place, check)];
    if kind == "http" {
        let send = format!("GET {uri} HTTP/1.0\r\nConnection: close\r\n\r\n");
        out.push(Item::new(line.place, ["check_http_send".to_owned(), send]));
        out.push(Item::new(line.place, std::iter::once("check_http_expect_alive").chain(classes)));
    }
    line.retire(Class::Approximated, "\"check\" in the upstream: one check for all its servers");
    out
}
