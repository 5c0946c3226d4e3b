//! Upstreams from text to plan.

use super::*;
use crate::plan::{Content, Location, PeerAddr, PeerId, Proxy, Secret, Sticky, UpstreamId};

fn said(http: &str) -> Vec<String> {
    let loaded = loaded(&format!("events {{}}\nhttp {{\n{http}\n}}"));
    let line = |d| render_nginx(&loaded.conf.map, d);
    // The file has another name each time.
    loaded
        .diags
        .iter()
        .map(|d| line(d).replace("nginx: ", ""))
        .map(|l| match l.split_once(" in /") {
            Some((text, at)) => format!("{text} in {}", at.rsplit(':').next().unwrap_or_default()),
            None => l,
        })
        .collect()
}

fn proxies(plan: &Plan) -> Vec<&Proxy> {
    let proxy = |l: &'_ Location| matches!(l.content, Content::Proxy(_));
    plan.locations
        .iter()
        .filter(|l| proxy(l))
        .filter_map(|l| match &l.content {
            Content::Proxy(p) => Some(&**p),
            _ => None,
        })
        .collect()
}

#[test]
fn peers_stand_primary_first_and_every_one_has_its_value() {
    let plan = plan(
        "upstream u { server 127.0.0.1:18101 backup; server 127.0.0.1 weight=3; session_sticky; server 127.0.0.1:18102; }",
    );
    let up = &plan.upstreams[0];
    let names: Vec<&str> = up.peers.iter().map(|p| &*p.name).collect();
    assert_eq!(names, ["127.0.0.1:80", "127.0.0.1:18102", "127.0.0.1:18101"]);
    assert_eq!((up.primary, up.peers[0].weight), (2, 3));
    assert_eq!(up.sid_index.get(&b"a44db3549e461fcd8a5ae22f73f91140"[..]), Some(&PeerId(2)));
    assert_eq!(up.sids.len(), 3);
}

#[test]
fn of_two_peers_with_one_id_the_first_has_its_sessions() {
    let plan = plan(
        "upstream u { session_sticky hash=plain; server 127.0.0.1:1 id=a; server 127.0.0.1:2 id=a; server 127.0.0.1:3; }",
    );
    let up = &plan.upstreams[0];
    assert_eq!(up.sid_index.get(&b"a"[..]), Some(&PeerId(0)));
    assert_eq!(up.sid_index.get(&b"127.0.0.1:3"[..]), Some(&PeerId(2)));
}

#[test]
fn a_host_that_there_is_not_and_a_block_of_backups_are_refused() {
    assert_eq!(
        said("upstream u {\nserver no-such-host.invalid:81;\n}"),
        ["[emerg] host not found in upstream \"no-such-host.invalid:81\" in 4"]
    );
    assert_eq!(
        said("upstream u {\nserver 127.0.0.1 backup;\n}"),
        ["[emerg] no servers in upstream \"u\" in 3"]
    );
}

const DOCUMENTED: &str = "upstream test {\n\
    session_sticky session_sticky cookie=uid domain=www.xxx.com fallback=on path=/ mode=insert option=indirect;\n\
    server 127.0.0.1:8080;\n}\n";

#[test]
fn the_documented_example_with_the_doubled_word_runs() {
    let http = format!(
        "{DOCUMENTED}server {{ location / {{\nsession_sticky_header upstream=test switch=on;\nproxy_pass http://test; }} }}"
    );
    assert_eq!(
        said(&http),
        [
            "[warn] the word \"session_sticky\" is repeated in 4",
            "[warn] the \"session_sticky_header\" directive is deprecated, \
             use the \"session_sticky_hide_cookie\" directive instead in 8",
        ]
    );
    let plan = plan(&http);
    let Some(Sticky::Tengine(s)) = &plan.upstreams[0].sticky else { panic!() };
    assert!(s.indirect && *s.cookie == *b"uid");
    assert_eq!(proxies(&plan)[0].hide_sticky, [UpstreamId(0)]);
}

