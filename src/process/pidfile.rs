//! The pid file.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::sys;

/// Writes this process's number. The error is nginx's text.
pub(crate) fn write(path: &Path) -> Result<(), String> {
    open(path, true)
        .and_then(|mut file| writeln!(file, "{}", sys::pid()))
        .map_err(|e| failed("open()", path, &e))
}

/// Creates the file when it is missing and changes nothing in it: what a test of the configuration does.
pub(crate) fn probe(path: &Path) -> Result<(), String> {
    open(path, false).map(drop).map_err(|e| failed("open()", path, &e))
}

fn open(path: &Path, truncate: bool) -> io::Result<fs::File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(truncate).mode(0o644).open(path)
}

pub(crate) fn remove(path: &Path) -> Result<(), String> {
    fs::remove_file(path).map_err(|e| failed("unlink()", path, &e))
}

/// The process that the file names. The error is nginx's text.
pub fn read_pid(path: &Path) -> Result<sys::Pid, String> {
    let mut text = Vec::new();
    let file = fs::File::open(path).map_err(|e| failed("open()", path, &e))?;
    file.take(22).read_to_end(&mut text).map_err(|e| failed("read()", path, &e))?;
    while matches!(text.last(), Some(b'\r' | b'\n')) {
        text.pop();
    }
    let text = String::from_utf8_lossy(&text);
    let number = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or_else(|| format!("invalid PID number \"{text}\" in \"{}\"", path.display()))
}

/// Where the file is while a new binary runs beside this one.
pub(crate) fn old(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".oldbin");
    name.into()
}

fn failed(call: &str, path: &Path, error: &io::Error) -> String {
    format!("{call} \"{}\" failed ({})", path.display(), sys::err_text(error))
}
