//! Rules that change a request or an answer on its way: headers, the path, the method.

use super::super::model::Line as Out;
use super::ask::Loss;
use super::condition::Conditions;
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, frontend, values};

/// What the rules of a section add to the places that lead to servers.
#[derive(Default)]
pub(super) struct Changes {
    headers: Vec<Out>,
    /// Before the rest: they are carried out in their order.
    uris: Vec<Out>,
}

const STEPS: [&str; 12] = [
    "set-header",
    "add-header",
    "del-header",
    "replace-header",
    "replace-value",
    "set-path",
    "set-pathq",
    "set-query",
    "set-uri",
    "replace-path",
    "replace-uri",
    "set-method",
];

/// Whether a line changes something rather than answers.
pub(super) fn is(line: &Line) -> bool {
    matches!(line.word(0), "http-request" | "http-response" | "http-after-response")
        && (STEPS.contains(&line.word(1)) || line.word(1) == "replace-pathq")
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// A header's rule: of the request or of the answer, what is done, the name and the text.
struct Field {
    request: bool,
    action: &'static str,
    name: String,
    value: Option<String>,
}

impl Field {
    fn read(line: &Line) -> Option<Self> {
        let request = line.word(0) == "http-request";
        let action = match line.word(1) {
            "set-header" => "set",
            "add-header" => "add",
            "del-header" => "del",
            "replace-header" => "replace",
            _ => return Self::older(line),
        };
        let value = match action {
            "del" => Some(String::new()),
            "replace" => None,
            _ => values::format(line.word(3)).filter(|v| !v.is_empty()),
        };
        Some(Self { request, action, name: line.word(2).to_owned(), value })
    }

    /// `reqadd NAME:\ VALUE`, `rspidel ^NAME:.*`, as they were written before HAProxy 2.1.
    fn older(line: &Line) -> Option<Self> {
        let (request, action) = match line.word(0) {
            "reqadd" => (true, "add"),
            "rspadd" => (false, "add"),
            "reqdel" | "reqidel" => (true, "del"),
            "rspdel" | "rspidel" => (false, "del"),
            _ => return None,
        };
        let (name, value) = line.word(1).split_once(':').unwrap_or((line.word(1), ""));
        let name = name.trim_start_matches('^').replace("\\-", "-");
        let value = if action == "del" { Some(String::new()) } else { values::format(value.trim()) };
        Some(Self { request, action, name, value: value.filter(|v| action == "del" || !v.is_empty()) })
    }
}

impl Changes {
    pub(super) fn read<'a>(cx: &mut Cx, proxy: &Proxy<'a>, conditions: &mut Conditions<'a>) -> Self {
        let mut out = Self::default();
        for line in proxy.all() {
            let (name, value) = match (line.word(0), line.word(1)) {
                ("unique-id-header", name) => (name, "$request_id"),
                ("option", "originalto") => ("X-Original-To", "$server_addr"),
                _ => continue,
            };
            if is_name(name) && line.words.len() <= 2 {
                out.headers.push(Out::new(Some(line.place), ["proxy_set_header", name, value]));
                cx.account.exact(line, "");
            } else {
                cx.account.dropped(line, "this is no header's name, or it has parameters");
            }
        }
        for (i, line) in proxy.own().enumerate() {
            if let Some(field) = Field::read(line) {
                out.field(cx, conditions, line, &field, i);
            } else if matches!(line.word(0), "reqrep" | "reqirep") {
                out.older_path(cx, line);
            } else if is(line) {
                out.path(cx, conditions, line, i);
            }
        }
        if !out.uris.is_empty() {
            // The rewritten path goes to the server, not to another location.
            out.uris.push(Out::new(None, ["break"]));
        }
        out
    }

    fn field<'a>(
        &mut self,
        cx: &mut Cx,
        conditions: &mut Conditions<'a>,
        line: &'a Line,
        field: &Field,
        i: usize,
    ) {
        let cite = Some(line.place);
        let name = field.name.as_str();
        if !is_name(name) {
            return cx.account.dropped(line, "this is no header's name");
        }
        if line.words.iter().any(|w| w == "-m") && field.action == "del" {
            return cx.account.dropped(line, "headers by a part of their name: write them out");
        }
        let stem = name.to_ascii_lowercase().replace('-', "_");
        let word = if field.request { "proxy_set_header" } else { "add_header" };
        // What an earlier rule made of it, otherwise what came.
        let earlier = self.headers.iter().position(|l| {
            let is = |i: usize, w: &str| l.words.get(i).is_some_and(|x| x.eq_ignore_ascii_case(w));
            is(0, word) && is(1, name)
        });
        let before = earlier.and_then(|at| self.headers.get(at)?.words.get(2).cloned());
        if !field.request && name.eq_ignore_ascii_case("server") && field.action != "add" {
            cx.account.approximated(line, "tenrec's own name stands in its place; see \"server_tokens\"");
            return self.headers.push(Out::new(cite, ["proxy_hide_header", "Server"]));
        }
        let came = if field.request { format!("$http_{stem}") } else { format!("$upstream_http_{stem}") };
        let own = before.unwrap_or(came);
        let words = frontend::condition(line);
        let any = conditions.read(words);
        let lost = conditions.lost(&any);
        let step = format!("value{i}");
        let value = match (field.action, &field.value) {
            ("replace", _) => match self.replaced(line, &own, &stem, i, conditions) {
                Some(value) => Some(value),
                None => return cx.account.dropped(line, "this regular expression cannot be written"),
            },
            (_, value) => value.clone(),
        };
        let Some(value) = value else {
            if field.request && field.action == "set" {
                // The client's own text would pass for ours.
                let note = "dropped, closed instead: no variable has this; the header is taken off, so that no client's own \
                            is believed";
                cx.account.dropped(line, note);
                self.put(earlier, Out::new(cite, [word, name, ""]));
            } else {
                cx.account.dropped(line, "no variable has this");
            }
            return;
        };
        let conditional = !words.is_empty();
        let value = match (field.action, field.request) {
            ("add", true) => {
                cx.account
                    .approximated(line, "added to the line of the header that came, not as a second one");
                let variable = conditions.variable(&format!("added{i}"));
                let inside = vec![
                    Out::new(None, ["".to_owned(), value.clone()]),
                    Out::new(None, ["default".to_owned(), format!("{}, {value}", braced(&own))]),
                ];
                let map = vec!["map".to_owned(), own.clone(), variable.clone()];
                conditions.push(Out::block(cite, map, inside));
                variable
            }
            _ => value,
        };
        let value = if conditional {
            let add = field.action == "add" && !field.request;
            let otherwise = if add { String::new() } else { own };
            match lost {
                None => {
                    cx.account.exact(line, "");
                    conditions.choose(&step, &[(any, value)], &otherwise)
                }
                Some((why, loss)) if loss == Loss::Load || !field.request => {
                    return cx.account.dropped(line, why);
                }
                Some((why, _)) => {
                    let note = format!(
                        "dropped, closed instead: {why}; the header is taken off wherever the rule may hold"
                    );
                    cx.account.dropped(line, &note);
                    let (under, over) = (conditions.under(&any), conditions.over(&any));
                    conditions.choose(&step, &[(under, value), (over, String::new())], &otherwise)
                }
            }
        } else {
            cx.account.exact(line, "");
            value
        };
        match (field.request, field.action) {
            (true, _) => self.put(earlier, Out::new(cite, [word, name, &value])),
            (false, "del") if !conditional => self.headers.push(Out::new(cite, ["proxy_hide_header", name])),
            (false, "add") => self.headers.push(Out::new(cite, [word, name, &value, "always"])),
            (false, _) => {
                if earlier.is_none() {
                    self.headers.push(Out::new(cite, ["proxy_hide_header", name]));
                }
                self.put(earlier, Out::new(cite, [word, name, &value, "always"]));
            }
        }
    }

    /// `option forwardfor` comes after the rules: it adds the address to what they made of the header.
    pub(super) fn forward(&mut self, line: Option<Out>) {
        let Some(line) = line else { return };
        let name = line.words.get(1);
        let same = |l: &&mut Out| {
            l.words.first() == line.words.first()
                && l.words.get(1).zip(name).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        };
        match self.headers.iter_mut().find(same).and_then(|l| l.words.get_mut(2)) {
            Some(value) if value.is_empty() => "$remote_addr".clone_into(value),
            Some(value) => value.push_str(", $remote_addr"),
            None => self.headers.push(line),
        }
    }

    fn put(&mut self, earlier: Option<usize>, line: Out) {
        match earlier.and_then(|at| self.headers.get_mut(at)) {
            Some(old) => *old = line,
            None => self.headers.push(line),
        }
    }

    /// `replace-header NAME REGEX FORMAT`: a map of what came.
    fn replaced(
        &self,
        line: &Line,
        own: &str,
        stem: &str,
        i: usize,
        conditions: &mut Conditions<'_>,
    ) -> Option<String> {
        let regex = line.word(3);
        if regex.is_empty() || line.word(4).contains('%') || regex.contains("(?<") {
            return None;
        }
        let variable = conditions.variable(&format!("replaced{i}_{stem}"));
        let inside = vec![
            Out::new(Some(line.place), [format!("~{regex}"), references(line.word(4))?]),
            Out::new(None, ["default", own]),
        ];
        conditions.push(Out::block(Some(line.place), ["map", own, &variable], inside));
        Some(variable)
    }

    fn path<'a>(&mut self, cx: &mut Cx, conditions: &mut Conditions<'a>, line: &'a Line, i: usize) {
        let words = frontend::condition(line);
        let end = line.words.len() - words.len();
        let args: Vec<&str> = line.words.get(2..end).unwrap_or_default().iter().map(String::as_str).collect();
        let step = match (line.word(1), args.as_slice()) {
            _ if line.word(0) != "http-request" => None,
            ("set-path" | "set-pathq", [text]) => set_path(text),
            ("replace-path" | "replace-pathq" | "replace-uri", [regex, text]) => replace_path(regex, text),
            ("set-query", [text]) => {
                values::format(text).map(|v| Out::new(Some(line.place), ["set", "$args", &v]))
            }
            ("set-method", [text]) => {
                if let Some(v) = values::format(text).filter(|_| words.is_empty()) {
                    cx.account.exact(line, "");
                    return self.headers.push(Out::new(Some(line.place), ["proxy_method", &v]));
                }
                None
            }
            _ => None,
        };
        let Some(mut step) = step else {
            return cx.account.dropped(line, "no counterpart: say it with \"rewrite\"");
        };
        step.cite = Some(line.place);
        let any = conditions.read(words);
        if let Some((why, _)) = conditions.lost(&any) {
            return cx.account.dropped(line, why);
        }
        cx.account.approximated(line, "after the rules that answer, on the path whose escapes are resolved");
        if words.is_empty() {
            return self.uris.push(step);
        }
        let variable = conditions.choose(&format!("uri{i}"), &[(any, "1".to_owned())], "0");
        let head = ["if".to_owned(), format!("({variable}"), "=".to_owned(), "1)".to_owned()];
        self.uris.push(Out::block(Some(line.place), head, vec![step]));
    }

    /// `reqrep ^([^\ :]*)\ /old(.*) \1\ /new\2`: a rewrite of the request's line.
    fn older_path(&mut self, cx: &Cx, line: &Line) {
        const HEADS: [&str; 4] = ["^([^ :]*) ", "^([^ ]*) ", "^([^ :]+) ", "^([^ ]+) "];
        // The line of a header, written anew.
        if let (Some((name, rest)), Some((new, value))) =
            (line.word(1).split_once(':'), line.word(2).split_once(':'))
        {
            let name = name.trim_start_matches('^');
            let value = values::format(value.trim()).filter(|v| !v.is_empty() && !v.contains('\\'));
            if let Some(value) = value.filter(|_| {
                is_name(name)
                    && name.eq_ignore_ascii_case(new)
                    && matches!(rest, "" | ".*" | " .*" | ".*$")
                    && line.words.len() == 3
            }) {
                cx.account.approximated(line, "the header is set, also where none came");
                let at = self.headers.iter().position(|l| {
                    l.words.get(1).is_some_and(|w| w.eq_ignore_ascii_case(new))
                        && l.words.first().is_some_and(|w| w == "proxy_set_header")
                });
                return self.put(at, Out::new(Some(line.place), ["proxy_set_header", new, &value]));
            }
        }
        let regex = HEADS.iter().find_map(|h| line.word(1).strip_prefix(h));
        let target = line.word(2).strip_prefix("\\1 ");
        let step = regex.zip(target).and_then(|(regex, text)| {
            // The first group was the method.
            let lower =
                (1..9).fold(text.to_owned(), |t, n| t.replace(&format!("\\{}", n + 1), &format!("\\{n}")));
            replace_path(&format!("^{regex}"), &lower)
        });
        match step {
            Some(mut step) if line.words.len() == 3 => {
                step.cite = Some(line.place);
                cx.account.approximated(line, "the path, after its escapes are resolved");
                self.uris.push(step);
            }
            _ => cx.account.dropped(line, "no counterpart: say it with \"rewrite\" or \"proxy_set_header\""),
        }
    }

    /// The lines of a location with the changes; what the backend says itself comes later and holds, unless it is `own`.
    pub(super) fn on(&self, lines: &[Out], own: bool) -> Vec<Out> {
        if !lines.iter().any(|l| l.words.first().is_some_and(|w| w == "proxy_pass")) && !own {
            return lines.to_vec();
        }
        let same = |a: &Out, b: &Out| {
            let is = |i: usize| match (a.words.get(i), b.words.get(i)) {
                (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                _ => false,
            };
            is(0) && is(1) && a.words.first().is_some_and(|w| w != "add_header")
        };
        let mut out: Vec<Out> = lines.to_vec();
        for line in &self.headers {
            let hides = line.words.first().is_some_and(|w| w == "proxy_hide_header");
            if hides && !own {
                // Rules of a frontend see the answer after those of the backend.
                let name = line.words.get(1);
                let added = |l: &Out| {
                    let set = l.words.first().is_some_and(|w| w == "add_header");
                    set && l.words.get(1).zip(name).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
                };
                out.retain(|l| !added(l));
            }
            if line.words == ["proxy_hide_header", "Server"] {
                out.retain(|l| l.words != ["proxy_pass_header", "Server"]);
                continue;
            }
            let theirs = lines.iter().find(|l| same(l, line));
            // "option forwardfor" comes after the rules: it adds the address to what they made of the header.
            let added = theirs.filter(|l| l.words.get(2).is_some_and(|w| w == "$proxy_add_x_forwarded_for"));
            if let (Some(_), Some(ours)) = (added, line.words.get(2)) {
                let value = match ours.as_str() {
                    "" => "$remote_addr".to_owned(),
                    text if text.contains("remote_addr") || text.contains("_for") => text.to_owned(),
                    text => format!("{text}, $remote_addr"),
                };
                out.iter_mut()
                    .filter(|l| same(l, line))
                    .filter_map(|l| l.words.get_mut(2))
                    .for_each(|w| *w = value.clone());
                continue;
            }
            // The Host that is passed on by itself gives way.
            let default = theirs.is_some_and(|l| l.cite.is_none());
            if theirs.is_none() || default || own {
                out.retain(|l| !same(l, line) || (l.cite.is_some() && !own));
                let at = out.iter().rposition(|l| l.words.first().is_some_and(|w| w == "proxy_pass"));
                out.insert(at.unwrap_or(out.len()), line.clone());
            }
        }
        if !self.uris.is_empty() {
            // Behind the conditions that answer: nothing is asked after a "break".
            let last =
                out.iter().rposition(|l| l.inside.is_some() && l.words.first().is_some_and(|w| w == "if"));
            let first = out.iter().position(|l| {
                l.words.first().is_some_and(|w| matches!(w.as_str(), "rewrite" | "set" | "break"))
            });
            let at = first.unwrap_or(last.map_or(0, |n| n + 1));
            let mut uris = self.uris.clone();
            if first.is_some() {
                uris.pop();
            }
            out.splice(at..at, uris);
        }
        out
    }
}

