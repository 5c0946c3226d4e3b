//! Sessions that another product began, after the configuration was converted: its cookies still lead to the servers
//! that they led to.

use std::collections::BTreeSet;

use md5::{Digest as _, Md5};

use crate::migrate::{beside, run, service, sessions, visit};
use crate::support::client::{Client, get, get_with};
use crate::support::daemon::Daemon;
use crate::support::origin::Origin;
use crate::support::skipped;

fn two() -> [Origin; 2] {
    ["one", "two"].map(Origin::says)
}

/// A backend of HAProxy's with two servers.
fn backend(lines: &str, origins: &[Origin; 2]) -> String {
    let text = format!("{lines}\n    server a 10.0.0.1:80 cookie A\n    server b 10.0.0.2:80 cookie B\n");
    service(&text, "shop", &[("10.0.0.1:80", &origins[0]), ("10.0.0.2:80", &origins[1])])
}

/// What HAProxy gave its visitors: who answered, and the cookie.
fn given(port: u16, cookie: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for _ in 0..4 {
        let first = get(port, "/");
        out.push((first.text(), first.cookie(cookie).unwrap()));
    }
    out
}

#[test]
fn cookies_that_haproxy_inserted_are_honoured_whatever_it_adds_to_them() {
    for lines in [
        "    cookie SRV insert",
        "    cookie SRV insert indirect nocache",
        "    cookie SRV insert indirect httponly secure attr SameSite=Lax",
        "    cookie SRV insert maxidle 30m",
        "    cookie SRV insert maxidle 30m maxlife 8h indirect",
        "    cookie SRV insert dynamic\n    dynamic-cookie-key secret",
    ] {
        let origins = two();
        let text = if lines.contains("dynamic") {
            backend(lines, &origins).replace(" cookie A", "").replace(" cookie B", "")
        } else {
            backend(lines, &origins)
        };
        let (theirs, ours) = beside(&text);
        let Some(theirs) = theirs else { return skipped("cookies of HAProxy's", "no HAProxy") };
        let given = given(theirs.port(), "SRV");
        assert_eq!(given.iter().map(|(body, _)| body).collect::<BTreeSet<_>>().len(), 2);
        for (body, pin) in given {
            for _ in 0..5 {
                let answer = get_with(ours.port(8080), "/", &format!("Cookie: {pin}\r\n"));
                assert_eq!(answer.text(), body, "{lines}: {pin}");
            }
        }
    }
}

#[test]
fn cookies_of_ours_are_honoured_by_haproxy_when_a_switch_is_undone() {
    for lines in ["    cookie SRV insert", "    cookie SRV insert indirect nocache postonly preserve"] {
        let origins = two();
        let text = backend(lines, &origins);
        let (theirs, ours) = beside(&text);
        let Some(theirs) = theirs else { return skipped("cookies for HAProxy", "no HAProxy") };
        for _ in 0..4 {
            let mut client = Client::connect(ours.port(8080));
            let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let first = client.send(head).response();
            let pin = first.cookie("SRV").unwrap();
            let answer = get_with(theirs.port(), "/", &format!("Cookie: {pin}\r\n"));
            assert_eq!(answer.text(), first.text(), "{lines}");
        }
    }
}

#[test]
fn rewritten_cookies_of_the_backend_are_those_of_haproxy() {
    let origins = ["one", "two"].map(|name| sessions(name, "SRV"));
    let text = backend("    cookie SRV rewrite", &origins);
    let (theirs, ours) = beside(&text);
    let Some(theirs) = theirs else { return skipped("rewritten cookies", "no HAProxy") };
    for port in [theirs.port(), ours.port(8080)] {
        for _ in 0..4 {
            let (body, pin, rest) = visit(port, "SRV");
            assert_eq!(pin.as_deref(), Some(if body == "one" { "SRV=A" } else { "SRV=B" }));
            assert!(rest.iter().all(|b| *b == body), "{rest:?}");
        }
    }
}

#[test]
fn nocache_and_postonly_are_as_in_haproxy() {
    let origins = two();
    let text = backend("    cookie SRV insert nocache postonly", &origins);
    let (theirs, ours) = beside(&text);
    let Some(theirs) = theirs else { return skipped("postonly", "no HAProxy") };
    for method in ["GET", "POST"] {
        let ask = |port: u16| {
            let mut client = Client::connect(port);
            let head =
                format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            client.send(head).response().cookie("SRV").is_some()
        };
        assert_eq!(ask(ours.port(8080)), ask(theirs.port()), "{method}");
    }
}

