//! What holds for any cookie line.

use proptest::prelude::*;

use super::*;

/// Lines that a client may send, ours among them in every form.
fn line() -> impl Strategy<Value = String> {
    let pair = prop_oneof![
        "[a-z]{1,6}=[a-zA-Z0-9~|=]{0,8}",
        "route=[a-z0-9~|]{0,6}",
        "[a-z]{0,3}route[a-z]{0,3}=[a-z]{0,3}",
        Just("route".to_owned()),
        "[ \t]{0,2}",
        Just(format!("route={SID1}")),
        Just(format!("route = {SID2} ")),
    ];
    proptest::collection::vec(pair, 0..6).prop_flat_map(|pairs| {
        prop_oneof![Just("; "), Just(";"), Just(" ;  ")].prop_map(move |sep| pairs.join(sep))
    })
}

fn names(line: &str) -> Vec<(String, Option<String>)> {
    line.split(';')
        .map(|p| p.trim_matches([' ', '\t']))
        .filter(|p| !p.is_empty())
        .map(|p| match p.split_once('=') {
            Some((n, v)) => {
                (n.trim_matches([' ', '\t']).to_owned(), Some(v.trim_matches([' ', '\t']).to_owned()))
            }
            None => (p.to_owned(), None),
        })
        .collect()
}

proptest! {
    #[test]
    fn hiding_leaves_a_well_formed_line_of_all_the_others(line in line()) {
        let up = tengine(|s| s.indirect = true);
        let mut out = Vec::new();
        let change = hide(&[&up], line.as_bytes(), &mut out);
        let all = names(&line);
        let others: Vec<_> = all.iter().filter(|(n, v)| n != "route" || v.is_none()).cloned().collect();
        match change {
            Change::Keep => prop_assert_eq!(others.len(), all.len()),
            Change::Drop => prop_assert!(others.is_empty() && out.is_empty()),
            Change::Replace => {
                let left = String::from_utf8(out).unwrap();
                prop_assert!(!left.is_empty() && !left.ends_with([';', ' ']) && !left.starts_with([';', ' ']));
                prop_assert!(!left.contains(";;") && !left.contains(";  "));
                prop_assert_eq!(names(&left), others);
            }
        }
    }

    #[test]
    fn a_pin_comes_from_a_cookie_of_the_very_name(line in line()) {
        let up = tengine(|_| {});
        let expect = names(&line).into_iter().find_map(|(n, v)| match v.as_deref() {
            Some(v) if n == "route" && v == SID1 => Some(1),
            Some(v) if n == "route" && v == SID2 => Some(2),
            _ => None,
        });
        prop_assert_eq!(pin(&up, &line), expect);
    }

    #[test]
    fn every_cookie_that_is_issued_is_accepted_back(
        mode in 0usize..3,
        md5: bool,
        timed: bool,
        peer in 1u32..4,
        id in "[!-:<-}]{1,20}",
        value in "[a-z0-9]{1,8}",
        later in 0i64..60,
    ) {
        let mode = [StickyMode::Insert, StickyMode::Rewrite, StickyMode::Prefix][mode];
        // A `~` ends the value in prefix mode, a `"` or `=` is no matter.
        let id = format!("x{id}");
        let s = session(|s| {
            (s.mode, s.md5) = (mode, md5);
            s.maxidle = (timed && mode == StickyMode::Insert).then_some(60);
        });
        let with_id = format!("127.0.0.1:18103 id={id}");
        let up = upstream(&["127.0.0.1:18101", "unix:/run/a.sock", &with_id], Sticky::Tengine(s));
        let backend = format!("route={value}; HttpOnly");
        let sent = fields(&up, &ask(&up, &[]), peer, 200, &[&backend]);
        let ours = sent.last().unwrap().split(';').next().unwrap();
        let back = read(&up, [ours.as_bytes()], NOW + later);
        prop_assert_eq!(back.pin(), Some(PeerId(peer - 1)), "{}", ours);
        prop_assert_eq!(back.status(back.pin(), Own::Open), Status::Hit);
        let mut out = Vec::new();
        if mode == StickyMode::Prefix {
            prop_assert_eq!(hide(&[&up], ours.as_bytes(), &mut out), Change::Replace);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("route={value}"));
        }
    }

    #[test]
    fn no_other_bytes_than_the_pin_s_mean_a_peer_where_pins_are_signed(
        mode in 0usize..3,
        peer in 1u32..3,
        at in 0usize..44,
        byte in any::<u8>(),
        noise in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mode = [StickyMode::Insert, StickyMode::Rewrite, StickyMode::Prefix][mode];
        let up = signed(tengine(|s| s.mode = mode));
        let mut pin = Vec::new();
        super::super::value(&up, PeerId(peer - 1), (NOW, NOW), &mut pin);
        let tail: &[u8] = if mode == StickyMode::Prefix { b"~app" } else { b"" };
        let asked = |pin: &[u8]| read(&up, [&[b"route=", pin, tail].concat()[..]], NOW);
        prop_assert_eq!(asked(&pin).pin(), Some(PeerId(peer - 1)));
        let mut bad = pin.clone();
        bad[at] = byte;
        if bad != pin {
            prop_assert_eq!(asked(&bad).pin(), None);
            prop_assert!(!asked(&bad).refused());
        }
        prop_assert_eq!(asked(&noise).pin(), None);
        prop_assert_eq!(asked(SID1.as_bytes()).pin(), None, "an unsigned value is nobody's");
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for up in [
            tengine(|s| s.indirect = true),
            tengine(|s| s.mode = StickyMode::Prefix),
            tengine(|s| s.maxidle = Some(1)),
            signed(tengine(|s| s.mode = StickyMode::Prefix)),
            accepting(tengine(|s| s.maxidle = Some(1))),
        ] {
            let t = read(&up, [&bytes[..]], NOW);
            let mut out = Vec::new();
            hide(&[&up], &bytes, &mut out);
            Answer::new(&up, &t, PeerId(0), 200, true, NOW).relay(&bytes, &mut out);
        }
    }
}
