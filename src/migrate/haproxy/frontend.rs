//! Binds, and the rules that choose a backend, redirect or refuse: servers and their locations.

use super::super::model::{Line as Out, Location, Server};
use super::changes::Changes;
use super::condition::{Conditions, Term};
use super::matches::{Kind, Match};
use super::proxy::Proxy;
use super::read::Line;
use super::rules::{self, Rule};
use super::{Cx, binds, http, logs, mapped, stats};

/// A rule where names and locations can tell.
struct Native<'r, 'a> {
    line: &'a Line,
    when: Vec<Term>,
    then: &'r [Out],
}

/// An alternative of a rule.
type Choice<'r, 'a> = (&'r Native<'r, 'a>, &'r Term);

pub(super) fn convert(cx: &mut Cx, proxy: &Proxy<'_>) {
    let groups = binds::groups(cx, proxy);
    let mut conditions = Conditions::new(cx, proxy);
    let changes = match proxy.section.kind.as_str() {
        "frontend" => {
            let mut changes = Changes::read(cx, proxy, &mut conditions);
            changes.forward(http::forwardfor(cx, proxy));
            changes
        }
        _ => Changes::default(),
    };
    let mut stages = rules::read(cx, proxy, &mut conditions, true);
    let page = stats::rule(cx, proxy, &mut conditions);
    // After the rules of requests, before redirects.
    if let Some(stage) = stages.get_mut(4) {
        stage.extend(page);
    }
    if let Some(line) = proxy.last("monitor-uri").filter(|l| l.word(1).starts_with('/')) {
        cx.account.exact(line, "");
        let when = conditions.test(&["path".to_owned(), line.word(1).to_owned()]);
        let then = Some(vec![Out::new(Some(line.place), ["return", "200"])]);
        stages.insert(0, vec![Rule { line, when, then }]);
    }
    acl_lines(cx, proxy, &mut conditions);
    let last = fallback(cx, proxy);
    http::options(cx, proxy);
    let mut lines = Vec::new();
    http::client(cx, proxy, &mut lines);
    logs::lines(cx, proxy, &mut lines);
    http::compression(cx, proxy, &mut lines);
    http::error_places(cx, proxy, &mut lines);
    let last = changes.on(&last, false);
    match native(&conditions, &stages) {
        None if groups.is_empty() => {}
        None => mapped::servers(cx, proxy, groups, (&mut conditions, &stages), &changes, &last, &lines),
        Some(mut rules) => {
            let then: Vec<Vec<Out>> = rules.iter().map(|r| changes.on(r.then, false)).collect();
            rules.iter_mut().zip(&then).for_each(|(rule, then)| rule.then = then);
            for group in groups {
                let lines = [lines.clone(), group.lines].concat();
                servers(cx, proxy, &group.listens, &rules, &last, &lines, group.tls);
            }
        }
    }
    conditions.finish(cx);
}

/// The words from `if` or `unless` on.
pub(super) fn condition(line: &Line) -> &[String] {
    let at = line.words.iter().position(|w| matches!(w.as_str(), "if" | "unless"));
    line.from(at.unwrap_or(line.words.len()))
}

/// The rules where names and locations tell all of them.
fn native<'r, 'a>(conditions: &Conditions<'_>, stages: &'r [Vec<Rule<'a>>]) -> Option<Vec<Native<'r, 'a>>> {
    let one = |r: &'r Rule<'a>| {
        Some(Native { line: r.line, when: conditions.native(&r.when)?, then: r.then.as_deref()? })
    };
    stages.iter().flatten().map(one).collect()
}

/// What becomes of the `acl` lines.
pub(super) fn acl_lines<'a>(cx: &Cx, proxy: &Proxy<'a>, conditions: &mut Conditions<'a>) {
    for line in proxy.all().filter(|l| l.word(0) == "acl") {
        let any = conditions.test(line.from(2));
        let name = line.word(1);
        let asks = |l: &Line| condition(l).iter().any(|w| w.trim_start_matches('!') == name);
        match conditions.lost(&any) {
            None => cx.account.exact(line, ""),
            Some(_) if !proxy.own().any(asks) => cx.account.exact(line, "no rule asks it"),
            Some((why, _)) => cx.account.dropped(line, why),
        }
    }
}

/// Where a request goes that no rule takes.
fn fallback(cx: &Cx, proxy: &Proxy<'_>) -> Vec<Out> {
    if let Some(line) = proxy.last("default_backend") {
        if let Some(lines) = cx.backends.get(line.word(1)) {
            cx.account.exact(line, "");
            return lines.clone();
        }
        cx.account.dropped(line, "there is no such backend here: 503");
    } else if let Some(lines) =
        cx.backends.get(&proxy.section.name).filter(|_| proxy.section.kind == "listen")
    {
        return lines.clone();
    }
    vec![Out::new(None, ["return", "503"])]
}

