//! Blocks as written, and what is said of them.

use super::super::sticky::{Hiding, Sticky};
use super::*;
use crate::diag::{SourceMap, render_nginx};
use crate::plan::{SessionSticky, StickyMode};
use crate::source::Conf;
use crate::syntax;

fn conf(text: &str) -> Conf {
    let mut map = SourceMap::new();
    let file = map.add("f".to_owned(), text.as_bytes().into(), None);
    let mut diags = Diags::new();
    let tree = syntax::parse(&map, file, &mut diags);
    assert!(diags.is_empty(), "{text}");
    Conf { map, trees: vec![tree], roots: vec![file], ..Conf::default() }
}

/// The blocks of a text, and what is said: `[warn] … in f:1`.
fn blocks(text: &str) -> (Vec<Upstream>, Vec<String>) {
    let conf = conf(text);
    let mut diags = Diags::new();
    let list: Vec<Upstream> = conf.main().map(|d| read(d, &mut diags)).collect();
    duplicates(&list, &mut diags);
    let said = diags.iter().map(|d| render_nginx(&conf.map, d).replace("nginx: ", "")).collect();
    (list, said)
}

/// One block of these lines.
fn block(lines: &str) -> (Upstream, Vec<String>) {
    let (mut list, said) = blocks(&format!("upstream u {{\n{lines}\n}}"));
    (list.remove(0), said)
}

/// A block of these lines and a server, in which nothing is wrong but what is said.
fn said(lines: &str) -> Vec<String> {
    block(&format!("server 127.0.0.1; {lines}")).1
}

fn session(words: &str) -> (Option<SessionSticky>, Vec<String>) {
    let (upstream, said) = block(&format!("server 127.0.0.1; session_sticky {words};"));
    let sticky = upstream.sticky.map(|s| match s {
        Sticky::Tengine(s) => s,
        _ => panic!("{words}"),
    });
    (sticky, said)
}

/// A session in which nothing is said.
fn quiet(words: &str) -> SessionSticky {
    let (sticky, said) = session(words);
    assert!(said.is_empty(), "{said:?}");
    sticky.unwrap()
}

#[test]
fn every_parameter_of_a_server_is_read() {
    let (up, said) = block(
        "server a.b:8080 weight=5 max_fails=0 fail_timeout=1m max_conns=9 down;\n\
         server unix:/s backup id=x; server [::1] drain route=r;",
    );
    assert!(said.is_empty(), "{said:?}");
    let [a, b, c] = &up.servers[..] else { panic!() };
    assert_eq!((a.weight, a.max_fails, a.fail_timeout.as_secs(), a.max_conns, a.down), (5, 0, 60, 9, true));
    assert_eq!((b.backup, b.id.as_deref(), b.weight), (true, Some(&b"x"[..]), 1));
    assert_eq!(
        (c.drain, c.route.as_deref(), c.max_fails, c.fail_timeout.as_secs()),
        (true, Some(&b"r"[..]), 1, 10)
    );
}

