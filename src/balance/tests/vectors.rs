//! The choices of nginx 1.31.5, as observed.

use serde_json::Value;

use super::*;
use crate::plan::Template;

fn rows(text: &str) -> Vec<Value> {
    let rows: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(rows.len() > 60);
    rows
}

fn strings<'v>(row: &'v Value, name: &str) -> Vec<&'v str> {
    row[name].as_array().map(|a| a.iter().map(|v| v.as_str().unwrap()).collect()).unwrap_or_default()
}

fn check(row: &Value, method: Method, request: Request<'_>) {
    let servers = strings(row, "servers");
    let numbers = |name: &str| -> Vec<u32> {
        row[name].as_array().unwrap().iter().map(|v| u32::try_from(v.as_u64().unwrap()).unwrap()).collect()
    };
    let mut up = upstream(&numbers("weights"));
    up.method = method;
    let down = if row["down"].is_null() { vec![0; servers.len()] } else { numbers("down") };
    for (i, ((peer, server), down)) in up.peers.iter_mut().zip(&servers).zip(down).enumerate() {
        peer.id = row["ids"][i].as_str().map(Into::into);
        peer.name = (*server).into();
        peer.server = (*server).into();
        peer.down = down != 0;
        peer.max_fails = 0;
    }
    let bed = Bed::new(&up);
    let refusing = strings(row, "refusing");
    let mut selection = bed.start(&request);
    let mut attempts = Vec::new();
    let chosen = loop {
        let name = servers[selection.next(NOW).unwrap().ix()];
        attempts.push(name);
        if !refusing.contains(&name) {
            selection.finish(Outcome::Done, NOW);
            break name;
        }
        selection.finish(Outcome::Failed, NOW);
    };
    assert_eq!(chosen, row["chosen"].as_str().unwrap(), "{row}");
    if !refusing.is_empty() {
        assert_eq!(attempts, strings(row, "attempts"), "{row}");
    }
}

#[test]
fn ip_hash_chooses_as_nginx() {
    for row in rows(include_str!("../../../fixtures/vectors/ip_hash.json")) {
        let client = Some(row["client"].as_str().unwrap().parse().unwrap());
        check(&row, Method::IpHash, Request { client, ..Request::default() });
    }
}

#[test]
fn hash_chooses_as_nginx() {
    for row in rows(include_str!("../../../fixtures/vectors/hash.json")) {
        let key = row["key"].as_str().unwrap().as_bytes();
        check(&row, Method::Hash(Template::text(*b"k")), Request { key, ..Request::default() });
    }
}

#[test]
fn consistent_hash_chooses_as_nginx() {
    for row in rows(include_str!("../../../fixtures/vectors/hash_consistent.json")) {
        let key = row["key"].as_str().unwrap().as_bytes();
        check(&row, Method::HashConsistent(Template::text(*b"k")), Request { key, ..Request::default() });
    }
}

/// As observed on Tengine 3.2.
#[test]
fn consistent_hash_chooses_as_tengine() {
    for row in rows(include_str!("../../../fixtures/vectors/consistent_hash.json")) {
        let key = row["key"].as_str().unwrap().as_bytes();
        check(&row, Method::ConsistentHash(Template::text(*b"k")), Request { key, ..Request::default() });
    }
}
