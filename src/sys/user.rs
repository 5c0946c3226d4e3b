//! Users, groups and privileges.

use std::ffi::CString;
use std::io;
use std::path::Path;

/// Who the worker becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

pub fn is_root() -> bool {
    user_id() == 0
}

/// The user that this process acts as.
pub fn user_id() -> u32 {
    #[expect(unsafe_code, reason = "geteuid has no arguments")]
    unsafe {
        libc::geteuid()
    }
}

/// The user's number and its own group; `Ok(None)`: there is no such user.
pub fn lookup_user(name: &str) -> io::Result<Option<(u32, u32)>> {
    let name = CString::new(name)?;
    let mut buf = vec![0 as libc::c_char; 16 * 1024];
    #[expect(unsafe_code, reason = "getpwnam_r fills a local structure and a buffer of the given size")]
    unsafe {
        let mut entry: libc::passwd = std::mem::zeroed();
        let mut found = std::ptr::null_mut();
        let rc = libc::getpwnam_r(name.as_ptr(), &raw mut entry, buf.as_mut_ptr(), buf.len(), &raw mut found);
        match (rc, found.is_null()) {
            (0, true) => Ok(None),
            (0, false) => Ok(Some((entry.pw_uid, entry.pw_gid))),
            (rc, _) => Err(io::Error::from_raw_os_error(rc)),
        }
    }
}

/// The group's number; `Ok(None)`: there is no such group.
pub fn lookup_group(name: &str) -> io::Result<Option<u32>> {
    let name = CString::new(name)?;
    let mut buf = vec![0 as libc::c_char; 64 * 1024];
    #[expect(unsafe_code, reason = "getgrnam_r fills a local structure and a buffer of the given size")]
    unsafe {
        let mut entry: libc::group = std::mem::zeroed();
        let mut found = std::ptr::null_mut();
        let rc = libc::getgrnam_r(name.as_ptr(), &raw mut entry, buf.as_mut_ptr(), buf.len(), &raw mut found);
        match (rc, found.is_null()) {
            (0, true) => Ok(None),
            (0, false) => Ok(Some(entry.gr_gid)),
            (rc, _) => Err(io::Error::from_raw_os_error(rc)),
        }
    }
}

/// Gives up root: group, supplementary groups, user, in this order. The error names the call that failed, as nginx
/// does.
pub fn become_user(ids: &Ids) -> Result<(), (String, io::Error)> {
    let failed = |call: String| (call, io::Error::last_os_error());
    let name = CString::new(ids.name.as_str())
        .map_err(|e| (format!("initgroups({}, {}) failed", ids.name, ids.gid), e.into()))?;
    #[expect(unsafe_code, reason = "numbers, and a terminated name that outlives the call")]
    unsafe {
        if libc::setgid(ids.gid) < 0 {
            return Err(failed(format!("setgid({}) failed", ids.gid)));
        }
        if libc::initgroups(name.as_ptr(), ids.gid) < 0 {
            return Err(failed(format!("initgroups({}, {}) failed", ids.name, ids.gid)));
        }
        if libc::setuid(ids.uid) < 0 {
            return Err(failed(format!("setuid({}) failed", ids.uid)));
        }
        // Core files after setuid, as nginx allows them.
        libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
    Ok(())
}

/// Makes `uid` the owner of a file, its group untouched.
pub fn change_owner(path: &Path, uid: u32) -> io::Result<()> {
    std::os::unix::fs::chown(path, Some(uid), None)
}
