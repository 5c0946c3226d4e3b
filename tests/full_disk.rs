//! A disk without room: what is served is served, and a log says what was lost.

use super::support::client::{Client, get};
use super::support::daemon::Daemon;
use super::support::origin::Origin;

#[test]
fn an_access_log_on_a_full_disk_costs_no_answer_and_is_told_once() {
    let mut daemon = Daemon::start(
        "worker_processes 1; pid p.pid; error_log error.log;\nevents { }\nhttp { access_log /dev/full; \
         server { listen 127.0.0.1:%%8080%%; location / { return 200 \"here\"; } } }\n",
    );
    for _ in 0..5 {
        assert_eq!(get(daemon.port(8080), "/").text(), "here");
    }
    daemon.logged("error.log", "[alert]");
    let log = daemon.file("error.log");
    let told: Vec<_> = log.lines().filter(|l| l.contains("/dev/full")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(
        told[0].contains("[alert]")
            && told[0].contains("write() to \"/dev/full\" failed (28: No space left on device)"),
        "{log}"
    );
    daemon.signal("QUIT");
    assert!(daemon.wait().success());
}

#[test]
fn an_error_log_on_a_full_disk_costs_no_answer() {
    let daemon = Daemon::start(
        "worker_processes 1; pid p.pid; error_log /dev/full info;\nevents { }\nhttp { access_log off; \
         server { listen 127.0.0.1:%%8080%%; location / { return 200 \"here\"; } location /none { root /nonexistent; } } }\n",
    );
    for _ in 0..3 {
        assert_eq!(get(daemon.port(8080), "/none").status, 404);
        assert_eq!(get(daemon.port(8080), "/").text(), "here");
    }
}

#[test]
fn a_body_that_finds_no_room_is_a_500_and_the_log_says_why() {
    let origin = Origin::says("never asked");
    let daemon = Daemon::start(&format!(
        "worker_processes 1; pid p.pid; error_log error.log;\nevents {{ }}\nhttp {{ access_log off; \
         client_body_temp_path body_temp; client_body_buffer_size 1k; \
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://{}; }} }} }}\n",
        origin.addr()
    ));
    // No file can be made where a file stands for the folder: root is stopped by this as well.
    let folder = daemon.prefix().join("body_temp");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::write(&folder, "").unwrap();
    let body = "x".repeat(100_000);
    let mut client = Client::connect(daemon.port(8080));
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(client.response().status, 500);
    let line = daemon.logged("error.log", "[crit]");
    assert!(line.contains("open() \"") && line.contains("failed (20: Not a directory)"), "{line}");
    assert!(origin.seen().is_empty());
    assert_eq!(get(daemon.port(8080), "/").text(), "never asked", "without a body nothing is missing");
}
