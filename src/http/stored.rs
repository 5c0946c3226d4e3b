//! `gzip_static`: files that are stored compressed, beside the plain ones.

use std::fs::{File, Metadata};

use super::context::Bytes;
use super::phases::Next;
use super::{Event, Request, ThreadState, content, gzip, path};
use crate::diag::Severity;
use crate::plan::GzipStatic;
use crate::sys::err_text;
use crate::wire::Method;

/// The compressed file for a request, if it is to be sent. `Err`: what becomes of the request instead.
pub(super) fn gzip(req: &mut Request, thread: &ThreadState) -> Result<Option<(File, Metadata)>, Next> {
    let set = req.location().set.clone();
    let Some(encoding) = set.encoding.as_deref().filter(|e| e.gzip_static != GzipStatic::Off) else {
        return Ok(None);
    };
    if !matches!(req.method(), Method::Get | Method::Head) {
        return Ok(None);
    }
    let for_all = encoding.gzip_static == GzipStatic::Always;
    let wanted = for_all || gzip::accepts(req, &encoding.accepts);
    if !wanted && !encoding.accepts.vary {
        return Ok(None);
    }
    let mut full = Vec::with_capacity(128);
    if path::map(req, &req.uri, &mut full).is_none() {
        return Err(Next::Status(500));
    }
    full.extend_from_slice(b".gz");
    let opened = content::open(&full);
    req.note(|| Event::File { path: full.clone(), opened: opened.is_ok() });
    let (file, meta) = match opened {
        Ok(opened) => opened,
        Err((call, e)) => {
            let level = match e.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG) | None => return Ok(None),
                Some(libc::EACCES | libc::EMLINK | libc::ELOOP) => Severity::Error,
                Some(_) => Severity::Crit,
            };
            thread.log_error(
                req,
                level,
                format_args!("{call} \"{}\" failed ({})", Bytes(&full), err_text(&e)),
            );
            return Ok(None);
        }
    };
    if !for_all {
        req.out.vary |= encoding.accepts.vary;
    }
    if !wanted || meta.is_dir() {
        return Ok(None);
    }
    if !meta.is_file() {
        thread.log_error(req, Severity::Crit, format_args!("\"{}\" is not a regular file", Bytes(&full)));
        return Err(Next::Status(404));
    }
    Ok(Some((file, meta)))
}
