//! Events of a request as steps that a person and a program can read.

use serde_json::{Value, json};

use super::engine::Outcome;
use super::search;
use super::words::{Names, rule, text, uri};
use crate::http::{Event, NamedBy, Rewritten};
use crate::plan::LocMatch;

/// One step: what it is, a sentence about it, lines below that, and the same for a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub kind: &'static str,
    pub text: String,
    pub lines: Vec<String>,
    pub data: Value,
}

impl Step {
    fn new(kind: &'static str, text: impl Into<String>, data: Value) -> Self {
        Self { kind, text: text.into(), lines: Vec::new(), data }
    }

    /// The data, with `step` and `text`.
    pub fn json(&self) -> Value {
        let mut out = json!({ "step": self.kind, "text": self.text });
        if let (Some(out), Some(data)) = (out.as_object_mut(), self.data.as_object()) {
            out.extend(data.clone());
        }
        out
    }
}

/// The steps from the choice of the server to the answer; what concerns sessions and peers is told by `upstream`.
pub fn steps(names: &Names<'_>, outcome: &Outcome) -> Vec<Step> {
    let events = &outcome.events;
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(event) = events.get(at) {
        at += 1;
        if let Event::Level { .. } = event {
            let rest = events.get(at - 1..).unwrap_or_default();
            let more = |e: &Event| matches!(e, Event::Level { .. } | Event::Regex { .. } | Event::Log { .. });
            let n = rest.iter().position(|e| !more(e)).unwrap_or(rest.len());
            let path = rest.get(n).map_or(&[][..], std::slice::from_ref);
            let path = search::path_of(path).unwrap_or(&outcome.request.uri);
            out.push(found(names, &rest[..n], path));
            at += n - 1;
        } else if let Some(step) = step(names, outcome, event) {
            out.push(step);
        }
    }
    out
}

fn found(names: &Names<'_>, events: &[Event], path: &[u8]) -> Step {
    let blocks = search::blocks(names, events, path);
    let data = json!({
        "uri": text(path),
        "blocks": blocks.iter().map(|b| b.json(names)).collect::<Vec<_>>(),
    });
    let first = blocks.first().map(|b| search::heading(names, b, path)).unwrap_or_default();
    let mut step = Step::new("search", first, data);
    for (i, block) in blocks.iter().enumerate() {
        if i > 0 && block.tried.is_empty() && block.others == 0 {
            continue;
        }
        if i > 0 {
            step.lines.push(format!("{}:", search::heading(names, block, path)));
        }
        let lines = block.lines(names);
        let none = lines.is_empty().then(|| "(there are none)".to_owned());
        step.lines.extend(lines.into_iter().chain(none));
    }
    step
}

