//! `sticky learn … store=`: one memory for many machines, against a real Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::support::client::get;
use crate::support::daemon::{Daemon, Program};
use crate::support::origin::Origin;
use crate::support::redis::{Redis, installed};
use crate::support::{eventually, skipped};

/// A front over these backends that asks this store.
fn conf(origins: &[Origin], store: &str) -> String {
    let servers: String = origins.iter().map(|o| format!("server {} fail_timeout=1s;\n", o.addr())).collect();
    format!(
        "pid tenrec.pid; worker_processes 2; error_log error.log info;\nevents {{ }}\nhttp {{\n\
         log_format s '$arg_s $status $sticky_status';\naccess_log access.log s;\n\
         upstream u {{\n{servers}\n\
         sticky learn create=$arg_s lookup=$arg_s zone=shared:256k timeout=10m {store};\n}}\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://u; }} }}\n}}\n"
    )
}

fn backends() -> Vec<Origin> {
    ["a", "b", "c"].map(Origin::says).into()
}

fn front(origins: &[Origin], store: &str) -> Daemon {
    let daemon = Daemon::start(&conf(origins, store));
    daemon.logged("error.log", "answers");
    daemon
}

fn url(redis: &Redis) -> String {
    // A machine that is busy with other tests is no store that is away.
    format!("store=redis://127.0.0.1:{} store_timeout=5s", redis.port())
}

fn ask(daemon: &Daemon, session: usize) -> String {
    let answer = get(daemon.port(8080), &format!("/?s={session}"));
    assert_eq!(answer.status, 200, "session {session}: {}", answer.head);
    answer.text()
}

/// Opens sessions at one of the machines. No round robin of another would give the same by chance.
fn open(daemon: &Daemon, sessions: std::ops::Range<usize>) -> BTreeMap<usize, String> {
    let opened = sessions.map(|n| {
        let peer = ask(daemon, n);
        if n % 5 == 2 {
            get(daemon.port(8080), "/");
        }
        (n, peer)
    });
    opened.collect()
}

fn written(redis: &Redis, sessions: usize) {
    eventually(&format!("{sessions} sessions in the store"), || {
        (redis.keys().len() == sessions).then_some(())
    });
}

fn md5(text: &str) -> String {
    use md5::Digest;
    md5::Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

macro_rules! needs_redis {
    ($what:expr) => {
        if !installed() {
            return skipped($what, "no redis-server here");
        }
    };
}

#[test]
fn a_session_opened_at_one_machine_is_known_at_the_other() {
    needs_redis!("two machines with one store");
    let (redis, origins) = (Redis::start(&[]), backends());
    let (a, b) = (front(&origins, &url(&redis)), front(&origins, &url(&redis)));
    let known = open(&a, 0..40);
    written(&redis, 40);
    for (n, peer) in known.iter().rev() {
        assert_eq!(ask(&b, *n), *peer, "session {n}");
    }
    let one = format!("shared:{}", md5("7"));
    let names = ["a", "b", "c"];
    let at = origins[names.iter().position(|n| *n == known[&7]).unwrap()].addr();
    assert_eq!(redis.cli(&["GET", &one]), md5(&at), "a person can read it");
    let life: u64 = redis.cli(&["PTTL", &one]).parse().unwrap();
    assert!((500_000..=600_000).contains(&life), "{life}");
    b.logged("access.log", "39 200 hit");
}

#[test]
fn a_store_that_dies_and_comes_back_empty_costs_no_request_and_moves_no_session() {
    needs_redis!("a store that dies under traffic");
    let (mut redis, origins) = (Redis::start(&[]), backends());
    let (a, b) = (front(&origins, &url(&redis)), front(&origins, &url(&redis)));
    let mut known = open(&a, 0..60);
    written(&redis, 60);
    // Half of them are known to both.
    (0..30).for_each(|n| assert_eq!(ask(&b, n), known[&n]));
    let (stop, ports) = (AtomicBool::new(false), [a.port(8080), b.port(8080)]);
    std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let mut rounds = 0;
            while !stop.load(SeqCst) {
                for n in 0..30 {
                    let answer = get(ports[(n + rounds) % 2], &format!("/?s={n}"));
                    assert_eq!((answer.status, answer.text()), (200, known[&n].clone()), "session {n}");
                }
                rounds += 1;
            }
            rounds
        });
        redis.kill();
        for daemon in [&a, &b] {
            daemon.logged("error.log", "is away");
        }
        let meanwhile = open(&a, 60..90);
        redis.again();
        // What both had in memory is there again, and what was learned meanwhile.
        written(&redis, 90);
        stop.store(true, SeqCst);
        assert!(traffic.join().unwrap() > 1);
        for (n, peer) in &meanwhile {
            eventually("the other machine has heard", || (ask(&b, *n) == *peer).then_some(()));
        }
        drop(meanwhile);
    });
    for n in 30..60 {
        assert_eq!(ask(&b, n), known[&n], "session {n} was known to the first alone");
    }
    known.clear();
    for daemon in [&a, &b] {
        let log = daemon.file("access.log");
        assert!(log.lines().all(|l| l.contains(" 200 ")), "a request failed");
        assert!(!daemon.file("error.log").contains("panicked"));
    }
}