#[test]
fn nginx_s_words_for_what_is_wrong() {
    for (lines, expect) in [
        ("server a weight=0;", "invalid parameter \"weight=0\""),
        ("server a weight=;", "invalid parameter \"weight=\""),
        ("server a weight=1x;", "invalid parameter \"weight=1x\""),
        ("server a max_fails=-1;", "invalid parameter \"max_fails=-1\""),
        ("server a fail_timeout=1ms;", "invalid parameter \"fail_timeout=1ms\""),
        ("server a Backup;", "invalid parameter \"Backup\""),
        ("server a route=;", "route is empty"),
        ("server a route=123456789012345678901234567890123;", "route is longer than 32"),
        ("server a:0;", "invalid port in upstream \"a:0\""),
        ("server a/b;", "invalid host in upstream \"a/b\""),
        ("server [::1;", "invalid host in upstream \"[::1\""),
        ("server unix:;", "no path in the unix domain socket in upstream \"unix:\""),
        ("server :80;", "no host in upstream \":80\""),
        ("ip_hash; server a backup;", "balancing method does not support parameter \"backup\""),
        ("hash $uri; server a backup;", "balancing method does not support parameter \"backup\""),
        ("hash $uri sometimes;", "invalid parameter \"sometimes\""),
        ("hash $;", "invalid variable name"),
        ("random three;", "invalid parameter \"three\""),
        ("keepalive x;", "invalid value \"x\" in \"keepalive\" directive"),
        ("keepalive 1 remote;", "invalid parameter \"remote\""),
        ("keepalive_requests x;", "\"keepalive_requests\" directive invalid number"),
        ("keepalive_time x;", "\"keepalive_time\" directive invalid value"),
        ("zone \"\" 64k;", "invalid zone name \"\""),
        ("zone z 64x;", "invalid zone size \"64x\""),
        ("zone z 1k;", "zone \"z\" is too small"),
        ("sticky cookie \"\";", "\"sticky\" directive empty cookie name"),
        ("sticky_cookie_insert a x;", "unknown parameter \"x\""),
        ("sticky cookie a domain=;", "\"sticky\" directive no value for \"domain\""),
        ("sticky cookie a expires=x;", "\"sticky\" directive invalid \"expires\" parameter value"),
        ("sticky cookie a path=/ path=/;", "\"sticky\" directive parameter \"path\" is duplicate"),
        ("sticky cookie a samesite=x;", "\"sticky\" directive invalid \"samesite\" parameter value"),
        ("session_sticky cookie=;", "invalid cookie"),
        ("session_sticky domain=;", "invalid domain"),
        ("session_sticky path=;", "invalid path"),
        ("session_sticky maxage=1h;", "invalid maxage"),
        ("session_sticky maxidle=;", "invalid maxidle"),
        ("session_sticky maxlife=-1;", "invalid maxlife"),
        ("session_sticky mode=none;", "invalid mode"),
        ("session_sticky option=;", "invalid option"),
        ("session_sticky fallback=no;", "invalid fallback"),
        ("session_sticky hash=md5x;", "invalid hash mode"),
        ("session_sticky secured;", "invalid argument"),
    ] {
        assert_eq!(said(lines), [format!("[emerg] {expect} in f:2")], "{lines}");
    }
}

#[test]
fn a_block_without_servers_is_named_at_its_end_and_a_second_name_at_its_beginning() {
    assert_eq!(blocks("upstream u {\n}\n").1, ["[emerg] no servers are inside upstream in f:2"]);
    let twice = "upstream u { server a; }\nupstream U {\nserver a; }";
    assert_eq!(blocks(twice).1, ["[emerg] duplicate upstream \"U\" in f:2"]);
}

#[test]
fn of_two_balancers_the_last_one_holds_and_a_backup_may_come_before() {
    let (up, said) = block("server a backup; server b; ip_hash;\nleast_conn;");
    assert_eq!(said, ["[warn] load balancing method redefined in f:3"]);
    assert_eq!(up.method, Method::LeastConn);
}

#[test]
fn sessions_go_with_any_balancer_and_any_server() {
    let (up, said) = block("least_conn; session_sticky; server a backup; server b max_conns=3;");
    let stays =
        "[warn] \"least_conn\" stays in force beside \"session_sticky\"; Tengine would ignore it in f:2";
    assert_eq!(said, [stays]);
    assert!(up.sticky.is_some() && up.method == Method::LeastConn);
    let (up, said) = block("server a; session_sticky; ip_hash;");
    assert_eq!(
        said,
        [
            "[warn] load balancing method redefined in f:2",
            "[warn] \"session_sticky\" stays in force beside \"ip_hash\"; Tengine would drop it in f:2",
        ]
    );
    assert!(up.sticky.is_some() && up.method == Method::IpHash);
}

