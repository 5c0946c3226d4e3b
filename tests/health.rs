//! Health checks: real backends that live, die and misbehave, and what clients see of it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::support::client::get;
use crate::support::daemon::{Daemon, free_port};
use crate::support::eventually;
use crate::support::origin::{Origin, Received};

/// A backend that answers clients with its name and probes (`/probe`) with a status that can be set.
pub struct Backend {
    pub origin: Origin,
    status: Arc<AtomicUsize>,
}

impl Backend {
    pub fn new(name: &'static str) -> Self {
        let status = Arc::new(AtomicUsize::new(200));
        let says = status.clone();
        let origin = Origin::new(move |request, out| {
            let status = if request.path() == "/probe" { says.load(SeqCst) } else { 200 };
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            out.write_all(answer.as_bytes()).is_ok()
        });
        Self { origin, status }
    }

    pub fn set(&self, status: usize) {
        self.status.store(status, SeqCst);
    }

    pub fn addr(&self) -> String {
        self.origin.addr()
    }

    fn probes(&self) -> Vec<Received> {
        self.origin.seen().into_iter().filter(|r| r.path() == "/probe").collect()
    }
}

pub const PROBE: &str = "check_http_send \"GET /probe HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\";";

/// A configuration of these upstreams (`NAME { … }` each), the first of which is asked at `/`.
pub fn conf(upstreams: &[(&str, String)]) -> String {
    let blocks: String =
        upstreams.iter().map(|(name, lines)| format!("upstream {name} {{ {lines} }}\n")).collect();
    let first = upstreams[0].0;
    let ways: String = upstreams
        .iter()
        .map(|(name, _)| format!("location /{name} {{ proxy_pass http://{name}; }}\n"))
        .collect();
    format!(
        "pid tenrec.pid; error_log error.log info;\nevents {{ }}\nhttp {{\naccess_log off;\n{blocks}\
         server {{ listen 127.0.0.1:%%8080%%;\nlocation / {{ proxy_pass http://{first}; }}\n{ways}\
         location /status {{ check_status csv; }}\n}}\n}}\n"
    )
}

pub fn upstream(servers: &[&str], lines: &str) -> String {
    let servers: String = servers.iter().map(|s| format!("server {s};\n")).collect();
    format!("{servers}{lines}")
}

/// One line of `check_status csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub upstream: String,
    pub name: String,
    pub up: bool,
    pub rise: u64,
    pub fall: u64,
}

pub fn rows(daemon: &Daemon) -> Vec<Row> {
    let answer = get(daemon.port(8080), "/status");
    assert_eq!(answer.status, 200);
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        Row {
            upstream: cells[1].to_owned(),
            name: cells[2].to_owned(),
            up: cells[3] == "up",
            rise: cells[4].parse().unwrap(),
            fall: cells[5].parse().unwrap(),
        }
    };
    answer.text().lines().map(row).collect()
}

/// Waits until a peer is what it should be.
#[track_caller]
pub fn turns(daemon: &Daemon, addr: &str, up: bool) {
    eventually(&format!("{addr} is up: {up}"), || {
        rows(daemon).iter().any(|r| r.name == addr && r.up == up).then_some(())
    });
}

/// Which backends answer twenty new clients.
pub fn who(daemon: &Daemon) -> Vec<String> {
    let mut seen: Vec<String> = (0..20).map(|_| get(daemon.port(8080), "/").text()).collect();
    seen.sort();
    seen.dedup();
    seen
}

/// A backend of its own protocol: `talk` has each connection.
fn speaks(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let talk = Arc::new(talk);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), talk) = (stream, talk.clone()) else { continue };
            let _ = stream.set_read_timeout(Some(crate::support::SOON));
            std::thread::spawn(move || talk(stream));
        }
    });
    addr
}

#[test]
fn a_peer_goes_down_and_comes_back() {
    let (a, b) = (Backend::new("a"), Backend::new("b"));
    let lines = format!("check interval=50 rise=2 fall=2 timeout=2000 type=http; {PROBE}");
    let daemon = Daemon::start(&conf(&[("u", upstream(&[&a.addr(), &b.addr()], &lines))]));
    turns(&daemon, &a.addr(), true);
    turns(&daemon, &b.addr(), true);
    assert_eq!(who(&daemon), ["a", "b"]);
    daemon.logged("error.log", &format!("enable check peer: {} ", a.addr()));

    a.set(503);
    turns(&daemon, &a.addr(), false);
    assert_eq!(who(&daemon), ["b"]);
    daemon.logged("error.log", &format!("check protocol http error with peer: {} ", a.addr()));
    daemon.logged("error.log", &format!("disable check peer: {} ", a.addr()));

    a.set(302);
    turns(&daemon, &a.addr(), true);
    assert_eq!(who(&daemon), ["a", "b"]);
}

