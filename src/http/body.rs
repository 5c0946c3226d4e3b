//! The body of a request, read whole: in memory up to `client_body_buffer_size`, then in a file without a name.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use super::context::Bytes;
use super::{Request, ThreadState};
use crate::diag::Severity;
use crate::plan::BodyInFile;
use crate::sys::err_text;
use crate::wire::{BodyError, SendError, ServerConn};

/// What was read. Cleared, not dropped: its memory serves the next request.
#[derive(Debug, Default)]
pub struct Body {
    mem: Vec<u8>,
    /// Everything is here once it exists.
    file: Option<File>,
    /// Where the file is, or was made.
    path: Option<PathBuf>,
    /// The file has a name, and loses it with the body.
    clean: bool,
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
        self.drop_file();
        self.len = 0;
        if self.mem.capacity() > 64 * 1024 {
            self.mem = Vec::new();
        }
    }

    /// Lets go of the file; what is in memory stays.
    pub fn drop_file(&mut self) {
        self.file = None;
        if let Some(path) = self.path.take().filter(|_| self.clean) {
            std::fs::remove_file(path).ok();
        }
        self.clean = false;
    }

    /// The file's name (`$request_body_file`), even when it has none any more.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
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

    /// Adds a part. True: it went to a new file.
    fn append(&mut self, part: &[u8], limit: usize, dir: &Path, named: BodyInFile) -> io::Result<bool> {
        self.len += part.len() as u64;
        if let Some(file) = &mut self.file {
            file.write_all(part)?;
            return Ok(false);
        }
        if named == BodyInFile::Off && self.mem.len() + part.len() <= limit {
            self.mem.extend_from_slice(part);
            return Ok(false);
        }
        let (mut file, path) = temp_file(dir, named != BodyInFile::Off)?;
        self.path = Some(path);
        self.clean = named == BodyInFile::Clean;
        file.write_all(&self.mem)?;
        file.write_all(part)?;
        self.mem.clear();
        self.file = Some(file);
        Ok(true)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.drop_file();
    }
}

/// A new file in `dir`; unless `named`, its name is gone already.
pub fn temp_file(dir: &Path, named: bool) -> io::Result<(File, PathBuf)> {
    use std::os::unix::fs::OpenOptionsExt as _;
    static NEXT: AtomicU64 = AtomicU64::new(1);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{number:010}"));
        match File::options().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                if !named {
                    std::fs::remove_file(&path)?;
                }
                return Ok((file, path));
            }
            // Files of before, or of another process: on, past all that lie together.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                NEXT.fetch_add(crate::rt::Rng::thread(|r| r.next_u64() % 123_456), Ordering::Relaxed);
            }
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
    if req.discard_body {
        return Ok(());
    }
    // Leave to send a body is given even to a request that has none.
    if send_continue(req, conn).await.is_err() {
        return Err(BodyFail::Gone(400));
    }
    let named = req.location().body_in_file;
    let declared = req.content_length().is_some() && named != BodyInFile::Off;
    if !req.has_body() && !declared {
        return Ok(());
    }
    let timeout = req.location().body_timeout;
    loop {
        match conn.read_body(timeout).await {
            Ok(Some(part)) => {
                if let Err(status) = check_size(req, thread, req.body.len(), part.len() as u64) {
                    req.body.clear();
                    return Err(BodyFail::Status(status));
                }
                keep(req, thread, part)?;
            }
            Ok(None) => break,
            Err(e) => return Err(failed(req, thread, &e)),
        }
    }
    // A file is asked for, even for a body of length 0.
    if named != BodyInFile::Off && req.body.is_empty() { keep(req, thread, b"") } else { Ok(()) }
}

/// Reads what is there of the body, without waiting and no more than fits into its buffer. True: that was all of it.
pub fn read_at_hand(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
) -> Result<bool, BodyFail> {
    let set = req.location().set.clone();
    while req.body.len() < set.body_buffer as u64 {
        match conn.try_fill_body() {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(false)) => return Ok(true),
            Poll::Ready(Ok(true)) => {}
            Poll::Ready(Err(e)) => return Err(failed(req, thread, &e)),
        }
        let part = conn.body();
        check_size(req, thread, req.body.len(), part.len() as u64).map_err(BodyFail::Status)?;
        let n = part.len();
        req.body.mem.extend_from_slice(part);
        req.body.len += n as u64;
        conn.consume_body(n);
    }
    Ok(conn.body_done())
}

/// Keeps a part of the body.
fn keep(req: &mut Request, thread: &ThreadState, part: &[u8]) -> Result<(), BodyFail> {
    let set = req.location().set.clone();
    let in_file = set.body_in_file;
    let failed = match req.body.append(part, set.body_buffer, &set.body_temp_path, in_file) {
        Ok(false) => return Ok(()),
        Ok(true) => {
            let path = req.body.path().map_or(&b""[..], |p| p.as_os_str().as_encoded_bytes());
            thread.log_error(
                req,
                if in_file == BodyInFile::Off { Severity::Warn } else { Severity::Notice },
                format_args!("a client request body is buffered to a temporary file {}", Bytes(path)),
            );
            return Ok(());
        }
        Err(e) => e,
    };
    // A file that was made has a name.
    let (call, path) = match req.body.path() {
        Some(path) => ("pwrite()", path),
        None => ("open()", set.body_temp_path.as_path()),
    };
    thread.log_error(
        req,
        Severity::Crit,
        format_args!(
            "{call} \"{}\" failed ({})",
            Bytes(path.as_os_str().as_encoded_bytes()),
            err_text(&failed)
        ),
    );
    Err(BodyFail::Status(500))
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
            let new = dir.path().join("new");
            moved += usize::from(body.append(part.as_bytes(), 5, &new, BodyInFile::Off).expect("room"));
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
        body.append(b"xy", 5, dir.path(), BodyInFile::Off).expect("memory");
        assert_eq!(body.memory(), Some(&b"xy"[..]));
        body.clear();
        for (how, left) in [(BodyInFile::Clean, 0), (BodyInFile::On, 1)] {
            body.append(b"xy", 5, dir.path(), how).expect("room");
            let path = body.path().expect("a file has a name").to_owned();
            assert_eq!(std::fs::read(&path).expect("it has it still"), b"xy");
            body.clear();
            assert_eq!(usize::from(path.exists()), left, "{how:?}");
        }
    }
}
