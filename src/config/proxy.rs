//! `proxy_pass` and the `proxy_*` settings that locations inherit.

use std::path::PathBuf;
use std::time::Duration;

use super::core::some;
use super::cx::show;
use super::family::family;
use super::text::{Pattern, Subject, Text};
use super::{Cx, Place, set};
use crate::plan::{NextUpstream, ProxyVersion};
use crate::source::Dir;
use crate::values::{self, Address, Host};

/// Names and values of fields, as written.
pub type Fields = Vec<(Box<[u8]>, Text)>;

/// What is rewritten, and how; `None`: `off`.
pub type Rules<T> = Option<Vec<(Subject, T)>>;

family! {
    /// `ngx_http_proxy_module`
    pub struct Proxy {
        "proxy_http_version" => http_version: ProxyVersion = set::word(VERSIONS), ProxyVersion::Http11;
        "proxy_method" => method: Option<Text> = some(set::template), None;
        "proxy_set_body" => set_body: Option<Text> = some(set::template), None;
        "proxy_pass_request_headers" => pass_request_headers: bool = set::flag, true;
        "proxy_pass_request_body" => pass_request_body: bool = set::flag, true;
        "proxy_pass_trailers" => pass_trailers: bool = set::flag, false;
        /// As written, in order.
        "proxy_set_header" => set_headers: Fields = set_header, Vec::new();
        "proxy_hide_header" => hide_headers: Vec<Box<[u8]>> = set::texts, Vec::new();
        "proxy_pass_header" => pass_headers: Vec<Box<[u8]>> = set::texts, Vec::new();
        /// Names of [`IGNORE`], as bits.
        "proxy_ignore_headers" => ignore_headers: u32 = set::bits(IGNORE), 0;
        "proxy_connect_timeout" => connect_timeout: Duration = set::msec, Duration::from_secs(60);
        "proxy_send_timeout" => send_timeout: Duration = set::msec, Duration::from_secs(60);
        "proxy_read_timeout" => read_timeout: Duration = set::msec, Duration::from_secs(60);
        /// [`NextUpstream`]'s bits.
        "proxy_next_upstream" => next_upstream: u32 = set::bits(NEXT), 1 | 2;
        /// 0: as many as there are peers.
        "proxy_next_upstream_tries" => next_tries: u64 = set::num, 0;
        /// 0: no limit.
        "proxy_next_upstream_timeout" => next_timeout: Duration = set::msec, Duration::ZERO;
        "proxy_buffering" => buffering: bool = set::flag, true;
        "proxy_request_buffering" => request_buffering: bool = set::flag, true;
        /// Bytes; a page.
        "proxy_buffer_size" => buffer_size: usize = set::size, 4096;
        /// How many, and the bytes of each.
        "proxy_buffers" => buffers: (usize, usize) = set::buffers, (8, 4096);
        /// Bytes; twice the greater buffer by default.
        "proxy_busy_buffers_size" => busy_buffers_size: Option<usize> = some(set::size), None;
        /// Bytes; 0: no temporary files.
        "proxy_max_temp_file_size" => max_temp_file_size: usize = set::size, 1 << 30;
        /// Bytes; twice the greater buffer by default.
        "proxy_temp_file_write_size" => temp_file_write_size: Option<usize> = some(set::size), None;
        /// A directory, absolute.
        "proxy_temp_path" => temp_path: PathBuf = set::path, PathBuf::from("proxy_temp");
        "proxy_intercept_errors" => intercept_errors: bool = set::flag, false;
        "proxy_redirect" => redirect: Redirect = redirect, Redirect::Default;
        "proxy_cookie_domain" => cookie_domain: Rules<Text> = cookie_domain, None;
        "proxy_cookie_path" => cookie_path: Rules<Text> = cookie_path, None;
        "proxy_cookie_flags" => cookie_flags: Rules<Vec<Text>> = cookie_flags, None;
        "proxy_ignore_client_abort" => ignore_client_abort: bool = set::flag, false;
        "proxy_force_ranges" => force_ranges: bool = set::flag, false;
        "proxy_socket_keepalive" => socket_keepalive: bool = set::flag, false;
        /// Bytes a second.
        "proxy_limit_rate" => limit_rate: Option<Text> = some(set::template_size), None;
        /// `None`: `off`.
        "proxy_bind" => bind: Option<Text> = bind, None;
        "sticky_no_fallback" => sticky_no_fallback: bool = set::present, false;
        "sticky_hide_cookie" => sticky_hide_cookie: bool = set::present, false;
    }
}

const VERSIONS: &[(&str, ProxyVersion)] = &[("1.0", ProxyVersion::Http10), ("1.1", ProxyVersion::Http11)];

