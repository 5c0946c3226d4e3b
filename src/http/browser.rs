//! What nginx makes of `User-Agent`.

use memchr::memmem::find;

/// Internet Explorer that does not call itself Opera.
pub(super) fn is_msie(agent: &[u8]) -> bool {
    find(agent, b"MSIE ").is_some_and(|at| at + 7 < agent.len()) && find(agent, b"Opera").is_none()
}

/// Internet Explorer up to 6 without its service pack 2.
pub(super) fn is_msie6(agent: &[u8]) -> bool {
    let Some(at) = find(agent, b"MSIE ") else { return false };
    let rest = agent.get(at + 5..).unwrap_or_default();
    if !is_msie(agent) || rest.get(1) != Some(&b'.') {
        return false;
    }
    match rest.first() {
        Some(b'4' | b'5') => true,
        Some(b'6') => find(rest, b"SV1").is_none(),
        _ => false,
    }
}

/// Safari of macOS; browsers that name Gecko or Chrome too are those.
pub(super) fn is_safari(agent: &[u8]) -> bool {
    let has = |name: &[u8]| find(agent, name).is_some();
    has(b"Safari/")
        && has(b"Mac OS X")
        && !is_msie(agent)
        && ![&b"Opera"[..], b"Gecko/", b"Chrome/"].into_iter().any(has)
}

/// A browser that shows a page of its own in place of short error pages.
pub(super) fn wants_padding(agent: &[u8]) -> bool {
    let has = |name: &[u8]| find(agent, name).is_some();
    is_msie(agent) || (has(b"Chrome/") && !has(b"Opera") && !has(b"Gecko/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_known_by_what_they_say() {
        let msie6 = b"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)";
        assert!(is_msie(msie6) && is_msie6(msie6) && wants_padding(msie6));
        assert!(!is_msie6(b"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)"));
        assert!(!is_msie6(b"Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)"));
        assert!(!is_msie(b"Mozilla/4.0 (compatible; MSIE 6.0; X) Opera 9"), "Opera is Opera");
        assert!(!is_msie(b"MSIE 6"), "cut off");
        let safari = b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9) AppleWebKit/537.75 (KHTML, like Gecko) Safari/537.75";
        assert!(is_safari(safari) && !wants_padding(safari));
        assert!(!is_safari(b"Mozilla/5.0 (Mac OS X) Chrome/1 Safari/537"), "Chrome names Safari too");
    }
}
