//! The virtual server of a host.

use super::NamedBy;
use crate::plan::{ListenEntry, NameRouter, Plan, RegexId, ServerId};

/// The server of a lower-case host; `None`: nobody's, so the address's default one. `matched` runs a regex on the
/// host.
pub fn find_server(
    names: &NameRouter,
    host: &[u8],
    mut matched: impl FnMut(RegexId, ServerId) -> bool,
) -> Option<(ServerId, NamedBy)> {
    if let Some(&id) = names.exact.get(host) {
        return Some((id, NamedBy::Exact));
    }
    if host.is_empty() {
        return None;
    }
    // `.example.com` stands for what ends in it and has something before it.
    if let Some((tail, id)) =
        names.head.iter().find(|(tail, _)| host.len() > tail.len() && host.ends_with(tail))
    {
        return Some((*id, NamedBy::Leading(tail.len())));
    }
    if let Some((head, id)) =
        names.tail.iter().find(|(head, _)| host.len() > head.len() && host.starts_with(head))
    {
        return Some((*id, NamedBy::Trailing(head.len())));
    }
    let found = names.regexes.iter().find(|(regex, id)| matched(*regex, *id));
    found.map(|&(regex, id)| (id, NamedBy::Regex(regex)))
}

/// The same outside of a request: no captures are kept.
pub fn server_of(plan: &Plan, entry: &ListenEntry, host: &[u8]) -> Option<ServerId> {
    let fits =
        |id: RegexId, _| plan.regexes.get(id.ix()).is_some_and(|r| r.code.is_match(host).unwrap_or(false));
    find_server(&entry.names, host, fits).map(|(server, _)| server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_by_exactness_then_length() {
        let mut names = NameRouter::default();
        names.exact.insert((*b"a.example.com").into(), ServerId(1));
        names.head =
            vec![((*b".b.example.com").into(), ServerId(2)), ((*b".example.com").into(), ServerId(3))];
        names.tail = vec![((*b"www.").into(), ServerId(4))];
        names.regexes = vec![(RegexId(0), ServerId(5)), (RegexId(1), ServerId(6))];
        let of = |h: &str| {
            let found = find_server(&names, h.as_bytes(), |r, _| h.starts_with("r") && r == RegexId(1));
            found.map(|(id, _)| id)
        };
        assert_eq!(of("a.example.com"), Some(ServerId(1)));
        assert_eq!(of("x.b.example.com"), Some(ServerId(2)));
        assert_eq!(of("b.example.com"), Some(ServerId(3)));
        assert_eq!(of("example.com"), None);
        assert_eq!(of("www.org"), Some(ServerId(4)));
        assert_eq!(of("www."), None);
        assert_eq!(of("r"), Some(ServerId(6)));
        assert_eq!(of(""), None);
    }
}
