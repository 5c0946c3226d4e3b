//! `tenrec migrate` from outside: what it writes is run, and sessions stay where they were.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use std::io::Write as _;

use crate::support::client::{Client, get, get_with};
use crate::support::daemon::{Daemon, Program};
use crate::support::haproxy::Haproxy;
use crate::support::origin::Origin;
use crate::support::skipped;

/// Runs `tenrec migrate` on a text.
pub(crate) fn migrate(from: &str, text: &str, more: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("input"), text).unwrap();
    let mut command = Command::new(Program::Tenrec.path());
    command.current_dir(dir.path()).args(["migrate", "--from", from, "input"]).args(more);
    command.output().unwrap()
}

/// The output on a port of the kernel's, started.
pub(crate) fn run(from: &str, text: &str) -> Daemon {
    let out = migrate(from, text, &[]);
    let conf = String::from_utf8(out.stdout).unwrap();
    assert!(conf.contains("listen 8080"), "{conf}{}", String::from_utf8_lossy(&out.stderr));
    let conf = conf.replace("listen 8080", "listen 127.0.0.1:%%8080%%");
    Daemon::start(&format!("pid tenrec.pid; error_log error.log info;\n{conf}"))
}

#[test]
fn the_fgw_guide_runs_and_its_cookies_are_still_good() {
    let origins = [Origin::says("Hello, world"), Origin::says("Hello again")];
    let text = include_str!("../fixtures/migrate/fgw/seed.in")
        .replace("127.0.0.1:8081", &origins[0].addr())
        .replace("127.0.0.1:8082", &origins[1].addr());
    let daemon = run("fgw", &text);
    let mut values = BTreeSet::new();
    for _ in 0..4 {
        let first = get(daemon.port(8080), "/");
        let set = first.header("Set-Cookie").unwrap();
        let parts: Vec<&str> = set.split("; ").collect();
        assert!(parts.contains(&"Path=/") && parts.contains(&"Max-Age=3600"), "{set}");
        let pin = first.cookie("_srv_id").unwrap();
        assert!(pin["_srv_id=".len()..].bytes().all(|b| b.is_ascii_digit()), "{pin}");
        for _ in 0..10 {
            let again = get_with(daemon.port(8080), "/", &format!("Cookie: {pin}\r\n"));
            assert_eq!((again.text(), again.header("Set-Cookie")), (first.text(), None));
        }
        values.insert(pin);
    }
    assert_eq!(values.len(), 2, "without the cookie it goes round");
}

#[test]
fn the_exit_code_says_whether_something_was_dropped() {
    let whole = include_str!("../fixtures/migrate/fgw/seed.in");
    let out = migrate("fgw", whole, &["--report", "json", "--out", "x"]);
    assert_eq!(out.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["dropped"], 0);
    assert_eq!(report["sessions"][0]["fate"], "kept by alias");
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.iter().all(|r| r["file"] == "input" && r["line"].as_u64().unwrap() > 0));
    let out = migrate("fgw", &whole.replace("\"Chains\"", "\"Chain\""), &[]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("dropped: Chain.HTTPRoute[0] = \"common/consumer.js\""), "{said}");
    let out = migrate("fgw", &whole[..200], &[]);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.starts_with("tenrec: migrate: input:14:") && out.stdout.is_empty(), "{said}");
}

#[test]
fn what_is_missing_or_unknown_is_said() {
    for (args, text) in [
        (&["--from"][..], "option \"--from\" requires SYSTEM"),
        (&["--from", "varnish", "x"], "unknown system \"varnish\"; known: "),
        (&["--from=fgw"], "no input"),
        (&["x"], "--from=SYSTEM says"),
        (&["--from=fgw", "x", "--report=xml"], "unknown report \"xml\""),
        (&["--from=fgw", "/nowhere"], "/nowhere: 2: No such file"),
    ] {
        let out = Command::new(Program::Tenrec.path()).arg("migrate").args(args).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && said.contains(text), "{args:?}: {said}");
    }
}

/// A frontend for services that documents show without one.
pub(crate) const FRONT: &str =
    "frontend front\n    mode http\n    timeout client 5s\n    bind 127.0.0.1:%%PORT%%\n    default_backend ";

/// The service of a fixture with the origins' addresses, behind [`FRONT`].
pub(crate) fn service(text: &str, name: &str, addresses: &[(&str, &Origin)]) -> String {
    let mut text = text.to_owned();
    if !text.contains("backend") {
        text = format!("backend {name}\n{text}");
    }
    if !text.contains("mode http") {
        text.push_str("    mode http\n");
    }
    text.push_str("    timeout connect 5s\n    timeout server 5s\n");
    for (address, origin) in addresses {
        assert!(text.contains(address), "{address}");
        text = text.replace(address, &origin.addr());
    }
    // Nobody listens for checks' sake only: every origin is up.
    format!("{text}{FRONT}{name}\n")
}