/// A backend that says `a` while it is well.
fn switched() -> (Origin, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let switch = well.clone();
    let origin = Origin::new(move |_, out| {
        switch.load(SeqCst) && out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na").is_ok()
    });
    (origin, well)
}

#[test]
fn a_move_is_heard_at_the_other_machine() {
    needs_redis!("moves of sessions");
    let redis = Redis::start(&[]);
    let (first, well) = switched();
    let origins = [first, Origin::says("b")];
    let (a, b) = (front(&origins, &url(&redis)), front(&origins, &url(&redis)));
    let session = (0..20).find(|n| ask(&a, *n) == "a").expect("one of them is with the first");
    written(&redis, session + 1);
    assert_eq!(ask(&b, session), "a");
    well.store(false, SeqCst);
    assert_eq!(ask(&a, session), "b", "it moved");
    well.store(true, SeqCst);
    eventually("the other machine follows", || (ask(&b, session) == "b").then_some(()));
    assert_eq!((ask(&a, session), ask(&b, session)), ("b".to_owned(), "b".to_owned()));
}

#[test]
fn a_peer_that_cannot_be_used_is_no_reason_to_part_from_the_other_machine() {
    needs_redis!("sessions whose peer is down");
    let redis = Redis::start(&[]);
    let (first, well) = switched();
    let origins = [first, Origin::says("b"), Origin::says("c")];
    let resting = conf(&origins, &url(&redis)).replace("fail_timeout=1s", "fail_timeout=60s");
    let [a, b] = [0, 1].map(|_| Daemon::start(&resting));
    for daemon in [&a, &b] {
        daemon.logged("error.log", "answers");
    }
    let known = open(&a, 0..30);
    written(&redis, 30);
    known.keys().for_each(|n| drop(ask(&b, *n)));
    // Another machine found the first peer dead, and nobody was told.
    let (of_a, at_b) = (md5(&origins[0].addr()), md5(&origins[1].addr()));
    for key in redis.keys() {
        if redis.cli(&["GET", &key]) == of_a {
            redis.cli(&["SET", &key, &at_b, "PX", "600000"]);
        }
    }
    well.store(false, SeqCst);
    // The first that finds it dead goes where the balancer sends it; from then on the store is asked.
    let first = *known.iter().find(|(_, peer)| *peer == "a").expect("a session of it").0;
    assert_ne!(ask(&b, first), "a");
    for (n, was) in known.iter().filter(|(n, _)| **n != first) {
        assert_eq!(ask(&b, *n), if was == "a" { "b" } else { was }, "session {n}");
    }
}

#[test]
fn passwords_let_it_in_and_are_never_shown() {
    needs_redis!("stores with a password");
    let redis = Redis::start_with(&["--requirepass", "open-sesame"], &["--port"], &["-a", "open-sesame"]);
    let origins = backends();
    let good = format!("store=redis://:open-sesame@127.0.0.1:{}", redis.port());
    let a = front(&origins, &good);
    let file = format!("store=redis://127.0.0.1:{} store_password_file=secret", redis.port());
    let b = Daemon::run(Program::Tenrec, &conf(&origins, &file), &[("secret", b"open-sesame\n")]);
    b.logged("error.log", "answers");
    let known = open(&a, 0..12);
    written(&redis, 12);
    known.iter().rev().for_each(|(n, peer)| assert_eq!(ask(&b, *n), *peer));
    let bad = format!("store=redis://:swordfish@127.0.0.1:{}", redis.port());
    let c = Daemon::start(&conf(&origins, &bad));
    let line = c.logged("error.log", "is away");
    assert!(line.contains("WRONGPASS") || line.to_lowercase().contains("password"), "{line}");
    assert_eq!(open(&c, 0..12).len(), 12);
    for daemon in [&a, &b, &c] {
        let said = daemon.file("error.log") + &daemon.stderr();
        assert!(!said.contains("open-sesame") && !said.contains("swordfish"), "{said}");
    }
}

