//! `server … resolve` and `service=`: peers that come and go while requests are served.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::mpsc;

use crate::resolver::{conf, said};
use crate::support::client::{Client, get, get_with};
use crate::support::daemon::{Daemon, Program, nginx, nginx_is_current, once};
use crate::support::dns::{A, AAAA, Answer, NameServer, SRV};
use crate::support::origin::Origin;
use crate::support::{eventually, skipped};

const APP: &str = "app.test";

/// An upstream of one name, with more lines.
fn upstream(dns: &NameServer, port: u16, lines: &str) -> String {
    conf(&format!(
        "resolver {} valid=1s ipv6=off; resolver_timeout 1s;\n\
         add_header X-Upstream $upstream_addr always;\n\
         upstream u {{ zone z 1m; server {APP}:{port} resolve; {lines} }}\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_connect_timeout 2s; proxy_pass http://u; }} }}",
        dns.addr()
    ))
}

fn names(addrs: &[&str]) -> Vec<(u16, &'static str, Answer)> {
    if addrs.is_empty() { Vec::new() } else { vec![(A, APP, Answer::a(addrs))] }
}

/// Who answers `n` requests in a row.
fn served(daemon: &Daemon, n: usize) -> BTreeSet<String> {
    (0..n).map(|_| get(daemon.port(8080), "/").text()).collect()
}

/// Waits until these and no others answer.
#[track_caller]
fn until_served(daemon: &Daemon, by: &[&str]) {
    let by: BTreeSet<String> = by.iter().map(|s| (*s).to_owned()).collect();
    eventually(&format!("{by:?} answer"), || (served(daemon, 12) == by).then_some(()));
}

#[test]
fn peers_follow_their_name_with_every_balancer() {
    let family = Origin::family(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let port = family[0].port();
    let balancers =
        ["", "least_conn;", "random;", "random two;", "hash $request_id;", "hash $request_id consistent;"];
    let dns: Vec<NameServer> = balancers.iter().map(|_| NameServer::knows(&names(&["127.0.0.1"]))).collect();
    let daemons: Vec<Daemon> = balancers
        .iter()
        .zip(&dns)
        .map(|(b, dns)| {
            // The threads must agree.
            let conf = upstream(dns, port, b).replace("worker_processes 1", "worker_processes 2");
            Daemon::start(&conf)
        })
        .collect();
    for (daemon, dns) in daemons.iter().zip(&dns) {
        until_served(daemon, &["127.0.0.1"]);
        dns.now(&names(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]));
    }
    for (daemon, balancer) in daemons.iter().zip(balancers) {
        match balancer {
            // All addresses of a name share its points of the ring, and are gone round.
            "hash $request_id consistent;" => until_served(daemon, &["127.0.0.1", "127.0.0.2", "127.0.0.3"]),
            _ => eventually("all answer", || (served(daemon, 40).len() == 3).then_some(())),
        }
    }
    for (daemon, dns) in daemons.iter().zip(&dns) {
        dns.now(&names(&["127.0.0.2"]));
        until_served(daemon, &["127.0.0.2"]);
        dns.now(&names(&[]));
        eventually("nobody is left", || (get(daemon.port(8080), "/").status == 502).then_some(()));
        daemon.logged("error.log", "no live upstreams while connecting to upstream");
        dns.says(|_| Some(Answer::a(&["127.0.0.3"])));
        until_served(daemon, &["127.0.0.3"]);
        // A name server that fails takes nobody away.
        dns.says(|_| Some(Answer::code(2)));
        daemon.logged("error.log", "app.test could not be resolved (2: Server failure)");
        assert_eq!(served(daemon, 6), BTreeSet::from(["127.0.0.3".to_owned()]));
    }
}

