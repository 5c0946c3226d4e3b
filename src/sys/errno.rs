//! Errors of the system as nginx prints them.

use std::ffi::CStr;
use std::io;

pub use libc::{EADDRINUSE, ECONNABORTED, EEXIST, EMFILE, ENFILE};

/// `2: No such file or directory`, what nginx puts between parentheses after a message.
pub fn errno_text(errno: i32) -> String {
    let mut buf = [0 as libc::c_char; 256];
    #[expect(unsafe_code, reason = "strerror_r writes a terminated text into a buffer of the given size")]
    let text = unsafe {
        libc::strerror_r(errno, buf.as_mut_ptr(), buf.len());
        CStr::from_ptr(buf.as_ptr())
    };
    format!("{errno}: {}", text.to_string_lossy())
}

/// The same for an [`io::Error`]; one that has no number gives its own words.
pub fn err_text(err: &io::Error) -> String {
    match err.raw_os_error() {
        Some(errno) => errno_text(errno),
        None => err.to_string(),
    }
}
