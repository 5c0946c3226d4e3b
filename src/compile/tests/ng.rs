//! The values of nginx-sticky-module-ng's cookies: those that its own tests expect, and more that were worked out apart
//! from this program.

use super::super::upstream;
use crate::plan::Upstream;

fn plan(sticky: &str, servers: &str) -> Upstream {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.conf");
    let http = format!("events {{}} http {{ upstream u {{ sticky {sticky}; {servers} }} }}");
    std::fs::write(&file, &http).unwrap();
    let mut loaded = super::super::load(&file, dir.path(), None);
    let plan = loaded.plan.take();
    plan.unwrap_or_else(|| panic!("{http}: {:?}", loaded.diags)).upstreams.remove(0)
}

#[test]
fn every_value_is_the_module_s() {
    let text = include_str!("../../../fixtures/vectors/sticky_ng.json");
    let rows: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    assert!(rows.len() > 150);
    for row in rows {
        let field = |name: &str| row[name].as_str().unwrap();
        let up = plan(field("words"), &format!("server {}; server 127.0.0.99:9;", field("server")));
        assert_eq!(String::from_utf8_lossy(&up.sids[0]), field("sid"), "{row}");
        assert_eq!(up.sid_index[&up.sids[0]].ix(), 0);
    }
}

#[test]
fn an_index_counts_addresses_with_the_backups_last() {
    let up = plan("hash=index", "server 127.0.0.1:1 backup; server 127.0.0.1:2 down; server 127.0.0.1:3;");
    let pairs: Vec<_> = up.peers.iter().zip(&up.sids).map(|(p, s)| (&*p.name, &**s)).collect();
    assert_eq!(pairs, [("127.0.0.1:2", &b"0"[..]), ("127.0.0.1:3", &b"1"[..]), ("127.0.0.1:1", &b"2"[..])]);
}

#[test]
fn an_only_server_needs_no_cookie() {
    let up = plan("", "server 127.0.0.1:1;");
    assert!(up.sids.is_empty() && up.sid_index.is_empty());
}

#[test]
fn sockets_that_the_short_text_cannot_tell_apart_get_their_whole_names() {
    let up =
        plan("text=raw", "server unix:/run/tenrec/app1; server unix:/run/tenrec/app2; server unix:/run/a;");
    let sids: Vec<_> = up.sids.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect();
    assert_eq!(sids, ["unix:/run/tenrec/app1", "unix:/run/tenrec/app2", "unix:/run/a"]);
    assert_eq!(&*upstream::peer_name(&up.peers[0].addr), "unix:/run/tenrec/app1");
    let up = plan("text=md5", "server unix:/run/tenrec/app1; server unix:/run/tenrec/app2;");
    assert_ne!(up.sids[0], up.sids[1]);
}
