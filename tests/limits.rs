//! How often and how many at once: `limit_req` and `limit_conn`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::differential::http;
use crate::support::client::{Client, get};
use crate::support::daemon::{Daemon, Program, nginx};
use crate::support::origin::Origin;
use crate::support::{eventually, skipped};

/// The same with all that is logged.
fn info(conf: String) -> String {
    conf.replacen("error_log error.log;", "error_log error.log info;", 1)
}

/// Status and field of each of some requests to one server of a program, one after the other.
fn run(program: Program, conf: &str, paths: &[&str]) -> (Vec<String>, Vec<String>, Daemon) {
    let daemon = Daemon::run(program, conf, &[("html/index.html", b"in\n")]);
    let answers = paths
        .iter()
        .map(|path| {
            let answer = get(daemon.port(8080), path);
            format!("{path} {} {}", answer.status, answer.header("X-Limit").unwrap_or_default())
        })
        .collect();
    let lines = daemon.file("error.log");
    let said = lines.lines().filter(|l| l.contains(" zone ") || l.contains("key")).map(|l| {
        let from = ["limiting", "delaying", "the value"].iter().find_map(|w| l.find(w)).unwrap_or(0);
        format!(
            "{} {}",
            l.split(['[', ']']).nth(1).unwrap_or_default(),
            l[from..].split(", client").next().unwrap_or_default()
        )
    });
    let said = said.collect();
    (answers, said, daemon)
}

/// Both programs, with the same answers and the same lines of the error log.
#[track_caller]
fn same(test: &str, conf: &str, paths: &[&str]) {
    let Some(reference) = nginx() else { return skipped(test, "no nginx to compare with") };
    let (theirs, ours) = (run(reference, conf, paths), run(Program::Tenrec, conf, paths));
    assert_eq!(theirs.0, ours.0, "{test}: nginx (left) and tenrec (right)");
    assert_eq!(theirs.1, ours.1, "{test}: the error logs of nginx (left) and tenrec (right)");
}

#[test]
fn requests_are_limited_as_in_nginx() {
    // One request a minute: what the test takes itself does not show in an excess of whole requests.
    let file = "add_header X-Limit \"$limit_req_status,$limit_conn_status\" always; alias %%DIR%%/html/;";
    let conf = http(&format!(
        "limit_req_zone $arg_k zone=slow:1m rate=1r/m; limit_req_zone $arg_o zone=other:1m rate=1r/m;\n\
         limit_req_zone $arg_big$arg_big$arg_big zone=big:1m rate=1r/m;\n\
         server {{ listen 127.0.0.1:%%8080%%; error_page 503 /sorry;\n\
         location / {{ limit_req zone=slow; {file} }}\n\
         location /sorry {{ add_header X-Limit $limit_req_status always; return 503 sorry; }}\n\
         location /burst/ {{ limit_req zone=slow burst=2 nodelay; {file} }}\n\
         location /status/ {{ limit_req zone=slow; limit_req_status 429; limit_req_log_level info; {file} }}\n\
         location /dry/ {{ limit_req zone=slow burst=1; limit_req_dry_run on; limit_req_log_level notice; {file} }}\n\
         location /both/ {{ limit_req zone=slow burst=5 nodelay; limit_req zone=other burst=1 nodelay; {file} }}\n\
         location /inner/ {{ limit_req zone=slow burst=1 nodelay; {file} location /inner/free/ {{ limit_req zone=other; {file} }} }}\n\
         location /big/ {{ limit_req zone=big; {file} }}\n\
         }}"
    ));
    let conf = info(conf);
    same(
        "limit_req",
        &conf,
        &[
            "/?k=a",
            "/?k=a",
            "/?k=a",
            "/?k=b",
            "/",
            "/",
            "/?k=b",
            "/burst/?k=c",
            "/burst/?k=c",
            "/burst/?k=c",
            "/burst/?k=c",
            "/burst/?k=c",
            "/status/?k=d",
            "/status/?k=d",
            "/dry/?k=e",
            "/dry/?k=e",
            "/dry/?k=e",
            "/dry/?k=e",
            "/both/?k=f&o=f",
            "/both/?k=f&o=f",
            "/both/?k=f&o=f",
            "/both/?k=f",
            "/both/?o=f",
            "/both/",
            "/inner/?k=g",
            "/inner/?k=g",
            "/inner/?k=g",
            "/inner/free/?k=g",
            "/inner/free/?o=g",
            "/inner/free/?o=g",
            "/big/?big=x",
            "/big/?big=x",
        ],
    );
}

