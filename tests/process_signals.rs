//! Signals, the pid file, reloads and the end of master and worker, from outside.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::client::{Client, get};
use super::support::daemon::{Daemon, Program, kill};
use super::support::eventually;

fn conf(threads: usize, answer: &str) -> String {
    format!(
        "worker_processes {threads};\nerror_log error.log notice;\npid nginx.pid;\nevents {{}}\n\
         http {{ access_log access.log; server {{ listen 127.0.0.1:%%8080%%; \
         location / {{ return 200 \"{answer}\"; }} }} }}\n"
    )
}

/// The children of a process, oldest first.
pub fn children(pid: i32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(Path::new(&path)).unwrap_or_default();
    text.split_whitespace().filter_map(|w| w.parse().ok()).collect()
}

/// The worker of a master that has one.
pub fn worker(daemon: &Daemon) -> i32 {
    eventually("the worker", || children(daemon.pid()).first().copied())
}

#[test]
fn a_master_serves_nothing_and_its_worker_has_the_threads() {
    let daemon = Daemon::start(&conf(2, "a"));
    assert_eq!(get(daemon.port(8080), "/").text(), "a");
    assert_eq!(daemon.file("nginx.pid"), format!("{}\n", daemon.pid()));
    let workers = children(daemon.pid());
    assert_eq!(workers.len(), 1);
    let tasks = |pid: i32| std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    assert_eq!(tasks(daemon.pid()), 1, "the master has no threads");
    eventually("two threads that serve and one that looks after them", || {
        (tasks(workers[0]) == 3).then_some(())
    });
}

#[test]
fn quit_term_and_int_end_it_and_remove_the_pid_file() {
    for signal in ["QUIT", "TERM", "INT"] {
        let mut daemon = Daemon::start(&conf(1, "a"));
        // Its sockets answer before it listens to signals.
        worker(&daemon);
        daemon.signal(signal);
        assert!(daemon.wait().success(), "{signal}");
        assert_eq!(daemon.file("nginx.pid"), "", "{signal}");
        daemon.logged("error.log", "exited with code 0");
    }
}

#[test]
fn quit_lets_a_request_in_flight_end() {
    let mut daemon = Daemon::start(&conf(1, "done"));
    let mut client = Client::connect(daemon.port(8080));
    client.send("GET / HTTP/1.1\r\nHost: x\r\n");
    // The worker has the connection once the first of two requests on another one is answered.
    assert_eq!(get(daemon.port(8080), "/").text(), "done");
    daemon.signal("QUIT");
    daemon.logged("error.log", "gracefully shutting down");
    let answer = client.send("\r\n").response();
    assert_eq!(answer.text(), "done");
    assert_eq!(answer.header("Connection").as_deref(), Some("close"));
    assert!(daemon.wait().success());
}

#[test]
fn a_control_run_sends_the_signal() {
    let mut daemon = Daemon::start(&conf(1, "a"));
    assert!(daemon.control(&["-s", "reload"]).status.success());
    daemon.logged("error.log", "reconfiguring");
    assert!(daemon.control(&["-s", "reopen"]).status.success());
    daemon.logged("error.log", "reopening logs");
    assert!(daemon.control(&["-s", "quit"]).status.success());
    assert!(daemon.wait().success());
}

#[test]
fn a_reload_takes_the_new_configuration() {
    let mut daemon = Daemon::start(&conf(2, "old"));
    daemon.rewrite(&conf(2, "new"));
    daemon.signal("HUP");
    eventually("the new answer", || (get(daemon.port(8080), "/").text() == "new").then_some(()));
    eventually("one worker is left", || (children(daemon.pid()).len() == 1).then_some(()));
}

#[test]
fn a_broken_configuration_keeps_the_old_one_and_says_why() {
    let mut daemon = Daemon::start(&conf(2, "old"));
    let before = vec![worker(&daemon)];
    daemon.rewrite(&conf(2, "new").replace("events {}", "events {}\nno_such_thing on;"));
    daemon.signal("HUP");
    let line = daemon.logged("error.log", "no_such_thing");
    assert!(line.contains("[emerg]") && line.contains("unknown directive \"no_such_thing\" in "), "{line}");
    assert!(line.ends_with("nginx.conf:5"), "{line}");
    assert_eq!(get(daemon.port(8080), "/").text(), "old");
    assert_eq!(children(daemon.pid()), before);
}

