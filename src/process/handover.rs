//! Operators' orders to peers, for a new binary (USR2): a variable of its environment holds those that are not usual.

use serde_json::{Value, json};

use super::generation::Generation;
use crate::rt::clock;
use crate::zone::Operator;

pub(crate) const VARIABLE: &str = "TENREC_PEERS";

/// The longest text: the kernel takes 128 KiB for one variable.
const LONGEST: usize = 120 * 1024;

/// `None`: there are none, or more than there is room for.
pub(crate) fn text(generation: &Generation) -> Option<String> {
    let now = clock::unix_millis();
    let mut rows = Vec::new();
    for upstream in &generation.plan.upstreams {
        for peer in &upstream.peers {
            let slot = generation.state.slots.get(&upstream.name, &peer.name);
            let (operator, since) = slot.operator(now);
            if operator == Operator::Active {
                continue;
            }
            let until = slot.deadline().unwrap_or(0);
            rows.push(json!([&*upstream.name, &*peer.name, until, since, slot.asked_by()]));
        }
    }
    (!rows.is_empty()).then(|| Value::from(rows).to_string()).filter(|text| text.len() <= LONGEST)
}

/// Gives the orders anew. What cannot be read is no order.
pub(crate) fn take_over(text: &str, generation: &Generation) {
    let Ok(rows) = serde_json::from_str::<Vec<(String, String, u64, u64, u32)>>(text) else { return };
    for (upstream, peer, until, since, who) in rows {
        let until = (until != 0).then_some(until);
        let slot = generation.state.slots.get(&upstream, &peer);
        slot.set_operator(Operator::Draining { until }, who, since);
    }
}
