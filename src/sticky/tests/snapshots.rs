//! Tables as files, and tables of another size.

use std::io::{self, Write};
use std::time::Duration;

use crate::sticky::{Digest, Key, Learned, Lost, Sid, Table, read_snapshot, write_snapshot};

const TIMEOUT: Duration = Duration::from_secs(600);
const NOW: u64 = 1_795_252_184_000;

fn key(n: usize) -> Key {
    Key::of(format!("session-{n}").as_bytes())
}

fn sid(n: usize) -> Sid {
    Sid::new(format!("{:032x}", n % 7).as_bytes()).unwrap()
}

/// A table of sessions, the n-th used n milliseconds after the first.
fn table(bytes: usize, sessions: usize) -> Table {
    let table = Table::new(bytes).unwrap();
    for n in 0..sessions {
        let (text, len) = sid(n).text();
        table.learn(key(n), &text[..len], true, NOW + n as u64, TIMEOUT);
    }
    table
}

fn file(table: &Table, now: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let digest = write_snapshot("zone", table, now, TIMEOUT, &mut out).unwrap();
    assert_eq!(Digest::of_end(&out[out.len() - Digest::LEN..]), Some(digest));
    out
}

fn read(bytes: &[u8], into: &Table, now: u64) -> (u64, Option<Lost>) {
    read_snapshot(&mut &bytes[..], into, now, TIMEOUT)
}

#[test]
fn what_was_written_is_there_again_with_its_times() {
    let (old, now) = (table(1 << 20, 5000), NOW + 10_000);
    let bytes = file(&old, now);
    let new = Table::new(1 << 20).unwrap();
    let (restored, lost) = read(&bytes, &new, now);
    assert!((restored, lost.is_none()) == (5000, true));
    for n in 0..5000 {
        assert_eq!(new.look_up(key(n), now, TIMEOUT), Some(sid(n)));
        let last = NOW + n as u64 + 600_000;
        assert_eq!(new.look_up(key(n), last - 1, TIMEOUT), Some(sid(n)), "its idle time goes on");
        assert_eq!(new.look_up(key(n), last, TIMEOUT), None);
    }
    let (late, _) = read(&bytes, &Table::new(1 << 20).unwrap(), NOW + 600_000 + 2499);
    assert_eq!(late, 2500, "what is over stays out");
    assert_eq!(file(&new, now).len(), bytes.len());
}

#[test]
fn broken_files_give_what_verifies_and_say_what_is_wrong() {
    let whole = file(&table(512 * 1024, 2000), NOW);
    let loaded = |bytes: &[u8]| {
        let table = Table::new(512 * 1024).unwrap();
        let (restored, lost) = read(bytes, &table, NOW);
        assert_eq!(table.sessions(NOW, TIMEOUT).count() as u64, restored);
        (restored, lost.map(|l| l.to_string()).unwrap_or_default())
    };
    assert_eq!(loaded(b""), (0, "it is no file of sessions".to_owned()));
    assert_eq!(loaded(&[0; 4096]), (0, "it is no file of sessions".to_owned()));
    let mut foreign = whole.clone();
    foreign[16] = 9;
    assert_eq!(loaded(&foreign), (0, "it is of version 9, which this program does not know".to_owned()));
    let mut seen = std::collections::BTreeSet::new();
    for cut in (0..whole.len()).step_by(997) {
        let (restored, why) = loaded(&whole[..cut]);
        assert!(restored < 2000 || cut > whole.len() - Digest::LEN, "{cut}: {restored}");
        assert!(!why.is_empty(), "{cut}");
        seen.insert(restored);
    }
    assert!(seen.len() > 4, "the blocks before the cut are kept: {seen:?}");
    for at in (0..whole.len()).step_by(991) {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        let (restored, why) = loaded(&bad);
        assert!(restored <= 2000 && !why.is_empty(), "byte {at}: {restored} {why}");
    }
}

