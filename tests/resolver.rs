//! Names that are looked up while running: `resolver`, and `proxy_pass` with variables.

use std::sync::mpsc;

use crate::support::client::{Client, Response, get_with};
use crate::support::daemon::{Daemon, Program, nginx, nginx_is_current};
use crate::support::dns::{A, AAAA, Answer, NameServer};
use crate::support::origin::Origin;
use crate::support::{eventually, skipped};

/// One worker, so that there is one cache.
pub fn conf(http: &str) -> String {
    format!("pid p.pid; error_log error.log;\nworker_processes 1;\nevents {{ }}\nhttp {{\n{http}\n}}\n")
}

fn ask(daemon: &Daemon, path: &str, host: &str) -> Response {
    get_with(daemon.port(8080), path, &format!("X-Host: {host}\r\n"))
}

/// A place for each way to look up a host that a client names, all of port `port`.
fn names(dns: &NameServer, port: u16) -> String {
    let (dns, silent) = (dns.addr(), "127.0.0.1:9");
    conf(&format!(
        "add_header X-Upstream $upstream_addr always;\n\
         server {{ listen 127.0.0.1:%%8080%%;\n\
         resolver {dns} ipv6=off; resolver_timeout 20s;\n\
         location / {{ proxy_pass http://$http_x_host:{port}; }}\n\
         location /six/ {{ resolver {dns} ipv4=off; proxy_pass http://$http_x_host:{port}/$http_x_host?a; }}\n\
         location /both/ {{ resolver {dns}; proxy_pass http://$http_x_host:{port}; }}\n\
         location /late/ {{ resolver {dns} ipv6=off; resolver_timeout 300ms; proxy_pass http://$http_x_host:{port}; }}\n\
         location /away/ {{ resolver {silent}; resolver_timeout 300ms; proxy_pass http://$http_x_host:{port}; }}\n\
         location /once/ {{ proxy_next_upstream_tries 1; proxy_pass http://$http_x_host:{port}; }}\n\
         location /odd/ {{ proxy_pass $http_x_host; }}\n\
         }}\n\
         server {{ listen 127.0.0.1:%%8081%%; location / {{ proxy_pass http://$http_x_host:{port}; }} }}\n"
    ))
}

fn script() -> Vec<(u16, &'static str, Answer)> {
    let truncated = |a: Answer| Answer { truncated: true, ..a };
    vec![
        (A, "a.test", Answer::a(&["127.0.0.1"]).ttl(60)),
        (A, "two.test", Answer::a(&["127.0.0.9", "127.0.0.1"]).ttl(60)),
        (A, "dead.test", Answer::a(&["127.0.0.9", "127.0.0.8"]).ttl(60)),
        // An order that is known is not kept, so each is asked for once.
        (A, "once.test", Answer::a(&["127.0.0.9", "127.0.0.1"]).ttl(60)),
        (A, "alias.test", Answer::cname("a.test").ttl(60)),
        (A, "loop.test", Answer::cname("loop.test").ttl(60)),
        (A, "broken.test", Answer::code(2)),
        (A, "refused.test", Answer::code(5)),
        (A, "empty.test", Answer::none()),
        (A, "cut.test", truncated(Answer::a(&["127.0.0.1"]))),
        (A, "liar.test", Answer { id: 1, ..Answer::a(&["127.0.0.1"]) }),
        (A, "short.test", Answer { raw: Some(vec![0; 7]), ..Answer::none() }),
        (AAAA, "six.test", Answer::aaaa(&["::1"]).ttl(60)),
        (AAAA, "a.test", Answer::none()),
    ]
}

/// What of an error log is about names, without what differs between two runs.
pub fn said(daemon: &Daemon) -> Vec<String> {
    let log = daemon.file("error.log");
    let about = ["resolve", "DNS", "prefix", "in upstream", "disabled", "no live"];
    let lines = log.lines().filter(|l| about.iter().any(|a| l.contains(a)));
    let mut said: Vec<String> = lines
        .map(|l| {
            let text = l.split_once("#").map_or(l, |(_, t)| t.split_once(": ").map_or(t, |(_, t)| t));
            let text = text.strip_prefix('*').and_then(|t| t.split_once(' ')).map_or(text, |(_, t)| t);
            // A random number of ours, or the server's.
            let words = text.split(' ').map(|w| w.trim_end_matches(','));
            let known = |w: &str| w.parse::<u16>().map_or(w.to_owned(), |_| "N".to_owned());
            words.map(known).collect::<Vec<_>>().join(" ")
        })
        .collect();
    for (name, port) in daemon.ports() {
        said.iter_mut().for_each(|l| *l = l.replace(&format!(":{port}"), &format!(":%{name}")));
    }
    said
}

