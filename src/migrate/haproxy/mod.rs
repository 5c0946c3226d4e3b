//! HAProxy: defaults, frontends, backends and listens as servers and upstreams.

mod account;
mod ask;
mod backend;
mod balance;
mod binds;
mod changes;
mod checks;
mod chosen;
mod condition;
mod frontend;
mod global;
mod http;
mod logs;
mod mapped;
mod matches;
mod proxy;
mod read;
mod resolve;
mod rules;
mod sessions;
mod stats;
mod tls;
mod users;
mod values;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::can::Can;
use super::convert::Asked;
use super::input::{Input, Place, Problem};
use super::model::{Line as Out, Model, Names};
use super::report::{Class, Report};
use account::Account;
use proxy::Proxy;

/// What the parts share.
struct Cx {
    account: Account,
    can: Can,
    model: Model,
    names: Names,
    /// What a location needs to lead to a backend, by the backend's name.
    backends: BTreeMap<String, Vec<Out>>,
    /// The `stick-table` lines by their section's name.
    tables: BTreeMap<String, read::Line>,
    /// What the variables of each section begin with.
    variables: Names,
    users: Rc<users::Users>,
    resolvers: Vec<resolve::Resolver>,
    asked: Asked,
    bases: tls::Bases,
    /// `ssl-server-verify none`
    verify_none: bool,
    /// The `log` lines of `global`.
    logs: Vec<(Place, String)>,
}

pub(super) fn convert(
    inputs: &[Input],
    can: Can,
    asked: &Asked,
    report: &mut Report,
) -> Result<Model, Problem> {
    let sections = read::read(inputs)?;
    let proxies = proxy::proxies(&sections);
    if proxies.is_empty() {
        let place = Place { file: 0, line: 1, column: 1 };
        return Err(Problem::new(
            inputs,
            place,
            "no frontend, backend or listen: this is no HAProxy configuration",
        ));
    }
    let mut cx = Cx {
        account: Account::default(),
        can,
        model: Model::default(),
        names: Names::default(),
        backends: BTreeMap::new(),
        tables: BTreeMap::new(),
        variables: Names::default(),
        users: Rc::new(users::Users::read(&sections)),
        resolvers: Vec::new(),
        asked: asked.clone(),
        bases: tls::Bases::read(&sections),
        verify_none: false,
        logs: Vec::new(),
    };
    cx.resolvers = resolve::read(&sections, &cx.account);
    cx.users.account(&sections, &cx.account);
    for section in &sections {
        let table = section.lines.iter().rev().find(|l| l.word(0) == "stick-table");
        cx.tables.extend(table.map(|l| (section.name.clone(), l.clone())));
    }
    for section in sections.iter().filter(|s| s.kind == "global") {
        global::convert(&mut cx, section);
    }
    for section in &sections {
        if let ("defaults", Some(head)) = (section.kind.as_str(), &section.head) {
            cx.account.exact(head, "carried into the sections that take it");
        }
    }
    // A file that never says its mode is read as one for HTTP: HAProxy's own default is tcp.
    let said = sections.iter().flat_map(|s| &s.lines).any(|l| l.word(0) == "mode");
    let served: Vec<&Proxy<'_>> = proxies.iter().filter(|p| speaks_http(&cx, p, said)).collect();
    for proxy in served.iter().filter(|p| p.section.kind != "frontend") {
        backend::convert(&mut cx, proxy);
    }
    for proxy in served.iter().filter(|p| p.section.kind != "backend") {
        frontend::convert(&mut cx, proxy);
    }
    peers(&cx, &sections);
    report.rows.extend(cx.account.rows(&sections));
    Ok(cx.model)
}

/// Those who share tables: a store takes their place where one is said.
fn peers(cx: &Cx, sections: &[read::Section]) {
    let shared = |l: &read::Line| l.word(0) == "stick-table" && l.words.iter().any(|w| w == "peers");
    let used = sections.iter().any(|s| s.lines.iter().any(shared));
    for section in sections.iter().filter(|s| s.kind == "peers") {
        for line in section.head.iter().chain(&section.lines) {
            match (used, &cx.asked.store) {
                (false, _) => cx.account.exact(line, "no table is shared"),
                (true, Some(_)) => cx.account.approximated(line, "the store takes their place"),
                (true, None) => cx.account.dropped(line, sessions::SHARED),
            }
        }
    }
}

fn speaks_http(cx: &Cx, proxy: &Proxy<'_>, said: bool) -> bool {
    let mode = proxy.last("mode");
    let head = proxy.section.head.as_ref();
    match mode.map(|l| l.word(1)) {
        Some("http") => {
            if let Some(line) = mode {
                cx.account.exact(line, "");
            }
        }
        None if !said => {}
        other => {
            let note = format!("mode {} needs \"stream\"", other.unwrap_or("tcp"));
            for line in head.into_iter().chain(proxy.own()) {
                cx.account.dropped(line, &note);
            }
            return false;
        }
    }
    if let Some(head) = head {
        let class = if mode.is_none() { Class::Approximated } else { Class::Exact };
        let note = if mode.is_none() { "no mode is said: read as \"mode http\"" } else { "" };
        cx.account.mark(head, class, note);
    }
    true
}
