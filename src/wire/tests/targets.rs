//! Paths from targets; the results are nginx's `$uri` and `$args`.

use super::target::{BadTarget, Parts, normalize};

fn path(target: &str, merge: bool) -> Result<(String, Option<String>), BadTarget> {
    let mut out = b"prefix".to_vec();
    let Parts { args, .. } = normalize(target.as_bytes(), merge, &mut out)?;
    let path = String::from_utf8(out[6..].to_vec()).expect("the cases are text");
    Ok((path, args.map(|r| target[r].to_owned())))
}

#[test]
fn paths_are_normal() {
    for (target, want) in [
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/.", "/a/"),
        ("/.", "/"),
        ("//a///b", "/a/b"),
        ("/%41", "/A"),
        ("/a%2fb", "/a/b"),
        ("/a%2f%2e%2e%2fb", "/b"),
        ("/a/.%2e/", "/"),
        ("/%23", "/#"),
        ("/%25%32", "/%2"),
        ("/%3f?x", "/?"),
        ("/a+b", "/a+b"),
        ("/a#b?c", "/a"),
        ("/..a", "/..a"),
        ("/...", "/..."),
        ("/a/.../b", "/a/.../b"),
        ("/a/..?x", "/"),
        ("?x", "/"),
    ] {
        assert_eq!(path(target, true).map(|p| p.0), Ok(want.to_owned()), "{target}");
    }
}

#[test]
fn slashes_stay_when_not_merged() {
    assert_eq!(path("//a//b", false).map(|p| p.0), Ok("//a//b".to_owned()));
    assert_eq!(path("/a//../b", false).map(|p| p.0), Ok("/a/b".to_owned()));
}

#[test]
fn arguments_end_at_the_fragment() {
    assert_eq!(path("/a?b#c", true).map(|p| p.1), Ok(Some("b".to_owned())));
    assert_eq!(path("/a?b?c", true).map(|p| p.1), Ok(Some("b?c".to_owned())));
    assert_eq!(path("/a?", true).map(|p| p.1), Ok(Some(String::new())));
    assert_eq!(path("/a", true).map(|p| p.1), Ok(None));
}

#[test]
fn bad_targets() {
    for target in ["/..", "/../", "/a/../..", "/%2e%2e", "/%", "/%4", "/%zz", "/%00", "/..?x", "/..#x"] {
        assert_eq!(path(target, true), Err(BadTarget), "{target}");
    }
}

#[test]
fn extension_is_of_the_last_segment() {
    for (target, want) in
        [("/a.b/c.d", Some("d")), ("/a.b/c", None), ("/a%2Ehtml", Some("html")), ("/a.b.c?x.y", Some("c"))]
    {
        let mut out = Vec::new();
        let ext = normalize(target.as_bytes(), true, &mut out).expect("a good target").ext;
        assert_eq!(ext.map(|r| &out[r]), want.map(str::as_bytes), "{target}");
    }
}