fn step(names: &Names<'_>, outcome: &Outcome, event: &Event) -> Option<Step> {
    Some(match event {
        Event::Level { .. } | Event::Regex { .. } => return None,
        Event::Log { level, text } => {
            let said = format!("[{}] {text}", level.word());
            Step::new("log", said, json!({ "level": level.word(), "message": text }))
        }
        Event::NameRegex { regex, server, matched } => {
            let (name, place) = names.server(*server);
            let how = if *matched { "fits" } else { "does not fit" };
            let said = format!("server_name \"~{}\" {how} ({place})", names.regex(*regex));
            let data = json!({
                "regex": names.regex(*regex), "server": name, "place": place, "matched": matched,
            });
            Step::new("server_name", said, data)
        }
        Event::Server { server, by } => {
            let (name, place) = names.server(*server);
            let (rule, why) = named_by(names, outcome, *by);
            let said = if name.is_empty() {
                format!("the one without a name ({place}): {why}")
            } else {
                format!("\"{name}\" ({place}): {why}")
            };
            Step::new("server", said, json!({ "name": name, "place": place, "rule": rule, "why": why }))
        }
        Event::Client { was, is } => {
            let was = was.map_or("unix:".to_owned(), |a| a.to_string());
            let said = format!("{}: a trusted proxy, {was}, says so (real_ip)", is.ip());
            Step::new("client", said, json!({ "connected": was, "client": is.ip().to_string() }))
        }
        Event::Location { loc, auto_redirect, uri } => {
            let (name, place) = (names.location(*loc), names.loc_place(*loc));
            let none = names.plan.locations.get(loc.ix()).is_some_and(|l| l.kind == LocMatch::Server);
            let said = match (none, auto_redirect) {
                (true, _) => format!("none; what the server block says holds ({place})"),
                (_, true) => format!("\"{name}\" ({place}), by a redirect to it"),
                _ => format!("\"{name}\" ({place})"),
            };
            let data =
                json!({ "location": name, "place": place, "uri": text(uri), "redirect": auto_redirect });
            Step::new("location", said, data)
        }
        Event::Enter(loc) => {
            let (name, place) = (names.location(*loc), names.loc_place(*loc));
            let said = format!("the settings of \"{name}\" ({place}) hold");
            Step::new("enter", said, json!({ "block": name, "place": place }))
        }
        Event::Set { to, value } => {
            let to = names.set_to(*to);
            let said = format!("{to} is \"{}\"", text(value));
            Step::new("set", said, json!({ "variable": to, "value": text(value) }))
        }
        Event::If { test, holds } => {
            let test = names.test(test);
            let said = format!("({test}) {}", if *holds { "holds" } else { "does not hold" });
            Step::new("if", said, json!({ "condition": test, "holds": holds }))
        }
        Event::Rewrite { regex, subject, to } => rewrite(names, names.regex(*regex), subject, to.as_ref()),
        Event::Break => Step::new("break", "no further rewrites here", json!({})),
        Event::Return { code, text: given } => {
            let shown = given.as_ref().map(|t| text(t));
            let said = shown.as_ref().map_or_else(|| code.to_string(), |t| format!("{code} \"{t}\""));
            Step::new("return", said, json!({ "status": code, "text": shown }))
        }
        Event::Access { rule: by, refused } => {
            let by = by.as_ref().map(rule);
            let client = &outcome.request.conn.client_text;
            let word = if *refused { "refused" } else { "let in" };
            let because = by.as_ref().map_or("no rule speaks of it".to_owned(), |r| format!("\"{r}\""));
            let data = json!({ "client": &**client, "rule": by, "refused": refused });
            Step::new("access", format!("{client} is {word}: {because}"), data)
        }
        Event::Try { path, dir, found } => {
            let what = if *dir { "directory" } else { "file" };
            let word = if *found { "a" } else { "no" };
            let data = json!({ "path": text(path), "as": what, "found": found });
            Step::new("try_files", format!("{} is {word} {what}", text(path)), data)
        }
        Event::TryLast => {
            Step::new("try_files", "nothing is there: its last word decides", json!({ "last": true }))
        }
        Event::Index { path, found } => {
            let word = if *found { "is there" } else { "is not there" };
            let data = json!({ "path": text(path), "found": found });
            Step::new("index", format!("{} {word}", text(path)), data)
        }
        Event::File { path, opened } => {
            let word = if *opened { "is opened" } else { "cannot be opened" };
            let data = json!({ "path": text(path), "opened": opened });
            Step::new("file", format!("{} {word}", text(path)), data)
        }
        Event::Content(loc) => {
            let what = names.plan.locations.get(loc.ix()).map_or("", |l| content(&l.content));
            let data = json!({ "handler": what, "location": names.location(*loc) });
            Step::new("content", format!("{what} answers"), data)
        }
        Event::Status(status) => Step::new("status", status.to_string(), json!({ "status": status })),
        Event::ErrorPage { status, code } => {
            let kept = match code {
                None => String::new(),
                Some(0) => ", with the status of what answers".to_owned(),
                Some(code) => format!(", with status {code}"),
            };
            let data = json!({ "status": status, "code": code });
            Step::new("error_page", format!("of {status} takes it{kept}"), data)
        }
        Event::Page(status) => {
            let said = format!("the program's own page for {status}");
            Step::new("page", said, json!({ "status": status }))
        }
        Event::Redirect { uri: path, args } => {
            let data = json!({ "uri": text(path), "args": text(args) });
            Step::new(
                "internal",
                format!("goes on as \"{}\", from the server's phase", uri(path, args)),
                data,
            )
        }
        Event::Named(loc) => {
            let (name, place) = (names.location(*loc), names.loc_place(*loc));
            let said = format!("goes on in \"{name}\" ({place})");
            Step::new("internal", said, json!({ "location": name, "place": place }))
        }
        Event::Pass { loc, upstream, address } => {
            let known = upstream.and_then(|id| names.plan.upstreams.get(id.ix()));
            let to = known.map_or(&**address, |u| &u.name);
            let data = json!({
                "location": names.location(*loc), "upstream": known.map(|u| &*u.name), "address": to,
            });
            Step::new("proxy_pass", format!("to \"{to}\""), data)
        }
        Event::Session { .. } | Event::Tls { .. } => return None,
        Event::Peer { name, .. } => Step::new("peer", format!("{name} is asked"), json!({ "peer": &**name })),
        Event::NoPeer(_) => {
            Step::new("peer", "none can be asked: no live upstreams", json!({ "peer": null }))
        }
    })
}

