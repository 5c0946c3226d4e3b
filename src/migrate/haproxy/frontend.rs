//! Binds, and the rules that choose a backend, redirect or refuse: servers and their locations.

use super::super::model::{Line as Out, Location, Server};
use super::acl::{Acls, Kind, Match, Term};
use super::dispatch::Dispatch;
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, http, mapped, values};

/// A rule: when, and what then.
struct Rule<'a> {
    line: &'a Line,
    when: Vec<Term>,
    then: Vec<Out>,
}

/// An alternative of a rule.
type Choice<'r, 'a> = (&'r Rule<'a>, &'r Term);

pub(super) fn convert(cx: &mut Cx, proxy: &Proxy<'_>) {
    let (plain, tls) = binds(cx, proxy);
    if proxy.section.kind == "frontend" {
        forwardfor(cx, proxy);
    }
    let acls = Acls::read(proxy);
    let general = needs_maps(proxy, &acls);
    acl_lines(cx, proxy, general);
    let headers = http::Headers::read(cx, proxy);
    let rules = if general { Vec::new() } else { rules(cx, proxy, &acls) };
    let last = fallback(cx, proxy);
    http::options(cx, proxy);
    let mut lines = Vec::new();
    http::client(cx, proxy, &mut lines);
    if proxy.section.kind == "frontend" {
        http::location(cx, proxy, &mut Vec::new());
    }
    let last = headers.on(&last);
    let rules: Vec<Rule<'_>> = rules.into_iter().map(|r| Rule { then: headers.on(&r.then), ..r }).collect();
    if general {
        let listens: Vec<Out> = plain.into_iter().chain(tls.into_iter().filter(|_| cx.can.ssl)).collect();
        if !listens.is_empty() {
            mapped::server(cx, proxy, listens, &headers, &last, lines);
        }
        return;
    }
    if !plain.is_empty() {
        servers(cx, proxy, &plain, &rules, &last, &lines, false);
    }
    if !tls.is_empty() && cx.can.ssl {
        servers(cx, proxy, &tls, &rules, &last, &lines, true);
    }
}

/// The stages of the rules that answer or choose, in HAProxy's order.
pub(super) const STAGES: [&str; 3] = ["http-request", "redirect", "use_backend"];

/// Whether a line chooses by a condition; those that change headers are others.
pub(super) fn chooses(line: &Line) -> bool {
    STAGES.contains(&line.word(0)) && !(line.word(0) == "http-request" && line.word(1).ends_with("-header"))
}

/// The words from `if` or `unless` on.
pub(super) fn condition(line: &Line) -> &[String] {
    let at = line.words.iter().position(|w| matches!(w.as_str(), "if" | "unless"));
    line.from(at.unwrap_or(line.words.len()))
}

/// Whether a condition asks what names and locations do not tell, and maps do.
fn needs_maps(proxy: &Proxy<'_>, acls: &Acls<'_>) -> bool {
    let mut dispatch = Dispatch::new(proxy, "probe");
    let mut needs =
        |l: &&Line| acls.condition(condition(l)).is_err() && dispatch.condition(condition(l)).is_ok();
    proxy.own().filter(|l| chooses(l)).any(|l| needs(&l))
}

/// What becomes of the `acl` lines.
fn acl_lines(cx: &Cx, proxy: &Proxy<'_>, general: bool) {
    let mut dispatch = Dispatch::new(proxy, "probe");
    for line in proxy.all().filter(|l| l.word(0) == "acl") {
        let own = if general { dispatch.test(line.from(2)).map(|_| ()) } else { Acls::check(line) };
        let name = line.word(1);
        let asks = |l: &&Line| condition(l).iter().any(|w| w.trim_start_matches('!') == name);
        match own {
            Ok(()) => cx.account.exact(line, ""),
            Err(_) if !proxy.own().any(|l| asks(&l)) => cx.account.exact(line, "no rule asks it"),
            Err(_) if dispatch.test(line.from(2)).is_ok() => {
                cx.account.exact(line, "in the rules that ask it");
            }
            Err(why) => cx.account.dropped(line, why),
        }
    }
}

/// A frontend's own `option forwardfor` belongs to the backends' locations.
fn forwardfor(cx: &mut Cx, proxy: &Proxy<'_>) {
    let Some(line) = proxy.option("forwardfor") else { return };
    cx.account.approximated(line, "the address is added to the header's line, not as a second line");
    if line.words.len() > 2 {
        cx.account.dropped(line, "parameters count in the backends only");
    }
    for lines in cx.backends.values_mut() {
        let passes = lines.iter().any(|l| l.words.first().is_some_and(|w| w == "proxy_pass"));
        let has =
            lines.iter().any(|l| l.words.get(1).is_some_and(|w| w.eq_ignore_ascii_case("x-forwarded-for")));
        if passes && !has {
            let words = ["proxy_set_header", "X-Forwarded-For", "$proxy_add_x_forwarded_for"];
            lines.insert(0, Out::new(Some(line.place), words));
        }
    }
}

/// The `listen` lines without and with TLS.
fn binds(cx: &Cx, proxy: &Proxy<'_>) -> (Vec<Out>, Vec<Out>) {
    let (mut plain, mut tls) = (Vec::new(), Vec::new());
    // `listen NAME ADDRESS`, as it was written before `bind`.
    let head = proxy.section.head.iter().filter(|h| h.word(2).contains(':')).map(|h| (h, 2));
    for (line, at) in head.chain(proxy.own().filter(|l| l.word(0) == "bind").map(|l| (l, 1))) {
        let Some(addresses) = values::bind(line.word(at)) else {
            cx.account.dropped(line, "this is no address to listen on, or a range of ports");
            continue;
        };
        let words = line.from(at + 1);
        let secure = words.iter().any(|w| w == "ssl");
        cx.account.exact(line, "");
        let mut more = Vec::new();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "ssl" if !cx.can.ssl => cx.account.dropped(line, "needs TLS (listen … ssl)"),
                "ssl" => more.push("ssl"),
                "accept-proxy" => more.push("proxy_protocol"),
                "v4v6" => more.push("ipv6only=off"),
                "v6only" => more.push("ipv6only=on"),
                "transparent" | "defer-accept" | "tfo" | "strict-sni" => {
                    cx.account.dropped(line, &format!("{word}: no counterpart"));
                }
                valued => {
                    let value = rest.next().map_or("", String::as_str);
                    cx.account
                        .dropped(line, &format!("{valued} {value}: say it with \"listen\" or \"ssl_…\""));
                }
            }
        }
        let list = if secure { &mut tls } else { &mut plain };
        for address in addresses {
            let words =
                ["listen".to_owned(), address].into_iter().chain(more.iter().map(|w| (*w).to_owned()));
            list.push(Out::new(Some(line.place), words));
        }
    }
    (plain, tls)
}

