//! `log_format` and `access_log`.

use std::time::Duration;

use super::cx::show;
use super::error_log::syslog;
use super::family::family;
use super::text::Text;
use super::{Cx, Place};
use crate::plan::LogEscape;
use crate::source::Dir;
use crate::values;

family! {
    /// `ngx_http_log_module`
    pub struct Access {
        "access_log" => access_logs: AccessLogs = access_log, AccessLogs::default();
    }
}

/// The `access_log`s of a level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessLogs {
    pub off: bool,
    pub list: Vec<AccessLog>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    pub target: Target,
    /// Index into [`Formats`].
    pub format: usize,
    pub buffer: Option<usize>,
    pub flush: Option<Duration>,
    pub condition: Option<Text>,
    /// The path as written, for messages.
    pub written: Box<[u8]>,
    pub at: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    File(std::path::PathBuf),
    /// A path with variables, absolute or beginning with one.
    Variable(Text),
    /// What follows `syslog:`.
    Syslog(Box<str>),
}

/// The formats known so far, `combined` first.
#[derive(Debug, Clone)]
pub struct Formats {
    pub list: Vec<Format>,
}

#[derive(Debug, Clone)]
pub struct Format {
    pub name: Box<[u8]>,
    pub escape: LogEscape,
    pub text: Text,
}

const COMBINED: &[u8] = b"$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
    \"$http_referer\" \"$http_user_agent\"";

impl Default for Formats {
    fn default() -> Self {
        let text = Text::well_formed(COMBINED);
        Self { list: vec![Format { name: (*b"combined").into(), escape: LogEscape::Default, text }] }
    }
}

impl Formats {
    /// Reads a `log_format`.
    pub fn read(&mut self, cx: &mut Cx<'_>, d: Dir<'_>) {
        let name = d.arg(0);
        if self.list.iter().any(|f| &f.name[..] == name) {
            return cx.emerg(d, format!("duplicate \"log_format\" name \"{}\"", show(name)));
        }
        let mut words = d.args().get(1..).unwrap_or_default();
        let mut escape = LogEscape::Default;
        if let Some((first, rest)) = words.split_first()
            && let Some(kind) = first.value.strip_prefix(b"escape=")
        {
            words = rest;
            escape = match kind {
                b"json" => LogEscape::Json,
                b"none" => LogEscape::None,
                b"default" => LogEscape::Default,
                _ => return cx.emerg(d, format!("unknown log format escaping \"{}\"", show(kind))),
            };
        }
        let mut text = Text::default();
        for word in words {
            match values::template(&word.value) {
                Ok(tokens) => text.tokens.extend(tokens.into_iter().map(super::text::Tok::from)),
                Err(e @ values::TemplateError::NotClosed(_)) => return cx.emerg(d, e.to_string()),
                // nginx shows the text from the `$` on that begins no name.
                Err(values::TemplateError::InvalidName) => {
                    let from = bare_dollar(&word.value);
                    return cx.emerg(d, format!("invalid parameter \"{}\"", show(from)));
                }
            }
        }
        text.uses(&mut cx.used);
        self.list.push(Format { name: name.into(), escape, text });
    }
}

/// The text from the first `$` that no variable name follows.
fn bare_dollar(text: &[u8]) -> &[u8] {
    let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'{');
    memchr::memchr_iter(b'$', text)
        .filter_map(|i| text.get(i..))
        .find(|rest| !rest.get(1).is_some_and(name))
        .unwrap_or(text)
}

fn access_log(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<AccessLogs>) {
    let path = d.arg(0);
    if path == b"off" {
        slot.get_or_insert_default().off = true;
        if let Some(more) = d.args().get(1) {
            cx.emerg(d, format!("invalid parameter \"{}\"", show(&more.value)));
        }
        return;
    }
    let target = if let Some(server) = path.strip_prefix(b"syslog:") {
        if !syslog(cx, d, server) {
            return;
        }
        Target::Syslog(show(server).into())
    } else if path.contains(&b'$') {
        let full = cx.full_name(path);
        let Some(text) = Text::read(cx, d, &full) else { return };
        Target::Variable(text)
    } else {
        let path = cx.path(path);
        cx.found.logs.push(path.clone());
        Target::File(path)
    };
    let name: &[u8] = if d.args().len() > 1 { d.arg(1) } else { b"combined" };
    let Some(format) = cx.formats.list.iter().position(|f| f.name.eq_ignore_ascii_case(name)) else {
        return cx.emerg(d, format!("unknown log format \"{}\"", show(name)));
    };
    let mut log = AccessLog {
        target,
        format,
        buffer: None,
        flush: None,
        condition: None,
        written: path.into(),
        at: d.at(),
    };
    for arg in d.args().get(2..).unwrap_or_default() {
        if !parameter(cx, d, &arg.value, &mut log) {
            return;
        }
    }
    if log.flush.is_some() && log.buffer.is_none() {
        return cx.emerg(d, format!("no buffer is defined for access_log \"{}\"", show(path)));
    }
    if log.buffer.is_some() {
        match log.target {
            Target::Variable(_) => return cx.emerg(d, "buffered logs cannot have variables in name"),
            Target::Syslog(_) => return cx.emerg(d, "logs to syslog cannot be buffered"),
            Target::File(_) => {}
        }
    }
    slot.get_or_insert_default().list.push(log);
}

/// One of the parameters after the format.
fn parameter(cx: &mut Cx<'_>, d: Dir<'_>, word: &[u8], log: &mut AccessLog) -> bool {
    let wrong = if let Some(size) = word.strip_prefix(b"buffer=") {
        log.buffer = values::size(size).and_then(|s| usize::try_from(s).ok()).filter(|&s| s > 0);
        log.buffer.is_none().then(|| format!("invalid buffer size \"{}\"", show(size)))
    } else if let Some(time) = word.strip_prefix(b"flush=") {
        log.flush = values::msec(time).filter(|&t| t > 0).map(Duration::from_millis);
        log.flush.is_none().then(|| format!("invalid flush time \"{}\"", show(time)))
    } else if word == b"gzip" || word.starts_with(b"gzip=") {
        Some("nginx was built without zlib support".to_owned())
    } else if let Some(condition) = word.strip_prefix(b"if=") {
        log.condition = Text::read(cx, d, condition);
        return log.condition.is_some();
    } else {
        Some(format!("invalid parameter \"{}\"", show(word)))
    };
    if let Some(wrong) = wrong {
        cx.emerg(d, wrong);
        return false;
    }
    true
}