/// The same service on tenrec, and on HAProxy where there is one that takes it.
pub(crate) fn beside(text: &str) -> (Option<Haproxy>, Daemon) {
    (Haproxy::start(text), run("haproxy", &text.replace("127.0.0.1:%%PORT%%", ":8080")))
}

/// What a visitor sees: the backend, the cookie, and the backends of the visits after it.
pub(crate) fn visit(port: u16, cookie: &str) -> (String, Option<String>, Vec<String>) {
    let first = get(port, "/");
    let pin = first.cookie(cookie);
    let fields = pin.as_ref().map_or(String::new(), |p| format!("Cookie: {p}\r\n"));
    let rest = (0..10).map(|_| get_with(port, "/", &fields).text()).collect();
    (first.text(), pin, rest)
}

/// An origin that starts a session of its own.
pub(crate) fn sessions(body: &str, cookie: &'static str) -> Origin {
    let body = body.to_owned();
    Origin::new(move |request, out| {
        let set = if request.header("Cookie").is_some_and(|c| c.contains(cookie)) {
            String::new()
        } else {
            format!("Set-Cookie: {cookie}=of-{body}; path=/\r\n")
        };
        let text = format!("HTTP/1.1 200 OK\r\n{set}Content-Length: {}\r\n\r\n{body}", body.len());
        out.write_all(text.as_bytes()).is_ok()
    })
}

#[test]
fn the_inserted_cookie_of_the_document_is_the_one_that_haproxy_inserts() {
    let origin = Origin::says("one");
    let text = service(
        include_str!("../fixtures/migrate/haproxy/seed-cookie.in"),
        "main",
        &[("10.3.11.14:31366", &origin)],
    );
    let (theirs, ours) = beside(&text);
    let value = "DM_LB_ID=::gi3tu3thnfxhqllumvzximjrfuyti000-10.3.11.14-31366";
    let (body, pin, rest) = visit(ours.port(8080), "DM_LB_ID");
    assert_eq!((body.as_str(), pin.as_deref()), ("one", Some(value)));
    assert!(rest.iter().all(|b| b == "one"));
    assert_eq!(origin.last().header("Cookie"), None, "the backend does not see it");
    let Some(theirs) = theirs else { return skipped("the inserted cookie", "no HAProxy") };
    assert_eq!(visit(theirs.port(), "DM_LB_ID"), (body, pin, rest));
}

#[test]
fn a_prefixed_session_stays_where_it_is_when_haproxy_gives_way_to_tenrec() {
    let origins = ["one", "two"].map(|name| sessions(name, "PHPSESSID"));
    let text = include_str!("../fixtures/migrate/haproxy/prefix.in");
    let text = service(text, "php", &[("10.0.0.1:80", &origins[0]), ("10.0.0.2:80", &origins[1])]);
    let (theirs, ours) = beside(&text);
    let mut ports = vec![ours.port(8080)];
    match &theirs {
        Some(theirs) => ports.push(theirs.port()),
        None => skipped("prefixed sessions", "no HAProxy"),
    }
    for port in &ports {
        let mut seen = BTreeSet::new();
        for _ in 0..4 {
            let (body, pin, rest) = visit(*port, "PHPSESSID");
            let letter = if body == "one" { "A" } else { "B" };
            assert_eq!(pin, Some(format!("PHPSESSID={letter}~of-{body}")));
            assert!(rest.iter().all(|b| *b == body), "{body}: {rest:?}");
            // The other of the two leads it to the same server.
            for other in &ports {
                let fields = format!("Cookie: {}\r\n", pin.as_ref().unwrap());
                assert_eq!(get_with(*other, "/", &fields).text(), body);
            }
            seen.insert(body);
        }
        assert_eq!(seen.len(), 2);
    }
    assert_eq!(origins[0].last().header("Cookie"), Some("PHPSESSID=of-one"), "freed of its prefix");
}

