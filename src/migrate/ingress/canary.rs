//! Canaries: a second Ingress of the same host and path that takes a part of the requests.

use super::super::json::Node;
use super::super::model::Line;
use super::annotations::text;
use super::{Cx, at};

const PREFIX: &str = "nginx.ingress.kubernetes.io/canary";

/// What a canary's annotations say.
#[derive(Debug, Clone, Default)]
pub(super) struct Canary<'n> {
    weight: Option<&'n Node>,
    /// Percent.
    share: f64,
    header: Option<(&'n Node, String)>,
    value: Option<(String, bool)>,
    cookie: Option<(&'n Node, String)>,
}

/// The canary of an Ingress; `None`: it is none.
pub(super) fn read<'n>(cx: &mut Cx<'n>, ingress: &'n Node) -> Option<Canary<'n>> {
    let all = at(ingress, &["metadata", "annotations"])?;
    let fields: Vec<(&'n str, &'n Node, &'n str)> =
        all.fields().iter().filter_map(|(k, n)| Some((k.strip_prefix(PREFIX)?, n, text(n)?))).collect();
    let of = |name: &str| fields.iter().find(|(k, ..)| *k == name).map(|(_, n, t)| (*n, *t));
    let (n, on) = of("")?;
    if on != "true" {
        fields.iter().for_each(|(_, n, _)| cx.ledger.exact(n, "it is off"));
        return None;
    }
    cx.ledger.exact(n, "");
    let mut out = Canary::default();
    let token =
        |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let total = of("-weight-total").and_then(|(n, t)| {
        cx.ledger.exact(n, "");
        t.parse::<f64>().ok().filter(|n| *n > 0.0)
    });
    if let Some((n, weight)) = of("-weight") {
        match weight.parse::<f64>().ok().filter(|w| *w >= 0.0) {
            Some(weight) => {
                cx.ledger.exact(n, "");
                out.share = (weight * 100.0 / total.unwrap_or(100.0)).min(100.0);
                out.weight = Some(n);
            }
            None => cx.ledger.dropped(n, "a number is expected"),
        }
    }
    if let Some((n, header)) = of("-by-header") {
        if token(header) {
            cx.ledger.exact(n, "");
            out.header = Some((n, header.to_ascii_lowercase().replace('-', "_")));
        } else {
            cx.ledger.dropped(n, "no variable has this header");
        }
    }
    for (name, regex) in [("-by-header-value", false), ("-by-header-pattern", true)] {
        let Some((n, value)) = of(name) else { continue };
        if value.is_empty() || value.contains(['\n', '\r']) || out.header.is_none() {
            cx.ledger.dropped(n, "without a header it says nothing");
        } else {
            cx.ledger.exact(n, "");
            out.value = Some((value.to_owned(), regex));
        }
    }
    if let Some((n, cookie)) = of("-by-cookie") {
        if token(cookie) && !cookie.contains('-') {
            cx.ledger.exact(n, "");
            out.cookie = Some((n, cookie.to_owned()));
        } else {
            cx.ledger.dropped(n, "no variable has this cookie");
        }
    }
    Some(out)
}

impl Canary<'_> {
    /// The lines of `http` that choose between two upstreams, and the variable that holds the choice.
    pub(super) fn choose(&self, main: &str, canary: &str, number: usize) -> (Vec<Line>, String) {
        let mut lines = Vec::new();
        let variable = |step: &str| format!("$canary_{number}_{step}");
        let mut last = main.to_owned();
        if self.share >= 100.0 {
            canary.clone_into(&mut last);
        } else if self.share > 0.0 {
            let to = variable("weight");
            let inside = vec![
                Line::new(None, [format!("{:.2}%", self.share), canary.to_owned()]),
                Line::new(None, ["*", main]),
            ];
            let words = ["split_clients".to_owned(), "$request_id".to_owned(), to.clone()];
            lines.push(Line::block(self.weight.map(|n| n.place), words, inside));
            last = to;
        }
        let always = |last: &str| {
            vec![
                Line::new(None, ["always", canary]),
                Line::new(None, ["never", main]),
                Line::new(None, ["default", last]),
            ]
        };
        if let Some((n, cookie)) = &self.cookie {
            let to = variable("cookie");
            let words = ["map".to_owned(), format!("$cookie_{cookie}"), to.clone()];
            lines.push(Line::block(Some(n.place), words, always(&last)));
            last = to;
        }
        if let Some((n, header)) = &self.header {
            let to = variable("header");
            let words = ["map".to_owned(), format!("$http_{header}"), to.clone()];
            let inside = match &self.value {
                Some((value, regex)) => {
                    let key = if *regex { format!("~{value}") } else { escape(value) };
                    vec![Line::new(None, [key.as_str(), canary]), Line::new(None, ["default", &last])]
                }
                None => always(&last),
            };
            lines.push(Line::block(Some(n.place), words, inside));
            last = to;
        }
        (lines, last)
    }
}

/// A value of a map that is none of its words.
fn escape(value: &str) -> String {
    let special = value.starts_with('~') || matches!(value, "default" | "include" | "hostnames" | "volatile");
    if special || value.starts_with('\\') { format!("\\{value}") } else { value.to_owned() }
}
