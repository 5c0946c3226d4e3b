//! The rules that answer, refuse, let through or choose a backend, in HAProxy's order.

use super::super::model::Line as Out;
use super::ask::Loss;
use super::condition::{Any, Conditions, always};
use super::proxy::Proxy;
use super::read::Line;
use super::{Cx, values};

/// What a rule does.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Answer(Vec<Out>),
    /// An answer that keeps somebody out.
    Refuse(Vec<Out>),
    /// To a backend.
    Lead(Vec<Out>),
    /// What is left of the stage is not asked.
    Pass,
}

pub(super) struct Rule<'a> {
    pub(super) line: &'a Line,
    pub(super) when: Any,
    /// `None`: the rest of the stage is not asked.
    pub(super) then: Option<Vec<Out>>,
}

/// The stage of a line among those that HAProxy goes through one after the other.
pub(super) fn stage(line: &Line) -> Option<usize> {
    Some(match (line.word(0), line.word(1)) {
        ("tcp-request", "connection") => 0,
        ("tcp-request", "session") => 1,
        ("tcp-request", "content" | "inspect-delay") => 2,
        ("block", _) => 3,
        ("http-request", _) | ("http-response", "deny" | "return" | "redirect") | ("tcp-response", _) => 4,
        (
            "reqdeny" | "reqideny" | "reqtarpit" | "reqitarpit" | "reqpass" | "reqipass" | "reqallow"
            | "reqiallow",
            _,
        ) => 5,
        ("redirect", _) => 6,
        ("use_backend", _) => 7,
        _ => return None,
    })
}

const STAGES: usize = 8;

/// The rules of a section, a list for each stage. `choose`: also those that choose a backend.
pub(super) fn read<'a>(
    cx: &mut Cx,
    proxy: &Proxy<'a>,
    conditions: &mut Conditions<'a>,
    choose: bool,
) -> Vec<Vec<Rule<'a>>> {
    let mut out: Vec<Vec<Rule<'_>>> = Vec::new();
    for number in 0..if choose { STAGES } else { STAGES - 1 } {
        let mut rules = Vec::new();
        for line in proxy.own().filter(|l| stage(l) == Some(number)) {
            if let Some((act, words)) = action(cx, line) {
                add(cx, conditions, line, act, words, &mut rules);
            }
        }
        out.push(rules);
    }
    out
}

fn add<'a>(
    cx: &Cx,
    conditions: &mut Conditions<'a>,
    line: &'a Line,
    act: Act,
    words: &[String],
    rules: &mut Vec<Rule<'a>>,
) {
    let any = conditions.read(words);
    // Rules that ask what no condition here asks, whatever stands behind them.
    let old = stage(line) == Some(5);
    let answer = line.word(0).ends_with("-response");
    let more = match () {
        () if old => Some(("requests are not compared line by line", Loss::What)),
        () if answer => Some(("answers are not looked at", Loss::Who)),
        () => None,
    };
    let lost = conditions.lost(&any).or(more);
    let (lines, refuses) = match act {
        Act::Refuse(lines) => (Some(lines), true),
        Act::Answer(lines) | Act::Lead(lines) => {
            let refuses = lines.last().is_some_and(refuses);
            (Some(lines), refuses)
        }
        Act::Pass => (None, false),
    };
    let Some((why, loss)) = lost else {
        cx.account.exact(line, "");
        return rules.push(Rule { line, when: any, then: lines });
    };
    let under = if more.is_some() { Vec::new() } else { conditions.under(&any) };
    if lines.is_none() {
        cx.account.dropped(line, &format!("{why}: what it let through is asked what follows, too"));
    } else if refuses && loss == Loss::Load {
        cx.account.dropped(line, &format!("{why}: nothing is refused for the load's sake"));
    } else if (refuses && !(loss == Loss::Rate && cx.asked.without_limits)) || loss > Loss::What {
        if !refuses && !under.is_empty() {
            rules.push(Rule { line, when: under, then: lines });
        }
        if loss == Loss::Rate && cx.asked.without_limits {
            return cx.account.dropped(line, &format!("{why}; left out as --without-limits says"));
        }
        let limits = if loss == Loss::Rate { ", or convert with --without-limits" } else { "" };
        let scope = if answer { always() } else { conditions.over(&any) };
        let whom = if scope == always() { "everybody" } else { "whoever it may mean" };
        cx.account.dropped(
            line,
            &format!("dropped, closed instead: {why}; {whom} gets 403 until you write it by hand{limits}"),
        );
        return rules.push(Rule { line, when: scope, then: Some(vec![closed(line, why)]) });
    } else {
        cx.account.dropped(line, why);
    }
    if !under.is_empty() {
        rules.push(Rule { line, when: under, then: lines });
    }
}