fn rewrite(names: &Names<'_>, regex: &str, subject: &[u8], to: Option<&Rewritten>) -> Step {
    let _ = names;
    let (said, result) = match to {
        None => (format!("\"{regex}\" does not fit \"{}\"", text(subject)), json!({})),
        Some(Rewritten::Uri { path, args }) => (
            format!("\"{regex}\" fits \"{}\": \"{}\"", text(subject), uri(path, args)),
            json!({ "uri": text(path), "args": text(args) }),
        ),
        Some(Rewritten::Redirect(url)) => (
            format!("\"{regex}\" fits \"{}\": the client is sent to \"{}\"", text(subject), text(url)),
            json!({ "url": text(url) }),
        ),
    };
    let mut data = json!({ "regex": regex, "subject": text(subject), "matched": to.is_some() });
    if let (Some(data), Some(result)) = (data.as_object_mut(), result.as_object()) {
        data.extend(result.clone());
    }
    Step::new("rewrite", said, data)
}

fn content(content: &crate::plan::Content) -> &'static str {
    use crate::plan::Content as C;
    match content {
        C::Static => "a file",
        C::Proxy(_) => "proxy_pass",
        C::StubStatus => "stub_status",
        C::EmptyGif => "empty_gif",
        C::CheckStatus(_) => "check_status",
    }
}

/// The rule that chose the server, and the sentence about it.
fn named_by(names: &Names<'_>, outcome: &Outcome, by: NamedBy) -> (&'static str, String) {
    let host = text(outcome.request.head.host().unwrap_or_default());
    let entry = outcome.request.conn.listen_entry(names.plan);
    let named = |head: bool, len: usize| {
        let list = entry.map(|e| if head { &e.names.head } else { &e.names.tail });
        let fits = |n: &String| {
            n.len() == len && if head { host.ends_with(n.as_str()) } else { host.starts_with(n.as_str()) }
        };
        list.into_iter().flatten().map(|(name, _)| text(name)).find(fits).unwrap_or_default()
    };
    match by {
        NamedBy::Exact => ("exact", format!("\"{host}\" is one of its names")),
        NamedBy::Leading(len) => {
            let name = named(true, len);
            ("leading_wildcard", format!("\"{host}\" fits \"*{name}\", and no name is it exactly"))
        }
        NamedBy::Trailing(len) => {
            let name = named(false, len);
            ("trailing_wildcard", format!("\"{host}\" fits \"{name}*\", and nothing goes before that"))
        }
        NamedBy::Regex(regex) => {
            ("regex", format!("\"{host}\" fits \"~{}\", the first regex that does", names.regex(regex)))
        }
        NamedBy::Default if entry.is_some_and(|e| e.names.is_empty()) => {
            ("default", "the only server of the socket".to_owned())
        }
        NamedBy::Default if host.is_empty() => {
            ("default", "the request names no host; it is the default server of the socket".to_owned())
        }
        NamedBy::Default => {
            ("default", format!("no server of the socket is named \"{host}\"; it is the default one"))
        }
    }
}
