//! The configuration that runs, kept so that a test of another one can compare: a file in memory that the master
//! holds open, readable through /proc by whoever may read the master (its own user, and root).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;

use crate::source::{Conf, Recalled, recall, record};
use crate::sys;

use super::options::Options;
use super::pidfile;

const NAME: &std::ffi::CStr = c"tenrec-configuration";

/// A configuration larger than this is not kept.
const MOST: u64 = 64 << 20;

/// What the master keeps of the configuration that it runs; nothing where there is no room for it.
#[derive(Debug, Default)]
pub struct Record(#[expect(dead_code, reason = "held open, read by others")] Option<File>);

impl Record {
    pub fn of(conf: &Conf, options: &Options) -> Self {
        let bytes = record(conf, &options.conf, &options.prefix, options.globals.as_deref());
        if bytes.len() as u64 > MOST {
            return Self(None);
        }
        let file = sys::memory_file(NAME).and_then(|mut file| file.write_all(&bytes).map(|()| file));
        Self(file.ok())
    }
}

/// The configuration of the tenrec that the pid file names; `None`: there is none that this user may ask.
pub fn running(pid_file: &Path) -> Option<Recalled> {
    let pid = pidfile::read_pid(pid_file).ok()?;
    let wanted = format!("/memfd:{} (deleted)", NAME.to_string_lossy());
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        if fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == OsStr::new(&wanted)) {
            let mut bytes = Vec::new();
            File::open(entry.path()).ok()?.take(MOST + 1).read_to_end(&mut bytes).ok()?;
            return recall(&bytes);
        }
    }
    None
}
