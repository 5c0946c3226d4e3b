//! Who is let in: `allow` and `deny`.

use crate::support::diff::{Exchange, same};

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
