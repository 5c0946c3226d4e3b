//! What locations inherit, and how a path finds them.

use std::sync::Arc;
use std::time::Duration;

use super::plan;
use crate::plan::{Content, LocMatch, Location, Plan, ProxyRedirect, Root, Template};

fn location<'p>(plan: &'p Plan, name: &str) -> &'p Location {
    plan.locations.iter().find(|l| &*l.name == name.as_bytes()).expect("the location")
}

#[test]
fn a_field_that_is_not_set_is_the_outer_level_s() {
    let plan = plan(
        "send_timeout 5s; add_header A 1; client_max_body_size 1;
         server { listen 1; client_max_body_size 2; location /a { add_header B 2; } location /b { } }",
    );
    let (a, b) = (location(&plan, "/a"), location(&plan, "/b"));
    assert_eq!((a.send_timeout, a.max_body), (Duration::from_secs(5), 2));
    let names = |l: &Location| l.add_headers.iter().map(|h| h.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(a), [(*b"B").into()]);
    assert_eq!(names(b), [(*b"A").into()]);
}

#[test]
fn locations_that_change_nothing_share_their_settings() {
    let plan = plan("server { listen 1; location /a { } location /b { return 204; } }");
    assert!(Arc::ptr_eq(&location(&plan, "/a").set, &location(&plan, "/b").set));
}

#[test]
fn a_prefix_knows_the_next_shorter_one() {
    let plan = plan(
        "server { listen 1; location /a/b/c { } location / { } location /a { } location /b { }
         location = /a { } location ~ x { } }",
    );
    let router = &plan.servers[0].router;
    let of = |text: &str| router.prefixes.iter().position(|p| &*p.text == text.as_bytes()).expect("a prefix");
    let shorter = |text: &str| router.prefixes[of(text)].shorter.map(|i| i as usize);
    assert_eq!(shorter("/a/b/c"), Some(of("/a")));
    assert_eq!(shorter("/b"), Some(of("/")));
    assert_eq!(shorter("/"), None);
    assert_eq!(router.exact.len(), 1);
    assert_eq!(router.regexes.len(), 1);
}

#[test]
fn roots_are_paths_under_the_prefix_and_an_alias_knows_what_it_replaces() {
    let plan =
        plan("server { listen 1; root html/; location /img/ { alias /x/; } location /v { root $host; } }");
    let text = |l: &Location| match &l.root {
        Root::Root(t) | Root::Alias { path: t, .. } => t.as_text().map(<[u8]>::to_vec),
    };
    assert_eq!(text(&plan.locations[0]), Some(b"/prefix/html".to_vec()));
    assert!(matches!(&location(&plan, "/img/").root, Root::Alias { replaces: Some(5), .. }));
    assert_eq!(text(location(&plan, "/v")), None);
}

#[test]
fn a_proxy_location_ending_in_a_slash_redirects_to_it() {
    let plan =
        plan("server { listen 1; location /a/ { proxy_pass http://127.0.0.1:81/v/; } location /b { } }");
    let a = location(&plan, "/a/");
    assert!(a.auto_redirect);
    assert!(!location(&plan, "/b").auto_redirect);
    let Content::Proxy(proxy) = &a.content else { panic!("{a:?}") };
    assert_eq!((proxy.replaces, proxy.uri.clone()), (3, Some(Template::text(*b"/v/"))));
    assert_eq!(proxy.host, Template::text(*b"127.0.0.1:81"));
    let ProxyRedirect::Rules(rules) = &proxy.redirect else { panic!("{proxy:?}") };
    assert_eq!(rules[0].1, Template::text(*b"/a/"));
}

#[test]
fn the_fields_of_a_request_are_nginx_s_with_the_file_s_in_their_place() {
    let plan = plan(
        "server { listen 1; location / { proxy_set_header Connection $http_connection;
         proxy_set_header Host x; proxy_pass http://127.0.0.1; } }",
    );
    let Content::Proxy(proxy) = &location(&plan, "/").content else { panic!("no proxy") };
    let names: Vec<_> = proxy.set_headers.iter().map(|(n, _)| String::from_utf8_lossy(n)).collect();
    assert_eq!(names, ["Host", "Connection", "Proxy-Connection", "TE", "Keep-Alive", "Expect", "Upgrade"]);
    assert_eq!(proxy.set_headers[0].1, Template::text(*b"x"));
}

#[test]
fn nesting_costs_no_stack() {
    let depth = 20_000;
    let text = format!("server {{ listen 1; {}{} }}", "location / { ".repeat(depth), "}".repeat(depth));
    assert_eq!(plan(&text).locations.len(), depth + 1);
}

#[test]
fn a_named_location_is_found_by_error_pages_of_the_outer_level() {
    let plan =
        plan("error_page 404 @f; server { listen 1; location @f { return 200; } } server { listen 2; }");
    let to = |i: usize| &plan.locations[plan.servers[i].root.ix()].error_pages[0].to;
    let named = plan.locations.iter().position(|l| l.kind == LocMatch::Named).expect("@f");
    assert!(matches!(to(0), crate::plan::ErrorTo::Named(id) if id.ix() == named));
    assert!(matches!(to(1), crate::plan::ErrorTo::NamedMissing(_)));
}
