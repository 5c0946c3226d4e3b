//! Reading the configuration.

use crate::compile::{self, Loaded};
use crate::diag::render_nginx;
use crate::log::Logs;
use crate::plan::Plan;

use super::options::Options;
use super::record::Record;

/// Reads, checks and compiles the configuration.
pub fn load(options: &Options) -> Loaded {
    compile::load(&options.conf, &options.prefix, options.globals.as_deref())
}

/// Says everything that there is to say about a configuration to `logs`.
pub fn report(loaded: &Loaded, logs: &Logs) {
    for diag in loaded.diags.iter() {
        let line = render_nginx(&loaded.conf.map, diag);
        let text = line.split_once("] ").map_or(line.as_str(), |(_, text)| text);
        logs.main(diag.severity, format_args!("{text}"));
    }
}

/// Reads the configuration anew and says everything about it to `logs`; `None`: it is refused. What was made up for the
/// plan at hand, `old`, goes on.
pub(super) fn again(options: &Options, old: &Plan, logs: &Logs) -> Option<(Plan, Record)> {
    let loaded = load(options);
    report(&loaded, logs);
    let record = Record::of(&loaded.conf, options);
    let mut plan = loaded.plan?;
    plan.keep_random_keys(old);
    Some((plan, record))
}
