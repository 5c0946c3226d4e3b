//! `session_sticky` as clients and backends see it, byte by byte.

use std::collections::BTreeMap;
use std::io::Write;

use crate::support::client::{Client, Response, get, get_with};
use crate::support::daemon::Daemon;
use crate::support::origin::Origin;

/// A front over `origins` with these lines in the upstream and in the location.
fn front(origins: &[&Origin], upstream: &str, location: &str) -> Daemon {
    let servers: String = origins.iter().map(|o| format!("server {};\n", o.addr())).collect();
    front_with(&servers, upstream, location)
}

fn front_with(servers: &str, upstream: &str, location: &str) -> Daemon {
    Daemon::start(&format!(
        "pid tenrec.pid; error_log error.log info;\nevents {{ }}\nhttp {{\n\
         log_format s '$status $upstream_addr $upstream_status';\naccess_log access.log s;\n\
         upstream u {{\n{servers}\n{upstream}\n}}\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ {location} proxy_pass http://u; }} }}\n}}\n"
    ))
}

fn with_cookie(daemon: &Daemon, cookie: &str) -> Response {
    get_with(daemon.port(8080), "/", &format!("Cookie: {cookie}\r\n"))
}

fn md5(text: &str) -> String {
    use md5::Digest;
    md5::Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// A backend that answers with its name and this field.
fn setting(name: &str, field: &str) -> Origin {
    let answer =
        format!("HTTP/1.1 200 OK\r\nX-App: 1\r\n{field}\r\nContent-Length: {}\r\n\r\n{name}", name.len());
    Origin::sends(answer, true)
}

#[test]
fn the_cookie_is_tengines_and_comes_once() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let daemon = front(&[&a, &b], "session_sticky;", "");
    let first = get(daemon.port(8080), "/");
    let peer = if first.text() == "a" { a.addr() } else { b.addr() };
    assert_eq!(first.header("Set-Cookie").unwrap(), format!("route={}; Path=/", md5(&peer)));
    let again = with_cookie(&daemon, &format!("route={}", md5(&peer)));
    assert_eq!((again.text(), again.header("Set-Cookie")), (first.text(), None));
}

#[test]
fn a_cookie_that_tengine_or_nginx_issued_goes_on_here() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let daemon = front(&[&a, &b], "session_sticky cookie=s;", "");
    for origin in [&a, &b] {
        for _ in 0..5 {
            let answer = with_cookie(&daemon, &format!("s={}", md5(&origin.addr())));
            assert_eq!(answer.header("Set-Cookie"), None);
            assert_eq!(answer.text(), if origin.port() == a.port() { "a" } else { "b" });
        }
    }
}

#[test]
fn domain_path_and_maxage_stand_in_tengines_order() {
    let a = Origin::says("a");
    let daemon = front(&[&a], "session_sticky cookie=s domain=example.com path=/shop maxage=3600;", "");
    let set = get(daemon.port(8080), "/").header("Set-Cookie").unwrap();
    let head = format!("s={}; Domain=example.com; Path=/shop; Max-Age=3600; Expires=", md5(&a.addr()));
    let expires = set.strip_prefix(&head).unwrap_or_else(|| panic!("{set}"));
    // `Sat, 21-Nov-26 09:11:44 GMT`
    assert_eq!(
        (expires.len(), &expires[7..8], &expires[11..12], &expires[24..]),
        (27, "-", "-", "GMT"),
        "{set}"
    );
}

#[test]
fn hash_plain_uses_the_id_or_the_address() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let servers = format!("server {} id=alpha; server {};", a.addr(), b.addr());
    let daemon = front_with(&servers, "session_sticky hash=plain;", "");
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        let answer = get(daemon.port(8080), "/");
        seen.insert(answer.text(), answer.cookie("route").unwrap());
    }
    assert_eq!(seen["a"], "route=alpha");
    assert_eq!(seen["b"], format!("route={}", b.addr()));
    assert_eq!(with_cookie(&daemon, "route=alpha").text(), "a");
}

#[test]
fn names_are_compared_whole() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let daemon = front(&[&a, &b], "session_sticky cookie=route;", "");
    let (to_a, to_b) = (md5(&a.addr()), md5(&b.addr()));
    for cookie in [
        format!("xroute={to_a}; route={to_b}"),
        format!("a=route={to_a}; route={to_b}"),
        format!("route2={to_a}; route={to_b}"),
        format!("route={to_b} ; x=1"),
        format!("x=1;route = {to_b}"),
        format!("Route={to_a}; route={to_b}"),
    ] {
        for _ in 0..3 {
            let answer = with_cookie(&daemon, &cookie);
            assert_eq!((answer.text(), answer.header("Set-Cookie")), ("b".to_owned(), None), "{cookie}");
        }
    }
    let lines = get_with(daemon.port(8080), "/", &format!("Cookie: x=1\r\nCookie: route={to_b}\r\n"));
    assert_eq!((lines.text(), lines.header("Set-Cookie")), ("b".to_owned(), None), "a second Cookie line");
}