#[test]
fn rules_on_methods_headers_and_addresses_lead_where_haproxy_leads_them() {
    let origins = ["api", "form", "blog", "web"].map(Origin::says);
    let text = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout server 5s\n timeout client 5s\n\
         frontend front\n bind 127.0.0.1:%%PORT%%\n acl api path_beg /api\n acl write method POST PUT\n\
         acl beta hdr(X-Beta) -i yes\n acl local src 127.0.0.0/8\n acl old path_reg ^/x\n\
         http-request deny if write !api {{ hdr(X-Token) -m found }}\n\
         http-request redirect location /moved code 303 if {{ path /gone }} beta\n\
         http-request set-header X-From front if beta\n\
         use_backend form if write !api or beta {{ path_end .form }}\n\
         use_backend api if api local\n use_backend blog unless !{{ query -m sub blog }}\n default_backend web\n\
         backend api\n server s {}\nbackend form\n server s {}\nbackend blog\n server s {}\nbackend web\n server s {}\n",
        origins[0].addr(),
        origins[1].addr(),
        origins[2].addr(),
        origins[3].addr()
    );
    let (theirs, ours) = beside(&text);
    let Some(theirs) = theirs else { return skipped("rules", "no HAProxy") };
    for method in ["GET", "POST", "DELETE"] {
        for path in ["/", "/api", "/api/x?blog", "/a.form", "/?blog=1", "/gone", "/x%2fy.form"] {
            for fields in ["", "X-Beta: YES\r\n", "X-Token: 1\r\n", "X-Beta: no\r\n"] {
                let ask = |port: u16| {
                    let mut client = Client::connect(port);
                    let head = format!(
                        "{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n{fields}\r\n"
                    );
                    let response = client.send(head).response();
                    let body = if response.status == 200 { response.text() } else { String::new() };
                    (response.status, body)
                };
                assert_eq!(ask(ours.port(8080)), ask(theirs.port()), "{method} {path} {fields}");
            }
        }
    }
    get_with(ours.port(8080), "/a.form", "X-Beta: yes\r\n");
    assert_eq!(origins[1].last().header("X-From"), Some("front"));
}

/// The cookie of an origin in F5's form.
fn f5(origin: &Origin) -> String {
    let address: std::net::SocketAddrV4 = origin.addr().parse().unwrap();
    format!("{}.{}.0000", u32::from_le_bytes(address.ip().octets()), address.port().swap_bytes())
}

#[test]
fn cookies_of_a_big_ip_are_honoured() {
    let origins = two();
    let text = include_str!("../fixtures/migrate/f5/cookie.in")
        .replace("session user-disabled", "ratio 1")
        .replace("192.0.2.10:80", "192.0.2.10:8080")
        .replace("10.20.0.11:80", &origins[0].addr())
        .replace("10.20.0.12:80", &origins[1].addr())
        .replace("address 10.20.0.11", "address 127.0.0.1")
        .replace("address 10.20.0.12", "address 127.0.0.1");
    let daemon = run("f5", &text);
    for (origin, body) in origins.iter().zip(["one", "two"]) {
        let pin = format!("BIGipServerweb={}", f5(origin));
        for _ in 0..5 {
            assert_eq!(get_with(daemon.port(8080), "/", &format!("Cookie: {pin}\r\n")).text(), body);
        }
    }
    let first = get(daemon.port(8080), "/");
    let pin = first.cookie("BIGipServerweb").unwrap();
    assert!(pin.ends_with(".0000"), "{pin}");
}

