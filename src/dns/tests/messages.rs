//! Responses as they come, well-formed or not.

use std::net::IpAddr;

use super::super::Code;
use super::super::cache::{Asked, Cache, Known};
use super::super::message::{Kind, Server, query};
use super::super::query::{Meaning, Next, Round};
use super::super::service::order;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SRV: u16 = 33;

fn name(text: &str) -> Vec<u8> {
    let mut out: Vec<u8> =
        text.split('.').flat_map(|l| [&[l.len() as u8][..], l.as_bytes()].concat()).collect();
    out.push(0);
    out
}

/// A response to `asked` with these records: type, TTL, data.
fn response(id: u16, flags: u16, asked: &str, kind: u16, records: &[(u16, u32, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for n in [id, flags, 1, records.len() as u16, 0, 0] {
        out.extend(n.to_be_bytes());
    }
    out.extend(name(asked));
    out.extend([kind.to_be_bytes(), 1_u16.to_be_bytes()].concat());
    for (kind, ttl, data) in records {
        out.extend([0xc0, 12]);
        out.extend([kind.to_be_bytes(), 1_u16.to_be_bytes()].concat());
        out.extend(ttl.to_be_bytes());
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    out
}

const OK: u16 = 0x8180;

/// A round for `a.b`: A is asked for with id 1, AAAA with id 2.
fn round(kinds: &[Kind]) -> Round {
    let mut id = 0;
    let next = || {
        id += 1;
        id
    };
    Round::new(b"a.b", kinds, next).unwrap()
}

/// Gives responses one after the other; what was said, and the last step.
fn take(round: &mut Round, responses: &[Vec<u8>]) -> (Vec<String>, Next) {
    let (mut said, mut next) = (Vec::new(), Next::Wait);
    for bytes in responses {
        next = round.take(bytes, false, |text| said.push(text.to_string()));
    }
    (said, next)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn both_families_are_waited_for_and_the_least_ttl_counts() {
    let a = response(1, OK, "a.b", A, &[(A, 60, vec![10, 0, 0, 1]), (A, 70, vec![10, 0, 0, 2])]);
    let aaaa = response(2, OK, "A.b", AAAA, &[(AAAA, 50, vec![0; 16])]);
    let mut r = round(&[Kind::A, Kind::Aaaa]);
    assert_eq!(take(&mut r, &[a]).1, Next::Wait);
    let (said, next) = take(&mut r, &[aaaa]);
    let (v4, v6) = (vec![ip("10.0.0.1"), ip("10.0.0.2")], vec![ip("::")]);
    assert_eq!((said, next), (vec![], Next::Done(Ok((Meaning::Addresses { v4, v6 }, 50)))));
}

#[test]
fn what_was_not_asked_for_is_passed_over() {
    let good = |id| response(id, OK, "a.b", A, &[(A, 60, vec![10, 0, 0, 1])]);
    let mut cut = good(1);
    cut.truncate(cut.len() - 1);
    let mut pointer = good(1);
    pointer[12..14].copy_from_slice(&[0xc0, 0x20]);
    let odd = response(1, OK, "a.b", A, &[(AAAA, 1, vec![0; 16])]);
    let wrong = response(1, OK, "a.b", A, &[(A, 1, vec![1; 5])]);
    let list = [
        good(7),
        response(1, OK, "x.b", A, &[]),
        response(1, OK, "a.b", AAAA, &[]),
        response(1, 0x0180, "a.b", A, &[]),
        response(1, OK | 1, "a.b", A, &[]),
        response(9, OK | 1, "a.b", A, &[]),
        response(9, OK | 9, "a.b", A, &[]),
        cut,
        vec![0; 5],
        odd,
        wrong,
        pointer,
    ];
    let (said, next) = take(&mut round(&[Kind::A]), &list);
    let expect = [
        "wrong ident 7 in DNS response for a.b, expect 1",
        "unexpected DNS response for x.b",
        "unexpected DNS response for a.b",
        "invalid UDP DNS response 1 fl:0180",
        "DNS error (1: Format error), query id:1, name:\"a.b\"",
        "DNS error (1: Format error), query id:9",
        "DNS error (9: Unknown error), query id:9",
        "short DNS response",
        "short DNS response",
        "unexpected AAAA record in DNS response",
        "invalid A record in DNS response",
    ];
    assert_eq!(said[..expect.len()], expect);
    assert_eq!((said.len(), next), (list.len(), Next::Wait));
}

#[test]
fn one_failed_family_fails_the_name_and_none_at_all_is_no_name() {
    let failed = response(1, OK | 2, "a.b", A, &[]);
    let found = response(2, OK, "a.b", AAAA, &[(AAAA, 50, vec![1; 16])]);
    let both = [Kind::A, Kind::Aaaa];
    let failure = |n| Next::Done(Err(Code::Rcode(n)));
    assert_eq!(take(&mut round(&both), &[failed.clone(), found.clone()]).1, failure(2));
    assert_eq!(take(&mut round(&both), &[found.clone(), failed]).1, failure(2));
    let none = response(1, OK, "a.b", A, &[]);
    assert!(matches!(take(&mut round(&both), &[none.clone(), found]).1, Next::Done(Ok(_))));
    assert_eq!(take(&mut round(&[Kind::A]), &[none]).1, failure(3));
}

#[test]
fn an_alias_without_addresses_is_followed_and_a_cut_answer_asked_for_again() {
    let alias = response(1, OK, "a.b", A, &[(CNAME, 9, name("C.d"))]);
    let next = take(&mut round(&[Kind::A]), &[alias]).1;
    assert_eq!(next, Next::Done(Ok((Meaning::Alias((*b"c.d").into()), 9))));
    let cut = response(1, OK | 0x200, "a.b", A, &[]);
    let mut r = round(&[Kind::A]);
    assert_eq!(take(&mut r, std::slice::from_ref(&cut)).1, Next::Tcp(0));
    assert!(r.open().all(|(_, _, tcp)| tcp));
    assert_eq!(take(&mut r, &[cut]).1, Next::Wait);
}

#[test]
fn servers_come_by_priority_and_a_weight_is_at_least_one() {
    let srv = |priority: u16, weight: u16, host: &str| {
        let mut data = [priority, weight, 80].map(u16::to_be_bytes).concat();
        data.extend(name(host));
        (SRV, 5, data)
    };
    let answer = response(1, OK, "a.b", SRV, &[srv(2, 0, "x"), srv(1, 3, "Y.z"), srv(2, 1, "w")]);
    let Next::Done(Ok((Meaning::Servers(servers), 5))) = take(&mut round(&[Kind::Srv]), &[answer]).1 else {
        panic!("no servers");
    };
    let row = |s: &Server| (s.priority, s.weight, String::from_utf8_lossy(&s.name).into_owned());
    let rows: Vec<_> = servers.iter().map(row).collect();
    assert_eq!(rows, [(1, 3, "y.z".to_owned()), (2, 1, "x".to_owned()), (2, 1, "w".to_owned())]);
    let found: Vec<_> = servers.iter().map(|s| (s, vec![ip("10.0.0.1")])).collect();
    let of = |draws: &[usize]| {
        let mut draws = draws.iter().copied();
        let list = order(&found, |_| draws.next().unwrap());
        list.iter().map(|t| String::from_utf8_lossy(&t.name).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(&[2, 0]), ["y.z", "x", "w"]);
    assert_eq!(of(&[0, 1]), ["y.z", "w", "x"]);
}

#[test]
fn names_that_cannot_be_are_not_asked_for() {
    for bad in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(128)] {
        assert_eq!(query(1, bad.as_bytes(), Kind::A), None, "{bad}");
    }
    let bytes = query(0x1234, b"a.b", Kind::Srv).unwrap();
    assert_eq!(bytes, [&b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x01b\0\0\x21\0\x01"[..]].concat());
}

#[test]
fn the_cache_is_bounded_and_forgets_in_time() {
    let known = |valid| {
        let meaning = Meaning::Addresses { v4: vec![ip("10.0.0.1")], v6: vec![] };
        Known { meaning: std::rc::Rc::new(meaning), valid }
    };
    let key = |n: u32| (Asked::Addresses, n.to_string().into_bytes().into());
    let mut cache = Cache::default();
    cache.put(key(0), known(5), 1);
    assert!(cache.get(&key(0), 5).is_some());
    assert!(cache.get(&key(0), 6).is_none());
    for n in 0..20_000 {
        cache.put(key(n), known(100), 10);
        assert!(cache.len() <= 8192);
    }
    assert!(cache.get(&key(19_999), 10).is_some());
}