#[test]
fn hiding_rebuilds_the_field_and_drops_it_when_empty() {
    let a = Origin::says("a");
    let daemon = front(&[&a], "session_sticky option=indirect;", "session_sticky_hide_cookie upstream=u;");
    let pin = format!("route={}", md5(&a.addr()));
    for (sent, received) in [
        (pin.clone(), None),
        (format!("a=1; {pin}; b=2"), Some("a=1; b=2")),
        (format!("a=1; {pin}"), Some("a=1")),
        (format!("{pin}; b=2"), Some("b=2")),
        (format!("a=1;{pin};  b=2"), Some("a=1; b=2")),
        (format!("xroute=1; {pin}"), Some("xroute=1")),
        ("a=1; b=2".to_owned(), Some("a=1; b=2")),
    ] {
        with_cookie(&daemon, &sent);
        assert_eq!(a.last().header("Cookie"), received, "{sent}");
    }
}

#[test]
fn maxidle_and_maxlife_date_the_cookie_and_end_it() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let daemon = front(&[&a, &b], "session_sticky maxidle=60 maxlife=3600;", "");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let value = |last: u64, first: u64| format!("route={}|{last}|{first}", md5(&b.addr()));

    let fresh = with_cookie(&daemon, &value(now - 30, now - 1000));
    assert_eq!(fresh.text(), "b");
    let pin = fresh.cookie("route").unwrap();
    let parts: Vec<&str> = pin.split('|').collect();
    assert_eq!(parts[2], (now - 1000).to_string(), "the first visit stays: {pin}");
    assert!(parts[1].parse::<u64>().unwrap() >= now, "the last visit moves: {pin}");

    // A cookie from before `maxidle` was turned on has no dates: it is honoured, and dated from now on.
    let undated = with_cookie(&daemon, &format!("route={}", md5(&b.addr())));
    assert_eq!(undated.text(), "b");
    assert_eq!(undated.cookie("route").unwrap().split('|').count(), 3);

    for stale in [value(now - 100, now - 1000), value(now - 30, now - 4000)] {
        let texts: Vec<String> = (0..4).map(|_| with_cookie(&daemon, &stale).text()).collect();
        assert!(texts.contains(&"a".to_owned()), "{stale} is balanced: {texts:?}");
        let pin = with_cookie(&daemon, &stale).cookie("route").unwrap();
        let first: u64 = pin.rsplit('|').next().unwrap().parse().unwrap();
        assert!(first >= now, "a new life: {pin}");
    }
}

#[test]
fn rewrite_puts_the_peer_into_the_applications_cookie() {
    let a = setting("a", "Set-Cookie: other=1; Path=/o\r\nSet-Cookie: SID=secret; Path=/app; HttpOnly");
    let daemon = front(&[&a], "session_sticky cookie=SID mode=rewrite;", "");
    let answer = get(daemon.port(8080), "/");
    let set: Vec<&str> = answer.all("Set-Cookie").collect();
    assert_eq!(set, ["other=1; Path=/o".to_owned(), format!("SID={}; Path=/app; HttpOnly", md5(&a.addr()))]);
    let silent = Origin::says("s");
    let daemon = front(&[&silent], "session_sticky cookie=SID mode=rewrite;", "");
    assert_eq!(
        get(daemon.port(8080), "/").header("Set-Cookie"),
        None,
        "no cookie of the backend: no session"
    );
}

#[test]
fn prefix_goes_before_the_applications_value_and_is_gone_before_the_backend() {
    let (a, b) = (setting("a", "Set-Cookie: SID=va; Path=/"), setting("b", "Set-Cookie: SID=vb; Path=/"));
    let daemon =
        front(&[&a, &b], "session_sticky cookie=SID mode=prefix;", "session_sticky_hide_cookie upstream=u;");
    let first = get(daemon.port(8080), "/");
    let (origin, value) = if first.text() == "a" { (&a, "va") } else { (&b, "vb") };
    let pin = first.cookie("SID").unwrap();
    assert_eq!(pin, format!("SID={}~{value}", md5(&origin.addr())));
    for _ in 0..4 {
        assert_eq!(with_cookie(&daemon, &format!("x=1; {pin}")).text(), first.text());
        assert_eq!(origin.last().header("Cookie"), Some(format!("x=1; SID={value}").as_str()));
    }
}

