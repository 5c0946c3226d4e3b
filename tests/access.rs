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
