//! Peers that are drained while tenrec runs: the control socket and its commands, real processes and backends.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Output;

use super::process_signals::{children, worker};
use super::support::client::{Client, get, get_with};
use super::support::daemon::{Daemon, Program, command, kill, prefix};
use super::support::origin::Origin;
use super::support::{SOON, eventually, skipped};

/// Two servers, `a` and `b` by their routes; WebSockets are passed on.
fn conf(a: &Origin, b: &Origin, more: &str) -> String {
    format!(
        "control on;\nworker_processes 2;\nerror_log error.log notice;\npid nginx.pid;\n{more}\nevents {{}}\n\
         http {{ access_log off; upstream u {{ sticky cookie s; server {} route=a; server {} route=b; }}\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://u; proxy_http_version 1.1; \
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }} }} }}\n",
        a.addr(),
        b.addr()
    )
}

fn pair() -> (Origin, Origin) {
    (Origin::says("a"), Origin::says("b"))
}

/// A backend that accepts every upgrade, says `hi` in a frame and keeps what comes.
fn sockets(name: &'static str) -> Origin {
    Origin::new(move |_, out| {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Name: {name}\r\n\r\n\x01\x02hi"
        );
        let mut rest = Vec::new();
        let _ = out.write_all(head.as_bytes()).and_then(|()| out.read_to_end(&mut rest));
        false
    })
}