/// The answer in the place of a rule that cannot be asked.
pub(super) fn closed(line: &Line, why: &str) -> Out {
    let mut out = Out::new(Some(line.place), ["return", "403"]);
    out.says = Some(format!(
        "closed: \"{}\" is lost ({why}): say here whom it refused, then take this out",
        line.text
    ));
    out
}

/// Whether a line is an answer that keeps somebody out.
fn refuses(line: &Out) -> bool {
    let word = |i: usize| line.words.get(i).map_or("", String::as_str);
    word(0) == "return" && word(1).len() == 3 && (word(1).starts_with('4') || word(1).starts_with('5'))
}

/// What a rule does, and its words from the condition on. `None`: nothing here; what the report says is said.
fn action<'a>(cx: &mut Cx, line: &'a Line) -> Option<(Act, &'a [String])> {
    let rest = super::frontend::condition(line);
    let words = line.words.get(..line.words.len() - rest.len()).unwrap_or_default();
    let word = |i: usize| words.get(i).map_or("", String::as_str);
    let cite = Some(line.place);
    let answer = |code: &str| vec![Out::new(cite, ["return", code])];
    let act = match (word(0), word(1)) {
        ("use_backend", name) => match cx.backends.get(name) {
            Some(lines) => Act::Lead(lines.clone()),
            None => {
                cx.account.dropped(line, "there is no such backend here");
                return None;
            }
        },
        ("redirect", _) => Act::Answer(redirect(cx, line, words.get(1..).unwrap_or_default())?),
        ("http-request", "redirect") => Act::Answer(redirect(cx, line, words.get(2..).unwrap_or_default())?),
        ("block", _) => Act::Refuse(answer("403")),
        ("reqpass" | "reqipass" | "reqallow" | "reqiallow", _) => Act::Pass,
        (word, _) if word.starts_with("req") => Act::Refuse(answer("403")),
        ("tcp-request", _) => return tcp(cx, line).map(|act| (act, rest)),
        ("http-response", _) | ("tcp-response", "content")
            if matches!(line.word(2), "reject" | "close") || word(0) == "http-response" =>
        {
            Act::Refuse(answer("403"))
        }
        ("http-request", "deny") => Act::Refuse(deny(cx, line, words)),
        ("http-request", "tarpit") => {
            cx.account.approximated(line, "answered at once");
            Act::Refuse(answer("500"))
        }
        ("http-request", "reject" | "silent-drop") => Act::Refuse(answer("444")),
        ("http-request", "allow") => Act::Pass,
        ("http-request", "auth") => {
            let realm = words.iter().position(|w| w == "realm").map_or("", |i| word(i + 1));
            let realm = if realm.is_empty() { "Restricted" } else { realm };
            let challenge = format!("Basic realm=\"{}\"", realm.replace(['"', '\\', '$'], ""));
            let field = Out::new(cite, ["add_header", "WWW-Authenticate", &challenge, "always"]);
            Act::Refuse([vec![field], answer("401")].concat())
        }
        ("http-request", "use-service") if word(2) == "prometheus-exporter" && cx.can.check => {
            cx.account.approximated(line, "the peers' states in Prometheus' form, by \"check_status\"");
            Act::Answer(vec![Out::new(cite, ["check_status", "prometheus"])])
        }
        ("http-request", "return") => Act::Answer(returned(cx, line, words)?),
        ("http-request", _) if super::changes::is(line) => return None,
        ("http-request", name) => {
            other(cx, line, name);
            return None;
        }
        _ => {
            cx.account.dropped(line, "no counterpart");
            return None;
        }
    };
    Some((act, rest))
}

fn tcp(cx: &Cx, line: &Line) -> Option<Act> {
    Some(match line.word(2) {
        _ if line.word(1) == "inspect-delay" => {
            cx.account.exact(line, "requests are read before rules are asked");
            return None;
        }
        "reject" | "silent-drop" => {
            let note = "asked of each request, not of the connection; it ends without an answer";
            cx.account.approximated(line, note);
            Act::Refuse(vec![Out::new(Some(line.place), ["return", "444"])])
        }
        "accept" => Act::Pass,
        "expect-proxy" if line.words.len() == 4 => {
            cx.account.exact(line, "\"proxy_protocol\" of \"listen\"");
            return None;
        }
        "expect-proxy" | "expect-netscaler-cip" => {
            cx.account.dropped(line, "on a condition nobody says before the request who asks");
            return None;
        }
        word if word.starts_with("track-sc") || word.starts_with("sc-") => {
            cx.account
                .dropped(line, "nothing here counts; the rules that ask the counters are said of below");
            return None;
        }
        _ => {
            cx.account.dropped(line, "no counterpart");
            return None;
        }
    })
}

