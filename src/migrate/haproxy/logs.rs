//! `log`: where a line of each request goes.

use super::super::model::Line as Out;
use super::Cx;
use super::proxy::Proxy;
use super::read::Line;

/// Where the lines of `global` go, for those who say `log global`.
pub(super) fn global(cx: &mut Cx, line: &Line) {
    match target(line) {
        Some(Target::Access(text)) => {
            cx.account.approximated(line, FORM);
            cx.logs.push((line.place, text));
        }
        Some(Target::Error(text, level)) => {
            cx.account.approximated(line, "tenrec's own messages; requests are lines of a lower level");
            cx.model.main.push(Out::new(Some(line.place), ["error_log", &text, level]));
        }
        None => cx.account.dropped(line, "this target cannot be written; say \"access_log\""),
    }
}

const FORM: &str = "nginx's form of a line, not HAProxy's; say \"log_format\"";

/// The `access_log` lines of a frontend.
pub(super) fn lines(cx: &Cx, proxy: &Proxy<'_>, out: &mut Vec<Out>) {
    let mut last: Vec<&Line> = Vec::new();
    for line in proxy.all() {
        match (line.word(0), line.word(1)) {
            ("log", _) => last.push(line),
            ("no", "log") => last.clear(),
            _ => {}
        }
    }
    for line in last {
        if line.word(1) == "global" {
            out.extend(cx.logs.iter().map(|(place, text)| Out::new(Some(*place), ["access_log", text])));
            cx.account.approximated(line, FORM);
            continue;
        }
        match target(line) {
            Some(Target::Access(text)) => {
                cx.account.approximated(line, FORM);
                out.push(Out::new(Some(line.place), ["access_log", &text]));
            }
            Some(Target::Error(text, level)) => {
                cx.account.approximated(line, "tenrec's own messages; requests are lines of a lower level");
                out.push(Out::new(Some(line.place), ["error_log", &text, level]));
            }
            None => cx.account.dropped(line, "this target cannot be written; say \"access_log\""),
        }
    }
}

enum Target {
    Access(String),
    /// With the level.
    Error(String, &'static str),
}

/// `log ADDRESS [len N] [format F] [sample S] FACILITY [LEVEL [LEAST]]`
fn target(line: &Line) -> Option<Target> {
    const LEVELS: [(&str, &str); 6] = [
        ("emerg", "emerg"),
        ("alert", "alert"),
        ("crit", "crit"),
        ("err", "error"),
        ("warning", "warn"),
        ("notice", "notice"),
    ];
    let mut words = line.from(2).iter();
    let mut rest = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "len" | "format" | "sample" | "profile" => {
                words.next();
            }
            other => rest.push(other),
        }
    }
    let facility = rest.first().copied().unwrap_or("local7");
    if !facility.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let place = match line.word(1) {
        "stdout" | "fd@1" => "/dev/stdout".to_owned(),
        "stderr" | "fd@2" => "/dev/stderr".to_owned(),
        path if path.starts_with('/') => format!("syslog:server=unix:{path},facility={facility}"),
        address => {
            let address =
                ["udp@", "ipv4@", "ipv6@"].iter().fold(address, |a, p| a.strip_prefix(p).unwrap_or(a));
            if address.contains(['@', '$', '{']) || address.is_empty() {
                return None;
            }
            format!("syslog:server={},facility={facility}", address.trim_end_matches(':'))
        }
    };
    let plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, ';' | '"' | '\'' | '{' | '}' | '$' | '\\' | '#');
    if !place.chars().all(plain) || place.matches(',').count() > 1 {
        return None;
    }
    Some(match rest.get(1).and_then(|level| LEVELS.iter().find(|(name, _)| name == level)) {
        Some((_, level)) => Target::Error(place, level),
        None => Target::Access(place),
    })
}
