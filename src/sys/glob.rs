//! `glob(3)`, so that patterns mean exactly what they mean to nginx.

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The paths that match, in the order of their bytes; none when nothing matches.
pub fn glob(pattern: &[u8]) -> io::Result<Vec<PathBuf>> {
    let pattern = CString::new(pattern).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    #[expect(unsafe_code, reason = "an all-zero glob_t is what glob(3) asks for when no offset is used")]
    let mut found: libc::glob_t = unsafe { std::mem::zeroed() };
    #[expect(unsafe_code, reason = "the pattern is terminated and the result lives until globfree below")]
    let code = unsafe { libc::glob(pattern.as_ptr(), libc::GLOB_NOSORT, None, &raw mut found) };
    let error = io::Error::last_os_error();
    let mut paths: Vec<PathBuf> = match code {
        0 => (0..found.gl_pathc)
            .map(|i| {
                #[expect(unsafe_code, reason = "glob(3) gave gl_pathc terminated strings")]
                let path = unsafe { CStr::from_ptr(*found.gl_pathv.add(i)) };
                PathBuf::from(OsString::from_vec(path.to_bytes().to_vec()))
            })
            .collect(),
        _ => Vec::new(),
    };
    #[expect(unsafe_code, reason = "the structure was filled by glob(3), also when it failed")]
    unsafe {
        libc::globfree(&raw mut found);
    }
    // By bytes whatever the locale.
    paths.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    match code {
        0 | libc::GLOB_NOMATCH => Ok(paths),
        libc::GLOB_NOSPACE => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
        _ => Err(error),
    }
}
