//! Owns: Alibaba Cloud: listeners, rules and groups of the classic SLB, server groups and rules of the ALB.
//! May use: what the clouds share, and the migrate room's model, input and ledger.
//! Never touches: the text that is written.

mod alb;
mod group;

use std::collections::BTreeMap;

use super::super::can::Can;
use super::super::input::{Input, Problem};
use super::super::json::{Node, Value};
use super::super::model::{Line, Location, Model};
use super::super::report::{Class, Report};
use super::{Cx, Listen, documents, field, find, list, path, server_name};
use alb::{actions_at, alb_group};
use group::slb_group;

const WHY: &str =
    "the text that the cloud hashes into \"SERVERID\" is not known: each session is balanced anew once";

pub(in super::super) fn convert(inputs: &[Input], can: Can, report: &mut Report) -> Result<Model, Problem> {
    documents(inputs, can, report, |cx, roots| {
        let mut listeners = Vec::new();
        let mut holders = Vec::new();
        for root in roots {
            find(root, &|n| port_of(n).is_some(), &mut listeners);
            everywhere(root, &|n| servers_of(n).is_some(), &mut holders);
        }
        if listeners.is_empty() && holders.is_empty() {
            return Err("no listener and no server group is here: this is no configuration of an SLB or ALB");
        }
        let mut lb = Lb { groups: BTreeMap::new(), default: None, made: BTreeMap::new() };
        for holder in holders {
            match id_of(holder) {
                Some(id) => drop(lb.groups.insert(id.to_owned(), holder)),
                None if port_of(holder).is_none() && lb.default.is_none() => lb.default = Some(holder),
                None => {}
            }
        }
        let mut listens = Vec::new();
        for node in listeners {
            let made = listener(cx, &mut lb, node);
            listens.extend(made.map(|l| (cx.text(node, "ListenerId").map(|(_, id)| id.to_owned()), l)));
        }
        let mut rules = Vec::new();
        roots.iter().for_each(|r| loose_rules(r, &mut rules));
        for rule in rules {
            let of = cx.text(rule, "ListenerId").map(|(_, id)| id.to_owned());
            let at = match &of {
                Some(_) => listens.iter().position(|(id, _)| *id == of),
                None => (listens.len() == 1).then_some(0),
            };
            match at.and_then(|at| listens.get(at)) {
                Some((_, listen)) => alb::rule(cx, &mut lb, listen, rule),
                None => cx.ledger.give_up(rule, "the listener of this rule is not opened"),
            }
        }
        for (id, holder) in lb.groups.clone() {
            if is_alb(holder) && !lb.made.contains_key(&id) {
                alb_group(cx, &mut lb, &id);
            }
        }
        for (_, listen) in &listens {
            cx.close(listen);
        }
        for root in roots {
            quiet(cx, root);
        }
        Ok(())
    })
}

/// Rules with conditions that stand in no listener.
fn loose_rules<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    if port_of(node).is_some() {
        return;
    }
    if field(node, "RuleConditions").is_some() {
        out.push(node);
        return;
    }
    node.items().iter().for_each(|n| loose_rules(n, out));
    node.fields().iter().for_each(|(_, n)| loose_rules(n, out));
}

/// What the listeners share.
struct Lb<'n> {
    groups: BTreeMap<String, &'n Node>,
    /// The servers of listeners that name no group.
    default: Option<&'n Node>,
    /// The upstreams of the ALB's groups.
    made: BTreeMap<String, Option<String>>,
}

fn everywhere<'n>(node: &'n Node, is: &impl Fn(&Node) -> bool, out: &mut Vec<&'n Node>) {
    if is(node) {
        out.push(node);
    }
    node.items().iter().for_each(|n| everywhere(n, is, out));
    node.fields().iter().for_each(|(_, n)| everywhere(n, is, out));
}

fn port_of(node: &Node) -> Option<&Node> {
    field(node, "ListenerPort").or_else(|| field(node, "FrontendPort"))
}

fn servers_of(node: &Node) -> Option<&Node> {
    field(node, "BackendServers").or_else(|| field(node, "Servers"))
}

fn id_of(node: &Node) -> Option<&str> {
    let id = ["VServerGroupId", "ServerGroupId", "MasterSlaveServerGroupId"]
        .iter()
        .find_map(|k| field(node, k))?;
    // A listener names the group, it is none.
    if port_of(node).is_some() {
        return None;
    }
    if let Value::Text(t) = &id.value { Some(t) } else { None }
}

fn is_alb(node: &Node) -> bool {
    field(node, "ServerGroupId").is_some()
}