#[test]
fn names_are_looked_up_as_nginx_looks_them_up() {
    let origin = Origin::new(|r, out| {
        use std::io::Write as _;
        let body = format!("{} {}", r.path(), r.header("Host").unwrap_or_default());
        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).is_ok()
    });
    let requests = [
        (8080, "/x", "a.test"),
        (8080, "/x", "A.TEST."),
        (8080, "/x", "alias.test"),
        (8080, "/x", "two.test"),
        (8080, "/x", "dead.test"),
        (8080, "/once/", "once.test"),
        (8080, "/x", "loop.test"),
        (8080, "/x", "broken.test"),
        (8080, "/x", "refused.test"),
        (8080, "/x", "empty.test"),
        (8080, "/x", "none.test"),
        (8080, "/x", "cut.test"),
        (8080, "/x", "a..test"),
        (8080, "/x", "127.0.0.1"),
        (8080, "/late/", "liar.test"),
        (8080, "/late/", "short.test"),
        (8080, "/both/", "a.test"),
        (8080, "/six/", "six.test"),
        (8080, "/six/", "a.test"),
        (8080, "/odd/", "http://"),
        (8080, "/odd/", "a.test"),
        (8080, "/odd/", "http://:1"),
        (8080, "/odd/", "http://a.test:0/"),
        (8081, "/x", "a.test"),
    ];
    let run = |program: Program| {
        let dns = NameServer::knows(&script());
        let daemon = Daemon::run(program, &names(&dns, origin.port()), &[]);
        let answer = |(port, path, host): &(u16, &'static str, &'static str)| {
            let r = get_with(daemon.port(*port), path, &format!("X-Host: {host}\r\n"));
            let body = if r.status == 200 { r.text() } else { String::new() };
            (*path, *host, r.status, r.header("X-Upstream"), body)
        };
        let answers: Vec<_> = requests.iter().map(answer).collect();
        let said: Vec<_> = said(&daemon).iter().map(|l| l.replace(&dns.addr(), "DNS")).collect();
        let queries: Vec<_> = dns.seen().into_iter().map(|q| (q.kind, q.name, q.tcp)).collect();
        (answers, said, queries)
    };
    let ours = run(Program::Tenrec);
    let of = |host: &str, path: &str| ours.0.iter().find(|a| a.0 == path && a.1 == host).unwrap();
    let at = |ip: &str| format!("{ip}:{}", origin.port());
    assert_eq!(of("a.test", "/x").2, 200);
    assert_eq!(of("two.test", "/x").3, Some(format!("{}, {}", at("127.0.0.9"), at("127.0.0.1"))));
    assert!(ours.1.iter().any(|l| l.starts_with("none.test could not be resolved (3: Host not found)")));
    assert!(ours.1.iter().any(|l| l.starts_with("no resolver defined to resolve a.test")), "{:#?}", ours.1);
    let Some(nginx) = nginx().filter(nginx_is_current) else {
        return skipped("names_are_looked_up_as_nginx_looks_them_up", "no nginx 1.31 to compare with");
    };
    let theirs = run(nginx);
    for (theirs, ours) in theirs.0.iter().zip(&ours.0) {
        assert_eq!(theirs, ours, "nginx (left) and tenrec (right)");
    }
    assert_eq!(theirs.1, ours.1, "the error logs of nginx (left) and tenrec (right)");
    assert_eq!(theirs.2, ours.2, "the queries of nginx (left) and tenrec (right)");
}

#[test]
fn a_name_server_that_is_not_there_costs_no_longer_than_resolver_timeout() {
    let dns = NameServer::knows(&script());
    let daemon = Daemon::start(&names(&dns, 1));
    let r = ask(&daemon, "/away/", "a.test");
    assert_eq!(r.status, 502);
    daemon.logged("error.log", "a.test could not be resolved (110: Operation timed out)");
}

#[test]
fn requests_for_one_name_share_a_look_up_and_its_answer() {
    let origin = Origin::says("ok");
    let (go, wait) = mpsc::channel::<()>();
    let dns = NameServer::new(move |_| {
        let _ = wait.recv();
        Some(Answer::a(&["127.0.0.1"]).ttl(60))
    });
    let daemon = Daemon::start(&names(&dns, origin.port()));
    let request = "GET / HTTP/1.1\r\nHost: h\r\nX-Host: a.test\r\nConnection: close\r\n\r\n";
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(daemon.port(8080))).collect();
    for client in &mut clients {
        client.send(request);
    }
    eventually("the name server is asked", || (dns.asked(A, "a.test") > 0).then_some(()));
    drop(go);
    for client in &mut clients {
        assert_eq!(client.response().text(), "ok");
    }
    assert_eq!(dns.asked(A, "a.test"), 1);
}

#[test]
fn an_answer_holds_for_its_ttl_and_a_client_that_leaves_is_logged() {
    let origin = Origin::says("ok");
    let dns = NameServer::knows(&[(A, "short.test", Answer::a(&["127.0.0.1"]).ttl(1))]);
    let daemon = Daemon::start(&names(&dns, origin.port()));
    assert_eq!(ask(&daemon, "/", "short.test").text(), "ok");
    assert_eq!(ask(&daemon, "/", "SHORT.test").text(), "ok");
    eventually("the name is asked for again", || {
        assert_eq!(ask(&daemon, "/", "short.test").text(), "ok");
        (dns.asked(A, "short.test") > 1).then_some(())
    });
    dns.says(|_| None);
    let mut client = Client::connect(daemon.port(8080));
    client.send("GET / HTTP/1.1\r\nHost: h\r\nX-Host: gone.test\r\n\r\n");
    eventually("the name is asked for", || (dns.asked(A, "gone.test") > 0).then_some(()));
    drop(client);
    eventually("the request ends", || daemon.file("logs/access.log").contains(" 499 ").then_some(()));
}
