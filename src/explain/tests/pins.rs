use crate::explain::pins::{Fate, Impact, SAMPLE, Why, compare};
use crate::plan::Plan;

fn plan(upstream: &str) -> Plan {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.conf");
    let text = format!(
        "events {{}}\nhttp {{ {upstream}\nserver {{ listen 127.0.0.1:80; location / {{ proxy_pass http://127.0.0.1:1; }} }} }}\n"
    );
    std::fs::write(&file, text).unwrap();
    let loaded = crate::compile::load(&file, dir.path(), None);
    loaded.plan.unwrap_or_else(|| panic!("{upstream}: {:?}", loaded.diags))
}

fn change(old: &str, new: &str) -> Impact {
    let of = |lines: &str| if lines.is_empty() { String::new() } else { format!("upstream u {{ {lines} }}") };
    let mut all = compare(&plan(&of(old)), &plan(&of(new)));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn fates(old: &str, new: &str) -> Vec<Fate> {
    change(old, new).pins.into_iter().map(|p| p.fate).collect()
}

const A: &str = "server 127.0.0.1:81 id=a route=a;";
const B: &str = "server 127.0.0.1:82 id=b route=b;";

/// Each way to keep sessions whose pins are the same in the next configuration.
const WAYS: &[&str] = &[
    "session_sticky hash=plain;",
    "session_sticky;",
    "session_sticky maxidle=10 maxlife=100;",
    "session_sticky mode=rewrite hash=plain;",
    "session_sticky mode=prefix hash=plain;",
    "sticky cookie s expires=1h domain=.x path=/;",
    "sticky route $cookie_a $arg_b;",
    "sticky learn create=$upstream_cookie_a lookup=$cookie_a zone=z:64k;",
];

#[test]
fn a_pin_is_kept_as_long_as_it_means_its_peer() {
    for way in WAYS {
        let old = format!("{way} {A} {B}");
        let kept = vec![Fate::Kept, Fate::Kept];
        assert_eq!(fates(&old, &old), kept, "{way}");
        assert_eq!(fates(&old, &format!("{way} server 127.0.0.1:83; {B} {A}")), kept, "{way}: order");
        assert_eq!(fates(&old, &format!("{way} {A}"))[1], Fate::Lost(Why::NoPeer), "{way}");
        let down = B.replace(";", " down;");
        assert_eq!(fates(&old, &format!("{way} {A} {down}"))[1], Fate::Lost(Why::Down), "{way}");
        assert_eq!(fates(&old, &format!("{A} {B}"))[0], Fate::Lost(Why::NoSessions), "{way}");
        assert_eq!(fates(&old, "")[0], Fate::Lost(Why::NoUpstream), "{way}");
    }
}

#[test]
fn another_value_or_name_is_told_with_what_it_becomes() {
    let renamed = fates(
        &format!("session_sticky hash=plain; {A} {B}"),
        &format!("session_sticky hash=plain; server 127.0.0.1:81 id=x; {B}"),
    );
    assert_eq!(renamed, [Fate::Renamed((*b"route=x").into()), Fate::Kept]);
    let cookie = fates(&format!("sticky cookie a; {A}"), &format!("sticky cookie b; {A}"));
    assert_eq!(cookie, [Fate::Renamed((*b"b=a").into())]);
    let swapped = fates(
        &format!("sticky cookie a; {A} {B}"),
        "sticky cookie a; server 127.0.0.1:82 route=a; server 127.0.0.1:81 route=b;",
    );
    assert_eq!(swapped, [Fate::Moved("127.0.0.1:82".into()), Fate::Moved("127.0.0.1:81".into())]);
    let zone = "sticky learn create=$upstream_cookie_a lookup=$cookie_a zone=";
    assert_eq!(
        fates(&format!("{zone}y:64k; {A}"), &format!("{zone}z:64k; {A}")),
        [Fate::Lost(Why::Elsewhere)]
    );
    let told = change(&format!("sticky cookie a; {A} {B}"), &format!("sticky cookie a; {B}")).to_string();
    assert_eq!(told, "upstream \"u\" (sticky cookie): 1 pin kept, 1 lost (127.0.0.1:81: the peer is gone)");
}

#[test]
fn an_upstream_of_another_name_with_the_same_peers_took_its_place() {
    let old = plan(&format!("upstream u {{ sticky cookie a; {A} {B} }}"));
    let new =
        plan(&format!("upstream x {{ sticky cookie a; {A} }} upstream y {{ sticky cookie a; {A} {B} }}"));
    let all = compare(&old, &new);
    assert_eq!(all[0].renamed.as_deref(), Some("y"));
    assert!(all[0].harmless());
}

#[test]
fn a_hash_moves_the_share_of_its_ring() {
    let servers = |n: u8| (1..=n).map(|i| format!("server 127.0.0.{i}:80;")).collect::<String>();
    let share = |rule: &str, from: u8, to: u8| {
        let told = change(&format!("{rule} {}", servers(from)), &format!("{rule} {}", servers(to)));
        f64::from(told.hash.unwrap().moved) / f64::from(SAMPLE)
    };
    assert_eq!(share("ip_hash;", 4, 4), 0.0);
    let few = share("hash $uri consistent;", 9, 10);
    assert!((0.05..0.15).contains(&few), "a tenth: {few}");
    let many = share("hash $uri;", 9, 10);
    assert!(many > 0.8, "nine tenths: {many}");
    let other = change(&format!("ip_hash; {}", servers(2)), &format!("hash $uri; {}", servers(2)));
    assert!(other.hash.unwrap().anew && !other.harmless());
}