#[test]
fn all_peers_down_is_502() {
    let a = Backend::new("a");
    a.set(500);
    let lines = format!("check interval=50 rise=1 fall=1 timeout=2000 default_down=false type=http; {PROBE}");
    let daemon = Daemon::start(&conf(&[("u", upstream(&[&a.addr()], &lines))]));
    turns(&daemon, &a.addr(), false);
    assert_eq!(get(daemon.port(8080), "/").status, 502);
    daemon.logged("error.log", "no live upstreams");
}

#[test]
fn rise_and_fall_are_counted_in_a_row() {
    // Five good answers that a bad one interrupts after the second, then bad ones.
    let good = [true, true, false, true, true, true, false, false, true, false, false, false];
    let asked = Arc::new(AtomicUsize::new(0));
    let at = asked.clone();
    let origin = Origin::new(move |_, out| {
        let n = at.fetch_add(1, SeqCst);
        let status = if good.get(n).copied().unwrap_or(false) { 200 } else { 500 };
        out.write_all(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n").as_bytes()).is_ok()
    });
    let lines = "check interval=60 rise=3 fall=3 timeout=2000 type=http;";
    let daemon = Daemon::start(&conf(&[("u", upstream(&[&origin.addr()], lines))]));
    let mut history = Vec::new();
    eventually("twelve probes and their end", || {
        let before = asked.load(SeqCst);
        let row = rows(&daemon).remove(0);
        // Nothing was asked while the page was made: it shows what `before` answers came to.
        if asked.load(SeqCst) == before && (row.rise + row.fall > 0 || before == 0) {
            history.push((before, row.up));
        }
        (before >= 12 && row.fall >= 3).then_some(())
    });
    for (answers, up) in history {
        // The last answer may still be on its way.
        let turned = |n: usize| (6..12).contains(&n);
        assert!(up == turned(answers) || up == turned(answers - 1), "{up} after {answers} answers");
    }
    let log = daemon.file("error.log");
    let turns: Vec<&str> = log
        .lines()
        .filter_map(|l| ["enable check", "disable check"].into_iter().find(|w| l.contains(w)))
        .collect();
    assert_eq!(turns, ["enable check", "disable check"]);
}

#[test]
fn default_down_holds_until_the_first_answer() {
    // It accepts and never answers a probe: nothing is known of it.
    let silent = || {
        Origin::new(|request, out| {
            if request.path() == "/probe" {
                std::thread::sleep(Duration::from_secs(60));
            }
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
        })
    };
    let (a, b) = (silent(), silent());
    let lines = |word: &str| format!("check interval=600000 timeout=600000 {word} type=http; {PROBE}");
    let daemon = Daemon::start(&conf(&[
        ("down", upstream(&[&a.addr()], &lines(""))),
        ("open", upstream(&[&b.addr()], &lines("default_down=false"))),
    ]));
    assert_eq!(get(daemon.port(8080), "/down").status, 502);
    assert_eq!(get(daemon.port(8080), "/open").status, 200);
    let ups: Vec<bool> = rows(&daemon).iter().map(|r| r.up).collect();
    assert_eq!(ups, [false, true]);
}

#[test]
fn a_connection_is_asked_as_often_as_said() {
    let a = Backend::new("a");
    let lines = format!(
        "check interval=30 rise=1 fall=1 timeout=2000 type=http; {PROBE} check_keepalive_requests 3;"
    );
    let daemon = Daemon::start(&conf(&[("u", upstream(&[&a.addr()], &lines))]));
    let seen = eventually("ten probes", || Some(a.probes()).filter(|p| p.len() >= 10));
    for (i, probe) in seen.iter().enumerate() {
        assert_eq!((probe.connection, probe.nth), (i / 3, i % 3));
    }
    turns(&daemon, &a.addr(), true);
}

#[test]
fn a_kept_connection_that_closes_is_no_failure() {
    // Every other answer is followed by the end of the connection, though nothing said so.
    let origin = Origin::new(|request, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok() && request.nth == 0
    });
    let lines = "check interval=30 rise=1 fall=1 timeout=2000 type=http; check_keepalive_requests 100;";
    let daemon = Daemon::start(&conf(&[("u", upstream(&[&origin.addr()], lines))]));
    eventually("ten probes", || (origin.seen().len() >= 10).then_some(()));
    assert!(rows(&daemon)[0].up);
    assert!(!daemon.file("error.log").contains("disable check"));
}