#[test]
fn what_a_store_does_not_take_waits_until_it_does() {
    needs_redis!("stores that are full or read-only");
    let origins = backends();
    for (shut, open_again, said) in [
        (&["CONFIG", "SET", "maxmemory", "1"][..], &["CONFIG", "SET", "maxmemory", "0"][..], "OOM"),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "READONLY"),
    ] {
        let redis = Redis::start(&[]);
        let (a, b) = (front(&origins, &url(&redis)), front(&origins, &url(&redis)));
        let known = open(&a, 0..10);
        written(&redis, 10);
        redis.cli(shut);
        let more = open(&a, 10..20);
        let line = a.logged("error.log", "does not take what it is told");
        assert!(line.contains(said), "{line}");
        known.iter().for_each(|(n, peer)| assert_eq!(ask(&b, *n), *peer, "it is read all the same"));
        redis.cli(open_again);
        written(&redis, 20);
        more.iter().rev().for_each(|(n, peer)| assert_eq!(ask(&b, *n), *peer, "{said}: session {n}"));
    }
}

/// A way to a server that can be shut: bytes are held back then.
fn gate(to: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, shut) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
    let closed = shut.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", to))) else { continue };
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                let closed = closed.clone();
                std::thread::spawn(move || {
                    let mut buf = [0; 4096];
                    while let Ok(n) = from.read(&mut buf) {
                        while closed.load(SeqCst) {
                            std::thread::sleep(std::time::Duration::from_millis(5));
                        }
                        if n == 0 || to.write_all(&buf[..n]).is_err() {
                            return;
                        }
                    }
                });
            }
        }
    });
    (port, shut)
}

#[test]
fn a_store_that_stalls_holds_nobody_up() {
    needs_redis!("a store that stalls");
    let (redis, origins) = (Redis::start(&[]), backends());
    let (port, shut) = gate(redis.port());
    let a = front(&origins, &format!("store=redis://127.0.0.1:{port} store_timeout=20ms"));
    let known = open(&a, 0..20);
    written(&redis, 20);
    shut.store(true, SeqCst);
    let more = open(&a, 20..60);
    a.logged("error.log", "is away: its answers come too late");
    known.iter().chain(&more).for_each(|(n, peer)| assert_eq!(ask(&a, *n), *peer));
    shut.store(false, SeqCst);
    written(&redis, 60);
    // One that takes connections and says nothing was never there.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("store=redis://127.0.0.1:{}", mute.local_addr().unwrap().port());
    let b = Daemon::start(&conf(&origins, &store));
    let known = open(&b, 0..20);
    known.iter().for_each(|(n, peer)| assert_eq!(ask(&b, *n), *peer));
}

#[test]
fn what_was_learned_before_there_was_a_store_is_told_to_it() {
    needs_redis!("a store that is added later");
    let (redis, origins) = (Redis::start(&[]), backends());
    let mut a = Daemon::start(&conf(&origins, ""));
    let known = open(&a, 0..30);
    a.rewrite(&conf(&origins, &url(&redis)));
    a.control(&["-s", "reload"]);
    written(&redis, 30);
    let b = front(&origins, &url(&redis));
    known.iter().rev().for_each(|(n, peer)| assert_eq!(ask(&b, *n), *peer));
}

/// Certificates of an authority made for the test.
fn certificates(dir: &std::path::Path) -> bool {
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem \
                  -days 2 -subj /CN=test-ca && \
                  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout s.key -out s.csr \
                  -subj /CN=store && printf 'subjectAltName=IP:127.0.0.1' > ext && \
                  openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out s.pem";
    Command::new("sh").args(["-c", script]).current_dir(dir).output().is_ok_and(|o| o.status.success())
}

