//! `proxy_redirect`, `proxy_cookie_domain`, `proxy_cookie_path`, `proxy_cookie_flags`: rules with variables, applied to
//! an answer.

use super::rewrite::{self, Flags, SetCookie};
use crate::plan::{Part, Plan, ProxyRedirect, ProxySet, RedirectFrom, RegexId, Template, Var};
use crate::vars::{self, Source};

/// Where a rule's text fits a value: start and length of what is replaced.
type Fit = fn(&[u8], &[u8]) -> Option<(usize, usize)>;

/// Applies the first `proxy_redirect` rule that fits `value[at..]`. `false`: none does.
pub(super) fn url<S: Source>(
    value: &mut Vec<u8>,
    at: usize,
    rules: &ProxyRedirect,
    plan: &Plan,
    source: &S,
) -> bool {
    let ProxyRedirect::Rules(rules) = rules else { return false };
    let Some(new) = first(rules, value.get(at..).unwrap_or_default(), rewrite::path_match, plan, source)
    else {
        return false;
    };
    value.truncate(at);
    value.extend_from_slice(&new);
    true
}

/// What the rules of a location make of a `Set-Cookie` value; `None`: it stays.
pub(super) fn cookie<S: Source>(value: &[u8], set: &ProxySet, plan: &Plan, source: &S) -> Option<Vec<u8>> {
    if set.cookie_domain.is_empty() && set.cookie_path.is_empty() && set.cookie_flags.is_empty() {
        return None;
    }
    let mut cookie = SetCookie::parse(value)?;
    cookie.attribute(b"domain", |v| first(&set.cookie_domain, v, rewrite::domain_match, plan, source));
    cookie.attribute(b"path", |v| first(&set.cookie_path, v, rewrite::path_match, plan, source));
    let flags = set.cookie_flags.iter().find(|(from, _)| match from {
        RedirectFrom::Text(name) => vars::eval_to_vec(name, source).eq_ignore_ascii_case(cookie.name()),
        RedirectFrom::Regex(id) => {
            plan.regexes.get(id.ix()).is_some_and(|r| r.code.is_match(cookie.name()).unwrap_or(false))
        }
    });
    if let Some((_, words)) = flags {
        let mut wanted = Flags::default();
        for word in words {
            wanted.add(&vars::eval_to_vec(word, source));
        }
        cookie.flags(&wanted);
    }
    cookie.finish()
}

fn first<S: Source>(
    rules: &[(RedirectFrom, Template)],
    text: &[u8],
    fit: Fit,
    plan: &Plan,
    source: &S,
) -> Option<Vec<u8>> {
    rules.iter().find_map(|(from, to)| match from {
        RedirectFrom::Text(from) => {
            let (at, len) = fit(text, &vars::eval_to_vec(from, source))?;
            let mut new = text.to_vec();
            rewrite::splice(&mut new, at, len, &vars::eval_to_vec(to, source));
            Some(new)
        }
        RedirectFrom::Regex(id) => by_regex(*id, text, to, plan, source),
    })
}

fn by_regex<S: Source>(id: RegexId, text: &[u8], to: &Template, plan: &Plan, source: &S) -> Option<Vec<u8>> {
    let regex = plan.regexes.get(id.ix())?;
    let found = regex.code.captures(text).ok()??;
    let group = |n: usize| found.get(n).map(|m| m.as_bytes());
    let mut out = Vec::new();
    for part in &to.parts {
        match part {
            Part::Text(t) => out.extend_from_slice(t),
            Part::Var(Var::Capture(n)) => out.extend_from_slice(group(usize::from(*n)).unwrap_or_default()),
            Part::Var(Var::Slot(slot)) if regex.names.iter().any(|(_, s)| s == slot) => {
                let named = regex.names.iter().filter(|(_, s)| s == slot).find_map(|(n, _)| group(*n));
                out.extend_from_slice(named.unwrap_or_default());
            }
            Part::Var(var) => {
                source.append(var, &mut out);
            }
        }
    }
    Some(out)
}
