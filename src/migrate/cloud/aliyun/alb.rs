//! The ALB: server groups, actions and rules.

use super::super::super::json::{Node, Value};
use super::super::super::model::{Line, Location};
use super::super::super::report::Class;
use super::super::check::{Check, plain};
use super::super::{Cx, Group, Listen, field, find, list, server_name};
use super::group::{classes, peers, scheduler, sticky};
use super::{Lb, WHY, pass};

/// The upstream of an ALB's group, made once.
pub(super) fn alb_group(cx: &mut Cx, lb: &mut Lb<'_>, id: &str) -> Option<String> {
    if let Some(made) = lb.made.get(id) {
        return made.clone();
    }
    let made = lb.groups.get(id).copied().and_then(|group| {
        let wanted = cx.text(group, "ServerGroupName").map_or(id, |(_, n)| n).to_owned();
        let mut peers = peers(cx, group, None);
        let method = scheduler(cx, group, &mut peers);
        let sticky = field(group, "StickySessionConfig").and_then(|config| {
            let (n, on) = cx.switch(config, "StickySessionEnabled")?;
            let sticky = sticky(cx, n, on, config);
            if sticky.is_some() {
                cx.ledger.approximated(n, "\"SERVERCORSID\", the second cookie for other sites, is not sent");
            }
            sticky
        });
        let lines = alb_check(cx, group);
        match cx.text(group, "Protocol") {
            Some((n, p)) if p.eq_ignore_ascii_case("http") => cx.ledger.exact(n, ""),
            Some((n, _)) => cx.ledger.dropped(n, "HTTP to the servers"),
            None => {}
        }
        for (config, switch, why) in [
            ("SlowStartConfig", "SlowStartEnabled", "a server that comes back gets its whole share at once"),
            (
                "ConnectionDrainConfig",
                "ConnectionDrainEnabled",
                "connections of a server that leaves end by themselves",
            ),
        ] {
            let Some(node) = field(group, config) else { continue };
            match cx.switch(node, switch) {
                Some((_, false)) => cx.ledger.all(node, Class::Exact, "it is off"),
                _ => cx.ledger.give_up(node, why),
            }
        }
        cx.absent(
            group,
            &[("UpstreamKeepaliveEnabled", "say \"keepalive\""), ("Ipv6Enabled", "say the addresses")],
        );
        cx.upstream(Group { wanted, node: group, method, sticky, peers, lines }, WHY)
    });
    lb.made.insert(id.to_owned(), made.clone());
    made
}

fn alb_check(cx: &mut Cx, group: &Node) -> Vec<Line> {
    let Some(config) = field(group, "HealthCheckConfig") else { return Vec::new() };
    let Some((n, on)) = cx.switch(config, "HealthCheckEnabled") else { return Vec::new() };
    if !on {
        cx.ledger.all(config, Class::Exact, "checks are off");
        return Vec::new();
    }
    let number = |cx: &mut Cx, name: &str, or: u32| cx.number(config, name).map_or(or, |(_, n)| n);
    let tcp = cx.text(config, "HealthCheckProtocol").is_some_and(|(_, p)| !p.eq_ignore_ascii_case("http"));
    let text = |cx: &mut Cx, name: &str, or: &str| {
        cx.text(config, name).map(|(_, t)| t).filter(|t| plain(t)).unwrap_or(or).to_owned()
    };
    let method = text(cx, "HealthCheckMethod", "HEAD").to_ascii_uppercase();
    let path = text(cx, "HealthCheckPath", "/");
    let host = cx
        .text(config, "HealthCheckHost")
        .map(|(_, t)| t.to_owned())
        .filter(|t| plain(t) && !t.contains('$'));
    let codes = field(config, "HealthCheckCodes").or_else(|| field(config, "HealthCheckHttpCodes"));
    let said: String = codes
        .map_or(&[][..], Node::items)
        .iter()
        .filter_map(|n| if let Value::Text(t) = &n.value { Some(format!("{t},")) } else { None })
        .collect();
    let check = Check {
        at: n,
        interval: number(cx, "HealthCheckInterval", 2),
        timeout: number(cx, "HealthCheckTimeout", 5),
        rise: number(cx, "HealthyThreshold", 3),
        fall: number(cx, "UnhealthyThreshold", 3),
        http: (!tcp).then_some((method, path, host)),
        port: cx.number(config, "HealthCheckConnectPort").map(|(_, p)| p).filter(|p| (1..=65535).contains(p)),
        classes: classes(&said),
        said: config
            .fields()
            .iter()
            .flat_map(|(_, n)| std::iter::once(n).filter(|n| n.items().is_empty()).chain(n.items()))
            .collect(),
    };
    check.lines(cx)
}