#[test]
fn requests_that_come_too_fast_wait_their_turn() {
    let daemon = Daemon::start(&http(
        "limit_req_zone $arg_k zone=z:1m rate=10r/s; log_format f '$limit_req_status';\n\
         server { listen 127.0.0.1:%%8080%%; access_log limit.log f;\n\
         location / { limit_req zone=z burst=10; alias %%DIR%%/; }\n\
         location /some/ { limit_req zone=z burst=10 delay=2; alias %%DIR%%/; } }",
    ));
    let began = Instant::now();
    let took: Vec<Duration> = (0..4)
        .map(|_| {
            get(daemon.port(8080), "/p.pid?k=a");
            began.elapsed()
        })
        .collect();
    // The second waits until a tenth of a second after the first, and so on: never less, and not much more.
    for (n, took) in took.iter().enumerate() {
        assert!(*took + Duration::from_millis(2) >= Duration::from_millis(100) * n as u32, "{n}: {took:?}");
    }
    for _ in 0..3 {
        assert_eq!(get(daemon.port(8080), "/some/p.pid?k=b").status, 200);
    }
    eventually("seven lines", || (daemon.file("limit.log").lines().count() == 7).then_some(()));
    let log = daemon.file("limit.log");
    assert_eq!(log, "PASSED\nDELAYED\nDELAYED\nDELAYED\nPASSED\nPASSED\nPASSED\n");
}

/// Backends that answer when they are told to.
fn held() -> (Origin, std::sync::mpsc::Sender<()>) {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let origin = Origin::new(move |_, out| {
        let _ = told.lock().unwrap().recv_timeout(crate::support::SOON);
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    });
    (origin, tell)
}

#[test]
fn connections_are_counted_while_their_requests_last() {
    let (origin, tell) = held();
    let a = origin.addr();
    let conf = http(&format!(
        "limit_conn_zone $arg_k zone=z:1m; limit_conn_zone $server_name zone=all:1m;\n\
         log_format f '$status $limit_conn_status';\n\
         server {{ listen 127.0.0.1:%%8080%%; server_name s; access_log limit.log f; limit_conn_log_level warn;\n\
         location / {{ limit_conn z 1; limit_conn all 100; limit_conn_status 429; proxy_pass http://{a}; }}\n\
         location /dry/ {{ limit_conn z 1; limit_conn_dry_run on; return 204; alias %%DIR%%/; }}\n\
         location /file/ {{ limit_conn z 1; alias %%DIR%%/; }}\n\
         location /dry-file/ {{ limit_conn z 1; limit_conn_dry_run on; alias %%DIR%%/; }} }}"
    ));
    let conf = info(conf);
    for program in [nginx(), Some(Program::Tenrec)].into_iter().flatten() {
        let daemon = Daemon::run(program, &conf, &[]);
        let port = daemon.port(8080);
        let mut first = Client::connect(port);
        let before = origin.seen().len();
        first.send("GET /?k=a HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n");
        eventually("the first at the backend", || (origin.seen().len() > before).then_some(()));
        assert_eq!(get(port, "/?k=a").status, 429);
        assert_eq!(get(port, "/file/p.pid?k=a").status, 503);
        assert_eq!(get(port, "/file/p.pid?k=b").status, 200);
        assert_eq!(get(port, "/file/p.pid").status, 200);
        assert_eq!(get(port, "/dry-file/p.pid?k=a").status, 200);
        tell.send(()).unwrap();
        assert!(String::from_utf8_lossy(&first.rest()).ends_with("ok"));
        eventually("the seat to be free", || (get(port, "/file/p.pid?k=a").status == 200).then_some(()));
        let log = daemon.file("limit.log");
        let expected =
            ["429 REJECTED", "503 REJECTED", "200 PASSED", "200 -", "200 REJECTED_DRY_RUN", "200 PASSED"];
        assert!(log.lines().take(6).eq(expected), "{log}");
        daemon.logged("error.log", "[warn]");
        daemon.logged("error.log", "limiting connections by zone \"z\", client: 127.0.0.1");
        daemon.logged("error.log", "limiting connections, dry run, by zone \"z\"");
    }
}

#[test]
fn counts_outlive_a_reload_and_a_key_may_not_change() {
    let conf = |key: &str| {
        info(http(&format!(
            "limit_req_zone {key} zone=z:1m rate=1r/m;\n\
             server {{ listen 127.0.0.1:%%8080%%; location / {{ limit_req zone=z; alias %%DIR%%/; }} }}"
        )))
    };
    let mut daemon = Daemon::start(&conf("$arg_k"));
    assert_eq!(get(daemon.port(8080), "/p.pid?k=a").status, 200);
    daemon.rewrite(&conf("$arg_k"));
    daemon.signal("HUP");
    daemon.logged("error.log", "exited with code 0");
    assert_eq!(get(daemon.port(8080), "/p.pid?k=a").status, 503);
    assert_eq!(get(daemon.port(8080), "/p.pid?k=b").status, 200);
    daemon.rewrite(&conf("$arg_other"));
    daemon.signal("HUP");
    daemon.logged(
        "error.log",
        "limit_req \"z\" uses the \"$arg_other\" key while previously it used the \"$arg_k\" key",
    );
    assert_eq!(get(daemon.port(8080), "/p.pid?k=b").status, 503, "the old worker serves on");
}
