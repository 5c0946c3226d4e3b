//! Who is let in: `allow` and `deny`.

use std::io::Write as _;

use crate::support::diff::{Exchange, same};
use crate::support::origin::Origin;

#[test]
fn the_first_rule_that_fits_decides_as_in_nginx() {
    let conf = "pid p.pid; error_log error.log;\nevents { }\nhttp { access_log off;\n\
        server { listen 127.0.0.1:%%8080%%; deny 10.0.0.0/8; error_page 403 =403 /why;\n\
          location / { return 200 open; }\n\
          location /none/ { deny all; alias %%DIR%%/html/; }\n\
          location /one/ { allow 127.0.0.1; deny all; alias %%DIR%%/html/; }\n\
          location /other/ { allow 127.0.0.2; deny 127.0.0.0/8; allow all; alias %%DIR%%/html/; }\n\
          location /net/ { allow 127.0.0.0/30; deny all; alias %%DIR%%/html/; }\n\
          location /six/ { allow ::1; deny all; alias %%DIR%%/html/; }\n\
          location /unix/ { allow unix:; alias %%DIR%%/html/; }\n\
          location /inherited/ { alias %%DIR%%/html/; }\n\
          location /early/ { deny all; return 200 early; }\n\
          location /named/ { deny all; error_page 403 @n; alias %%DIR%%/html/; }\n\
          location @n { return 200 \"named $uri\"; }\n\
          location /why { return 403 \"because\"; } } }\n";
    let list: Vec<Vec<u8>> =
        ["", "none/", "one/", "other/", "net/", "six/", "unix/", "inherited/", "early/", "named/"]
            .iter()
            .map(|p| format!("GET /{p} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes())
            .collect();
    let exchanges: Vec<Exchange<'_>> = list.iter().map(|bytes| Exchange { port: 8080, bytes }).collect();
    same("allow and deny", conf, &[("html/index.html", b"in\n")], &exchanges);
}

#[test]
fn the_clients_address_is_what_a_trusted_proxy_says_as_in_nginx() {
    let say = "return 200 \"$remote_addr|$proxy_add_x_forwarded_for|$realip_remote_addr\";";
    let file = "alias %%DIR%%/html/; add_header X-Addr \"$remote_addr|$realip_remote_addr\";";
    let conf = format!(
        "pid p.pid; error_log error.log;\nevents {{ }}\nhttp {{ access_log off;\n\
        server {{ listen 127.0.0.1:%%8080%%; set_real_ip_from 127.0.0.0/8;\n\
          location / {{ {say} }} }}\n\
        server {{ listen 127.0.0.1:%%8081%%; set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8;\n\
          real_ip_header X-Forwarded-For; real_ip_recursive on; location / {{ {say} }} }}\n\
        server {{ listen 127.0.0.1:%%8082%%;\n\
          location / {{ {file} }}\n\
          location /one/ {{ set_real_ip_from 127.0.0.1; real_ip_header X-Mine; allow 9.9.9.9; deny all; {file} }}\n\
          location /not/ {{ set_real_ip_from 127.0.0.2; {file} }} }} }}\n"
    );
    let mut list = Vec::new();
    for (port, path, fields) in [
        (8080, "/", ""),
        (8080, "/", "X-Real-IP: 1.2.3.4\r\n"),
        (8080, "/", "X-Real-IP: 1.2.3.4, 5.6.7.8\r\n"),
        (8080, "/", "X-Real-IP: 2001:db8::1\r\n"),
        (8080, "/", "X-Real-IP: unknown\r\n"),
        (8080, "/", "X-Forwarded-For: 1.2.3.4\r\n"),
        (8081, "/", "X-Forwarded-For: 1.2.3.4, 10.0.0.1, 10.0.0.2\r\n"),
        (8081, "/", "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 10.0.0.2\r\n"),
        (8081, "/", "X-Forwarded-For: 10.0.0.9\r\n"),
        (8082, "/", "X-Real-IP: 1.2.3.4\r\n"),
        (8082, "/one/", "X-Mine: 9.9.9.9\r\n"),
        (8082, "/one/", "X-Mine: 9.9.9.8\r\n"),
        (8082, "/not/", "X-Real-IP: 9.9.9.8\r\n"),
    ] {
        let bytes =
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n").into_bytes();
        list.push((port, bytes));
    }
    let exchanges: Vec<Exchange<'_>> =
        list.iter().map(|(port, bytes)| Exchange { port: *port, bytes }).collect();
    same("real addresses", &conf, &[("html/index.html", b"in\n")], &exchanges);
}

/// Every line's password is `secret`.
const USERS: &str = "# people\n\
    plain:{PLAIN}secret\n\
    sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n\
    ssha:{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0\n\
    apr1:$apr1$salt12$1MGLrBFoYvm1I9iC8.6tH/:a comment\n\
    \n\
    md5:$1$saltsalt$9xy1btjgzLYfb7hivXtC//\n\
    sha256:$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA\n\
    sha512:$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/\r\n\
    bcrypt:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n\
    yescrypt:$y$j75$saltsalt$0gBD67sgmJgRX3RZ6wHHO7sHimQEWGCWN85o4Twogh2\n\
    des:abNANd1rDfiNc\n\
    clear:secret\n\
    empty:\n\
    odd:$9$what$is\n\
    last:{PLAIN}secret";

#[test]
fn passwords_are_asked_for_and_known_as_in_nginx() {
    use base64::Engine as _;
    let conf = "pid p.pid; error_log error.log;\nevents { }\nhttp { access_log off; auth_basic_user_file users;\n\
        add_header X-User \"<$remote_user>\" always;\n\
        map $arg_realm $realm { default $arg_realm; none off; }\n\
        server { listen 127.0.0.1:%%8080%%; root html;\n\
          location / { auth_basic closed; alias %%DIR%%/html/; }\n\
          location /open/ { alias %%DIR%%/html/; }\n\
          location /inner/ { auth_basic closed; alias %%DIR%%/html/; location /inner/open/ { auth_basic off; alias %%DIR%%/html/; } }\n\
          location /realm/ { auth_basic \"in $realm\"; alias %%DIR%%/html/; }\n\
          location /var/ { auth_basic $realm; auth_basic_user_file %%DIR%%/$arg_file; alias %%DIR%%/html/; }\n\
          location /relative/ { auth_basic x; auth_basic_user_file $arg_file; alias %%DIR%%/html/; }\n\
          location /page/ { auth_basic closed; error_page 401 /sorry; alias %%DIR%%/html/; }\n\
          location /sorry { return 401 \"sorry $remote_user\"; }\n\
          location /any-out/ { satisfy any; deny all; auth_basic closed; alias %%DIR%%/html/; }\n\
          location /any-in/ { satisfy any; allow all; auth_basic closed; alias %%DIR%%/html/; }\n\
          location /any-silent/ { satisfy any; deny 10.0.0.1; auth_basic closed; alias %%DIR%%/html/; }\n\
          location /any-denied/ { satisfy any; deny all; alias %%DIR%%/html/; }\n\
          location /all-out/ { deny all; auth_basic closed; alias %%DIR%%/html/; }\n\
          location /methods/ { limit_except POST { auth_basic closed; } alias %%DIR%%/html/; } } }\n";
    let base = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let mut list = Vec::new();
    let mut ask = |path: &str, field: String| {
        list.push(
            format!("GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n").into_bytes(),
        );
    };
    for user in USERS.lines().filter_map(|l| l.split(':').next()).chain(["nobody", "# people", "Plain"]) {
        for password in ["secret", "Secret", ""] {
            ask("", format!("Authorization: Basic {}\r\n", base(&format!("{user}:{password}"))));
        }
    }
    let right = format!("Authorization: basic   {}\r\n", base("plain:secret"));
    for field in [
        String::new(),
        right.clone(),
        "Authorization: Basic\r\n".into(),
        "Authorization: Basic ???\r\n".into(),
        "Authorization: Bearer x\r\n".into(),
        format!("Authorization: Basic {}\r\n", base("plain")),
        format!("Authorization: Basic {}\r\n", base(":secret")),
        format!("Authorization: Basic {}\r\n", base("plain:secret:more")),
        format!("Authorization: Basic {}\r\n", base("plain:secret\0more")),
        format!("Authorization: Basic {}\r\n", base("sha:secret").trim_end_matches('=')),
    ] {
        for path in [
            "",
            "open/",
            "inner/",
            "inner/open/",
            "realm/?realm=x",
            "realm/?realm=none",
            "var/?realm=none",
            "var/?realm=x&file=users",
            "relative/?file=users",
            "relative/?file=nowhere",
            "var/?realm=x&file=nowhere",
            "var/?realm=x&file=html",
            "page/",
            "any-out/",
            "any-in/",
            "any-silent/",
            "any-denied/",
            "all-out/",
            "methods/",
        ] {
            ask(path, field.clone());
        }
    }
    let exchanges: Vec<Exchange<'_>> = list.iter().map(|bytes| Exchange { port: 8080, bytes }).collect();
    same("passwords", conf, &[("html/index.html", b"in\n"), ("users", USERS.as_bytes())], &exchanges);
}

#[test]
fn the_answer_of_a_subrequest_decides_as_in_nginx() {
    let origin = Origin::new(|r, out| {
        let path = r.path().to_owned();
        let said = format!(
            "{} {} [{}] [{}] [{}]",
            r.head.lines().next().unwrap_or_default(),
            r.header("X-Method").unwrap_or("-"),
            r.header("X-Uri").unwrap_or("-"),
            r.header("Content-Length").unwrap_or("-"),
            r.header("Cookie").unwrap_or("-"),
        );
        let (status, fields) = match path.rsplit('/').next().unwrap_or_default() {
            "yes" => ("204 No Content", "X-User: alice\r\nSet-Cookie: auth=1\r\n"),
            "ok" => ("200 OK", "X-User: bob\r\n"),
            "no" => ("403 Forbidden", ""),
            "who" => ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"a\"\r\n"),
            "moved" => ("302 Found", "Location: /elsewhere\r\n"),
            _ => ("200 OK", ""),
        };
        let body = if path.starts_with("/auth") { String::new() } else { said.clone() };
        let length = if status.starts_with("204") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!("HTTP/1.1 {status}\r\n{fields}X-Asked: {said}\r\n{length}\r\n");
        out.write_all(head.as_bytes()).is_ok()
            && (r.head.starts_with("HEAD") || out.write_all(body.as_bytes()).is_ok())
    });
    let a = origin.addr();
    let proxy = format!("proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://{a};");
    let asked = "proxy_pass_request_body off; proxy_set_header Content-Length ''; \
                 proxy_set_header X-Method $request_method; proxy_set_header X-Uri $request_uri;";
    let says = "add_header X-Status \"$auth_status|$user|$asked|$request_method\" always;";
    let conf = format!(
        "pid p.pid; error_log error.log;\nevents {{ }}\nhttp {{ access_log off;\n\
         auth_request_set $auth_status $upstream_status; auth_request_set $user $upstream_http_x_user;\n\
         auth_request_set $asked $upstream_http_x_asked;\n\
         server {{ listen 127.0.0.1:%%8080%%; {says}\n\
         location /auth/ {{ internal; {asked} {proxy} }}\n\
         location = /said/401 {{ return 401; }}\n\
         location = /said/204 {{ return 204; }}\n\
         location = /said/404 {{ return 404; }}\n\
         location = /said/file {{ alias %%DIR%%/html/index.html; }}\n\
         location = /said/missing {{ alias %%DIR%%/html/nothing; }}\n\
         location = /said/page {{ error_page 404 =200 /said/204; return 404; }}\n\
         location = /said/basic {{ auth_basic inner; auth_basic_user_file nowhere; return 204; alias %%DIR%%/html/; }}\n\
         location = /said/nested {{ auth_request /auth/no; alias %%DIR%%/html/index.html; }}\n\
         location /yes/ {{ auth_request /auth/yes; {proxy} }}\n\
         location /ok/ {{ auth_request /auth/ok; alias %%DIR%%/html/; }}\n\
         location /no/ {{ auth_request /auth/no; alias %%DIR%%/html/; }}\n\
         location /who/ {{ auth_request /auth/who; alias %%DIR%%/html/; }}\n\
         location /moved/ {{ auth_request /auth/moved; alias %%DIR%%/html/; }}\n\
         location /login/ {{ auth_request /auth/who; error_page 401 =302 /in?to=$request_uri; alias %%DIR%%/html/; }}\n\
         location /any/ {{ satisfy any; deny all; auth_request /auth/yes; alias %%DIR%%/html/; }}\n\
         location /any-no/ {{ satisfy any; deny all; auth_request /auth/who; alias %%DIR%%/html/; }}\n\
         location /any-in/ {{ satisfy any; allow all; auth_request /auth/no; alias %%DIR%%/html/; }}\n\
         location /all/ {{ deny all; auth_request /auth/yes; alias %%DIR%%/html/; }}\n\
         location /off/ {{ auth_request off; alias %%DIR%%/html/; }}\n\
         location /r/ {{ auth_request /said/$arg_x; alias %%DIR%%/html/; }}\n\
         location /r401/ {{ auth_request /said/401; alias %%DIR%%/html/; }}\n\
         location /r204/ {{ auth_request /said/204; {proxy} }}\n\
         location /r404/ {{ auth_request /said/404; alias %%DIR%%/html/; }}\n\
         location /rfile/ {{ auth_request /said/file; alias %%DIR%%/html/; }}\n\
         location /rmissing/ {{ auth_request /said/missing; alias %%DIR%%/html/; }}\n\
         location /rpage/ {{ auth_request /said/page; alias %%DIR%%/html/; }}\n\
         location /rbasic/ {{ auth_request /said/basic; alias %%DIR%%/html/; }}\n\
         location /rnested/ {{ auth_request /said/nested; alias %%DIR%%/html/; }}\n\
         }} }}\n"
    );
    let mut list = Vec::new();
    for place in [
        "yes/",
        "ok/",
        "no/",
        "who/",
        "moved/",
        "login/",
        "any/",
        "any-no/",
        "any-in/",
        "all/",
        "off/",
        "r/",
        "r401/",
        "r204/",
        "r404/",
        "rfile/",
        "rmissing/",
        "rpage/",
        "rbasic/",
        "rnested/",
    ] {
        list.push(format!(
            "GET /{place}?a=b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: c=1\r\n\r\n"
        ));
        list.push(format!("HEAD /{place} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    }
    for place in ["yes/", "no/", "r204/"] {
        list.push(format!(
            "POST /{place} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
        ));
        list.push(format!(
            "POST /{place} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ));
    }
    let exchanges: Vec<Exchange<'_>> =
        list.iter().map(|text| Exchange { port: 8080, bytes: text.as_bytes() }).collect();
    same("auth_request", &conf, &[("html/index.html", b"in\n")], &exchanges);
}

#[test]
fn addresses_have_the_values_of_their_networks_as_in_nginx() {
    let conf = "pid p.pid; error_log error.log;\nevents { }\nhttp { access_log off;\n\
        geo $near { 127.0.0.0/8 yes; 127.0.0.1 itself; }\n\
        geo $arg_ip $of { default none; 10.0.0.0/8 ten; 10.1.0.0/16 \"ten one\"; 10.1.2.3/32 host; 10.1.3.0/24 ten;\n\
          2001:db8::/32 doc; 255.255.255.255 nobody; include nets; delete 10.1.3.0/24; }\n\
        geo $forwarded { default far; proxy 127.0.0.1; proxy 10.0.0.0/8; proxy_recursive; 10.0.0.0/8 proxy; 192.0.2.0/24 test; }\n\
        geo $once { default far; proxy 127.0.0.1; 10.0.0.0/8 proxy; 192.0.2.0/24 test; }\n\
        geo $nothing { 10.0.0.0/8 x; }\n\
        server { listen 127.0.0.1:%%8080%%; return 200 \"$near|$of|$forwarded|$once|$nothing\\n\"; } }\n";
    let mut list = Vec::new();
    for ip in [
        "10.0.0.0",
        "10.1.0.1",
        "10.1.2.3",
        "10.1.3.1",
        "10.255.255.255",
        "11.0.0.0",
        "2001:db8::1",
        "2001:db9::1",
        "::ffff:10.1.2.3",
        "255.255.255.255",
        "x",
        "",
        "172.16.0.1",
        "unix:",
        "10.1.2.3:80",
    ] {
        list.push(format!("GET /?ip={ip} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    }
    for said in ["192.0.2.7", "192.0.2.7, 10.0.0.1", "1.1.1.1, 192.0.2.7, 10.0.0.1, 10.0.0.2", "x", ""] {
        list.push(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: {said}\r\n\r\n"
        ));
    }
    let exchanges: Vec<Exchange<'_>> =
        list.iter().map(|text| Exchange { port: 8080, bytes: text.as_bytes() }).collect();
    same("geo", conf, &[("nets", b"172.16.0.0/12 included;\n")], &exchanges);
}

#[test]
fn referers_are_welcome_or_not_as_in_nginx() {
    let conf = "pid p.pid; error_log error.log;\nevents { }\nhttp { access_log off;\n\
        server { listen 127.0.0.1:%%8080%%; server_name me.example *.mine.example ~^re\\d+$;\n\
          valid_referers none server_names outer.example;\n\
          location / { return 200 \"<$invalid_referer>\"; }\n\
          location /all/ { valid_referers none blocked example.com *.example.com www.* .dot.example a.example/x/ ~google\\.;\n\
            if ($invalid_referer) { return 403; } return 204; }\n\
          location /regex/ { valid_referers ~path/in; return 200 \"<$invalid_referer>\"; }\n\
          location /some/ { valid_referers a.example; return 200 \"<$invalid_referer>\"; } } }\n";
    let mut list = Vec::new();
    for referer in [
        None,
        Some(""),
        Some("http://"),
        Some("nothing at all"),
        Some("ftp://example.com/"),
        Some("http://example.com"),
        Some("HTTPS://EXAMPLE.com:8080/x"),
        Some("http://www.example.com/x"),
        Some("http://a.b.example.com/x"),
        Some("http://xexample.com/x"),
        Some("http://www.anything"),
        Some("http://dot.example/"),
        Some("http://in.dot.example/"),
        Some("http://a.example/x/y"),
        Some("http://a.example/y"),
        Some("http://a.example:80/x/"),
        Some("http://a.example"),
        Some("http://www.google.com/?q"),
        Some("http://other.com/path/in"),
        Some("https://me.example/"),
        Some("https://sub.mine.example/"),
        Some("https://re12/"),
        Some("https://outer.example/"),
        Some("http://i.r"),
    ] {
        let field = referer.map(|r| format!("Referer: {r}\r\n")).unwrap_or_default();
        for place in ["", "all/", "regex/", "some/"] {
            list.push(format!("GET /{place} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n"));
        }
    }
    let exchanges: Vec<Exchange<'_>> =
        list.iter().map(|text| Exchange { port: 8080, bytes: text.as_bytes() }).collect();
    same("referers", conf, &[], &exchanges);
}