#[test]
fn no_cookie_goes_with_an_error_of_the_backend() {
    for (status, expected) in [(200, true), (201, true), (302, true), (404, false), (500, false)] {
        let a = Origin::sends(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"), true);
        let daemon = front(&[&a], "session_sticky;", "");
        let answer = get(daemon.port(8080), "/");
        assert_eq!((answer.status, answer.header("Set-Cookie").is_some()), (status, expected));
    }
}

#[test]
fn a_dead_peers_sessions_move_and_it_is_not_dialled_for_each_of_them() {
    let alive = Origin::says("alive");
    let dead = Origin::new(|_, _| false);
    let servers = format!("server {} fail_timeout=60s; server {};", dead.addr(), alive.addr());
    let daemon = front_with(&servers, "session_sticky;", "");
    let pin = format!("route={}", md5(&dead.addr()));
    for i in 0..10 {
        let answer = with_cookie(&daemon, &pin);
        assert_eq!(answer.text(), "alive");
        let moved = format!("route={}", md5(&alive.addr()));
        assert_eq!(answer.cookie("route").as_deref(), Some(moved.as_str()), "request {i}");
    }
    assert_eq!(dead.seen().len(), 1, "dialled once, then known to be dead");
}

#[test]
fn a_down_peer_is_never_asked() {
    let (alive, down) = (Origin::says("alive"), Origin::says("down"));
    let servers = format!("server {} down; server {};", down.addr(), alive.addr());
    let pin = format!("route={}", md5(&down.addr()));
    let daemon = front_with(&servers, "session_sticky;", "");
    assert_eq!(with_cookie(&daemon, &pin).text(), "alive");
    let strict = front_with(&servers, "session_sticky fallback=off;", "");
    assert_eq!(with_cookie(&strict, &pin).status, 502);
    assert!(down.seen().is_empty());
}

#[test]
fn fallback_off_refuses_an_unknown_pin_and_takes_it_away() {
    let a = Origin::says("a");
    let daemon = front(&[&a], "session_sticky fallback=off path=/p domain=d.example;", "");
    assert_eq!(get(daemon.port(8080), "/").status, 200, "a first visit is balanced");
    let refused = with_cookie(&daemon, "route=deadbeef");
    assert_eq!(refused.status, 502);
    let set = refused.header("Set-Cookie").expect("the answer takes the cookie away");
    assert!(set.starts_with("route=; ") && set.contains("Max-Age=0") && set.contains("Path=/p"), "{set}");
    assert!(set.contains("Domain=d.example"), "{set}");
    assert_eq!(a.seen().len(), 1);
}

#[test]
fn fallback_off_keeps_the_cookie_of_a_peer_that_is_only_away() {
    let dead = Origin::new(|_, _| false);
    let alive = Origin::says("alive");
    let servers = format!("server {}; server {};", dead.addr(), alive.addr());
    let daemon = front_with(&servers, "session_sticky fallback=off;", "");
    let answer = with_cookie(&daemon, &format!("route={}", md5(&dead.addr())));
    assert_eq!((answer.status, answer.header("Set-Cookie")), (502, None));
    assert!(alive.seen().is_empty(), "strict: nobody else is asked");
}

#[test]
fn a_failed_first_attempt_pins_to_the_peer_that_answered() {
    let dead = Origin::new(|_, _| false);
    let alive = Origin::says("alive");
    let daemon = front(&[&dead, &alive], "session_sticky;", "");
    for _ in 0..3 {
        let answer = get(daemon.port(8080), "/");
        assert_eq!(answer.cookie("route"), Some(format!("route={}", md5(&alive.addr()))));
    }
}

#[test]
fn a_websocket_goes_to_its_session() {
    let echo = |name: &'static str| {
        Origin::new(move |_, out| {
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Name: {name}\r\n\r\n"
            );
            let mut buf = [0; 4];
            let read = out.write_all(head.as_bytes()).and_then(|()| std::io::Read::read_exact(out, &mut buf));
            let _ = read.and_then(|()| out.write_all(&buf));
            false
        })
    };
    let (a, b) = (echo("a"), echo("b"));
    let daemon = front(
        &[&a, &b],
        "session_sticky;",
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;",
    );
    for _ in 0..4 {
        let mut client = Client::connect(daemon.port(8080));
        client.send(format!(
            "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: route={}\r\n\r\n",
            md5(&b.addr())
        ));
        let answer = client.response();
        assert_eq!((answer.status, answer.header("X-Name").as_deref()), (101, Some("b")));
        assert_eq!(client.send("ping").rest(), b"ping");
    }
}

