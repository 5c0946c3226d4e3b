//! Signed pins. The vectors were made with Python's `hmac`, `hashlib` and `base64` from the table in `seal.rs`.

use proptest::prelude::*;

use super::super::{Pin, PinKey};

const K1: &[u8] = b"0123456789abcdef";
const K2: [u8; 32] = {
    let mut key = [0; 32];
    let mut i = 0;
    while i < 32 {
        key[i] = i as u8;
        i += 1;
    }
    key
};
const SID1: &str = "a44db3549e461fcd8a5ae22f73f91140";
const SID2: &str = "d4515eabe517d737a5750d6f88e0a01e";

fn pin(key: &[u8], upstream: &str, sid: &str, last: i64, first: i64) -> String {
    let scope = PinKey::new(key).unwrap().scope(upstream);
    let mut out = Vec::new();
    scope.write(scope.tag(sid.as_bytes()), last, first, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn pins_are_what_another_hand_makes_of_the_table() {
    for (key, upstream, sid, last, first, expect) in [
        (K1, "u", SID1, 1_795_252_184, 1_795_252_184, "AVsfFWZYZDsvawFf2GsBX9ggS-pq5HT0A6ufOyTDgw4K"),
        (K1, "u", SID2, 1_795_252_184, 1_795_248_584, "ASKZ2o2i7KKLawFf2GsBUciKzxUyk8Kr3Fr0Y4ibR-bx"),
        (&K2, "shop", "s1", 1_795_252_184, 0, "AUzPvoITc75lawFf2AAAAACBmswi1nIBdLAOn7RQW3l4"),
        (&K2, "", "", 4_294_967_295, i64::MAX, "AbG-mEyctc0p__________8koe62eIn3QlVZVW9H8x0g"),
    ] {
        assert_eq!(pin(key, upstream, sid, last, first), expect);
        let read = Pin::read(expect.as_bytes()).unwrap();
        let scope = PinKey::new(key).unwrap().scope(upstream);
        assert!(scope.verify(&read));
        assert_eq!(read.tag(), scope.tag(sid.as_bytes()));
        assert_eq!((read.last(), read.first()), (last, first.min(4_294_967_295)));
    }
    let fingerprints = [K1, &K2].map(|k| PinKey::new(k).unwrap().fingerprint());
    assert_eq!(fingerprints, ["58bed2c24b2606d2", "7f5de2e7c5a04000"]);
}

#[test]
fn a_pin_is_good_for_its_key_and_its_upstream_alone() {
    let text = pin(K1, "u", SID1, 1, 1);
    let read = Pin::read(text.as_bytes()).unwrap();
    for (key, upstream, good) in [(K1, "u", true), (K1, "U", false), (K1, "uu", false), (&K2, "u", false)] {
        assert_eq!(PinKey::new(key).unwrap().scope(upstream).verify(&read), good, "{upstream}");
    }
}

#[test]
fn short_keys_are_none_and_none_is_shown() {
    assert!(PinKey::new(&K1[..15]).is_none());
    let key = PinKey::new(K1).unwrap();
    assert_eq!(format!("{key:?} {:?}", key.scope("u")), "PinKey PinScope");
}

proptest! {
    #[test]
    fn no_other_text_than_the_pin_itself_verifies(at in 0usize..44, byte in any::<u8>(), cut in 0usize..44) {
        let scope = PinKey::new(K1).unwrap().scope("u");
        let good = pin(K1, "u", SID1, 1_795_252_184, 1_795_252_000).into_bytes();
        let mut bad = good.clone();
        bad[at] = byte;
        if bad != good {
            prop_assert!(Pin::read(&bad).is_none_or(|p| !scope.verify(&p)));
        }
        prop_assert!(Pin::read(&good[..cut]).is_none());
        let longer = [&good[..], b"A"].concat();
        prop_assert!(Pin::read(&longer).is_none());
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let scope = PinKey::new(K1).unwrap().scope("u");
        prop_assert!(Pin::read(&bytes).is_none_or(|p| !scope.verify(&p)));
    }

    #[test]
    fn random_text_of_the_right_form_does_not_verify(text in "A[Q-f][A-Za-z0-9_-]{42}") {
        let scope = PinKey::new(K1).unwrap().scope("u");
        prop_assert!(Pin::read(text.as_bytes()).is_none_or(|p| !scope.verify(&p)));
    }

    #[test]
    fn what_is_written_is_read(sid in "[ -~]{0,64}", name in "[a-z.]{0,80}", last in 0i64..1 << 32, first in 0i64..1 << 32) {
        let text = pin(K1, &name, &sid, last, first);
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        let read = Pin::read(text.as_bytes()).unwrap();
        let scope = PinKey::new(K1).unwrap().scope(&name);
        prop_assert!(scope.verify(&read) && read.tag() == scope.tag(sid.as_bytes()));
        prop_assert_eq!((read.last(), read.first()), (last, first));
    }
}
