//! `allow`, `deny`, `auth_basic`: who is let in.

use std::time::Duration;

use super::cx::show;
use super::family::family;
use super::text::Text;
use super::{Cx, set};
use crate::plan::{GateRule, Who};
use crate::source::Dir;
use crate::values;

family! {
    /// `ngx_http_access_module`, `ngx_http_auth_basic_module`, `ngx_http_auth_request_module`, and what `ngx_http_core_module` makes of them
    pub struct Gate {
        /// In the order of the file; the first that fits decides.
        "allow" | "deny" => rules: Vec<GateRule> = rule, Vec::new();
        /// The realm; `off`: nobody is asked.
        "auth_basic" => realm: Option<Text> = optional(set::template), None;
        "auth_basic_user_file" => users: Option<Text> = optional(set::template), None;
        /// The path that is asked; empty: none.
        "auth_request" => auth_request: Box<[u8]> = auth_request, Box::default();
        "auth_request_set" => auth_request_set: Vec<(Box<str>, Text)> = auth_request_set, Vec::new();
        /// One of the checks will do.
        "satisfy" => satisfy_any: bool = set::word(&[("all", false), ("any", true)]), false;
        "auth_delay" => auth_delay: Duration = set::msec, Duration::ZERO;
    }
}

/// A setting that may be absent.
fn optional<T>(
    set: impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<T>),
) -> impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<Option<T>>) {
    move |cx, d, slot| {
        let mut inner = slot.take().flatten();
        set(cx, d, &mut inner);
        *slot = inner.map(Some);
    }
}

fn auth_request(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Box<[u8]>>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    *slot = Some(if d.arg(0) == b"off" { Box::default() } else { d.arg(0).into() });
}

fn auth_request_set(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<(Box<str>, Text)>>) {
    let Some(name) = d.arg(0).strip_prefix(b"$") else {
        return cx.emerg(d, format!("invalid variable name \"{}\"", show(d.arg(0))));
    };
    let name = show(name).to_ascii_lowercase();
    let Some(value) = Text::read(cx, d, d.arg(1)) else { return };
    slot.get_or_insert_default().push((name.into(), value));
}

fn rule(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<GateRule>>) {
    let text = d.arg(0);
    let who = match text {
        b"all" => Who::All,
        b"unix:" => Who::Unix,
        _ => match values::cidr(text) {
            Some(network) => {
                if network.low_bits {
                    cx.warn(d, format!("low address bits of {} are meaningless", show(text)));
                }
                Who::Network(network)
            }
            None => return cx.emerg(d, format!("invalid parameter \"{}\"", show(text))),
        },
    };
    slot.get_or_insert_default().push(GateRule { allow: d.name() == "allow", who });
}
