//! The one reader of conditions: what each asks, as alternatives of tests that all hold.

use std::collections::BTreeMap;

use super::super::model::Line as Out;
use super::Cx;
use super::ask::{self, Ask, Context, Loss};
use super::matches::Match;
use super::proxy::Proxy;

/// A test and what it must be.
type Literal = (usize, bool);

/// One of these, each of them whole.
pub(super) type Any = Vec<Vec<Literal>>;

/// More alternatives than this are not written out.
const MOST: usize = 64;

/// All of these at once, as names and locations can tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) host: Option<Match>,
    pub(super) path: Option<Match>,
    /// Over TLS, or not.
    pub(super) tls: Option<bool>,
}

/// The conditions of a section.
pub(super) struct Conditions<'a> {
    /// What the names of its maps begin with.
    prefix: String,
    context: Context,
    acls: BTreeMap<&'a str, Vec<&'a [String]>>,
    tests: Vec<Ask>,
    maps: Vec<Out>,
}

/// A condition that is always true.
pub(super) fn always() -> Any {
    vec![Vec::new()]
}

impl<'a> Conditions<'a> {
    pub(super) fn new(cx: &mut Cx, proxy: &Proxy<'a>) -> Self {
        let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let stem: String = proxy.section.name.chars().map(fit).collect();
        let prefix = cx.variables.make(&stem);
        let mut acls: BTreeMap<&str, Vec<&[String]>> = BTreeMap::new();
        for line in proxy.all().filter(|l| l.word(0) == "acl") {
            acls.entry(line.word(1)).or_default().push(line.from(2));
        }
        let context = Context::new(cx, proxy);
        Self { prefix, context, acls, tests: Vec::new(), maps: Vec::new() }
    }

    /// The condition from `if` or `unless` on; always true without. What cannot be asked is a test of its own kind.
    pub(super) fn read(&mut self, words: &[String]) -> Any {
        let Some((first, rest)) = words.split_first() else { return always() };
        let any = self.alternatives(rest).and_then(|any| match first.as_str() {
            "if" => Ok(any),
            "unless" => not(&any),
            _ => Err("\"if\" or \"unless\" is expected"),
        });
        any.unwrap_or_else(|why| self.unknown(why, Loss::Who, rest.join(" ")))
    }

