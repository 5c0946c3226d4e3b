//! The virtual server of a host.

use crate::plan::{NameRouter, RegexId, ServerId};

/// The server of a lower-case host; `None`: nobody's, so the address's default one. `matched` runs a regex on the
/// host.
pub fn find_server(
    names: &NameRouter,
    host: &[u8],
    mut matched: impl FnMut(RegexId) -> bool,
) -> Option<ServerId> {
    if let Some(&id) = names.exact.get(host) {
        return Some(id);
    }
    if host.is_empty() {
        return None;
    }
    // `.example.com` stands for what ends in it and has something before it.
    if let Some(&(_, id)) =
        names.head.iter().find(|(tail, _)| host.len() > tail.len() && host.ends_with(tail))
    {
        return Some(id);
    }
    if let Some(&(_, id)) =
        names.tail.iter().find(|(head, _)| host.len() > head.len() && host.starts_with(head))
    {
        return Some(id);
    }
    names.regexes.iter().find(|(regex, _)| matched(*regex)).map(|&(_, id)| id)
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
        let of = |h: &str| find_server(&names, h.as_bytes(), |r| h.starts_with("r") && r == RegexId(1));
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