/// An address of 127.0.0.1 at which nobody listens.
fn nobody() -> String {
    let port = crate::support::daemon::free_port();
    format!("127.0.0.1:{port}")
}

#[test]
fn nginxs_cookie_goes_with_the_proxys_own_error_too() {
    let (gone, alive) = (nobody(), Origin::says("alive"));
    let daemon = front_with(&format!("server {gone};"), "sticky_cookie_insert s;", "");
    let answer = get(daemon.port(8080), "/");
    assert_eq!((answer.status, answer.cookie("s")), (502, Some(format!("s={}", md5(&gone)))));

    let servers = format!("server {gone} max_fails=0; server {} max_fails=0;", alive.addr());
    let daemon = front_with(&servers, "sticky cookie s path=/x;", "");
    for _ in 0..3 {
        let answer = get(daemon.port(8080), "/");
        let set: Vec<&str> = answer.all("Set-Cookie").collect();
        assert_eq!(set, [format!("s={}; path=/x", md5(&alive.addr()))], "one cookie, of the last peer");
    }
    let daemon = front_with(&format!("server {gone} down;"), "sticky cookie s;", "");
    let answer = get(daemon.port(8080), "/");
    assert_eq!((answer.status, answer.header("Set-Cookie")), (502, None), "nobody was chosen");
}

#[test]
fn a_peer_that_refuses_is_disabled_while_connecting() {
    let (gone, alive) = (nobody(), Origin::says("alive"));
    let daemon = front_with(&format!("server {gone}; server {};", alive.addr()), "", "");
    assert_eq!(get(daemon.port(8080), "/").text(), "alive");
    daemon.logged("error.log", "upstream server temporarily disabled while connecting to upstream,");
    let next = "proxy_next_upstream http_503;";
    let busy = Origin::sends("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", true);
    let daemon = front(&[&busy, &alive], "", next);
    assert_eq!(get(daemon.port(8080), "/").text(), "alive");
    let while_reading = "upstream server temporarily disabled while reading response header from upstream,";
    daemon.logged("error.log", while_reading);
}

#[test]
fn a_location_hides_what_it_names_and_leaves_other_sessions_alone() {
    let (x, y) = (Origin::says("x"), Origin::says("y"));
    let daemon = Daemon::start(&format!(
        "pid tenrec.pid; error_log error.log info;\nevents {{ }}\nhttp {{ access_log off;\n\
         upstream x {{ session_sticky cookie=SX option=indirect; server {}; }}\n\
         upstream y {{ session_sticky cookie=SXY; server {}; }}\n\
         server {{ listen 127.0.0.1:%%8080%%; session_sticky_hide_cookie upstream=x;\n\
         location / {{ proxy_pass http://y; }}\n\
         location /x {{ proxy_pass http://x; }}\n\
         location /static {{ return 200 static; }} }}\n}}\n",
        x.addr(),
        y.addr()
    ));
    let (in_x, in_y) = (format!("SX={}", md5(&x.addr())), format!("SXY={}", md5(&y.addr())));
    let both = format!("a=1; {in_x}; {in_y}; ASX=2");
    let answer = with_cookie(&daemon, &both);
    assert_eq!((answer.text(), answer.header("Set-Cookie")), ("y".to_owned(), None));
    assert_eq!(y.last().header("Cookie"), Some(format!("a=1; {in_y}; ASX=2").as_str()));
    let answer = with_cookie(&daemon, &in_x);
    assert_eq!(answer.cookie("SXY"), Some(in_y.clone()), "its own cookie, under its own name");
    assert_eq!((answer.cookie("SX"), y.last().header("Cookie")), (None, None));
    for cookie in ["", "SX=1"] {
        let field = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        let answer = get_with(daemon.port(8080), "/static", &field);
        assert_eq!((answer.text(), answer.header("Set-Cookie")), ("static".to_owned(), None));
    }
}

/// A backend that answers with its name and, when the path is `/in`, opens this session.
fn opening(name: &'static str, session: &'static str) -> Origin {
    Origin::new(move |request, out| {
        let cookie = match request.path() {
            "/in" => format!("Set-Cookie: sid={session}; Path=/\r\n"),
            _ => String::new(),
        };
        let head = format!("HTTP/1.1 200 OK\r\n{cookie}Content-Length: {}\r\n\r\n{name}", name.len());
        out.write_all(head.as_bytes()).is_ok()
    })
}

