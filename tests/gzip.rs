//! Answers that are compressed, unpacked, and stored compressed: `gzip`, `gunzip`, `gzip_static`.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::differential::{compare, http};
use crate::support::client::Client;
use crate::support::daemon::{Daemon, nginx, nginx_is_current};
use crate::support::origin::Origin;
use crate::support::{eventually, skipped};

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

const TEXT: &str = "The quick brown fox jumps over the lazy dog. ";

/// A peer whose answers are what its path says.
fn origin() -> Origin {
    Origin::new(|r, out| {
        let path = r.path().split('?').next().unwrap_or_default().to_owned();
        let name = path.rsplit('/').next().unwrap_or_default();
        let body = TEXT.repeat(if name == "long" { 20_000 } else { 40 }).into_bytes();
        let body = if name.starts_with("packed") { packed(&body) } else { body };
        let extra = match name {
            "packed" => {
                "Content-Type: text/html\r\nContent-Encoding: gzip\r\nETag: \"p\"\r\nAccept-Ranges: bytes\r\n"
            }
            "packed-odd" => "Content-Type: text/html\r\nContent-Encoding: GZip\r\n",
            "identity" => "Content-Type: text/html\r\nContent-Encoding: identity\r\n",
            "empty-encoding" => "Content-Type: text/html\r\nContent-Encoding:\r\n",
            "json" => "Content-Type: application/json\r\n",
            "charset" => "Content-Type: text/html; charset=utf-8\r\n",
            "level" => "Content-Type: text/html; level=1\r\n",
            "none" => "",
            "strong" => {
                "Content-Type: text/html\r\nETag: \"abc\"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n"
            }
            "weak" => "Content-Type: text/html\r\nETag: W/\"abc\"\r\n",
            "odd-etag" => "Content-Type: text/html\r\nETag: abc\r\n",
            "vary" => "Content-Type: text/html\r\nVary: Accept\r\n",
            "expired" => "Content-Type: text/html\r\nExpires: Thu, 01 Jan 1970 00:00:01 GMT\r\n",
            "fresh" => "Content-Type: text/html\r\nExpires: Thu, 31 Dec 2037 23:55:55 GMT\r\n",
            "no-cache" => "Content-Type: text/html\r\nCache-Control: max-age=0, no-cache\r\n",
            "private" => "Content-Type: text/html\r\nCache-Control: private\r\n",
            _ => "Content-Type: text/html\r\n",
        };
        let status = match name {
            "missing" => "404 Not Found",
            "made" => "201 Created",
            "forbidden" => "403 Forbidden",
            "fail" => "500 Internal Server Error",
            _ => "200 OK",
        };
        let framing = if name == "chunked" {
            "Transfer-Encoding: chunked\r\n".to_owned()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!("HTTP/1.1 {status}\r\n{extra}{framing}\r\n");
        let sent = out.write_all(head.as_bytes()).is_ok();
        if r.head.starts_with("HEAD") {
            return sent;
        }
        if name == "chunked" {
            return body.chunks(100).all(|part| {
                let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
                out.write_all(&chunk).is_ok()
            }) && out.write_all(b"0\r\n\r\n").is_ok();
        }
        sent && out.write_all(&body).is_ok()
    })
}

#[test]
fn answers_of_peers_are_compressed_as_nginx_does() {
    let origin = origin();
    let a = origin.addr();
    let proxy = format!("proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://{a};");
    let conf = http(&format!(
        "gzip on; log_format f '$uri $status $body_bytes_sent';\n\
         server {{ listen 127.0.0.1:%%8080%%;\n\
         location / {{ {proxy} }}\n\
         location /off/ {{ gzip off; {proxy} }}\n\
         location /if/ {{ if ($arg_off) {{ gzip off; }} {proxy} }}\n\
         location /types/ {{ gzip_types application/json text/plain; gzip_vary on; {proxy} }}\n\
         location /any/ {{ gzip_types *; gzip_comp_level 9; gzip_window 1k; gzip_hash 1k; {proxy} }}\n\
         location /min/ {{ gzip_min_length 100000; {proxy} }}\n\
         location /old/ {{ gzip_http_version 1.0; gzip_vary on; {proxy} }}\n\
         location /agents/ {{ gzip_disable msie6 \"Curl/[67]\"; {proxy} }}\n\
         location /via/ {{ gzip_proxied expired no-cache no_etag auth; gzip_vary on; {proxy} }}\n\
         location /via-any/ {{ gzip_proxied any; {proxy} }}\n\
         location /plain/ {{ gzip off; gunzip on; gzip_vary on; {proxy} }}\n\
         location /both/ {{ gunzip on; {proxy} }}\n\
         location /unbuffered/ {{ proxy_buffering off; {proxy} }}\n\
         location /said {{ default_type text/html; return 200 \"{TEXT}{TEXT}\"; }}\n\
         location /short {{ default_type text/html; return 200 \"short\"; }}\n\
         location /gone {{ return 403; }}\n\
         location /moved {{ return 301 /elsewhere; }}\n\
         location /added {{ add_header Content-Encoding br; add_header ETag '\"e\"'; default_type text/html; return 200 \"{TEXT}{TEXT}\"; }}\n\
         }}"
    ));
    let mut list: Vec<String> = Vec::new();
    let names = [
        "x",
        "long",
        "chunked",
        "packed",
        "packed-odd",
        "identity",
        "empty-encoding",
        "json",
        "charset",
        "level",
        "none",
        "strong",
        "weak",
        "odd-etag",
        "vary",
        "missing",
        "made",
        "forbidden",
        "fail",
    ];
    for name in names {
        for place in ["", "types/", "plain/", "both/", "unbuffered/"] {
            list.push(format!("GET /{place}{name}\nAccept-Encoding: gzip, deflate"));
        }
        list.push(format!("GET /plain/{name}"));
        list.push(format!("GET /both/{name}"));
        list.push(format!("HEAD /{name}\nAccept-Encoding: gzip"));
    }
    for accept in
        ["gzip;q=0", "gzip;q=0.1", "deflate", "x-gzip", "deflate, GZIP", "*", "", "br;q=1, gzip;q=0.5"]
    {
        list.push(format!("GET /x\nAccept-Encoding: {accept}"));
        list.push(format!("GET /types/x\nAccept-Encoding: {accept}"));
    }
    for name in ["x", "strong", "expired", "fresh", "no-cache", "private"] {
        for place in ["", "via/", "via-any/"] {
            list.push(format!("GET /{place}{name}\nAccept-Encoding: gzip\nVia: 1.1 p"));
        }
    }
    for rest in [
        "/via/private\nVia: 1.1 p\nAuthorization: Basic YTpi",
        "/off/x",
        "/if/x",
        "/if/x?off=1",
        "/any/none",
        "/any/json",
        "/min/x",
        "/min/long",
        "/min/chunked",
        "/agents/x\nUser-Agent: curl/7",
        "/agents/x\nUser-Agent: curl/8",
        "/agents/x\nUser-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)",
        "/agents/x\nUser-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)",
        "/said",
        "/short",
        "/gone",
        "/moved",
        "/nowhere",
        "/added",
        "/strong\nRange: bytes=0-9",
        "/strong\nIf-None-Match: W/\"abc\"",
    ] {
        let (path, fields) = rest.split_once('\n').unwrap_or((rest, ""));
        list.push(format!("GET {path}\nAccept-Encoding: gzip\n{fields}").trim_end().to_owned());
    }
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    compare("compressed answers of peers", &conf, &[], &list);
}

#[test]
fn files_are_compressed_and_taken_compressed_as_nginx_does() {
    let conf = http(
        "gzip on; types { text/html html; text/plain txt; }\n\
         server { listen 127.0.0.1:%%8080%%; root html;\n\
         location /vary/ { alias %%DIR%%/html/; gzip_vary on; gzip_static on; }\n\
         location /static/ { alias %%DIR%%/html/; gzip_static on; }\n\
         location /always/ { alias %%DIR%%/html/; gzip_static always; gzip_vary on; }\n\
         location /unpack/ { alias %%DIR%%/html/; gzip_static always; gunzip on; gzip_vary on; }\n\
         error_page 404 /missing.html; }",
    );
    let long = TEXT.repeat(3000);
    let other = packed(TEXT.repeat(50).as_bytes());
    let files: [(&str, &[u8]); 6] = [
        ("html/a.html", long.as_bytes()),
        ("html/b.html", b"the plain one, which is longer than the least length"),
        ("html/b.html.gz", &other),
        ("html/only.txt.gz", &other),
        ("html/dir.html.gz/x", b""),
        ("html/missing.html", TEXT.as_bytes()),
    ];
    let mut list = Vec::new();
    for place in ["", "vary/", "static/", "always/", "unpack/"] {
        for name in ["a.html", "b.html", "only.txt", "dir.html", "none"] {
            for fields in [
                "Accept-Encoding: gzip",
                "",
                "Accept-Encoding: gzip\nRange: bytes=5-9",
                "Accept-Encoding: gzip\nRange: bytes=0-1,4-5",
            ] {
                // Where a part begins is random in the answer.
                if !fields.contains(',') || place.is_empty() && name == "a.html" {
                    list.push(format!("GET /{place}{name}\n{fields}").trim_end().to_owned());
                }
            }
            list.push(format!("HEAD /{place}{name}\nAccept-Encoding: gzip"));
            list.push(format!("POST /{place}{name}\nAccept-Encoding: gzip\nContent-Length: 0"));
            list.push(format!("GET /{place}{name}\nAccept-Encoding: gzip\nVia: 1.1 p"));
        }
    }
    if !nginx().is_some_and(|n| nginx_is_current(&n)) {
        return skipped("compressed files", "no nginx that sends parts of them");
    }
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    compare("compressed files", &conf, &files, &list);
}

/// What a gzip stream that is not over has so far.
fn so_far(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    let _ = flate2::read::GzDecoder::new(bytes).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn without_buffering_each_piece_of_a_peer_reaches_the_client_at_once() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let origin = Origin::new(move |_, out| {
        let told = told.lock().unwrap();
        let head =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 40\r\n\r\nfirst piece         ";
        out.write_all(head).unwrap();
        // The second piece is sent when the client says that it has the first.
        told.recv_timeout(crate::support::SOON).is_ok() && out.write_all(b"second piece        ").is_ok()
    });
    let a = origin.addr();
    let daemon = Daemon::start(&http(&format!(
        "gzip on; log_format r '$gzip_ratio'; server {{ listen 127.0.0.1:%%8080%%; access_log ratio.log r;\n\
         location / {{ proxy_buffering off; proxy_pass http://{a}; }} }}"
    )));
    let mut client = Client::connect(daemon.port(8080));
    client.send("GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    // HTTP/1.0 gets nothing compressed.
    tell.send(()).unwrap();
    assert!(String::from_utf8_lossy(&client.rest()).ends_with("first piece         second piece        "));
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", daemon.port(8080))).unwrap();
    stream.set_read_timeout(Some(crate::support::SOON)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n")
        .unwrap();
    let mut got = Vec::new();
    let mut read = |until: &str| {
        eventually(until, || {
            let mut part = [0; 4096];
            let n = stream.read(&mut part).unwrap();
            got.extend_from_slice(&part[..n]);
            let body = got.windows(4).position(|w| w == b"\r\n\r\n").map(|i| &got[i + 4..])?;
            so_far(&dechunk(body)).contains(until).then_some(())
        });
    };
    read("first piece");
    tell.send(()).unwrap();
    read("second piece");
    daemon.logged("ratio.log", ".");
    let log = daemon.file("ratio.log");
    assert!(log.starts_with("-\n") && log.lines().nth(1).is_some_and(|r| r.parse::<f32>().is_ok()), "{log}");
}

/// The data of the chunks that are there.
fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        let data = &bytes[end + 2..];
        out.extend_from_slice(&data[..size.min(data.len())]);
        let Some(rest) = data.get(size + 2..) else { break };
        bytes = rest;
    }
    out
}

#[test]
fn a_body_that_is_no_gzip_ends_the_connection_and_is_told() {
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: 25\r\n\r\n";
    let origin = Origin::sends(format!("{answer}this is not gzip, for all"), false);
    let a = origin.addr();
    let daemon = Daemon::start(&http(&format!(
        "server {{ listen 127.0.0.1:%%8080%%; gunzip on; location / {{ proxy_pass http://{a}; }} }}"
    )));
    let mut client = Client::connect(daemon.port(8080));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let got = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(!got.contains("\r\n0\r\n\r\n") && !got.contains("not gzip"), "{got}");
    daemon.logged("error.log", "inflate() failed");
}

#[test]
fn the_character_set_is_named_as_in_nginx() {
    let origin = origin();
    let a = origin.addr();
    let conf = http(&format!(
        "charset utf-8; gzip on; types {{ text/html html; text/css css; application/json json; }} map $arg_c $c {{ default koi8-r; none ''; }}\n\
         server {{ listen 127.0.0.1:%%8080%%;\n\
         location / {{ proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://{a}; }}\n\
         location /override/ {{ override_charset on; charset UTF-8; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://{a}; }}\n\
         location /files/ {{ alias %%DIR%%/html/; }}\n\
         location /css/ {{ charset_types text/css; alias %%DIR%%/html/; location /css/any/ {{ charset_types *; alias %%DIR%%/html/; }} }}\n\
         location /off/ {{ charset off; alias %%DIR%%/html/; }}\n\
         location /var/ {{ charset $c; alias %%DIR%%/html/; }}\n\
         location /moved {{ return 301 /x; }}\n\
         location /said {{ default_type text/plain; return 200 said; }} }}"
    ));
    let files: [(&str, &[u8]); 3] = [("html/a.html", b"a"), ("html/a.css", b"a"), ("html/a.json", b"a")];
    let mut list = Vec::new();
    for place in ["files", "css", "css/any", "off", "var"] {
        for name in ["a.html", "a.css", "a.json", "none"] {
            list.push(format!("GET /{place}/{name}"));
        }
    }
    for path in [
        "x",
        "charset",
        "level",
        "json",
        "none",
        "override/charset",
        "override/x",
        "missing",
        "moved",
        "said",
    ] {
        list.push(format!("GET /{path}\nAccept-Encoding: gzip"));
    }
    list.push("GET /var/a.html?c=none".into());
    list.push("GET /files/a.html\nRange: bytes=0-0".into());
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    compare("character sets", &conf, &files, &list);
}
