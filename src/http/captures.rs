//! Regexes run for a request, and what they leave.

use super::Request;
use super::context::Bytes;
use crate::diag::Severity;
use crate::plan::{Plan, RegexId};

/// A regex that ran into its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegexFailed;

/// Captures of the last regex that was run for the request: `$1` … `$9` read them.
#[derive(Debug, Default)]
pub struct Captures {
    pub subject: Vec<u8>,
    /// Ranges of `subject` by group, the whole match first; an empty range stands for a group that took no part.
    pub groups: Vec<(u32, u32)>,
}

impl Captures {
    pub fn clear(&mut self) {
        self.subject.clear();
        self.groups.clear();
    }

    pub fn get(&self, group: usize) -> Option<&[u8]> {
        let &(from, to) = self.groups.get(group)?;
        self.subject.get(from as usize..to as usize)
    }
}

/// Runs a regex for the request: a match replaces its captures, and fills the variables of named groups. `Err`: it
/// could not be run, which was logged.
pub fn run_regex(req: &Request, plan: &Plan, regex: RegexId, subject: &[u8]) -> Result<bool, RegexFailed> {
    let regex = plan.regexes.get(regex.ix()).ok_or(RegexFailed)?;
    let failed = |e: pcre2::Error| {
        req.thread.log_error(
            req,
            Severity::Alert,
            format_args!(
                "pcre2_match() failed: {} on \"{}\" using \"{}\"",
                e.code(),
                Bytes(subject),
                regex.pattern
            ),
        );
        RegexFailed
    };
    if regex.groups == 0 {
        let matched = regex.code.is_match(subject).map_err(failed)?;
        if matched {
            req.captures.borrow_mut().clear();
        }
        return Ok(matched);
    }
    let Some(found) = regex.code.captures(subject).map_err(failed)? else { return Ok(false) };
    let mut captures = req.captures.borrow_mut();
    captures.subject.clear();
    captures.subject.extend_from_slice(subject);
    captures.groups.clear();
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    for i in 0..=regex.groups {
        let range = found.get(i).map_or((0, 0), |m| (small(m.start()), small(m.end())));
        captures.groups.push(range);
    }
    let mut slots = req.slots.borrow_mut();
    for &(group, slot) in &regex.names {
        if let Some(place) = slots.get_mut(slot.ix()) {
            *place = Some(found.get(group).map(|m| m.as_bytes().to_vec()).unwrap_or_default());
        }
    }
    Ok(true)
}