/// `proxy_next_upstream`'s words; `updating` concerns caches only.
const NEXT: &[(&str, u32)] = &[
    ("error", NextUpstream::ERROR.bits()),
    ("timeout", NextUpstream::TIMEOUT.bits()),
    ("invalid_header", NextUpstream::INVALID_HEADER.bits()),
    ("non_idempotent", NextUpstream::NON_IDEMPOTENT.bits()),
    ("http_500", NextUpstream::HTTP_500.bits()),
    ("http_502", NextUpstream::HTTP_502.bits()),
    ("http_503", NextUpstream::HTTP_503.bits()),
    ("http_504", NextUpstream::HTTP_504.bits()),
    ("http_403", NextUpstream::HTTP_403.bits()),
    ("http_404", NextUpstream::HTTP_404.bits()),
    ("http_429", NextUpstream::HTTP_429.bits()),
    ("updating", 1 << 30),
    ("off", NextUpstream::OFF.bits()),
];

/// `proxy_ignore_headers`' words.
pub const IGNORE: &[(&str, u32)] = &[
    ("X-Accel-Redirect", 1),
    ("X-Accel-Expires", 1 << 1),
    ("X-Accel-Limit-Rate", 1 << 2),
    ("X-Accel-Buffering", 1 << 3),
    ("X-Accel-Charset", 1 << 4),
    ("Expires", 1 << 5),
    ("Cache-Control", 1 << 6),
    ("Set-Cookie", 1 << 7),
    ("Vary", 1 << 8),
];

/// `proxy_redirect` of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// Nothing said: made of `proxy_pass`.
    Default,
    Off,
    /// `None` among them: `default`, made of the `proxy_pass` before it.
    Rules(Vec<Option<(Subject, Text)>>),
}

/// `proxy_pass` of a location.
#[derive(Debug, Clone)]
pub struct Pass {
    pub to: PassTo,
    pub at: Place,
}

#[derive(Debug, Clone)]
pub enum PassTo {
    /// A fixed URL, whole, and its parts.
    Url { url: Box<[u8]>, https: bool, target: Target, uri: Box<[u8]> },
    /// A URL with variables.
    Variable(Text),
}

/// Host and port of a fixed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As written; a v6 address with brackets; the path of a unix socket.
    pub host: Box<[u8]>,
    pub port: Option<u16>,
    /// That of the scheme.
    pub default_port: u16,
    /// The port as written, empty when there is none.
    pub port_text: Box<[u8]>,
    pub unix: bool,
    pub ip: Option<std::net::IpAddr>,
}

impl Pass {
    /// Reads a `proxy_pass`.
    pub fn read(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Pass>) {
        if slot.is_some() {
            return cx.says(d, "is duplicate");
        }
        let url = d.arg(0);
        let at = d.at();
        if url.contains(&b'$') {
            if let Some(text) = Text::read(cx, d, url) {
                *slot = Some(Pass { to: PassTo::Variable(text), at });
            }
            return;
        }
        let scheme = |s: &str| url.get(..s.len()).is_some_and(|u| u.eq_ignore_ascii_case(s.as_bytes()));
        let https = scheme("https://");
        if !https && !scheme("http://") {
            return cx.emerg(d, "invalid URL prefix");
        }
        let rest = url.get(if https { 8 } else { 7 }..).unwrap_or_default();
        let address = match values::url(rest) {
            Ok(address) => address,
            Err(e) => return cx.emerg(d, format!("{e} in upstream \"{}\"", show(rest))),
        };
        if !address.uri.is_empty() && (cx.loc.named || cx.loc.regex) {
            return cx.emerg(
                d,
                "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside named \
                 location, or inside \"if\" statement, or inside \"limit_except\" block",
            );
        }
        let uri = address.uri.into();
        let target = Target::new(&address, rest, if https { 443 } else { 80 });
        *slot = Some(Pass { to: PassTo::Url { url: url.into(), https, target, uri }, at });
    }
}

impl Target {
    fn new(address: &Address<'_>, rest: &[u8], default_port: u16) -> Self {
        let unix = matches!(address.host, Host::Unix(_));
        let ip = if let Host::Ip(ip) = address.host { Some(ip) } else { None };
        let after = rest.get(address.host_text.len()..).unwrap_or_default();
        let port_text = match address.port {
            Some(_) if !unix => {
                let text = after.strip_prefix(b":").unwrap_or_default();
                let end = text.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(text.len());
                text.get(..end).unwrap_or_default()
            }
            _ => b"",
        };
        Self {
            host: address.host_text.into(),
            port: address.port,
            default_port,
            port_text: port_text.into(),
            unix,
            ip,
        }
    }

    /// `$proxy_host`, `$proxy_port`.
    pub fn host_and_port(&self) -> (Box<[u8]>, Box<[u8]>) {
        if self.unix {
            return ((*b"localhost").into(), (*b"").into());
        }
        match self.port {
            port if port.is_none_or(|p| p == self.default_port) => {
                (self.host.clone(), self.default_port.to_string().into_bytes().into())
            }
            _ => {
                let host = [&self.host, &b":"[..], &self.port_text].concat();
                (host.into(), self.port_text.clone())
            }
        }
    }
}

fn set_header(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Fields>) {
    if let Some(value) = Text::read_lazy(cx, d, d.arg(1)) {
        slot.get_or_insert_default().push((d.arg(0).into(), value));
    }
}