#[test]
fn connections_are_kept_by_default() {
    let (up, _) = block("server a;");
    assert_eq!((up.keepalive.idle, up.keepalive.local, up.keepalive.requests), (32, true, 1000));
    assert_eq!((up.keepalive.time.as_secs(), up.keepalive.timeout.as_secs()), (3600, 60));
    let (up, _) =
        block("server a; keepalive 7; keepalive_requests 5; keepalive_time 1m; keepalive_timeout 500ms;");
    assert_eq!((up.keepalive.idle, up.keepalive.local, up.keepalive.requests), (7, false, 5));
    assert_eq!((up.keepalive.time.as_secs(), up.keepalive.timeout.as_millis()), (60, 500));
    assert!(block("server a; keepalive 7 local;").0.keepalive.local);
    assert_eq!(block("server a; keepalive 0;").0.keepalive.idle, 0);
}

#[test]
fn session_sticky_has_tengine_s_defaults_and_parameters() {
    let s = quiet("");
    assert_eq!((&*s.cookie, s.path.as_deref(), s.domain), (&b"route"[..], Some(&b"/"[..]), None));
    assert!(s.mode == StickyMode::Insert && !s.indirect && s.fallback && s.md5);
    assert_eq!((s.maxage, s.maxidle, s.maxlife), (None, None, None));
    let s =
        quiet("cookie=uid domain=www.xxx.com path=/a fallback=off mode=insert option=indirect hash=plain");
    assert_eq!((&*s.cookie, s.path.as_deref()), (&b"uid"[..], Some(&b"/a"[..])));
    assert_eq!(s.domain.as_deref(), Some(&b"www.xxx.com"[..]));
    assert!(s.indirect && !s.fallback && !s.md5);
    assert_eq!(quiet("maxidle=1 maxlife=2").maxlife, Some(2));
    assert_eq!(quiet("maxage=120").maxage, Some(120));
    assert_eq!(quiet("mode=rewrite mode=insert").mode, StickyMode::Insert, "the last one holds");
    assert!(quiet("fallback=off fallback=on").fallback);
}

#[test]
fn sloppy_words_mean_what_tengine_takes_them_for_and_are_warned_of() {
    let (s, said) =
        session("session_sticky cookie=uid mode=insertX fallback=online option=directly hash=plainly");
    let s = s.unwrap();
    assert_eq!(
        (&*s.cookie, s.mode, s.fallback, s.indirect, s.md5),
        (&b"uid"[..], StickyMode::Insert, true, false, false)
    );
    assert_eq!(
        said,
        [
            "[warn] the word \"session_sticky\" is repeated in f:2",
            "[warn] \"mode=insertX\" is read as \"mode=insert\" in f:2",
            "[warn] \"fallback=online\" is read as \"fallback=on\" in f:2",
            "[warn] \"option=directly\" is read as \"option=direct\" in f:2",
            "[warn] \"hash=plainly\" is read as \"hash=plain\" in f:2",
        ]
    );
}

#[test]
fn parameters_without_effect_are_warned_of() {
    let (_, said) = session("maxage=5 maxidle=5");
    assert_eq!(said, ["[warn] \"maxage\" is ignored with \"maxidle\" or \"maxlife\" in f:2"]);
    let (s, said) = session("mode=prefix maxlife=5");
    assert_eq!(said, ["[warn] \"maxidle\" and \"maxlife\" do nothing without \"mode=insert\" in f:2"]);
    assert_eq!(s.unwrap().maxlife, None);
    let (s, said) = session("mode=rewrite option=indirect");
    assert_eq!(said, ["[warn] \"option=indirect\" does nothing with \"mode=rewrite\" in f:2"]);
    assert!(!s.unwrap().indirect);
}

#[test]
fn sticky_cookie_insert_is_read_as_its_documents_say() {
    let (up, said) = block("server a; sticky_cookie_insert srv_id expires=1h domain=toxingwang.com path=/;");
    assert!(said.is_empty(), "{said:?}");
    let Some(Sticky::Cookie(c)) = up.sticky else { panic!() };
    assert_eq!((&*c.name, c.expires), (&b"srv_id"[..], crate::plan::StickyExpires::Seconds(3600)));
    assert_eq!((c.domain.as_deref(), c.path.as_deref()), (Some(&b"toxingwang.com"[..]), Some(&b"/"[..])));
}