/// HAProxy's order: the rules of http-request, then redirects, then backends.
fn rules<'a>(cx: &mut Cx, proxy: &Proxy<'a>, acls: &Acls<'_>) -> Vec<Rule<'a>> {
    let mut out = Vec::new();
    for stage in STAGES {
        for line in proxy.own().filter(|l| l.word(0) == stage) {
            let Some((then, rest)) = action(cx, line) else { continue };
            match acls.condition(rest) {
                Ok(when) => {
                    cx.account.exact(line, "");
                    out.push(Rule { line, when, then });
                }
                Err(why) => cx.account.dropped(line, &lost(line, why)),
            }
        }
    }
    if let Some(line) = proxy.last("monitor-uri").filter(|l| l.word(1).starts_with('/')) {
        cx.account.exact(line, "");
        let path = Match { kind: Kind::Exact, value: line.word(1).to_owned(), nocase: false };
        let when = vec![Term { path: Some(path), ..Term::default() }];
        out.insert(0, Rule { line, when, then: vec![Out::new(Some(line.place), ["return", "200"])] });
    }
    out
}

/// Why a rule is not there, and what that means.
pub(super) fn lost(line: &Line, why: &str) -> String {
    let refuses = matches!(line.word(1), "deny" | "reject" | "tarpit" | "silent-drop" | "auth");
    if refuses { format!("{why}: WHOM IT REFUSED GETS IN") } else { why.to_owned() }
}

