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
    /// `ngx_http_access_module`, `ngx_http_auth_basic_module`, and what `ngx_http_core_module` makes of them
    pub struct Gate {
        /// In the order of the file; the first that fits decides.
        "allow" | "deny" => rules: Vec<GateRule> = rule, Vec::new();
        /// The realm; `off`: nobody is asked.
        "auth_basic" => realm: Option<Text> = optional(set::template), None;
        "auth_basic_user_file" => users: Option<Text> = optional(user_file), None;
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

/// A file's name, relative to the folder of the configuration.
fn user_file(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Text>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let name = d.arg(0);
    if matches!(name.first(), Some(b'/' | b'$')) {
        *slot = Text::read(cx, d, name);
        return;
    }
    let main = d.conf.main_file.map(|file| d.conf.map.file(file).name.as_bytes()).unwrap_or_default();
    let folder = memchr::memrchr(b'/', main).map_or(&b""[..], |at| &main[..=at]);
    *slot = Text::read(cx, d, &[folder, name].concat());
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