fn servers(
    cx: &mut Cx,
    proxy: &Proxy<'_>,
    listens: &[Out],
    rules: &[Native<'_, '_>],
    last: &[Out],
    lines: &[Out],
    tls: bool,
) {
    let terms: Vec<Choice<'_, '_>> = rules
        .iter()
        .flat_map(|r| r.when.iter().map(move |t| (r, t)))
        .filter(|(_, t)| t.tls.is_none_or(|on| on == tls))
        .collect();
    let mut hosts: Vec<&Match> = Vec::new();
    for host in terms.iter().filter_map(|(_, t)| t.host.as_ref()) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    // What each host is led to, those that are led alike together.
    let mut groups: Vec<(Vec<String>, Vec<Choice<'_, '_>>)> = Vec::new();
    for host in &hosts {
        let fits = |other: &Match| {
            *host == other || (host.kind == Kind::Exact && other.takes(&host.value).unwrap_or(false))
        };
        let mine: Vec<_> = terms.iter().filter(|(_, t)| t.host.as_ref().is_none_or(fits)).copied().collect();
        let Some(name) = server_name(host) else {
            for (rule, _) in terms.iter().filter(|(_, t)| t.host.as_ref() == Some(host)) {
                cx.account.dropped(rule.line, &format!("\"{}\" cannot be a server's name", host.value));
            }
            continue;
        };
        let others = hosts.iter().filter(|h| h.kind != Kind::Exact).count();
        if host.kind != Kind::Exact && others > 1 {
            for (rule, _) in terms.iter().filter(|(_, t)| t.host.as_ref() == Some(host)) {
                cx.account.approximated(
                    rule.line,
                    "a host that several such conditions take is led by one of them",
                );
            }
        }
        let same = |a: &[Choice<'_, '_>]| {
            a.len() == mine.len()
                && a.iter().zip(&mine).all(|(x, y)| std::ptr::eq(x.0, y.0) && x.1.path == y.1.path)
        };
        match groups.iter_mut().find(|(_, m)| host.kind == Kind::Exact && same(m)) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], mine)),
        }
    }
    let free: Vec<_> = terms.iter().filter(|(_, t)| t.host.is_none()).copied().collect();
    let named = !groups.is_empty();
    for (names, mine) in std::iter::once((Vec::new(), free)).chain(groups) {
        let default = named && names.is_empty();
        let listens = listens.iter().cloned().map(|mut l| {
            if default {
                l.words.push("default_server".to_owned());
            }
            l
        });
        let server = Server {
            cite: proxy.section.head.as_ref().map(|h| h.place),
            listens: listens.collect(),
            names: if default { vec!["_".to_owned()] } else { names },
            lines: lines.to_vec(),
            locations: locations(cx, &mine, last),
        };
        cx.model.servers.push(server);
    }
}

fn server_name(host: &Match) -> Option<String> {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let simple = host.value.chars().all(fit);
    match host.kind {
        Kind::Exact => simple.then(|| host.value.clone()),
        Kind::Ends if simple && host.value.starts_with('.') && host.value.len() > 1 => {
            Some(format!("*{}", host.value))
        }
        Kind::Regex if host.value.contains(char::is_whitespace) => None,
        _ => Some(format!("~{}", host.regex())),
    }
}

/// The first rule that fits holds: prefixes where the longest is the first anyway, otherwise regular expressions.
fn locations(cx: &Cx, terms: &[Choice<'_, '_>], last: &[Out]) -> Vec<Location> {
    let mut kept: Vec<(&Match, &Native<'_, '_>)> = Vec::new();
    let mut end = None;
    for (rule, term) in terms {
        let Some(path) = &term.path else {
            end = Some(*rule);
            break;
        };
        if path.kind == Kind::Begins && path.value == "/" {
            end = Some(*rule);
            break;
        }
        let taken = |(m, _): &(&Match, &Native<'_, '_>)| {
            *m == path
                || (m.kind == Kind::Begins
                    && m.nocase == path.nocase
                    && matches!(path.kind, Kind::Begins | Kind::Exact)
                    && path.value.starts_with(&m.value))
        };
        let rooted = path.value.starts_with('/') || !matches!(path.kind, Kind::Begins | Kind::Exact);
        if kept.iter().any(taken) || !rooted {
            continue;
        }
        if path.kind != Kind::Exact {
            cx.account
                .approximated(rule.line, "the path is compared after its escapes and dots are resolved");
        }
        kept.push((path, rule));
    }
    let native = kept.iter().all(|(m, _)| matches!(m.kind, Kind::Exact | Kind::Begins) && !m.nocase);
    let mut out: Vec<Location> = kept
        .iter()
        .map(|(m, rule)| {
            let modifier = match (native, m.kind, m.nocase) {
                (true, Kind::Exact, _) => "=",
                (true, ..) => "",
                (false, _, true) => "~*",
                (false, ..) => "~",
            };
            let path = if native { m.value.clone() } else { m.regex() };
            Location { cite: Some(rule.line.place), modifier, path, lines: rule.then.to_vec() }
        })
        .collect();
    let (cite, lines) = end.map_or((None, last), |r| (Some(r.line.place), r.then));
    out.push(Location { cite, modifier: "", path: "/".to_owned(), lines: lines.to_vec() });
    out
}