    fn alternatives(&mut self, words: &[String]) -> Result<Any, &'static str> {
        let mut out = Vec::new();
        let mut all = always();
        let mut words = words.iter();
        let mut empty = true;
        while let Some(word) = words.next() {
            if word == "||" || word.eq_ignore_ascii_case("or") {
                out.append(&mut all);
                all = always();
                empty = true;
                continue;
            }
            empty = false;
            let (negated, word) = match word.strip_prefix('!') {
                Some("") => (true, words.next().ok_or("a condition is missing after \"!\"")?.as_str()),
                Some(name) => (true, name),
                None => (false, word.as_str()),
            };
            let mut one = if word == "{" {
                let inside: Vec<String> = words.by_ref().take_while(|w| *w != "}").cloned().collect();
                self.test(&inside)
            } else {
                self.named(word)
            };
            if negated {
                one = not(&one)?;
            }
            all = both(&all, &one)?;
        }
        if empty {
            return Err("a condition is missing");
        }
        out.append(&mut all);
        if out.len() > MOST { Err("too many alternatives") } else { Ok(out) }
    }

    fn named(&mut self, name: &str) -> Any {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        // A section may give these names another meaning.
        let Some(tests) = self.acls.get(name).cloned() else {
            return match name {
                "TRUE" | "HTTP" | "WAIT_END" | "REQ_CONTENT" => always(),
                "FALSE" => Vec::new(),
                _ => match ask::predefined(name) {
                    Some(known) => self.test(&words(known)),
                    None => self.unknown("no \"acl\" has this name", Loss::What, name.to_owned()),
                },
            };
        };
        let mut out = Vec::new();
        for test in tests {
            out.extend(self.test(test));
        }
        out
    }

    /// `SAMPLE [FLAGS] VALUE…`
    pub(super) fn test(&mut self, words: &[String]) -> Any {
        let asks = ask::read(&self.context, words);
        asks.into_iter()
            .filter_map(|ask| match ask {
                Ask::Always => Some(Vec::new()),
                Ask::Never => None,
                ask => Some(vec![(self.place(ask), true)]),
            })
            .collect()
    }

    fn unknown(&mut self, why: &'static str, loss: Loss, text: String) -> Any {
        vec![vec![(self.place(Ask::Unknown { why, loss, text }), true)]]
    }

    fn place(&mut self, ask: Ask) -> usize {
        match self.tests.iter().position(|t| *t == ask) {
            Some(at) => at,
            None => {
                self.tests.push(ask);
                self.tests.len() - 1
            }
        }
    }

    fn ask(&self, at: usize) -> &Ask {
        self.tests.get(at).unwrap_or(&Ask::Never)
    }

    /// Why a condition cannot be asked, and the worst of what is lost with it.
    pub(super) fn lost(&self, any: &Any) -> Option<(&'static str, Loss)> {
        let unknown = |(at, _): &Literal| match self.ask(*at) {
            Ask::Unknown { why, loss, .. } => Some((*why, *loss)),
            _ => None,
        };
        any.iter().flatten().filter_map(unknown).max_by_key(|(_, loss)| *loss)
    }

    /// The condition with all that cannot be asked taken for true: it holds at least where it held.
    pub(super) fn over(&self, any: &Any) -> Any {
        let known = |(at, _): &&Literal| !matches!(self.ask(*at), Ask::Unknown { .. });
        any.iter().map(|all| all.iter().filter(known).copied().collect()).collect()
    }

    /// The alternatives of which everything can be asked: they hold at most where the condition held.
    pub(super) fn under(&self, any: &Any) -> Any {
        let known = |(at, _): &Literal| !matches!(self.ask(*at), Ask::Unknown { .. });
        any.iter().filter(|all| all.iter().all(known)).cloned().collect()
    }

    /// The condition as names and locations tell it, where they can.
    pub(super) fn native(&self, any: &Any) -> Option<Vec<Term>> {
        let mut out = Vec::new();
        for all in any {
            let mut terms = vec![Term::default()];
            for (at, yes) in all {
                let more: Vec<Term> = match (self.ask(*at), yes) {
                    (Ask::Tls, yes) => vec![Term { tls: Some(*yes), ..Term::default() }],
                    (Ask::Host { any, .. }, true) => {
                        any.iter().map(|m| Term { host: Some(m.clone()), ..Term::default() }).collect()
                    }
                    (Ask::Path(any), true) => {
                        any.iter().map(|m| Term { path: Some(m.clone()), ..Term::default() }).collect()
                    }
                    _ => return None,
                };
                terms = joined(&terms, &more)?;
            }
            out.extend(terms);
        }
        (out.len() <= 4 * MOST).then_some(out)
    }

    /// A map that says which of the rules is the first that fits: its value, `default` otherwise. The answer is the
    /// variable's name.
    pub(super) fn choose(&mut self, name: &str, rules: &[(Any, String)], default: &str) -> String {
        let mut used: Vec<usize> =
            rules.iter().flat_map(|(any, _)| any.iter().flatten().map(|(at, _)| *at)).collect();
        used.sort_unstable();
        used.dedup();
        let mut key = String::new();
        used.iter().for_each(|i| key.push_str(&format!("${{{}_t{i}}}", self.prefix)));
        let mut inside = Vec::new();
        for (any, value) in rules {
            for all in any {
                let mut pattern = vec!['.'; used.len()];
                let mut never = false;
                for (at, yes) in all {
                    let wanted = if *yes { '1' } else { '0' };
                    let place = used.iter().position(|u| u == at).and_then(|p| pattern.get_mut(p));
                    if let Some(place) = place {
                        never |= *place != '.' && *place != wanted;
                        *place = wanted;
                    }
                }
                if !never {
                    let text: String = pattern.into_iter().collect();
                    inside.push(Out::new(None, [format!("~^{}", text.trim_end_matches('.')), value.clone()]));
                }
            }
        }
        inside.push(Out::new(None, ["default", default]));
        if key.is_empty() {
            key.push('-');
        }
        let variable = self.variable(name);
        self.maps.push(Out::block(None, ["map".to_owned(), key, variable.clone()], inside));
        variable
    }

    /// The maps that were asked for, behind those of the tests that they ask.
    pub(super) fn finish(self, cx: &mut Cx) {
        let asked = |i: &usize| {
            let name = format!("${{{}_t{i}}}", self.prefix);
            self.maps.iter().any(|m| m.words.get(1).is_some_and(|key| key.contains(&name)))
        };
        let mut out = Vec::new();
        for (i, ask) in self.tests.iter().enumerate().filter(|(i, _)| asked(i)) {
            let (subject, keys) = ask.keys();
            if subject == ask::RAW_PATH && !cx.model.http.iter().chain(&out).any(is_raw_path) {
                out.insert(0, raw_path());
            }
            let mut inside: Vec<Out> = keys.iter().map(|k| Out::new(None, [k.as_str(), "1"])).collect();
            inside.push(Out::new(None, ["default", "0"]));
            out.push(Out::block(None, ["map".to_owned(), subject, format!("${}_t{i}", self.prefix)], inside));
        }
        cx.model.http.extend(out);
        cx.model.http.extend(self.maps);
    }

    pub(super) fn variable(&self, name: &str) -> String {
        format!("${}_{name}", self.prefix)
    }

    /// The name of a location of its own.
    pub(super) fn place_named(&self, name: &str) -> String {
        format!("@{}_{name}", self.prefix)
    }

    /// More maps of the section, behind the others.
    pub(super) fn push(&mut self, map: Out) {
        self.maps.push(map);
    }
}

