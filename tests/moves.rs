//! How many of a thousand sessions move when the peers change, for each way to keep a session. Nothing is random but the
//! clients, and they come from a seed: a number here changes when the behaviour does.

use std::net::{IpAddr, Ipv4Addr};

use tenrec::balance::{Local, Outcome, Request, Selection, Shared};
use tenrec::plan::{PeerId, Plan, Sticky, Template, Upstream};
use tenrec::sticky::{self, Answer, Key, Place, Table};

const NOW: i64 = 1_795_252_184;
const CLIENTS: usize = 1000;
/// Out of ten clients so many are behind one address.
const SHARED_ADDRESS: u64 = 3;

struct Client {
    addr: IpAddr,
    /// What `hash` and `sticky learn` know it by.
    name: String,
    cookie: Option<String>,
    peer: String,
}

fn next(seed: &mut u64) -> u64 {
    // xorshift64*
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}

fn clients(mut seed: u64) -> Vec<Client> {
    let one = |i| {
        let n = next(&mut seed);
        let [a, b, c, ..] = n.to_le_bytes();
        let shared = next(&mut seed) % 10 < SHARED_ADDRESS;
        let addr = if shared { Ipv4Addr::new(198, 51, 100, 7) } else { Ipv4Addr::new(10, a, b, c) };
        Client { addr: addr.into(), name: format!("client-{i}-{n}"), cookie: None, peer: String::new() }
    };
    (0..CLIENTS).map(one).collect()
}

fn plan(how: &str, servers: &[&str]) -> Plan {
    let servers: String = servers.iter().map(|s| format!("server {s};\n")).collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.conf");
    let text = format!(
        "events {{}}\nhttp {{ upstream u {{ {how}\n{servers} }}\n\
         server {{ listen 127.0.0.1:80; location / {{ proxy_pass http://u; }} }} }}\n"
    );
    std::fs::write(&file, text).unwrap();
    let loaded = tenrec::compile::load(&file, dir.path(), None);
    loaded.plan.unwrap_or_else(|| panic!("{how}: {:?}", loaded.diags))
}

/// One request of each client, in turn; how many were served by another peer than the last time.
fn serve(upstream: &Upstream, table: &Table, clients: &mut [Client]) -> usize {
    let shared = Shared::new(upstream, &tenrec::zone::Slots::private());
    let local = Local::new(&shared);
    let mut moved = 0;
    for client in clients {
        let key = Key::of(client.name.as_bytes());
        let ticket = match &upstream.sticky {
            Some(Sticky::Learn(learn)) => {
                let sid = table.look_up(key, NOW as u64 * 1000, learn.timeout).map(|s| s.text());
                let text = sid.as_ref().map_or(&[][..], |(bytes, len)| &bytes[..*len]);
                sticky::named(upstream, text)
            }
            _ => sticky::read(upstream, client.cookie.iter().map(|c| c.as_bytes()), NOW),
        };
        let request = Request {
            pin: ticket.pin(),
            client: Some(client.addr),
            key: client.name.as_bytes(),
            ..Request::default()
        };
        let mut selection = Selection::start(&shared, &local, &request);
        let peer = selection.next(NOW).unwrap();
        selection.finish(Outcome::Done, NOW);
        note(upstream, table, &ticket, peer, client);
        let name = &upstream.peers[peer.ix()].name;
        moved += usize::from(!client.peer.is_empty() && *client.peer != **name);
        client.peer = name.to_string();
    }
    moved
}

/// What the answer leaves with the client, or in the table.
fn note(upstream: &Upstream, table: &Table, ticket: &sticky::Ticket, peer: PeerId, client: &mut Client) {
    if let Some(Sticky::Learn(learn)) = &upstream.sticky {
        let sid = &upstream.sids[peer.ix()];
        table.learn(Key::of(client.name.as_bytes()), sid, true, NOW as u64 * 1000, learn.timeout);
        return;
    }
    let mut answer = Answer::new(upstream, ticket, peer, 200, false, NOW);
    let mut value = Vec::new();
    if answer.place() != Place::Nowhere && answer.issue(|_: &Template, _| {}, &mut value) {
        let value = String::from_utf8(value).unwrap();
        client.cookie = value.split(';').next().map(str::to_owned);
    }
}

const FIVE: [&str; 5] = ["10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80", "10.1.0.5:80"];

/// Sessions that moved, of those that need not have: when the third peer leaves, when a sixth comes, when the lines
/// are reordered.
fn moves(how: &str) -> [usize; 3] {
    let changed: [Vec<&str>; 3] = [
        FIVE.iter().copied().filter(|s| *s != FIVE[2]).collect(),
        FIVE.iter().copied().chain(["10.1.0.6:80"]).collect(),
        FIVE.iter().rev().copied().collect(),
    ];
    changed.map(|servers| {
        let table = Table::new(1 << 20).unwrap();
        let mut clients = clients(0x7e17_ec00);
        assert_eq!(serve(&plan(how, &FIVE).upstreams[0], &table, &mut clients), 0);
        assert_eq!(serve(&plan(how, &FIVE).upstreams[0], &table, &mut clients), 0, "{how}: nothing changed");
        let gone = clients.iter().filter(|c| !servers.contains(&c.peer.as_str())).count();
        let moved = serve(&plan(how, &servers).upstreams[0], &table, &mut clients);
        assert!(moved >= gone, "{how}");
        moved - gone
    })
}

#[test]
fn a_cookie_moves_only_the_sessions_of_a_peer_that_left() {
    for how in [
        "session_sticky;",
        "session_sticky maxidle=600;",
        "session_sticky hash=plain;",
        "sticky_cookie_insert s;",
        "sticky cookie s;",
        "least_conn; sticky cookie s;",
        "sticky learn create=$arg_s lookup=$arg_s zone=z:1m;",
    ] {
        assert_eq!(moves(how), [0, 0, 0], "{how}");
    }
}

#[test]
fn a_ring_moves_its_share_and_other_hashes_most_of_the_sessions() {
    let [left, came, reordered] = moves("hash $arg_k consistent;");
    assert_eq!((left, reordered), (0, 0), "what is on other points of the ring stays");
    assert!((100..240).contains(&came), "a sixth of a thousand go to the sixth peer: {came}");
    for how in ["hash $arg_k;", "ip_hash;"] {
        let [left, came, reordered] = moves(how);
        for moved in [left, came, reordered] {
            assert!(moved > 300, "{how}: {moved}");
        }
    }
}

/// The clients of the peer that has most, against an even share, in percent.
fn heaviest(how: &str) -> usize {
    let table = Table::new(1 << 20).unwrap();
    let mut clients = clients(0x7e17_ec01);
    serve(&plan(how, &FIVE).upstreams[0], &table, &mut clients);
    let count = |server: &&str| clients.iter().filter(|c| c.peer == **server).count();
    FIVE.iter().map(count).max().unwrap() * 100 * FIVE.len() / CLIENTS
}

#[test]
fn clients_behind_one_address_are_one_peers_with_ip_hash_and_everybodys_with_cookies() {
    assert_eq!(heaviest("session_sticky;"), 100);
    assert_eq!(heaviest("sticky cookie s;"), 100);
    assert!(heaviest("hash $arg_k consistent;") < 140);
    assert!(heaviest("ip_hash;") > 180);
}
