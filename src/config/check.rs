//! Health checks of an upstream's servers: Tengine's `check` and what goes with it.

use std::time::Duration;

use super::upstream::{Say, show};
use crate::plan::{Check, CheckAlive, CheckKind};
use crate::values;

/// What an `upstream` block says of checks, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checking {
    line: Option<Line>,
    /// `check_http_send`; empty: the type's own.
    send: Box<[u8]>,
    alive: CheckAlive,
    keepalive_requests: u64,
    params: Vec<Param>,
}

/// The words of `check`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    kind: CheckKind,
    port: u16,
    interval: u64,
    timeout: u64,
    fall: u32,
    rise: u32,
    default_down: bool,
    unique: bool,
    drain: Option<u16>,
}

/// Longer than any check has to wait: ten years, in milliseconds.
const LONG: u64 = 315_360_000_000;

/// Name and value of `check_fastcgi_param`.
type Param = (Box<[u8]>, Box<[u8]>);

/// What an HTTP server is asked unless `check_http_send` says otherwise.
const GET: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// What a FastCGI responder is told unless `check_fastcgi_param` says otherwise.
const PARAMS: [(&[u8], &[u8]); 3] =
    [(b"REQUEST_METHOD", b"GET"), (b"REQUEST_URI", b"/"), (b"SCRIPT_FILENAME", b"index.php")];

impl Default for Checking {
    fn default() -> Self {
        Self {
            line: None,
            send: Box::default(),
            alive: CheckAlive::empty(),
            keepalive_requests: 1,
            params: Vec::new(),
        }
    }
}

impl Checking {
    /// Reads one of its directives.
    pub(super) fn read(&mut self, say: &mut Say<'_, '_>) {
        let dir = say.dir;
        match dir.name() {
            // A second line begins anew, the type excepted.
            "check" => {
                let kind = self.line.as_ref().map_or(CheckKind::Tcp, |l| l.kind);
                self.line = Line::read(say, kind).or(self.line.take());
            }
            "check_http_send" => match &self.line {
                None => say.emerg(0, "invalid check_http_send should set [check] first"),
                Some(line) if line.kind != CheckKind::Http && !dir.arg(0).is_empty() => {
                    say.emerg(0, format!("invalid check_http_send for type \"{}\"", line.kind.name()));
                }
                Some(_) => self.send = dir.arg(0).into(),
            },
            "check_http_expect_alive" => self.alive = alive(say),
            "check_keepalive_requests" => match values::number(dir.arg(0)) {
                Some(n) if n > 0 => self.keepalive_requests = n,
                _ => say.directive(0, "invalid value"),
            },
            _ => {
                let value = dir.args().get(1).map(|w| w.value[..].into()).unwrap_or_default();
                self.params.push((dir.arg(0).into(), value));
            }
        }
    }

    /// The check that the block asks for; `None`: its servers are not checked.
    pub fn finish(&self) -> Option<Check> {
        let line = self.line.as_ref()?;
        let send = match line.kind {
            _ if !self.send.is_empty() => self.send.clone(),
            CheckKind::Http => GET.into(),
            CheckKind::Fastcgi if self.params.is_empty() => {
                fastcgi_request(&PARAMS.map(|(k, v)| (k.into(), v.into())))
            }
            CheckKind::Fastcgi => fastcgi_request(&self.params),
            // The rest is the protocol's, not the file's.
            CheckKind::Tcp | CheckKind::SslHello | CheckKind::Mysql | CheckKind::Ajp => Box::default(),
        };
        let alive = match line.kind {
            CheckKind::Http if self.alive.is_empty() => CheckAlive::HTTP_2XX | CheckAlive::HTTP_3XX,
            _ => self.alive,
        };
        Some(Check {
            kind: line.kind,
            port: line.port,
            interval: Duration::from_millis(line.interval.min(LONG)),
            timeout: Duration::from_millis(line.timeout.min(LONG)),
            fall: line.fall,
            rise: line.rise,
            default_down: line.default_down,
            unique: line.unique,
            send,
            alive,
            keepalive_requests: self.keepalive_requests,
            drain: line.drain,
        })
    }
}

