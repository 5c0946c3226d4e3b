//! The rules, each with what will happen to whom.

use super::Finding;
use super::facts::{Facts, Upstream, parameter, value};
use super::ignore::{behind, ignored};
use crate::diag::{Diag, Severity, Span};
use crate::source::{Conf, Dir};
use crate::values;

/// Shorter than this, a cookie is likely to end before the session of an application does.
const SESSION: u64 = 30 * 60;

/// Everything there is to say, in the order of the rules. The configuration may have errors.
pub fn lint(conf: &Conf) -> Vec<Finding> {
    let facts = Facts::of(conf);
    let mut all = Rules { facts: &facts, list: Vec::new() };
    for upstream in &facts.upstreams {
        all.order(upstream);
        all.cookie(upstream);
        all.tengine(upstream);
        all.values(upstream);
        all.keys(upstream);
        all.learn(upstream);
    }
    all.clashes();
    all.passes();
    all.others();
    all.list.retain(|f| !ignored(&conf.map, &f.diag));
    all.list
}

struct Rules<'f, 'c> {
    facts: &'f Facts<'c>,
    list: Vec<Finding>,
}

fn show(text: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text)
}

/// A parameter with the blank before it.
fn whole(dir: Dir<'_>, i: usize) -> Span {
    let start = if i == 0 { dir.node().name.span.end } else { dir.arg_span(i - 1).end };
    Span { start, ..dir.arg_span(i) }
}

