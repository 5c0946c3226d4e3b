//! The control socket as the master holds it: for its owner alone, the same one over a reload.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::Severity;
use crate::log::Logs;
use crate::server;
use crate::sys::{self, LocalName};

use super::sockets::Refused;
use super::upgrade;

/// Connections that wait.
const BACKLOG: i32 = 128;

#[derive(Debug, Clone)]
pub(crate) struct Control {
    socket: Arc<OwnedFd>,
    path: PathBuf,
    /// Device and inode of the file: one that another process has put there since is not ours to remove.
    file: (u64, u64),
    owner: u32,
}

type Failed = (&'static str, io::Error);

impl Control {
    /// Opens what `path` names, or goes on with `old`. The file appears with the rights that it keeps, and in place of
    /// one that nobody listens to any more.
    pub(crate) fn open(
        path: Option<&Path>,
        old: Option<&Self>,
        logs: &Logs,
    ) -> Result<Option<Self>, Refused> {
        let Some(path) = path else { return Ok(None) };
        if let Some(old) = old.filter(|o| o.path == path && o.is_there()) {
            return Ok(Some(old.clone()));
        }
        Self::new(path).map(Some).map_err(|(call, e)| {
            let why = sys::err_text(&e);
            logs.main(Severity::Emerg, format_args!("{call} unix:{} failed ({why})", path.display()));
            Refused
        })
    }

    fn new(path: &Path) -> Result<Self, Failed> {
        // A new binary takes the address over from the old one, which is still there.
        let heir = std::env::var_os(upgrade::VARIABLE).is_some();
        match std::fs::symlink_metadata(path) {
            Ok(meta) if !meta.file_type().is_socket() => {
                return Err(("bind() to", io::Error::from_raw_os_error(sys::EEXIST)));
            }
            Ok(_) if !heir && sys::is_listened_to(path) => {
                return Err(("bind() to", io::Error::from_raw_os_error(sys::EADDRINUSE)));
            }
            _ => {}
        }
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let _ = std::fs::remove_file(&new);
        Self::bind(&new, path).inspect_err(|_| {
            let _ = std::fs::remove_file(&new);
        })
    }

    fn bind(new: &Path, path: &Path) -> Result<Self, Failed> {
        let name = LocalName::Unix(new.to_owned());
        let socket = sys::bind_stream(&name, false, true).map_err(|e| ("bind() to", e))?;
        // Nobody is let in before this: it does not listen yet.
        std::fs::set_permissions(new, std::fs::Permissions::from_mode(0o600)).map_err(|e| ("chmod()", e))?;
        sys::listen_on(socket.as_fd(), BACKLOG).map_err(|e| ("listen() to", e))?;
        std::fs::rename(new, path).map_err(|e| ("rename() to", e))?;
        let file = identity(path).map_err(|e| ("stat()", e))?;
        Ok(Self { socket: Arc::new(socket), path: path.to_owned(), file, owner: sys::user_id() })
    }

    /// What a worker serves.
    pub(crate) fn duplicate(&self) -> io::Result<server::Control> {
        // The master's user: the worker that asks may be another one by now.
        Ok(server::Control { socket: OwnedFd::try_clone(&self.socket)?, owner: self.owner })
    }

    /// Whether the file is still the one that was made.
    fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|file| file == self.file)
    }

    /// Removes the file of `old`, unless `next` goes on with it.
    pub(crate) fn retire(old: Option<&Self>, next: Option<&Self>) {
        if let Some(old) = old
            && next.is_none_or(|n| n.path != old.path)
            && old.is_there()
        {
            let _ = std::fs::remove_file(&old.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|m| (m.dev(), m.ino()))
}