#[test]
fn a_reload_onto_a_taken_port_keeps_the_old_configuration() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let mut daemon = Daemon::start(&conf(1, "old"));
    daemon.rewrite(&conf(1, "new").replace("listen ", &format!("listen {taken}; listen ")));
    daemon.signal("HUP");
    daemon.logged("error.log", &format!("bind() to {taken} failed (98: Address already in use)"));
    daemon.logged("error.log", "still could not bind()");
    assert_eq!(get(daemon.port(8080), "/").text(), "old");
}

#[test]
fn a_worker_that_is_killed_comes_back() {
    let daemon = Daemon::start(&conf(2, "a"));
    let worker = worker(&daemon);
    kill(worker, "KILL");
    daemon.logged("error.log", &format!("worker process {worker} exited on signal 9"));
    eventually("another worker", || children(daemon.pid()).first().filter(|w| **w != worker).copied());
    assert_eq!(get(daemon.port(8080), "/").text(), "a");
}

#[test]
fn reopened_logs_are_new_files() {
    let daemon = Daemon::start(&conf(2, "a"));
    let path = daemon.prefix().join("access.log");
    get(daemon.port(8080), "/one");
    daemon.logged("access.log", "GET /one ");
    std::fs::rename(&path, path.with_extension("old")).unwrap();
    get(daemon.port(8080), "/two");
    daemon.logged("access.old", "GET /two ");
    daemon.signal("USR1");
    eventually("the file is there again", || path.is_file().then_some(()));
    eventually("a line in the new file", || {
        get(daemon.port(8080), "/three");
        daemon.file("access.log").contains("GET /three ").then_some(())
    });
}

/// Clients that ask without a pause, half of them on kept connections, until told to stop; every answer must be whole.
fn load(port: u16, stop: &Arc<AtomicBool>, done: &Arc<AtomicUsize>) -> Vec<std::thread::JoinHandle<()>> {
    (0..4)
        .map(|n| {
            let (stop, done) = (stop.clone(), done.clone());
            std::thread::spawn(move || {
                let mut kept: Option<Client> = None;
                while !stop.load(Ordering::Relaxed) {
                    let mut client = kept.take().unwrap_or_else(|| Client::connect(port));
                    let close = if n % 2 == 0 { "Connection: close\r\n" } else { "" };
                    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{close}\r\n"));
                    let answer = client.response();
                    assert_eq!(answer.status, 200);
                    done.fetch_add(1, Ordering::Relaxed);
                    kept = (answer.header("Connection").as_deref() != Some("close")).then_some(client);
                }
            })
        })
        .collect()
}

