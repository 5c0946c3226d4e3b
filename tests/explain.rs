//! `tenrec explain` says what a running tenrec does: the same requests through both, byte for byte.

use std::process::{Command, Output};
use std::sync::Arc;

use tenrec::explain::{Ask, Engine, Report};

use super::support::client::Client;
use super::support::daemon::Daemon;
use super::support::eventually;
use super::support::origin::Origin;

/// Each location names itself as `explain` does, and each server.
const CONF: &str = r#"
events { }
http {
    types { text/html html; text/plain txt; }
    root html;
    log_format seen "$server_name|$status|$upstream_addr|$sticky_status|$sticky_peer";
    access_log logs/seen.log seen;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;
    map $http_x_tenant $tenant { default none; ~^a(.*)$ "is-$1"; }
    upstream pinned { session_sticky cookie=srv hash=plain; server %A% id=a; server %B% id=b; }
    upstream dated { session_sticky cookie=d maxidle=3600 hash=plain; server %A% id=a; server %B% id=b; }
    upstream plain { sticky cookie s expires=1h path=/; server %A% route=a; server %B% route=b drain; }
    upstream routed { sticky route $cookie_r $arg_r; server %A% route=a; server %B% route=b; }
    upstream strict { session_sticky cookie=srv fallback=off hash=plain; server %A% id=a; server %B% id=b down; }
    upstream by_ip { ip_hash; server %A%; server %B%; }
    upstream by_key { hash $arg_k consistent; server %A%; server %B%; }
    upstream turns { server %A% weight=2; server %B%; }
    upstream dead { server %A% down; }
    server {
        listen 127.0.0.1:%%8080%%;
        server_name shop.example *.wild.example www.tail.* ~^re(?<num>\d+)\.x$;
        error_page 404 /missing;
        error_page 502 504 @sorry;
        add_header X-Loc "server" always;
        if ($arg_teapot) { return 418; }
        rewrite ^/moved/(.*)$ http://elsewhere.example/$1 permanent;
        location = /exact { add_header X-Loc "= /exact" always; return 200 "$args $tenant $num\n"; }
        location / { add_header X-Loc "/" always; try_files $uri $uri/ @app; }
        location ^~ /assets/ { add_header X-Loc "^~ /assets/" always; expires 1h; alias html/; }
        location /old { rewrite ^/old/(.*)$ /new/$1?from=old last; }
        location /new { add_header X-Loc "/new" always; set $a "b $1"; proxy_pass http://pinned; proxy_set_header X-A $a; }
        location ~ \.php { add_header X-Loc "~ \.php" always; deny 10.0.0.0/8; proxy_pass http://by_ip; }
        location ~* ^/nest/.*\.PHP5 { add_header X-Loc "~* ^/nest/.*\.PHP5" always; return 204; }
        location @app { add_header X-Loc "@app" always; proxy_pass http://pinned; }
        location @sorry { add_header X-Loc "@sorry" always; return 503 "sorry\n"; }
        location /nest/ {
            add_header X-Loc "/nest/" always; return 200 "nest";
            location ~ \.in { add_header X-Loc "~ \.in" always; return 200 "in"; }
        }
        location = /missing { add_header X-Loc "= /missing" always; return 404 "nothing\n"; }
        location /write { add_header X-Loc "/write" always; limit_except GET { deny all; } proxy_pass http://plain/w; }
        location /dated { add_header X-Loc "/dated" always; proxy_pass http://dated; }
        location /plain { add_header X-Loc "/plain" always; proxy_pass http://plain; proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }
        location /routed { add_header X-Loc "/routed" always; proxy_pass http://routed/r$is_args$args; }
        location /strict { add_header X-Loc "/strict" always; proxy_pass http://strict; }
        location /key { add_header X-Loc "/key" always; proxy_pass http://by_key; }
        location /turns { add_header X-Loc "/turns" always; add_header X-Ok yes; proxy_pass http://turns; }
        location /dead { add_header X-Loc "/dead" always; proxy_pass http://dead; }
        location /slash/ { add_header X-Loc "/slash/" always; proxy_pass http://turns; }
        location /var { add_header X-Loc "/var" always; set $u turns; proxy_pass http://$u; }
        location /addr { add_header X-Loc "/addr" always; proxy_pass http://%A%/x/; }
        location /if { add_header X-Loc "/if" always; if ($http_x ~ ^o(n)e$) { add_header X-Loc "/if" always; add_header X-If $1 always; } return 200 $tenant; }
        location /private { internal; }
        location /shut { return 444; }
        location /loop { add_header X-Loc "/loop" always; rewrite ^ /loop last; }
        location /body { add_header X-Loc "/body" always; client_max_body_size 10; proxy_pass http://turns; proxy_set_body "b=$request_body"; }
    }
    server {
        listen 127.0.0.1:%%8080%% default_server;
        server_name other;
        add_header X-Loc "server" always;
        location = /only { add_header X-Loc "= /only" always; return 200 "$server_name $host\n"; }
    }
}
"#;

/// The words of `explain`: the request, then `NAME: VALUE` fields, then a body behind `+`.
const REQUESTS: &[&[&str]] = &[
    &["GET http://shop.example/exact?q=1", "X-Tenant: abc"],
    &["GET http://re7.x/exact"],
    &["GET http://a.wild.example/index.html"],
    &["GET http://www.tail.org/"],
    &["GET http://nobody/only"],
    &["GET http://nobody/elsewhere"],
    &["GET http://shop.example/none"],
    &["HEAD http://shop.example/a.txt"],
    &["GET http://shop.example/a.txt", "If-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT"],
    &["GET http://shop.example/a.txt", "Range: bytes=2-4"],
    &["GET http://shop.example/assets/a.txt"],
    &["GET http://shop.example/assets/x.php"],
    &["GET http://shop.example/dir"],
    &["GET http://shop.example/old/x%20y?b=1"],
    &["GET http://shop.example/old/z", "Cookie: srv=b"],
    &["GET http://shop.example/new", "Cookie: other=1; srv=a"],
    &["GET http://shop.example/new", "Cookie: srv=nobody"],
    &["GET http://shop.example/moved/a?b=c"],
    &["GET http://shop.example/x.php", "X-Real-IP: 203.0.113.9"],
    &["GET http://shop.example/x.php", "X-Real-IP: 198.51.100.77"],
    &["GET http://shop.example/x.php", "X-Real-IP: 10.1.2.3"],
    &["GET http://shop.example/nest/a.in"],
    &["GET http://shop.example/nest/a.php5"],
    &["GET http://shop.example/nest/"],
    &["GET http://shop.example/write/a"],
    &["POST http://shop.example/write/a", "+body"],
    &["GET http://shop.example/dated"],
    &["GET http://shop.example/dated", "Cookie: d=b|1000000000|1000000000"],
    &["GET http://shop.example/plain", "Cookie: s=a", "X-Forwarded-For: 192.0.2.1"],
    &["GET http://shop.example/plain", "Cookie: s=b"],
    &["GET http://shop.example/routed?r=b"],
    &["GET http://shop.example/routed", "Cookie: r=a"],
    &["GET http://shop.example/strict", "Cookie: srv=b"],
    &["GET http://shop.example/strict", "Cookie: srv=unknown"],
    &["GET http://shop.example/key?k=one"],
    &["GET http://shop.example/key?k=two"],
    &["GET http://shop.example/turns"],
    &["GET http://shop.example/turns"],
    &["POST http://shop.example/turns", "+hello"],
    &["GET http://shop.example/dead"],
    &["GET http://shop.example/slash"],
    &["GET http://shop.example/var?a=b"],
    &["GET http://shop.example/addr/y"],
    &["GET http://shop.example/if", "X: one", "X-Tenant: a1"],
    &["GET http://shop.example/private"],
    &["GET http://shop.example/shut"],
    &["GET http://shop.example/loop"],
    &["POST http://shop.example/body", "+12345"],
    &["POST http://shop.example/body", "+12345678901"],
    &["GET http://shop.example/?teapot=1"],
    &["GET http://shop.example/%zz"],
    &["GET http://shop.example/../../etc", "X-Tenant: b"],
    &["GET http://shop.example/exact HTTP/1.0"],
];

const FILES: &[(&str, &[u8])] =
    &[("html/index.html", b"index\n"), ("html/a.txt", b"a file\n"), ("html/dir/x", b"x")];

/// The backends' answer, as both sides are told of it.
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-From: backend\r\nSet-Cookie: app=1\r\n\r\nok";
const ANSWER_FIELDS: &[&str] = &["Content-Length: 2", "X-From: backend", "Set-Cookie: app=1"];

/// A head without what the time makes of it.
fn timeless(head: &str) -> String {
    let mut out = String::new();
    for line in head.lines().filter(|l| !l.starts_with("Date: ")) {
        let cut = line.find("; expires=").or(line.find("Expires: ")).unwrap_or(line.len());
        let mut digits = String::new();
        for c in line[..cut].chars().chain(['\n']) {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            // Seconds since 1970.
            out += if digits.len() == 10 { "TIME" } else { &digits };
            digits.clear();
            out.push(c);
        }
    }
    out
}

#[test]
fn what_explain_says_is_what_happens() {
    let origins = [Origin::sends(ANSWER, true), Origin::sends(ANSWER, true)];
    let conf = CONF.replace("%A%", &origins[0].addr()).replace("%B%", &origins[1].addr());
    let daemon = Daemon::run(super::support::daemon::Program::Tenrec, &conf, FILES);
    let file = daemon.prefix().join("nginx.conf");
    let loaded = tenrec::compile::load(&file, daemon.prefix(), None);
    let plan = Arc::new(loaded.plan.expect("it runs"));
    let engine = Engine::new(plan.clone()).unwrap();
    let mut passed = 0;
    for (nth, words) in REQUESTS.iter().enumerate() {
        let mut ask = Ask::parse(words[0]).unwrap();
        // The end of the answer is the connection's.
        ask.add_header(b"Connection: close").unwrap();
        ask.set_listen(&daemon.port(8080).to_string()).unwrap();
        for word in &words[1..] {
            match word.strip_prefix('+') {
                Some(body) => ask.body = body.into(),
                None => ask.add_header(word.as_bytes()).unwrap(),
            }
        }
        ANSWER_FIELDS.iter().try_for_each(|f| ask.add_answer_header(f.as_bytes())).unwrap();

        let before = origins.each_ref().map(|o| o.seen().len());
        let mut client = Client::connect(daemon.port(8080));
        client.send(ask.bytes());
        let real = String::from_utf8_lossy(&client.rest()).into_owned();
        let real_head = real.split_once("\r\n\r\n").map_or("", |(head, _)| head);
        let asked: Vec<(String, String)> = origins
            .iter()
            .zip(before)
            .flat_map(|(o, n)| o.seen().into_iter().skip(n).map(|r| (o.addr(), r.head)))
            .collect();

        let outcome = engine.ask(&ask).unwrap_or_else(|e| panic!("{words:?}: {e}"));
        let report = Report::new(&ask, &outcome, &plan, &loaded.conf.map);
        let said = String::from_utf8_lossy(&outcome.answer).into_owned();
        let said_head = said.split_once("\r\n\r\n").map_or("", |(head, _)| head);
        assert_eq!(timeless(said_head), timeless(real_head), "{words:?}: the client's head");

        let told: Vec<(String, String)> = report
            .passed
            .iter()
            .flat_map(|p| &p.attempts)
            .map(|a| (a.peer.clone(), String::from_utf8_lossy(&a.head).into_owned()))
            .collect();
        assert_eq!(told, asked, "{words:?}: who is asked, and the backend's head");
        passed += told.len();

        let field = |name: &str| {
            let line = real_head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
            line.map(str::to_owned)
        };
        let place = field("X-Loc");
        let line = eventually("the line of the access log", || {
            daemon.file("logs/seen.log").lines().nth(nth).map(str::to_owned)
        });
        let session = report.passed.last().and_then(|p| p.session.as_ref());
        let status = session.map_or("", |s| &*s.status);
        let seen: Vec<&str> = line.split('|').collect();
        assert_eq!(seen[0], report.server, "{words:?}: server");
        assert_eq!(seen[1], report.response.status.to_string(), "{words:?}: status");
        let last = seen[2].rsplit([',', ' ']).next().filter(|a| a.contains(':'));
        assert_eq!(last, report.peer(), "{words:?}: peer");
        assert_eq!(seen[3].trim_matches('-'), status, "{words:?}: session");
        if real_head.is_empty() {
            assert!(report.response.silent && report.response.status == 444, "{words:?}");
        } else {
            let status = real_head.split(' ').nth(1).and_then(|s| s.parse().ok());
            assert_eq!(Some(report.response.status), status, "{words:?}: status");
        }
        if let Some(place) = place {
            assert_eq!(report.location, place, "{words:?}: location");
        }
        let text = report.text();
        for (peer, head) in &asked {
            assert!(text.contains(peer), "{words:?}: {text}");
            head.lines().for_each(|l| assert!(text.contains(l), "{words:?}: {l} in {text}"));
        }
        let json = report.json();
        assert_eq!(json["response"]["status"], report.response.status);
        assert_eq!(json["location"]["name"], report.location);
    }
    assert!(passed > 20, "the table asks backends: {passed}");
    assert_eq!(daemon.file("logs/error.log").matches("explain").count(), 0);
}

fn tenrec(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tenrec")).args(args).output().unwrap()
}

#[test]
fn words_that_are_no_request_end_in_what_is_wrong_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("t.conf");
    let text = "events {}\nhttp { server { listen 127.0.0.1:8080; listen 127.0.0.1:8081; return 200 x; } }\n";
    std::fs::write(&conf, text).unwrap();
    let conf = conf.to_str().unwrap();
    for (words, wrong) in [
        (&["GET"][..], "http:// or https:// first"),
        (&["GET nonsense"], "http:// or https:// first"),
        (&["G@T http://x/"], "invalid method"),
        (&["GET http:///x"], "no host"),
        (&["GET http://x:0/"], "1 to 65535"),
        (&["GET http://u:p@x/"], "Authorization"),
        (&["GET http://[::g]/"], "no IPv6 address"),
        (&["GET http://x/a b c d"], "%20"),
        (&["GET http://x/ HTTP/9"], "HTTP/1.0 or HTTP/1.1"),
        (&["GET http://x:8080/", "--header", "no colon"], "NAME: VALUE"),
        (&["GET http://x:8080/", "--header", "a b: c"], "invalid header"),
        (&["GET http://x:8080/", "--cookie", "a=b\r\nX: y"], "one line"),
        (&["GET http://x:8080/", "--client-ip", "10.0.0.300"], "invalid client address"),
        (&["GET http://x:8080/", "--answer", "99"], "200 to 599"),
        (&["GET http://x:8080/", "--format", "xml"], "known: text, json"),
        (&["GET http://x:8080/", "--body", "@/no/such/file"], "No such file"),
        (&["GET http://x/"], "what does: 127.0.0.1:8080, 127.0.0.1:8081"),
        (&["GET http://x:9/"], "nothing listens on port 9"),
        (&["GET http://x:8080/", "--listen", "unix:/nowhere"], "nothing listens on unix:/nowhere"),
        (&[], "no request"),
    ] {
        let args: Vec<&str> = ["explain", "-c", conf].into_iter().chain(words.iter().copied()).collect();
        let out = tenrec(&args);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(wrong), "{words:?}: {said}");
        assert!(out.stdout.is_empty(), "{words:?}");
    }
    std::fs::write(conf, "events {}\nhttp { server { listen 127.0.0.1:8080; nonsense; } }\n").unwrap();
    let out = tenrec(&["explain", "-c", conf, "http://x:8080/"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("unknown directive \"nonsense\" in"), "{said}");
}

#[test]
fn no_name_server_is_asked() {
    let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let conf = format!(
        "events {{}}\nhttp {{\n    resolver {};\n    upstream named {{\n        zone z 64k;\n        server back.test resolve;\n    \
         }}\n    server {{\n        listen 8080;\n        set $host_of name.test;\n        location / {{ proxy_pass http://$host_of:81; }}\n        \
         location /named {{ proxy_pass http://named; }}\n    }}\n}}\n",
        server.local_addr().unwrap()
    );
    let file = dir.path().join("n.conf");
    std::fs::write(&file, conf).unwrap();
    let explain = |path: &str| {
        let target = format!("GET http://x:8080{path}");
        let output =
            tenrec(&["explain", &target, "-c", file.to_str().unwrap(), "-p", dir.path().to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = explain("/");
    assert!(told.contains("name.test:81") && told.contains("looked up when serving, not here"), "{told}");
    let told = explain("/named");
    assert!(told.contains("addresses of names, which are looked up when serving, not here"), "{told}");
    let asked = server.recv_from(&mut [0; 512]);
    assert_eq!(asked.map_err(|e| e.kind()).err(), Some(std::io::ErrorKind::WouldBlock));
}