#[track_caller]
fn ok(daemon: &Daemon, args: &[&str]) -> String {
    let out = daemon.run_sub(args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[track_caller]
fn refused(daemon: &Daemon, args: &[&str]) -> String {
    let out = daemon.run_sub(args);
    assert!(!out.status.success(), "{args:?} did: {}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// Who answers eight requests without a session, and whom the sessions of a and b are with.
fn served(daemon: &Daemon) -> (String, String) {
    let port = daemon.port(8080);
    let mut new: Vec<String> = (0..8).map(|_| get(port, "/").text()).collect();
    new.sort();
    new.dedup();
    let own = |of: &str| get_with(port, "/", &format!("Cookie: s={of}\r\n")).text();
    (new.concat(), own("a") + &own("b"))
}

fn as_served(new: &str, own: &str) -> (String, String) {
    (new.to_owned(), own.to_owned())
}

#[test]
fn a_drained_server_keeps_its_sessions_and_gets_no_others() {
    let (a, b) = pair();
    let daemon = Daemon::start(&conf(&a, &b, ""));
    assert_eq!(served(&daemon), as_served("ab", "ab"));
    let said = ok(&daemon, &["drain", "u", "a"]);
    assert!(said.starts_with(&format!("{} (a) of upstream u drains", a.addr())), "{said}");
    assert_eq!(served(&daemon), as_served("b", "ab"));
    let table = ok(&daemon, &["peers", "u"]);
    let row = table.lines().find(|l| l.contains(&a.addr())).unwrap();
    assert!(row.contains("draining") && row.contains("1 session in the last 5m, 1 request"), "{table}");
    daemon.logged("error.log", &format!("peer {} of upstream \"u\" drains (user ", a.addr()));
    // By its address it is the same server.
    let said = ok(&daemon, &["undrain", "u", &a.addr()]);
    assert_eq!(said, format!("{} (a) of upstream u is back in service\n", a.addr()));
    assert_eq!(served(&daemon), as_served("ab", "ab"));
}

#[test]
fn a_drain_outlives_reloads_crashes_and_changes_of_the_file() {
    let (a, b) = pair();
    let mut daemon = Daemon::start(&conf(&a, &b, ""));
    ok(&daemon, &["drain", "u", "a"]);
    let before = worker(&daemon);
    kill(before, "KILL");
    eventually("another worker", || children(daemon.pid()).first().filter(|w| **w != before).copied());
    assert_eq!(served(&daemon), as_served("b", "ab"), "after a crash");

    let reloaded = |daemon: &mut Daemon, text: &str| {
        let old = worker(daemon);
        daemon.rewrite(text);
        assert!(daemon.control(&["-s", "reload"]).status.success());
        eventually("the new worker alone", || {
            let now = children(daemon.pid());
            (now.len() == 1 && !now.contains(&old)).then_some(())
        });
    };
    reloaded(&mut daemon, &conf(&a, &b, "worker_shutdown_timeout 1s;"));
    assert_eq!(served(&daemon), as_served("b", "ab"), "after a reload");
    // Without the socket it is still drained; once there is one again it can be undone.
    reloaded(&mut daemon, &conf(&a, &b, "").replace("control on;", ""));
    assert_eq!(served(&daemon), as_served("b", "ab"), "without a control socket");
    assert!(!daemon.prefix().join("nginx.sock").exists());
    reloaded(&mut daemon, &conf(&a, &b, "").replace("control on;", "control unix:logs/c.sock;"));
    ok(&daemon, &["undrain", "u", "a"]);
    assert_eq!(served(&daemon), as_served("ab", "ab"));
    daemon.signal("QUIT");
    assert!(daemon.wait().success());
    assert!(!daemon.prefix().join("logs/c.sock").exists(), "the socket goes with the master");
}

#[test]
fn the_deadline_closes_websockets_in_old_and_new_workers_and_moves_the_session() {
    let (a, b) = (sockets("a"), sockets("b"));
    let daemon = Daemon::start(&conf(&a, &b, ""));
    let upgrade = |session: &str| {
        let mut client = Client::connect(daemon.port(8080));
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: s={session}\r\n\r\n"
        ));
        let answer = client.response();
        assert_eq!(answer.status, 101);
        (client, answer)
    };
    let (mut old, _) = upgrade("a");
    let (mut other, _) = upgrade("b");
    assert!(daemon.control(&["-s", "reload"]).status.success());
    eventually("a worker beside the old one", || (children(daemon.pid()).len() == 2).then_some(()));
    daemon.logged("error.log", "gracefully shutting down");
    let (mut new, answer) = upgrade("a");
    assert_eq!(answer.header("X-Name").as_deref(), Some("a"));
    eventually("the connections of both workers", || {
        let rows = ok(&daemon, &["peers", "u"]);
        rows.contains("(a)  up  2 connections").then_some(())
    });

    ok(&daemon, &["drain", "u", "a", "--deadline", "500ms"]);
    for client in [&mut old, &mut new] {
        assert_eq!(client.rest(), b"\x01\x02hi\x88\x02\x03\xe9", "a frame of the server's, then close, 1001");
    }
    let (mut moved, answer) = upgrade("a");
    assert_eq!(answer.header("X-Name").as_deref(), Some("b"));
    assert_eq!(answer.cookie("s").as_deref(), Some("s=b"), "the session has a server again");
    daemon.logged("error.log", "is down: the time for it to drain is over");
    daemon.logged("error.log", "upstream server was taken down, the upgraded connection is closed");
    let rows = ok(&daemon, &["peers"]);
    assert!(rows.contains("its time to drain was over"), "{rows}");
    // Tunnels to others stay, in the old worker too.
    for client in [&mut other, &mut moved] {
        client.stream().set_nonblocking(true).unwrap();
        let mut bytes = [0; 64];
        let end = loop {
            match client.stream().read(&mut bytes) {
                Ok(n) if n > 0 => {}
                end => break end,
            }
        };
        assert!(end.is_err(), "still open");
    }
    ok(&daemon, &["undrain", "u", "a"]);
    let (_, answer) = upgrade("a");
    assert_eq!(answer.header("X-Name").as_deref(), Some("a"));
}

#[test]
fn watching_ends_when_the_server_is_down() {
    let (a, b) = pair();
    let daemon = Daemon::start(&conf(&a, &b, ""));
    let said = ok(&daemon, &["drain", "u", &b.addr(), "--deadline=1200ms", "--watch"]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("down in 2s"), "{said}");
    assert!(lines.last().unwrap().starts_with(&format!("{} down: 0 connections", b.addr())), "{said}");
    assert_eq!(served(&daemon), as_served("a", "aa"));
}

#[test]
fn with_only_draining_servers_sessions_are_served_and_others_get_502() {
    let (a, b) = pair();
    let daemon = Daemon::start(&conf(&a, &b, ""));
    ok(&daemon, &["drain", "u", "a"]);
    let out = daemon.run_sub(&["drain", "u", "b"]);
    assert!(out.status.success());
    let warned = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(warned.contains("no other server of upstream u takes new sessions"), "{warned}");
    assert_eq!(get(daemon.port(8080), "/").status, 502);
    for own in ["a", "b"] {
        let answer = get_with(daemon.port(8080), "/", &format!("Cookie: s={own}\r\n"));
        assert_eq!((answer.status, answer.text().as_str()), (200, own));
    }
    daemon.logged("error.log", "no live upstreams while connecting to upstream");
}

#[test]
fn one_process_serves_the_socket_too() {
    let (a, b) = pair();
    let daemon = Daemon::start(&conf(&a, &b, "master_process off;"));
    ok(&daemon, &["drain", "u", "a"]);
    assert_eq!(served(&daemon), as_served("b", "ab"));
    assert!(daemon.control(&["-s", "reload"]).status.success());
    daemon.logged("error.log", "reconfiguring");
    eventually("an answer of the new threads", || ok(&daemon, &["peers"]).contains("draining").then_some(()));
    assert_eq!(served(&daemon), as_served("b", "ab"));
}

#[test]
fn a_new_binary_goes_on_with_the_drain_and_the_socket() {
    let (a, b) = pair();
    let mut daemon = Daemon::start(&conf(&a, &b, ""));
    ok(&daemon, &["drain", "u", "a"]);
    daemon.signal("USR2");
    let old = daemon.pid();
    let new = eventually("the new master", || {
        let pid = daemon.file("nginx.pid").trim().parse().ok();
        pid.filter(|pid: &i32| *pid != old && !children(*pid).is_empty())
    });
    daemon.signal("QUIT");
    assert!(daemon.wait().success());
    let asked = eventually("the new one is asked", || {
        let out = daemon.run_sub(&["peers", "--json"]);
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
    });
    assert!(asked.contains("\"verdict\": \"draining\""), "{asked}");
    assert_eq!(served(&daemon), as_served("b", "ab"));
    kill(new, "TERM");
    eventually("the new master ends", || (!daemon.prefix().join("nginx.pid").exists()).then_some(()));
    assert!(!daemon.prefix().join("nginx.sock").exists(), "the socket goes with it");
}

#[test]
fn mistakes_are_told_with_what_there_is() {
    let (a, b) = pair();
    let daemon = Daemon::start(&conf(&a, &b, ""));
    let case = |args: &[&str], told: &str| {
        let said = refused(&daemon, args);
        assert!(said.contains(told), "{args:?}: {said}");
    };
    case(&["drain", "v", "a"], "there is no upstream \"v\"; there are: u");
    case(
        &["drain", "u", "c"],
        &format!("upstream \"u\" has no server \"c\"; there are: {}, a, {}, b", a.addr(), b.addr()),
    );
    case(&["peers", "v"], "there is no upstream \"v\"");
    case(&["drain", "u"], "UPSTREAM and SERVER are needed");
    case(&["drain", "u", "a", "--deadline", "soon"], "invalid time \"soon\"");
    case(&["drain", "u", "a", "--socket", "/nonexistent.sock"], "no tenrec listens there");
    assert_eq!(served(&daemon), as_served("ab", "ab"), "nothing was changed");

    let off = Daemon::start(&conf(&a, &b, "").replace("control on;", ""));
    let said = refused(&off, &["peers"]);
    assert!(said.contains("has no control socket: add \"control on;\""), "{said}");
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    use std::os::unix::process::CommandExt as _;
    let (a, b) = pair();
    let daemon = Daemon::start(&conf(&a, &b, ""));
    let path = daemon.prefix().join("nginx.sock");
    let mode = |path: &PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(daemon.prefix(), 0o755);
    let socket = path.display().to_string();
    let stranger = || {
        std::process::Command::new(Program::Tenrec.path())
            .args(["drain", "u", "a", "--socket", &socket])
            .current_dir("/")
            .uid(65_534)
            .gid(65_534)
            .output()
    };
    let said = |out: Output| {
        assert!(!out.status.success());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    match stranger() {
        Err(e) => return skipped("a stranger on the control socket", &e.to_string()),
        Ok(out) => {
            let said = said(out);
            assert!(said.contains("13: Permission denied: only the user who started tenrec"), "{said}");
        }
    }
    // Even where the file would let everybody in.
    set(&path, 0o666);
    let said = said(stranger().unwrap());
    assert!(said.contains("only the user who started tenrec, and root, may ask"), "{said}");
    assert_eq!(served(&daemon), as_served("ab", "ab"), "nothing was changed");
}

#[test]
fn an_address_in_use_is_refused_and_a_dead_one_taken_over() {
    let (a, b) = pair();
    let first = Daemon::start(&conf(&a, &b, ""));
    let socket = first.prefix().join("nginx.sock");
    let text = conf(&a, &b, "").replace("control on", &format!("control unix:{}", socket.display()));
    let dir = prefix(&[]);
    let text = text.replace("%%8080%%", &crate::support::daemon::free_port().to_string());
    std::fs::write(dir.path().join("nginx.conf"), text).unwrap();
    let out = command(&Program::Tenrec, dir.path()).args(["-g", "daemon off;"]).output().unwrap();
    assert!(!out.status.success());
    let log = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        log.contains(&format!("bind() to unix:{} failed (98: Address already in use)", socket.display())),
        "{log}"
    );
    assert!(ok(&first, &["peers"]).contains("upstream u"), "the first one is still asked");

    // A file of something else is left alone.
    std::fs::write(dir.path().join("file"), "mine").unwrap();
    let text = std::fs::read_to_string(dir.path().join("nginx.conf")).unwrap();
    let text = text.replace(&format!("unix:{}", socket.display()), "unix:file");
    std::fs::write(dir.path().join("nginx.conf"), text).unwrap();
    let out = command(&Program::Tenrec, dir.path()).args(["-g", "daemon off;"]).output().unwrap();
    let log = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && log.contains("failed (17: File exists)"), "{log}");
    assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"mine");

    // What a killed master leaves behind is in nobody's way.
    std::fs::remove_file(dir.path().join("file")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("file")).unwrap());
    let mut child = command(&Program::Tenrec, dir.path()).args(["-g", "daemon off;"]).spawn().unwrap();
    let asked = eventually("the new one answers", || UnixStream::connect(dir.path().join("file")).ok());
    drop(asked);
    kill(child.id() as i32, "TERM");
    eventually("it ends", || child.try_wait().unwrap());
}

