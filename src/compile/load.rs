//! From a path to a plan.

use std::collections::HashSet;
use std::path::Path;

use super::compile;
use crate::config::{self, Found, Step};
use crate::diag::Diags;
use crate::directives;
use crate::plan::Plan;
use crate::source::{self, Conf};

/// A configuration that was read, what there is to say about it, and its plan when it can run.
#[derive(Debug)]
pub struct Loaded {
    pub conf: Conf,
    /// In the order in which nginx would give them.
    pub diags: Diags,
    pub plan: Option<Plan>,
}

/// Reads the file `main`, whose relative paths start from `prefix`, and the directives of `-g`.
pub fn load(main: &Path, prefix: &Path, globals: Option<&str>) -> Loaded {
    load_with(main, prefix, globals, true)
}

/// The same without a look at certificates and keys; the plan is to be read, not to be run.
pub fn load_text(main: &Path, prefix: &Path, globals: Option<&str>) -> Loaded {
    load_with(main, prefix, globals, false)
}

fn load_with(main: &Path, prefix: &Path, globals: Option<&str>, files: bool) -> Loaded {
    let mut syntax = Diags::new();
    let conf = source::load(main, prefix, globals, &mut syntax);
    if conf.main_file.is_none() {
        // nginx says only that it cannot be read.
        return Loaded { conf, diags: syntax, plan: None };
    }
    check_with(conf, prefix, files, syntax)
}

/// The same for a configuration in hand; `diags` is what was said of its form.
pub fn check(conf: Conf, prefix: &Path, diags: Diags) -> Loaded {
    check_with(conf, prefix, true, diags)
}

/// The same without a look at certificates and keys; the plan is to be read, not to be run.
pub fn check_text(conf: Conf, prefix: &Path, diags: Diags) -> Loaded {
    check_with(conf, prefix, false, diags)
}

fn check_with(conf: Conf, prefix: &Path, files: bool, mut diags: Diags) -> Loaded {
    let mut refused: HashSet<_> =
        diags.iter().filter(|d| d.severity.is_fatal()).filter_map(|d| d.at).collect();
    refused.extend(directives::check(&conf, &mut diags));
    let mut found = Found::new();
    found.adopt(diags, None, Step::Read);
    let settings = config::read(&conf, prefix, &refused, &mut found);
    let plan = compile(&settings, prefix, files, &mut found);
    let fatal = found.fatal();
    let diags = found.finish(&conf);
    Loaded { conf, diags, plan: (!fatal).then_some(plan) }
}
