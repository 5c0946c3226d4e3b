//! Writing over a file so that at any moment either the old text or the new one is there, whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use crate::sys;

/// Puts `new` in place of `old` in the file at `path`; a symbolic link stays and its file is replaced. Mode and owner
/// stay. Nothing is written when the file is not `old` any more.
pub(super) fn replace(path: &Path, old: &[u8], new: &[u8]) -> Result<(), String> {
    let told = |e: io::Error| sys::err_text(&e);
    let path = path.canonicalize().map_err(told)?;
    let meta = path.metadata().map_err(told)?;
    if !meta.is_file() {
        return Err("not a regular file".to_owned());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A name that no `include` pattern matches.
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = write(&temporary, &meta, new).map_err(told).and_then(|()| {
        if std::fs::read(&path).map_err(told)? != old {
            return Err("changed by another program meanwhile; not written".to_owned());
        }
        std::fs::rename(&temporary, &path).map_err(told)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    } else if let Some(dir) = path.parent() {
        // The name is safe when its folder is; a folder that cannot be opened for this is no failure.
        let _ = File::open(dir).and_then(|dir| dir.sync_all());
    }
    written
}

/// A new file, safe on the disk.
pub(super) fn create(path: &Path, text: &[u8]) -> Result<(), String> {
    let told = |e: io::Error| sys::err_text(&e);
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(told)?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(told)
}

fn write(path: &Path, like: &std::fs::Metadata, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        fchown(&file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(like.permissions())?;
    file.write_all(text)?;
    file.sync_all()
}
