//! Processes.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;

pub type Pid = i32;

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    Child,
    Parent(Pid),
}

/// Forks. The caller must be the only thread of its process: the child would have none of the others.
pub fn fork() -> io::Result<Fork> {
    #[expect(unsafe_code, reason = "fork in a process with one thread leaves the child's memory whole")]
    let pid = unsafe { libc::fork() };
    match pid {
        0 => Ok(Fork::Child),
        n if n > 0 => Ok(Fork::Parent(n)),
        _ => Err(io::Error::last_os_error()),
    }
}

pub fn pid() -> Pid {
    i32::try_from(std::process::id()).unwrap_or(0)
}

pub fn parent() -> Pid {
    i32::try_from(std::os::unix::process::parent_id()).unwrap_or(0)
}

/// The kernel's number of the calling thread.
pub fn thread_id() -> i32 {
    #[expect(unsafe_code, reason = "gettid has no arguments")]
    let tid = unsafe { libc::syscall(libc::SYS_gettid) };
    i32::try_from(tid).unwrap_or(0)
}

/// Ends the process without running what was registered for its exit: how a forked child leaves.
pub fn exit_now(code: i32) -> ! {
    #[expect(unsafe_code, reason = "_exit does not return")]
    unsafe {
        libc::_exit(code)
    }
}

/// Leaves the terminal: fork, new session, umask 0, standard input and output on /dev/null. Returns in the child; the
/// parent exits with 0.
pub fn daemonize() -> io::Result<()> {
    if let Fork::Parent(_) = fork()? {
        exit_now(0);
    }
    #[expect(unsafe_code, reason = "setsid and umask take no pointers")]
    unsafe {
        if libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::umask(0);
    }
    super::null_stdio()
}

pub fn kill(pid: Pid, signal: i32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "kill takes numbers")]
    let done = unsafe { libc::kill(pid, signal) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal { number: i32, core: bool },
}

/// A child that has ended, if there is one; does not wait.
pub fn reap() -> Option<(Pid, Exit)> {
    let mut status = 0;
    #[expect(unsafe_code, reason = "waitpid writes the status into a local")]
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    if pid <= 0 {
        return None;
    }
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal { number: libc::WTERMSIG(status), core: libc::WCOREDUMP(status) }
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    Some((pid, exit))
}

/// Waits for one child to end.
pub fn wait_for(pid: Pid) {
    let mut status = 0;
    loop {
        #[expect(unsafe_code, reason = "waitpid writes the status into a local")]
        let done = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if done >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// Replaces this process by a program. Returns only when that failed.
pub fn execute(path: &OsString, args: &[OsString], env: &[(OsString, OsString)]) -> io::Error {
    let c = |s: OsString| CString::new(s.into_vec()).map_err(io::Error::from);
    let build = || -> io::Result<_> {
        let path = c(path.clone())?;
        let args = args.iter().cloned().map(c).collect::<io::Result<Vec<_>>>()?;
        let env = env
            .iter()
            .map(|(name, value)| {
                let mut pair = name.clone();
                pair.push("=");
                pair.push(value);
                c(pair)
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok((path, args, env))
    };
    let (path, args, env) = match build() {
        Ok(built) => built,
        Err(err) => return err,
    };
    let list = |v: &[CString]| v.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (argv, envp) = (list(&args), list(&env));
    #[expect(
        unsafe_code,
        reason = "execve reads terminated lists of terminated strings that outlive the call"
    )]
    unsafe {
        libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr());
    }
    io::Error::last_os_error()
}

/// `RLIMIT_NOFILE`, soft and hard.
pub fn set_nofile(limit: u64) -> io::Result<()> {
    let rlimit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    #[expect(unsafe_code, reason = "setrlimit reads a local structure")]
    let done = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const rlimit) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Processors that are online, what `worker_processes auto` means.
pub fn affinity_count() -> u32 {
    #[expect(unsafe_code, reason = "sysconf takes a number")]
    let n = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u32::try_from(n).unwrap_or(1).max(1)
}

/// The machine's name in lower case, as `$hostname` gives it.
pub fn hostname() -> String {
    let mut buf = [0u8; 256];
    #[expect(unsafe_code, reason = "gethostname writes at most the given length")]
    let done = unsafe { libc::gethostname(buf.as_mut_ptr().cast(), buf.len() - 1) };
    if done < 0 {
        return String::new();
    }
    let end = buf.iter().position(|&b| b == 0).unwrap_or(buf.len());
    String::from_utf8_lossy(&buf[..end]).to_ascii_lowercase()
}
