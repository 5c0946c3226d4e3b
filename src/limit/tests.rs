//! The arithmetic against nginx's, and what a zone does when it is full.

use super::zone::Full;
use super::{Excess, Zone};

fn zone() -> Zone {
    Zone::new(32 * 1024).expect("memory")
}

#[test]
fn a_rate_leaks_in_milliseconds_as_in_nginx() {
    let (zone, rate) = (zone(), 2_000);
    // (now, burst, excess or None when it is over)
    let mut now = 1_000_000;
    for (later, burst, want) in [
        (0, 0, Ok(0)),
        (0, 0, Err(1000)),
        (0, 1000, Ok(1000)),
        (250, 1000, Err(1500)),
        (250, 1000, Ok(1000)),
        (499, 0, Err(1002)),
        (501, 0, Ok(0)),
        (100_000, 0, Ok(0)),
    ] {
        now += later;
        let got = match zone.request(b"k", now, rate, burst, true) {
            Excess::Within(e) => Ok(e),
            Excess::Over(e) => Err(e),
        };
        assert_eq!(got, want, "{later} ms later, burst {burst}");
    }
}

#[test]
fn a_minute_rate_does_not_lose_what_is_less_than_a_millisecond() {
    // 10 requests a minute: 166 thousandths a second, as nginx rounds it.
    let (zone, rate) = (zone(), 10 * 1000 / 60);
    assert_eq!(zone.request(b"k", 0, rate, 0, true), Excess::Within(0));
    assert_eq!(zone.request(b"k", 6_024, rate, 0, true), Excess::Over(1));
    assert_eq!(zone.request(b"k", 6_025, rate, 0, true), Excess::Within(0));
}

#[test]
fn looking_does_not_count() {
    let zone = zone();
    for _ in 0..5 {
        assert_eq!(zone.request(b"k", 5, 1000, 0, false), Excess::Within(0));
    }
    assert_eq!(zone.count(b"k", 5, 1000), 0);
    assert_eq!(zone.count(b"k", 5, 1000), 1000);
    assert_eq!(zone.request(b"k", 5, 1000, 0, false), Excess::Over(2000));
}

#[test]
fn a_clock_that_goes_back_gives_nothing_away() {
    let zone = zone();
    assert_eq!(zone.request(b"k", 100_000, 1000, 5000, true), Excess::Within(0));
    assert_eq!(zone.request(b"k", 99_000, 1000, 5000, true), Excess::Within(1000));
    assert_eq!(zone.request(b"k", 10_000, 1000, 5000, true), Excess::Within(1999));
}

#[test]
fn a_full_zone_forgets_whoever_was_away_longest() {
    let zone = zone();
    let room = zone.capacity() as u32;
    for i in 0..room * 4 {
        let now = 1_000_000 + u64::from(i) * 10;
        assert_eq!(zone.request(&i.to_le_bytes(), now, 1000, 0, true), Excess::Within(0), "{i}");
        // One that comes again and again stays known, although it is refused.
        let wanted = if i == 0 { Excess::Within(0) } else { Excess::Over(1000) };
        if i == 0 {
            assert_eq!(zone.request(b"often", now, 0, 0, true), wanted);
        } else if i % 20 == 0 {
            assert_eq!(zone.request(b"often", now, 0, 0, true), wanted, "{i}");
        }
    }
}

#[test]
fn connections_are_counted_up_and_down() {
    let zone = zone();
    assert_eq!((zone.enter(b"a", 2), zone.enter(b"a", 2)), (Ok(()), Ok(())));
    assert_eq!((zone.enter(b"a", 2), zone.enter(b"b", 2)), (Err(Full::Limit), Ok(())));
    zone.leave(b"a");
    assert_eq!((zone.enter(b"a", 2), zone.enter(b"a", 2)), (Ok(()), Err(Full::Limit)));
    zone.leave(b"nobody");
    zone.clear();
    assert_eq!(zone.enter(b"a", 1), Ok(()));
}

#[test]
fn a_zone_is_nearly_full_before_a_connection_finds_no_room() {
    let zone = zone();
    let entered = (0..zone.capacity() as u32).take_while(|i| zone.enter(&i.to_le_bytes(), 1).is_ok()).count();
    assert!(entered * 10 > zone.capacity() * 8, "{entered} of {}", zone.capacity());
    assert_eq!(zone.enter(&(entered as u32).to_le_bytes(), 1), Err(Full::Zone));
    zone.leave(&0_u32.to_le_bytes());
    for i in 1..entered as u32 {
        zone.leave(&i.to_le_bytes());
    }
    assert_eq!(zone.enter(&(entered as u32).to_le_bytes(), 1), Ok(()), "all of it is free again");
}

#[test]
fn threads_count_together() {
    let zone = zone();
    let let_in: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..5_000)
                        .filter(|_| zone.request(b"k", 7, 1000, 99_000, true) != Excess::Over(100_000))
                        .count() as u64
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).sum()
    });
    assert_eq!(let_in, 100);
}
