//! NGINX Plus: what the open nginx has not.

use super::super::can::Can;
use super::super::input::{Input, Problem};
use super::super::report::{Class, Fate as Kept, Report, Sessions};
use super::super::writer::Text;
use super::doc::Item;
use super::settle::{self, For};
use super::{Cx, blocks, checks, rewrite};

pub(in super::super) fn plus(inputs: &[Input], can: Can, report: &mut Report) -> Result<Text, Problem> {
    rewrite(inputs, can, report, "NGINX Plus", |cx, items| {
        blocks(items, "main", &mut |items, within| {
            for item in items.iter_mut() {
                line(cx, item, within);
            }
        });
        checks::convert(cx, items);
        balancers(cx, items);
        settle::settle(cx, items, For::Tenrec);
        sessions(cx, items);
    })
}

/// What only Plus has, and why it is not here.
const ABSENT: &[(&str, &str)] = &[
    ("api", "no API of this kind: see \"tenrec peers\""),
    ("dashboard", "no dashboard"),
    ("f4f", "no such format"),
    ("f4f_buffer_size", "no such format"),
    ("fastcgi_cache_purge", "no cache to purge"),
    ("hls", "no such format"),
    ("internal_redirect", "say \"try_files\" or \"return\""),
    ("keyval", "nothing changes such a variable: say \"map\""),
    ("keyval_zone", "nothing changes such a variable: say \"map\""),
    ("mgmt", "no licence is asked for"),
    ("mqtt", "no such protocol"),
    ("ntlm", "a connection is not bound to a client"),
    ("proxy_cache_purge", "no cache to purge"),
    ("queue", "no queue: past \"max_conns\" the answer is 502"),
    ("session_log", "no such log"),
    ("session_log_format", "no such log"),
    ("session_log_zone", "no such log"),
    ("state", "the servers that the API put there are not read: write them out"),
    ("status", "no page of this kind: say \"stub_status\""),
    ("status_format", "no page of this kind"),
    ("status_zone", "no counters of this kind"),
    ("upstream_conf", "servers are changed in the file"),
    ("zone_sync", "zones are of one machine: see \"store=\" of \"sticky learn\""),
    ("zone_sync_server", "zones are of one machine"),
];

fn line(cx: &Cx<'_>, item: &mut Item, within: &str) {
    if item.is_comment() || settle::is_table(within) {
        return;
    }
    if let Some((_, why)) = ABSENT.iter().find(|(name, _)| item.is(name)) {
        item.drop(why);
        return;
    }
    if item.is("sticky_cookie_insert") {
        let words: Vec<String> = ["sticky", "cookie"]
            .map(str::to_owned)
            .into_iter()
            .chain(item.args.iter().map(|w| w.value.clone()))
            .collect();
        item.become_words(words);
        item.mark(Class::Exact, "nginx's later name of it");
    }
    if item.is("sticky") && item.remove(|w| w == "sync") {
        item.mark(Class::Dropped, "sync: the table is this machine's; \"store=\" shares it");
    }
    if item.is("limit_req_zone") && item.remove(|w| w == "sync") {
        item.mark(Class::Dropped, "sync: the zone is this machine's");
    }
    if item.is("server") && within == "upstream" {
        server(cx, item);
    }
}

fn server(cx: &Cx<'_>, item: &mut Item) {
    if !cx.can.slow_start && item.remove(|w| w.starts_with("slow_start=")) {
        item.mark(Class::Dropped, "slow_start: a server that comes back gets its whole share at once");
    }
    if !cx.can.resolve && item.remove(|w| w == "resolve") {
        item.mark(Class::Dropped, "resolve: the name is looked up when the file is read");
    }
    if !cx.can.resolve && item.param("service").is_some() {
        item.drop("service: SRV records are not asked for");
    }
}

/// Balancers that this program may not have.
fn balancers(cx: &Cx<'_>, items: &mut Vec<Item>) {
    if cx.can.least_time {
        return;
    }
    blocks(items, "main", &mut |items, within| {
        for item in items.iter_mut().filter(|_| within == "upstream") {
            let random = item.is("random") && item.arg(1).starts_with("least_time");
            if item.is("least_time") {
                item.become_words(["least_conn"]);
                item.mark(Class::Approximated, "the fewest connections, not the shortest time");
            } else if random {
                item.become_words(["random", "two", "least_conn"]);
                item.mark(Class::Approximated, "the fewest connections, not the shortest time");
            }
        }
    });
}

/// What becomes of the sessions of each upstream; of those that nobody has spoken for.
pub(super) fn sessions(cx: &mut Cx<'_>, items: &mut Vec<Item>) {
    blocks(items, "main", &mut |items, _| {
        for item in items.iter().filter(|i| i.is("upstream")) {
            let name = item.arg(0);
            let Some(line) = item.inside().iter().find(|i| i.is("sticky")) else { continue };
            if cx.report.sessions.iter().any(|s| s.upstream == name) {
                continue;
            }
            let (fate, why) = match line.arg(0) {
                "cookie" => (Kept::Kept, format!("cookie \"{}\": the values are the same", line.arg(1))),
                "route" => (Kept::Kept, "the routes are the same".to_owned()),
                _ => (
                    Kept::Lost,
                    "the table is in the old system's memory: each session is balanced anew once".to_owned(),
                ),
            };
            cx.report.sessions.push(Sessions { upstream: name.to_owned(), fate, why });
        }
    });
}