#[test]
fn sessions_of_an_address_that_stays_never_move() {
    let family = Origin::family(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let port = family[0].port();
    for sticky in [
        "session_sticky;",
        "session_sticky hash=plain;",
        "sticky cookie route;",
        "sticky learn create=$http_x_new lookup=$cookie_route zone=l:1m header;",
        "least_conn; sticky cookie route;",
    ] {
        let dns = NameServer::knows(&names(&["127.0.0.1", "127.0.0.2"]));
        let daemon = Daemon::start(&upstream(&dns, port, sticky));
        until_served(&daemon, &["127.0.0.1", "127.0.0.2"]);
        let ask = |fields: &str| get_with(daemon.port(8080), "/", fields);
        let learn = sticky.contains("learn");
        let cookie = eventually("a session with 127.0.0.2", || {
            let r = ask(if learn { "X-New: s\r\n" } else { "" });
            let cookie = if learn { Some("route=s".to_owned()) } else { r.cookie("route") };
            (r.text() == "127.0.0.2").then(|| cookie.expect("a cookie"))
        });
        let mine = || ask(&format!("Cookie: {cookie}\r\n")).text();
        assert!((0..6).all(|_| mine() == "127.0.0.2"), "{sticky}");
        // A new one before it, an old one gone: its number changes.
        dns.now(&names(&["127.0.0.3", "127.0.0.2"]));
        eventually("127.0.0.3 answers", || {
            assert_eq!(mine(), "127.0.0.2", "{sticky}");
            (served(&daemon, 6).contains("127.0.0.3")).then_some(())
        });
        assert!((0..6).all(|_| mine() == "127.0.0.2"), "{sticky}");
        dns.now(&names(&["127.0.0.3"]));
        eventually("its own is gone", || (mine() == "127.0.0.3").then_some(()));
        if !learn {
            dns.now(&names(&["127.0.0.1", "127.0.0.2"]));
            eventually("its own is back", || (mine() == "127.0.0.2").then_some(()));
        }
    }
}

#[test]
fn a_request_outlives_its_peer_and_kept_connections_do_not() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let first = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = first.local_addr().unwrap().port();
    let slow = Origin::on(first, move |r, out| {
        if r.path() == "/slow" {
            let _ = wait.lock().unwrap().recv();
        }
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").is_ok()
    });
    let Ok(other) = TcpListener::bind(("127.0.0.3", port)) else {
        return skipped("dynamic", "the port is taken");
    };
    let _other = Origin::on(other, |_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother").is_ok()
    });
    let dns = NameServer::knows(&names(&["127.0.0.2"]));
    let daemon = Daemon::start(&upstream(&dns, port, "keepalive 8;"));
    until_served(&daemon, &["slow"]);
    assert_eq!(slow.connections(), 1, "it is kept");
    let mut client = Client::connect(daemon.port(8080));
    client.send("GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    eventually("the request is there", || slow.seen().iter().any(|r| r.path() == "/slow").then_some(()));
    dns.now(&names(&["127.0.0.3"]));
    until_served(&daemon, &["other"]);
    drop(go);
    assert_eq!(client.response().text(), "slow");
    // Back again: neither what was idle when it went nor what became idle later is used.
    let before = slow.connections();
    dns.now(&names(&["127.0.0.2"]));
    until_served(&daemon, &["slow"]);
    assert_eq!((slow.last().connection, slow.connections()), (before, before + 1));
}

#[test]
fn what_is_known_of_a_peer_stays_while_it_does() {
    let family = Origin::family(&["127.0.0.1", "127.0.0.2"]);
    let port = family[0].port();
    let dns = NameServer::knows(&names(&["127.0.0.9", "127.0.0.1"]));
    let conf = upstream(&dns, port, "").replace(" resolve;", " resolve max_fails=1 fail_timeout=1h;");
    let daemon = Daemon::start(&conf);
    let tried = || get(daemon.port(8080), "/").header("X-Upstream").unwrap_or_default();
    eventually("the dead one is tried", || tried().contains("127.0.0.9").then_some(()));
    dns.now(&names(&["127.0.0.9", "127.0.0.1", "127.0.0.2"]));
    eventually("the new one answers", || {
        let tried = tried();
        assert!(!tried.contains("127.0.0.9"), "it failed before: {tried}");
        tried.contains("127.0.0.2").then_some(())
    });
}

#[test]
fn a_reload_begins_with_what_is_known() {
    let family = Origin::family(&["127.0.0.1"]);
    let port = family[0].port();
    let dns = NameServer::knows(&names(&["127.0.0.1"]));
    let conf =
        upstream(&dns, port, "").replace("valid=1s", "valid=1h").replace("error.log;", "error.log notice;");
    let mut daemon = Daemon::start(&conf);
    until_served(&daemon, &["127.0.0.1"]);
    let asked = dns.asked(A, APP);
    dns.says(|_| None);
    daemon.rewrite(&conf.replace(" resolve;", " resolve weight=3;"));
    daemon.signal("HUP");
    eventually("the old worker goes", || {
        let r = get(daemon.port(8080), "/");
        assert_eq!((r.status, r.text()), (200, "127.0.0.1".to_owned()));
        daemon.file("error.log").contains("exited with code 0").then_some(())
    });
    assert_eq!(get(daemon.port(8080), "/").text(), "127.0.0.1");
    assert_eq!(dns.asked(A, APP), asked, "the answer holds for an hour");
}

