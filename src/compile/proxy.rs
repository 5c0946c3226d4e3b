//! `proxy_pass`: where it goes, and the settings that hold for it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::Builder;
use super::checks::checked;
use super::learn;
use super::locations::Effective;
use super::{pins, upstream};
use crate::config::{self, IGNORE, Location, Pass, PassTo, Redirect, Step, Subject, Target, Text, show};
use crate::diag::{Diag, Diags, Severity};
use crate::plan::{
    LocMatch, NextUpstream, Part, PeerAddr, Proxy, ProxyRedirect, ProxySet, ProxyTo, RedirectFrom, Template,
    UpstreamId, Var, VarId,
};
use crate::sys;

/// The upstreams by name: blocks, and those that a `proxy_pass` to an address makes.
#[derive(Debug, Default)]
pub struct Upstreams {
    /// Lower-case names of blocks.
    blocks: HashMap<Box<[u8]>, UpstreamId>,
    /// `None`: the host is unknown.
    implicit: HashMap<HostPort, Option<UpstreamId>>,
}

/// Lower-case host, port, and whether it is the path of a unix socket.
type HostPort = (Box<[u8]>, u16, bool);

/// `proxy_redirect` in effect.
#[derive(Debug, Clone, Default)]
pub struct Redirects {
    off: bool,
    rules: Option<Rc<Vec<(RedirectFrom, Template)>>>,
}

/// nginx's default fields of a request, all empty: the client's are not passed. Those of framing are the proxy's.
const DROPPED: [&[u8]; 6] = [b"Connection", b"Proxy-Connection", b"TE", b"Keep-Alive", b"Expect", b"Upgrade"];

/// nginx's default list of `proxy_hide_header`.
const HIDDEN: [&[u8]; 8] = [
    b"date",
    b"server",
    b"x-pad",
    b"x-accel-expires",
    b"x-accel-redirect",
    b"x-accel-limit-rate",
    b"x-accel-buffering",
    b"x-accel-charset",
];