/// Fields of the answers of an API that are about the answer.
fn quiet(cx: &mut Cx, root: &Node) {
    const NAMES: &[&str] = &[
        "RequestId",
        "LoadBalancerId",
        "LoadBalancerName",
        "RegionId",
        "RegionIdAlias",
        "TotalCount",
        "MaxResults",
        "NextToken",
        "Address",
        "AddressType",
        "NetworkType",
        "VpcId",
        "VSwitchId",
        "CreateTime",
        "CreateTimeStamp",
        "LoadBalancerStatus",
        "LoadBalancerSpec",
        "PayType",
        "InternetChargeType",
        "MasterZoneId",
        "SlaveZoneId",
        "ResourceGroupId",
        "ListenerPorts",
        "ListenerPortsAndProtocol",
        "ListenerPortsAndProtocal",
        "Tags",
        "Version",
        "AddressIPVersion",
        "ServerGroupStatus",
        "VServerGroupId",
        "VServerGroupName",
        "ServerGroupId",
        "ServerGroupName",
        "ServerGroupType",
        "LoadBalancerIds",
        "Description",
        "ListenerId",
        "ListenerStatus",
        "RuleId",
        "RuleName",
        "RuleStatus",
        "Direction",
        "ServiceManagedEnabled",
        "ServiceManagedMode",
        "RelatedLoadBalancerIds",
        "RelatedListenerIds",
        "Status",
        "EndTime",
        "EndTimeStamp",
        "DeleteProtection",
    ];
    let mut all = Vec::new();
    everywhere(root, &|n| !n.fields().is_empty(), &mut all);
    for node in all {
        cx.silent(node, NAMES);
    }
}

fn listener(cx: &mut Cx, lb: &mut Lb<'_>, node: &Node) -> Option<Listen> {
    let known = [
        "Scheduler",
        "BackendServerPort",
        "BackendPort",
        "BackendServers",
        "StickySession",
        "DefaultActions",
    ];
    if !known.iter().any(|k| field(node, k).is_some()) {
        cx.ledger.all(node, Class::Exact, "only names a listener");
        return None;
    }
    let name = if field(node, "ListenerPort").is_some() { "ListenerPort" } else { "FrontendPort" };
    let (at, port) = cx.number(node, name)?;
    let Some(port) = u16::try_from(port).ok().filter(|p| *p > 0) else {
        cx.ledger.give_up(node, "no such port");
        return None;
    };
    if let Some((_, "stopped" | "Stopped")) = cx.text(node, "Status").or(cx.text(node, "ListenerStatus")) {
        cx.ledger.all(node, Class::Exact, "the listener is stopped: it is not opened");
        return None;
    }
    let mut tls = false;
    let protocol = cx.text(node, "ListenerProtocol").or(cx.text(node, "Protocol"));
    match protocol.map_or("http".to_owned(), |(_, p)| p.to_ascii_lowercase()).as_str() {
        "http" => {}
        "https" if cx.can.ssl => tls = true,
        "https" | "quic" => {
            cx.ledger.give_up(node, "needs TLS (listen … ssl), and the certificate is not in the input");
            return None;
        }
        "tcp" | "udp" | "tcpssl" => {
            cx.ledger.give_up(node, "needs \"stream\"");
            return None;
        }
        _ => {
            cx.ledger.give_up(node, "no such protocol");
            return None;
        }
    }
    protocol.into_iter().for_each(|(n, _)| cx.ledger.exact(n, ""));
    cx.ledger.exact(at, "");
    let mut lines = if tls { certificates(cx, node, at, port) } else { Vec::new() };
    lines.extend(listener_lines(cx, node));
    let listen = Listen { port, at: at.place, lines, tls };
    if let Some((n, true)) = cx.switch(node, "ListenerForward") {
        let to = cx.number(node, "ForwardPort").filter(|(_, p)| (1..=65535).contains(p));
        let code = cx.number(node, "ForwardCode");
        let status = code.map_or(301, |(_, c)| c);
        if let Some((p, to)) = to.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) {
            [n, p].into_iter().chain(code.map(|(c, _)| c)).for_each(|n| cx.ledger.exact(n, "a redirect"));
            let port = if to == 443 { String::new() } else { format!(":{to}") };
            let words = ["return".to_owned(), status.to_string(), format!("https://$host{port}$request_uri")];
            let lines = vec![Line::new(Some(n.place), words)];
            let location = Location { cite: Some(n.place), modifier: "", path: "/".to_owned(), lines };
            let _ = cx.place(&listen, "", location);
            cx.ledger.all(node, Class::Exact, "the redirect answers everything");
            return Some(listen);
        }
        cx.ledger.dropped(n, "a port and a status of a redirect are expected");
    }
    if let Some(actions) = field(node, "DefaultActions") {
        actions_at(cx, lb, &listen, actions, &[(String::new(), ("", "/".to_owned()))]);
    } else {
        let wanted = format!("lb_{port}");
        let upstream = slb_group(cx, lb, node, node, &wanted);
        let lines = pass(cx, node, upstream.as_deref());
        let location = Location { cite: Some(node.place), modifier: "", path: "/".to_owned(), lines };
        let _ = cx.place(&listen, "", location);
    }
    for rule in field(node, "Rules").map_or(&[][..], list) {
        if field(rule, "RuleConditions").is_some() {
            alb::rule(cx, lb, &listen, rule);
        } else {
            slb_rule(cx, lb, &listen, node, rule);
        }
    }
    Some(listen)
}

