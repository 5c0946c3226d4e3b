//! Rules of HAProxy's that let in, keep out and change: the same requests on both, or nobody gets in.

use std::io::Write as _;

use base64::Engine as _;

use crate::migrate::{beside, migrate, run};
use crate::support::client::{Client, Response};
use crate::support::origin::Origin;
use crate::support::skipped;

/// An origin that answers with its name and what it was asked.
fn echo(name: &'static str) -> Origin {
    const SHOWN: [&str; 8] =
        ["X-One", "X-Two", "X-Gone", "X-Forwarded-For", "X-Unique-Id", "X-Area", "Cookie", "Upgrade"];
    Origin::new(move |request, out| {
        let mut body = format!("{name} {}", request.head.lines().next().unwrap_or_default());
        for header in SHOWN {
            if let Some(value) = request.header(header) {
                body.push_str(&format!("|{header}={value}"));
            }
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-Own: origin\r\nServer: origin\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        out.write_all(format!("{head}{body}").as_bytes()).is_ok()
    })
}

fn ask(port: u16, method: &str, path: &str, fields: &str) -> Response {
    let mut client = Client::connect(port);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\nConnection: close\r\n{fields}\r\n"
    );
    client.send(head).response()
}

/// What of an answer must be the same on both.
fn seen(response: &Response) -> (u16, String, Vec<Option<String>>) {
    let names = ["Location", "WWW-Authenticate", "X-Own", "X-Set", "X-Added", "Server"];
    let mut headers: Vec<Option<String>> = names.iter().map(|n| response.header(n)).collect();
    // What the products say themselves they say in their own words.
    let body = Some(response.text()).filter(|b| response.status == 200 && b.contains(" HTTP/1.1"));
    if body.is_none() {
        headers.pop();
    }
    let body = body.unwrap_or_default();
    (response.status, body, headers)
}

const TOP: &str = "defaults\n mode http\n timeout connect 5s\n timeout server 5s\n timeout client 5s\n";

fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(pair))
}

#[test]
fn rules_that_let_in_and_keep_out_do_so_as_in_haproxy() {
    let (web, api) = (echo("web"), echo("api"));
    let text = format!(
        "{TOP}userlist staff\n group ops users ann\n group dev\n user ann insecure-password a+b/c?\n user bob insecure-password x groups dev\n\
         frontend front\n bind 127.0.0.1:%%PORT%%\n monitor-uri /alive\n\
         tcp-request inspect-delay 1s\n tcp-request content accept if {{ path_beg /open }}\n\
         tcp-request content reject if {{ path_end .bad }}\n\
         http-request allow if {{ path /ping }}\n http-request deny if {{ hdr_cnt(X-Token) eq 0 }} {{ path_beg /api }}\n\
         http-request deny deny_status 405 unless METH_GET || {{ method POST PUT }}\n\
         http-request auth realm Ops if {{ path_beg /ops }} !{{ http_auth_group(staff) ops }}\n\
         http-request auth realm Staff if {{ path_beg /staff }} !{{ http_auth(staff) }}\n\
         http-request deny if {{ path_len gt 40 }} || {{ path_reg -i ^/OLD/[0-9]+$ }}\n\
         http-request deny if {{ base_beg -i shop.test/hidden }} !{{ src 10.0.0.0/8 192.168.0.0/16 }}\n\
         redirect prefix http://m.shop.test drop-query append-slash code 301 if {{ path /m }}\n\
         redirect location /login set-cookie A=b if {{ path /gate }}\n\
         use_backend api if {{ path_beg /api }}\n default_backend web\n\
         backend web\n http-request deny deny_status 410 if {{ path_beg /past }}\n\
         http-request redirect location /new if {{ path /moved }}\n server s {}\n\
         backend api\n http-request deny unless {{ req.hdr(X-Token) -m beg k- }}\n server s {}\n",
        web.addr(),
        api.addr()
    );
    let (theirs, ours) = beside(&text);
    let Some(theirs) = theirs else { return skipped("rules that keep out", "no HAProxy") };
    let (ann, bob, nobody) = (basic("ann:a+b/c?"), basic("bob:x"), basic("ann:A+b/c?"));
    let long = format!("/{}", "x".repeat(60));
    for method in ["GET", "POST", "DELETE"] {
        for path in [
            "/",
            "/alive",
            "/ping",
            "/ping?x",
            "/api/1",
            "/ops/x",
            "/staff",
            &long,
            "/old/77",
            "/OLD/7?q",
            "/old/x",
            "/hidden/1",
            "/m",
            "/m?a=b",
            "/gate",
            "/past/1",
            "/moved",
            "/moved/x",
        ] {
            for fields in ["", "X-Token: k-1\r\n", "X-Token: z\r\n", &ann, &bob, &nobody] {
                let ask = |port: u16| seen(&ask(port, method, path, fields));
                assert_eq!(ask(ours.port(8080)), ask(theirs.port()), "{method} {path} {fields}");
            }
        }
    }
    let ended = |port: u16| {
        let mut client = Client::connect(port);
        client.send("GET /x.bad HTTP/1.1\r\nHost: a\r\n\r\n").rest()
    };
    assert_eq!(ended(ours.port(8080)), ended(theirs.port()), "rejected without an answer");
    assert_eq!(ask(ours.port(8080), "GET", "/open.bad", "").status, 200);
    assert_eq!(ask(theirs.port(), "GET", "/open.bad", "").status, 200);
}

