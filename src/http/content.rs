//! What answers by itself: files, `try_files`, `stub_status`, `empty_gif`.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use super::context::Bytes;
use super::phases::{Next, discard, filtered, internal_redirect, missing, named, send, send_text};
use super::range::Ranges;
use super::{Event, Request, ThreadState, path, respond, stored, uri};
use crate::diag::Severity;
use crate::plan::{Root, TryFiles, TryLast};
use crate::sys::err_text;
use crate::vars;
use crate::wire::{Method, SendError, ServerConn};

/// Bytes of a file that are read at once.
const CHUNK: usize = 64 * 1024;

/// `Content-Type` by the path's extension.
pub(super) fn set_type(req: &mut Request) {
    if !req.out.content_type.is_empty() {
        return;
    }
    let plan = req.plan.clone();
    let Some(loc) = plan.locations.get(req.loc.ix()) else { return };
    let extension = uri::extension(&req.uri);
    let found = if extension.is_empty() {
        None
    } else if extension.iter().any(u8::is_ascii_uppercase) {
        loc.types.get(&extension.to_ascii_lowercase()[..])
    } else {
        loc.types.get(extension)
    };
    let found = found.unwrap_or(&loc.default_type);
    req.out.content_type.extend_from_slice(found);
}

/// The file system's word on a path that ends in a NUL byte, or has one inside, is that there is no such file.
fn open_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG))
}

/// `try_files`; `None`: a file was found, and the path is its now.
pub(super) fn try_files(req: &mut Request, thread: &ThreadState, tries: &TryFiles) -> Option<Next> {
    for one in &tries.tries {
        let mut name = vars::eval_to_vec(&one.path, req);
        let uri = std::mem::take(&mut req.uri);
        let alias = match &req.location().root {
            Root::Root(_) => None,
            Root::Alias { replaces, .. } => Some(*replaces),
        };
        let mut full = Vec::with_capacity(128);
        // `name` takes the place of the path.
        let root = match alias {
            None => path::map(req, &name, &mut full),
            Some(Some(n)) => {
                if uri.get(..n).is_some_and(|prefix| name.starts_with(prefix)) {
                    name.drain(..n);
                }
                req.uri = [&uri[..n.min(uri.len())], &name[..]].concat();
                let full_uri = std::mem::take(&mut req.uri);
                path::map(req, &full_uri, &mut full)
            }
            Some(None) => {
                let root = path::map(req, b"", &mut full);
                full.extend_from_slice(&name);
                root
            }
        };
        req.uri = uri;
        if root.is_none() {
            return Some(Next::Status(500));
        }
        let meta = std::fs::metadata(open_path(&full));
        let found = || meta.as_ref().is_ok_and(|m| m.is_dir() == one.dir);
        req.note(|| Event::Try { path: full.clone(), dir: one.dir, found: found() });
        match meta {
            Err(e) => {
                if !is_missing(&e) && e.raw_os_error().is_some() {
                    thread.log_error(
                        req,
                        Severity::Crit,
                        format_args!("stat() \"{}\" failed ({})", Bytes(&full), err_text(&e)),
                    );
                }
            }
            Ok(meta) if meta.is_dir() == one.dir => {
                match alias {
                    None => req.uri = name,
                    Some(Some(n)) => {
                        req.uri.truncate(n);
                        req.uri.extend_from_slice(&name);
                    }
                    Some(None) if !one.dir => {
                        req.uri = name;
                        req.add_uri_to_alias = true;
                    }
                    Some(None) => {}
                }
                return None;
            }
            Ok(_) => {}
        }
    }
    req.note(|| Event::TryLast);
    Some(match &tries.last {
        TryLast::Code(code) => Next::Status(*code),
        TryLast::Named(id) => named(req, thread, *id, b""),
        TryLast::NamedMissing(name) => missing(req, thread, name),
        TryLast::Uri(template) => {
            let to = vars::eval_to_vec(template, req);
            let (path, args) = uri::split_args(&to);
            internal_redirect(req, thread, path.to_vec(), args.to_vec())
        }
    })
}