impl<'c> Rules<'_, 'c> {
    fn say(&mut self, rule: &'static str, dir: Dir<'_>, span: Span, what: String, then: &str) {
        let diag = Diag::new(Severity::Warn, rule, what).with_span(span).with_at(dir.at()).with_hint(then);
        self.list.push(Finding { diag, edits: Vec::new() });
    }

    fn fix(&mut self, edits: Vec<(Span, Vec<u8>)>) {
        // Edits stay within one file.
        if let (Some(last), Some((first, _))) = (self.list.last_mut(), edits.first())
            && edits.iter().all(|(span, _)| span.file == first.file)
        {
            last.edits = edits;
        }
    }

    fn note(&mut self) {
        if let Some(last) = self.list.last_mut() {
            last.diag.severity = Severity::Notice;
        }
    }

    /// S2: a balancer after the session directive.
    fn order(&mut self, upstream: &Upstream<'c>) {
        let Some(sticky) = upstream.sticky else { return };
        let at = upstream.lines.iter().position(|d| d.span() == sticky.span()).unwrap_or(0);
        let methods = ["ip_hash", "hash", "least_conn", "random", "least_time"];
        let Some(method) = upstream.lines.iter().skip(at).find(|d| methods.contains(&d.name())) else {
            return;
        };
        let what = format!("\"{}\" stands after \"{}\"", method.name(), sticky.name());
        let then = "nginx and Tengine forget the sessions: every request of every client is balanced anew; here both \
                    hold; put the balancer first";
        self.say("S2", *method, method.span(), what, then);
        if !method.has_block() && method.file == sticky.file {
            let map = &method.conf.map;
            let place = Span { end: sticky.span().start, ..sticky.span() };
            let moved = [map.text(method.span()), b"\n    "].concat();
            self.fix(vec![(place, moved), (method.span(), Vec::new())]);
        }
    }

    /// S3, S14, S17: attributes of the cookie.
    fn cookie(&mut self, upstream: &Upstream<'c>) {
        let Some(sticky) = upstream.cookie().or(upstream.tengine()) else { return };
        let none = value(sticky, b"samesite=").is_some_and(|v| v.eq_ignore_ascii_case(b"none"));
        if let Some(i) = parameter(sticky, b"samesite=").filter(|_| none)
            // With "secure=auto" it is refused.
            && !sticky.args().iter().any(|w| w.value.starts_with(b"secure"))
        {
            let then =
                "browsers throw such a cookie away: every request of every browser gets another server";
            self.say(
                "S3",
                sticky,
                sticky.arg_span(i),
                "\"samesite=none\" without \"secure\"".to_owned(),
                then,
            );
            self.fix(vec![(behind(sticky), b" secure".to_vec())]);
        }
        if let Some(i) = parameter(sticky, b"domain=$host").or(parameter(sticky, b"domain=$http_host")) {
            let what = format!("\"{}\"", show(&sticky.args()[i].value));
            let then = "a browser that came by an IP address or with a port in its Host throws the cookie away and \
                        loses its server; without \"domain\" it goes to the same host anyway";
            self.say("S14", sticky, sticky.arg_span(i), what, then);
            self.fix(vec![(whole(sticky, i), Vec::new())]);
        }
        let dated = [&b"expires="[..], b"maxage=", b"maxidle="].iter().find_map(|name| {
            let seconds = value(sticky, name).and_then(values::sec)?;
            (0 < seconds && seconds < SESSION).then(|| parameter(sticky, name)).flatten()
        });
        if let Some(i) = dated {
            let what = format!("\"{}\" is short for a session", show(&sticky.args()[i].value));
            let then = "applications keep sessions for half an hour as a rule: a client that pauses longer than this \
                        comes to a server that does not know it";
            self.say("S17", sticky, sticky.arg_span(i), what, then);
        }
    }

    /// S1, S7, S12: Tengine's parameters.
    fn tengine(&mut self, upstream: &Upstream<'c>) {
        let Some(sticky) = upstream.tengine() else { return };
        let needs = [&b"option=indirect"[..], b"mode=prefix"].iter().find_map(|p| parameter(sticky, p));
        let hides = |d: &Dir<'_>| {
            matches!(d.name(), "session_sticky_hide_cookie" | "session_sticky_header")
                && value(*d, b"upstream=").is_some_and(|n| n.eq_ignore_ascii_case(upstream.name))
        };
        if let Some(i) = needs.filter(|_| !self.facts.others.iter().any(hides)) {
            let name = show(upstream.name);
            let what = format!("\"{}\" and no location hides the cookie", show(&sticky.args()[i].value));
            let then = format!(
                "with Tengine no client keeps its server; tenrec hides the cookie all the same; write \
                 \"session_sticky_hide_cookie upstream={name};\" where proxy_pass is"
            );
            self.say("S1", sticky, sticky.arg_span(i), what, &then);
        }
        let plain = value(sticky, b"hash=").is_some_and(|v| v.starts_with(b"plain"));
        let named = plain && upstream.servers().all(|s| value(s, b"id=").is_some());
        if upstream.strict().is_some()
            && !named
            && let Some(i) = parameter(sticky, b"fallback=")
        {
            let then = "when a server's address changes, whoever has its cookie gets 502 until the cookie is gone; give \
                        each server an \"id=\" and write \"hash=plain\"";
            let what = "\"fallback=off\" with cookies that are made of addresses".to_owned();
            self.say("S7", sticky, sticky.arg_span(i), what, then);
        }
        let timed = value(sticky, b"maxidle=").is_some() || value(sticky, b"maxlife=").is_some();
        if let Some(i) = parameter(sticky, b"maxage=").filter(|_| timed) {
            let what = "\"maxage\" beside \"maxidle\" or \"maxlife\"".to_owned();
            let then = "it is ignored: clients lose their server when the browser ends, not when it says";
            self.say("S12", sticky, sticky.arg_span(i), what, then);
            self.fix(vec![(whole(sticky, i), Vec::new())]);
        }
    }

    /// S4, S13: values that are made of addresses.
    fn values(&mut self, upstream: &Upstream<'c>) {
        let Some(sticky) = upstream.cookie().or(upstream.tengine()) else { return };
        let plain = value(sticky, b"hash=").is_some_and(|v| v.starts_with(b"plain"));
        let name: &[u8] = if upstream.tengine().is_some() { b"id=" } else { b"route=" };
        let counts = upstream.cookie().is_some() || plain;
        let bare = upstream.servers().any(|s| !counts || value(s, name).is_none());
        let signed = upstream.signed(self.facts);
        if bare && !signed && self.public() {
            let then = format!(
                "whoever gets one can find the server's address by trying all, and can choose a server; sign them with \
                 \"session_sticky_key\", or give servers a \"{}\"{}",
                show(name),
                if counts { "" } else { " and write \"hash=plain\"" }
            );
            let what = "cookies are made of servers' addresses, without a key".to_owned();
            self.say("S4", sticky, sticky.node().name.span, what, &then);
            self.note();
        }
        if let Some(accept) = upstream.lines.iter().find(|d| d.name() == "sticky_accept").filter(|_| signed) {
            let what = "\"sticky_accept\" where cookies are signed".to_owned();
            let then = "values of the other product are honoured without a signature: whoever can make one chooses a server; \
                        take it out when the old cookies have gone";
            self.say("S4", *accept, accept.span(), what, then);
            self.note();
        }
        for server in upstream.servers() {
            let text = server.arg(0);
            let unix = text.starts_with(b"unix:");
            let port = values::server(text).is_ok_and(|a| a.port.is_some());
            if !unix && !port && !text.contains(&b'$') {
                let what = format!("\"{}\" has no port", show(text));
                let then = "clients with cookies of nginx-sticky-module-ng, which are made of the text as written, lose \
                            their server when a port is added, or when it is left out";
                self.say("S13", server, server.arg_span(0), what, then);
                self.note();
            }
        }
    }

    /// Whether anybody from elsewhere can come.
    fn public(&self) -> bool {
        let mut listens = self.facts.others.iter().filter(|d| d.name() == "listen").peekable();
        let local = |d: &Dir<'_>| {
            [&b"127."[..], b"[::1]", b"unix:", b"localhost"].iter().any(|l| d.arg(0).starts_with(l))
        };
        listens.peek().is_none() || !listens.all(local)
    }

    /// S8, S9: keys of clients.
    fn keys(&mut self, upstream: &Upstream<'c>) {
        let realip = self.facts.others.iter().any(|d| d.name() == "set_real_ip_from");
        let forwarded = |d: &Dir<'_>| {
            d.args().iter().any(|w| {
                let text = w.value.to_ascii_lowercase();
                [&b"x_forwarded_for"[..], b"x-forwarded-for"]
                    .iter()
                    .any(|n| memchr::memmem::find(&text, n).is_some())
            })
        };
        if let Some(dir) = upstream.lines.iter().find(|d| d.name() == "ip_hash")
            && !realip
            && self.facts.others.iter().any(forwarded)
        {
            let then = "behind another proxy all clients have its address and come to one server; write \
                        \"set_real_ip_from\" for it, or keep sessions by a cookie";
            let what = "\"ip_hash\" beside X-Forwarded-For and without \"set_real_ip_from\"".to_owned();
            self.say("S8", *dir, dir.span(), what, then);
        }
        let Some(dir) = upstream.lines.iter().find(|d| d.name() == "hash") else { return };
        if may_be_empty(dir.arg(0)) {
            let what = format!("the key \"{}\" may be empty", show(dir.arg(0)));
            let then = "clients without it keep no server: they are taken in turn; add what every request has, as \
                        $remote_addr";
            self.say("S9", *dir, dir.arg_span(0), what, then);
        }
    }

    /// S11: the memory of `sticky learn`; S15: what nginx sells.
    fn learn(&mut self, upstream: &Upstream<'c>) {
        let Some(sticky) = upstream.sticky.filter(|d| d.name() == "sticky" && d.arg(0) == b"learn") else {
            return;
        };
        let size = value(sticky, b"zone=")
            .and_then(|zone| zone.rsplit(|&b| b == b':').next())
            .and_then(values::size);
        if let (Some(size), Some(i)) = (size, parameter(sticky, b"zone="))
            && size < 1 << 20
        {
            let what = format!("\"{}\" is small", show(&sticky.args()[i].value));
            let then = "nginx keeps about 4000 sessions in a megabyte, tenrec 15360; when it is full the oldest lose their \
                        server, and nginx drops all of them when the size changes: take enough at once";
            self.say("S11", sticky, sticky.arg_span(i), what, then);
        }
        if let Some(i) = parameter(sticky, b"sync") {
            let then = "only NGINX Plus has it; elsewhere the configuration is refused";
            self.say("S15", sticky, sticky.arg_span(i), "\"sync\" of \"sticky learn\"".to_owned(), then);
        }
    }

    /// S5, S10: names of cookies.
    fn clashes(&mut self) {
        let facts = self.facts;
        let servers = |i: usize| {
            let of = facts.passes.iter().filter(move |p| p.upstream == i);
            of.filter_map(|p| p.around.iter().find(|d| d.name() == "server").map(|d| d.span()))
                .collect::<Vec<_>>()
        };
        for (i, upstream) in facts.upstreams.iter().enumerate() {
            let (Some(sets), Some(sticky)) = (upstream.sets(), upstream.sticky) else { continue };
            let mine = servers(i);
            let same = |(j, other): &(usize, &Upstream<'c>)| {
                other.sets() == Some(sets) && servers(*j).iter().any(|s| mine.contains(s))
            };
            if let Some((_, other)) = facts.upstreams.iter().enumerate().take(i).find(same) {
                let what = format!(
                    "upstream \"{}\" has a cookie \"{}\" with this path too",
                    show(other.name),
                    show(sets.0)
                );
                let then = "a client of both has one cookie for the two: whenever it comes to one of them it loses its \
                            server in the other; give one another name or path";
                self.say("S5", sticky, sticky.node().name.span, what, then);
            }
            if upstream.tengine().is_none() {
                continue;
            }
            let own = facts.upstreams.iter().filter_map(|u| u.sets().map(|(name, _)| name));
            let used = facts.others.iter().flat_map(|d| d.args()).filter_map(|w| {
                let at = memchr::memmem::find(&w.value, b"$cookie_")?;
                let name = w.value.get(at + 8..).unwrap_or_default();
                let end =
                    name.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(name.len());
                name.get(..end)
            });
            let longer =
                |name: &&[u8]| name.len() > sets.0.len() && memchr::memmem::find(name, sets.0).is_some();
            if let Some(other) = own.chain(used).find(longer) {
                let what = format!("\"{}\" is a part of the cookie name \"{}\"", show(sets.0), show(other));
                let then = "Tengine takes the first text that looks like it: clients with both follow the wrong one; \
                            tenrec reads names whole";
                self.say("S10", sticky, sticky.node().name.span, what, then);
            }
        }
    }

    /// S6, S16: locations that pass.
    fn passes(&mut self) {
        let facts = self.facts;
        for pass in &facts.passes {
            let upstream = &facts.upstreams[pass.upstream];
            let private = upstream.sticky.is_some_and(|d| d.args().iter().any(|w| *w.value == *b"nocache"));
            if upstream.sets().is_some() && !private {
                let on = |d: &Dir<'_>| d.arg(0) != b"off";
                let later = |d: &Dir<'_>| {
                    on(d) && !d.arg(0).starts_with(b"-") && !matches!(d.arg(0), b"epoch" | b"0")
                };
                let cache = pass.setting("proxy_cache").filter(on).or(pass.setting("expires").filter(later));
                if let Some(cache) = cache {
                    let what = format!("\"{}\" where session cookies are set", cache.name());
                    let then = "an answer that is kept with a cookie gives every later client the first one's server; keep \
                                what is cached apart from what has sessions";
                    self.say("S6", cache, cache.span(), what, then);
                }
            }
            if upstream.strict().is_some()
                && let Some(next) = pass.setting("proxy_next_upstream")
                && let Some(i) = parameter(next, b"non_idempotent")
            {
                let what = format!("\"non_idempotent\" and \"fallback=off\" of \"{}\"", show(upstream.name));
                let then = "clients' orders and payments are sent again, to the only server that they may have: it may do \
                            them twice; leave it out";
                self.say("S16", next, next.arg_span(i), what, then);
                self.fix(vec![(whole(next, i), Vec::new())]);
            }
        }
        // A setting that several locations have from outside is told of once.
        let mut seen = std::collections::HashSet::new();
        self.list.retain(|f| seen.insert((f.diag.code, f.diag.span, f.diag.message.clone())));
    }

    /// S15: directives that others do not know, or not any more.
    fn others(&mut self) {
        let facts = self.facts;
        for dir in &facts.others {
            if dir.name() == "session_sticky_header" {
                let then = "Tengine warns of it; \"session_sticky_hide_cookie\" does the same";
                self.say(
                    "S15",
                    *dir,
                    dir.node().name.span,
                    "\"session_sticky_header\" is deprecated".to_owned(),
                    then,
                );
                let switch = dir.args().iter().position(|w| w.value.starts_with(b"switch="));
                if value(*dir, b"switch=") != Some(b"off") {
                    let mut edits = vec![(dir.node().name.span, b"session_sticky_hide_cookie".to_vec())];
                    edits.extend(switch.map(|i| (whole(*dir, i), Vec::new())));
                    self.fix(edits);
                }
            }
        }
        for dir in
            facts.upstreams.iter().filter_map(|u| u.sticky).filter(|d| d.name() == "sticky_cookie_insert")
        {
            let what = "\"sticky_cookie_insert\" is NGINX Plus's earlier name".to_owned();
            let then = "nginx refuses the configuration; \"sticky cookie\" does the same there and here";
            self.say("S15", dir, dir.node().name.span, what, then);
            self.fix(vec![(dir.node().name.span, b"sticky cookie".to_vec())]);
        }
    }
}

/// Whether a text consists of variables that a request may not have.
fn may_be_empty(key: &[u8]) -> bool {
    let maybe = ["cookie_", "arg_", "http_", "args", "query_string", "remote_user", "is_args"];
    let mut rest = key;
    while let Some(after) = rest.strip_prefix(b"$") {
        let after = after.strip_prefix(b"{").unwrap_or(after);
        let end = after.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        if name == b"http_host" || !maybe.iter().any(|m| name.starts_with(m.as_bytes())) {
            return false;
        }
        rest = tail.strip_prefix(b"}").unwrap_or(tail);
    }
    rest.is_empty() && !key.is_empty()
}