#[test]
fn what_rules_change_arrives_as_from_haproxy() {
    let web = echo("web");
    let text = format!(
        "{TOP}frontend front\n bind 127.0.0.1:%%PORT%%\n option forwardfor if-none\n acl beta hdr(X-Beta) -m found\n\
         http-request set-var(txn.area) path,field(2,/)\n\
         http-request set-header X-One first if beta\n http-request set-header X-One second if {{ path_end .two }}\n\
         http-request del-header X-Gone if !beta\n http-request set-header X-Area %[req.hdr(host),field(1,:)]\n\
         http-request replace-header X-Two ^a(.*)$ b\\1\n\
         http-response set-header X-Set %[src]\n http-response add-header X-Added yes\n\
         http-response del-header X-Own\n default_backend web\n\
         backend web\n http-request replace-path ^/v1/(.*) /api/\\1\n\
         http-request set-path /pre%[path] if {{ path_beg /cut }}\n http-request set-path %[path,regsub(^/strip/,/)]\n\
         http-request set-query page=1 if {{ path /list }}\n http-response set-header X-Own again\n server s {}\n",
        web.addr()
    );
    // Files of older versions say the same in other words; HAProxy no longer reads them.
    let (theirs, ours) = beside(&text);
    let Some(theirs) = theirs else { return skipped("what rules change", "no HAProxy") };
    for path in ["/", "/v1/x?q=1", "/v1/%41", "/cut/1?a", "/strip/me", "/list", "/list?page=7", "/a.two"] {
        for fields in [
            "",
            "X-Beta: 1\r\nX-Gone: stays\r\n",
            "X-Gone: g\r\nX-Two: abc\r\n",
            "X-Two: xyz\r\nX-One: own\r\n",
            "X-Forwarded-For: 192.0.2.9\r\n",
        ] {
            let ask = |port: u16| {
                let (status, body, headers) = seen(&ask(port, "GET", path, fields));
                // What an escape stood for is passed on as itself.
                (status, body.replace("%41", "A"), headers)
            };
            assert_eq!(ask(ours.port(8080)), ask(theirs.port()), "{path} {fields}");
        }
    }
}

