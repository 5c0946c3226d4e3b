//! The same file and the same requests through nginx and tenrec: what the client gets, and what the backend got.

use std::io::Write;

use crate::support::client::get;
use crate::support::daemon::{Daemon, Program, nginx};
use crate::support::diff::{Exchange, same, same_where};
use crate::support::origin::Origin;
use crate::support::skipped;

/// A backend that answers with the head and body that reached it, and with fields that a proxy has to think about.
pub fn echo() -> Origin {
    Origin::new(|r, out| {
        let mut body = r.head.clone().into_bytes();
        body.extend_from_slice(&r.body);
        let extra = match r.path().split('?').next().unwrap_or_default() {
            p if p.ends_with("/redirect") => "Location: http://127.0.0.1:1/elsewhere\r\n",
            p if p.ends_with("/cookies") => {
                "Set-Cookie: a=1; Path=/in; Domain=in.example\r\nX-Between: 1\r\nSet-Cookie: b=2\r\n"
            }
            p if p.ends_with("/fields") => {
                "Server: origin/1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nX-Powered-By: x\r\nX-Accel-Charset: utf-8\r\n\
                 Content-Type: text/x-odd\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nETag: \"e\"\r\n\
                 Cache-Control: no-cache\r\nExpires: 0\r\nVary: Accept\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\n\
                 Accept-Ranges: bytes\r\nx-lower: 1\r\nX-Empty:\r\n"
            }
            _ => "",
        };
        let status = match r.path().rsplit('/').next() {
            Some("redirect") => "302 Found",
            Some("missing") => "404 Not Here",
            Some("teapot") => "418 I'm a teapot",
            Some("fail") => "500 Internal Server Error",
            _ => "200 OK",
        };
        let head = format!("HTTP/1.1 {status}\r\n{extra}Content-Length: {}\r\n\r\n", body.len());
        out.write_all(head.as_bytes()).is_ok() && (r.head.starts_with("HEAD") || out.write_all(&body).is_ok())
    })
}