/// What happens with services, told so that two programs can be compared.
fn services(program: Program) -> (Vec<String>, Vec<String>) {
    let family = Origin::family(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let port = family[0].port();
    let zone = |srv: &[(u16, u16, u16, &str)]| {
        vec![
            (SRV, "_http._tcp.app.test", Answer::srv(srv)),
            (SRV, "_x._y.app.test", Answer::srv(srv)),
            (A, "a.test", Answer::a(&["127.0.0.1"])),
            (A, "b.test", Answer::a(&["127.0.0.2"])),
            (A, "c.test", Answer::a(&["127.0.0.3"])),
        ]
    };
    let dns =
        NameServer::knows(&zone(&[(1, 3, port, "a.test"), (1, 1, port, "B.test"), (2, 1, port, "c.test")]));
    let conf = conf(&format!(
        "resolver {} valid=1s ipv6=off; resolver_timeout 1s;\n\
         add_header X-Upstream $upstream_addr always;\n\
         upstream u {{ zone z 1m; server app.test service=http resolve max_fails=0; }}\n\
         upstream w {{ zone z; server app.test service=_x._y resolve weight=2; }}\n\
         upstream n {{ zone z; server none.test service=http resolve; }}\n\
         server {{ listen 127.0.0.1:%%8080%%; proxy_next_upstream off;\n\
         location /u {{ proxy_pass http://u; }} location /w {{ proxy_pass http://w; }}\n\
         location /n {{ proxy_pass http://n; }} }}",
        dns.addr()
    ));
    let daemon = Daemon::run(program, &conf, &[]);
    let share = |path: &str| {
        let mut shares = std::collections::BTreeMap::new();
        (0..16).for_each(|_| *shares.entry(get(daemon.port(8080), path).text()).or_insert(0) += 1);
        shares.into_iter().map(|(ip, n)| format!("{path} {ip} {n}")).collect::<Vec<_>>().join(", ")
    };
    let ok = |path: &str| (get(daemon.port(8080), path).status == 200).then_some(());
    let mut told = Vec::new();
    eventually("the service is known", || ok("/u").and(ok("/w")));
    told.push(share("/u"));
    told.push(share("/w"));
    told.push(format!("/n {}", get(daemon.port(8080), "/n").status));
    dns.now(&zone(&[(2, 1, port, "c.test")]));
    eventually("the last one is first", || (share("/u") == "/u 127.0.0.3 16").then_some(()));
    dns.now(&zone(&[(1, 1, port, "none.test"), (1, 1, port, "a.test")]));
    eventually("another one", || (share("/u") == "/u 127.0.0.1 16").then_some(()));
    daemon.logged("error.log", "while resolving service");
    let early = |l: &String| l.contains("GET /u") || l.contains("GET /w");
    let kinds: BTreeSet<String> = said(&daemon).into_iter().filter(|l| !early(l)).collect();
    (told, kinds.into_iter().map(|l| l.replace(&port.to_string(), "PORT")).collect())
}

#[test]
fn services_have_priorities_and_weights_as_in_nginx() {
    let ours = services(Program::Tenrec);
    assert_eq!(ours.0, ["/u 127.0.0.1 12, /u 127.0.0.2 4", "/w 127.0.0.1 8, /w 127.0.0.2 8", "/n 502"]);
    match nginx().filter(nginx_is_current) {
        Some(nginx) => assert_eq!(services(nginx), ours, "nginx (left) and tenrec (right)"),
        None => skipped("services_have_priorities_and_weights_as_in_nginx", "no nginx 1.31"),
    }
}

#[test]
fn backups_of_a_service_are_asked_when_the_others_are_down() {
    let family = Origin::family(&["127.0.0.1", "127.0.0.2"]);
    let port = family[0].port();
    let dns = NameServer::knows(&[
        (SRV, "_http._tcp.app.test", Answer::srv(&[(5, 1, port, "dead.test"), (9, 1, port, "b.test")])),
        (A, "dead.test", Answer::a(&["127.0.0.9"])),
        (A, "b.test", Answer::a(&["127.0.0.2"])),
    ]);
    let conf = upstream(&dns, port, "").replace(&format!("{APP}:{port}"), &format!("{APP} service=http"));
    let daemon = Daemon::start(&conf);
    until_served(&daemon, &["127.0.0.2"]);
    let log = daemon.file("error.log");
    assert!(log.contains("connect() failed (111: Connection refused)"), "{log}");
}

#[test]
fn a_zone_bounds_its_peers() {
    let family = Origin::family(&["127.0.0.1"]);
    let addrs: Vec<String> = (1..=120).map(|n| format!("127.0.0.{n}")).collect();
    let addrs: Vec<&str> = addrs.iter().map(String::as_str).collect();
    let dns = NameServer::knows(&names(&addrs));
    let daemon = Daemon::start(&upstream(&dns, family[0].port(), "").replace("zone z 1m", "zone z 32k"));
    daemon.logged("error.log", "cannot add new server to upstream \"u\", memory exhausted");
    eventually("it serves", || (get(daemon.port(8080), "/").status == 200).then_some(()));
}

#[test]
fn a_test_of_the_configuration_asks_no_name_server() {
    let dns = NameServer::knows(&names(&["127.0.0.1"]));
    let out = once(&Program::Tenrec, &upstream(&dns, 80, ""), &["-t"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(dns.seen(), []);
}

#[test]
fn what_does_not_go_together_is_refused_in_nginxs_words() {
    let block = |lines: &str| format!("resolver 127.0.0.1; upstream u {{\n{lines}\n}}");
    let zone = |lines: &str| block(&format!("zone z 1m;\n{lines}"));
    let lines = [
        block("server a.test resolve;"),
        "upstream u {\nzone z 1m;\nserver a.test resolve;\n}".to_owned(),
        zone("server a.test service=http;"),
        zone("server a.test:80 service=http resolve;"),
        zone("server 127.0.0.1 service=http resolve;"),
        zone("server a.test service= resolve;"),
        zone("server a.test:0 resolve;"),
        zone("server a.test resolve backup;"),
        zone("server 127.0.0.1 resolve;"),
        zone("ip_hash; server a.test resolve backup;"),
        zone("server a.test resolve;\nresolver 127.0.0.1 valid=x;"),
        zone("server a.test resolve;\nresolver 127.0.0.1;\nresolver 127.0.0.1;"),
        zone("server a.test resolve;\nresolver ipv6=off;"),
        zone("server a.test resolve;\nresolver_timeout x;"),
        zone("server a.test resolve;\nresolver_timeout 1;\nresolver_timeout 1;"),
        "resolver 127.0.0.1 valid=;".to_owned(),
        "resolver 127.0.0.1 ipv4=off ipv6=off;".to_owned(),
        "resolver 127.0.0.1 ipv6=OFF;".to_owned(),
        "resolver 127.0.0.1:x;".to_owned(),
        "resolver no-such-host.invalid;".to_owned(),
        "resolver 127.0.0.1; resolver_timeout 1s 2s;".to_owned(),
        "resolver valid=1s;".to_owned(),
    ];
    let Some(nginx) = nginx().filter(nginx_is_current) else {
        return skipped("what_does_not_go_together_is_refused_in_nginxs_words", "no nginx 1.31");
    };
    for http in lines {
        let conf = format!("pid p.pid; error_log error.log;\nevents {{ }}\nhttp {{\n{http}\n}}\n");
        let first = |program: &Program| {
            let out = once(program, &conf, &["-t"]);
            let text = String::from_utf8_lossy(&out.stderr).into_owned();
            let line = text.lines().find(|l| l.contains("[emerg]")).unwrap_or("good").to_owned();
            // Each run has a prefix of its own.
            line.split(' ').map(|w| w.rsplit_once('/').map_or(w, |(_, f)| f).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(first(&nginx), first(&Program::Tenrec), "nginx (left) and tenrec (right) on {http}");
    }
}

#[test]
fn both_families_are_peers() {
    let family = Origin::family(&["127.0.0.1"]);
    let port = family[0].port();
    let Ok(six) = TcpListener::bind(("::1", port)) else {
        return skipped("both_families_are_peers", "no IPv6");
    };
    let _six =
        Origin::on(six, |_, out| out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsix").is_ok());
    let dns = NameServer::knows(&[(A, APP, Answer::a(&["127.0.0.1"])), (AAAA, APP, Answer::aaaa(&["::1"]))]);
    let daemon = Daemon::start(&upstream(&dns, port, "").replace(" ipv6=off", ""));
    until_served(&daemon, &["127.0.0.1", "six"]);
}

#[test]
fn peers_that_a_name_brings_are_checked() {
    let family = Origin::family(&["127.0.0.1", "127.0.0.2"]);
    let port = family[0].port();
    let dns = NameServer::knows(&names(&["127.0.0.1"]));
    let check = "check interval=100 rise=1 fall=1 timeout=500 default_down=false type=tcp;";
    let conf = upstream(&dns, port, check).replace(" resolve;", " resolve max_fails=0;");
    let mut daemon = Daemon::start(&conf);
    until_served(&daemon, &["127.0.0.1"]);
    let tried = || get(daemon.port(8080), "/").header("X-Upstream").unwrap_or_default();
    dns.now(&names(&["127.0.0.9", "127.0.0.1", "127.0.0.2"]));
    daemon.logged("error.log", &format!("disable check peer: 127.0.0.9:{port}"));
    eventually("the new one answers", || tried().contains("127.0.0.2").then_some(()));
    assert!((0..12).all(|_| !tried().contains("127.0.0.9")));
    // Without the check nobody says that it is down.
    daemon.rewrite(&conf.replace(check, ""));
    daemon.signal("HUP");
    eventually("it is tried again", || {
        get(daemon.port(8080), "/")
            .header("X-Upstream")
            .unwrap_or_default()
            .contains("127.0.0.9")
            .then_some(())
    });
}