impl Builder<'_> {
    /// Compiles the `upstream` blocks.
    pub fn name_upstreams(&mut self) {
        if let Some(resolver) = self.http.level.core.as_ref().and_then(|c| c.resolver()) {
            // Its hosts must be known even where nothing is looked up.
            self.resolver(&resolver);
        }
        let mut diags = Diags::new();
        config::upstream::duplicates(&self.http.upstreams, &mut diags);
        config::upstream::shared_zones(&self.http.upstreams, &mut diags);
        for block in &self.http.upstreams {
            let id = UpstreamId(self.plan.upstreams.len() as u32);
            let names = &mut self.names;
            let mut template = |source: upstream::Source<'_>| match source {
                upstream::Source::Text(text) => names.template(&Text::well_formed(text)),
                upstream::Source::Variable(name) => {
                    names.template(&Text { tokens: vec![config::Tok::Var(name.to_ascii_lowercase().into())] })
                }
            };
            let mut built = upstream::upstream(block, &mut diags, &mut template);
            learn::files(&mut built, block, self.prefix, &mut diags);
            pins::sign(&mut built, block, &self.http.keys, self.prefix, &mut diags);
            self.resolved(block, &mut built, &mut diags);
            self.upstreams.blocks.entry(block.name.to_ascii_lowercase().into()).or_insert(id);
            self.plan.upstreams.push(built);
        }
        let mut checks = Diags::new();
        self.plan.checked = checked(&self.plan.upstreams, self.http.close, &mut checks);
        self.found.adopt(checks, self.http.close, Step::Upstreams);
        learn::shared(&self.plan.upstreams, &self.http.upstreams, &mut diags);
        // nginx looks names up as it reads a `server` line, and counts servers at the end.
        let (late, early): (Vec<Diag>, Vec<Diag>) =
            diags.iter().cloned().partition(|d| matches!(d.code, "no-servers" | "no-resolver"));
        let collect = |list: Vec<Diag>| {
            let mut diags = Diags::new();
            list.into_iter().for_each(|d| diags.push(d));
            diags
        };
        self.found.adopt(collect(early), None, Step::Read);
        self.found.adopt(collect(late), self.http.close, Step::Upstreams);
    }

    fn target(&mut self, target: &Target, pass: &Pass) -> Option<UpstreamId> {
        let host: Box<[u8]> = target.host.to_ascii_lowercase().into();
        if let Some(&id) = self.upstreams.blocks.get(&host) {
            if let Some(port) = target.port {
                let words = format!("upstream \"{}\" may not have port {port}", show(&target.host));
                self.found.emerg(pass.at, "bad-value", words);
                return None;
            }
            return Some(id);
        }
        let port = target.port.unwrap_or(target.default_port);
        let key = (host, port, target.unix);
        if let Some(&known) = self.upstreams.implicit.get(&key) {
            return known;
        }
        let id = match addresses(target) {
            Some(addrs) => {
                let shown = show(&target.host);
                self.plan.upstreams.push(upstream::implicit(&shown, port, addrs));
                Some(UpstreamId(self.plan.upstreams.len() as u32 - 1))
            }
            None => {
                let words = format!("host not found in upstream \"{}\"", show(&target.host));
                let (close, step) = (self.http.close, Step::Upstreams);
                self.found.late(close, step, Severity::Emerg, Some(pass.at), words);
                None
            }
        };
        self.upstreams.implicit.insert(key, id);
        id
    }

    /// The `proxy_*` settings of a level, made once.
    pub fn proxy_settings(&mut self, at: &Effective) -> Arc<ProxySet> {
        if let Some(set) = at.proxy_set.get() {
            return set.clone();
        }
        let set = Arc::new(self.proxy_set(at));
        at.proxy_set.get_or_init(|| set).clone()
    }

    /// What a location's `proxy_pass` does; `None` when it was refused.
    pub fn proxy(&mut self, location: &Location, pass: &Pass, at: &Effective) -> Option<Proxy> {
        let set = self.proxy_settings(at);
        let redirect = match &at.redirects {
            Redirects { off: true, .. } => ProxyRedirect::Off,
            Redirects { rules, .. } => {
                ProxyRedirect::Rules(rules.as_ref().map(|r| r.as_ref().clone()).unwrap_or_default())
            }
        };
        match &pass.to {
            PassTo::Variable(text) => Some(Proxy {
                to: ProxyTo::Variable(self.names.template(text)),
                uri: None,
                replaces: 0,
                host: Template::default(),
                port: Box::default(),
                https: false,
                tls: self.proxy_tls(at),
                redirect,
                set,
            }),
            PassTo::Url { target, https, uri, .. } => {
                let to = self.target(target, pass)?;
                self.warn_not_hidden(to, &set, pass);
                let (host, port) = target.host_and_port();
                let has_uri = !uri.is_empty();
                Some(Proxy {
                    to: ProxyTo::Upstream(to),
                    uri: has_uri.then(|| Template::text(uri.clone())),
                    replaces: if has_uri { location.name.len() } else { 0 },
                    host: Template::text(host),
                    port,
                    https: *https,
                    tls: if *https { self.proxy_tls(at) } else { None },
                    redirect,
                    set,
                })
            }
        }
    }

    fn warn_not_hidden(&mut self, to: UpstreamId, set: &ProxySet, pass: &Pass) {
        let mut diags = Diags::new();
        if let Some(upstream) = self.plan.upstreams.get(to.ix()) {
            upstream::warn_not_hidden(upstream, to, &set.hide_sticky, &set.show_sticky, pass.at, &mut diags);
        }
        self.found.adopt(diags, Some(pass.at), Step::Read);
    }

    /// Carries `proxy_redirect` into a location. A default rule, once made, is inherited like any other.
    pub fn redirects(&mut self, location: &Location, at: &mut Effective) {
        let own = location.level.proxy.as_ref().and_then(|p| p.redirect.as_ref());
        match own {
            Some(Redirect::Off) => at.redirects.off = true,
            Some(_) => at.redirects.off = false,
            None => {}
        }
        if at.redirects.off {
            at.redirects.rules = None;
            return;
        }
        if let Some(Redirect::Rules(rules)) = own {
            let mut list = Vec::new();
            for rule in rules {
                list.extend(match rule {
                    Some((from, to)) => self.rule(from, to),
                    None => default_redirect(location),
                });
            }
            at.redirects.rules = Some(Rc::new(list));
        } else if at.redirects.rules.is_none() {
            at.redirects.rules = default_redirect(location).map(|rule| Rc::new(vec![rule]));
        }
    }

    fn rule(&mut self, from: &Subject, to: &Text) -> Option<(RedirectFrom, Template)> {
        let from = self.subject(from)?;
        Some((from, self.names.template(to)))
    }

    fn subject(&mut self, subject: &Subject) -> Option<RedirectFrom> {
        match subject {
            Subject::Text(text) => Some(RedirectFrom::Text(self.names.template(text))),
            Subject::Regex(pattern) => self.names.regex(pattern, self.found).map(RedirectFrom::Regex),
        }
    }

    fn rules(&mut self, rules: Option<Vec<(Subject, Text)>>) -> Vec<(RedirectFrom, Template)> {
        rules.unwrap_or_default().iter().filter_map(|(from, to)| self.rule(from, to)).collect()
    }

    fn set_headers(&mut self, headers: &[(Box<[u8]>, Text)]) -> Vec<(Box<[u8]>, Template)> {
        let host = headers.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(b"host"));
        let host = match host {
            Some((_, value)) => self.names.template(value),
            None => Template { parts: vec![Part::Var(Var::Fixed(VarId::ProxyHost))] },
        };
        let mut set: Vec<(Box<[u8]>, Template)> = vec![((*b"Host").into(), host)];
        for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"host")) {
            set.push((name.clone(), self.names.template(value)));
        }
        for name in DROPPED {
            if !set.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                set.push((name.into(), Template::default()));
            }
        }
        set
    }

    fn proxy_set(&mut self, at: &Effective) -> ProxySet {
        let proxy = at.proxy.clone();
        let lower = |list: &[Box<[u8]>]| -> Vec<Box<[u8]>> {
            list.iter().map(|n| n.to_ascii_lowercase().into()).collect()
        };
        let mut hide: Vec<Box<[u8]>> = HIDDEN.iter().map(|&n| n.into()).collect();
        for name in lower(&proxy.hide_headers()) {
            if !hide.contains(&name) {
                hide.push(name);
            }
        }
        let pass = lower(&proxy.pass_headers());
        hide.retain(|name| !pass.contains(name));
        let hidden = |name: &[u8]| hide.iter().any(|n| &n[..] == name);
        let (pass_server, pass_date) = (!hidden(b"server"), !hidden(b"date"));
        let next = NextUpstream::from_bits_truncate(proxy.next_upstream());
        let size = proxy.buffer_size().max(proxy.buffers().1);
        let ignored = proxy.ignore_headers();
        let mut set = ProxySet {
            http_version: proxy.http_version(),
            method: proxy.method().map(|t| self.names.template(&t)),
            set_body: proxy.set_body().map(|t| self.names.template(&t)),
            pass_request_headers: proxy.pass_request_headers(),
            pass_request_body: proxy.pass_request_body(),
            pass_trailers: proxy.pass_trailers(),
            set_headers: self.set_headers(&proxy.set_headers()),
            hide,
            pass_server,
            pass_date,
            connect_timeout: proxy.connect_timeout(),
            send_timeout: proxy.send_timeout(),
            read_timeout: proxy.read_timeout(),
            next_upstream: if next.contains(NextUpstream::OFF) { NextUpstream::OFF } else { next },
            next_tries: u32::try_from(proxy.next_tries()).unwrap_or(u32::MAX),
            next_timeout: proxy.next_timeout(),
            buffering: proxy.buffering(),
            request_buffering: proxy.request_buffering(),
            buffer_size: proxy.buffer_size(),
            buffers: proxy.buffers(),
            busy_buffers_size: proxy.busy_buffers_size().unwrap_or(2 * size),
            max_temp_file_size: proxy.max_temp_file_size() as u64,
            temp_path: self.prefix.join(proxy.temp_path()),
            intercept_errors: proxy.intercept_errors(),
            cookie_domain: self.rules(proxy.cookie_domain()),
            cookie_path: self.rules(proxy.cookie_path()),
            cookie_flags: Vec::new(),
            ignore_client_abort: proxy.ignore_client_abort(),
            ignore_headers: IGNORE
                .iter()
                .filter(|(_, bit)| ignored & bit != 0)
                .map(|(name, _)| name.to_ascii_lowercase().into_bytes().into())
                .collect(),
            force_ranges: proxy.force_ranges(),
            socket_keepalive: proxy.socket_keepalive(),
            limit_rate: proxy.limit_rate().map(|t| self.names.template(&t)),
            bind: proxy.bind().map(|t| self.names.template(&t)),
            hide_sticky: Vec::new(),
            show_sticky: Vec::new(),
            sticky_no_fallback: proxy.sticky_no_fallback(),
            sticky_hide_cookie: proxy.sticky_hide_cookie(),
        };
        for (from, flags) in proxy.cookie_flags().unwrap_or_default() {
            let flags = flags.iter().map(|t| self.names.template(t)).collect();
            set.cookie_flags.extend(self.subject(&from).map(|from| (from, flags)));
        }
        let mut diags = Diags::new();
        (set.hide_sticky, set.show_sticky) = upstream::hiding(&at.sticky, &self.plan.upstreams, &mut diags);
        self.found.adopt(diags, self.http.close, Step::Upstreams);
        set
    }
}

