//! `allow` and `deny`: who is let in.

use super::Cx;
use super::cx::show;
use super::family::family;
use crate::plan::{GateRule, Who};
use crate::source::Dir;
use crate::values;

family! {
    /// `ngx_http_access_module`
    pub struct Gate {
        /// In the order of the file; the first that fits decides.
        "allow" | "deny" => rules: Vec<GateRule> = rule, Vec::new();
    }
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
