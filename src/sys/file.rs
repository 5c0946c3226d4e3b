//! Descriptors of files.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a log file: created with mode 0644 when missing, every write at its end.
pub fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o644).open(path)
}

/// An empty file in memory, which goes when the last descriptor of it does.
pub fn memory_file(name: &CStr) -> io::Result<File> {
    #[expect(unsafe_code, reason = "memfd_create reads the name; the descriptor is new and nobody else's")]
    unsafe {
        let fd = libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(File::from_raw_fd(fd)) }
    }
}

/// The descriptor of this number, that another program has left open for this one; it ends with the next exec. `None`:
/// there is none. To be asked once for a number, while nothing else of the process can have it.
pub fn inherited_file(number: RawFd) -> Option<File> {
    close_on_exec(number, true).ok()?;
    #[expect(unsafe_code, reason = "it is open, and who calls says that it is nobody else's")]
    Some(unsafe { File::from_raw_fd(number) })
}

/// Makes `old` mean what `new` means, at once for every thread: how an open log file is exchanged.
pub fn move_onto(new: &File, old: &File) -> io::Result<()> {
    #[expect(unsafe_code, reason = "dup3 on two descriptors that the borrows keep open")]
    let done = unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes the standard error mean this file.
pub fn stderr_to(file: &File) -> io::Result<()> {
    #[expect(unsafe_code, reason = "dup2 onto the standard error, which stays open all along")]
    let done = unsafe { libc::dup2(file.as_raw_fd(), libc::STDERR_FILENO) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// One write(2), without the retry and the buffer of the standard library. Interrupted ones are repeated.
pub fn write_all_or_part(file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        #[expect(
            unsafe_code,
            reason = "write reads the slice it is given, from a descriptor kept open by the borrow"
        )]
        let n = unsafe { libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        if let Ok(n) = usize::try_from(n) {
            return Ok(n);
        }
        let err = io::Error::last_os_error();
        if err.kind() != io::ErrorKind::Interrupted {
            return Err(err);
        }
    }
}

/// A byte that waits to be read; `None`: nothing waits, or the other side is closed.
pub fn read_byte(fd: &OwnedFd) -> Option<u8> {
    let mut byte = 0u8;
    #[expect(unsafe_code, reason = "read fills the one byte it is given")]
    let n = unsafe { libc::read(fd.as_raw_fd(), (&raw mut byte).cast(), 1) };
    (n == 1).then_some(byte)
}

/// Whether the other side of a pair of sockets is closed and nothing is left to read.
pub fn is_closed(fd: &OwnedFd) -> bool {
    let mut byte = 0u8;
    #[expect(unsafe_code, reason = "recv may write the one byte it is given")]
    let n =
        unsafe { libc::recv(fd.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    n == 0
}

/// One write to the standard error; what cannot be written is lost.
pub fn write_stderr(bytes: &[u8]) {
    let _ = write_all_or_part(io::stderr().as_fd(), bytes);
}

pub fn is_terminal(fd: RawFd) -> bool {
    #[expect(unsafe_code, reason = "isatty only asks about a number")]
    let yes = unsafe { libc::isatty(fd) };
    yes == 1
}

/// Whether a descriptor is closed by an exec.
pub fn close_on_exec(fd: RawFd, on: bool) -> io::Result<()> {
    #[expect(unsafe_code, reason = "fcntl with integer arguments")]
    let done = unsafe { libc::fcntl(fd, libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Points the standard input and output at /dev/null, as a daemon has them.
pub fn null_stdio() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for fd in [libc::STDIN_FILENO, libc::STDOUT_FILENO] {
        #[expect(unsafe_code, reason = "dup2 onto the standard descriptors, which nothing else owns")]
        let done = unsafe { libc::dup2(null.as_raw_fd(), fd) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