fn is_raw_path(line: &Out) -> bool {
    line.words.get(2).is_some_and(|w| w == ask::RAW_PATH)
}

/// The path as it came: escapes stay, the query does not.
fn raw_path() -> Out {
    let value = ask::RAW_PATH.to_owned() + "_";
    let key = format!("~^(?<{}>[^?]*)", value.trim_start_matches('$'));
    Out::block(None, ["map", "$request_uri", ask::RAW_PATH], vec![Out::new(None, [key, value])])
}

fn joined(left: &[Term], right: &[Term]) -> Option<Vec<Term>> {
    let mut out = Vec::new();
    for a in left {
        for b in right {
            if a.tls.is_some() && b.tls.is_some() && a.tls != b.tls {
                continue;
            }
            if (a.host.is_some() && b.host.is_some() && a.host != b.host)
                || (a.path.is_some() && b.path.is_some() && a.path != b.path)
            {
                return None;
            }
            out.push(Term {
                host: a.host.clone().or(b.host.clone()),
                path: a.path.clone().or(b.path.clone()),
                tls: a.tls.or(b.tls),
            });
        }
    }
    (out.len() <= 4 * MOST).then_some(out)
}

pub(super) fn not(any: &Any) -> Result<Any, &'static str> {
    let mut out: Any = always();
    for all in any {
        let one: Any = all.iter().map(|(at, yes)| vec![(*at, !yes)]).collect();
        out = both(&out, &one)?;
    }
    Ok(out)
}

fn both(left: &Any, right: &Any) -> Result<Any, &'static str> {
    let mut out: Any = Vec::new();
    for a in left {
        for b in right {
            // What must be and must not be is nowhere.
            if b.iter().any(|(at, yes)| a.contains(&(*at, !yes))) {
                continue;
            }
            let mut all = a.clone();
            all.extend(b.iter().filter(|l| !a.contains(l)));
            if !out.contains(&all) {
                out.push(all);
            }
            if out.len() > MOST {
                return Err("too many alternatives");
            }
        }
    }
    Ok(out)
}
