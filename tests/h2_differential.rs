//! The same file and the same HTTP/2 requests through nginx and tenrec: heads in their order, bodies, trailers, and the
//! lines of the access log.

use std::io::Write as _;

use crate::support::daemon::{Daemon, Program, nginx, nginx_is_current};
use crate::support::h2::{Answer, Ask, Session};
use crate::support::origin::Origin;
use crate::support::skipped;

const FILES: &[(&str, &[u8])] = &[
    ("html/a.txt", b"0123456789\n"),
    ("html/index.html", b"index\n"),
    ("html/d/index.html", b"d\n"),
    ("html/error.html", b"an error\n"),
];

fn conf(origin: &Origin) -> String {
    format!(
        "error_log error.log info; events {{}} http {{
           log_format l '$http_x_n|$http2|$server_protocol|$scheme|$https|$request_method|$request_uri|$request|$host|$http_host|'
                        '$status|$content_length|$http_cookie|$http_x_a|$connection_requests|'
                        '$upstream_status|$sent_http_location|$sent_http_x_b|$body_bytes_sent_is';
           map $body_bytes_sent $body_bytes_sent_is {{ 0 none; default some; }}
           access_log access.log l; underscores_in_headers on; types {{ text/html html; text/plain txt; }}
           gzip_proxied any; gzip_types *; gzip_min_length 1;
           server {{ listen 127.0.0.1:%%8080%%; server_name h; http2 on; root html; error_page 404 /error.html;
             location = /204 {{ return 204; }}
             location = /304 {{ return 304; }}
             location = /r {{ return 301 /x?y; }}
             location = /echo {{ return 200 \"$http_cookie|$http_x_a|$http_te|$arg_a|$http_x_empty|$host|$is_args\\n\"; }}
             location = /b {{ add_header X-B b always; add_trailer X-T t; return 200 b; }}
             location = /limit {{ client_max_body_size 3; proxy_pass http://{a}; }}
             location = /444 {{ return 444; }}
             location /gz {{ gzip on; alias html/; }}
             location /i {{ internal; }}
             location /p {{ proxy_pass http://{a}; add_header X-U $upstream_http_x_how; }}
             location /s {{ proxy_pass http://{a}; proxy_request_buffering off; proxy_buffering off; }}
             location /t {{ proxy_pass http://{a}; proxy_pass_trailers on; proxy_set_header TE trailers;
                           proxy_set_header Connection TE; }}
             location /bad {{ proxy_pass http://127.0.0.1:1; error_page 502 = @fallback; }}
             location @fallback {{ return 200 fallback; }}
           }}
           server {{ listen 127.0.0.1:%%8080%%; server_name other; http2 on; return 200 other:$host; }} }}",
        a = origin.addr()
    )
}

fn origin() -> Origin {
    Origin::new(|r, out| {
        if r.path().starts_with("/t") {
            let text =
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n";
            return out.write_all(text.as_bytes()).is_ok();
        }
        if r.path().starts_with("/p/close") {
            let _ = out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
            return false;
        }
        let how = if r.header("Transfer-Encoding").is_some() { "chunked" } else { "length" };
        let body = format!(
            "{} {} {} {:?} {:?} {}\n",
            r.head.split(' ').next().unwrap_or_default(),
            r.path(),
            r.header("Host").is_some(),
            r.header("Cookie"),
            r.header("x_under"),
            String::from_utf8_lossy(&r.body)
        );
        let kept = "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n";
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-How: {how}\r\nX-UPPER: Case\r\n{kept}Set-Cookie: a=1\r\n\
             Set-Cookie: b=2\r\nServer: s\r\n\r\n",
            body.len()
        );
        let sent = out.write_all(head.as_bytes());
        sent.and_then(|()| if r.head.starts_with("HEAD") { Ok(()) } else { out.write_all(body.as_bytes()) })
            .is_ok()
    })
}

fn asks() -> Vec<Ask<'static>> {
    let with_host = |host, path| Ask { host, ..Ask::get(path) };
    let method = |method, path| Ask { method, ..Ask::get(path) };
    vec![
        Ask::get("/a.txt"),
        Ask::get("/"),
        Ask::get("/d"),
        Ask::get("/d/?x=1"),
        Ask::get("/none"),
        Ask::get("/%2e%2e/%41.txt?a=b%20c"),
        Ask::get("/a.txt/x"),
        Ask::get("/../../x"),
        method("HEAD", "/a.txt"),
        method("HEAD", "/p"),
        method("OPTIONS", "/a.txt"),
        method("POST", "/a.txt"),
        method("TRACE", "/"),
        method("PURGE", "/p"),
        Ask::get("/a.txt").with("range", "bytes=2-4"),
        Ask::get("/a.txt").with("range", "bytes=0-1,4-5"),
        Ask::get("/a.txt").with("range", "bytes=100-"),
        Ask::get("/a.txt").with("if-none-match", "*"),
        Ask::get("/a.txt").with("if-modified-since", "Fri, 31 Dec 2038 23:59:59 GMT"),
        Ask::get("/204"),
        Ask::get("/304"),
        Ask::get("/r"),
        Ask::get("/echo?a=1").with("cookie", "a=1").with("cookie", "b=2").with("cookie", "c=3"),
        Ask::get("/echo").with("x-a", "1").with("x-a", "2").with("te", "trailers").with("x-empty", ""),
        Ask::get("/b"),
        Ask::get("/gz").with("accept-encoding", "gzip"),
        Ask::get("/gz/a.txt").with("accept-encoding", "gzip"),
        Ask::get("/i"),
        Ask::get("/p?q=1").with("cookie", "a=1; b=2").with("cookie", "c=3").with("x_under", "1"),
        Ask::get("/s"),
        Ask::get("/t"),
        Ask::get("/bad"),
        Ask::get("/444"),
        Ask::get("/p/close"),
        Ask::post("/p", &[b"abc"]),
        Ask::post("/p", &[b"abc", b"def"]).with("content-length", "6"),
        Ask::post("/s", &[b"abc", b"def"]).with("content-length", "6"),
        Ask::post("/p", &[b"abc"]).with("expect", "100-continue"),
        Ask::post("/limit", &[b"abcdef"]).with("content-length", "6"),
        Ask::post("/limit", &[b"abc", b"def"]),
        Ask::post("/echo", &[b"abc"]),
        with_host("other", "/"),
        with_host("OTHER.:81", "/x"),
        with_host("unknown", "/r"),
        with_host("h:8081", "/r"),
        with_host("a..b", "/"),
        Ask::get("/").with("host", "h"),
        Ask::get("/").with("host", "other"),
        Ask::get("/a.txt"),
    ]
}

/// An answer without what may differ between two runs.
fn shown(answer: &Answer, daemon: &Daemon) -> String {
    let mut out = format!("{}\n", answer.status);
    for (name, value) in &answer.fields {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match name.as_str() {
            "date" | "last-modified" | "etag" => out += &format!("{name}: …\n"),
            // The size of what is compressed is the library's.
            _ => out += &format!("{name}: {value}\n"),
        }
    }
    let text = match answer.field("content-encoding") {
        Some(_) => "compressed".to_owned(),
        None => multipart(&answer.text()),
    };
    out += &format!("\n{text}\n{:?}\n", answer.trailers);
    if answer.reset.is_some() {
        out += "reset\n";
    }
    multipart(&out.replace(&format!(":{}", daemon.port(8080)), ":PORT"))
}

/// A boundary is a number that each answer has of its own.
fn multipart(text: &str) -> String {
    let digits = |c: char| c.is_ascii_digit();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| digits(c)) {
        let n = rest[at..].find(|c: char| !digits(c)).unwrap_or(rest.len() - at);
        out += &rest[..at];
        out += if n >= 20 { "BOUNDARY" } else { &rest[at..at + n] };
        rest = &rest[at + n..];
    }
    out + rest
}

/// The answers, and the lines of the access log (none: nothing was logged) by their requests.
fn answers(program: Program, asks: &[Ask<'_>]) -> (Vec<String>, Vec<Option<String>>) {
    let origin = origin();
    let daemon = Daemon::run(program, &conf(&origin), FILES);
    let one = |(n, ask): (usize, &Ask<'_>)| {
        let ask = ask.clone().with("x-n", &n.to_string());
        shown(&Session::connect(daemon.port(8080)).ask(&ask), &daemon)
    };
    let shown = asks.iter().enumerate().map(one).collect();
    let last = format!("{}|", asks.len() - 1);
    let log = crate::support::eventually("the last line", || {
        let text = daemon.file("access.log").replace(&format!(":{}", daemon.port(8080)), ":PORT");
        text.lines().any(|l| l.starts_with(&last)).then_some(text)
    });
    let line = |n| log.lines().find(|l| l.starts_with(&format!("{n}|"))).map(str::to_owned);
    (shown, (0..asks.len()).map(line).collect())
}

#[test]
fn nginx_and_tenrec_answer_the_same() {
    let test = "nginx_and_tenrec_answer_the_same";
    let Some(reference) = nginx().filter(nginx_is_current) else {
        return skipped(test, "no nginx 1.31 to compare with");
    };
    let built = std::process::Command::new(reference.path()).arg("-V").output().unwrap().stderr;
    if !String::from_utf8_lossy(&built).contains("http_v2") {
        return skipped(test, "the nginx to compare with has no http_v2");
    }
    let asks = asks();
    let ((theirs, their_log), (ours, our_log)) = (answers(reference, &asks), answers(Program::Tenrec, &asks));
    let mut differ = Vec::new();
    for (n, ask) in asks.iter().enumerate() {
        if theirs[n] != ours[n] {
            differ.push(format!("{ask:?}\nnginx:\n{}tenrec:\n{}", theirs[n], ours[n]));
        }
        if their_log[n] != our_log[n] {
            differ.push(format!("{ask:?}\nnginx:  {:?}\ntenrec: {:?}", their_log[n], our_log[n]));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
