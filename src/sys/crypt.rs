//! crypt(3): password hashes as the C library's companion (libcrypt) knows them. It is looked for when the first one is
//! needed, so that a system without it still runs everything else.

use std::ffi::{CStr, CString, c_char, c_void};
use std::io;
use std::sync::OnceLock;

type CryptR = extern "C" fn(*const c_char, *const c_char, *mut c_void) -> *mut c_char;

/// More than any libcrypt's `struct crypt_data` (glibc's is 128 KiB), aligned for all of them.
const WORDS: usize = 256 * 1024 / 8;

/// The names that the library has had.
const LIBRARIES: [&CStr; 2] = [c"libcrypt.so.1", c"libcrypt.so.2"];

fn crypt_r() -> Option<CryptR> {
    static FOUND: OnceLock<Option<CryptR>> = OnceLock::new();
    *FOUND.get_or_init(|| LIBRARIES.iter().find_map(|name| find(name)))
}

#[expect(
    unsafe_code,
    reason = "a library is opened for good, and a function of it called by its documented type"
)]
fn find(library: &CStr) -> Option<CryptR> {
    // SAFETY: both names are C strings; the handle is never closed, so the function stays where it is. `crypt_r` of
    // crypt(3) has this type: the last argument is a `struct crypt_data` of the library's own.
    unsafe {
        let handle = libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        if handle.is_null() {
            return None;
        }
        let function = libc::dlsym(handle, c"crypt_r".as_ptr());
        (!function.is_null()).then(|| std::mem::transmute::<*mut c_void, CryptR>(function))
    }
}

/// The hash of `key` by the method, the cost and the salt that `setting` names; another hash of that kind will do as the
/// setting. Takes as long as the method is meant to take. `Err`: the library does not know the method, or there is none.
pub fn crypt(key: &[u8], setting: &[u8]) -> io::Result<Vec<u8>> {
    let (key, setting) = (CString::new(key)?, CString::new(setting)?);
    let Some(crypt_r) = crypt_r() else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "libcrypt is not installed"));
    };
    let mut data = vec![0_u64; WORDS];
    let hash = crypt_r(key.as_ptr(), setting.as_ptr(), data.as_mut_ptr().cast());
    if hash.is_null() {
        return Err(io::Error::last_os_error());
    }
    #[expect(unsafe_code, reason = "the hash is a C string in `data`, which is still there")]
    // SAFETY: see the reason.
    let hash = unsafe { CStr::from_ptr(hash) };
    Ok(hash.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_library() {
        let hash = match crypt(b"Hello world!", b"$6$saltstring") {
            Ok(hash) => hash,
            Err(e) if e.kind() == io::ErrorKind::Unsupported => return,
            Err(e) => panic!("{e}"),
        };
        // A test vector of the SHA-crypt specification.
        let want = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
        assert_eq!(String::from_utf8_lossy(&hash), want);
        assert!(crypt(b"a\0b", b"$6$x").is_err(), "a NUL ends no key");
    }
}
