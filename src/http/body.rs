//! The body of a request, read whole: in memory up to `client_body_buffer_size`, then in a file without a name.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::context::Bytes;
use super::{Request, ThreadState};
use crate::diag::Severity;
use crate::sys::err_text;
use crate::wire::{BodyError, SendError, ServerConn};

/// What was read. Cleared, not dropped: its memory serves the next request.
#[derive(Debug, Default)]
pub struct Body {
    mem: Vec<u8>,
    /// Everything is here once it exists.
    file: Option<File>,
    len: u64,
}

/// A body that could not be had.
#[derive(Debug)]
pub enum BodyFail {
    /// Answered with this status: 400, 413, 500.
    Status(u16),
    /// The client is gone or too slow: the connection is closed, the log shows this status (400, 408).
    Gone(u16),
}

impl Body {
    pub fn clear(&mut self) {
        self.mem.clear();
        self.file = None;
        self.len = 0;
        if self.mem.capacity() > 64 * 1024 {
            self.mem = Vec::new();
        }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole body, when it is in memory and not empty.
    pub fn memory(&self) -> Option<&[u8]> {
        (self.file.is_none() && self.len > 0).then_some(&self.mem)
    }

    /// Bytes from `at` on, as many as there are and fit; 0 at the end.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        match &self.file {
            Some(file) => file.read_at(into, at),
            None => {
                let rest = usize::try_from(at).ok().and_then(|at| self.mem.get(at..)).unwrap_or_default();
                let n = rest.len().min(into.len());
                into[..n].copy_from_slice(&rest[..n]);
                Ok(n)
            }
        }
    }

    /// Adds a part. `Ok(Some(path))`: it went to a new file.
    fn append(&mut self, part: &[u8], limit: usize, dir: &Path) -> io::Result<Option<std::path::PathBuf>> {
        self.len += part.len() as u64;
        if let Some(file) = &mut self.file {
            file.write_all(part)?;
            return Ok(None);
        }
        if self.mem.len() + part.len() <= limit {
            self.mem.extend_from_slice(part);
            return Ok(None);
        }
        let (mut file, path) = temp_file(dir)?;
        file.write_all(&self.mem)?;
        file.write_all(part)?;
        self.mem.clear();
        self.file = Some(file);
        Ok(Some(path))
    }
}

/// A new file in `dir` whose name is gone already.
pub fn temp_file(dir: &Path) -> io::Result<(File, std::path::PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{}-{number:010}", std::process::id()));
        match File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok((file, path));
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound && !dir.exists() => std::fs::create_dir_all(dir)?,
            Err(e) => return Err(e),
        }
    }
}

/// Answers `Expect: 100-continue`, once, before the body is read.
pub async fn send_continue(req: &mut Request, conn: &mut ServerConn) -> Result<(), SendError> {
    if req.head.expect_continue && !req.expect_tested {
        conn.send_continue(req.location().send_timeout).await?;
    }
    req.expect_tested = true;
    Ok(())
}

/// Checks what was read of a chunked body against `client_max_body_size`; `Err`: the status.
pub fn check_size(req: &Request, thread: &ThreadState, read: u64, more: u64) -> Result<(), u16> {
    let limit = req.location().max_body;
    if limit == 0 || read + more <= limit {
        return Ok(());
    }
    thread.log_error(
        req,
        Severity::Error,
        format_args!("client intended to send too large chunked body: {read}+{more} bytes"),
    );
    Err(413)
}

/// Says why a body did not come, and what to do about it.
pub fn failed(req: &Request, thread: &ThreadState, error: &BodyError) -> BodyFail {
    let info = |text: std::fmt::Arguments<'_>| thread.log_error(req, Severity::Info, text);
    match error {
        BodyError::Closed => {
            info(format_args!("client prematurely closed connection"));
            BodyFail::Gone(400)
        }
        BodyError::Timeout => {
            info(format_args!("client timed out (110: Connection timed out)"));
            BodyFail::Gone(408)
        }
        BodyError::Io(e) => {
            info(format_args!("recv() failed ({})", err_text(e)));
            BodyFail::Gone(400)
        }
        BodyError::Invalid => {
            thread.log_error(req, Severity::Error, format_args!("client sent invalid chunked body"));
            BodyFail::Status(400)
        }
    }
}

/// Reads the whole body into `req.body`.
pub async fn read(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Result<(), BodyFail> {
    if !req.has_body() || req.discard_body {
        return Ok(());
    }
    if send_continue(req, conn).await.is_err() {
        return Err(BodyFail::Gone(400));
    }
    let set = req.location().set.clone();
    loop {
        let part = match conn.read_body(set.body_timeout).await {
            Ok(Some(part)) => part,
            Ok(None) => return Ok(()),
            Err(e) => return Err(failed(req, thread, &e)),
        };
        let more = part.len() as u64;
        check_size(req, thread, req.body.len(), more).map_err(BodyFail::Status)?;
        match req.body.append(part, set.body_buffer, &set.body_temp_path) {
            Ok(None) => {}
            Ok(Some(path)) => thread.log_error(
                req,
                Severity::Warn,
                format_args!(
                    "a client request body is buffered to a temporary file {}",
                    Bytes(path.as_os_str().as_encoded_bytes())
                ),
            ),
            Err(e) => {
                let dir = set.body_temp_path.as_os_str().as_encoded_bytes();
                thread.log_error(
                    req,
                    Severity::Crit,
                    format_args!("pwrite() \"{}\" failed ({})", Bytes(dir), err_text(&e)),
                );
                return Err(BodyFail::Status(500));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_moves_to_a_file_once_and_stays_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut body = Body::default();
        let mut moved = 0;
        for part in ["abc", "def", "ghi"] {
            moved += usize::from(
                body.append(part.as_bytes(), 5, &dir.path().join("new")).expect("room").is_some(),
            );
        }
        let mut all = [0; 16];
        assert_eq!(body.read_at(2, &mut all).expect("readable"), 7);
        assert_eq!((&all[..7], moved, body.len()), (&b"cdefghi"[..], 1, 9));
        assert_eq!(body.memory(), None);
        assert_eq!(
            std::fs::read_dir(dir.path().join("new")).expect("made").count(),
            0,
            "the file has no name"
        );
        body.clear();
        body.append(b"xy", 5, dir.path()).expect("memory");
        assert_eq!(body.memory(), Some(&b"xy"[..]));
    }
}