#[test]
fn junk_and_silence_on_the_socket_hold_nobody_up() {
    let (a, b) = pair();
    let daemon = Daemon::start(&conf(&a, &b, ""));
    let path = daemon.prefix().join("nginx.sock");
    let connect = || {
        let stream = eventually("the socket answers", || UnixStream::connect(&path).ok());
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    };
    let long = [&b"POST /drain HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"[..], &[b'x'; 60_000]]
        .concat();
    let junk: [&[u8]; 8] = [
        b"\0\xff\r\n\r\n",
        b"GET /peers",
        b"POST /drain HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{\"upstream\":",
        b"POST /drain HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]",
        b"POST /drain HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nnot json!",
        b"GET /drain HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        &long,
    ];
    let mut clients: Vec<UnixStream> = Vec::new();
    for i in 0..100 {
        let mut stream = connect();
        let _ = stream.write_all(junk[i % junk.len()]);
        clients.push(stream);
    }
    // Those that say nothing more lose their place; requests are served all the while.
    assert_eq!(served(&daemon), as_served("ab", "ab"));
    eventually("an answer", || ok_or_none(&daemon, &["drain", "u", "a"]));
    assert_eq!(served(&daemon), as_served("b", "ab"));
    let status = |bytes: &[u8]| {
        let mut stream = connect();
        stream.write_all(bytes).unwrap();
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
    };
    for (bytes, line) in
        [(junk[3], "400"), (junk[4], "400"), (junk[5], "405"), (junk[6], "404"), (junk[7], "413")]
    {
        assert!(status(bytes).contains(line), "{line}");
    }
    drop(clients);
    let answers: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect();
            stream.write_all(b"GET /peers HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            stream
        })
        .collect();
    for mut stream in answers {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("\"verdict\":\"draining\""), "{text}");
    }
    let log = daemon.file("error.log");
    assert!(!log.contains("panick"), "{log}");
}

fn ok_or_none(daemon: &Daemon, args: &[&str]) -> Option<()> {
    daemon.run_sub(args).status.success().then_some(())
}
