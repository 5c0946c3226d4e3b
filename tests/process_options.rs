//! Every option of the command line, beside nginx's answer to it.

use std::process::Output;

use std::io::{Read as _, Write as _};

use super::support::daemon::{Daemon, Program, command, free_port, nginx, prefix};
use super::support::skipped;

const GOOD: &str = "events {}\nhttp { server { listen 127.0.0.1:%PORT%; } }\n";

/// Standard output, standard error and exit code of a program in a prefix of its own, without what differs between two
/// runs.
fn seen(program: &Program, conf: Option<&str>, args: &[&str]) -> String {
    let dir = prefix(&[]);
    if let Some(conf) = conf {
        std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
    }
    let Output { status, stdout, stderr } = command(program, dir.path()).args(args).output().unwrap();
    let log = std::fs::read_to_string(dir.path().join("error.log")).unwrap_or_default();
    let log: Vec<&str> = log.lines().filter_map(|l| l.split_once(": ").map(|(_, text)| text)).collect();
    let text = format!(
        "code {:?}\n{}\n{}\nlog {log:?}",
        status.code(),
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    without_time(&text).replace(&dir.path().display().to_string(), "DIR")
}

/// Lines in the form of a log without their time and process.
fn without_time(text: &str) -> String {
    let line = |l: &str| match l.split_once("#") {
        Some((head, tail)) if head.starts_with("20") => {
            let level = head.split(['[', ']']).nth(1).unwrap_or_default();
            format!("[{level}] {}", tail.split_once(": ").map_or(tail, |(_, text)| text))
        }
        _ => l.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn same(reference: &Program, conf: Option<&str>, args: &[&str]) {
    let theirs = seen(reference, conf, args);
    let ours = seen(&Program::Tenrec, conf, args);
    assert_eq!(theirs, ours, "nginx (left) and tenrec (right) on {args:?}");
}

#[test]
fn options_answer_as_nginx_does() {
    let Some(reference) = nginx() else { return skipped("options", "no nginx to compare with") };
    let port = free_port();
    let good = GOOD.replace("%PORT%", &port.to_string());
    let with_pid = |text: &str| format!("pid p;\n{text}");
    let good = with_pid(&good);
    for args in [
        &["-t"][..],
        &["-tq"],
        &["-q", "-t"],
        &["-T"],
        &["-Tq"],
        &["-t", "-g", "worker_processes 2;"],
        &["-t", "-gworker_rlimit_nofile 1024;"],
        &["-t", "-g", "nonsense;"],
        &["-t", "-e", "stderr"],
        &["-t", "-c", "missing.conf"],
        &["-tcmissing.conf"],
        &["-t", "-s", "reload"],
        &["-x"],
        &["-tx"],
        &["word"],
        &["-c"],
        &["-e"],
        &["-g"],
        &["-s"],
        &["-p"],
        &["-s", "halt"],
        &["-squit"],
        &["-s", "stop"],
        &["-s", "reload", "-e", "missing/error.log"],
    ] {
        same(&reference, Some(&good), args);
    }
}

#[test]
fn a_configuration_that_is_refused_is_refused_in_the_same_words() {
    let Some(reference) = nginx() else { return skipped("refusals", "no nginx to compare with") };
    for conf in [
        "",
        "events {}\nbad on;\n",
        "events {}\npid missing/nginx.pid;\n",
        "events {}\nerror_log missing/error.log;\npid p;\n",
        "events {}\npid p;\nhttp { access_log missing/a.log; server {} }\n",
        "events {}\npid p;\nhttp { server { listen unix:missing/s.sock; } }\n",
    ] {
        same(&reference, Some(conf), &["-t"]);
        same(&reference, Some(conf), &["-g", "daemon off;"]);
        same(&reference, Some(conf), &["-s", "stop"]);
    }
    same(&reference, None, &["-t"]);
}

#[test]
fn a_taken_port_is_an_error_at_start_and_none_in_a_test() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let conf =
        format!("pid p;\n{}", GOOD.replace("127.0.0.1:%PORT%", &other.local_addr().unwrap().to_string()));
    let tested = seen(&Program::Tenrec, Some(&conf), &["-t"]);
    assert!(tested.starts_with("code Some(0)"), "{tested}");
    let Some(reference) = nginx() else { return skipped("a taken port", "no nginx to compare with") };
    same(&reference, Some(&conf), &["-g", "daemon off;"]);
}

#[test]
fn versions_are_written_for_scripts() {
    let text = seen(&Program::Tenrec, None, &["-V"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "code Some(0)");
    assert!(lines.contains(&concat!("tenrec version: tenrec/", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(lines.contains(&"nginx version: nginx/1.31.5"), "{text}");
    assert!(lines.iter().any(|l| l.starts_with("configure arguments:")), "{text}");
    let short = seen(&Program::Tenrec, None, &["-v"]);
    assert!(!short.contains("configure arguments"), "{short}");
    for flag in ["-h", "-?", "-hv"] {
        assert!(seen(&Program::Tenrec, None, &[flag]).contains("Usage: tenrec [-?hvVtTq]"), "{flag}");
    }
}

#[test]
fn test_config_is_another_name_of_t() {
    let conf = format!("pid p;\n{}", GOOD.replace("listen 127.0.0.1:%PORT%;", "listen unix:%DIR%/s;"));
    let conf = conf.replace("%DIR%", &tempfile::tempdir().unwrap().path().display().to_string());
    let (short, long) = (
        seen(&Program::Tenrec, Some(&conf), &["-t"]),
        seen(&Program::Tenrec, Some(&conf), &["--test-config"]),
    );
    assert_eq!(short, long);
}

#[test]
fn a_person_who_tests_is_told_what_is_ignored() {
    if !std::path::Path::new("/usr/bin/script").is_file() {
        return skipped("a terminal", "no script(1)");
    }
    let dir = prefix(&[("nginx.conf", b"pid p;\nevents { multi_accept on; }\n")]);
    let run = |args: &str| {
        let line =
            format!("{} -p {}/ -c nginx.conf {args}", Program::Tenrec.path().display(), dir.path().display());
        let out = std::process::Command::new("/usr/bin/script")
            .args(["-qec", &line, "/dev/null"])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8_lossy(&out.stdout).replace('\r', "")
    };
    let told = run("-t");
    let end = format!(
        "accepted and ignored, which changes nothing for a client:\n  multi_accept  {0}/nginx.conf:2\n\
         nginx: configuration file {0}/nginx.conf test is successful\n",
        dir.path().display()
    );
    assert!(told.ends_with(&end), "{told}");
    assert_eq!(run("-tq"), "");
    let piped = command(&Program::Tenrec, dir.path()).arg("-t").output().unwrap();
    assert!(!String::from_utf8_lossy(&piped.stderr).contains("multi_accept"), "{piped:?}");
}

#[test]
fn a_file_of_nothing_but_errors_is_not_repeated_whole() {
    let conf = format!("events {{}}\n{}", "wrong thing;\n".repeat(5000));
    let text = seen(&Program::Tenrec, Some(&conf), &["-t"]);
    assert!(text.contains("unknown directive \"wrong\" in DIR/nginx.conf:2\n"), "{text}");
    assert!(text.contains("nginx: [emerg] 4000 more errors in directives\n"), "{text}");
    assert!(text.lines().filter(|l| l.contains("unknown directive")).count() < 2100, "{text}");
}

#[test]
fn a_location_s_log_is_the_standard_error_while_the_main_one_is_a_file() {
    let conf = "pid p;\nerror_log error.log;\nevents {}\nhttp { server { listen 127.0.0.1:%%8080%%;\n    \
                location /told { error_log stderr; } location / { } } }\n";
    let daemon = Daemon::start(conf);
    for path in ["/told", "/kept"] {
        let mut client = std::net::TcpStream::connect(("127.0.0.1", daemon.port(8080))).unwrap();
        write!(client, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    daemon.logged("stderr", "/told\" failed (2: No such file or directory)");
    daemon.logged("error.log", "/kept\" failed (2: No such file or directory)");
    assert!(!daemon.file("error.log").contains("/told"), "{}", daemon.file("error.log"));
}