/// A variable inside of a longer text.
fn braced(variable: &str) -> String {
    match variable.strip_prefix('$') {
        Some(name) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => format!("${{{name}}}"),
        _ => variable.to_owned(),
    }
}

/// `\1` as nginx writes it.
fn references(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                d if d.is_ascii_digit() => out.push_str(&format!("${d}")),
                other => out.push(other),
            },
            '$' | '\n' | '\r' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

/// `set-path`: a text, or the path with something before or out of it.
fn set_path(text: &str) -> Option<Out> {
    if let Some((before, inside)) = text.strip_suffix(")]").and_then(|t| t.split_once("%[path,regsub(")) {
        let parts: Vec<&str> = inside.splitn(3, ',').collect();
        let regex = parts.first()?.trim_matches(['"', '\'']);
        let new = references(parts.get(1).copied().unwrap_or_default().trim_matches(['"', '\'']))?;
        let rest = regex.strip_prefix('^').filter(|r| !r.contains(['(', '|']) && before.is_empty())?;
        return Some(Out::new(None, ["rewrite".to_owned(), format!("^{rest}(.*)$"), format!("{new}$1")]));
    }
    let text = text.replace("%[pathq]", "%[path]").replace("%[path]%[query]", "%[path]");
    let value = values::format(&text)?;
    value.starts_with(['/', '$']).then(|| Out::new(None, ["rewrite", "^", &value]))
}

fn replace_path(regex: &str, text: &str) -> Option<Out> {
    let text = references(&text.replace("%[path]", "\\0"))?;
    let fits = text.starts_with(['/', '$'])
        && !text.contains(['%', '?'])
        && !regex.is_empty()
        && !regex.contains("\\?");
    fits.then(|| Out::new(None, ["rewrite", regex, &text]))
}