#[test]
fn reloads_under_load_lose_no_request() {
    let mut daemon = Daemon::start(&conf(2, "a"));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients = load(daemon.port(8080), &stop, &done);
    // Threads come and go with the reloads, and so do their queues.
    for (i, threads) in [1, 3, 2, 1, 4, 1].into_iter().enumerate() {
        let answer = format!("answer {i}");
        daemon.rewrite(&conf(threads, &answer));
        daemon.signal("HUP");
        eventually("the new answer", || (get(daemon.port(8080), "/").text() == answer).then_some(()));
        let (before, end) = (done.load(Ordering::Relaxed), Instant::now() + Duration::from_secs(10));
        while done.load(Ordering::Relaxed) < before + 200 && Instant::now() < end {
            std::thread::yield_now();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("no request was lost");
    }
    assert!(done.load(Ordering::Relaxed) > 1000, "there was a load");
    eventually("one worker is left", || (children(daemon.pid()).len() == 1).then_some(()));
}

#[test]
fn threads_that_come_back_get_their_share() {
    let spread = |threads| conf(threads, "a");
    let mut daemon = Daemon::start(&spread(3));
    for threads in [1, 3] {
        daemon.rewrite(&spread(threads));
        let old = worker(&daemon);
        daemon.signal("HUP");
        eventually("the old worker ends", || (!children(daemon.pid()).contains(&old)).then_some(()));
    }
    // A thread that answered has used processor time or at least been woken for it.
    let new = worker(&daemon);
    let switches = |tid: &str| {
        let text = std::fs::read_to_string(format!("/proc/{new}/task/{tid}/status")).unwrap_or_default();
        let line =
            text.lines().find(|l| l.starts_with("voluntary_ctxt_switches")).unwrap_or_default().to_owned();
        line.split_whitespace().last().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
    };
    let tids: Vec<String> = std::fs::read_dir(format!("/proc/{new}/task"))
        .unwrap()
        .filter_map(|e| e.unwrap().file_name().into_string().ok())
        .filter(|t| *t != new.to_string())
        .collect();
    assert_eq!(tids.len(), 3);
    let before: Vec<u64> = tids.iter().map(|t| switches(t)).collect();
    eventually("every thread has had connections", || {
        get(daemon.port(8080), "/");
        tids.iter().zip(&before).all(|(t, b)| switches(t) >= b + 3).then_some(())
    });
}

#[test]
fn what_waits_in_a_queue_at_the_end_is_answered() {
    let mut daemon = Daemon::start(&conf(1, "a"));
    let worker = worker(&daemon);
    // A stopped worker accepts nothing: these connections wait in the kernel's queue.
    kill(worker, "STOP");
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(daemon.port(8080))).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    daemon.signal("QUIT");
    daemon.logged("error.log", "(SIGQUIT) received");
    kill(worker, "CONT");
    for client in &mut clients {
        assert_eq!(client.response().text(), "a");
    }
    assert!(daemon.wait().success());
}

#[test]
fn without_a_master_one_process_serves_and_reloads() {
    let single = |answer: &str| format!("master_process off;\n{}", conf(2, answer));
    let mut daemon = Daemon::start(&single("old"));
    assert!(children(daemon.pid()).is_empty());
    daemon.rewrite(&single("new"));
    daemon.signal("HUP");
    eventually("the new answer", || (get(daemon.port(8080), "/").text() == "new").then_some(()));
    daemon.signal("QUIT");
    assert!(daemon.wait().success());
    assert_eq!(daemon.file("nginx.pid"), "");
}

#[test]
fn a_new_binary_takes_over_the_sockets() {
    let mut daemon = Daemon::start(&conf(2, "a"));
    // Its parent, this test, is not the process that executed it: the signal is heeded.
    daemon.signal("USR2");
    daemon.logged("error.log", "changing binary");
    let new = eventually("the new master's pid file", || {
        let pid = daemon.file("nginx.pid").trim().parse::<i32>().ok()?;
        (pid != daemon.pid()).then_some(pid)
    });
    assert_eq!(daemon.file("nginx.pid.oldbin"), format!("{}\n", daemon.pid()));
    daemon.logged("error.log", "using inherited sockets from ");
    eventually("the new worker", || children(new).first().copied());
    daemon.signal("QUIT");
    assert!(daemon.wait().success());
    for _ in 0..10 {
        assert_eq!(get(daemon.port(8080), "/").text(), "a", "served by the new binary");
    }
    assert_eq!(daemon.file("nginx.pid"), format!("{new}\n"));
    kill(new, "TERM");
    eventually("the new binary's pid file goes", || daemon.file("nginx.pid").is_empty().then_some(()));
}

#[test]
fn a_unix_socket_is_open_to_all_and_gone_at_the_end() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    let text = conf(2, "a").replace("listen ", "listen unix:%%DIR%%/s.sock; listen ");
    let mut daemon = Daemon::run(Program::Tenrec, &text, &[]);
    let path = daemon.prefix().join("s.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
    for _ in 0..8 {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\na"), "{answer}");
    }
    daemon.signal("QUIT");
    assert!(daemon.wait().success());
    assert!(!path.exists());
}