/// The addresses of a fixed URL; `None`: no host of that name.
fn addresses(target: &Target) -> Option<Vec<PeerAddr>> {
    use std::os::unix::ffi::OsStrExt;
    if target.unix {
        return Some(vec![PeerAddr::Unix(std::ffi::OsStr::from_bytes(&target.host).into())]);
    }
    let ips = match target.ip {
        Some(ip) => vec![ip],
        None => sys::resolve(&target.host)?,
    };
    let port = target.port.unwrap_or(target.default_port);
    Some(ips.into_iter().map(|ip| PeerAddr::Inet(SocketAddr::new(ip, port))).collect())
}

/// The rule that `proxy_redirect default` stands for: none for a URL with variables.
fn default_redirect(location: &Location) -> Option<(RedirectFrom, Template)> {
    let config::Content::Proxy(Pass { to: PassTo::Url { url, uri, .. }, .. }) = &location.content else {
        return None;
    };
    let bare =
        matches!(location.kind, LocMatch::Regex | LocMatch::Named | LocMatch::If | LocMatch::LimitExcept);
    let (from, to): (Vec<u8>, &[u8]) = if uri.is_empty() {
        ([&url[..], b"/"].concat(), b"/")
    } else {
        (url.to_vec(), if bare { b"" } else { &location.name })
    };
    Some((RedirectFrom::Text(Template::text(from)), Template::text(to)))
}
