//! Upstreams of two or three peers, and what goes over the wire.

mod answers;
mod hiding;
mod learned;
mod ng;
mod properties;
mod snapshots;
mod tickets;

use super::{Answer, Asked, Change, Own, Place, Status, Ticket, expire, hide, read};
use crate::compile::upstream as compile;
use crate::config::sticky::{CookieInsert, Sticky};
use crate::config::upstream as settings;
use crate::diag::{Diags, FileId};
use crate::plan::{
    Accepted, Dates, PeerId, PeerIndex, Seal, SessionSticky, StickyExpires, StickyMode, Template, Upstream,
    UpstreamKeepalive,
};

const NOW: i64 = 1_795_252_184;
const AT: (FileId, u32) = (FileId(0), 0);
const SID1: &str = "a44db3549e461fcd8a5ae22f73f91140";
const SID2: &str = "d4515eabe517d737a5750d6f88e0a01e";

fn server(address: &str) -> settings::Server {
    let (address, id) = address.split_once(" id=").map_or((address, None), |(a, i)| (a, Some(i)));
    let (address, route) = address.split_once(" route=").map_or((address, None), |(a, r)| (a, Some(r)));
    settings::Server {
        address: address.as_bytes().into(),
        weight: 1,
        max_fails: 1,
        fail_timeout: std::time::Duration::from_secs(10),
        slow_start: std::time::Duration::ZERO,
        max_conns: 0,
        down: false,
        backup: false,
        drain: false,
        id: id.map(|i| i.as_bytes().into()),
        route: route.map(|r| r.as_bytes().into()),
        resolve: false,
        service: None,
        at: AT,
    }
}

fn upstream(servers: &[&str], sticky: Sticky) -> Upstream {
    let block = settings::Upstream {
        checking: crate::config::Checking::default(),
        name: (*b"u").into(),
        servers: servers.iter().map(|s| server(s)).collect(),
        method: settings::Method::RoundRobin,
        sticky: Some(sticky),
        pins: crate::config::pins::Pins::default(),
        zone: None,
        zone_size: None,
        resolver: None,
        resolver_timeout: None,
        keepalive: UpstreamKeepalive {
            idle: 0,
            local: false,
            requests: 1,
            time: std::time::Duration::ZERO,
            timeout: std::time::Duration::ZERO,
        },
        at: AT,
    };
    let mut diags = Diags::new();
    let upstream = compile::upstream(&block, &mut diags, &mut |source| match source {
        compile::Source::Text(text) => Template::text(text),
        compile::Source::Variable(name) => panic!("${name}"),
    });
    assert!(diags.is_empty());
    upstream
}

fn session(change: impl FnOnce(&mut SessionSticky)) -> SessionSticky {
    let mut s = SessionSticky {
        cookie: (*b"route").into(),
        domain: None,
        path: Some((*b"/").into()),
        maxage: None,
        maxidle: None,
        maxlife: None,
        mode: StickyMode::Insert,
        indirect: false,
        fallback: true,
        md5: true,
    };
    change(&mut s);
    s
}

/// Two peers whose values are `SID1` and `SID2`.
fn tengine(change: impl FnOnce(&mut SessionSticky)) -> Upstream {
    upstream(&["127.0.0.1:18101", "127.0.0.1:18102"], Sticky::Tengine(session(change)))
}

fn cookie_insert() -> CookieInsert {
    CookieInsert {
        name: (*b"srv_id").into(),
        expires: StickyExpires::Session,
        domain: None,
        path: None,
        httponly: false,
        secure: false,
        samesite: None,
    }
}

fn ask(upstream: &Upstream, lines: &[&str]) -> Ticket {
    read(upstream, lines.iter().map(|l| l.as_bytes()), NOW)
}

/// The peer that a line's cookie means, 1 or 2.
fn pin(upstream: &Upstream, line: &str) -> Option<u32> {
    ask(upstream, &[line]).pin().map(|p| p.0 + 1)
}

/// The answer's `Set-Cookie` fields, the backend's relayed, ours where it belongs.
fn fields(upstream: &Upstream, ticket: &Ticket, peer: u32, status: u16, backend: &[&str]) -> Vec<String> {
    let mut answer = Answer::new(upstream, ticket, PeerId(peer - 1), status, true, NOW);
    let mut fields = Vec::new();
    let ours = |answer: &mut Answer<'_>, place, fields: &mut Vec<String>| {
        let mut out = Vec::new();
        let text = |t: &Template, out: &mut Vec<u8>| out.extend_from_slice(t.as_text().unwrap());
        if answer.place() == place && answer.issue(text, &mut out) {
            fields.push(String::from_utf8(out).unwrap());
        }
    };
    ours(&mut answer, Place::Before, &mut fields);
    for value in backend {
        let mut out = Vec::new();
        match answer.relay(value.as_bytes(), &mut out) {
            Change::Keep => fields.push((*value).to_owned()),
            Change::Replace => fields.push(String::from_utf8(out).unwrap()),
            Change::Drop => {}
        }
    }
    ours(&mut answer, Place::After, &mut fields);
    fields
}

/// The same with signed pins.
fn signed(mut up: Upstream) -> Upstream {
    let key = crate::values::PinKey::new(b"0123456789abcdef").unwrap();
    let seal = Seal::new(vec![key], false, &up.name, &up.sids, &PeerIndex::default());
    up.pins.get_or_insert_default().seal = Some(seal);
    up
}

/// The same with HAProxy's and F5's values for the first peer.
fn accepting(mut up: Upstream) -> Upstream {
    let values = [Box::from(*b"s1"), Box::from(*b"16777343.46406.0000")].map(|v| (v, PeerId(0)));
    up.pins.get_or_insert_default().accepts.push(Accepted {
        cookie: (*b"route").into(),
        values: values.into_iter().collect(),
        prefixed: true,
        dates: Dates { seconds: true, haproxy: true },
    });
    up
}
