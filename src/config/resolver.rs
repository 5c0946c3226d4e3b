//! `resolver`: name servers, and how long their answers hold.

use std::sync::Arc;
use std::time::Duration;

use super::cx::show;
use super::{Cx, Place};
use crate::source::Dir;
use crate::values;

/// A `resolver` directive. Those who inherit it share the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// Hosts with or without a port (53); well formed, not looked up.
    pub servers: Vec<Box<[u8]>>,
    /// `valid=`; `None`: answers hold as long as their TTL.
    pub valid: Option<Duration>,
    pub ipv4: bool,
    pub ipv6: bool,
    /// The `;`.
    pub at: Place,
}

/// Reads a directive; `say` gets what is wrong with it, in nginx's words.
pub(super) fn parse(d: Dir<'_>, mut say: impl FnMut(usize, String)) -> Option<Arc<Resolver>> {
    let mut resolver = Resolver { servers: Vec::new(), valid: None, ipv4: true, ipv6: true, at: d.at() };
    let mut good = true;
    for (i, word) in d.args().iter().enumerate() {
        let text = &word.value[..];
        let mut wrong = |message: String| {
            good = false;
            say(i, message);
        };
        let invalid = || format!("invalid parameter: {}", show(text));
        if let Some(time) = text.strip_prefix(b"valid=") {
            match values::sec(time) {
                Some(n) => resolver.valid = Some(Duration::from_secs(n)),
                None => wrong(invalid()),
            }
        } else if let Some(on) = text.strip_prefix(b"ipv4=") {
            match switch(on) {
                Some(on) => resolver.ipv4 = on,
                None => wrong(invalid()),
            }
        } else if let Some(on) = text.strip_prefix(b"ipv6=") {
            match switch(on) {
                Some(on) => resolver.ipv6 = on,
                None => wrong(invalid()),
            }
        } else if text.starts_with(b"status_zone=") {
            // Counters that only nginx Plus has; without them names are looked up all the same.
        } else {
            match values::server(text) {
                Ok(values::Address { host: values::Host::Unix(_), .. }) => {
                    wrong(format!("a name server cannot be a unix socket in resolver \"{}\"", show(text)));
                }
                Ok(_) => resolver.servers.push(text.into()),
                Err(e) => wrong(format!("{e} in resolver \"{}\"", show(text))),
            }
        }
    }
    if !good {
        return None;
    }
    if !resolver.ipv4 && !resolver.ipv6 {
        say(0, "\"ipv4\" and \"ipv6\" cannot both be \"off\"".to_owned());
        return None;
    }
    if resolver.servers.is_empty() {
        say(0, "no name servers defined".to_owned());
        return None;
    }
    Some(Arc::new(resolver))
}

/// nginx compares these with regard to case, unlike a flag.
fn switch(text: &[u8]) -> Option<bool> {
    match text {
        b"on" => Some(true),
        b"off" => Some(false),
        _ => None,
    }
}

/// The setter of `http`, `server` and `location`.
pub(super) fn read(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Option<Arc<Resolver>>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let resolver = parse(d, |_, message| cx.emerg(d, message));
    if resolver.is_some() {
        *slot = Some(resolver);
    }
}
