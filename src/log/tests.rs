use std::sync::Arc;

use crate::diag::Severity;
use crate::plan::{ErrorLog, LogFile, LogFileId, LogTarget, Plan};

use super::{AccessFiles, Logs};

fn plan(dir: &std::path::Path, buffer: Option<usize>) -> Plan {
    let mut plan = Plan::default();
    plan.process.error_logs =
        vec![ErrorLog { target: LogTarget::File(dir.join("error.log")), level: Severity::Warn }];
    let target = LogTarget::File(dir.join("access.log"));
    plan.log_files.push(LogFile { target, buffer, flush: None });
    plan
}

fn read(path: std::path::PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn an_error_line_has_nginx_form_and_its_level_is_heeded() {
    let dir = tempfile::tempdir().unwrap();
    let logs = Logs::open(&plan(dir.path(), None), None).unwrap();
    logs.error(&[], Severity::Error, Some(7), format_args!("it broke, client: {}", "::1"));
    logs.error(&[], Severity::Notice, None, format_args!("too quiet"));
    let text = read(dir.path().join("error.log"));
    let ids =
        format!(" [error] {}#{}: *7 it broke, client: ::1\n", crate::sys::pid(), crate::sys::thread_id());
    assert!(text.ends_with(&ids), "{text}");
    assert_eq!(text.len(), "2026/11/21 10:00:00".len() + ids.len(), "one line: {text}");
    assert_eq!(&text[4..5], "/");
}

#[test]
fn a_line_is_cut_where_nginx_cuts_it() {
    let dir = tempfile::tempdir().unwrap();
    let logs = Logs::open(&plan(dir.path(), None), None).unwrap();
    logs.main(Severity::Error, format_args!("{}", "x".repeat(5000)));
    assert_eq!(read(dir.path().join("error.log")).len(), 2048);
}

#[test]
fn a_reopened_file_is_a_new_one_and_no_line_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let logs = Arc::new(Logs::open(&plan(dir.path(), None), None).unwrap());
    let mut access = AccessFiles::new(logs.clone());
    access.write(LogFileId(0), b"one\n");
    std::fs::rename(dir.path().join("access.log"), dir.path().join("old")).unwrap();
    access.write(LogFileId(0), b"two\n");
    logs.reopen(None);
    access.write(LogFileId(0), b"three\n");
    assert_eq!(read(dir.path().join("old")), "one\ntwo\n");
    assert_eq!(read(dir.path().join("access.log")), "three\n");
}

#[test]
fn a_buffer_is_written_when_full_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let logs = Arc::new(Logs::open(&plan(dir.path(), Some(10)), None).unwrap());
    let mut access = AccessFiles::new(logs);
    access.write(LogFileId(0), b"12345\n");
    assert_eq!(read(dir.path().join("access.log")), "");
    access.write(LogFileId(0), b"67890\n");
    assert_eq!(read(dir.path().join("access.log")), "12345\n");
    drop(access);
    assert_eq!(read(dir.path().join("access.log")), "12345\n67890\n");
}

#[test]
fn a_full_disk_is_reported_and_does_not_panic() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(dir.path(), None);
    plan.log_files[0].target = LogTarget::File("/dev/full".into());
    let logs = Arc::new(Logs::open(&plan, None).unwrap());
    let mut access = AccessFiles::new(logs);
    access.write(LogFileId(0), b"line\n");
    access.write(LogFileId(0), b"line\n");
    let text = read(dir.path().join("error.log"));
    assert_eq!(text.lines().count(), 1, "once a minute: {text}");
    assert!(text.contains("[alert]") && text.contains("write() to \"/dev/full\" failed (28: "), "{text}");
}

#[test]
fn a_syslog_line_has_a_header_and_no_newline() {
    let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let mut plan = Plan::default();
    let text = format!("server={},facility=local0,tag=t,nohostname", server.local_addr().unwrap());
    plan.process.error_logs = vec![ErrorLog { target: LogTarget::Syslog(text), level: Severity::Warn }];
    let logs = Logs::open(&plan, None).unwrap();
    logs.main(Severity::Warn, format_args!("hello"));
    let mut buf = [0; 2048];
    let n = server.recv(&mut buf).unwrap();
    let got = String::from_utf8_lossy(&buf[..n]).into_owned();
    assert!(got.starts_with("<132>") && got.contains(" t: ") && got.ends_with(": hello"), "{got:?}");
}
