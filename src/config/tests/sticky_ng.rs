//! `sticky` of nginx-sticky-module-ng, as written and as read.

use crate::config::sticky::Sticky;
use crate::config::upstream;
use crate::diag::{Diags, SourceMap, render_nginx};
use crate::plan::{NgDigest, NgInput, NgValue, StickyNg};
use crate::source::Conf;
use crate::syntax;

/// What a block with `sticky WORDS` keeps, and what is said.
fn read(words: &str) -> (Option<Sticky>, Vec<String>) {
    let text = format!("upstream u {{ server 127.0.0.1:1; server 127.0.0.1:2; sticky {words}; }}");
    let mut map = SourceMap::new();
    let file = map.add("f".to_owned(), text.as_bytes().into(), None);
    let mut diags = Diags::new();
    let tree = syntax::parse(&map, file, &mut diags);
    let conf = Conf { map, trees: vec![tree], roots: vec![file], ..Conf::default() };
    let block = conf.main().map(|d| upstream::read(d, &mut diags)).next().unwrap();
    let said = diags.iter().map(|d| render_nginx(&conf.map, d).replace("nginx: ", "")).collect();
    (block.sticky, said)
}

fn quiet(words: &str) -> StickyNg {
    let (sticky, said) = read(words);
    assert!(said.is_empty(), "{words}: {said:?}");
    let Some(Sticky::Ng(s)) = sticky else { panic!("{words}: {sticky:?}") };
    s
}

#[test]
fn without_a_word_the_module_s_defaults_hold() {
    let s = quiet("");
    assert_eq!((&*s.name, s.domain, &*s.path, s.expires), (&b"route"[..], None, &b"/"[..], None));
    assert!(!s.secure && !s.httponly && s.fallback && !s.hide);
    assert_eq!((s.value, s.input), (NgValue::Hash(NgDigest::Md5), NgInput::Address));
}

#[test]
fn every_parameter_is_read() {
    let s = quiet(
        "name=srv domain=.x.com path=/app expires=1h hmac=sha1 hmac_key=k secure httponly no_fallback hide_cookie \
         hash_of=server",
    );
    assert_eq!((&*s.name, s.domain.as_deref()), (&b"srv"[..], Some(&b".x.com"[..])));
    assert_eq!((&*s.path, s.expires), (&b"/app"[..], Some(3600)));
    assert!(s.secure && s.httponly && !s.fallback && s.hide);
    assert_eq!(s.value, NgValue::Hmac(NgDigest::Sha1, (*b"k").into()));
    assert_eq!(s.input, NgInput::Server);
    for (words, value) in [
        ("hash=index", NgValue::Index),
        ("hash=md5", NgValue::Hash(NgDigest::Md5)),
        ("hash=index hash=sha1", NgValue::Hash(NgDigest::Sha1)),
        ("text=raw", NgValue::Text(None)),
        ("text=md5", NgValue::Text(Some(NgDigest::Md5))),
        ("text=sha1 hmac_key=unused", NgValue::Text(Some(NgDigest::Sha1))),
        ("hmac_key=a hmac=md5 hmac_key=b", NgValue::Hmac(NgDigest::Md5, (*b"b").into())),
    ] {
        assert_eq!(quiet(words).value, value, "{words}");
    }
}

#[test]
fn what_is_wrong_is_said_in_the_module_s_words() {
    let choose = "please choose between \"hash=\", \"hmac=\" and \"text=\"";
    for (words, expect) in [
        ("name=", "a value must be provided to \"name=\""),
        ("path=", "a value must be provided to \"path=\""),
        ("expires=0", "invalid value for \"expires=\""),
        ("expires=soon", "invalid value for \"expires=\""),
        ("hash=crc", "wrong value for \"hash=\": index, md5 or sha1"),
        ("hmac=index", "wrong value for \"hmac=\": md5 or sha1"),
        ("text=hex", "wrong value for \"text=\": raw, md5 or sha1"),
        ("hash=md5 text=raw", choose),
        ("hash=index hmac=md5", choose),
        ("hmac=md5 hash=index", choose),
        ("hmac=md5", "please specify \"hmac_key=\" when using \"hmac\""),
        ("hmac_key=x", "\"hmac_key=\" is meaningless without \"hmac=\", please remove it"),
        ("secure secured", "invalid argument (secured)"),
        ("name=a expire=1h", "invalid argument (expire=1h)"),
        ("hash_of=name", "wrong value for \"hash_of=\": address or server"),
        ("text=md5 hash_of=server", "\"hash_of=server\" has no digests of \"text=\", use \"hash=\""),
        ("transfer", "\"transfer\" of \"sticky\" is not supported by tenrec"),
    ] {
        let (_, said) = read(words);
        assert_eq!(said, [format!("[emerg] {expect} in f:1")], "{words}");
    }
    let (sticky, said) = read("hash=md5sum no_fallbacks");
    assert!(matches!(sticky, Some(Sticky::Ng(s)) if !s.fallback));
    assert_eq!(
        said,
        [
            "[warn] \"hash=md5sum\" is read as \"hash=md5\" in f:1",
            "[warn] \"no_fallbacks\" is read as \"no_fallback\" in f:1",
        ]
    );
}

#[test]
fn a_first_word_of_nginx_s_is_nginx_s() {
    assert!(matches!(read("cookie name=x").0, Some(Sticky::Cookie(_))));
    assert_eq!(read("cookie").1, ["[emerg] invalid number of arguments in \"sticky\" directive in f:1"]);
    assert_eq!(read("bad").1.len(), 1);
}