/// A record of a FastCGI responder.
fn fastcgi(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![1, kind, 0, 1, 0, content.len() as u8, 0, 0];
    out.extend_from_slice(content);
    out
}

#[test]
fn every_type_tells_the_living_from_the_dead() {
    let read = |mut stream: &TcpStream, n: usize| {
        let mut bytes = vec![0; n];
        stream.read_exact(&mut bytes).map(|()| bytes)
    };
    let says = |bytes: &'static [u8]| {
        speaks(move |mut s| {
            let _ = s.write_all(bytes);
            let _ = s.read(&mut [0; 512]);
        })
    };
    let ajp = speaks(move |mut s| {
        if read(&s, 5).is_ok_and(|b| b == [0x12, 0x34, 0, 1, 0x0a]) {
            let _ = s.write_all(b"AB\0\x01\x09");
        }
    });
    let responder = speaks(|mut s| {
        let mut bytes = [0; 512];
        let n = s.read(&mut bytes).unwrap_or(0);
        if bytes[..n].windows(14).any(|w| w == b"REQUEST_METHOD") {
            let _ = s.write_all(&fastcgi(6, b"Status: 204\r\n\r\n"));
            let _ = s.write_all(&fastcgi(3, &[0; 8]));
        }
    });
    let dead = format!("127.0.0.1:{}", free_port());
    let open = says(b"");
    let greeting = says(b"\x4a\0\0\0\x0a8.0.36\0");
    let wrong = says(b"\x4a\0\0\x07\x0a8.0.36\0");
    let cases = [
        ("tcp", "", &open, true),
        ("tcp", "", &dead, false),
        ("mysql", "", &greeting, true),
        ("mysql", "", &wrong, false),
        ("ajp", "", &ajp, true),
        ("ajp", "", &greeting, false),
        ("fastcgi", "", &responder, true),
        ("fastcgi", "check_http_expect_alive http_2xx;", &responder, true),
        ("fastcgi", "check_http_expect_alive http_3xx;", &responder, false),
        ("fastcgi", "check_fastcgi_param OTHER x;", &responder, false),
        ("ssl_hello", "", &greeting, false),
    ];
    let names: Vec<String> = (0..cases.len()).map(|i| format!("u{i}")).collect();
    let blocks: Vec<(&str, String)> = cases
        .iter()
        .zip(&names)
        .map(|((kind, more, addr, up), name)| {
            let lines =
                format!("check interval=50 rise=2 fall=2 timeout=1000 default_down={up} type={kind}; {more}");
            (&**name, upstream(&[addr], &lines))
        })
        .collect();
    let daemon = Daemon::start(&conf(&blocks));
    eventually("every peer has turned", || {
        let turned =
            |(row, case): (Row, &(&str, &str, &String, bool))| row.up == case.3 && row.rise + row.fall >= 2;
        rows(&daemon).into_iter().zip(&cases).all(turned).then_some(())
    });
}

#[test]
fn bad_answers_are_bad_and_hold_nothing_up() {
    type Rude = (&'static str, fn(TcpStream));
    let rude: [Rude; 6] = [
        ("garbage", |mut s| drop(s.write_all(&[0xff; 4096]))),
        (
            "endless_head",
            |mut s| while s.write_all(b"X-Pad: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").is_ok() {},
        ),
        ("endless_line", |mut s| {
            let _ = s.write_all(b"HTTP/1.1 200 ");
            while s.write_all(&[b'a'; 4096]).is_ok() {}
        }),
        ("closes", drop),
        ("half", |mut s| {
            let _ = s.read(&mut [0; 512]);
            let _ = s.write_all(b"HTTP/1.1 20");
        }),
        ("drip", |mut s| {
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n".iter().cycle() {
                if s.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(40));
            }
        }),
    ];
    let good = Backend::new("good");
    let check = "check interval=40 rise=1 fall=2 timeout=300 default_down=false type=http;";
    let mut blocks = vec![("good", upstream(&[&good.addr()], &format!("{check} {PROBE}")))];
    for (name, talk) in rude {
        let lines = format!("{check} check_keepalive_requests 5;");
        blocks.push((name, upstream(&[&speaks(talk)], &lines)));
    }
    let daemon = Daemon::start(&conf(&blocks));
    eventually("all of them are down", || {
        let rows = rows(&daemon);
        (rows[0].up && rows[1..].iter().all(|r| !r.up && r.fall >= 4)).then_some(())
    });
    assert_eq!(get(daemon.port(8080), "/").text(), "good");
    for line in [
        "http parse status line error with peer: ",
        "check time out with peer: ",
        "incomplete response, peer: ",
    ] {
        daemon.logged("error.log", line);
    }
}