impl Line {
    fn read(say: &mut Say<'_, '_>, kind: CheckKind) -> Option<Self> {
        let mut line = Self {
            kind,
            port: 0,
            interval: 30_000,
            timeout: 1000,
            fall: 5,
            rise: 2,
            default_down: true,
            unique: false,
            drain: None,
        };
        let dir = say.dir;
        let mut drain_at = None;
        for (i, word) in dir.args().iter().enumerate() {
            let text = &word.value[..];
            if let Err(message) = line.parameter(text) {
                say.emerg(i, message.unwrap_or_else(|| format!("invalid parameter \"{}\"", show(text))));
                return None;
            }
            if text.starts_with(b"drain=") {
                drain_at = Some(i);
            }
        }
        if let Some(at) = drain_at
            && line.kind != CheckKind::Http
        {
            say.emerg(at, format!("\"drain\" needs \"type=http\", not \"type={}\"", line.kind.name()));
            return None;
        }
        Some(line)
    }

    /// `Err(None)`: no such parameter, or no such value.
    fn parameter(&mut self, text: &[u8]) -> Result<(), Option<String>> {
        let Some(i) = text.iter().position(|b| *b == b'=') else { return Err(None) };
        let (name, value) = (&text[..i], &text[i + 1..]);
        let number = || values::number(value).filter(|n| *n > 0).ok_or(None);
        let count = || number().map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let yes = || match value {
            v if v.eq_ignore_ascii_case(b"true") => Ok(true),
            v if v.eq_ignore_ascii_case(b"false") => Ok(false),
            _ => Err(Some(format!("invalid value \"{}\", it must be \"true\" or \"false\"", show(text)))),
        };
        match name {
            b"type" => {
                let named = CheckKind::ALL.into_iter().find(|k| k.name().as_bytes() == value);
                self.kind = named.ok_or(None)?;
            }
            b"port" => self.port = u16::try_from(number()?).map_err(|_| None)?,
            b"interval" => self.interval = number()?,
            b"timeout" => self.timeout = number()?,
            b"rise" => self.rise = count()?,
            b"fall" => self.fall = count()?,
            b"default_down" => self.default_down = yes()?,
            b"unique" => self.unique = yes()?,
            b"drain" => {
                let code = u16::try_from(number()?).ok().filter(|c| (200..600).contains(c));
                self.drain = Some(code.ok_or(None)?);
            }
            _ => return Err(None),
        }
        Ok(())
    }
}

fn alive(say: &mut Say<'_, '_>) -> CheckAlive {
    let mut classes = CheckAlive::empty();
    let dir = say.dir;
    for (i, word) in dir.args().iter().enumerate() {
        let class = match &word.value.to_ascii_lowercase()[..] {
            b"http_1xx" => CheckAlive::HTTP_1XX,
            b"http_2xx" => CheckAlive::HTTP_2XX,
            b"http_3xx" => CheckAlive::HTTP_3XX,
            b"http_4xx" => CheckAlive::HTTP_4XX,
            b"http_5xx" => CheckAlive::HTTP_5XX,
            _ => {
                say.emerg(i, format!("invalid value \"{}\"", show(&word.value)));
                continue;
            }
        };
        if classes.contains(class) {
            say.warn(i, format!("duplicate value \"{}\"", show(&word.value)), "it counts once");
        }
        classes |= class;
    }
    classes
}

/// A whole request of a responder: begin, parameters, an empty body (FastCGI specification, sections 3.3 to 5.3).
fn fastcgi_request(params: &[Param]) -> Box<[u8]> {
    const BEGIN: u8 = 1;
    const PARAMS: u8 = 4;
    const STDIN: u8 = 5;
    // More than this in one record would need another record.
    const MOST: usize = 0xffff;
    let mut pairs = Vec::new();
    for (name, value) in params {
        for text in [name, value] {
            match u8::try_from(text.len()) {
                Ok(n) if n < 128 => pairs.push(n),
                _ => {
                    let n = u32::try_from(text.len()).unwrap_or(u32::MAX) | 1 << 31;
                    pairs.extend_from_slice(&n.to_be_bytes());
                }
            }
        }
        pairs.extend_from_slice(name);
        pairs.extend_from_slice(value);
    }
    let mut out = Vec::new();
    let mut record = |kind: u8, content: &[u8]| {
        let len = u16::try_from(content.len()).expect("records are cut to what fits");
        let padding = (8 - content.len() % 8) % 8;
        out.extend_from_slice(&[1, kind, 0, 1]);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&[padding as u8, 0]);
        out.extend_from_slice(content);
        out.extend_from_slice(&[0; 7][..padding]);
    };
    // Role: responder; the connection is closed afterwards.
    record(BEGIN, &[0, 1, 0, 0, 0, 0, 0, 0]);
    pairs.chunks(MOST).for_each(|part| record(PARAMS, part));
    record(PARAMS, b"");
    record(STDIN, b"");
    out.into()
}

#[cfg(test)]
#[path = "tests/check.rs"]
mod tests;
