//! Locations, returns, files, error pages and conditional requests, the same as nginx's byte for byte.

use super::support::diff::{Exchange, same};

const CONF: &str = r#"
events { }
http {
    types { text/html html; text/plain txt; image/gif gif; }
    default_type application/octet-stream;
    root html;
    server {
        listen 127.0.0.1:%%8080%%;
        server_name example.com *.wild.org www.tail.* ~^re(?<num>\d+)\.x$;
        error_page 404 /e404.html;
        location / { }
        location = /exact { return 200 "exact\n"; }
        location /ret/ { return 200 "$uri|$args|$request_uri|$host|$scheme|$arg_a|$cookie_c|$http_x_y|$request_method|$is_args|$server_name|$content_length\n"; }
        location /r301 { return 301 /foo; }
        location /r302 { return 302 http://o.com/x?$args; }
        location /r301e { return 301; }
        location /c204 { return 204; }
        location /c418 { return 418; }
        location /c403 { return 403; }
        location /c403t { return 403 "no\n"; }
        location /c444 { return 444; }
        location /c404 { return 404; }
        location /c499 { return 499; }
        location ~ ^/cap/(\w+)/(.*)$ { return 200 "$1-$2-$num\n"; }
        location ~* \.PHP$ { return 200 "php $uri\n"; }
        location ^~ /noreg/ { return 200 "noreg $uri\n"; }
        location /nest/ {
            return 200 "nest\n";
            location /nest/in { return 200 "nest in\n"; }
            location ~ \.in$ { return 200 "nest re\n"; }
        }
        location /int/ { internal; return 200 "internal $uri\n"; }
        location /try/ { try_files $uri /dir/ /int/fallback?x=1; }
        location /try2/ { try_files /nope =404; }
        location /try3/ { try_files /a.txt @named; }
        location /try4/ { try_files /nope @named; }
        location @named { add_header X-N $uri always; return 200 "named $uri $args\n"; }
        location /ep/ {
            error_page 403 =200 /a.txt; error_page 500 @named; error_page 401 http://x.y/z;
            error_page 402 =301 http://x.y/z; error_page 405 = /int/y; error_page 406 =418 /int/z;
            location /ep/403 { return 403; }
            location /ep/500 { return 500; }
            location /ep/401 { return 401; }
            location /ep/402 { return 402; }
            location /ep/405 { return 405; }
            location /ep/406 { return 406; }
        }
        location /loop/ { error_page 404 /loop/x; recursive_error_pages on; return 404; }
        location /al/ { alias html/dir/; }
        location ~ ^/rea/(.*)$ { alias html/$1; }
        location /ah/ {
            add_header X-A "$uri"; add_header X-B b always; add_header Cache-Control private; expires 1h;
            alias html/;
        }
        location /exp/ { expires epoch; alias html/; }
        location /small/ { client_max_body_size 10; return 200 "ok\n"; }
        location /ka/ { keepalive_timeout 10s 20s; return 200 "ka\n"; }
        location /nka/ { keepalive_timeout 0; return 200 "nka\n"; }
        location /noabs/ { absolute_redirect off; return 301 /x; }
        location /snr/ { server_name_in_redirect on; port_in_redirect off; return 301 /x; }
        location /gif { empty_gif; }
        location /etag/ { etag off; alias html/; }
        location /noidx/ { index nope.html $arg_i /a.txt; alias html/dir/; }
    }
    server {
        listen 127.0.0.1:%%8080%% default_server;
        server_name other;
        location / { return 200 "default $host $server_name\n"; }
    }
}
"#;

const FILES: &[(&str, &[u8])] = &[
    ("html/index.html", b"<h1>i</h1>\n"),
    ("html/a.txt", b"hello world, this is a file\n"),
    ("html/A.TXT", b"x\n"),
    ("html/noext", b"plain\n"),
    ("html/zero.txt", b""),
    ("html/sp ace.txt", b"space\n"),
    ("html/e404.html", b"e404\n"),
    ("html/dir/index.html", b"idx\n"),
    ("html/empty/x/y", b""),
];

fn all_same(test: &str, requests: &[Vec<u8>]) {
    let exchanges: Vec<_> = requests.iter().map(|bytes| Exchange { port: 8080, bytes }).collect();
    same(test, CONF, FILES, &exchanges);
}

fn request(method: &str, path: &str, host: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n{body}")
        .into_bytes()
}

fn get(path: &str, fields: &str) -> Vec<u8> {
    request("GET", path, "example.com", fields, "")
}

#[test]
fn paths_find_their_locations_and_files() {
    let paths = "/ /a.txt /A.TXT /noext /zero.txt /sp%20ace.txt /nope /dir /dir/ /dir?a=b /empty/ /exact /exact/ \
        /ret/x?a=1&b=2 /ret/%2e%2e/ret/y /ret/a//b/./c /r301 /r302?q=1 /r301e /c204 /c418 /c403 /c403t /c444 /c404 \
        /c499 /cap/ab/cd/e /x.php /noreg/x.php /nest/a /nest/in/x /nest/y.in /int/x /try/a /try/../a.txt /try2/a \
        /try3/x /try4/x?z=1 /ep/403 /ep/500 /ep/401 /ep/402 /ep/405 /ep/406 /loop/a /al/ /al/index.html /al \
        /rea/a.txt /ah/a.txt /ah/nope /exp/a.txt /ka/ /nka/ /noabs/ /snr/ /gif /etag/a.txt /noidx/ \
        /noidx/?i=index.html /a.txt/ /a.txt/b";
    let requests: Vec<_> = paths.split_whitespace().map(|p| get(p, "")).collect();
    all_same("paths", &requests);
}

#[test]
fn paths_do_not_leave_the_root() {
    let paths = "/.. /%00 /%zz /a%20b?c=%20 /etc/../../passwd /dir/%2e%2e/%2e%2e/%2e%2e/etc/passwd \
        /..%2f..%2fetc/passwd /dir/..%2f..%2f..%2fetc/passwd";
    let requests: Vec<_> = paths.split_whitespace().map(|p| get(p, "")).collect();
    all_same("traversal", &requests);
}

#[test]
fn methods_are_taken_and_refused_alike() {
    let methods = ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FOO", "get", "PATCH"];
    let mut requests: Vec<_> = methods.iter().map(|m| request(m, "/a.txt", "example.com", "", "")).collect();
    for (method, path) in [
        ("HEAD", "/"),
        ("POST", "/"),
        ("PUT", "/"),
        ("HEAD", "/nope"),
        ("HEAD", "/c403t"),
        ("HEAD", "/r301"),
        ("POST", "/ep/403"),
    ] {
        requests.push(request(method, path, "example.com", "", ""));
    }
    all_same("methods", &requests);
}

#[test]
fn conditions_and_ranges_give_the_same_answers() {
    let far = "Tue, 02 Jan 2035 03:04:05 GMT";
    let old = "Tue, 02 Jan 2001 03:04:05 GMT";
    let mut requests = Vec::new();
    for range in ["0-4", "5-", "-5", "100-", "x", "5-2", "0-", "0-99,0-99"] {
        requests.push(get("/a.txt", &format!("Range: bytes={range}\r\n")));
        requests.push(get("/ah/a.txt", &format!("Range: bytes={range}\r\n")));
    }
    for fields in [
        format!("If-Modified-Since: {far}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
        "If-Match: \"x\"\r\n".to_owned(),
        format!("If-Unmodified-Since: {old}\r\n"),
        format!("If-Unmodified-Since: {far}\r\n"),
        "If-None-Match: \"y\"\r\n".to_owned(),
        "If-Range: \"zz\"\r\nRange: bytes=0-1\r\n".to_owned(),
    ] {
        requests.push(get("/a.txt", &fields));
    }
    all_same("conditions", &requests);
}

#[test]
fn hosts_choose_the_same_servers() {
    let hosts = [
        "EXAMPLE.com:80",
        "example.com.",
        "a.wild.org",
        "wild.org",
        "www.tail.de",
        "re12.x",
        "rex.x",
        "nobody",
        "a b",
        "[::1]:80",
        "a..b",
        "",
        "x/y",
    ];
    let mut requests: Vec<_> = hosts.iter().map(|h| request("GET", "/ret/", h, "", "")).collect();
    requests.push(request("GET", "/cap/a/b", "re12.x", "", ""));
    requests.push(
        b"GET http://example.com/ret/?a=2 HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n".to_vec(),
    );
    requests.push(b"GET /ret/ HTTP/1.0\r\n\r\n".to_vec());
    requests.push(b"GET /ret/\r\n".to_vec());
    all_same("hosts", &requests);
}

#[test]
fn bodies_that_nobody_wants_do_not_disturb_what_follows() {
    let next = "GET /ret/2 HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n";
    let requests: Vec<Vec<u8>> = vec![
        request("POST", "/small/", "example.com", "Content-Length: 5\r\n", "hello"),
        request("POST", "/small/", "example.com", "Content-Length: 50\r\n", &"h".repeat(50)),
        request("POST", "/small/", "example.com", "Content-Length: 5\r\nExpect: 100-continue\r\n", "hello"),
        request("POST", "/ret/", "example.com", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        format!("POST /ret/1 HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello{next}").into(),
        format!("GET /ka/ HTTP/1.1\r\nHost: example.com\r\n\r\n{next}").into(),
        get("/c403", "User-Agent: Mozilla Chrome/1\r\n"),
        get("/ret/?x", "Cookie: a=b; c=d\r\nX-Y: 1\r\n"),
    ];
    all_same("bodies", &requests);
}

#[test]
fn counts_of_connections_and_requests() {
    let conf = "events {}\nhttp { server { listen 127.0.0.1:%%8080%%; location / { return 200 x; } location /s { stub_status; } } }\n";
    let daemon = super::support::daemon::Daemon::start(conf);
    let mut client = super::support::client::Client::connect(daemon.port(8080));
    let waiting = super::support::client::Client::connect(daemon.port(8080));
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().status, 200);
    }
    let told = super::support::eventually("both connections are counted", || {
        client.send("GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.response();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        text.starts_with("Active connections: 2 \nserver accepts handled requests\n ").then_some(text)
    });
    assert!(told.ends_with("Reading: 0 Writing: 1 Waiting: 1 \n"), "{told}");
    drop(waiting);
}