#[test]
fn a_reload_forgets_nothing() {
    let (a, b) = (Backend::new("a"), Backend::new("b"));
    b.set(500);
    let check = |interval: u32| {
        let lines = format!("check interval={interval} rise=1 fall=1 timeout=2000 type=http; {PROBE}");
        conf(&[("u", upstream(&[&a.addr(), &b.addr()], &lines))])
    };
    let mut daemon = Daemon::start(&check(40));
    turns(&daemon, &a.addr(), true);
    eventually("b was asked", || rows(&daemon)[1].fall.ge(&1).then_some(()));
    // From here on nobody is asked: what holds is what was known.
    daemon.rewrite(&check(3_600_000));
    assert!(daemon.control(&["-s", "reload"]).status.success());
    eventually("the new worker answers", || {
        let json = get(daemon.port(8080), "/status?format=json").text();
        json.contains("\"generation\": 2,").then_some(())
    });
    let rows = rows(&daemon);
    assert!(rows[0].up && rows[0].rise > 0 && !rows[1].up && rows[1].fall > 0, "{rows:?}");
    assert_eq!(who(&daemon), ["a"]);
}

#[test]
fn peers_that_are_no_longer_checked_are_open() {
    let a = Backend::new("a");
    a.set(500);
    let block = |check: &str| conf(&[("u", upstream(&[&a.addr()], check))]);
    let checked = format!("check interval=50 rise=1 fall=1 timeout=2000 type=http; {PROBE}");
    let mut daemon = Daemon::start(&block(&checked));
    assert_eq!(get(daemon.port(8080), "/").status, 502);
    daemon.rewrite(&block(""));
    assert!(daemon.control(&["-s", "reload"]).status.success());
    eventually("the peer is used, and shown no more", || {
        (get(daemon.port(8080), "/").text() == "a" && rows(&daemon).is_empty()).then_some(())
    });
    // What the old worker asked last changes nothing.
    let before = a.probes().len();
    assert_eq!(who(&daemon), ["a"]);
    assert_eq!(a.probes().len(), before);
}

#[test]
fn one_process_asks_one_question_at_a_time() {
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = (inside.clone(), most.clone());
    let origin = Origin::new(move |_, out| {
        seen.1.fetch_max(seen.0.fetch_add(1, SeqCst) + 1, SeqCst);
        std::thread::sleep(Duration::from_millis(15));
        seen.0.fetch_sub(1, SeqCst);
        let _ = out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        false
    });
    let lines = "check interval=1 rise=1 fall=1 timeout=5000 type=http;";
    let text = conf(&[("u", upstream(&[&origin.addr()], lines))]);
    let daemon = Daemon::start(&format!("worker_processes 3; {text}"));
    for round in 1..4 {
        let before = origin.seen().len();
        eventually("probes go on", || (origin.seen().len() > before + 10).then_some(()));
        assert!(daemon.control(&["-s", "reload"]).status.success());
        eventually("the next worker answers", || {
            let json = get(daemon.port(8080), "/status?format=json").text();
            json.contains(&format!("\"generation\": {},", round + 1)).then_some(())
        });
    }
    let before = origin.seen().len();
    eventually("the last worker asks", || (origin.seen().len() > before + 10).then_some(()));
    assert_eq!(most.load(SeqCst), 1);
}

#[test]
fn another_port_and_another_upstream_may_answer_for_a_peer() {
    let (service, control) = (Backend::new("service"), Backend::new("control"));
    let check = format!(
        "check interval=50 rise=1 fall=1 timeout=2000 type=http port={} unique=true; {PROBE}",
        control.origin.port()
    );
    let block = upstream(&[&service.addr()], &check);
    let daemon = Daemon::start(&conf(&[("u", block.clone()), ("v", block)]));
    turns(&daemon, &service.addr(), true);
    assert_eq!(rows(&daemon).len(), 1, "v has its answers from u");
    assert_eq!((service.probes().len(), get(daemon.port(8080), "/v").text()), (0, "service".to_owned()));
    control.set(500);
    turns(&daemon, &service.addr(), false);
    assert_eq!((get(daemon.port(8080), "/u").status, get(daemon.port(8080), "/v").status), (502, 502));
}

