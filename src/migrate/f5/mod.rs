//! Owns: F5 BIG-IP's `bigip.conf` and lines of tmsh: pools, virtual servers, persistence, monitors, nodes, profiles.
//! May use: the migrate room's model, input and report, and what lies below migrate.
//! Never touches: the text that is written, sockets.

mod account;
mod closed;
mod persist;
mod pools;
mod read;
mod tls;
mod virtuals;

use super::can::Can;
use super::input::{Input, Place, Problem};
use super::model::{Model, Names};
use super::report::{Class, Report};
use account::Account;
use read::{Entry, Object};

/// What the parts share.
struct Cx<'o> {
    account: Account,
    can: Can,
    model: Model,
    names: Names,
    objects: &'o [Object],
}

impl<'o> Cx<'o> {
    /// The object of a kind that begins so, by its name with or without its folder.
    fn object(&self, kind: &str, name: &str) -> Option<&'o Object> {
        let of =
            |o: &&Object| o.kind == kind || o.kind.strip_prefix(kind).is_some_and(|r| r.starts_with(' '));
        let whole = self.objects.iter().filter(of).find(|o| o.name == name);
        whole.or_else(|| self.objects.iter().filter(of).find(|o| leaf(&o.name) == leaf(name)))
    }

    /// An entry of an object, or of the objects that it takes its defaults from.
    fn inherited(&self, object: &'o Object, kind: &str, key: &str) -> Option<&'o Entry> {
        let mut object = object;
        for _ in 0..16 {
            if let Some(entry) = object.get(key) {
                return Some(entry);
            }
            let parent = object.get("defaults-from")?;
            object = self.object(kind, parent.text())?;
        }
        None
    }
}

/// A name without its folders.
fn leaf(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// `[[d:]h:]m:]s` or seconds.
fn seconds(text: &str) -> Option<u64> {
    let mut parts = text.rsplit(':');
    let mut sum = 0u64;
    for unit in [1, 60, 3600, 86_400] {
        let Some(part) = parts.next() else { return Some(sum) };
        sum = sum.checked_add(part.parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    parts.next().is_none().then_some(sum)
}

pub(super) fn convert(inputs: &[Input], can: Can, report: &mut Report) -> Result<Model, Problem> {
    let objects = read::read(inputs)?;
    if !objects.iter().any(|o| matches!(o.kind.as_str(), "ltm pool" | "ltm virtual")) {
        let place = Place { file: 0, line: 1, column: 1 };
        let why = "no \"ltm pool\" and no \"ltm virtual\": this is no configuration of a BIG-IP";
        return Err(Problem::new(inputs, place, why));
    }
    let mut cx = Cx {
        account: Account::default(),
        can,
        model: Model::default(),
        names: Names::default(),
        objects: &objects,
    };
    virtuals::convert(&mut cx);
    for object in &objects {
        leftover(&mut cx, object);
    }
    cx.account.rows(&objects, &mut report.rows);
    Ok(cx.model)
}

/// Objects that the others take what they need of.
fn leftover(cx: &mut Cx<'_>, object: &Object) {
    match object.kind.as_str() {
        "ltm node" => {
            cx.account.mark(object.place, Class::Exact, "its address is in the servers");
            for entry in &object.entries {
                match (entry.key.as_str(), entry.text()) {
                    ("address" | "fqdn", _) => cx.account.all(entry, Class::Exact, ""),
                    ("session", "user-disabled") | ("state", "user-down") => {
                        cx.account.exact(entry, "in the servers")
                    }
                    ("state" | "session" | "description", _) => cx.account.exact(entry, ""),
                    ("monitor", "none" | "default") => cx.account.exact(entry, ""),
                    ("ratio", "1") | ("connection-limit" | "rate-limit", "0" | "disabled") => {
                        cx.account.exact(entry, "")
                    }
                    _ => {}
                }
            }
        }
        "ltm virtual-address" => {
            cx.account.object(object, Class::Exact, "the address is the machine's matter")
        }
        "ltm profile http" => {
            cx.account.mark(object.place, Class::Exact, "HTTP");
            for entry in &object.entries {
                match (entry.key.as_str(), entry.text()) {
                    ("app-service" | "defaults-from" | "description", _) | (_, "none" | "disabled") => {
                        cx.account.exact(entry, "");
                    }
                    ("insert-xforwarded-for", _) => cx.account.exact(entry, ""),
                    ("proxy-type", "reverse") => cx.account.exact(entry, ""),
                    _ => {}
                }
            }
        }
        "ltm profile client-ssl" | "ltm profile server-ssl" => {
            cx.account.object(object, Class::Approximated, "in the listeners and locations that use it");
        }
        "ltm profile tcp" | "ltm profile one-connect" | "ltm profile udp" | "ltm profile fastl4" => {
            cx.account.object(object, Class::Dropped, "a matter of the device's own connections");
        }
        _ => {}
    }
}