/// A place of a rule: a server's name and a location.
pub(super) type Spot = (String, (&'static str, String));

/// What the ALB does with a request.
pub(super) fn actions_at(cx: &mut Cx, lb: &mut Lb<'_>, listen: &Listen, actions: &Node, spots: &[Spot]) {
    let mut lines = None;
    for action in list(actions) {
        let kind = cx.text(action, "Type").map(|(n, t)| (n, t.to_owned()));
        match kind.as_ref().map(|(n, t)| (*n, t.as_str())) {
            Some((n, "ForwardGroup")) if lines.is_none() => {
                cx.ledger.exact(n, "");
                let mut groups = Vec::new();
                find(action, &|n| field(n, "ServerGroupId").is_some(), &mut groups);
                let id = groups.first().and_then(|g| cx.text(g, "ServerGroupId"));
                for more in groups.iter().skip(1) {
                    cx.ledger.drop_all(more, "one group takes all requests");
                }
                let Some((n, id)) = id else {
                    cx.ledger.give_up(action, "no group is named");
                    continue;
                };
                let upstream = alb_group(cx, lb, id);
                if upstream.is_some() {
                    cx.ledger.exact(n, "");
                } else {
                    cx.ledger.dropped(n, "the servers of this group are not in the input: 503");
                }
                if let Some(weight) = groups.first().and_then(|g| field(g, "Weight")) {
                    cx.ledger.exact(weight, "the only group");
                }
                lines = Some(pass(cx, action, upstream.as_deref()));
            }
            Some((n, "FixedResponse")) if lines.is_none() => {
                let config = field(action, "FixedResponseConfig").unwrap_or(action);
                let code = cx.number(config, "HttpCode").filter(|(_, c)| (200..=599).contains(c));
                cx.ledger.exact(n, "");
                let text = cx
                    .text(config, "Content")
                    .map(|(n, t)| (n, t.to_owned()))
                    .filter(|(_, t)| !t.contains('$'));
                let status = code.map_or(503, |(_, c)| c).to_string();
                let words: Vec<String> = ["return".to_owned(), status]
                    .into_iter()
                    .chain(text.as_ref().map(|(_, t)| t.clone()))
                    .collect();
                code.map(|(n, _)| n)
                    .into_iter()
                    .chain(text.map(|(n, _)| n))
                    .for_each(|n| cx.ledger.exact(n, ""));
                cx.absent(config, &[("ContentType", "say \"default_type\"")]);
                lines = Some(vec![Line::new(Some(action.place), words)]);
            }
            Some((n, "Redirect")) if lines.is_none() => {
                lines = redirect(cx, action);
                match &lines {
                    Some(_) => cx.ledger.exact(n, ""),
                    None => cx.ledger.give_up(action, "this redirect cannot be written"),
                }
            }
            _ => cx.ledger.give_up(action, "no counterpart, or a second answer"),
        }
    }
    let lines = lines.unwrap_or_else(|| vec![Line::new(None, ["return", "503"])]);
    for (name, (modifier, path)) in spots {
        let location =
            Location { cite: Some(actions.place), modifier, path: path.clone(), lines: lines.clone() };
        if let Err(why) = cx.place(listen, name, location) {
            cx.ledger.dropped(actions, why);
        }
    }
}

/// `${host}` and the like stay what they are.
fn redirect(cx: &mut Cx, action: &Node) -> Option<Vec<Line>> {
    let config = field(action, "RedirectConfig")?;
    let mut part = |name: &str, own: &str, variable: &str| -> Option<String> {
        let (n, text) = match cx.text(config, name) {
            Some((n, t)) => (Some(n), t.to_owned()),
            None => (None, own.to_owned()),
        };
        n.into_iter().for_each(|n| cx.ledger.exact(n, ""));
        let text = text.replace(own, variable);
        let rest = text.replace(variable, "");
        (!rest.contains(['$', '\n', '\r', ' '])).then_some(text)
    };
    let scheme = part("Protocol", "${protocol}", "$scheme")?.to_ascii_lowercase();
    let host = part("Host", "${host}", "$host")?;
    let port = part("Port", "${port}", "$server_port")?;
    let path = part("Path", "${path}", "$uri")?;
    let query = part("Query", "${query}", "$is_args$args")?;
    let code = cx.number(config, "HttpCode").map_or(301, |(n, c)| {
        cx.ledger.exact(n, "");
        c
    });
    let usual =
        (scheme == "https" && port == "443") || (scheme == "http" && port == "80") || port == "$server_port";
    let port = if usual { String::new() } else { format!(":{port}") };
    let query = if query.starts_with('$') || query.is_empty() { query } else { format!("?{query}") };
    let words = ["return".to_owned(), code.to_string(), format!("{scheme}://{host}{port}{path}{query}")];
    matches!(code, 301 | 302 | 303 | 307 | 308).then(|| vec![Line::new(Some(action.place), words)])
}

/// A rule with conditions: hosts and paths become servers and locations, any other condition has no place.
pub(super) fn rule(cx: &mut Cx, lb: &mut Lb<'_>, listen: &Listen, rule: &Node) {
    let (mut hosts, mut paths) = (Vec::new(), Vec::new());
    for condition in field(rule, "RuleConditions").map_or(&[][..], list) {
        let kind = cx.text(condition, "Type").map(|(n, t)| (n, t.to_owned()));
        let (config, into): (_, &mut Vec<String>) = match kind.as_ref().map(|(_, t)| t.as_str()) {
            Some("Host") => ("HostConfig", &mut hosts),
            Some("Path") => ("PathConfig", &mut paths),
            _ => {
                let why = "only hosts and paths choose here, and without the condition the rule would take too much";
                return cx.ledger.give_up(rule, why);
            }
        };
        let values = field(condition, config).and_then(|c| field(c, "Values")).map_or(&[][..], list);
        for value in values {
            if let Value::Text(t) = &value.value {
                cx.ledger.exact(value, "");
                into.push(t.clone());
            }
        }
        kind.into_iter().for_each(|(n, _)| cx.ledger.exact(n, ""));
    }
    let mut spots = Vec::new();
    if hosts.is_empty() {
        hosts.push(String::new());
    }
    if paths.is_empty() {
        paths.push("/*".to_owned());
    }
    for host in &hosts {
        for path in &paths {
            let name = if host.is_empty() { Some(String::new()) } else { server_name(host) };
            let place = match path.strip_suffix('*') {
                Some(prefix) if !prefix.contains(['*', '?']) => ("", prefix.to_owned()),
                None if !path.contains(['*', '?']) => ("=", path.clone()),
                _ => return cx.ledger.give_up(rule, "a wildcard inside a path cannot be written"),
            };
            match name.filter(|_| place.1.starts_with('/') && !place.1.contains(['\n', '\r'])) {
                Some(name) => spots.push((name, place)),
                None => return cx.ledger.give_up(rule, "this host or path cannot be written"),
            }
        }
    }
    if let Some(n) = field(rule, "Priority") {
        cx.ledger.approximated(n, "the longest path wins, not the first number");
    }
    match field(rule, "RuleActions") {
        Some(actions) => actions_at(cx, lb, listen, actions, &spots),
        None => cx.ledger.give_up(rule, "the rule does nothing"),
    }
}
