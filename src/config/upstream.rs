//! `upstream` blocks: servers, the balancer, kept connections. Sessions are in [`super::sticky`].

use std::sync::Arc;
use std::time::Duration;

use super::check::Checking;
use super::pins::{self, Pins};
use super::resolver::{self, Resolver};
use super::sticky::{self, Sticky};
use crate::diag::{Diag, Diags, FileId, Severity};
use crate::plan::UpstreamKeepalive;
use crate::source::Dir;
use crate::values;

/// One `upstream` block.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// As written; nginx compares names without regard to case.
    pub name: Box<[u8]>,
    pub servers: Vec<Server>,
    /// The balancer; round robin when none is named, the last one when several are.
    pub method: Method,
    /// How sessions are kept; with any balancer, which serves those who have none yet.
    pub sticky: Option<Sticky>,
    /// What is ours about sessions.
    pub pins: Pins,
    /// `zone NAME`: the peers' state outlives a reload. Threads share it with or without.
    pub zone: Option<Box<[u8]>>,
    /// Bytes of the zone; `None`: another line says it.
    pub zone_size: Option<u64>,
    /// Who looks up the names of `server … resolve`; `None`: the `resolver` of `http`.
    pub resolver: Option<Arc<Resolver>>,
    /// `None`: the `resolver_timeout` of `http`.
    pub resolver_timeout: Option<Duration>,
    /// `keepalive` and its companions; on by default (nginx 1.29.7 and later).
    pub keepalive: UpstreamKeepalive,
    /// `check` and its companions.
    pub checking: Checking,
    /// The `{`: nginx names its line when there is something wrong with the whole.
    pub at: (FileId, u32),
}

/// The words of the balancers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    RoundRobin,
    IpHash,
    /// The key as written: text with variables.
    Hash {
        key: Box<[u8]>,
        consistent: bool,
    },
    LeastConn,
    Random {
        two: bool,
    },
    /// `random two least_time=`
    RandomLeastTime {
        last_byte: bool,
    },
    /// `least_time`
    LeastTime {
        last_byte: bool,
        inflight: bool,
    },
    /// Tengine's `consistent_hash`: the key as written.
    ConsistentHash(Box<[u8]>),
}

impl Method {
    /// The directive; `None`: there is none.
    fn word(&self) -> Option<&'static str> {
        match self {
            Self::RoundRobin => None,
            Self::IpHash => Some("ip_hash"),
            Self::Hash { .. } => Some("hash"),
            Self::LeastConn => Some("least_conn"),
            Self::Random { .. } | Self::RandomLeastTime { .. } => Some("random"),
            Self::LeastTime { .. } => Some("least_time"),
            Self::ConsistentHash(_) => Some("consistent_hash"),
        }
    }
}

/// One `server` line.
#[derive(Debug, Clone)]
pub struct Server {
    /// Host with or without a port, or `unix:/path`; well formed, not looked up.
    pub address: Box<[u8]>,
    /// At least 1; default 1.
    pub weight: u32,
    /// Failures within `fail_timeout` after which the peer rests as long; 0: they are not counted. Default 1.
    pub max_fails: u32,
    /// Default 10 s.
    pub fail_timeout: Duration,
    /// How long a peer that has come back takes to its whole weight; 0, the default: no time.
    pub slow_start: Duration,
    /// Connections at once; 0, the default: any number.
    pub max_conns: u32,
    pub down: bool,
    pub backup: bool,
    /// No new sessions.
    pub drain: bool,
    /// `id=`: the session's value with Tengine's `hash=plain`.
    pub id: Option<Box<[u8]>>,
    /// `route=`: the session's value with nginx's `sticky cookie`.
    pub route: Option<Box<[u8]>>,
    /// The name is looked up while running.
    pub resolve: bool,
    /// `service=`: the name's SRV records say where.
    pub service: Option<Box<[u8]>>,
    /// The `;`.
    pub at: (FileId, u32),
}

/// What an upstream's directives say, in nginx's words.
pub(super) struct Say<'a, 'c> {
    pub(super) diags: &'a mut Diags,
    pub(super) dir: Dir<'c>,
}

