//! `limit_req`, `limit_conn` and their zones.

use super::cx::show;
use super::family::family;
use super::text::Text;
use super::{Cx, Place, set};
use crate::diag::Severity;
use crate::plan::LimitKind;
use crate::source::Dir;
use crate::values;

family! {
    /// `ngx_http_limit_req_module`, `ngx_http_limit_conn_module`
    pub struct Limit {
        "limit_req" => requests: Vec<Requests> = requests, Vec::new();
        "limit_req_status" => requests_status: u64 = set::checked(set::num, status), 503;
        "limit_req_log_level" => requests_level: Severity = set::word(LEVELS), Severity::Error;
        "limit_req_dry_run" => requests_dry_run: bool = set::flag, false;
        "limit_conn" => connections: Vec<Connections> = connections, Vec::new();
        "limit_conn_status" => connections_status: u64 = set::checked(set::num, status), 503;
        "limit_conn_log_level" => connections_level: Severity = set::word(LEVELS), Severity::Error;
        "limit_conn_dry_run" => connections_dry_run: bool = set::flag, false;
    }
}

const LEVELS: &[(&str, Severity)] = &[
    ("info", Severity::Info),
    ("notice", Severity::Notice),
    ("warn", Severity::Warn),
    ("error", Severity::Error),
];

/// One `limit_req`; burst and delay in requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requests {
    pub zone: Box<str>,
    pub burst: u64,
    /// `None`: `nodelay`.
    pub delay: Option<u64>,
    pub at: Place,
}

/// One `limit_conn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    pub zone: Box<str>,
    pub most: u64,
    pub at: Place,
}

/// `limit_req_zone` or `limit_conn_zone`
#[derive(Debug, Clone)]
pub struct LimitZone {
    pub name: Box<str>,
    pub kind: LimitKind,
    pub key: Text,
    pub key_text: Box<[u8]>,
    pub bytes: usize,
    pub at: Place,
}

fn status(status: &u64) -> Option<String> {
    (!(400..=599).contains(status)).then(|| "value must be between 400 and 599".to_owned())
}

/// A number above 0.
fn positive(text: &[u8]) -> Option<u64> {
    values::number(text).filter(|&n| n > 0)
}

fn requests(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<Requests>>) {
    let (mut zone, mut burst, mut delay) = (None, 0, Some(0));
    for word in d.args() {
        let text = &word.value[..];
        let wrong = if let Some(name) = text.strip_prefix(b"zone=") {
            zone = Some(show(name).into());
            name.is_empty().then_some("invalid parameter")
        } else if let Some(n) = text.strip_prefix(b"burst=") {
            burst = positive(n).unwrap_or(0);
            (burst == 0).then_some("invalid burst value")
        } else if let Some(n) = text.strip_prefix(b"delay=") {
            delay = positive(n);
            delay.is_none().then_some("invalid delay value")
        } else if text == b"nodelay" {
            delay = None;
            None
        } else {
            Some("invalid parameter")
        };
        if let Some(wrong) = wrong {
            return cx.emerg(d, format!("{wrong} \"{}\"", show(text)));
        }
    }
    let Some(zone): Option<Box<str>> = zone else {
        return cx.emerg(d, "\"limit_req\" must have \"zone\" parameter");
    };
    let list = slot.get_or_insert_default();
    if list.iter().any(|l| l.zone == zone) {
        return cx.says(d, "is duplicate");
    }
    list.push(Requests { zone, burst, delay, at: d.at() });
}

fn connections(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<Connections>>) {
    let zone: Box<str> = show(d.arg(0)).into();
    let list = slot.get_or_insert_default();
    if list.iter().any(|l| l.zone == zone) {
        return cx.says(d, "is duplicate");
    }
    match positive(d.arg(1)) {
        None => cx.emerg(d, format!("invalid number of connections \"{}\"", show(d.arg(1)))),
        Some(65_536..) => cx.emerg(d, "connection limit must be less 65536"),
        Some(most) => list.push(Connections { zone, most, at: d.at() }),
    }
}

impl LimitZone {
    /// The directives that make a zone.
    pub fn knows(name: &str) -> bool {
        matches!(name, "limit_req_zone" | "limit_conn_zone")
    }

    /// Reads one; `known` are those before it.
    pub fn read(cx: &mut Cx<'_>, d: Dir<'_>, known: &[Self]) -> Option<Self> {
        let requests = d.name() == "limit_req_zone";
        let key = Text::read(cx, d, d.arg(0))?;
        let (mut name, mut bytes, mut rate) = (None, 0, 1000);
        for word in d.args().get(1..).unwrap_or_default() {
            let text = &word.value[..];
            let error = if let Some(zone) = text.strip_prefix(b"zone=") {
                match sized(zone) {
                    Some((_, n)) if n < 8 * 4096 => Some("zone \"\" is too small"),
                    Some((n, size)) => {
                        (name, bytes) = (Some(n), size);
                        None
                    }
                    None => Some("invalid zone size \"\""),
                }
            } else if let Some(n) = text.strip_prefix(b"rate=").filter(|_| requests) {
                match self::rate(n) {
                    Some(n) => {
                        rate = n;
                        None
                    }
                    None => Some("invalid rate \"\""),
                }
            } else {
                Some("invalid parameter \"\"")
            };
            if let Some(error) = error {
                cx.emerg(d, error.replace("\"\"", &format!("\"{}\"", show(text))));
                return None;
            }
        }
        let Some(name) = name.filter(|n| !n.is_empty()) else {
            cx.emerg(d, format!("\"{}\" must have \"zone\" parameter", d.name()));
            return None;
        };
        let name: Box<str> = show(name).into();
        let kind = if requests { LimitKind::Requests { rate } } else { LimitKind::Connections };
        if let Some(other) = known.iter().find(|z| z.name == name) {
            let words = if std::mem::discriminant(&other.kind) != std::mem::discriminant(&kind) {
                format!("the shared memory zone \"{name}\" is already declared for a different use")
            } else if other.bytes != bytes {
                let was = other.bytes;
                format!(
                    "the size {bytes} of shared memory zone \"{name}\" conflicts with already declared size {was}"
                )
            } else {
                format!("{} \"{name}\" is already bound to key \"{}\"", d.name(), show(&other.key_text))
            };
            cx.emerg(d, words);
            return None;
        }
        Some(Self { name, kind, key, key_text: d.arg(0).into(), bytes, at: d.at() })
    }
}

/// `NAME:SIZE`
fn sized(text: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr::memchr(b':', text)?;
    let size = values::size(text.get(colon + 1..)?)?;
    Some((text.get(..colon)?, usize::try_from(size).ok()?))
}

/// `10r/s`, `30r/m`, or a number: thousandths of a request a second.
fn rate(text: &[u8]) -> Option<u64> {
    let (digits, scale) = match text.strip_suffix(b"r/m") {
        Some(digits) => (digits, 60),
        None => (text.strip_suffix(b"r/s").unwrap_or(text), 1),
    };
    positive(digits)?.checked_mul(1000).map(|rate| rate / scale)
}
