//! The page of statistics: `check_status`, behind the passwords of the old one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::model::Line as Out;
use super::Cx;
use super::condition::Conditions;
use super::matches::escape;
use super::proxy::Proxy;
use super::read::Line;
use super::rules::{Rule, closed};

/// The place of the page as a rule, where a section has one.
pub(super) fn rule<'a>(cx: &Cx, proxy: &Proxy<'a>, conditions: &mut Conditions<'a>) -> Option<Rule<'a>> {
    let lines: Vec<&Line> = proxy.all().filter(|l| l.word(0) == "stats").collect();
    let head = *lines.iter().find(|l| l.word(1) == "uri").or(lines.first())?;
    let page = if cx.can.check { "check_status" } else { "stub_status" };
    let note = format!("\"{page}\": the servers of all upstreams, in a form of its own");
    let mut uri = "/haproxy?stats";
    let mut keys: Vec<String> = Vec::new();
    let mut auth = None;
    let mut realm = "HAProxy Statistics";
    let mut shut = None;
    for line in &lines {
        match line.word(1) {
            "uri" => uri = line.word(2),
            "auth" => {
                keys.push(format!("~^[Bb]asic +{}$", escape(&STANDARD.encode(line.word(2)))));
                auth = Some(line);
                cx.account.exact(line, "");
                continue;
            }
            "realm" => realm = line.word(2),
            "admin" => {
                cx.account
                    .dropped(line, "the page changes nothing: \"tenrec peers\" does, with \"control on\"");
                continue;
            }
            "http-request" => {
                shut = Some(line);
                cx.account
                    .dropped(line, "dropped, closed instead: the page is not shown until you say to whom");
                continue;
            }
            _ => {}
        }
        cx.account.approximated(line, &note);
    }
    if !uri.starts_with('/') {
        cx.account.dropped(head, "a path is expected");
        return None;
    }
    let mut then = Vec::new();
    if let Some(line) = auth {
        let variable = conditions.variable("stats");
        let mut inside: Vec<Out> = keys.iter().map(|k| Out::new(None, [k.as_str(), "1"])).collect();
        inside.push(Out::new(None, ["default", "0"]));
        conditions.push(Out::block(Some(line.place), ["map", "$http_authorization", &variable], inside));
        let challenge = format!("Basic realm=\"{}\"", realm.replace(['"', '\\', '$'], ""));
        let answer = vec![
            Out::new(Some(line.place), ["add_header", "WWW-Authenticate", &challenge, "always"]),
            Out::new(Some(line.place), ["return", "401"]),
        ];
        let head = ["if".to_owned(), format!("({variable}"), "=".to_owned(), "0)".to_owned()];
        then.push(Out::block(Some(line.place), head, answer));
    }
    match shut {
        Some(line) => then = vec![closed(line, "who may see it is asked otherwise")],
        None => then.push(Out::new(Some(head.place), [page])),
    }
    let sample = if uri.contains('?') { "url_beg" } else { "path_beg" };
    let when = conditions.test(&[sample.to_owned(), uri.to_owned()]);
    Some(Rule { line: head, when, then: Some(then) })
}
