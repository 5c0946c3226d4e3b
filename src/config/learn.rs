//! `sticky learn` of an upstream.

use std::path::PathBuf;
use std::time::Duration;

use super::sticky::variable;
use super::store;
use super::upstream::{Say, show};
use crate::diag::FileId;
use crate::plan::LearnStore;
use crate::values;

/// `sticky learn …`. Variables are names, paths are as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learn {
    pub create: Vec<Box<str>>,
    pub lookup: Vec<Box<str>>,
    /// `zone=NAME:`
    pub zone: Box<[u8]>,
    /// Bytes; at least 32k.
    pub size: usize,
    /// How long a session is remembered after its last use. Default 10 m.
    pub timeout: Duration,
    /// `header`: learned as soon as the answer's head is there.
    pub header: bool,
    /// `snapshot=`: the file that the sessions outlive a restart in.
    pub snapshot: Option<PathBuf>,
    /// `snapshot_interval=`: how often it is written. At least 1 s, default 60 s.
    pub snapshot_interval: Duration,
    /// `store=` and its companions.
    pub store: Option<LearnStore>,
    /// The `;`.
    pub at: (FileId, u32),
}

/// What was said once and may not be said again.
#[derive(Default)]
struct Seen {
    timeout: bool,
    interval: Option<usize>,
    store: store::Words,
}

pub(super) fn read(say: &mut Say<'_, '_>) -> Option<Learn> {
    let dir = say.dir;
    let mut learn = Learn {
        create: Vec::new(),
        lookup: Vec::new(),
        zone: Box::default(),
        size: 0,
        timeout: Duration::from_secs(600),
        header: false,
        snapshot: None,
        snapshot_interval: Duration::from_secs(60),
        store: None,
        at: dir.at(),
    };
    let mut seen = Seen::default();
    for (i, word) in dir.args().iter().enumerate().skip(1) {
        let text = &word.value[..];
        let at = text.iter().position(|b| *b == b'=').map_or(text.len(), |i| i + 1);
        let (name, value) = text.split_at(at);
        let error = match name {
            b"create=" | b"lookup=" if value.starts_with(b"$") => {
                let list = if name == b"create=" { &mut learn.create } else { &mut learn.lookup };
                list.push(variable(say, i, value)?);
                None
            }
            b"create=" => Some("missing variable in the \"create\" parameter".to_owned()),
            b"lookup=" => Some("missing variable in the \"lookup\" parameter".to_owned()),
            b"header" if value.is_empty() => {
                learn.header = true;
                None
            }
            _ => match parameter(&mut learn, &mut seen, (i, name, value)) {
                Some(result) => result.err(),
                None => {
                    say.emerg(i, format!("unknown parameter \"{}\"", show(text)));
                    return None;
                }
            },
        };
        if let Some(error) = error {
            say.directive(i, &error);
            return None;
        }
    }
    let missing = [
        (learn.lookup.is_empty(), "\"lookup\" parameter is not specified"),
        (learn.create.is_empty(), "\"create\" parameter is not specified"),
        (learn.size == 0, "\"zone\" parameter is not specified"),
    ];
    if let Some((_, what)) = missing.iter().find(|(is, _)| *is) {
        say.directive(0, what);
        return None;
    }
    if let Some(i) = seen.interval.filter(|_| learn.snapshot.is_none()) {
        say.directive(i, "\"snapshot_interval\" needs \"snapshot\"");
        return None;
    }
    match seen.store.finish() {
        Ok(store) => learn.store = store,
        Err((i, what)) => {
            say.directive(i, &what);
            return None;
        }
    }
    Some(learn)
}

/// Takes a parameter with a value; `None`: there is none of this name. Errors of `zone` and `timeout` are nginx's.
fn parameter(
    learn: &mut Learn,
    seen: &mut Seen,
    (i, name, value): (usize, &[u8], &[u8]),
) -> Option<Result<(), String>> {
    let says = |what: &str| Err(what.to_owned());
    Some(match name {
        b"zone=" if learn.size > 0 => says("duplicate zone"),
        b"zone=" => zone(learn, value).map_err(str::to_owned),
        b"timeout=" if seen.timeout => says("duplicate timeout"),
        b"timeout=" => match values::msec(value).filter(|n| *n > 0) {
            Some(n) => {
                seen.timeout = true;
                learn.timeout = Duration::from_millis(n);
                Ok(())
            }
            None => says("invalid timeout"),
        },
        b"snapshot=" if learn.snapshot.is_some() => says("duplicate snapshot"),
        b"snapshot=" => match store::path(value) {
            Some(path) => {
                learn.snapshot = Some(path);
                Ok(())
            }
            None => says("invalid snapshot"),
        },
        b"snapshot_interval=" if seen.interval.is_some() => says("duplicate snapshot_interval"),
        b"snapshot_interval=" => match values::msec(value).filter(|n| *n >= 1000) {
            Some(n) => {
                seen.interval = Some(i);
                learn.snapshot_interval = Duration::from_millis(n);
                Ok(())
            }
            None => says("invalid snapshot_interval"),
        },
        _ => return seen.store.take(i, name, value),
    })
}

/// `NAME:SIZE`
fn zone(learn: &mut Learn, text: &[u8]) -> Result<(), &'static str> {
    let colon = text.iter().position(|b| *b == b':').ok_or("zone size is not specified")?;
    if colon == 0 {
        return Err("zone name is not specified");
    }
    let size = values::size(&text[colon + 1..]).and_then(|n| usize::try_from(n).ok());
    learn.zone = text[..colon].into();
    learn.size = size.ok_or("invalid zone size")?;
    if learn.size < 8 * 4096 { Err("zone is too small") } else { Ok(()) }
}