#[test]
fn a_cookie_that_is_not_hidden_though_its_mode_wants_it_is_warned_of() {
    let http = |inside: &str| {
        format!("{DOCUMENTED}server {{ location / {{\n{inside}proxy_pass http://test; }} }}").replacen(
            "session_sticky ",
            "",
            1,
        )
    };
    assert_eq!(
        said(&http("")),
        ["[warn] upstream \"test\" has \"option=indirect\", \
          but there is no \"session_sticky_hide_cookie upstream=test\" here in 8"]
    );
    assert!(said(&http("session_sticky_hide_cookie upstream=TEST; ")).is_empty());
    let off = http("session_sticky_header upstream=test switch=off; ");
    assert_eq!(said(&off).len(), 1, "the word is old, the thing is said");
    let plan = plan(&off);
    assert_eq!(
        (proxies(&plan)[0].hide_sticky.len(), &proxies(&plan)[0].show_sticky[..]),
        (0, &[UpstreamId(0)][..])
    );
}

#[test]
fn hiding_is_inherited_and_a_name_without_a_block_has_no_port() {
    let http = format!(
        "{DOCUMENTED}session_sticky_hide_cookie upstream=test; server {{ location / {{ proxy_pass http://test; }} }}"
    );
    assert_eq!(proxies(&plan(&http))[0].hide_sticky, [UpstreamId(0)]);
    let http =
        "server { location / { proxy_pass http://127.0.0.1:1;\nsession_sticky_hide_cookie upstream=nope; } }";
    assert_eq!(said(http), ["[emerg] no port in upstream \"nope\" in 4"]);
}

#[test]
fn an_address_in_proxy_pass_is_an_upstream_of_its_own_that_keeps_nothing() {
    let plan = plan("server { location / { proxy_pass http://127.0.0.1:81; } }");
    let up = &plan.upstreams[0];
    assert!(up.implicit && up.sids.is_empty() && up.keepalive.idle == 0);
    assert_eq!(up.peers[0].addr, PeerAddr::Inet(([127, 0, 0, 1], 81).into()));
}

#[test]
fn files_of_a_store_are_read_from_the_prefix_on_and_their_errors_name_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (password, junk) = (put("password", "s3cret\n"), put("junk.pem", "no certificate"));
    let conf = |words: &str| {
        let learn = format!("sticky learn create=$arg_a lookup=$arg_a zone=z:64k {words};");
        format!("events {{}} http {{ upstream u {{ server 127.0.0.1; {learn} }} }}")
    };
    let good = loaded(&conf(&format!("snapshot=s.bin store=redis://h store_password_file={password}")));
    let Some(Sticky::Learn(learn)) = &good.plan.expect("a plan").upstreams[0].sticky else { panic!() };
    let store = learn.store.as_ref().expect("a store");
    assert_eq!(store.password, Some(Secret((*b"s3cret").into())), "without the line feed");
    assert_eq!(learn.snapshot.as_ref().expect("a file").path, Path::new("/prefix/s.bin"));
    for (words, expect) in [
        (
            "store=redis://h store_password_file=none".to_owned(),
            "open() \"/prefix/none\" failed (2: No such file",
        ),
        (format!("store=rediss://h store_ca={junk}"), "no certificate in \""),
        ("store=redis://h store_password_file=/".to_owned(), "\"/\" is a directory"),
    ] {
        let bad = loaded(&conf(&words));
        let said: Vec<String> = bad.diags.iter().map(|d| render_nginx(&bad.conf.map, d)).collect();
        assert!(bad.plan.is_none() && said[0].contains(expect), "{words}: {said:?}");
    }
}

#[test]
fn two_zones_have_no_file_in_common() {
    let learn = |name: &str, path: &str| {
        format!(
            "upstream {name} {{ server 127.0.0.1; sticky learn create=$arg_a lookup=$arg_a zone={name}:64k \
             snapshot={path}; }}\n"
        )
    };
    assert!(said(&(learn("a", "s") + &learn("b", "t"))).is_empty());
    let both = said(&(learn("a", "s") + &learn("b", "/prefix/s")));
    assert!(both[0].contains("snapshot \"/prefix/s\" is already used in upstream \"a\""), "{both:?}");
}
