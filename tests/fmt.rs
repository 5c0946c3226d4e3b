//! `tenrec fmt`: what it writes, what it leaves alone, and its exit codes.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use super::support::daemon::Program;

fn fmt(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(Program::Tenrec.path());
    command.arg("fmt").args(args);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_file_is_replaced_behind_its_link_and_keeps_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("a.conf"), dir.path().join("enabled"));
    std::fs::write(&file, "events{} # x\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("a.conf", &link).unwrap();
    let name = link.to_str().unwrap();

    let output = fmt(&["--check", name], b"");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), format!("{name}\n").as_bytes()));
    assert_eq!(std::fs::read(&file).unwrap(), b"events{} # x\n");

    assert_eq!(fmt(&[name], b"").status.code(), Some(0));
    assert_eq!(std::fs::read(&file).unwrap(), b"events {} # x\n");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    assert_eq!(fmt(&["--check", name], b"").status.code(), Some(0));
}

#[test]
fn the_standard_input_goes_to_the_standard_output() {
    let output = fmt(&["-"], b"http{\n# c\nserver{}}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"http {\n    # c\n    server {}\n}\n");
    assert_eq!(fmt(&["--check", "-"], b"a  {\n}").status.code(), Some(1));
}

#[test]
fn a_file_with_errors_is_told_of_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.conf");
    std::fs::write(&file, "http{ server{}").unwrap();
    let output = fmt(&[file.to_str().unwrap()], b"");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b""[..]));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("unexpected end of file, expecting \"}\""), "{told}");
    assert_eq!(std::fs::read(&file).unwrap(), b"http{ server{}");
    assert_eq!(fmt(&[], b"").status.code(), Some(1));
    assert_eq!(fmt(&["--chek", "-"], b"").status.code(), Some(1));
    assert_eq!(fmt(&["/no/such/file"], b"").status.code(), Some(1));
}