#[test]
fn a_worker_that_dies_is_followed_by_one_that_knows() {
    let a = Backend::new("a");
    let check = format!("check interval=50 rise=1 fall=1 timeout=2000 type=http; {PROBE}");
    let daemon = Daemon::start(&conf(&[("u", upstream(&[&a.addr()], &check))]));
    turns(&daemon, &a.addr(), true);
    let line = daemon.logged("error.log", "start worker process ");
    let worker: i32 = line.rsplit(' ').next().unwrap().parse().unwrap();
    crate::support::daemon::kill(worker, "KILL");
    daemon.logged("error.log", "exited on signal 9");
    eventually("the next worker serves", || TcpStream::connect(("127.0.0.1", daemon.port(8080))).ok());
    assert_eq!(get(daemon.port(8080), "/").text(), "a", "what was known holds");
    let before = a.probes().len();
    eventually("the next worker asks", || (a.probes().len() > before + 3).then_some(()));
}

/// A server of the installed OpenSSL that speaks one version of TLS.
struct SslServer {
    child: std::process::Child,
    _dir: tempfile::TempDir,
    addr: String,
}

impl SslServer {
    /// `None`: no such program, or not this version.
    fn start(version: &str) -> Option<Self> {
        use std::process::{Command, Stdio};
        let dir = tempfile::tempdir().unwrap();
        let quiet = |c: &mut Command| {
            c.current_dir(dir.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let words = "req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=localhost";
        let made = quiet(Command::new("openssl").args(words.split(' '))).ok()?.wait().unwrap();
        assert!(made.success());
        let port = free_port();
        let addr = format!("127.0.0.1:{port}");
        let mut child = quiet(
            Command::new("openssl")
                .args(["s_server", "-accept", &addr, "-key", "key", "-cert", "cert", "-quiet", version]),
        )
        .unwrap();
        eventually("openssl accepts", || {
            TcpStream::connect(&*addr).map(drop).ok().or_else(|| child.try_wait().unwrap().map(drop))
        });
        child.try_wait().unwrap().is_none().then_some(Self { child, _dir: dir, addr })
    }
}

impl Drop for SslServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ssl_hello_is_answered_by_servers_of_today() {
    let servers: Vec<SslServer> = ["-tls1_2", "-tls1_3"].into_iter().filter_map(SslServer::start).collect();
    if servers.is_empty() {
        return crate::support::skipped("ssl_hello_is_answered_by_servers_of_today", "there is no openssl");
    }
    let addrs: Vec<&str> = servers.iter().map(|s| &*s.addr).collect();
    let plain = Backend::new("plain");
    let check = "check interval=50 rise=1 fall=1 timeout=2000 type=ssl_hello;";
    let daemon = Daemon::start(&conf(&[
        ("tls", upstream(&addrs, check)),
        ("plain", upstream(&[&plain.addr()], &check.replace("type", "default_down=false type"))),
    ]));
    for addr in addrs {
        turns(&daemon, addr, true);
    }
    eventually("no TLS there", || rows(&daemon).last().filter(|r| !r.up).map(|_| ()));
}

#[test]
fn peers_that_a_name_brings_are_checked_as_long_as_they_are_there() {
    use crate::support::dns::{A, Answer, NameServer};
    const APP: &str = "app.test";
    let names = |addrs: &[&str]| vec![(A, APP, Answer::a(addrs))];
    // Nobody listens on the third address.
    let family = Origin::family(&["127.0.0.1", "127.0.0.2"]);
    let port = family[0].port();
    let dns = NameServer::knows(&names(&["127.0.0.1", "127.0.0.3"]));
    let lines = format!(
        "zone z 1m; server {APP}:{port} resolve;\n\
         check interval=50 rise=1 fall=1 timeout=2000 type=http;"
    );
    let text = conf(&[("u", lines)])
        .replace("access_log off;", &format!("access_log off; resolver {} valid=1s ipv6=off;", dns.addr()));
    let daemon = Daemon::start(&format!("worker_processes 2; {text}"));
    let of = |addr: &str| format!("{addr}:{port}");
    turns(&daemon, &of("127.0.0.1"), true);
    eventually("the third was asked", || {
        rows(&daemon).iter().any(|r| r.name == of("127.0.0.3") && !r.up && r.fall > 0).then_some(())
    });
    assert_eq!(who(&daemon), ["127.0.0.1"]);
    dns.now(&names(&["127.0.0.2", "127.0.0.3"]));
    turns(&daemon, &of("127.0.0.2"), true);
    eventually("the first is gone", || rows(&daemon).iter().all(|r| r.name != of("127.0.0.1")).then_some(()));
    assert_eq!(who(&daemon), ["127.0.0.2"]);
    dns.now(&names(&["127.0.0.3"]));
    eventually("nobody is left", || (get(daemon.port(8080), "/").status == 502).then_some(()));
}