/// A text or, after `~` and `~*`, a regex; `insensitive`: `~` has no case either.
fn subject(cx: &mut Cx<'_>, d: Dir<'_>, word: &[u8], insensitive: bool) -> Option<Subject> {
    let Some(regex) = word.strip_prefix(b"~") else {
        return Text::read(cx, d, word).map(Subject::Text);
    };
    let star = if insensitive { None } else { regex.strip_prefix(b"*") };
    let (text, caseless) = star.map_or((regex, insensitive), |r| (r, true));
    Some(Subject::Regex(Pattern { text: text.into(), caseless, at: d.at() }))
}

fn redirect(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Redirect>) {
    if matches!(slot, Some(Redirect::Off)) {
        return cx.says(d, "is duplicate");
    }
    let rule = match d.args() {
        [word] if &word.value[..] == b"off" => {
            if slot.is_some() {
                return cx.says(d, "is duplicate");
            }
            *slot = Some(Redirect::Off);
            return;
        }
        [word] if &word.value[..] == b"default" => match cx.loc.pass {
            super::cx::PassSeen::Variable => {
                return cx.emerg(
                    d,
                    "\"proxy_redirect default\" cannot be used with \"proxy_pass\" directive with variables",
                );
            }
            super::cx::PassSeen::No => {
                return cx.emerg(
                    d,
                    "\"proxy_redirect default\" should be placed after the \"proxy_pass\" directive",
                );
            }
            super::cx::PassSeen::Url => None,
        },
        [word] => return cx.emerg(d, format!("invalid parameter \"{}\"", show(&word.value))),
        _ => {
            let Some(from) = subject(cx, d, d.arg(0), false) else { return };
            let Some(to) = Text::read(cx, d, d.arg(1)) else { return };
            Some((from, to))
        }
    };
    match slot {
        Some(Redirect::Rules(rules)) => rules.push(rule),
        _ => *slot = Some(Redirect::Rules(vec![rule])),
    }
}

/// What `proxy_cookie_*` have in common: `off` alone, or one more rule. Whether a rule is to be read.
fn cookie_rule<T>(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Option<Vec<T>>>) -> bool {
    if matches!(slot, Some(None)) {
        cx.says(d, "is duplicate");
        return false;
    }
    let [word] = d.args() else { return true };
    if &word.value[..] != b"off" {
        cx.emerg(d, format!("invalid parameter \"{}\"", show(&word.value)));
    } else if slot.is_some() {
        cx.says(d, "is duplicate");
    } else {
        *slot = Some(None);
    }
    false
}

fn cookie_domain(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Rules<Text>>) {
    if !cookie_rule(cx, d, slot) {
        return;
    }
    let regex = d.arg(0).first() == Some(&b'~');
    let undotted = |word: &'_ [u8]| -> Vec<u8> { word.strip_prefix(b".").unwrap_or(word).to_vec() };
    let from = if regex { d.arg(0).to_vec() } else { undotted(d.arg(0)) };
    let to = if regex { d.arg(1).to_vec() } else { undotted(d.arg(1)) };
    let Some(from) = subject(cx, d, &from, true) else { return };
    let Some(to) = Text::read(cx, d, &to) else { return };
    slot.get_or_insert_default().get_or_insert_default().push((from, to));
}

fn cookie_path(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Rules<Text>>) {
    if !cookie_rule(cx, d, slot) {
        return;
    }
    let Some(from) = subject(cx, d, d.arg(0), false) else { return };
    let Some(to) = Text::read(cx, d, d.arg(1)) else { return };
    slot.get_or_insert_default().get_or_insert_default().push((from, to));
}

fn cookie_flags(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Rules<Vec<Text>>>) {
    if !cookie_rule(cx, d, slot) {
        return;
    }
    let Some(from) = subject(cx, d, d.arg(0), true) else { return };
    let mut flags = Vec::new();
    for word in d.args().get(1..).unwrap_or_default() {
        let Some(flag) = Text::read(cx, d, &word.value) else { return };
        flags.push(flag);
    }
    slot.get_or_insert_default().get_or_insert_default().push((from, flags));
}

fn bind(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Option<Text>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    if d.args().len() == 1 && d.arg(0) == b"off" {
        *slot = Some(None);
        return;
    }
    let Some(text) = Text::read(cx, d, d.arg(0)) else { return };
    if let Some(address) = text.as_plain() {
        let known = values::server(address).is_ok_and(|a| matches!(a.host, Host::Ip(_)));
        if !known {
            return cx.emerg(d, format!("invalid address \"{}\"", show(address)));
        }
    }
    match d.args().get(1) {
        None => *slot = Some(Some(text)),
        Some(word) if &word.value[..] == b"transparent" => {
            cx.emerg(d, "transparent proxying is not supported on this platform, ignored");
        }
        Some(word) => cx.emerg(d, format!("invalid parameter \"{}\"", show(&word.value))),
    }
}