#[test]
fn locations_hide_cookies_in_the_new_words_and_the_old() {
    let read = |text: &str| {
        let conf = conf(text);
        let (mut hiding, mut diags) = (Hiding::default(), Diags::new());
        conf.main().for_each(|d| hiding.read(d, &mut diags));
        let said: Vec<String> = diags.iter().map(|d| render_nginx(&conf.map, d)).collect();
        let names: Vec<_> = hiding.upstreams.iter().map(|n| (show(&n.name).into_owned(), n.hide)).collect();
        (names, said)
    };
    assert_eq!(read("session_sticky_hide_cookie upstream=u;"), (vec![("u".to_owned(), true)], vec![]));
    let old = "nginx: [warn] the \"session_sticky_header\" directive is deprecated, \
               use the \"session_sticky_hide_cookie\" directive instead in f:1";
    for (text, hide) in [("", true), (" switch=on", true), (" switch=off", false)] {
        let (names, said) = read(&format!("session_sticky_header upstream=u{text};"));
        assert_eq!((names, said), (vec![("u".to_owned(), hide)], vec![old.to_owned()]));
    }
    let (names, said) = read("session_sticky_hide_cookie x=u;");
    assert!(names.is_empty());
    assert_eq!(said, ["nginx: [emerg] invalid argument of \"x=u\" in f:1"]);
}

#[test]
fn sticky_is_read_as_nginx_reads_it() {
    let (up, wrong) = block(
        "server a; sticky learn create=$upstream_cookie_my-sid create=$arg_s lookup=$cookie_my-sid zone=z:1m \
         timeout=90 header;",
    );
    assert!(wrong.is_empty(), "{wrong:?}");
    let Some(Sticky::Learn(l)) = up.sticky else { panic!() };
    assert_eq!(
        (&*l.create[0], &*l.create[1], &*l.lookup[0]),
        ("upstream_cookie_my-sid", "arg_s", "cookie_my-sid")
    );
    assert_eq!((&*l.zone, l.size, l.timeout.as_secs(), l.header), (&b"z"[..], 1 << 20, 90, true));
    let (up, wrong) = block("server a; sticky route $a $b;");
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(matches!(up.sticky, Some(Sticky::Route(names)) if names.iter().map(|n| &**n).eq(["a", "b"])));
    let directive = |what: &str| format!("\"sticky\" directive {what}");
    for (words, expect) in [
        ("cookie", "invalid number of arguments in \"sticky\" directive".to_owned()),
        ("bad x", "unknown parameter \"bad\"".to_owned()),
        ("route x", "invalid variable name \"x\"".to_owned()),
        ("learn zone=z:1m", directive("\"lookup\" parameter is not specified")),
        ("learn lookup=$a zone=z:1m", directive("\"create\" parameter is not specified")),
        ("learn lookup=$a create=$a", directive("\"zone\" parameter is not specified")),
        ("learn zone=z", directive("zone size is not specified")),
        ("learn zone=:1m", directive("zone name is not specified")),
        ("learn zone=z:x", directive("invalid zone size")),
        ("learn zone=z:31k", directive("zone is too small")),
        ("learn zone=z:1m zone=y:1m", directive("duplicate zone")),
        ("learn timeout=0", directive("invalid timeout")),
        ("learn timeout=1 timeout=2", directive("duplicate timeout")),
        ("learn create=a", directive("missing variable in the \"create\" parameter")),
        ("learn lookup=a", directive("missing variable in the \"lookup\" parameter")),
        ("learn sync zone=z:1m", "unknown parameter \"sync\"".to_owned()),
        ("learn snapshot=", directive("invalid snapshot")),
        ("learn snapshot=a snapshot=b", directive("duplicate snapshot")),
        ("learn snapshot_interval=999ms", directive("invalid snapshot_interval")),
        (
            "learn store=http://x",
            directive("invalid store: the scheme is \"redis\" or \"rediss\", \"valkey\" or \"valkeys\""),
        ),
        ("learn store=redis://:topsecret@h:x", directive("invalid store: a host is not well formed")),
        ("learn store=redis://a store=redis://b", directive("duplicate store")),
        ("learn store_timeout=0", directive("invalid store_timeout")),
        ("learn store_ca=", directive("invalid store_ca")),
    ] {
        let lines = said(&format!("sticky {words};"));
        assert_eq!(lines, [format!("[emerg] {expect} in f:2")], "{words}");
    }
    for (words, expect) in [
        ("snapshot_interval=5s", "\"snapshot_interval\" needs \"snapshot\""),
        ("store_timeout=5ms", "\"store_timeout\" needs \"store\""),
        ("store=redis://h store_ca=f", "\"store_ca\" needs a \"store\" with TLS, \"rediss://\""),
        ("store=rediss://h store_certificate=f", "\"store_certificate\" needs \"store_certificate_key\""),
        (
            "store=redis://:p@h store_password_file=f",
            "the password is in \"store\" and in \"store_password_file\"",
        ),
    ] {
        let lines = said(&format!("sticky learn create=$a lookup=$a zone=z:1m {words};"));
        assert_eq!(lines, [format!("[emerg] {} in f:2", directive(expect))], "{words}");
    }
    assert_eq!(
        said("sticky route $a; sticky route $b;"),
        ["[emerg] \"sticky\" directive is duplicate in f:2"]
    );
    let learn =
        |name: &str| format!("upstream {name} {{ server a; sticky learn create=$a lookup=$a zone=z:1m; }}\n");
    let conf = conf(&(learn("u") + &learn("v")));
    let mut diags = Diags::new();
    let list: Vec<Upstream> = conf.main().map(|d| read(d, &mut diags)).collect();
    shared_zones(&list, &mut diags);
    let lines: Vec<String> = diags.iter().map(|d| render_nginx(&conf.map, d)).collect();
    assert_eq!(lines, ["nginx: [emerg] sticky zone \"z\" is already used in upstream \"u\" in f:2"]);
}