/// Index, then the file itself.
pub(super) async fn files(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Next {
    let known = matches!(req.method(), Method::Get | Method::Head | Method::Post);
    if !known {
        return Next::Status(405);
    }
    if req.uri.last() == Some(&b'/') { index(req, thread) } else { file(req, conn, thread).await }
}

fn index(req: &mut Request, thread: &ThreadState) -> Next {
    let set = req.location().set.clone();
    let mut directory_seen = false;
    for name in &set.index {
        let name = vars::eval_to_vec(name, req);
        if name.first() == Some(&b'/') {
            let args = req.args.clone();
            return internal_redirect(req, thread, name, args);
        }
        let mut full = Vec::with_capacity(128);
        if path::map(req, &req.uri, &mut full).is_none() {
            return Next::Status(500);
        }
        let directory = full.len();
        full.extend_from_slice(&name);
        let meta = std::fs::metadata(open_path(&full));
        req.note(|| Event::Index { path: full.clone(), found: meta.is_ok() });
        let error = match meta {
            Ok(_) => {
                let mut to = req.uri.clone();
                to.extend_from_slice(&name);
                let args = req.args.clone();
                return internal_redirect(req, thread, to, args);
            }
            Err(e) => e,
        };
        match error.raw_os_error() {
            Some(libc::ENOTDIR | libc::ENAMETOOLONG) => return not_found(req, thread, &full, &error),
            Some(libc::EACCES) => {
                thread.log_error(
                    req,
                    Severity::Error,
                    format_args!("\"{}\" is forbidden ({})", Bytes(&full), err_text(&error)),
                );
                return Next::Status(403);
            }
            _ => {}
        }
        if !directory_seen {
            if let Some(next) = directory_error(req, thread, &full[..directory], &full) {
                return next;
            }
            directory_seen = true;
        }
        if error.raw_os_error() != Some(libc::ENOENT) {
            let crit = format_args!("stat() \"{}\" failed ({})", Bytes(&full), err_text(&error)).to_string();
            thread.log_error(req, Severity::Crit, format_args!("{crit}"));
            return Next::Status(500);
        }
    }
    let mut full = Vec::new();
    if path::map(req, &req.uri, &mut full).is_some() {
        thread.log_error(
            req,
            Severity::Error,
            format_args!("directory index of \"{}\" is forbidden", Bytes(&full)),
        );
    }
    Next::Status(403)
}

/// Whether the directory of an index is one; `file` is what was looked for in it.
fn directory_error(req: &Request, thread: &ThreadState, path: &[u8], file: &[u8]) -> Option<Next> {
    let path = path.strip_suffix(b"/").filter(|p| !p.is_empty()).unwrap_or(path);
    match std::fs::metadata(open_path(path)) {
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => {
            thread.log_error(req, Severity::Alert, format_args!("\"{}\" is not a directory", Bytes(path)));
            Some(Next::Status(500))
        }
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Some(not_found(req, thread, file, &e)),
        Err(e) if e.raw_os_error() == Some(libc::EACCES) => None,
        Err(e) => {
            thread.log_error(
                req,
                Severity::Crit,
                format_args!("stat() \"{}\" failed ({})", Bytes(path), err_text(&e)),
            );
            Some(Next::Status(500))
        }
    }
}

fn not_found(req: &Request, thread: &ThreadState, path: &[u8], error: &io::Error) -> Next {
    if req.location().log_not_found {
        thread.log_error(
            req,
            Severity::Error,
            format_args!("\"{}\" is not found ({})", Bytes(path), err_text(error)),
        );
    }
    Next::Status(404)
}

async fn file(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Next {
    match stored::gzip(req, thread) {
        Ok(None) => {}
        Ok(Some((file, meta))) => return send_file(req, conn, thread, &file, &meta, true).await,
        Err(next) => return next,
    }
    let mut full = Vec::with_capacity(128);
    if path::map(req, &req.uri, &mut full).is_none() {
        return Next::Status(500);
    }
    let opened = open(&full);
    req.note(|| Event::File { path: full.clone(), opened: opened.is_ok() });
    let (file, meta) = match opened {
        Ok(opened) => opened,
        Err((call, e)) => {
            let (level, status) = match e.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG) | None => (Severity::Error, 404),
                Some(libc::EACCES | libc::EMLINK | libc::ELOOP) => (Severity::Error, 403),
                Some(_) => (Severity::Crit, 500),
            };
            if status != 404 || req.location().log_not_found {
                thread.log_error(
                    req,
                    level,
                    format_args!("{call} \"{}\" failed ({})", Bytes(&full), err_text(&e)),
                );
            }
            return Next::Status(status);
        }
    };
    if meta.is_dir() {
        let mut to = Vec::with_capacity(req.uri.len() + 16);
        uri::escape_path(&req.uri, &mut to);
        to.push(b'/');
        if !req.args.is_empty() {
            to.push(b'?');
            to.extend_from_slice(&req.args);
        }
        req.out.set_location(&to);
        return Next::Status(301);
    }
    if !meta.is_file() {
        thread.log_error(req, Severity::Crit, format_args!("\"{}\" is not a regular file", Bytes(&full)));
        return Next::Status(404);
    }
    if req.method() == Method::Post {
        return Next::Status(405);
    }
    send_file(req, conn, thread, &file, &meta, false).await
}

