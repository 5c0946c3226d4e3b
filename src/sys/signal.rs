//! Signals as something that can be waited for: blocked for the whole process and read from a descriptor.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

pub use libc::SIGKILL;

/// The signals that nginx answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Quit,
    Term,
    Int,
    Hup,
    Usr1,
    Usr2,
    Winch,
    Chld,
}

impl Signal {
    pub const ALL: [Signal; 8] = [
        Signal::Quit,
        Signal::Term,
        Signal::Int,
        Signal::Hup,
        Signal::Usr1,
        Signal::Usr2,
        Signal::Winch,
        Signal::Chld,
    ];

    pub fn number(self) -> i32 {
        match self {
            Signal::Quit => libc::SIGQUIT,
            Signal::Term => libc::SIGTERM,
            Signal::Int => libc::SIGINT,
            Signal::Hup => libc::SIGHUP,
            Signal::Usr1 => libc::SIGUSR1,
            Signal::Usr2 => libc::SIGUSR2,
            Signal::Winch => libc::SIGWINCH,
            Signal::Chld => libc::SIGCHLD,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Signal::Quit => "SIGQUIT",
            Signal::Term => "SIGTERM",
            Signal::Int => "SIGINT",
            Signal::Hup => "SIGHUP",
            Signal::Usr1 => "SIGUSR1",
            Signal::Usr2 => "SIGUSR2",
            Signal::Winch => "SIGWINCH",
            Signal::Chld => "SIGCHLD",
        }
    }
}

/// A signal that came, and the process that sent it (0: the kernel).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub signal: Signal,
    pub from: i32,
}

/// The blocked signals of this process, readable.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Blocks the signals of [`Signal::ALL`] in the calling thread and all that it will start, and ignores SIGPIPE.
    pub fn block() -> io::Result<Self> {
        #[expect(
            unsafe_code,
            reason = "the set is a local that sigemptyset initialises; signalfd's answer is owned here"
        )]
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in Signal::ALL {
                libc::sigaddset(&raw mut set, signal.number());
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) < 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self { fd })
    }

    /// Nothing is blocked any more: for a program about to be executed in this process.
    pub fn unblock_all() {
        #[expect(unsafe_code, reason = "the set is a local that sigemptyset initialises")]
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        }
    }

    /// The next signal that has come; does not wait.
    pub fn next(&self) -> Option<Received> {
        loop {
            #[expect(unsafe_code, reason = "read fills a local structure of the size given")]
            let (n, info) = unsafe {
                let mut info: libc::signalfd_siginfo = std::mem::zeroed();
                let size = size_of::<libc::signalfd_siginfo>();
                (libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), size), info)
            };
            if n <= 0 {
                return None;
            }
            let number = i32::try_from(info.ssi_signo).unwrap_or(0);
            if let Some(signal) = Signal::ALL.into_iter().find(|s| s.number() == number) {
                return Some(Received { signal, from: i32::try_from(info.ssi_pid).unwrap_or(0) });
            }
        }
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Waits until one of the descriptors can be read, or the time is over (`None`: for ever). False: the time is over.
pub fn wait_readable(fds: &[RawFd], timeout: Option<Duration>) -> bool {
    let mut list: Vec<libc::pollfd> =
        fds.iter().map(|&fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    let millis = timeout.map_or(-1, |t| i32::try_from(t.as_millis()).unwrap_or(i32::MAX));
    #[expect(unsafe_code, reason = "poll writes into the list whose length it is given")]
    let n = unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, millis) };
    n > 0
}
