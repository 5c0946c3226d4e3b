//! One place that lines are written to.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use crate::plan::LogTarget;
use crate::sys;

use super::Syslog;

/// An open log, shared by all threads: a reopened file keeps its descriptor's number.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) target: LogTarget,
    to: To,
    /// The second in which the disk was last found full; nothing is written in that second.
    full_at: AtomicI64,
    /// When a failure of this log was last reported.
    reported_at: AtomicI64,
}

#[derive(Debug)]
enum To {
    File {
        path: PathBuf,
        file: File,
    },
    Stderr(io::Stderr),
    Syslog(Syslog),
    /// An access log with variables in its path: opened for each line.
    Nowhere,
}

/// What went wrong with a write.
#[derive(Debug)]
pub(super) enum WriteError {
    Failed(io::Error),
    Short { written: usize },
}

impl Sink {
    pub(super) fn open(target: &LogTarget) -> Result<Self, (PathBuf, io::Error)> {
        let to = match target {
            LogTarget::File(path) => {
                let file = sys::open_append(path).map_err(|e| (path.clone(), e))?;
                To::File { path: path.clone(), file }
            }
            LogTarget::Stderr => To::Stderr(io::stderr()),
            LogTarget::Syslog(text) => To::Syslog(Syslog::parse(text)),
            LogTarget::Variable(_) => To::Nowhere,
        };
        let (full_at, reported_at) = (AtomicI64::new(0), AtomicI64::new(0));
        Ok(Self { target: target.clone(), to, full_at, reported_at })
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match &self.to {
            To::File { path, .. } => Some(path),
            _ => None,
        }
    }

    pub(super) fn is_stderr(&self) -> bool {
        matches!(self.to, To::Stderr(_))
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.to {
            To::File { file, .. } => Some(file.as_fd()),
            To::Stderr(stderr) => Some(stderr.as_fd()),
            To::Syslog(_) | To::Nowhere => None,
        }
    }

    pub(super) fn syslog(&self) -> Option<&Syslog> {
        match &self.to {
            To::Syslog(syslog) => Some(syslog),
            _ => None,
        }
    }

    /// Writes whole lines in one call. On a full disk it waits for the next second, as nginx does.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        let Some(fd) = self.fd() else { return Ok(()) };
        if self.full_at.load(Ordering::Relaxed) != 0 && self.full_at.load(Ordering::Relaxed) == sys::now().0 {
            return Ok(());
        }
        match sys::write_all_or_part(fd, bytes) {
            Ok(n) if n == bytes.len() => Ok(()),
            Ok(written) => Err(WriteError::Short { written }),
            Err(err) => {
                if err.kind() == io::ErrorKind::StorageFull {
                    self.full_at.store(sys::now().0, Ordering::Relaxed);
                }
                Err(WriteError::Failed(err))
            }
        }
    }

    /// Whether a failure may be reported now: once a minute.
    pub(super) fn may_report(&self) -> bool {
        let now = sys::now().0;
        if now - self.reported_at.load(Ordering::Relaxed) <= 59 {
            return false;
        }
        self.reported_at.store(now, Ordering::Relaxed);
        true
    }

    /// Opens the file's path again and lets the descriptor in use mean the new file. `owner`: whom the new file shall
    /// belong to.
    pub(super) fn reopen(&self, owner: Option<u32>) -> Result<(), String> {
        let To::File { path, file } = &self.to else { return Ok(()) };
        let say = |what: &str, e: io::Error| format!("{what} failed ({})", sys::err_text(&e));
        let shown = path.display();
        let new = sys::open_append(path).map_err(|e| say(&format!("open() \"{shown}\""), e))?;
        if let Some(uid) = owner {
            sys::change_owner(path, uid).map_err(|e| say(&format!("chown(\"{shown}\", {uid})"), e))?;
        }
        sys::move_onto(&new, file).map_err(|e| say(&format!("dup3() \"{shown}\""), e))
    }

    /// Makes the standard error of this process go to this file.
    pub(super) fn take_stderr(&self) -> io::Result<()> {
        match &self.to {
            To::File { file, .. } => sys::stderr_to(file),
            _ => Ok(()),
        }
    }
}
