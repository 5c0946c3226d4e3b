//! `set`, `if`, `rewrite`, `return`, `break`, `map` and `split_clients`: the same file and the same requests through nginx and tenrec.

use crate::differential::{compare, echo, http};

#[test]
fn rewrites_change_path_and_arguments_as_nginx_does() {
    let conf = http(
        "server { listen 127.0.0.1:%%8080%%; server_name www.example.com;\n\
         rewrite ^/srv/(.*)$ /loc/$1;\n\
         rewrite ^/srv-args/(.*)$ /show/$1?s=1;\n\
         rewrite ^/srv-redirect/(.*)$ http://other.example/$1;\n\
         rewrite ^/srv-last/(.*)$ /show/last/$1 last;\n\
         rewrite ^/srv-last/(.*)$ /never/$1;\n\
         rewrite ^/srv-break/(.*)$ /show/break/$1 break;\n\
         location / { return 200 \"root uri:$uri args:$args 1:$1\\n\"; }\n\
         location /show/ { return 200 \"show uri:$uri args:$args is:$is_args\\n\"; }\n\
         location /loc/ { rewrite ^/loc/a(.*)$ /show/a$1; rewrite ^/show/ab(.*)$ /show/x$1; return 200 \"loc uri:$uri args:$args\\n\"; }\n\
         location /go/ { rewrite ^/go/(.*)$ /show/$1; }\n\
         location /twice/ { rewrite ^/twice/(.*)$ /once/$1?t=2; }\n\
         location /once/ { rewrite ^/once/(.*)$ /show/$1?o=1 last; return 500; }\n\
         location /drop/ { rewrite ^/drop/(.*)$ /show/$1? last; }\n\
         location /dropset/ { rewrite ^/dropset/(.*)$ /show/$1?a=b? last; }\n\
         location /redirect/ { rewrite ^/redirect/(.*)$ /to/$1 redirect; }\n\
         location /permanent/ { rewrite ^/permanent/(.*)$ /to/$1?x=1 permanent; }\n\
         location /nargs/ { rewrite ^/nargs/(.*)$ /to/$1? permanent; }\n\
         location /url/ { rewrite ^/url/(.*)$ https://$host/$1?u=$1; }\n\
         location /scheme/ { rewrite ^/scheme/(.*)$ $scheme://$host/$1 permanent; }\n\
         location /esc/ { rewrite ^/esc/(.*)$ /show/x?a=$1&b=$1 last; }\n\
         location /escset/ { set $v $arg_none; rewrite ^/escset/(.*)$ /escset2/$1; set $v $1; rewrite ^ /show/$v; }\n\
         location ~ ^/capset/(.*)$ { set $v $1; set $w \"<$1>\"; return 200 \"v:$v w:$w 1:$1\\n\"; }\n\
         location /named/ { rewrite ^/named/(?<first>[^/]*)/(?<rest>.*)$ /show/$rest/$first last; }\n\
         location /cycle/ { rewrite ^(.*)$ $1x last; }\n\
         location /empty/ { rewrite ^ $arg_none? last; }\n\
         location /break/ { rewrite ^/break/(.*)$ /show/$1 break; return 200 \"after break uri:$uri\\n\"; }\n\
         location /stop/ { rewrite ^/stop/(.*)$ /show/$1; break; return 500; }\n\
         location /more/ { rewrite ^/more/(.*)$ /fwd/$1; rewrite ^/fwd/(.*)$ /show/$1 break; return 500; }\n\
         location /miss/ { rewrite ^/miss/(y)(.*)$ /show/$2; return 200 \"miss 1:$1 2:$2\\n\"; }\n\
         location /setargs/ { set $args \"n=1&o=$arg_o\"; return 200 \"$args $query_string $arg_n $request_uri\\n\"; }\n\
         location /internal/ { internal; return 200 \"internal $uri\\n\"; }\n\
         location /into/ { rewrite ^/into/(.*)$ /internal/$1; }\n\
         location /onlyinto/ { error_page 404 = @named; rewrite ^/onlyinto/(.*)$ /nowhere/$1 break; root /nowhere/at/all; }\n\
         location @named { rewrite ^/nowhere/(.*)$ /show/named/$1; }\n\
         location /err/ { error_page 302 /show/err; rewrite ^ /elsewhere redirect; }\n\
         location /index/ { rewrite ^/index/(.*)$ /files/$1 break; alias %%DIR%%/; }\n\
         location /plain/ { rewrite ^/plain$ /; rewrite ^/plain/(a|b)$ /show/$1; return 200 \"plain $1\\n\"; }\n\
         }",
    );
    let list = [
        "/srv/x?q",
        "/srv-args/x?q=2",
        "/srv-args/x",
        "/srv-redirect/a%20b?q=1",
        "/srv-last/z",
        "/srv-break/z",
        "/loc/a1?q",
        "/loc/ab?q",
        "/loc/c",
        "/go/x?y=z",
        "/twice/x",
        "/twice/x?q",
        "/drop/x?gone=1",
        "/dropset/x?gone=1",
        "/redirect/a%20b?c=d",
        "/redirect/a",
        "/permanent/x?y=2",
        "/permanent/x",
        "/nargs/x?gone",
        "/url/x",
        "/url/a%20b%26c+d?q=1",
        "/url/x?q=1",
        "/scheme/x?y",
        "/scheme/a%3Fb%25c%7E",
        "/esc/a%20b%26c",
        "/esc/a+b;c",
        "/esc/a&b",
        "/esc/%e4%b8%ad?x",
        "/escset/a%20b",
        "/escset/a+b",
        "/capset/a%20b",
        "/capset/a&b",
        "/capset/+&",
        "/named/one/two/three",
        "/cycle/",
        "/empty/",
        "/break/x",
        "/stop/x",
        "/more/x",
        "/miss/x",
        "/miss/yz",
        "/setargs/?o=2&p=3",
        "/internal/x",
        "/into/x?y",
        "/onlyinto/x",
        "/err/",
        "/index/x",
        "/plain/a",
        "/plain/c",
        "/plain",
    ];
    let lines: Vec<String> = list.iter().map(|path| format!("GET {path}")).collect();
    compare("rewrites", &conf, &[], &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn conditions_hold_when_they_do_in_nginx() {
    let conf = http(
        "server { listen 127.0.0.1:%%8080%%; server_name www.example.com; root %%DIR%%;\n\
         if ($arg_server = redirect) { return 302 http://other.example/; }\n\
         if ($arg_server = rewrite) { rewrite ^ /tests/$1?from=server; set $from server; }\n\
         if ($arg_server ~ ^(s)(o) ) { set $so \"$1-$2\"; }\n\
         location /tests/ {\n\
           set $r \"\";\n\
           if ($arg_a) { set $r \"${r} true\"; }\n\
           if ($arg_a = x) { set $r \"${r} eq\"; }\n\
           if ($arg_a != x) { set $r \"${r} ne\"; }\n\
           if ($arg_a = \"$arg_b\") { set $r \"${r} eqb\"; }\n\
           if ($arg_a ~ ^X) { set $r \"${r} re\"; }\n\
           if ($arg_a ~* ^X(.*)) { set $r \"${r} re*$1\"; }\n\
           if ($arg_a !~ ^X) { set $r \"${r} !re\"; }\n\
           if ($arg_a !~* ^X) { set $r \"${r} !re*\"; }\n\
           if (-f $document_root/there.txt) { set $r \"${r} f\"; }\n\
           if (!-f $document_root/$arg_file) { set $r \"${r} !f\"; }\n\
           if (-d $document_root) { set $r \"${r} d\"; }\n\
           if (!-d $document_root/there.txt) { set $r \"${r} !d\"; }\n\
           if (-e $document_root/$arg_file) { set $r \"${r} e\"; }\n\
           if ( !-e $document_root/nothing ) { set $r \"${r} !e\"; }\n\
           if (-x $document_root) { set $r \"${r} x\"; }\n\
           if (!-x $document_root/there.txt) { set $r \"${r} !x\"; }\n\
           return 200 \"$uri:$r from:$from so:$so 1:$1\\n\";\n\
         }\n\
         location /codes/ { if ($arg_c) { return 418 tea; } if ($arg_d) { return 403; } return 204; }\n\
         location /files/ { if (!-e $request_filename) { rewrite ^/files/(.*)$ /tests/$1 last; } }\n\
         location /brk/ { if ($arg_b) { break; } return 200 \"not broken\\n\"; }\n\
         location ~ ^/re/(?<id>\\d+) { if ($id = 7) { return 200 seven; } if ($id ~ (\\d)$) { return 200 \"$id $1\"; } return 200 $id; }\n\
         location /weak/ { set $http_x_weak $arg_w; return 200 $http_x_weak; }\n\
         location /weak2/ { return 200 $http_x_weak; }\n\
         }",
    );
    compare(
        "conditions",
        &conf,
        &[("there.txt", b"there\n"), ("files/x.txt", b"x\n")],
        &[
            "GET /tests/?server=redirect",
            "GET /any?server=rewrite",
            "GET /tests/?server=so",
            "GET /tests/",
            "GET /tests/?a=0",
            "GET /tests/?a=00",
            "GET /tests/?a=x",
            "GET /tests/?a=xyz&b=xyz",
            "GET /tests/?a=X",
            "GET /tests/?a=Xy&file=there.txt",
            "GET /tests/?file=there.txt/x",
            "GET /codes/?c=1",
            "GET /codes/?d=1",
            "GET /codes/?c=0",
            "GET /files/x.txt",
            "GET /files/y.txt?q",
            "GET /brk/?b=1",
            "GET /brk/",
            "GET /re/7",
            "GET /re/42",
            "GET /weak/?w=1\nX-Weak: h",
            "GET /weak2/\nX-Weak: h",
            "GET /weak2/",
        ],
    );
}

#[test]
fn an_if_in_a_location_has_its_own_settings() {
    let origin = echo();
    let a = origin.addr();
    let conf = http(&format!(
        "proxy_http_version 1.1; proxy_set_header Connection '';\n\
         server {{ listen 127.0.0.1:%%8080%%; server_name www.example.com; root %%DIR%%; add_header X-Server s;\n\
         location /plain/ {{ if ($arg_p) {{ proxy_pass http://{a}; }} }}\n\
         location /over/ {{ proxy_pass http://{a}/outer/; if ($arg_p) {{ proxy_pass http://{a}; }} }}\n\
         location /inherit/ {{ proxy_pass http://{a}/outer/; proxy_set_header Host $host; proxy_set_header X-Outer 1; proxy_set_header Connection '';\n\
           if ($arg_h) {{ add_header X-Inner 1; }} if ($arg_a) {{ add_header X-If $arg_a; }} }}\n\
         location /both/ {{ if ($arg_a) {{ proxy_pass http://{a}; }} if ($arg_b) {{ set $x 1; }} }}\n\
         location /bothinner/ {{ proxy_pass http://{a}/i/; if ($arg_a) {{ proxy_pass http://{a}; }} if ($arg_b) {{ set $x 1; }} }}\n\
         location /vars/ {{ set $up {a}; if ($arg_a) {{ proxy_pass http://$up/v$uri; }} return 404; }}\n\
         location ~ ^/re/(.*)$ {{ if ($arg_a) {{ proxy_pass http://{a}/re?x=$1; }} proxy_pass http://{a}; }}\n\
         location /brk/ {{ rewrite ^/brk/(.*)$ /rewritten/$1 break; proxy_pass http://{a}/never/; }}\n\
         location /brk-args/ {{ rewrite ^/brk-args/(.*)$ /re$1?r=1 break; proxy_pass http://{a}; }}\n\
         location /setargs/ {{ set $args a=b; proxy_pass http://{a}; }}\n\
         location /seturi/ {{ set $args a=b; proxy_pass http://{a}/up/; }}\n\
         location /headers/ {{ add_header X-Loc l; if ($arg_a) {{ add_header X-If i; }} return 200 ok; }}\n\
         location /headers2/ {{ add_header X-Loc l; if ($arg_a) {{ set $y 1; }} return 200 ok; }}\n\
         location /root/ {{ if ($arg_a) {{ root %%DIR%%/other; }} }}\n\
         location /pages/ {{ error_page 404 /page404; if ($arg_a) {{ error_page 404 =200 /page200; }} }}\n\
         location /pages2/ {{ error_page 404 /page404; if ($arg_a) {{ return 404; }} }}\n\
         location /page404 {{ return 200 \"page 404\\n\"; }}\n\
         location /page200 {{ return 200 \"page 200\\n\"; }}\n\
         location /try/ {{ try_files /there.txt =404; if ($arg_a) {{ set $z 1; }} }}\n\
         location /types/ {{ if ($arg_a) {{ expires epoch; }} return 200 typed; }}\n\
         location /gif/ {{ if ($arg_a) {{ return 404; }} empty_gif; }}\n\
         location /gif2/ {{ empty_gif; if ($arg_a) {{ set $g 1; }} }}\n\
         location /alias/ {{ alias %%DIR%%/other/; if ($arg_a) {{ add_header X-A a; }} }}\n\
         }}"
    ));
    let mut list = Vec::new();
    for place in [
        "plain",
        "over",
        "inherit",
        "both",
        "bothinner",
        "vars",
        "re",
        "brk",
        "brk-args",
        "setargs",
        "seturi",
        "headers",
        "headers2",
        "root",
        "pages",
        "pages2",
        "try",
        "types",
        "gif",
        "gif2",
        "alias",
    ] {
        for args in ["", "?a=1", "?b=1", "?a=1&b=1", "?p=1", "?h=1", "?h=1&a=2"] {
            list.push(format!("GET /{place}/x{args}"));
        }
        list.push(format!("GET /{place}/a%20b?a=1"));
        list.push(format!("POST /{place}/x?p=1&a=1\nContent-Length: 3\n\nabc"));
    }
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    compare(
        "if in a location",
        &conf,
        &[
            ("there.txt", b"there\n"),
            ("root/x", b"root x\n"),
            ("other/root/x", b"other x\n"),
            ("other/x", b"o\n"),
        ],
        &list,
    );
}

#[test]
fn maps_say_what_nginx_says() {
    let conf = http(
        "map $arg_a $plain { default none; x X; UPPER low; \"\" empty; \\default escaped; \"two words\" tw; ~^re(.*)$ \"re:$1\"; ~*^CI i; \\~t tilde; }\n\
         map $arg_a $nodefault { x 1; }\n\
         map $host $byhost { hostnames; default other; www.example.com exact; *.example.com head; .dotted.com dotted; \
           *.deep.example.com deep; mail.* tail; mail.one.* longtail; ~^re\\d regex; include more.map; }\n\
         map $arg_a:$arg_b $both { x:y xy; ~^(?<first>[^:]*):(?<second>.*)$ \"$second-$first-$2\"; }\n\
         map $arg_a $nested { x \"[$plain]\"; default $both; }\n\
         map $arg_a $cached { ~(.) $1; }\n\
         map $count $volatile { volatile; default \"<$count>\"; }\n\
         map $count $kept { default \"<$count>\"; }\n\
         map $cycle2 $cycle1 { default $cycle2; }\n\
         map $cycle1 $cycle2 { default $cycle1; }\n\
         map $http_x_own $http_x_made { default \"made of $http_x_own\"; }\n\
         split_clients $arg_a $split { 10% ten; 33.33% third; 0.5% half; * rest; }\n\
         split_clients \"${arg_a}AAA\" $split2 { 50% one; 50% two; }\n\
         split_clients $arg_a $split3 { 50% one; }\n\
         server { listen 127.0.0.1:%%8080%%;\n\
         location / { return 200 \"$plain|$nodefault|$byhost|$both|$nested|1:$1|first:$first\\n\"; }\n\
         location /volatile/ { set $count 1; set $r \"$volatile$kept\"; set $count 2; return 200 \"$r$volatile$kept\\n\"; }\n\
         location /cycle/ { return 200 \"cycle:$cycle1\\n\"; }\n\
         location /own/ { return 200 \"$http_x_made\\n\"; }\n\
         location /split/ { return 200 \"$split $split2 $split3\\n\"; }\n\
         location /if/ { if ($plain = X) { return 200 \"is x\\n\"; } if ($byhost ~ ^h(.*)) { return 200 \"$1\\n\"; } return 204; }\n\
         location /overset/ { set $plain over; return 200 \"$plain\\n\"; }\n\
         location ~ ^/cap/(.*)$ { set $before $1; set $asked $cached; return 200 \"$before $asked $1\\n\"; }\n\
         }",
    );
    let mut list: Vec<String> =
        ["x", "X", "upper", "", "default", "~t", "re-more", "ciX", "zzz", "x&b=y", "one&b=two", "0"]
            .iter()
            .flat_map(|a| ["", "split/", "if/", "cap/q"].map(|place| format!("GET /{place}?a={a}")))
            .collect();
    for host in [
        "www.example.com",
        "WWW.EXAMPLE.COM",
        "a.example.com",
        "a.b.example.com",
        "example.com",
        "dotted.com",
        "x.dotted.com",
        "x.deep.example.com",
        "deep.example.com",
        "mail.org",
        "mail.one.org",
        "mail",
        "re7",
        "included.com",
        "www.example.com.",
    ] {
        list.push(format!("GET /\nHost: {host}"));
        list.push(format!("GET /if/\nHost: {host}"));
    }
    list.extend(["/volatile/", "/cycle/", "/overset/?a=x"].map(|path| format!("GET {path}")));
    list.push("GET /own/\nX-Own: o\nX-Made: sent".to_owned());
    list.extend((0..40).map(|i| format!("GET /split/?a=client{i}")));
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    compare("maps", &conf, &[("more.map", b"included.com included;\n")], &list);
}

#[test]
fn methods_that_are_not_excepted_have_settings_of_their_own() {
    let origin = echo();
    let a = origin.addr();
    let conf = http(&format!(
        "proxy_http_version 1.1; proxy_set_header Connection '';\n\
         server {{ listen 127.0.0.1:%%8080%%; root %%DIR%%;\n\
         location /get/ {{ limit_except GET {{ deny all; }} return 200 \"got $uri\\n\"; }}\n\
         location /post/ {{ limit_except post Put {{ deny all; }} proxy_pass http://{a}/up/; }}\n\
         location /proxied/ {{ limit_except GET {{ proxy_pass http://{a}; }} add_header X-Get g; }}\n\
         location /inherits/ {{ proxy_pass http://{a}/in/; limit_except POST {{ allow all; }} }}\n\
         location /gif/ {{ empty_gif; limit_except POST {{ allow all; }} }}\n\
         }}"
    ));
    let places = ["get", "post", "proxied", "inherits", "gif"];
    let mut list = Vec::new();
    for place in places {
        list.extend(["GET", "HEAD", "DELETE", "PURGE", "get"].map(|m| format!("{m} /{place}/x")));
        list.extend(["POST", "PUT"].map(|m| format!("{m} /{place}/x\nContent-Length: 2\n\nhi")));
    }
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    compare("limit_except", &conf, &[("proxied/x", b"file\n"), ("gif/x", b"gif file\n")], &list);
}