#[test]
fn a_full_disk_is_an_error_and_no_more() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.0);
            self.0 -= n;
            if n == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(n) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let table = table(64 * 1024, 500);
    for room in [0, 10, 100, 5000] {
        let e = write_snapshot("z", &table, NOW, TIMEOUT, &mut Full(room)).expect_err("it is full");
        assert_eq!(e.kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn a_table_that_is_nine_tenths_full_comes_back_whole() {
    let room = Table::new(4 << 20).unwrap().capacity();
    let (old, now) = (table(4 << 20, room * 88 / 100), NOW + 100_000);
    let held = old.sessions(now, TIMEOUT).count();
    assert!(held >= room * 87 / 100, "{held} of {room}");
    let new = Table::new(4 << 20).unwrap();
    assert_eq!(read(&file(&old, now), &new, now).0, held as u64);
    let back = new.sessions(now, TIMEOUT).count();
    assert!(back * 1000 >= held * 999, "{back} of {held}");
}

#[test]
fn a_smaller_table_keeps_those_used_last() {
    let big = table(1 << 20, 10_000);
    let small = Table::new(128 * 1024).unwrap();
    let now = NOW + 20_000;
    for session in big.sessions(now, TIMEOUT) {
        small.restore(session, now, TIMEOUT);
    }
    let kept: Vec<usize> = (0..10_000).filter(|n| small.look_up(key(*n), now, TIMEOUT).is_some()).collect();
    assert!(kept.len() > small.capacity() * 98 / 100, "{} of {}", kept.len(), small.capacity());
    let newest = kept.iter().filter(|n| **n >= 10_000 - small.capacity()).count();
    assert!(newest * 10 > kept.len() * 8, "{newest} of {} are among the newest", kept.len());
    assert!(small.look_up(key(9999), now, TIMEOUT).is_some());
}

#[test]
fn of_two_that_know_a_session_the_later_use_holds() {
    let (a, now) = (table(64 * 1024, 1), NOW + 5000);
    let other = Sid::new(b"other").unwrap();
    let session = a.sessions(now, TIMEOUT).next().unwrap();
    assert!(!a.restore(crate::sticky::Session { sid: other, ..session }, now, TIMEOUT), "not later");
    assert_eq!(a.look_up(key(0), now, TIMEOUT), Some(sid(0)));
    assert!(a.restore(crate::sticky::Session { sid: other, used: NOW + 1, ..session }, now, TIMEOUT));
    assert_eq!(a.look_up(key(0), now, TIMEOUT), Some(other));
    let ahead = crate::sticky::Session { sid: other, used: u64::MAX >> 8, ..session };
    a.restore(ahead, now, TIMEOUT);
    assert_eq!(a.look_up(key(0), now + 600_000, TIMEOUT), None, "no time lies ahead of ours");
}

#[test]
fn a_session_is_given_another_value_only_while_it_has_the_one_it_had() {
    let table = table(64 * 1024, 1);
    let (b, c) = (Sid::new(b"b").unwrap(), Sid::new(b"c").unwrap());
    assert!(!table.adopt(key(0), Some(c), b, NOW, TIMEOUT));
    assert!(!table.adopt(key(0), None, b, NOW, TIMEOUT));
    assert!(table.adopt(key(0), Some(sid(0)), b, NOW, TIMEOUT));
    assert!(table.adopt(key(1), None, c, NOW, TIMEOUT));
    assert_eq!([0, 1].map(|n| table.look_up(key(n), NOW, TIMEOUT)), [Some(b), Some(c)]);
    assert!(table.forget(key(1)) && !table.forget(key(1)));
    assert_eq!(table.learn(key(1), b"c", true, NOW, TIMEOUT), Learned::Created);
    assert!(table.tell(key(1), NOW, 1000), "a new one was never told of");
    assert!(!table.tell(key(1), NOW + 999, 1000) && table.tell(key(1), NOW + 1000, 1000));
    assert!(!table.tell(key(7), NOW, 0), "who is not there is not told of");
}
