//! What answers carry, byte for byte as Tengine 3.2 and nginx 1.31.5 were seen to send it.

use serde_json::Value;

use super::*;

fn text<'v>(row: &'v Value, name: &str) -> &'v str {
    row[name].as_str().unwrap_or_else(|| panic!("{name} in {row}"))
}

/// The value between `=` and the first `;` or `|` or `~` of a cookie.
fn sid_of(cookie: &str) -> &str {
    cookie.split_once('=').unwrap().1.split([';', '|', '~']).next().unwrap()
}

fn peer_of(upstream: &Upstream, cookie: &str) -> u32 {
    let sid = sid_of(cookie);
    upstream.sids.iter().position(|s| **s == *sid.as_bytes()).unwrap() as u32 + 1
}

fn set(s: &mut SessionSticky, words: &str) {
    for word in words.split(' ') {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "insert" => s.mode = StickyMode::Insert,
            "rewrite" => s.mode = StickyMode::Rewrite,
            "prefix" => s.mode = StickyMode::Prefix,
            "maxidle" => s.maxidle = Some(value.parse().unwrap()),
            "maxlife" => s.maxlife = Some(value.parse().unwrap()),
            "maxage" => s.maxage = Some(value.parse().unwrap()),
            "domain" => s.domain = Some(value.as_bytes().into()),
            "path" => s.path = Some(value.as_bytes().into()),
            _ => panic!("{word}"),
        }
    }
}

#[test]
fn session_sticky_says_what_tengine_says() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("../../../fixtures/vectors/session_sticky.json")).unwrap();
    let mut cookies = 0;
    for row in &rows {
        if row["sid"].is_string() {
            let up = upstream(&[text(row, "server")], Sticky::Tengine(session(|_| {})));
            assert_eq!(
                (&*up.peers[0].name, &*up.sids[0]),
                (text(row, "peer_name"), text(row, "sid").as_bytes())
            );
            continue;
        }
        cookies += 1;
        let expect = text(row, "set_cookie");
        let name = expect.split('=').next().unwrap();
        let mut up = tengine(|s| {
            set(s, text(row, "mode"));
            s.cookie = name.as_bytes().into();
        });
        if let Some(server) = row["server"].as_str() {
            up = upstream(&[server], up.sticky.map(settings_of).unwrap());
        }
        let now = row["now"].as_i64().unwrap_or(NOW);
        let lines: Vec<&[u8]> = row["request_cookie"]
            .as_str()
            .map(|c| c.trim_start_matches("Cookie: ").as_bytes())
            .into_iter()
            .collect();
        let ticket = read(&up, lines, now);
        let mut answer = Answer::new(&up, &ticket, PeerId(peer_of(&up, expect) - 1), 200, true, now);
        let mut out = Vec::new();
        match row["backend_set_cookie"].as_str() {
            Some(backend) => assert_eq!(answer.relay(backend.as_bytes(), &mut out), Change::Replace),
            None => assert!(answer.issue(|_, _| {}, &mut out), "{row}"),
        }
        assert_eq!(String::from_utf8(out).unwrap(), expect, "{row}");
    }
    assert!(cookies >= 4);
}

fn settings_of(s: crate::plan::Sticky) -> Sticky {
    match s {
        crate::plan::Sticky::Tengine(s) => Sticky::Tengine(s),
        _ => panic!("not here"),
    }
}

#[test]
fn sticky_cookie_insert_says_what_nginx_says() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("../../../fixtures/vectors/sticky_cookie.json")).unwrap();
    let mut cookies = 0;
    for row in &rows {
        let Some(conf) = row["conf"].as_str() else {
            let up = upstream(&[text(row, "server")], Sticky::Cookie(cookie_insert()));
            if row["peer_name"].is_string() {
                assert_eq!(&*up.sids[0], text(row, "sid").as_bytes(), "{row}");
            }
            continue;
        };
        let mut c = cookie_insert();
        for word in conf.split("  ").next().unwrap().split(' ').skip(3) {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            // The row with variables was asked with `Host: x` and `?s=bad`.
            let value = value.replace("$host", "x").replace("$arg_s", "bad");
            match name {
                "expires" if value == "max" => c.expires = StickyExpires::Max,
                "expires" => c.expires = StickyExpires::Seconds(3600),
                "domain" => c.domain = Some(value.as_bytes().into()),
                "path" => c.path = Some(value.as_bytes().into()),
                "samesite" => c.samesite = Some(value.as_bytes().into()),
                "httponly" => c.httponly = true,
                "secure" => c.secure = true,
                _ => panic!("{word}"),
            }
        }
        let up = upstream(&["127.0.0.1:18101", "127.0.0.1:18102"], Sticky::Cookie(c));
        let expect = text(row, "set_cookie");
        let now = crate::values::cookie_date(b"Sat, 21-Nov-26 10:13:40 GMT").unwrap() - 3600;
        let peer = PeerId(peer_of(&up, expect) - 1);
        let mut answer = Answer::new(&up, &ask(&up, &[]), peer, 200, false, now);
        let mut out = Vec::new();
        assert!(answer.issue(|t, out| out.extend_from_slice(t.as_text().unwrap()), &mut out));
        assert_eq!(String::from_utf8(out).unwrap(), expect);
        cookies += 1;
    }
    assert!(cookies >= 3);
}

