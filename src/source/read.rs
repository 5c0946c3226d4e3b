//! One file as bytes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::diag::{Diag, Severity};
use crate::sys::err_text;

/// Reads a regular file or a pipe. Other things that open are empty, as they are to nginx; a directory is an error.
/// The diagnostic has no place yet.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Diag> {
    let name = path.display();
    let failed = |call: &str, error: &io::Error| format!("{call} \"{name}\" failed ({})", err_text(error));
    let mut file = File::open(path).map_err(|e| Diag::emerg("open-failed", failed("open()", &e)))?;
    let meta =
        file.metadata().map_err(|e| Diag::new(Severity::Crit, "read-failed", failed("fstat()", &e)))?;
    let kind = meta.file_type();
    if !(kind.is_file() || kind.is_fifo() || kind.is_dir()) {
        return Ok(Vec::new());
    }
    if meta.len() > u64::from(u32::MAX) {
        return Err(too_large(path));
    }
    let mut text = Vec::with_capacity(meta.len() as usize);
    // A pipe has no size: one byte more than the limit tells that it is past it.
    let read = (&mut file).take(u64::from(u32::MAX) + 1).read_to_end(&mut text);
    // nginx names the call that it uses, and no place for what fails while reading.
    read.map_err(|e| Diag::new(Severity::Crit, "read-failed", failed("pread()", &e)))?;
    if u32::try_from(text.len()).is_err() {
        return Err(too_large(path));
    }
    Ok(text)
}

fn too_large(path: &Path) -> Diag {
    Diag::emerg("file-too-large", format!("\"{}\" is larger than 4 GiB", path.display()))
}
