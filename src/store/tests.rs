//! Notes that wait, and what the answers mean.

use redis::Value;

use super::command::{Names, asked, moved};
use super::dirty::Dirty;
use super::{Asked, Kind, Write};
use crate::sticky::{Key, Sid};

fn write(n: usize, sid: &str, kind: Kind) -> Write {
    Write { key: Key::of(n.to_string().as_bytes()), sid: Sid::new(sid.as_bytes()).unwrap(), kind }
}

#[test]
fn a_session_has_one_note_the_heaviest_with_the_newest_value() {
    let mut dirty = Dirty::default();
    for note in [
        write(1, "a", Kind::New),
        write(2, "a", Kind::Touch),
        write(1, "a", Kind::Touch),
        write(2, "b", Kind::Touch),
        write(3, "a", Kind::Put),
        write(3, "a", Kind::New),
    ] {
        dirty.add(note);
    }
    let all = [write(1, "a", Kind::New), write(2, "b", Kind::Put), write(3, "a", Kind::Put)];
    assert_eq!(dirty.take(9), all);
    dirty.add(write(2, "c", Kind::Touch));
    dirty.give_back(all.to_vec());
    assert!(dirty.has(all[0].key));
    assert_eq!(dirty.take(2), [all[0], all[2]], "what came back goes first");
    assert_eq!(dirty.take(2), [write(2, "c", Kind::Put)], "and news of a session holds");
    assert_eq!((dirty.len(), dirty.dropped()), (0, 0));
}

#[test]
fn of_too_many_the_oldest_go() {
    let mut dirty = Dirty::default();
    (0..Dirty::MOST + 10).for_each(|n| dirty.add(write(n, "a", Kind::New)));
    assert_eq!((dirty.len(), dirty.dropped(), dirty.dropped()), (Dirty::MOST, 10, 0));
    assert_eq!(dirty.take(1), [write(10, "a", Kind::New)]);
    dirty.give_back(vec![write(8, "a", Kind::New), write(9, "a", Kind::New)]);
    assert_eq!((dirty.len(), dirty.dropped()), (Dirty::MOST, 1));
}

#[test]
fn values_that_are_no_peers_are_none() {
    let sid = Sid::new(b"one").unwrap();
    assert_eq!(asked(&Value::BulkString(b"one".to_vec())), Asked::Known(sid));
    for text in [&b""[..], &[b'x'; 33]] {
        assert_eq!(asked(&Value::BulkString(text.to_vec())), Asked::Unknown);
    }
    assert_eq!(asked(&Value::Nil), Asked::Unknown);
    assert_eq!(asked(&Value::Int(1)), Asked::Away);
    let key = Key::of(b"a");
    assert_eq!(moved(&[&key.to_bytes()[..], b"one"].concat()), Some((key, Some(sid))));
    assert_eq!((moved(&key.to_bytes()), moved(b"short")), (Some((key, None)), None));
    assert_eq!(Names::new("z").key(key), "z:0cc175b9c0f1b6a831c399e269772661");
}
