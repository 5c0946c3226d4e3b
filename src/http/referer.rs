//! `$invalid_referer`

use super::{Request, slots};
use crate::wire::KnownField;

/// Longest host that is looked up.
const LONGEST: usize = 256;

/// Whether the request comes from somewhere that `valid_referers` does not welcome.
pub(super) fn is_invalid(req: &Request) -> bool {
    let Some(rules) = req.location().referers.as_deref() else { return false };
    let Some(referer) = req.head.get(KnownField::Referer) else { return !rules.none };
    let after = |scheme: &[u8]| {
        let (head, rest) = referer.split_at_checked(scheme.len())?;
        (referer.len() >= b"http://i.ru".len() && head.eq_ignore_ascii_case(scheme)).then_some(rest)
    };
    let Some(rest) = after(b"http://").or_else(|| after(b"https://")) else { return !rules.blocked };
    let end = rest.iter().position(|b| matches!(b, b'/' | b':')).unwrap_or(rest.len());
    if end > LONGEST {
        return true;
    }
    let host = rest.get(..end).unwrap_or_default().to_ascii_lowercase();
    if let Some(found) = slots::by_name(&rules.hosts, &host) {
        let from = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
        let path = rest.get(from..).unwrap_or_default();
        return match rules.paths.get(found as usize) {
            Some(Some(wanted)) => !path.starts_with(wanted),
            _ => false,
        };
    }
    let matches = |regexes: &[crate::plan::RegexId], text: &[u8]| {
        let mut codes = regexes.iter().filter_map(|r| req.plan.regexes.get(r.ix()));
        codes.any(|r| r.code.is_match(text).unwrap_or(false))
    };
    !matches(&rules.host_regexes, &host) && !matches(&rules.regexes, rest)
}