/// The digest of sticky-module-ng up to 1.2.6 for an origin.
fn sockaddr_md5(origin: &Origin) -> String {
    let address: std::net::SocketAddrV4 = origin.addr().parse().unwrap();
    let bytes = [&[2, 0][..], &address.port().to_be_bytes(), &address.ip().octets(), &[0; 8]].concat();
    Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn cookies_of_sticky_module_ng_are_honoured() {
    let origins = two();
    let text = include_str!("../fixtures/migrate/sticky-ng/module-example.in")
        .replace("10.0.0.1:8080", &origins[0].addr())
        .replace("10.0.0.2:8080", &origins[1].addr());
    let daemon = run("sticky-ng", &text);
    for (origin, body) in origins.iter().zip(["one", "two"]) {
        let pin = format!("route={}", sockaddr_md5(origin));
        let answer = get_with(daemon.port(8080), "/", &format!("Cookie: {pin}\r\n"));
        assert_eq!((answer.text().as_str(), answer.header("Set-Cookie")), (body, None));
    }
    let set = get(daemon.port(8080), "/").header("Set-Cookie").unwrap();
    assert!(set.starts_with("route=") && set.contains("Path=/"), "{set}");
}

/// The examples of the clouds and of ingress-nginx run, and keep sessions.
#[test]
fn sessions_of_clouds_and_of_ingresses_stay() {
    let aliyun = include_str!("../fixtures/migrate/aliyun/insert.in")
        .replace("\"ListenerPort\":80", "\"ListenerPort\":8080")
        .replace("\"Weight\":0", "\"Weight\":100");
    let tencent =
        include_str!("../fixtures/migrate/tencent/rule.in").replace("\"Port\":80,", "\"Port\":8080,");
    let ingress = include_str!("../fixtures/migrate/ingress-nginx/affinity.in").to_owned();
    let parts = |origin: &Origin| origin.addr().rsplit_once(':').map(|(_, p)| p.to_owned()).unwrap();
    for (from, text, cookie, path, servers) in [
        (
            "aliyun",
            aliyun,
            "SERVERID",
            "/",
            ["\"ServerIp\":\"10.0.0.1\",\"Port\":8080", "\"ServerIp\":\"10.0.0.2\",\"Port\":8080"],
        ),
        (
            "tencent",
            tencent,
            "route",
            "/api",
            ["\"EniIp\":\"10.1.0.4\",\"Port\":8080", "\"EniIp\":\"10.1.0.5\",\"Port\":8080"],
        ),
        ("ingress-nginx", ingress, "SC", "/", ["", ""]),
    ] {
        let origins = two();
        let daemon = if from == "ingress-nginx" {
            // One port for all pods: a second address of the loopback has it too.
            let text = text.replace("      - ip: 127.0.0.2\n", "").replace("8081", &parts(&origins[0]));
            let out = crate::migrate::migrate(from, &text, &[]);
            let conf =
                String::from_utf8(out.stdout).unwrap().replace("listen 80", "listen 127.0.0.1:%%8080%%");
            Daemon::start(&format!("pid tenrec.pid; error_log error.log info;\n{conf}"))
        } else {
            let key = if from == "aliyun" { "ServerIp" } else { "EniIp" };
            let place = |i: usize| format!("\"{key}\":\"127.0.0.1\",\"Port\":{}", parts(&origins[i]));
            run(from, &text.replace(servers[0], &place(0)).replace(servers[1], &place(1)))
        };
        let host = match from {
            "tencent" => "m.example.com",
            _ => "shop.example.com",
        };
        let ask = |fields: &str| {
            let mut client = Client::connect(daemon.port(8080));
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n");
            client.send(head).response()
        };
        let first = ask("");
        let pin = first.cookie(cookie).unwrap_or_else(|| panic!("{from}: {:?}", first.header("Set-Cookie")));
        for _ in 0..6 {
            assert_eq!(ask(&format!("Cookie: {pin}\r\n")).text(), first.text(), "{from}");
        }
    }
}

#[test]
fn a_weighted_route_of_fgw_is_split_among_its_services() {
    let origins = two();
    let text = format!(
        r#"{{"Listeners":[{{"Protocol":"HTTP","Port":8080}}],
        "RouteRules":{{"8080":{{"*":{{"RouteType":"HTTP","Matches":[{{"Path":{{"Type":"Prefix","Path":"/"}},
        "BackendService":{{"a":{{"Weight":50}},"b":{{"Weight":50}}}}}}]}}}}}},
        "Services":{{"a":{{"Endpoints":{{"{}":{{"Weight":1}}}}}},"b":{{"Endpoints":{{"{}":{{"Weight":1}}}}}}}}}}"#,
        origins[0].addr(),
        origins[1].addr()
    );
    let daemon = run("fgw", &text);
    let seen: BTreeSet<String> = (0..64).map(|_| get(daemon.port(8080), "/").text()).collect();
    assert_eq!(seen.len(), 2, "64 requests at even odds");
}
