use std::path::Path;

use crate::explain::settings::{Settings, compare};
use crate::source::Conf;

fn conf(dir: &Path, http: &str) -> Conf {
    let file = dir.join("t.conf");
    std::fs::write(&file, format!("events {{}}\nhttp {{\n{http}\n}}\n")).unwrap();
    let loaded = crate::compile::load(&file, dir, None);
    assert!(loaded.plan.is_some(), "{http}: {:?}", loaded.diags);
    loaded.conf
}

fn diff(old: &str, new: &str) -> Settings {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for dir in [&a, &b] {
        std::fs::write(dir.path().join("timeouts.inc"), "proxy_read_timeout 90s;\n").unwrap();
    }
    compare(&conf(a.path(), old), &conf(b.path(), new))
}

const SERVER: &str = "listen 127.0.0.1:80; server_name x;";

fn server(lines: &str) -> String {
    format!("server {{ {SERVER} {lines} }}")
}

#[test]
fn what_means_the_same_is_no_difference() {
    for (a, b) in [
        ("client_max_body_size 1m;", "client_max_body_size 1024k;"),
        ("proxy_read_timeout 60s;", ""),
        ("proxy_read_timeout 60s;", "proxy_read_timeout 1m;"),
        ("include timeouts.inc;", "proxy_read_timeout 90;"),
        ("proxy_buffers 8 4k;", "proxy_buffers 8 4096;"),
        ("etag ON;", "etag on;"),
        ("location /a { return 204; } location /b {}", "location /b {} location /a { return 204; }"),
        ("add_header X 1; location /a { }", "add_header X 1; location /a { add_header X 1; }"),
        ("", "# only a remark\n"),
    ] {
        let found = diff(&server(a), &server(b));
        assert!(found.is_empty(), "{a} -> {b}: {}", found.text());
        assert!(diff(&server(b), &server(a)).is_empty(), "{b} -> {a}");
    }
}

#[test]
fn a_difference_is_told_once_where_it_is_made() {
    let inside = "location /a { } location /b { location /b/c { } } location /d { proxy_read_timeout 7; }";
    let old = format!("proxy_read_timeout 1m; {}", server(inside));
    let new = format!("proxy_read_timeout 2m; {}", server(inside));
    let found = diff(&old, &new);
    let [one] = &found.changed[..] else { panic!("{}", found.text()) };
    assert_eq!((&*one.block, &*one.name, one.inherited_by), ("http", "proxy_read_timeout", 4));
    assert_eq!(
        (&one.before[..], &one.after[..]),
        (&["proxy_read_timeout 1m".to_owned()][..], &["proxy_read_timeout 2m".to_owned()][..])
    );
}

#[test]
fn a_list_that_a_block_begins_anew_says_what_it_lost() {
    let old = "add_header X-Frame-Options DENY; add_header X-A 1; location /a { }";
    let new = "add_header X-Frame-Options DENY; add_header X-A 1; location /a { add_header X-B 1; }";
    let found = diff(&server(old), &server(new));
    let [one] = &found.changed[..] else { panic!("{}", found.text()) };
    assert_eq!(one.lost, ["add_header X-Frame-Options DENY", "add_header X-A 1"]);
    assert_eq!(one.after, ["add_header X-B 1"]);
    assert!(found.text().contains("no longer inherited here: add_header X-Frame-Options DENY"));
    let found =
        diff(&server("add_header X-A 1;"), &server("add_header X-A 1; location /a { add_header X-B 1; }"));
    assert_eq!(found.alone[0].lost, ["add_header X-A 1"]);
}

#[test]
fn blocks_pair_by_their_words_and_servers_by_a_name_that_stayed() {
    let old =
        "server { listen 127.0.0.1:80; server_name a b; location = /x { } location ~ y { return 200; } }";
    let new = "server { listen 127.0.0.1:81; server_name b; location /x { } location ~ y { return 201; } }";
    let found = diff(old, new);
    let names: Vec<&str> = found.changed.iter().map(|s| &*s.name).collect();
    assert_eq!(names, ["listen", "server_name", "rewrite rules"], "{}", found.text());
    let alone: Vec<(&str, bool)> = found.alone.iter().map(|a| (&*a.block, a.added)).collect();
    assert_eq!(
        alone,
        [
            ("http / server b (127.0.0.1:81) / location = /x", false),
            ("http / server b (127.0.0.1:81) / location /x", true)
        ]
    );
    let rules = "allow 10.0.0.0/8; deny all;";
    let found = diff(&server(&format!("{rules} location / {{ }}")), &server("location / { deny all; }"));
    assert!(found.changed.iter().any(|s| s.name == "allow, deny"), "{}", found.text());
}

#[test]
fn upstreams_and_scripts_are_compared_in_their_order() {
    let up =
        |lines: &str| format!("upstream u {{ {lines} }} {}", server("location / { proxy_pass http://u; }"));
    let found = diff(
        &up("server 127.0.0.1:1; server 127.0.0.1:2;"),
        &up("server 127.0.0.1:1 weight=2; server 127.0.0.1:2;"),
    );
    let [one] = &found.changed[..] else { panic!("{}", found.text()) };
    assert_eq!((&*one.block, &*one.name), ("http / upstream u", "server"));
    let old = "set $a 1; if ($arg_x) { set $a 2; } return 200 $a;";
    let new = "if ($arg_x) { set $a 2; } set $a 1; return 200 $a;";
    let found = diff(&server(old), &server(new));
    assert!(found.text().contains("(in another order)"), "{}", found.text());
}