impl Say<'_, '_> {
    pub(super) fn emerg(&mut self, arg: usize, message: impl Into<String>) {
        self.push(Severity::Emerg, "bad-value", arg, message.into(), None);
    }

    pub(super) fn warn(&mut self, arg: usize, message: impl Into<String>, hint: &str) {
        self.push(Severity::Warn, "suspicious", arg, message.into(), Some(hint.to_owned()));
    }

    pub(super) fn emerg_with(&mut self, arg: usize, message: impl Into<String>, hint: &str) {
        self.push(Severity::Emerg, "bad-value", arg, message.into(), Some(hint.to_owned()));
    }

    /// `"NAME" directive WHAT`
    pub(super) fn directive(&mut self, arg: usize, what: &str) {
        let message = format!("\"{}\" directive {what}", self.dir.name());
        self.emerg(arg, message);
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        arg: usize,
        message: String,
        hint: Option<String>,
    ) {
        let (span, at) = (Some(self.dir.arg_span(arg)), Some(self.dir.at()));
        self.diags.push(Diag { severity, code, message, span, at, hint });
    }
}

pub(super) fn show(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Reads a block. What is wrong is said; what can be read is there all the same.
pub fn read(block: Dir<'_>, diags: &mut Diags) -> Upstream {
    let mut upstream = Upstream {
        name: block.arg(0).into(),
        servers: Vec::new(),
        method: Method::RoundRobin,
        sticky: None,
        pins: Pins::default(),
        zone: None,
        zone_size: None,
        resolver: None,
        resolver_timeout: None,
        keepalive: UpstreamKeepalive {
            idle: 32,
            local: true,
            requests: 1000,
            time: Duration::from_secs(3600),
            timeout: Duration::from_secs(60),
        },
        checking: Checking::default(),
        at: block.at(),
    };
    let mut servers = 0;
    for dir in block.children() {
        let mut say = Say { diags, dir };
        match dir.name() {
            "server" => {
                servers += 1;
                let server = server(&mut say, &upstream.method);
                upstream.servers.extend(server);
            }
            "ip_hash" => upstream.balance(&mut say, Method::IpHash),
            "least_conn" => upstream.balance(&mut say, Method::LeastConn),
            "hash" => {
                let consistent = match dir.args().get(1).map(|w| &w.value[..]) {
                    None => false,
                    Some(b"consistent") => true,
                    Some(other) => {
                        say.emerg(1, format!("invalid parameter \"{}\"", show(other)));
                        continue;
                    }
                };
                if let Err(e) = values::template(dir.arg(0)) {
                    say.emerg(0, e.to_string());
                }
                upstream.balance(&mut say, Method::Hash { key: dir.arg(0).into(), consistent });
            }
            "random" => {
                let method = random(&mut say);
                upstream.balance(&mut say, method);
            }
            "least_time" => {
                if matches!(upstream.method, Method::LeastTime { .. }) {
                    say.directive(0, "is duplicate");
                }
                if let Some(method) = least_time(&mut say) {
                    upstream.balance(&mut say, method);
                }
            }
            "consistent_hash" => {
                if let Err(e) = values::template(dir.arg(0)) {
                    say.emerg(0, e.to_string());
                }
                upstream.balance(&mut say, Method::ConsistentHash(dir.arg(0).into()));
            }
            "zone" => upstream.zone(&mut say),
            "resolver" if upstream.resolver.is_some() => say.directive(0, "is duplicate"),
            "resolver" => upstream.resolver = resolver::parse(dir, |arg, message| say.emerg(arg, message)),
            "resolver_timeout" if upstream.resolver_timeout.is_some() => say.directive(0, "is duplicate"),
            "resolver_timeout" => {
                upstream.resolver_timeout = values::msec(dir.arg(0)).map(Duration::from_millis);
                if upstream.resolver_timeout.is_none() {
                    say.directive(0, "invalid value");
                }
            }
            "keepalive" | "keepalive_requests" | "keepalive_time" | "keepalive_timeout" => {
                upstream.keepalive(&mut say);
            }
            "session_sticky" => {
                let params = upstream.params();
                let sticky = sticky::session_sticky(&mut say, params).map(Sticky::Tengine);
                upstream.keep(&mut say, sticky);
            }
            "sticky_cookie_insert" => {
                let params = upstream.params();
                let sticky = sticky::cookie(&mut say, 0, params).map(Sticky::Cookie);
                upstream.keep(&mut say, sticky);
            }
            name if name.starts_with("check") => upstream.checking.read(&mut say),
            "sticky" => {
                if upstream.sticky.is_some() {
                    say.directive(0, "is duplicate");
                }
                let params = upstream.params();
                let sticky = sticky::sticky(&mut say, params);
                upstream.keep(&mut say, sticky);
            }
            name if Pins::knows(name) => upstream.pins.read(&mut say),
            _ => {}
        }
    }
    if servers == 0 {
        diags.push(Diag {
            severity: Severity::Emerg,
            code: "no-servers",
            message: "no servers are inside upstream".to_owned(),
            span: Some(block.span()),
            at: Some(block.close_at()),
            hint: None,
        });
    }
    upstream
}

/// Says which zones of `sticky learn` are another upstream's already.
pub fn shared_zones(upstreams: &[Upstream], diags: &mut Diags) {
    let mut seen = std::collections::HashMap::<&[u8], &[u8]>::new();
    for upstream in upstreams {
        let Some(Sticky::Learn(learn)) = &upstream.sticky else { continue };
        if let Some(first) = seen.get(&learn.zone[..]) {
            let (zone, first) = (show(&learn.zone), show(first));
            diags.push(Diag {
                severity: Severity::Emerg,
                code: "duplicate",
                message: format!("sticky zone \"{zone}\" is already used in upstream \"{first}\""),
                span: None,
                at: Some(learn.at),
                hint: None,
            });
        } else {
            seen.insert(&learn.zone, &upstream.name);
        }
    }
}

/// Says which blocks have the name of one before.
pub fn duplicates(upstreams: &[Upstream], diags: &mut Diags) {
    let mut seen = std::collections::HashSet::new();
    for upstream in upstreams {
        if !seen.insert(upstream.name.to_ascii_lowercase()) {
            diags.push(Diag {
                severity: Severity::Emerg,
                code: "duplicate",
                message: format!("duplicate upstream \"{}\"", show(&upstream.name)),
                span: None,
                at: Some(upstream.at),
                hint: None,
            });
        }
    }
}

impl Upstream {
    /// Where the parameters of a directive go: the last one's hold.
    fn params(&mut self) -> &mut pins::Params {
        self.pins.params = pins::Params::default();
        &mut self.pins.params
    }

    fn balance(&mut self, say: &mut Say<'_, '_>, method: Method) {
        let name = say.dir.name();
        // Tengine's consistent_hash looks at nothing that was there before.
        if name != "consistent_hash" && (self.method != Method::RoundRobin || self.sticky.is_some()) {
            let hint =
                if self.sticky.is_some() { "sessions are kept all the same" } else { "the last one holds" };
            say.warn(0, "load balancing method redefined", hint);
        }
        if let Some(sticky) = &self.sticky {
            let (word, peer) = match sticky {
                Sticky::Tengine(_) => ("session_sticky", "Tengine"),
                _ => ("sticky", "nginx"),
            };
            let message = format!("\"{word}\" stays in force beside \"{name}\"; {peer} would drop it");
            say.warn(0, message, "one keeps sessions, the other serves whoever has none");
        }
        if forbids_backup(&method) && self.servers.iter().any(|s| !s.slow_start.is_zero()) {
            say.warn(
                0,
                format!("\"slow_start\" has no effect with \"{name}\""),
                "its choices know whole weights",
            );
        }
        self.method = method;
    }

    /// Takes a way to keep sessions. It goes with the balancer that may be there; of two ways the last one holds.
    fn keep(&mut self, say: &mut Say<'_, '_>, sticky: Option<Sticky>) {
        let name = say.dir.name();
        if self.sticky.is_some() && name != "sticky" {
            say.warn(0, format!("\"{name}\" replaces the sessions kept before it"), "the last one holds");
        }
        let lost = match (&sticky, self.method.word()) {
            (Some(Sticky::Tengine(_)), Some(method)) => Some((method, "Tengine would ignore it")),
            (Some(Sticky::Ng(_)), Some(method)) => {
                Some((method, "nginx-sticky-module-ng would refuse the file"))
            }
            _ => None,
        };
        if let Some((method, peer)) = lost {
            let message = format!("\"{method}\" stays in force beside \"{name}\"; {peer}");
            say.warn(0, message, "one serves whoever has no session, the other keeps sessions");
        }
        self.sticky = sticky;
    }

    fn zone(&mut self, say: &mut Say<'_, '_>) {
        let name = say.dir.arg(0);
        if name.is_empty() {
            return say.emerg(0, "invalid zone name \"\"");
        }
        if let Some(size) = say.dir.args().get(1) {
            match values::size(&size.value) {
                None => return say.emerg(1, format!("invalid zone size \"{}\"", show(&size.value))),
                Some(n) if n < 8 * 4096 => {
                    return say.emerg(0, format!("zone \"{}\" is too small", show(name)));
                }
                Some(n) => self.zone_size = Some(n),
            }
        }
        self.zone = Some(name.into());
    }

    fn keepalive(&mut self, say: &mut Say<'_, '_>) {
        let dir = say.dir;
        let (text, number) = (dir.arg(0), values::number(dir.arg(0)));
        let time = values::msec(text).map(Duration::from_millis);
        let keep = &mut self.keepalive;
        match dir.name() {
            "keepalive" => {
                let Some(n) = number else {
                    return say
                        .emerg(0, format!("invalid value \"{}\" in \"keepalive\" directive", show(text)));
                };
                keep.idle = usize::try_from(n).unwrap_or(usize::MAX);
                keep.local = match dir.args().get(1) {
                    None => false,
                    Some(word) if *word.value == *b"local" => true,
                    Some(word) => {
                        return say.emerg(1, format!("invalid parameter \"{}\"", show(&word.value)));
                    }
                };
            }
            "keepalive_requests" => match number {
                Some(n) => keep.requests = n,
                None => say.directive(0, "invalid number"),
            },
            name => match time {
                Some(t) if name == "keepalive_time" => keep.time = t,
                Some(t) => keep.timeout = t,
                None => say.directive(0, "invalid value"),
            },
        }
    }
}

/// `header|last_byte [inflight]`
fn least_time(say: &mut Say<'_, '_>) -> Option<Method> {
    let dir = say.dir;
    let inflight = match dir.args().get(1) {
        None => false,
        Some(word) if *word.value == *b"inflight" => true,
        Some(word) => {
            say.emerg(1, format!("invalid parameter \"{}\"", show(&word.value)));
            return None;
        }
    };
    match dir.arg(0) {
        b"header" => Some(Method::LeastTime { last_byte: false, inflight }),
        b"last_byte" => Some(Method::LeastTime { last_byte: true, inflight }),
        other => {
            say.emerg(0, format!("invalid value \"{}\"", show(other)));
            None
        }
    }
}

/// `[two [least_conn | least_time=header|last_byte]]`
fn random(say: &mut Say<'_, '_>) -> Method {
    let dir = say.dir;
    let args: Vec<&[u8]> = dir.args().iter().map(|w| &w.value[..]).collect();
    let wrong = match args[..] {
        [] => return Method::Random { two: false },
        [b"two"] | [b"two", b"least_conn"] => return Method::Random { two: true },
        [b"two", b"least_time=header"] => return Method::RandomLeastTime { last_byte: false },
        [b"two", b"least_time=last_byte"] => return Method::RandomLeastTime { last_byte: true },
        [b"two", ..] => 1,
        _ => 0,
    };
    say.emerg(wrong, format!("invalid parameter \"{}\"", show(dir.arg(wrong))));
    Method::Random { two: true }
}

/// What balancers named before a `server` line forbid on it: backups, and a weight that grows.
fn forbids_backup(method: &Method) -> bool {
    match method {
        Method::RoundRobin | Method::LeastConn | Method::LeastTime { .. } => false,
        Method::IpHash
        | Method::Hash { .. }
        | Method::ConsistentHash(_)
        | Method::Random { .. }
        | Method::RandomLeastTime { .. } => true,
    }
}

fn server(say: &mut Say<'_, '_>, method: &Method) -> Option<Server> {
    let dir = say.dir;
    let mut server = Server {
        address: dir.arg(0).into(),
        weight: 1,
        max_fails: 1,
        fail_timeout: Duration::from_secs(10),
        slow_start: Duration::ZERO,
        max_conns: 0,
        down: false,
        backup: false,
        drain: false,
        id: None,
        route: None,
        resolve: false,
        service: None,
        at: dir.at(),
    };
    let mut good = true;
    for (i, word) in dir.args().iter().enumerate().skip(1) {
        let value = &word.value[..];
        let message = match parameter(&mut server, value, method) {
            Ok(()) => continue,
            Err(Wrong::Invalid) => format!("invalid parameter \"{}\"", show(value)),
            Err(Wrong::NotWithMethod) => {
                format!("balancing method does not support parameter \"{}\"", show(value))
            }
            Err(Wrong::Says(text)) => text.to_owned(),
        };
        say.emerg(i, message);
        good = false;
    }
    if good && let Err(text) = server.check() {
        say.emerg(0, text);
        good = false;
    }
    good.then_some(server)
}

impl Server {
    /// What of the address and the parameters does not go together, in nginx's order.
    fn check(&self) -> Result<(), String> {
        let name = show(&self.address);
        if self.service.is_some() && !self.resolve {
            return Err(format!("service upstream \"{name}\" requires \"resolve\" parameter"));
        }
        let address = values::server(&self.address).map_err(|e| format!("{e} in upstream \"{name}\""))?;
        if self.service.is_some() && address.port.is_some() {
            return Err(format!("service upstream \"{name}\" may not have port"));
        }
        if self.service.is_some() && !matches!(address.host, values::Host::Name(_)) {
            return Err(format!("service upstream \"{name}\" requires domain name"));
        }
        Ok(())
    }

    /// The name that is looked up while running; an address is none.
    pub fn name(&self) -> Option<(&[u8], u16)> {
        let address = values::server(&self.address).ok().filter(|_| self.resolve)?;
        match address.host {
            values::Host::Name(name) => Some((name, address.port.unwrap_or(80))),
            _ => None,
        }
    }
}

enum Wrong {
    Invalid,
    NotWithMethod,
    Says(&'static str),
}

fn parameter(server: &mut Server, text: &[u8], method: &Method) -> Result<(), Wrong> {
    let split = text.iter().position(|b| *b == b'=').map(|i| text.split_at(i + 1));
    let number = |value| values::number(value).ok_or(Wrong::Invalid);
    let small = |value| Ok(u32::try_from(number(value)?).unwrap_or(u32::MAX));
    match split {
        Some((b"weight=", v)) => server.weight = small(v).ok().filter(|n| *n > 0).ok_or(Wrong::Invalid)?,
        Some((b"max_fails=", v)) => server.max_fails = small(v)?,
        Some((b"max_conns=", v)) => server.max_conns = small(v)?,
        Some((b"fail_timeout=", v)) => {
            server.fail_timeout = Duration::from_secs(values::sec(v).ok_or(Wrong::Invalid)?);
        }
        Some((b"slow_start=", _)) if forbids_backup(method) => return Err(Wrong::NotWithMethod),
        Some((b"slow_start=", v)) => {
            server.slow_start = Duration::from_millis(values::msec(v).ok_or(Wrong::Invalid)?);
        }
        Some((b"id=", v)) => server.id = (!v.is_empty()).then(|| v.into()),
        Some((b"route=", [])) => return Err(Wrong::Says("route is empty")),
        Some((b"route=", v)) if v.len() > 32 => return Err(Wrong::Says("route is longer than 32")),
        Some((b"route=", v)) => server.route = Some(v.into()),
        Some((b"service=", [])) => return Err(Wrong::Says("service is empty")),
        Some((b"service=", v)) => server.service = Some(v.into()),
        _ => match text {
            b"backup" if forbids_backup(method) => return Err(Wrong::NotWithMethod),
            b"backup" => server.backup = true,
            // Of the two the last one holds.
            b"down" => (server.down, server.drain) = (true, false),
            b"drain" => (server.down, server.drain) = (false, true),
            b"resolve" => server.resolve = true,
            _ => return Err(Wrong::Invalid),
        },
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/upstream.rs"]
mod tests;
