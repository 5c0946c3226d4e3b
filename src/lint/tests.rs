use super::lint;
use crate::diag::{Diags, SourceMap};
use crate::source::Conf;
use crate::syntax::parse;

fn conf(text: &str) -> Conf {
    let (mut map, mut diags) = (SourceMap::new(), Diags::new());
    let id = map.add("f".to_owned(), text.as_bytes().into(), None);
    let tree = parse(&map, id, &mut diags);
    assert!(!diags.fatal(), "{diags:?}");
    Conf { map, trees: vec![tree], roots: vec![id], main_file: Some(id), ..Conf::default() }
}

/// The rules that speak of an upstream and a location of these lines, and of these lines of `http`.
fn rules(upstream: &str, location: &str, http: &str) -> Vec<&'static str> {
    let text = format!(
        "http {{\n{http}\nupstream u {{\n{upstream}\n}}\nserver {{ listen 127.0.0.1:80; location / {{ proxy_pass http://u; {location}\n}} }}\n}}\n"
    );
    lint(&conf(&text)).iter().map(|f| f.diag.code).collect()
}

const S: &str = "server 10.0.0.1:80;";

#[test]
fn each_rule_speaks_where_it_should_and_is_silent_beside() {
    for (rule, bad, good) in [
        (
            "S1",
            ["session_sticky option=indirect;", "", ""],
            ["session_sticky option=indirect;", "session_sticky_hide_cookie upstream=U;", ""],
        ),
        (
            "S1",
            ["session_sticky mode=prefix;", "session_sticky_hide_cookie upstream=x;", ""],
            ["session_sticky;", "", ""],
        ),
        ("S2", ["session_sticky; least_conn;", "", ""], ["least_conn; session_sticky;", "", ""]),
        ("S3", ["sticky cookie a samesite=None;", "", ""], ["sticky cookie a samesite=none secure;", "", ""]),
        ("S4", ["session_sticky;", "", "server { listen 80; }"], ["session_sticky;", "", ""]),
        (
            "S4",
            ["session_sticky;", "", "server { listen 80; }"],
            ["session_sticky signed;", "", "server { listen 80; }"],
        ),
        (
            "S4",
            ["session_sticky signed=off;", "", "session_sticky_key k; server { listen 80; }"],
            ["sticky cookie a;", "", "session_sticky_key k; server { listen 80; }"],
        ),
        (
            "S4",
            ["session_sticky signed; sticky_accept nginx;", "", ""],
            ["session_sticky; sticky_accept nginx;", "", ""],
        ),
        ("S6", ["session_sticky;", "expires 1h;", ""], ["session_sticky nocache;", "expires 1h;", ""]),
        ("S6", ["session_sticky;", "expires 1h;", ""], ["session_sticky;", "expires off;", "expires 1h;"]),
        (
            "S6",
            ["sticky cookie a;", "", "proxy_cache z;"],
            ["sticky cookie a;", "proxy_cache off;", "proxy_cache z;"],
        ),
        ("S7", ["session_sticky fallback=off;", "", ""], ["session_sticky fallback=on;", "", ""]),
        (
            "S8",
            ["ip_hash;", "proxy_set_header X-Forwarded-For $remote_addr;", ""],
            ["ip_hash;", "proxy_set_header X-Forwarded-For $remote_addr;", "set_real_ip_from 10.0.0.0/8;"],
        ),
        ("S9", ["hash $cookie_a$arg_b;", "", ""], ["hash $cookie_a$remote_addr;", "", ""]),
        (
            "S10",
            ["session_sticky cookie=id;", "add_header x $cookie_uid;", ""],
            ["session_sticky cookie=id;", "add_header x $cookie_id;", ""],
        ),
        (
            "S11",
            ["sticky learn create=$upstream_cookie_a lookup=$cookie_a zone=z:64k;", "", ""],
            ["sticky learn create=$upstream_cookie_a lookup=$cookie_a zone=z:1m;", "", ""],
        ),
        (
            "S12",
            ["session_sticky maxage=9000 maxidle=9000;", "", ""],
            ["session_sticky maxidle=9000;", "", ""],
        ),
        ("S13", ["server a; session_sticky;", "", ""], ["server unix:/s; session_sticky;", "", ""]),
        ("S14", ["sticky cookie a domain=$host;", "", ""], ["sticky cookie a domain=.x.org;", "", ""]),
        ("S15", ["sticky_cookie_insert a;", "", ""], ["sticky cookie a;", "", ""]),
        (
            "S15",
            ["session_sticky;", "session_sticky_header upstream=u;", ""],
            ["session_sticky;", "session_sticky_hide_cookie upstream=u;", ""],
        ),
        (
            "S16",
            ["session_sticky fallback=off;", "", "proxy_next_upstream error non_idempotent;"],
            [
                "session_sticky fallback=off;",
                "proxy_next_upstream error;",
                "proxy_next_upstream error non_idempotent;",
            ],
        ),
        ("S17", ["sticky cookie a expires=5m;", "", ""], ["sticky cookie a expires=1h;", "", ""]),
    ] {
        let of = |[upstream, location, http]: [&str; 3]| rules(&format!("{S} {upstream}"), location, http);
        assert!(of(bad).contains(&rule), "{rule} is silent on {bad:?}: {:?}", of(bad));
        assert!(!of(good).contains(&rule), "{rule} speaks of {good:?}");
    }
}

#[test]
fn two_upstreams_of_one_server_have_two_cookies() {
    let text = |name: &str| {
        format!(
            "upstream a {{ {S} session_sticky; }} upstream b {{ {S} session_sticky cookie={name}; }} \
             server {{ listen 127.0.0.1; location / {{ proxy_pass http://a; }} location /b {{ proxy_pass http://b/x; }} }}"
        )
    };
    let found = |name| lint(&conf(&text(name))).iter().any(|f| f.diag.code == "S5");
    assert!(found("route") && !found("other"));
}

#[test]
fn a_line_with_a_reason_is_left_out() {
    let of = |comment: &str| rules(&format!("{S}\n{comment}\nsticky cookie a samesite=none;"), "", "");
    assert!(of("# tenrec-ignore S3: only old clients").is_empty());
    for comment in [
        "# tenrec-ignore S3",
        "# tenrec-ignore S3: ",
        "# tenrec-ignore S2: x",
        "zone z 1m; # tenrec-ignore S3: x",
    ] {
        assert_eq!(of(comment), ["S3"], "{comment}");
    }
}

#[test]
fn everything_says_what_will_happen_and_where() {
    let conf = conf(
        "upstream u { server a; session_sticky maxage=1 maxidle=9 fallback=off option=indirect; ip_hash; }",
    );
    let found = lint(&conf);
    assert!(found.len() > 5);
    for f in found {
        assert!(f.diag.span.is_some() && f.diag.at.is_some() && f.diag.hint.is_some_and(|h| h.len() > 40));
    }
}