/// What a listener with TLS says: the certificates are named and not in the input.
fn certificates(cx: &mut Cx, node: &Node, at: &Node, port: u16) -> Vec<Line> {
    use super::super::certificates::{NOTE, clients, lines};
    let listed = field(node, "Certificates").and_then(|n| n.items().first());
    let id = cx.text(node, "ServerCertificateId").or_else(|| cx.text(listed?, "CertificateId"));
    let name = id.map_or_else(|| format!("lb_{port}"), |(_, id)| id.to_owned());
    let cite = Some(id.map_or(at.place, |(n, _)| n.place));
    let mut out = lines(cite, &name, &name);
    let listed = field(node, "CaCertificates").and_then(|n| n.items().first());
    let authority = cx.text(node, "CACertificateId").or_else(|| cx.text(listed?, "CertificateId"));
    let asked = cx.switch(node, "CaEnabled").is_some_and(|(_, on)| on)
        || authority.is_some_and(|(_, id)| !id.is_empty());
    if asked {
        let name = authority.map_or_else(|| format!("lb_{port}_ca"), |(_, id)| id.to_owned());
        out.extend(clients(authority.map(|(n, _)| n.place).or(cite), "on", &name));
    }
    for key in ["ServerCertificateId", "Certificates", "CACertificateId", "CaCertificates", "CaEnabled"] {
        if let Some(n) = field(node, key) {
            cx.ledger.all(n, Class::Approximated, NOTE);
        }
    }
    if id.is_none() {
        cx.ledger.approximated(at, NOTE);
    }
    for key in ["TLSCipherPolicy", "SecurityPolicyId"] {
        let Some((n, policy)) = cx.text(node, key) else { continue };
        let versions: &[&str] = match policy.trim_start_matches("tls_cipher_policy_") {
            "1_0" => &["TLSv1", "TLSv1.1", "TLSv1.2"],
            "1_1" => &["TLSv1.1", "TLSv1.2"],
            "1_2" | "1_2_strict" => &["TLSv1.2"],
            "1_2_strict_with_1_3" => &["TLSv1.2", "TLSv1.3"],
            _ => &[],
        };
        if versions.is_empty() {
            cx.ledger.dropped(n, "this policy is not known: say \"ssl_protocols\" and \"ssl_ciphers\"");
        } else {
            cx.ledger.approximated(n, "the protocols; the ciphers are those of the TLS library");
            out.push(Line::new(Some(n.place), ["ssl_protocols"].into_iter().chain(versions.iter().copied())));
        }
    }
    for key in ["EnableHttp2", "Http2Enabled"] {
        if let Some((n, on)) = cx.switch(node, key).filter(|_| cx.can.h2) {
            cx.ledger.exact(n, "");
            out.extend(on.then(|| Line::new(Some(n.place), ["http2", "on"])));
        }
    }
    out
}

/// What the server itself says.
fn listener_lines(cx: &mut Cx, node: &Node) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some((n, seconds)) = cx.number(node, "IdleTimeout") {
        cx.ledger.exact(n, "");
        lines.push(Line::new(Some(n.place), ["keepalive_timeout".to_owned(), format!("{seconds}s")]));
    }
    if let Some((n, true)) = cx.switch(node, "AclStatus") {
        for key in ["AclStatus", "AclType", "AclId", "AclIds"] {
            if let Some(n) = field(node, key) {
                cx.ledger.drop_all(
                    n,
                    "the addresses of the list are not in the input: nobody gets in until you say who may",
                );
            }
        }
        lines.push(Line::new(Some(n.place), ["deny", "all"]));
    }
    for key in ["AclStatus", "AclType", "AclId", "AclIds"] {
        if let Some(n) = field(node, key) {
            cx.ledger.all(n, Class::Exact, "the list is off");
        }
    }
    match cx.text(node, "Bandwidth") {
        Some((n, "-1" | "0")) => cx.ledger.exact(n, "no limit"),
        Some((n, _)) => cx.ledger.dropped(n, "no limit on a listener's bandwidth"),
        None => {}
    }
    for name in ["Gzip", "GzipEnabled"] {
        match cx.switch(node, name) {
            Some((n, true)) => cx.ledger.dropped(n, "needs \"gzip\""),
            Some((n, false)) => cx.ledger.exact(n, ""),
            None => {}
        }
    }
    let mut unknown = |names: &[&str], why: &str| {
        for name in names {
            if let Some(n) = field(node, name) {
                cx.ledger.all(n, Class::Exact, why);
            }
        }
    };
    unknown(
        &[
            "EnableHttp2",
            "Http2Enabled",
            "ServerCertificateId",
            "CACertificateId",
            "TLSCipherPolicy",
            "SecurityPolicyId",
            "Certificates",
            "CaCertificates",
            "CaEnabled",
        ],
        "without TLS it says nothing",
    );
    cx.absent(node, &[("QuicConfig", "no HTTP/3"), ("LogConfig", "say \"access_log\"")]);
    cx.silent(
        node,
        &["LoadBalancerId", "ListenerId", "Description", "ListenerDescription", "Status", "ListenerStatus"],
    );
    lines
}