/// What a rule does, and its words from the condition on.
pub(super) fn action<'a>(cx: &Cx, line: &'a Line) -> Option<(Vec<Out>, &'a [String])> {
    let start =
        line.words.iter().position(|w| matches!(w.as_str(), "if" | "unless")).unwrap_or(line.words.len());
    let rest = line.from(start);
    let words = line.words.get(..start).unwrap_or_default();
    let word = |i: usize| words.get(i).map_or("", String::as_str);
    let cite = Some(line.place);
    match (word(0), word(1)) {
        ("use_backend", name) => match cx.backends.get(name) {
            Some(lines) => Some((lines.clone(), rest)),
            None => {
                cx.account.dropped(line, "there is no such backend here");
                None
            }
        },
        ("redirect", _) => redirect(cx, line, words.get(1..).unwrap_or_default()).map(|l| (vec![l], rest)),
        ("http-request", "redirect") => {
            redirect(cx, line, words.get(2..).unwrap_or_default()).map(|l| (vec![l], rest))
        }
        ("http-request", "deny") => {
            let code = words.iter().position(|w| w == "deny_status").map_or("403", |i| word(i + 1));
            let known = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()) && code >= "400";
            if !known {
                cx.account.dropped(line, "a status of 400 and above is expected");
                return None;
            }
            Some((vec![Out::new(cite, ["return", code])], rest))
        }
        ("http-request", "tarpit") => {
            cx.account.approximated(line, "answered at once");
            Some((vec![Out::new(cite, ["return", "500"])], rest))
        }
        ("http-request", "reject" | "silent-drop") => Some((vec![Out::new(cite, ["return", "444"])], rest)),
        ("http-request", "auth") => {
            cx.account.dropped(line, "nobody is asked for a password: nobody gets in until you say who may");
            Some((vec![Out::new(cite, ["return", "403"])], rest))
        }
        ("http-request", "return") => {
            let after = |name: &str| words.iter().position(|w| w == name).map(|i| word(i + 1));
            let status = after("status").unwrap_or("200");
            let text = after("string").or_else(|| after("lf-string"));
            let known = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
            let text = text.map_or(Some(String::new()), values::format);
            let Some(text) = text.filter(|_| known) else {
                cx.account.dropped(line, "a status and a text are expected");
                return None;
            };
            if words
                .iter()
                .any(|w| matches!(w.as_str(), "file" | "lf-file" | "errorfile" | "hdr" | "content-type"))
            {
                cx.account
                    .dropped(line, "files, headers and types: say them with \"add_header\" and \"root\"");
            }
            Some((vec![Out::new(cite, ["return", status, &text])], rest))
        }
        ("http-request", word) if word.ends_with("-header") => None,
        _ => {
            cx.account.dropped(line, "no counterpart");
            None
        }
    }
}

fn redirect(cx: &Cx, line: &Line, words: &[String]) -> Option<Out> {
    let mut code = "302";
    let mut target = None;
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "code" => code = rest.next().unwrap_or_default(),
            "scheme" | "prefix" | "location" => {
                let text = values::format(rest.next().unwrap_or_default());
                let Some(text) = text.filter(|t| !t.is_empty()) else {
                    cx.account.dropped(line, "no variable has this");
                    return None;
                };
                target = Some(match word {
                    "scheme" => format!("{text}://$http_host$request_uri"),
                    "prefix" if text == "/" => "$request_uri".to_owned(),
                    "prefix" => format!("{text}$request_uri"),
                    _ => text,
                });
            }
            other => cx.account.dropped(line, &format!("{other}: no counterpart")),
        }
    }
    let Some(target) = target.filter(|_| matches!(code, "301" | "302" | "303" | "307" | "308")) else {
        cx.account.dropped(line, "a target and a status of 301, 302, 303, 307 or 308 are expected");
        return None;
    };
    Some(Out::new(Some(line.place), ["return", code, &target]))
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
    rules: &[Rule<'_>],
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
    let mut kept: Vec<(&Match, &Rule<'_>)> = Vec::new();
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
        let taken = |(m, _): &(&Match, &Rule<'_>)| {
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
            Location { cite: Some(rule.line.place), modifier, path, lines: rule.then.clone() }
        })
        .collect();
    let (cite, lines) = end.map_or((None, last), |r| (Some(r.line.place), &r.then[..]));
    out.push(Location { cite, modifier: "", path: "/".to_owned(), lines: lines.to_vec() });
    out
}
