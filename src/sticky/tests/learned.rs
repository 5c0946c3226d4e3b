//! What `sticky learn` remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::sticky::{Key, Learned, Table};

const TIMEOUT: Duration = Duration::from_secs(10);
const NOW: u64 = 1_795_252_184_000;

fn key(n: usize) -> Key {
    Key::of(format!("session-{n}").as_bytes())
}

fn known(table: &Table, n: usize, now: u64) -> Option<String> {
    table.look_up(key(n), now, TIMEOUT).map(|sid| {
        let (bytes, len) = sid.text();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    })
}

#[test]
fn a_session_is_known_until_it_was_idle_for_the_timeout() {
    let table = Table::new(32 * 1024).unwrap();
    assert_eq!(table.learn(key(1), b"peer-a", false, NOW, TIMEOUT), Learned::Unknown);
    assert_eq!(known(&table, 1, NOW), None, "a look-up's name alone creates nothing");
    assert_eq!(table.learn(key(1), b"peer-a", true, NOW, TIMEOUT), Learned::Created);
    assert_eq!(known(&table, 1, NOW + 9_999).as_deref(), Some("peer-a"));
    assert_eq!(known(&table, 1, NOW + 10_000), None);
    table.learn(key(1), b"peer-a", false, NOW + 9_000, TIMEOUT);
    assert_eq!(known(&table, 1, NOW + 18_000).as_deref(), Some("peer-a"), "use keeps it");
    assert_eq!(table.learn(key(1), b"b", false, NOW + 18_000, TIMEOUT), Learned::Moved);
    assert_eq!(known(&table, 1, NOW + 18_000).as_deref(), Some("b"), "it moved, and its value got shorter");
    assert_eq!(table.learn(key(1), b"c", false, NOW + 40_000, TIMEOUT), Learned::Unknown);
    assert_eq!(known(&table, 1, NOW + 40_000), None, "over is over");
}

#[test]
fn values_up_to_32_bytes_are_kept_whole() {
    let table = Table::new(32 * 1024).unwrap();
    for len in 1..=32 {
        let sid = "x".repeat(len);
        table.learn(key(len), sid.as_bytes(), true, NOW, TIMEOUT);
        assert_eq!(known(&table, len, NOW), Some(sid));
    }
    assert_eq!(table.learn(key(99), &[b'x'; 33], true, NOW, TIMEOUT), Learned::Unknown);
    assert_eq!(known(&table, 99, NOW), None);
}

#[test]
fn a_zone_holds_more_than_nginx_says_it_does_and_never_more_than_its_size() {
    // "1m ~ 8000 sessions"
    let table = Table::new(1 << 20).unwrap();
    assert_eq!(table.capacity(), 15_360);
    let full = table.capacity();
    let first = (0..full).position(|n| table.learn(key(n), b"s", true, NOW, TIMEOUT) == Learned::Evicted);
    let first = first.expect("the last places are not found by two tries") as f64 / full as f64;
    assert!(first > 0.85, "the first session in use has to go at {:.1} %", first * 100.0);
    for n in full..40_000 {
        table.learn(key(n), b"s", true, NOW + 1 + n as u64 / 1000, TIMEOUT);
    }
    let kept = (0..40_000).filter(|n| known(&table, *n, NOW + 100).is_some()).count();
    assert_eq!(kept, table.capacity(), "full, and no fuller");
    assert_eq!(known(&table, 39_999, NOW + 100).as_deref(), Some("s"), "the newest is there");
    let old = (0..10_000).filter(|n| known(&table, *n, NOW + 100).is_some()).count();
    assert!(old < 100, "{old} of those not used for longest are left");
}

#[test]
fn what_is_over_makes_room_before_what_is_in_use() {
    let table = Table::new(1).unwrap();
    for n in 0..15 {
        assert_eq!(table.learn(key(n), b"s", true, NOW + n as u64, TIMEOUT), Learned::Created);
    }
    assert_eq!(table.learn(key(15), b"s", true, NOW + 20, TIMEOUT), Learned::Evicted);
    assert_eq!((known(&table, 0, NOW + 20), known(&table, 1, NOW + 20).as_deref()), (None, Some("s")));
    assert_eq!(table.learn(key(16), b"s", true, NOW + 10_001, TIMEOUT), Learned::Created);
}

#[test]
fn readers_never_see_half_of_what_writers_write() {
    let table = Arc::new(Table::new(1).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let hits = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for writer in 0..2_u8 {
            let (table, stop) = (table.clone(), stop.clone());
            scope.spawn(move || {
                let mut n = 0_usize;
                while !stop.load(Relaxed) {
                    n += 1;
                    // Every value is one letter, as long as the letter's number.
                    let letter = (n + usize::from(writer)) % 26;
                    let sid = vec![b'a' + letter as u8; letter + 1];
                    table.learn(key(n % 40), &sid, true, NOW + n as u64 % 1000, TIMEOUT);
                }
            });
        }
        for round in 0..20_000 {
            if let Some(sid) = known(&table, round % 40, NOW + 1000) {
                hits.fetch_add(1, Relaxed);
                let letter = sid.as_bytes()[0];
                assert!(sid.bytes().all(|b| b == letter), "{sid}");
                assert_eq!(sid.len(), usize::from(letter - b'a') + 1, "{sid}");
            }
        }
        stop.store(true, Relaxed);
    });
    assert!(hits.load(Relaxed) > 1000);
}

/// How often requests for sessions find theirs when twice as many are alive as there is room for, some far more often
/// than others: against a table that always lets the one go that was not used for longest.
#[test]
fn nearly_as_many_sessions_are_found_as_with_a_perfect_order() {
    let table = Table::new(256 * 1024).unwrap();
    let mut perfect = (std::collections::HashMap::<usize, u64>::new(), std::collections::BTreeMap::new());
    let mut rng = crate::rt::Rng::seeded(7);
    let (mut found, mut best, rounds) = (0, 0, 200_000);
    for round in 0..rounds {
        let now = NOW + round;
        let spread = rng.below(2 * table.capacity() as u64) + 1;
        let n = rng.below(spread) as usize;
        found += u64::from(known(&table, n, now).is_some());
        table.learn(key(n), b"s", true, now, Duration::from_secs(3600));
        best += u64::from(perfect.0.contains_key(&n));
        if let Some(was) = perfect.0.insert(n, now) {
            perfect.1.remove(&was);
        } else if perfect.0.len() > table.capacity() {
            let (_, oldest) = perfect.1.pop_first().unwrap();
            perfect.0.remove(&oldest);
        }
        perfect.1.insert(now, n);
    }
    let (found, best) = (found as f64 / rounds as f64, best as f64 / rounds as f64);
    println!("found {found:.4}, with a perfect order {best:.4}");
    assert!(found > best - 0.02, "{found:.4} against {best:.4}");
}