/// Steps of `http-request` that change nothing of where a request goes.
fn other(cx: &mut Cx, line: &Line, name: &str) {
    let bare = name.split('(').next().unwrap_or(name);
    match bare {
        "set-var" if super::frontend::condition(line).is_empty() => {
            cx.account.approximated(line, "in the rules that ask it; backends do not know it");
        }
        "set-var" | "unset-var" | "set-var-fmt" => {
            cx.account.dropped(line, "a variable that is set on a condition")
        }
        "capture" | "set-log-level" => {
            cx.account.exact(line, "only for HAProxy's log");
        }
        "strict-mode" => cx.account.exact(line, "a rule that fails ends the request"),
        "set-nice" | "set-tos" | "set-mark" | "set-priority-class" | "set-priority-offset" => {
            cx.account.dropped(line, "all requests are alike");
        }
        "set-src" => set_src(cx, line),
        "cache-use" => cx.account.approximated(line, "nothing is kept: every request goes to a server"),
        "normalize-uri" => cx.account.approximated(line, "paths are normalised where locations are sought"),
        "wait-for-body" => cx.account.exact(line, "bodies are read before they are passed on"),
        _ if bare.starts_with("track-sc") || bare.starts_with("sc-") => {
            cx.account
                .dropped(line, "nothing here counts; the rules that ask the counters are said of below");
        }
        _ => cx.account.dropped(line, "no counterpart"),
    }
}

/// `set-src hdr(X-Forwarded-For)`: whom the header is believed from is the condition's `src`.
fn set_src(cx: &mut Cx, line: &Line) {
    let words = line.words.get(2..).unwrap_or_default();
    let header = words.first().and_then(|s| s.split_once('(')).and_then(|(name, rest)| {
        let plain = matches!(name, "hdr" | "req.hdr" | "hdr_ip" | "req.hdr_ip");
        let field = rest.trim_end_matches(')').split(',').next()?;
        (plain && super::changes::is_name(field)).then_some(field)
    });
    let condition = super::frontend::condition(line);
    let from: Option<Vec<&str>> = match condition {
        [] => Some(vec!["0.0.0.0/0", "::/0"]),
        [when, open, sample, nets @ .., close]
            if when == "if" && open == "{" && sample == "src" && close == "}" =>
        {
            Some(nets.iter().map(String::as_str).collect())
        }
        _ => None,
    };
    let fits = |n: &&str| n.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'/'));
    match (header, from.filter(|nets| nets.iter().all(fits))) {
        (Some(header), Some(nets))
            if !cx.model.http.iter().any(|l| l.words.first().is_some_and(|w| w == "real_ip_header")) =>
        {
            cx.account.approximated(line, "for every frontend, from the beginning of each request");
            let cite = Some(line.place);
            cx.model.http.extend(nets.iter().map(|n| Out::new(cite, ["set_real_ip_from", n])));
            cx.model.http.push(Out::new(cite, ["real_ip_header", header]));
        }
        _ => cx.account.dropped(line, "say \"set_real_ip_from\" and \"real_ip_header\""),
    }
}

/// `deny`, with the status and the text that it may have.
fn deny(cx: &Cx, line: &Line, words: &[String]) -> Vec<Out> {
    let after = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1));
    let code = after("deny_status").or(after("status")).map_or("403", String::as_str);
    let known = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()) && code >= "400";
    if !known {
        cx.account.approximated(line, "a status of 400 and above is expected: 403");
    }
    let mut out = vec!["return", if known { code } else { "403" }];
    let text = after("string").filter(|t| !t.contains('$'));
    out.extend(text.map(String::as_str));
    if ["file", "lf-file", "lf-string", "errorfile", "errorfiles", "hdr", "content-type"]
        .iter()
        .any(|w| after(w).is_some())
    {
        cx.account.approximated(line, "refused, with a text of tenrec's own");
    }
    vec![Out::new(Some(line.place), out)]
}