#[test]
fn a_cookie_goes_out_when_the_peer_is_new_and_the_status_is_good() {
    let up = tengine(|_| {});
    let new = format!("route={SID1}; Path=/");
    for status in [200, 201, 204, 206, 301, 304] {
        assert_eq!(fields(&up, &ask(&up, &[]), 1, status, &["a=1"]), ["a=1", &new]);
    }
    for status in [400, 404, 500, 502] {
        assert_eq!(fields(&up, &ask(&up, &[]), 1, status, &["a=1"]), ["a=1"]);
    }
    let line = format!("route={SID1}");
    assert!(fields(&up, &ask(&up, &[&line]), 1, 200, &[]).is_empty());
    let moved = format!("route={SID2}; Path=/");
    assert_eq!(fields(&up, &ask(&up, &[&line]), 2, 200, &[]), [moved]);
}

#[test]
fn with_maxidle_every_answer_renews_the_cookie_and_keeps_when_it_began() {
    let up = tengine(|s| (s.maxidle, s.maxage) = (Some(60), Some(5)));
    let began = NOW - 50;
    let line = format!("route={SID1}|{}|{began}", NOW - 10);
    let t = ask(&up, &[&line]);
    assert_eq!(fields(&up, &t, 1, 200, &[]), [format!("route={SID1}|{NOW}|{began}; Path=/")]);
    assert_eq!(fields(&up, &t, 2, 200, &[]), [format!("route={SID2}|{NOW}|{began}; Path=/")]);
    let expired = ask(&up, &[&format!("route={SID1}|1|1")]);
    assert_eq!(fields(&up, &expired, 2, 200, &[]), [format!("route={SID2}|{NOW}|{NOW}; Path=/")]);
}

#[test]
fn prefix_and_rewrite_change_every_cookie_of_the_name_and_no_other() {
    let backend = ["JSID=1; Path=/", "SID=a; Path=/", "x=SID", "SID=b", "sid=c"];
    let up = tengine(|s| (s.mode, s.cookie) = (StickyMode::Prefix, (*b"SID").into()));
    let expect =
        ["JSID=1; Path=/", &format!("SID={SID1}~a; Path=/"), "x=SID", &format!("SID={SID1}~b"), "sid=c"];
    assert_eq!(fields(&up, &ask(&up, &[]), 1, 200, &backend), expect);
    assert_eq!(fields(&up, &ask(&up, &[]), 1, 404, &backend), expect, "errors as well");
    let up = tengine(|s| (s.mode, s.cookie) = (StickyMode::Rewrite, (*b"SID").into()));
    let expect = ["JSID=1; Path=/", &format!("SID={SID1}; Path=/"), "x=SID", &format!("SID={SID1}"), "sid=c"];
    assert_eq!(fields(&up, &ask(&up, &[]), 1, 200, &backend), expect);
    let empty = ["SID=; Path=/", "SID; HttpOnly"];
    let expect = [format!("SID={SID1}; Path=/"), format!("SID={SID1}; HttpOnly")];
    assert_eq!(fields(&up, &ask(&up, &[]), 1, 200, &empty), expect);
}

#[test]
fn with_indirect_only_a_cookie_of_the_very_name_makes_room_for_ours() {
    let up = tengine(|s| (s.indirect, s.cookie) = (true, (*b"uid").into()));
    let ours = format!("uid={SID1}; Path=/");
    assert_eq!(
        fields(&up, &ask(&up, &[]), 1, 200, &["xuid2=abc", "uid=theirs; Path=/x"]),
        ["xuid2=abc", &ours]
    );
    let line = format!("uid={SID1}");
    assert_eq!(fields(&up, &ask(&up, &[&line]), 1, 200, &["uid=theirs"]), ["uid=theirs"]);
}

#[test]
fn sticky_cookie_insert_goes_before_the_backend_s_cookies_on_every_answer() {
    let up = upstream(&["127.0.0.1:18101"], Sticky::Cookie(cookie_insert()));
    let ours = format!("srv_id={SID1}");
    for status in [200, 404, 502] {
        assert_eq!(fields(&up, &ask(&up, &[&ours]), 1, status, &["a=1"]), [&*ours, "a=1"]);
    }
}