fn at(daemon: &Daemon, path: &str, cookie: &str) -> Response {
    get_with(daemon.port(8080), path, &format!("Cookie: {cookie}\r\n"))
}

#[test]
fn a_session_that_a_backend_opened_is_learned_and_outlives_a_reload() {
    let (a, b) = (opening("a", "of-a"), opening("b", "of-b"));
    let learn = "sticky learn create=$upstream_cookie_sid create=$arg_new lookup=$cookie_sid lookup=$arg_sid \
                 zone=z:32k timeout=1h;";
    let daemon = front(&[&a, &b], learn, "");
    for path in ["/in", "/in"] {
        get(daemon.port(8080), path);
    }
    let stays = |daemon: &Daemon| {
        for (session, name) in [("of-a", "a"), ("of-b", "b"), ("of-b", "b"), ("of-a", "a"), ("of-a", "a")] {
            let answer = at(daemon, "/", &format!("SID={session}"));
            assert_eq!((answer.text(), answer.header("Set-Cookie")), (name.to_owned(), None));
            assert_eq!(
                get(daemon.port(8080), &format!("/?sid={session}")).text(),
                name,
                "the second variable"
            );
        }
        let unknown: Vec<String> = (0..4).map(|_| at(daemon, "/", "sid=never-seen").text()).collect();
        assert!(unknown.contains(&"a".to_owned()) && unknown.contains(&"b".to_owned()), "{unknown:?}");
    };
    stays(&daemon);
    daemon.signal("HUP");
    daemon.logged("error.log", "exited with code 0");
    stays(&daemon);
}

#[test]
fn a_learned_session_moves_with_the_peer_that_answered() {
    let (alive, dead) = (Origin::says("alive"), Origin::new(|_, _| false));
    let servers = format!("server {} max_fails=0; server {};", dead.addr(), alive.addr());
    let learn = "sticky learn create=$cookie_sid lookup=$cookie_sid zone=z:32k header;";
    let daemon = front_with(&servers, learn, "");
    assert_eq!(with_cookie(&daemon, "sid=x").text(), "alive", "the first was tried, and is not learned");
    for _ in 0..4 {
        assert_eq!(with_cookie(&daemon, "sid=x").text(), "alive");
    }
    assert_eq!(dead.seen().len(), 1, "the session stays although the first peer is as good as any");
}

#[test]
fn a_route_in_the_request_is_followed() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let servers = format!("server {} route=ra; server {};", a.addr(), b.addr());
    let daemon = front_with(&servers, "sticky route $cookie_r $arg_r;", "");
    for _ in 0..3 {
        assert_eq!(with_cookie(&daemon, "r=ra").text(), "a");
        assert_eq!(get(daemon.port(8080), "/?r=ra").text(), "a");
        assert_eq!(
            get(daemon.port(8080), &format!("/?r={}", md5(&b.addr()))).text(),
            "b",
            "no route: the MD5"
        );
        let both = get_with(daemon.port(8080), "/?r=ra", &format!("Cookie: r={}\r\n", md5(&b.addr())));
        assert_eq!(
            (both.text(), both.header("Set-Cookie")),
            ("b".to_owned(), None),
            "the first that says anything"
        );
    }
    let texts: Vec<String> = (0..4).map(|_| with_cookie(&daemon, "r=nobody").text()).collect();
    assert!(texts.contains(&"a".to_owned()) && texts.contains(&"b".to_owned()), "{texts:?}");
}

#[test]
fn a_backup_of_the_same_route_takes_over_and_a_draining_server_keeps_its_own() {
    let (a, b) = (Origin::says("a"), Origin::says("b"));
    let (n1, n2) = (nobody(), nobody());
    let servers = format!(
        "server {n1} route=0; server {n2} route=1; server {} route=0 backup; server {} route=1 backup;",
        a.addr(),
        b.addr()
    );
    let daemon = front_with(&servers, "sticky route $cookie_r;", "");
    for _ in 0..3 {
        assert_eq!(with_cookie(&daemon, "r=1").text(), "b");
        assert_eq!(with_cookie(&daemon, "r=0").text(), "a");
    }
    let servers = format!("server {} route=0 drain; server {} route=1;", a.addr(), b.addr());
    let daemon = front_with(&servers, "sticky cookie r;", "");
    for _ in 0..3 {
        assert_eq!(with_cookie(&daemon, "r=0").text(), "a");
        assert_eq!(get(daemon.port(8080), "/").text(), "b");
    }
}