/// Requests to one port, `Connection: close` and `Host` put in.
fn requests(list: &[&str]) -> Vec<Vec<u8>> {
    list.iter()
        .map(|text| {
            let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
            let (fields, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
            let fields: String = fields.lines().map(|f| format!("{f}\r\n")).collect();
            let host =
                if fields.to_ascii_lowercase().contains("host:") { "" } else { "Host: www.example.com\r\n" };
            format!("{line} HTTP/1.1\r\n{host}{fields}Connection: close\r\n\r\n{body}").into_bytes()
        })
        .collect()
}

pub fn compare(test: &str, conf: &str, files: &[(&str, &[u8])], list: &[&str]) {
    let bytes = requests(list);
    let exchanges: Vec<Exchange<'_>> = bytes.iter().map(|b| Exchange { port: 8080, bytes: b }).collect();
    same(test, conf, files, &exchanges);
}

pub fn http(body: &str) -> String {
    format!(
        "pid p.pid; error_log error.log;\nworker_processes 1;\nevents {{ }}\nhttp {{\naccess_log off;\n{body}\n}}\n"
    )
}

#[test]
fn requests_reach_the_backend_as_nginx_sends_them() {
    let origin = echo();
    let a = origin.addr();
    // 1.29.7 changed the default version and Connection: both are said, so that any nginx can be compared with. It also
    // hides Proxy-Connection, which therefore is not sent here.
    let conf = http(&format!(
        "proxy_http_version 1.1; proxy_set_header Connection '';\n\
         upstream named {{ server {a}; }}\n\
         server {{ listen 127.0.0.1:%%8080%%; server_name www.example.com;\n\
         location / {{ proxy_pass http://{a}; }}\n\
         location /named/ {{ proxy_pass http://named; }}\n\
         location /swap/ {{ proxy_pass http://{a}/other/; }}\n\
         location /chop {{ proxy_pass http://{a}/; }}\n\
         location /vars/ {{ proxy_pass http://{a}/v$uri?u=$args; }}\n\
         location ~ ^/re/(\\d+)/(.*)$ {{ proxy_pass http://{a}/found/$2/$1; }}\n\
         location ~ ^/plain-re {{ proxy_pass http://{a}; }}\n\
         location /set/ {{ proxy_set_header Host $host:$server_port; proxy_set_header X-Real-IP $remote_addr;\n\
           proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;\n\
           proxy_set_header Accept-Encoding ''; proxy_set_header X-Empty $arg_none; proxy_set_header X-Arg $arg_a;\n\
           proxy_set_header X-Cookie $cookie_sid; proxy_set_header X-Http $http_x_in; proxy_set_header X-Uri $request_uri;\n\
           proxy_set_header X-Path $uri; proxy_set_header X-Method $request_method; proxy_set_header Connection '';\n\
           proxy_pass http://named; }}\n\
         location /old/ {{ proxy_http_version 1.0; proxy_set_header Host $proxy_host; proxy_set_header Connection close; proxy_pass http://{a}; }}\n\
         location /nobody/ {{ proxy_pass_request_body off; proxy_set_header Content-Length ''; proxy_set_header Connection ''; proxy_pass http://{a}; }}\n\
         location /nohead/ {{ proxy_pass_request_headers off; proxy_pass http://{a}; }}\n\
         location /body/ {{ proxy_set_body \"<$request_method>\"; proxy_pass http://{a}; }}\n\
         location /method/ {{ proxy_method PUT; proxy_pass http://{a}; }}\n\
         }}"
    ));
    compare(
        "requests to the backend",
        &conf,
        &[],
        &[
            "GET /a/b?c=d",
            "GET /named/x",
            "GET //a/./b/../c%20d%2fe?x=%20y",
            "GET /a%41%7e%3f%23?q",
            "GET /swap/x/y?z",
            "GET /swap/a%20b%2Fc%3fd",
            "GET /swap",
            "GET /chop",
            "GET /chop/x",
            "GET /chopped",
            "GET /vars/a%20b?x=1&y=2",
            "GET /re/12/some%20thing?q=1",
            "GET /plain-re/%41?b",
            "GET http://www.example.com/absolute?x",
            "GET http://other.example/absolute\nHost: www.example.com",
            "GET /set/x?a=1%20b\nCookie: sid=abc; other=1\nX-In: yes\nAccept-Encoding: gzip\nX-Forwarded-For: 10.0.0.1",
            "GET /set/\nX-Forwarded-For: 10.0.0.1\nX-Forwarded-For: 10.0.0.2\nX-Empty: client's",
            "GET /old/x\nX-A: 1",
            "POST /p\nContent-Length: 5\nContent-Type: a/b\n\nhello",
            "POST /old/p\nContent-Length: 5\n\nhello",
            "POST /p\nTransfer-Encoding: chunked\n\n5\r\nhello\r\n0\r\n\r\n",
            "POST /nobody/\nContent-Length: 5\n\nhello",
            "GET /nohead/\nX-A: 1\nAccept: b/c",
            "POST /body/\nContent-Length: 5\n\nhello",
            "GET /method/",
            "HEAD /a",
            "OPTIONS /a",
            "DELETE /a",
            "PURGE /a",
            "GET /a\nKeep-Alive: 5\nUpgrade: h2c\nTE: trailers\nExpect: nothing",
            "GET /a\nx-LOWER: 1\nX_Under: 2\nX-Dup: 1\nX-Dup: 2",
            "GET /a\nHost: WWW.Example.COM.:8080",
        ],
    );
}

#[test]
fn answers_reach_the_client_as_nginx_passes_them_on() {
    let origin = echo();
    let a = origin.addr();
    let conf = http(&format!(
        "proxy_http_version 1.1; proxy_set_header Connection '';\n\
         server {{ listen 127.0.0.1:%%8080%%;\n\
         location / {{ proxy_pass http://{a}; }}\n\
         location /hide/ {{ proxy_hide_header X-Powered-By; proxy_hide_header ETag; proxy_pass_header Server; proxy_pass_header Date; proxy_pass http://{a}; }}\n\
         location /add/ {{ add_header X-Added $upstream_status; add_header X-Always 1 always; add_header X-None ''; proxy_pass http://{a}; }}\n\
         location /intercept/ {{ proxy_intercept_errors on; error_page 404 = /caught; error_page 500 =200 /caught; proxy_pass http://{a}; }}\n\
         location = /caught {{ default_type text/plain; return 200 \"caught $status $request_uri $uri\"; }}\n\
         location /redirect {{ proxy_redirect http://127.0.0.1:1/ /here/; proxy_pass http://{a}; }}\n\
         location /off/ {{ proxy_redirect off; proxy_pass http://{a}; }}\n\
         location /re/ {{ proxy_redirect ~^http://[^/]+/(.*)$ /re/$1; proxy_pass http://{a}; }}\n\
         location /cookie/ {{ proxy_cookie_domain in.example out.example; proxy_cookie_path /in /out; proxy_pass http://{a}; }}\n\
         location /tokens/ {{ server_tokens off; proxy_pass http://{a}; }}\n\
         location /unbuffered/ {{ proxy_buffering off; proxy_pass http://{a}; }}\n\
         }}"
    ));
    compare(
        "answers to the client",
        &conf,
        &[],
        &[
            "GET /",
            "HEAD /",
            "GET /fields",
            "HEAD /fields",
            "GET /hide/fields",
            "GET /add/x",
            "GET /add/missing",
            "GET /missing",
            "GET /teapot",
            "GET /fail",
            "GET /intercept/missing",
            "GET /intercept/fail",
            "GET /intercept/ok",
            "GET /redirect",
            "GET /off/redirect",
            "GET /re/redirect",
            "GET /plain/redirect",
            "GET /cookie/cookies",
            "GET /cookies",
            "GET /tokens/fields",
            "GET /unbuffered/fields",
            "POST /x\nContent-Length: 3\n\nabc",
        ],
    );
}

#[test]
fn answers_without_a_length_are_framed_as_nginx_frames_them() {
    let origin = Origin::new(|r, out| {
        let answer: &[u8] = match r.path() {
            "/chunked" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n",
            "/close" => b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
            "/old" => b"HTTP/1.0 200 OK\r\nX-Old: 1\r\n\r\nuntil the end",
            "/204" => b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
            "/304" => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 7\r\n\r\n",
            "/early" => b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "/lf" => b"HTTP/1.1 200 OK\nX-Lf: 1\nContent-Length: 2\n\nok",
            "/noreason" => b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
            "/empty" => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            _ => b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
        };
        let _ = out.write_all(answer);
        false
    });
    let conf = http(&format!(
        "proxy_http_version 1.1;\nserver {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://{}; }} }}",
        origin.addr()
    ));
    let paths = ["/chunked", "/close", "/old", "/204", "/304", "/lf", "/noreason", "/empty", "/early"];
    let mut bytes = Vec::new();
    for path in paths {
        bytes.push(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes());
        bytes.push(format!("GET {path} HTTP/1.0\r\nConnection: close\r\n\r\n").into_bytes());
        bytes.push(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes());
    }
    let exchanges: Vec<Exchange<'_>> = bytes.iter().map(|b| Exchange { port: 8080, bytes: b }).collect();
    // An nginx before 1.27 or so takes 103 for the final answer.
    same_where("framing of answers", &conf, &[], &exchanges, |theirs| !theirs.starts_with("HTTP/1.1 103"));
}

#[test]
fn files_returns_and_error_pages_are_nginxs() {
    let conf = http(
        "types { text/html html; text/plain txt; image/png png; }\ndefault_type application/octet-stream;\n\
         server { listen 127.0.0.1:%%8080%%; server_name www.example.com; root %%DIR%%/html;\n\
         location = /exact { return 200 exact; }\n\
         location /prefix { return 200 prefix; }\n\
         location ^~ /prefix/noregex { return 200 noregex; }\n\
         location ~ \\.re$ { return 200 regex; }\n\
         location ~* \\.ANY$ { return 200 \"any:$uri\"; }\n\
         location ~ ^/cap/(?<first>[a-z]+)/(\\d+)$ { return 200 \"$first $1 $2\"; }\n\
         location /r301 { return 301 /to; }\n\
         location /r302 { return 302 http://other/$uri; }\n\
         location /rurl { return http://other/; }\n\
         location /r307 { return 307 /to; }\n\
         location /r404 { return 404; }\n\
         location /r404t { return 404 gone; }\n\
         location /r204 { return 204; }\n\
         location /vars { return 200 \"$request_method|$request_uri|$uri|$args|$is_args|$host|$http_x|$arg_a|$scheme|$server_protocol|$remote_addr|$content_length|$server_name|$request|$document_uri\\n\"; }\n\
         location /try/ { try_files $uri $uri/ $uri.html /fallback.html; }\n\
         location /try404/ { try_files $uri =404; }\n\
         location /trynamed/ { try_files $uri @named; }\n\
         location @named { return 200 \"named $uri\"; }\n\
         location /alias/ { alias %%DIR%%/html/sub/; }\n\
         location /internal/ { internal; return 200 internal; }\n\
         location /ep/ { error_page 404 /e404.html; error_page 403 =200 /ok.txt; error_page 410 @named; return 404; }\n\
         location /ep410/ { error_page 410 @named; return 410; }\n\
         location /ep410x/ { error_page 410 =202 @named; return 410; }\n\
         location /epurl/ { error_page 404 http://other/e; return 404; }\n\
         location /eploop/ { error_page 404 /eploop/again; return 404; }\n\
         location /add/ { add_header X-A 1; add_header X-B 2 always; return 404; }\n\
         location /add200/ { add_header X-A $uri; add_header Last-Modified ''; return 200 ok; }\n\
         location /nested/ { location /nested/in/ { return 200 in; } location ~ x$ { return 200 nx; } return 200 out; }\n\
         location /post/ { client_max_body_size 3; return 200 ok; }\n\
         location /index/ { index nothing.html ok.txt; alias %%DIR%%/html/; }\n\
         location /tokens/ { server_tokens off; return 404; }\n\
         location /abs/ { absolute_redirect off; return 301 /to; }\n\
         location /types/ { types { } default_type a/b; alias %%DIR%%/html/; }\n\
         }\n\
         server { listen 127.0.0.1:%%8080%%; server_name *.wild.example; return 200 wild; }\n\
         server { listen 127.0.0.1:%%8080%%; server_name tail.*; return 200 tail; }\n\
         server { listen 127.0.0.1:%%8080%%; server_name ~^(?<who>.+)\\.re\\.example$; return 200 \"re $who\"; }\n\
         server { listen 127.0.0.1:%%8080%%; server_name .dot.example; return 200 \"dot $server_name $host\"; }\n",
    );
    let files: &[(&str, &[u8])] = &[
        ("html/index.html", b"<p>index</p>\n"),
        ("html/ok.txt", b"fine\n"),
        ("html/e404.html", b"not here\n"),
        ("html/fallback.html", b"fallback\n"),
        ("html/sub/index.html", b"sub index\n"),
        ("html/sub/a b.txt", b"space\n"),
        ("html/try/page.html", b"page\n"),
        ("html/try/dir/index.html", b"dir index\n"),
        ("html/noext", b"?\n"),
        ("html/empty.txt", b""),
    ];
    compare(
        "files, returns, error pages",
        &conf,
        files,
        &[
            "GET /",
            "HEAD /",
            "POST /\nContent-Length: 0",
            "GET /index.html",
            "GET /sub",
            "GET /sub/",
            "GET /sub?x=y",
            "GET /nothing",
            "HEAD /nothing",
            "GET /nothing/",
            "GET /ok.txt",
            "GET /noext",
            "GET /empty.txt",
            "GET /sub/a%20b.txt",
            "GET /alias/a%20b.txt",
            "GET /alias/",
            "GET /alias",
            "GET /exact",
            "GET /exact/",
            "GET /prefix/x",
            "GET /prefix/x.re",
            "GET /prefix/noregex/x.re",
            "GET /a.re",
            "GET /A.ANY",
            "GET /b.any",
            "GET /cap/abc/12",
            "GET /cap/ABC/12",
            "GET /r301",
            "GET /r302/x",
            "GET /rurl",
            "GET /r307",
            "GET /r404",
            "GET /r404t",
            "GET /r204",
            "GET /vars/x?a=1&b=2\nX: y",
            "GET /vars//x/../y%20z",
            "GET /try/page",
            "GET /try/page.html",
            "GET /try/dir",
            "GET /try/dir/",
            "GET /try/none",
            "GET /try404/none",
            "GET /trynamed/none",
            "GET /internal/x",
            "GET /ep/",
            "GET /ep410/",
            "GET /ep410x/",
            "GET /epurl/",
            "GET /eploop/",
            "GET /add/",
            "GET /add200/",
            "GET /nested/",
            "GET /nested/in/",
            "GET /nested/in/x",
            "GET /nested/x",
            "POST /post/\nContent-Length: 4\n\nabcd",
            "POST /post/\nContent-Length: 3\n\nabc",
            "GET /index/",
            "GET /tokens/",
            "GET /abs/",
            "GET /types/ok.txt",
            "TRACE /",
            "DELETE /ok.txt",
            "GET /\nHost: a.wild.example",
            "GET /\nHost: tail.org",
            "GET /\nHost: me.re.example",
            "GET /\nHost: dot.example",
            "GET /\nHost: x.dot.example",
            "GET /\nHost: X.DOT.example:99",
            "GET /\nHost: other",
            "GET /ok.txt\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
            "GET /ok.txt\nIf-None-Match: *",
            "GET /ok.txt\nIf-None-Match: \"no\"",
            "GET /ok.txt\nIf-Match: \"no\"",
            "GET /ok.txt\nIf-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT",
            "GET /ok.txt\nUser-Agent: Mozilla/4.0 (compatible; MSIE 6.0)",
            "GET /nothing\nUser-Agent: Mozilla/4.0 (compatible; MSIE 6.0; x)",
        ],
    );
}

#[test]
fn sockets_retries_and_redirects_are_logged_as_nginx_logs_them() {
    let Some(reference) = nginx() else { return skipped("logs of peers", "no nginx to compare with") };
    // 127.0.0.1:1 and :2 refuse: nobody listens below 1024 there.
    let conf = "pid p.pid; error_log error.log; events { }\nhttp {\n\
        log_format l '$request_uri $status [$upstream_addr] [$upstream_status] [$upstream_response_length]';\n\
        access_log off; upstream u { server unix:%%DIR%%/s.sock; server 127.0.0.1:1 backup; }\n\
        upstream r { server 127.0.0.1:1 max_fails=0; server 127.0.0.1:2 max_fails=0; server unix:%%DIR%%/s.sock; }\n\
        server { listen unix:%%DIR%%/s.sock; location / { return 200 \"sock $remote_addr $uri\"; } }\n\
        server { listen 127.0.0.1:%%8081%%; location / { return 200 \"from $remote_addr\"; }\n\
          location /missing { return 404; } }\n\
        server { listen 127.0.0.1:%%8080%%; access_log access.log l; location / { proxy_pass http://u; }\n\
          location /r { proxy_pass http://r; } location /direct/ { proxy_pass http://unix:%%DIR%%/s.sock:/x/; }\n\
          location /bind { proxy_bind 127.0.0.9; proxy_pass http://127.0.0.1:%%8081%%; }\n\
          location /page { proxy_intercept_errors on; error_page 404 = @f; proxy_pass http://127.0.0.1:%%8081%%/missing; }\n\
          location @f { proxy_pass http://u; } } }\n";
    let observe = |program: Program| {
        let daemon = Daemon::run(program, &format!("user {}; {conf}", me()), &[]);
        let paths = ["/", "/r", "/direct/a", "/bind", "/page"];
        let bodies: Vec<String> = paths.iter().map(|p| get(daemon.port(8080), p).text()).collect();
        daemon.logged("access.log", "/page");
        let log = daemon.file("access.log").replace(&daemon.prefix().display().to_string(), "DIR");
        (bodies, log.replace(&format!(":{}", daemon.port(8081)), ":8081"))
    };
    assert_eq!(observe(reference), observe(Program::Tenrec));
}

/// Who runs the tests: workers have to reach the socket in the test's own folder.
fn me() -> String {
    let out = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}