#[test]
fn the_page_of_statistics_asks_for_the_same_password() {
    let text = format!(
        "{TOP}listen stats\n bind 127.0.0.1:%%PORT%%\n stats enable\n stats uri /stats\n stats realm Numbers\n\
         stats auth admin:secret\n stats hide-version\n"
    );
    let (theirs, ours) = beside(&text);
    let Some(theirs) = theirs else { return skipped("statistics", "no HAProxy") };
    for (path, fields) in [
        ("/stats", String::new()),
        ("/stats", basic("admin:wrong")),
        ("/stats", basic("admin:secret")),
        ("/other", basic("admin:secret")),
    ] {
        let ask = |port: u16| {
            let answer = ask(port, "GET", path, &fields);
            (answer.status, answer.header("WWW-Authenticate"))
        };
        assert_eq!(ask(ours.port(8080)), ask(theirs.port()), "{path} {fields}");
    }
}

#[test]
fn a_server_that_a_rule_names_gets_the_request() {
    let origins = [echo("one"), echo("two"), echo("three")];
    let text = format!(
        "{TOP}frontend front\n bind 127.0.0.1:%%PORT%%\n default_backend web\n\
         backend web\n use-server b if {{ path_beg /b }}\n use-server c unless {{ hdr(X-C) -m found }} || {{ path / }}\n\
         server a {}\n server b {}\n server c {}\n",
        origins[0].addr(),
        origins[1].addr(),
        origins[2].addr()
    );
    let (theirs, ours) = beside(&text);
    let Some(theirs) = theirs else { return skipped("use-server", "no HAProxy") };
    for (path, fields) in [("/b", ""), ("/b/x", "X-C: 1\r\n"), ("/c", "")] {
        for _ in 0..4 {
            let ask = |port: u16| ask(port, "GET", path, fields).text();
            assert_eq!(ask(ours.port(8080)), ask(theirs.port()), "{path} {fields}");
        }
    }
    let names = |port: u16| {
        let name = |_| ask(port, "GET", "/", "").text().split(' ').next().unwrap_or_default().to_owned();
        (0..6).map(name).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names(ours.port(8080)), names(theirs.port()));
}