#[test]
fn balancers_by_time_are_read_and_what_they_forbid_is_said() {
    let method = |line: &str| {
        let (up, said) = block(&format!("{line} server a;"));
        assert!(said.is_empty(), "{line}: {said:?}");
        up.method
    };
    assert_eq!(method("least_time header;"), Method::LeastTime { last_byte: false, inflight: false });
    assert_eq!(
        method("least_time last_byte inflight;"),
        Method::LeastTime { last_byte: true, inflight: true }
    );
    assert_eq!(method("random two least_conn;"), Method::Random { two: true });
    assert_eq!(method("random two least_time=last_byte;"), Method::RandomLeastTime { last_byte: true });
    assert_eq!(method("consistent_hash $uri;"), Method::ConsistentHash((*b"$uri").into()));
    let (up, wrong) = block("server a slow_start=30s backup; least_time header; server b slow_start=1500ms;");
    assert!(wrong.is_empty(), "{wrong:?}");
    let takes: Vec<_> = up.servers.iter().map(|s| s.slow_start.as_millis()).collect();
    assert_eq!(takes, [30_000, 1500]);
    for (lines, expect) in [
        ("least_time first_byte;", "invalid value \"first_byte\""),
        ("least_time header outflight;", "invalid parameter \"outflight\""),
        ("random three;", "invalid parameter \"three\""),
        ("random two least_time=first;", "invalid parameter \"least_time=first\""),
        ("server b slow_start=x;", "invalid parameter \"slow_start=x\""),
        ("ip_hash; server b slow_start=1s;", "balancing method does not support parameter \"slow_start=1s\""),
        ("consistent_hash $a; server b backup;", "balancing method does not support parameter \"backup\""),
    ] {
        assert_eq!(said(lines), [format!("[emerg] {expect} in f:2")], "{lines}");
    }
}

#[path = "pins.rs"]
mod pins;