/// Answers with a file; `packed`: it is compressed.
async fn send_file(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
    file: &File,
    meta: &Metadata,
    packed: bool,
) -> Next {
    if let Err(next) = discard(req, conn, thread).await {
        return next;
    }
    req.out.status = 200;
    req.out.content_length = Some(meta.len());
    req.out.last_modified = Some(meta.mtime());
    if req.location().etag {
        let etag = format!("\"{:x}-{:x}\"", meta.mtime(), meta.len());
        req.out.etag = Some(req.out.push(b"ETag", etag.as_bytes()));
    }
    set_type(req);
    if packed {
        req.out.content_encoding = Some(req.out.push(b"Content-Encoding", b"gzip"));
    }
    req.allow_ranges = true;
    if let Err(status) = respond::send_head(req, conn, thread) {
        return filtered(req, status);
    }
    if req.header_only {
        return respond::finish(req, conn).await.into();
    }
    let sent = async {
        let ranges = std::mem::take(&mut req.ranges);
        match &ranges {
            Ranges::All => copy(req, conn, file, 0, meta.len()).await?,
            Ranges::One(from, to) => copy(req, conn, file, *from, *to).await?,
            Ranges::Many { parts, .. } => {
                let mut between = Vec::new();
                for &(from, to) in parts {
                    between.clear();
                    ranges.part_head(from, to, &mut between);
                    respond::send_body(req, conn, &between).await?;
                    copy(req, conn, file, from, to).await?;
                }
                between.clear();
                ranges.end(&mut between);
                respond::send_body(req, conn, &between).await?;
            }
        }
        respond::finish(req, conn).await
    };
    let sent: Result<(), SendError> = sent.await;
    if let Err(SendError::Io(e)) = &sent {
        thread.log_error(
            req,
            Severity::Info,
            format_args!("writev() failed ({}) while sending response to client", err_text(e)),
        );
    }
    sent.into()
}

/// `Err`: which call failed, and how.
pub(super) fn open(path: &[u8]) -> Result<(File, Metadata), (&'static str, io::Error)> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // Not blocking: opening a FIFO must not wait for its other end.
    let mut options = std::fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(open_path(path)).map_err(|e| ("open()", e))?;
    let meta = file.metadata().map_err(|e| ("fstat()", e))?;
    Ok((file, meta))
}

async fn copy(
    req: &mut Request,
    conn: &mut ServerConn,
    file: &File,
    from: u64,
    to: u64,
) -> Result<(), SendError> {
    if req.trace.is_some() {
        // Nobody reads it.
        return Ok(());
    }
    let mut at = from;
    let mut buffer = vec![0; CHUNK.min(usize::try_from(to - from).unwrap_or(CHUNK))];
    while at < to {
        let want = buffer.len().min(usize::try_from(to - at).unwrap_or(CHUNK));
        let got = file.read_at(&mut buffer[..want], at)?;
        if got == 0 {
            // The file was cut while it was sent: the client must not take what follows for its rest.
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        respond::send_body(req, conn, &buffer[..got]).await?;
        at += got as u64;
    }
    Ok(())
}

/// `stub_status`
pub(super) async fn stub_status(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Next {
    if !matches!(req.method(), Method::Get | Method::Head) {
        return Next::Status(405);
    }
    let n = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let s = &thread.stats;
    let text = format!(
        "Active connections: {} \nserver accepts handled requests\n {} {} {} \nReading: {} Writing: {} Waiting: {} \n",
        n(&s.active),
        n(&s.accepted),
        n(&s.handled),
        n(&s.requests),
        n(&s.reading),
        n(&s.writing),
        n(&s.waiting)
    );
    send_text(req, conn, thread, 200, Some(b"text/plain"), text.as_bytes()).await
}

/// One transparent pixel.
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\x01\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\x01\0,\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;";

/// `empty_gif`
pub(super) async fn empty_gif(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Next {
    if !matches!(req.method(), Method::Get | Method::Head) {
        return Next::Status(405);
    }
    if let Err(next) = discard(req, conn, thread).await {
        return next;
    }
    req.out.status = 200;
    req.out.content_length = Some(GIF.len() as u64);
    req.out.content_type.extend_from_slice(b"image/gif");
    // nginx dates the pixel with the epoch of its own.
    req.out.last_modified = Some(23_349_600);
    send(req, conn, thread, GIF).await
}