#[test]
fn tls_is_spoken_with_those_whom_the_authority_vouches_for() {
    needs_redis!("stores with TLS");
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    if !certificates(dir.path()) || !certificates(other.path()) {
        return skipped("stores with TLS", "no openssl here");
    }
    let file = |dir: &tempfile::TempDir, name: &str| dir.path().join(name).display().to_string();
    let (ca, certificate, key) = (file(&dir, "ca.pem"), file(&dir, "s.pem"), file(&dir, "s.key"));
    let args = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let way = ["--tls", "--cacert", &ca, "--cert", &certificate, "--key", &key];
    let redis = Redis::start_with(&args, &["--port", "0", "--tls-port"], &way);
    let origins = backends();
    // The server wants to know its clients, too.
    let store = format!(
        "store=rediss://127.0.0.1:{} store_ca={ca} store_certificate={certificate} store_certificate_key={key}",
        redis.port()
    );
    let (a, b) = (front(&origins, &store), front(&origins, &store));
    let known = open(&a, 0..12);
    written(&redis, 12);
    known.iter().rev().for_each(|(n, peer)| assert_eq!(ask(&b, *n), *peer));
    for store in [
        store.replace(&ca, &file(&other, "ca.pem")),
        format!("store=rediss://127.0.0.1:{}", redis.port()),
        format!("store=redis://127.0.0.1:{}", redis.port()),
    ] {
        let c = Daemon::start(&conf(&origins, &store));
        c.logged("error.log", "is away");
        assert_eq!(open(&c, 0..3).len(), 3);
    }
}

#[test]
fn a_cluster_keeps_sessions_on_all_its_nodes() {
    needs_redis!("a cluster");
    let args =
        ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000"];
    let nodes: Vec<Redis> = (0..3)
        .map(|_| {
            let bus = crate::support::daemon::free_port().to_string();
            Redis::start(&[&args[..], &["--cluster-port", &bus]].concat())
        })
        .collect();
    let addrs: Vec<String> = nodes.iter().map(|n| format!("127.0.0.1:{}", n.port())).collect();
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(&addrs).args(["--cluster-yes"]);
    let made = create.output().unwrap();
    if !made.status.success() {
        return skipped("a cluster", &String::from_utf8_lossy(&made.stdout));
    }
    let origins = backends();
    let store = format!("store=redis+cluster://{},{}", addrs[0], addrs[1]);
    let (a, b) = (front(&origins, &store), front(&origins, &store));
    let known = open(&a, 0..40);
    let spread = eventually("all sessions on the nodes", || {
        let spread: Vec<BTreeSet<String>> = nodes.iter().map(|n| n.keys().into_iter().collect()).collect();
        (spread.iter().map(BTreeSet::len).sum::<usize>() == 40).then_some(spread)
    });
    assert!(spread.iter().all(|keys| !keys.is_empty()), "{spread:?}");
    known.iter().rev().for_each(|(n, peer)| assert_eq!(ask(&b, *n), *peer, "session {n}"));
}

#[test]
fn a_session_is_shown_and_forgotten_by_order_at_all_machines() {
    needs_redis!("orders about sessions");
    let (redis, origins) = (Redis::start(&[]), backends());
    let with_control = format!("control unix:tenrec.sock;\n{}", conf(&origins, &url(&redis)));
    let (a, b) = (Daemon::start(&with_control), front(&origins, &url(&redis)));
    a.logged("error.log", "answers");
    let known = open(&a, 0..9);
    written(&redis, 9);
    known.iter().for_each(|(n, peer)| assert_eq!(ask(&b, *n), *peer));
    let run = |words: &[&str]| {
        let mut tenrec = Command::new(Program::Tenrec.path());
        tenrec.args(words).arg("--socket").arg(a.prefix().join("tenrec.sock"));
        let out = tenrec.output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    };
    let (_, all) = run(&["sessions", "u"]);
    assert!(all.starts_with("zone shared of upstream u: 9 sessions, room for 3840\n"), "{all}");
    let (_, json) = run(&["sessions", "u", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["peers"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 9);
    let at = origins[["a", "b", "c"].iter().position(|n| *n == known[&4]).unwrap()].addr();
    for name in ["4".to_owned(), format!("md5:{}", md5("4"))] {
        let (_, one) = run(&["sessions", "u", &name]);
        assert!(one.starts_with(&format!("{}: with {at}, last used ", md5("4"))), "{one}");
    }
    assert_eq!(run(&["forget", "u", "4"]), (true, format!("forgotten, it was with {at}\n")));
    written(&redis, 8);
    assert!(!redis.keys().contains(&format!("shared:{}", md5("4"))));
    let (found, why) = run(&["sessions", "u", "4"]);
    assert!(!found && why.contains("does not know this session"), "{why}");
    let (found, why) = run(&["sessions", "x"]);
    assert!(!found && why.contains("there are: u"), "{why}");
    // The other machine has heard of it: balanced anew, three times in three places.
    let again: BTreeSet<String> = (0..3)
        .map(|_| {
            let peer = ask(&b, 4);
            run(&["forget", "u", "4"]);
            eventually("it is forgotten", || (redis.keys().len() == 8).then_some(()));
            peer
        })
        .collect();
    assert!(again.len() > 1, "{again:?}");
}
