//! Every way to keep a session beside every balancer, in both orders of lines: both hold, and `-t` says what the peer
//! would have done.

use tenrec::diag::render_nginx;
use tenrec::plan::{Method, Plan};
use tenrec::sticky::Table;

use super::support::clients::{Bed, Client, clients, load, plan};

/// The directive that `-t` names, and the line.
const STICKY: [(&str, &str); 10] = [
    ("session_sticky", "session_sticky;"),
    ("session_sticky", "session_sticky hash=plain mode=prefix;"),
    ("session_sticky", "session_sticky mode=rewrite fallback=off;"),
    ("sticky", "sticky cookie srv;"),
    ("sticky", "sticky route $cookie_route;"),
    ("sticky", "sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=z:1m;"),
    ("sticky ng", "sticky;"),
    ("sticky ng", "sticky hash=index no_fallback;"),
    ("sticky ng", "sticky hmac=sha1 hmac_key=k;"),
    ("sticky", "sticky_cookie_insert srv;"),
];

const BALANCERS: [&str; 12] = [
    "",
    "ip_hash;",
    "hash $cookie_user;",
    "hash $cookie_user consistent;",
    "consistent_hash $cookie_user;",
    "least_conn;",
    "least_time header;",
    "least_time last_byte inflight;",
    "random;",
    "random two;",
    "random two least_conn;",
    "random two least_time=header;",
];

/// A backup stands before the balancer: nginx forbids one after some.
const BACKUP: &str = "server 10.1.0.9:80 backup max_conns=1000;";
const SERVERS: &str = "server 10.1.0.1:80 max_conns=1000; server 10.1.0.2:80 weight=3; server 10.1.0.3:80;";

fn said(lines: &str) -> Vec<String> {
    let loaded = load(lines);
    let line = |d| render_nginx(&loaded.conf.map, d);
    let text = |l: String| l.replace("nginx: ", "").split(" in /").next().unwrap().to_owned();
    loaded.diags.iter().map(line).map(text).collect()
}

/// What is to be said of the two.
fn expected(sticky: &str, balancer: &str, sticky_first: bool) -> Vec<String> {
    let Some(word) = balancer.split([' ', ';']).next().filter(|w| !w.is_empty()) else { return Vec::new() };
    let name = sticky.split(' ').next().unwrap();
    let mut lines = Vec::new();
    if sticky_first {
        if word != "consistent_hash" {
            lines.push("[warn] load balancing method redefined".to_owned());
        }
        let peer = if name == "session_sticky" { "Tengine" } else { "nginx" };
        lines.push(format!("[warn] \"{name}\" stays in force beside \"{word}\"; {peer} would drop it"));
        return lines;
    }
    let would = match sticky {
        "session_sticky" => "Tengine would ignore it",
        "sticky ng" => "nginx-sticky-module-ng would refuse the file",
        _ => return lines,
    };
    lines.push(format!("[warn] \"{word}\" stays in force beside \"{name}\"; {would}"));
    lines
}

/// How the first requests of sixty clients are spread, and the clients.
fn first(plan: &Plan, table: &Table) -> (Vec<String>, Vec<Client>) {
    let mut bed = Bed::new(plan, table);
    let mut all = clients(60, 0xba1a_11ce);
    let peers = all.iter_mut().map(|c| bed.ask(c, None)).collect();
    (peers, all)
}

fn table() -> Table {
    Table::new(1 << 20).unwrap()
}

/// Everything that a session must not depend on changes: address and key; the name stays for what is learned.
fn elsewhere(client: &mut Client, sticky: &str) {
    client.addr = std::net::Ipv4Addr::new(203, 0, 113, 5).into();
    if !sticky.contains("learn") {
        client.name.push('x');
    }
}

#[test]
fn every_session_goes_with_every_balancer_in_any_order() {
    for balancer in BALANCERS {
        let alone = plan(&format!("{BACKUP} {balancer} {SERVERS}"));
        let method: &Method = &alone.upstreams[0].method;
        let (spread, _) = first(&alone, &table());
        for (name, sticky) in STICKY {
            for sticky_first in [true, false] {
                let pair = if sticky_first { [sticky, balancer] } else { [balancer, sticky] }.join(" ");
                let lines = format!("{BACKUP} {pair} {SERVERS}");
                assert_eq!(said(&lines), expected(name, balancer, sticky_first), "{pair}");
                let both = plan(&lines);
                assert_eq!(both.upstreams[0].method, *method, "{pair}");
                let table = table();
                let (peers, mut all) = first(&both, &table);
                assert_eq!(peers, spread, "{pair}: whoever has no session is balanced as without sessions");
                let mut bed = Bed::new(&both, &table);
                for (client, peer) in all.iter_mut().zip(&peers) {
                    elsewhere(client, sticky);
                    assert_eq!(bed.ask(client, None), *peer, "{pair}: the session");
                }
            }
        }
    }
}

#[test]
fn a_session_whose_server_fails_goes_on_with_another_one() {
    let fails = "10.1.0.2:80";
    for balancer in BALANCERS {
        for (_, sticky) in STICKY.iter().filter(|s| !s.1.contains("fallback")) {
            let pair = format!("{balancer} {sticky}");
            let both = plan(&format!("{BACKUP} {pair} {SERVERS}"));
            let table = table();
            let (_, all) = first(&both, &table);
            let mut bed = Bed::new(&both, &table);
            let mut moved = 0;
            for mut client in all.into_iter().filter(|c| c.peer == fails) {
                let other = bed.ask(&mut client, Some(fails));
                assert_ne!(other, fails, "{pair}");
                assert_ne!(other, "10.1.0.9:80", "{pair}: a backup while others are well");
                // What the answer said holds from now on.
                elsewhere(&mut client, sticky);
                assert_eq!(bed.ask(&mut client, None), other, "{pair}");
                moved += 1;
            }
            assert!(moved > 0, "{pair}: somebody had that server");
        }
    }
}

#[test]
fn when_only_a_backup_is_left_every_session_finds_it_and_stays() {
    for balancer in BALANCERS {
        for (_, sticky) in STICKY {
            let pair = format!("{balancer} {sticky}");
            let down = SERVERS.replace(";", " down;").replace(" down; s", " down;s");
            let both = plan(&format!("{BACKUP} server 10.1.0.8:80 backup; {pair} {down}"));
            let table = table();
            let (peers, mut all) = first(&both, &table);
            assert!(peers.iter().all(|p| p == "10.1.0.9:80" || p == "10.1.0.8:80"), "{pair}: {peers:?}");
            let mut bed = Bed::new(&both, &table);
            for (client, peer) in all.iter_mut().zip(&peers) {
                elsewhere(client, sticky);
                assert_eq!(bed.ask(client, None), *peer, "{pair}");
            }
        }
    }
}
