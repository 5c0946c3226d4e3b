//! The directories of temporary files: made at start, and given to the user that the worker becomes.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::diag::Severity;
use crate::log::Logs;
use crate::plan::{Content, Plan};
use crate::sys;

use super::sockets::Refused;

/// Makes what is missing of `plan`'s directories. `owner`: the worker's user, when this process is root's.
pub(crate) fn make(plan: &Plan, owner: Option<u32>, say: &Logs) -> Result<(), Refused> {
    let mut dirs: BTreeSet<&Path> = BTreeSet::new();
    for location in &plan.locations {
        dirs.insert(&location.body_temp_path);
        if let Content::Proxy(proxy) = &location.content {
            dirs.insert(&proxy.temp_path);
        }
    }
    for dir in dirs {
        one(dir, owner).map_err(|(call, e)| {
            let why = sys::err_text(&e);
            say.main(Severity::Emerg, format_args!("{call} \"{}\" failed ({why})", dir.display()));
            Refused
        })?;
    }
    Ok(())
}

fn one(dir: &Path, owner: Option<u32>) -> Result<(), (&'static str, io::Error)> {
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(("mkdir()", e)),
        _ => {}
    }
    let Some(owner) = owner else { return Ok(()) };
    let meta = std::fs::metadata(dir).map_err(|e| ("stat()", e))?;
    if meta.uid() != owner {
        sys::change_owner(dir, owner).map_err(|e| ("chown()", e))?;
    }
    let mode = meta.permissions().mode();
    if mode & 0o700 != 0o700 {
        let wider = std::fs::Permissions::from_mode(mode | 0o700);
        std::fs::set_permissions(dir, wider).map_err(|e| ("chmod()", e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_for_its_owner_alone_and_kept() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("client_body_temp");
        one(&dir, None).expect("made");
        assert_eq!(std::fs::metadata(&dir).expect("there").mode() & 0o777, 0o700);
        one(&dir, None).expect("kept");
        let missing = base.path().join("no/such");
        assert_eq!(one(&missing, None).expect_err("nginx makes one level").0, "mkdir()");
    }
}