#[test]
fn sessions_of_a_table_stay_on_both() {
    let origins = ["one", "two"].map(|name| sessions(name, "PHPSESSID"));
    let text = include_str!("../fixtures/migrate/haproxy/seed-stick-table.in");
    let text =
        service(text, "be_default", &[("192.168.2.2:8080", &origins[0]), ("192.168.2.2:8081", &origins[1])]);
    // The other peers of the document are not here, and the fetch has another name by now.
    let (_, alone) = text.split_once("\n\n\n").unwrap();
    let alone = alone.replace(" peers frontends", "").replace("set-cookie(", "res.cook(");
    let (theirs, ours) =
        (Haproxy::start(&alone), run("haproxy", &text.replace("127.0.0.1:%%PORT%%", ":8080")));
    let mut ports = vec![ours.port(8080)];
    match &theirs {
        Some(theirs) => ports.push(theirs.port()),
        None => skipped("sessions of a table", "no HAProxy"),
    }
    for port in ports {
        for _ in 0..4 {
            let (body, pin, rest) = visit(port, "PHPSESSID");
            assert!(pin.is_some());
            assert!(rest.iter().all(|b| *b == body), "{body}: {rest:?}");
        }
    }
}

/// HAProxy took `appsession` out: there is nothing left to compare with.
#[test]
fn sessions_of_appsession_stay() {
    for (text, cookie) in [
        (include_str!("../fixtures/migrate/haproxy/seed-appsession.in"), "JSESSIONID"),
        (include_str!("../fixtures/migrate/haproxy/seed-appsession-2.in"), "_session_id"),
    ] {
        let origins = ["one", "two"].map(|name| sessions(name, cookie));
        let text =
            service(text, "main", &[("192.168.2.2:8080", &origins[0]), ("192.168.2.2:8081", &origins[1])]);
        let daemon = run("haproxy", &text.replace("127.0.0.1:%%PORT%%", ":8080"));
        let mut seen = BTreeSet::new();
        for _ in 0..4 {
            let (body, pin, rest) = visit(daemon.port(8080), cookie);
            assert_eq!(pin, Some(format!("{cookie}=of-{body}")), "the cookie is the application's own");
            assert!(rest.iter().all(|b| *b == body), "{body}: {rest:?}");
            seen.insert(body);
        }
        assert_eq!(seen.len(), 2);
    }
}

#[test]
fn one_address_stays_on_its_server_on_both() {
    let origins = [Origin::says("one"), Origin::says("two")];
    let text = include_str!("../fixtures/migrate/haproxy/seed-source.in")
        .replace(" check inter 1500 rise 3 fall 3", "");
    let text = service(&text, "www", &[("192.168.0.150:80", &origins[0]), ("192.168.0.151:80", &origins[1])]);
    let (theirs, ours) = beside(&text);
    for port in theirs.iter().map(Haproxy::port).chain([ours.port(8080)]) {
        let first = get(port, "/").text();
        assert!((0..20).all(|_| get(port, "/").text() == first));
    }
}

#[test]
fn hosts_and_paths_lead_where_haproxy_leads_them() {
    let origins = ["api", "files", "blog", "web"].map(Origin::says);
    let text = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout server 5s\n timeout client 5s\n\
         frontend front\n bind 127.0.0.1:%%PORT%%\n acl api path_beg /api\n acl blog hdr(host) -i blog.test\n\
         acl shops hdr_end(host) -i .shop.test\n redirect location /elsewhere if {{ path /moved }}\n\
         http-request deny if {{ path_end .secret }}\n use_backend files if {{ path_end -i .png }} shops\n\
         use_backend api if api !{{ ssl_fc }}\n use_backend blog if blog\n default_backend web\n\
         backend api\n server s {}\nbackend files\n server s {}\nbackend blog\n server s {}\nbackend web\n server s {}\n",
        origins[0].addr(),
        origins[1].addr(),
        origins[2].addr(),
        origins[3].addr()
    );
    let (theirs, ours) = beside(&text);
    let Some(theirs) = theirs else { return skipped("hosts and paths", "no HAProxy") };
    for host in ["blog.test", "BLOG.test", "a.shop.test", "shop.test", "other.test"] {
        for path in [
            "/",
            "/api",
            "/apix/y",
            "/x/api",
            "/A.PNG",
            "/api/x.png",
            "/moved",
            "/moved/x",
            "/x.secret",
            "/api.secret",
        ] {
            let ask = |port: u16| {
                let mut client = Client::connect(port);
                let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                let response = client.send(head).response();
                let body = if response.status == 200 { response.text() } else { String::new() };
                let place = response.header("Location").map(|l| l.replace(&format!("http://{host}"), ""));
                (
                    response.status,
                    body,
                    place.map(|l| l.rsplit_once('/').map_or(l.clone(), |(_, e)| e.to_owned())),
                )
            };
            assert_eq!(ask(ours.port(8080)), ask(theirs.port()), "{host} {path}");
        }
    }
}