/// A location of a listener: timeouts, headers, the upstream.
fn pass(cx: &mut Cx, node: &Node, upstream: Option<&str>) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some((n, seconds)) = cx.number(node, "RequestTimeout") {
        cx.ledger.exact(n, "");
        lines.push(Line::new(Some(n.place), ["proxy_read_timeout".to_owned(), format!("{seconds}s")]));
    }
    let mut header = |cx: &mut Cx, n: &Node, name: &str, value: &str| {
        cx.ledger.exact(n, "");
        lines.push(Line::new(Some(n.place), ["proxy_set_header", name, value]));
    };
    // Without the field the classic balancer adds the header too.
    match cx.switch(node, "XForwardedFor") {
        Some((n, true)) => header(cx, n, "X-Forwarded-For", "$proxy_add_x_forwarded_for"),
        Some((n, false)) => cx.ledger.exact(n, ""),
        None if upstream.is_some() => header(cx, node, "X-Forwarded-For", "$proxy_add_x_forwarded_for"),
        None => {}
    }
    for (field, name, value) in [
        ("XForwardedFor_proto", "X-Forwarded-Proto", "$scheme"),
        ("XForwardedFor_SLBIP", "SLB-IP", "$server_addr"),
        ("XForwardedFor_SLBPORT", "X-Forwarded-Port", "$server_port"),
        ("XForwardedFor_ClientSrcPort", "X-Forwarded-Client-srcport", "$remote_port"),
    ] {
        match cx.switch(node, field) {
            Some((n, true)) => header(cx, n, name, value),
            Some((n, false)) => cx.ledger.exact(n, ""),
            None => {}
        }
    }
    cx.absent(
        node,
        &[
            ("XForwardedFor_SLBID", "the balancer has no id here"),
            ("XForwardedForConfig", "say it with proxy_set_header"),
        ],
    );
    lines.extend(cx.pass(upstream));
    lines
}

fn slb_rule(cx: &mut Cx, lb: &mut Lb<'_>, listen: &Listen, listener: &Node, rule: &Node) {
    let domain = cx.text(rule, "Domain").filter(|(_, d)| !d.is_empty());
    let url = cx.text(rule, "Url").filter(|(_, u)| !u.is_empty());
    let name = match domain {
        Some((n, d)) => match server_name(d) {
            Some(name) => {
                cx.ledger.exact(n, "");
                name
            }
            None => return cx.ledger.give_up(rule, "the domain cannot be a server's name"),
        },
        None => String::new(),
    };
    let Some((modifier, path)) = path(url.map_or("/", |(_, u)| u)) else {
        return cx.ledger.give_up(rule, "this is no path");
    };
    url.into_iter().for_each(|(n, _)| cx.ledger.exact(n, ""));
    // "on": the listener's settings hold for the rule.
    let synced = cx.switch(rule, "ListenerSync");
    let on = synced.is_none_or(|(_, on)| on);
    synced.into_iter().for_each(|(n, _)| cx.ledger.exact(n, ""));
    let settings = if on { listener } else { rule };
    let wanted = match cx.text(rule, "RuleName") {
        Some((_, n)) => format!("lb_{}_{n}", listen.port),
        None => format!("lb_{}_rule", listen.port),
    };
    cx.silent(rule, &["RuleName", "RuleId", "LoadBalancerId", "ListenerPort"]);
    let upstream = slb_group(cx, lb, settings, rule, &wanted);
    let lines = pass(cx, listener, upstream.as_deref());
    let location = Location { cite: Some(rule.place), modifier, path, lines };
    if let Err(why) = cx.place(listen, &name, location) {
        cx.ledger.give_up(rule, why);
        cx.ledger.dropped(rule, why);
    }
}