fn returned(cx: &Cx, line: &Line, words: &[String]) -> Option<Vec<Out>> {
    let after = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1));
    let status = after("status").map_or("200", String::as_str);
    let text = after("string").or_else(|| after("lf-string"));
    let known = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
    let text = text.map_or(Some(String::new()), |t| values::format(t));
    let Some(text) = text.filter(|_| known) else {
        // Whatever it answered, what follows was not reached.
        cx.account.dropped(line, "dropped, closed instead: a status and a text are expected");
        return Some(vec![closed(line, "a status and a text are expected")]);
    };
    let mut out = Vec::new();
    let kind = after("content-type").filter(|t| t.bytes().all(|b| b.is_ascii_graphic() && b != b'$'));
    if let Some(kind) = kind {
        out.push(Out::block(Some(line.place), ["types"], Vec::new()));
        out.push(Out::new(Some(line.place), ["default_type", kind]));
    }
    for (i, _) in words.iter().enumerate().filter(|(_, w)| *w == "hdr") {
        match (
            words.get(i + 1).filter(|n| super::changes::is_name(n)),
            words.get(i + 2).and_then(|v| values::format(v)),
        ) {
            (Some(name), Some(value)) if !value.is_empty() => {
                out.push(Out::new(Some(line.place), ["add_header", name, &value, "always"]));
            }
            _ => cx.account.dropped(line, "hdr: no variable has this"),
        }
    }
    let path = after("file").filter(|p| p.starts_with('/') && !p.contains(['$', '"']) && status == "200");
    if let Some(path) = path {
        cx.account.exact(line, "the file is read for each request");
        out.push(Out::new(Some(line.place), ["root", "/"]));
        out.push(Out::new(Some(line.place), ["try_files", path, "=404"]));
        return Some(out);
    }
    if words.iter().any(|w| matches!(w.as_str(), "file" | "lf-file" | "errorfile" | "errorfiles")) {
        cx.account.dropped(line, "files: say them with \"error_page\" and \"root\"");
    }
    out.push(Out::new(Some(line.place), ["return", status, &text]));
    Some(out)
}

fn redirect(cx: &mut Cx, line: &Line, words: &[String]) -> Option<Vec<Out>> {
    let mut code = "302";
    let mut target = None;
    let mut cookie = None;
    let mut slash = false;
    let has = |word: &str| words.iter().any(|w| w == word);
    let asked = match (has("drop-query"), has("append-slash")) {
        (true, true) => "$uri/",
        (true, false) => "$uri",
        (false, true) => "$uri/$is_args$args",
        (false, false) => "$request_uri",
    };
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
                    "scheme" => format!("{text}://$http_host{asked}"),
                    "prefix" if text == "/" => asked.to_owned(),
                    "prefix" => format!("{text}{asked}"),
                    _ => text,
                });
            }
            "append-slash" => slash = true,
            "drop-query" => cx.account.approximated(line, "the path after its escapes are resolved"),
            "ignore-empty" => {}
            "set-cookie" | "clear-cookie" => {
                let clear = word == "clear-cookie";
                let said = rest.next().filter(|t| !t.contains(['$', '"', ';']));
                let gone = if clear { "; Max-Age=0" } else { "" };
                match said {
                    Some(text) => cookie = Some(format!("{text}; path=/{gone}")),
                    None => cx.account.dropped(line, "this cookie cannot be written"),
                }
            }
            other => cx.account.dropped(line, &format!("{other}: no counterpart")),
        }
    }
    let Some(target) = target.filter(|_| matches!(code, "301" | "302" | "303" | "307" | "308")) else {
        cx.account.dropped(line, "a target and a status of 301, 302, 303, 307 or 308 are expected");
        return None;
    };
    if target.starts_with(['/', '$'])
        && !cx.model.http.iter().any(|l| l.words.first().is_some_and(|w| w == "absolute_redirect"))
    {
        // HAProxy sends the text as it is written.
        cx.model.http.push(Out::new(None, ["absolute_redirect", "off"]));
    }
    if slash {
        cx.account.approximated(line, "the path after its escapes are resolved");
    }
    let cookie = cookie.map(|c| Out::new(Some(line.place), ["add_header", "Set-Cookie", &c, "always"]));
    let answer = Out::new(Some(line.place), ["return", code, &target]);
    Some(cookie.into_iter().chain([answer]).collect())
}

/// Whether lines may stand in an `if`.
pub(super) fn fit_if(lines: &[Out]) -> bool {
    lines.iter().all(|l| l.words.first().is_some_and(|w| matches!(w.as_str(), "return" | "add_header")))
}