#[test]
fn a_change_of_protocol_passes_as_through_haproxy() {
    let origin = Origin::sends(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello",
        false,
    );
    let text = format!(
        "{TOP}frontend front\n bind 127.0.0.1:%%PORT%%\n default_backend web\nbackend web\n server s {}\n",
        origin.addr()
    );
    let (theirs, ours) = beside(&text);
    let Some(theirs) = theirs else { return skipped("a change of protocol", "no HAProxy") };
    for port in [ours.port(8080), theirs.port()] {
        let mut client = Client::connect(port);
        client.send(
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        let text = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(text.starts_with("HTTP/1.1 101 ") && text.ends_with("hello"), "{text}");
    }
}

/// Each line keeps somebody out by what nothing here can ask: nobody it may mean gets in, and the others do.
#[test]
fn what_kept_out_and_cannot_be_asked_keeps_out_whoever_it_may_mean() {
    let web = echo("web");
    for (lines, shut, open) in [
        ("http-request deny if { src -f /nowhere/list }", "/", None),
        ("http-request deny unless { src -f /nowhere/list }", "/", None),
        ("http-request deny if { path_beg /in } !{ src 2001:db8:0:1::/64 }", "/in/x", Some("/out")),
        ("http-request silent-drop if { path_beg /in } { lua.blocked -m bool }", "/in", Some("/out")),
        ("http-request auth unless { http_auth(digests) }", "/", None),
        ("http-request auth if { path_beg /in } !{ http_auth(digests) }", "/in", Some("/out")),
        ("tcp-request connection reject if { src -f /nowhere/list }", "/", None),
        ("tcp-request content reject if { path_beg /in } { src_get_gpc0 gt 0 }", "/in", Some("/out")),
        ("http-request deny if { path_beg /in } { sc_http_req_rate(0) gt 9 }", "/in", Some("/out")),
        ("http-request allow if { src -f /nowhere/list }\n http-request deny", "/", None),
        ("use_backend other if { src -f /nowhere/list }", "/", None),
        ("use_backend none if { path,lua.odd -m found }", "/", None),
        ("http-response deny if { res.hdr(X-Secret) -m found }", "/", None),
        ("reqideny ^POST\\ /.*", "/", None),
        ("block if { path_beg /in } !{ src -f /nowhere/list }", "/in", Some("/out")),
        ("http-request deny if { src -f /nowhere/a } !{ src -f /nowhere/b }", "/", None),
        ("http-request deny if unheard-of", "/", None),
    ] {
        let text = format!(
            "{TOP}userlist digests\n user ann password $6$salt$hash\nfrontend front\n bind :8080\n {lines}\n \
             default_backend web\nbackend web\n server s {0}\nbackend other\n server s {0}\nbackend none\n",
            web.addr()
        );
        let out = migrate("haproxy", &text, &[]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{lines}: {said}");
        let ours = run("haproxy", &text);
        let status = ask(ours.port(8080), "GET", shut, &basic("ann:hash")).status;
        assert!(matches!(status, 401 | 403), "{lines}: {status}");
        if status == 403 && !lines.contains("allow") {
            assert!(said.contains("dropped, closed instead"), "{lines}: {said}");
            assert!(String::from_utf8_lossy(&out.stdout).contains("closed: "), "{lines}");
        }
        if let Some(open) = open {
            assert_eq!(ask(ours.port(8080), "GET", open, "").status, 200, "{lines}");
        }
    }
}

#[test]
fn limits_close_unless_they_are_said_to_go() {
    let text = "frontend f\n mode http\n bind :8080\n stick-table type ip size 1k expire 30s store http_req_rate(10s)\n\
                http-request track-sc0 src\n http-request deny if { sc_http_req_rate(0) gt 9 }\n";
    let conf = |more: &[&str]| String::from_utf8(migrate("haproxy", text, more).stdout).unwrap();
    assert!(conf(&[]).contains("return 403;") && !conf(&["--without-limits"]).contains("return 403;"));
}

#[test]
fn values_of_files_that_are_here_are_asked() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("blocked.lst");
    std::fs::write(&list, "# comment\n127.0.0.0/8\n\n192.0.2.1\n").unwrap();
    let web = echo("web");
    let text = format!(
        "{TOP}frontend front\n bind 127.0.0.1:%%PORT%%\n http-request deny if {{ path_beg /in }} {{ src -f {} }}\n \
         default_backend web\nbackend web\n server s {}\n",
        list.display(),
        web.addr()
    );
    let (theirs, ours) = beside(&text);
    let ports = theirs.iter().map(|t| t.port()).chain([ours.port(8080)]);
    for port in ports {
        assert_eq!(ask(port, "GET", "/in", "").status, 403);
        assert_eq!(ask(port, "GET", "/out", "").status, 200);
    }
}

#[test]
fn tables_that_machines_shared_are_shared_through_a_store() {
    let text = "peers lbs\n peer a 192.0.2.1:1024\nfrontend f\n mode http\n bind :8080\n default_backend b\n\
                backend b\n mode http\n stick-table type string size 10k expire 1h peers lbs\n stick on req.cook(S)\n server a 127.0.0.1:1\n";
    let out = migrate("haproxy", text, &["--store", "redis://127.0.0.1:6379/2"]);
    let (conf, said) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
    assert_eq!(out.status.code(), Some(0), "{said}");
    assert!(conf.contains(" store=redis://127.0.0.1:6379/2;"), "{conf}");
    assert!(said.contains("approximated: peers lbs"), "{said}");
    let out = migrate("haproxy", text, &[]);
    assert!(String::from_utf8(out.stderr).unwrap().contains("--store redis://HOST"));
    assert!(!String::from_utf8(out.stdout).unwrap().contains("store="));
    for url in ["http://a", "redis://a;b", "redis://a b", ""] {
        let out = migrate("haproxy", text, &["--store", url]);
        assert_eq!((out.status.code(), out.stdout.len()), (Some(2), 0), "{url}");
    }
}
