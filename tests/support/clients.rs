//! Clients of an upstream without a network: what the compiled plan makes of their requests, and what its answers leave
//! with them.

use std::net::{IpAddr, Ipv4Addr};

use tenrec::balance::{Local, Outcome, Request, Selection, Shared};
use tenrec::compile::{self, Loaded};
use tenrec::plan::{PeerId, Plan, Sticky, StickyMode, Template, Upstream};
use tenrec::sticky::{self, Answer, Change, Key, Place, Table, Ticket};
use tenrec::zone::Slots;

pub const NOW: i64 = 1_795_252_184;
/// Out of ten clients so many are behind one address.
pub const SHARED_ADDRESS: u64 = 3;

#[derive(Debug, Clone)]
pub struct Client {
    pub addr: IpAddr,
    /// What `hash` and `sticky learn` know it by.
    pub name: String,
    /// The cookie pair that it has, and what `sticky route` takes from its requests.
    cookie: Option<String>,
    route: Vec<u8>,
    /// The peer that served it last; empty: none yet.
    pub peer: String,
}

pub fn next(seed: &mut u64) -> u64 {
    // xorshift64*
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}

pub fn clients(many: usize, mut seed: u64) -> Vec<Client> {
    let one = |i| {
        let n = next(&mut seed);
        let [a, b, c, ..] = n.to_le_bytes();
        let shared = next(&mut seed) % 10 < SHARED_ADDRESS;
        let addr = if shared { Ipv4Addr::new(198, 51, 100, 7) } else { Ipv4Addr::new(10, a, b, c) };
        let name = format!("client-{i}-{n}");
        Client { addr: addr.into(), name, cookie: None, route: Vec::new(), peer: String::new() }
    };
    (0..many).map(one).collect()
}

/// Loads an upstream of these lines, as `-t` would.
pub fn load(lines: &str) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.conf");
    let text = format!(
        "events {{}}\nhttp {{ upstream u {{ {lines} }}\n\
         server {{ listen 127.0.0.1:80; location / {{ session_sticky_hide_cookie upstream=u; proxy_pass http://u; }} }} }}\n"
    );
    std::fs::write(&file, text).unwrap();
    compile::load(&file, dir.path(), None)
}

pub fn plan(lines: &str) -> Plan {
    let loaded = load(lines);
    loaded.plan.unwrap_or_else(|| panic!("{lines}: {:?}", loaded.diags))
}

/// An upstream at work.
pub struct Bed<'u> {
    pub upstream: &'u Upstream,
    shared: Shared,
    local: Local,
    table: &'u Table,
    seed: u64,
}

impl<'u> Bed<'u> {
    pub fn new(plan: &'u Plan, table: &'u Table) -> Self {
        let upstream = &plan.upstreams[0];
        let shared = Shared::new(upstream, &Slots::private());
        Self { upstream, local: Local::new(&shared), shared, table, seed: 0x5eed }
    }

    /// One request. `fails`: a peer that gives no answer. The peer that did.
    pub fn ask(&mut self, client: &mut Client, fails: Option<&str>) -> String {
        let ticket = self.ticket(client);
        let request = Request {
            pin: ticket.pin(),
            backup_pin: ticket.backup_pin(),
            client: Some(client.addr),
            key: client.name.as_bytes(),
            seed: next(&mut self.seed),
            ..Request::default()
        };
        let mut selection = Selection::start(&self.shared, &self.local, &request);
        let peer = loop {
            let peer = selection.next(NOW).unwrap();
            if fails != Some(&*self.upstream.peers[peer.ix()].name) {
                break peer;
            }
            selection.finish(Outcome::Failed, NOW);
        };
        selection.finish(Outcome::Done, NOW);
        drop(selection);
        self.note(&ticket, peer, client);
        let name = self.upstream.peers[peer.ix()].name.to_string();
        client.peer.clone_from(&name);
        name
    }

    fn ticket(&self, client: &Client) -> Ticket {
        match &self.upstream.sticky {
            Some(Sticky::Learn(learn)) => {
                let key = Key::of(client.name.as_bytes());
                let sid = self.table.look_up(key, NOW as u64 * 1000, learn.timeout).map(|s| s.text());
                sticky::named(self.upstream, sid.as_ref().map_or(&[][..], |(bytes, len)| &bytes[..*len]))
            }
            Some(Sticky::Route(_)) => sticky::named(self.upstream, &client.route),
            _ => sticky::read(self.upstream, client.cookie.iter().map(|c| c.as_bytes()), NOW),
        }
    }

    /// What the answer leaves with the client, or in the table. The application of a peer sets a cookie of its own and
    /// tells the peer's route.
    fn note(&self, ticket: &Ticket, peer: PeerId, client: &mut Client) {
        let Some(how) = &self.upstream.sticky else { return };
        if let Sticky::Learn(learn) = how {
            let sid = &self.upstream.sids[peer.ix()];
            self.table.learn(Key::of(client.name.as_bytes()), sid, true, NOW as u64 * 1000, learn.timeout);
        }
        if let Some(sid) = self.upstream.sids.get(peer.ix()) {
            client.route = sid.to_vec();
        }
        let mut answer = Answer::new(self.upstream, ticket, peer, 200, true, NOW);
        let mut value = Vec::new();
        if let Sticky::Tengine(s) = how
            && s.mode != StickyMode::Insert
        {
            let theirs = [&s.cookie[..], b"=theirs"].concat();
            assert_eq!(answer.relay(&theirs, &mut value), Change::Replace);
        } else if answer.place() == Place::Nowhere || !answer.issue(|_: &Template, _| {}, &mut value) {
            return;
        }
        let value = String::from_utf8(value).unwrap();
        client.cookie = value.split(';').next().map(str::to_owned);
    }
}
