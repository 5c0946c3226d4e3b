//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

/// Where a socket is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalName {
    Inet(SocketAddr),
    Unix(PathBuf),
}

impl LocalName {
    fn to_sockaddr(&self) -> io::Result<SockAddr> {
        match self {
            LocalName::Inet(addr) => Ok(SockAddr::from(*addr)),
            LocalName::Unix(path) => SockAddr::unix(path),
        }
    }
}

/// A socket bound to an address, not blocking, not yet listening. `reuseport`: other sockets that say so too may
/// share the address; `v6only` is for IPv6 alone.
pub fn bind_stream(name: &LocalName, reuseport: bool, v6only: bool) -> io::Result<OwnedFd> {
    let addr = name.to_sockaddr()?;
    let socket = Socket::new(addr.domain(), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if reuseport {
        socket.set_reuse_port(true)?;
    }
    if addr.domain() == Domain::IPV6 {
        socket.set_only_v6(v6only)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr)?;
    Ok(socket.into())
}

/// Starts to listen; on a socket that listens already it changes the backlog.
pub fn listen_on(socket: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    SockRef::from(&socket).listen(backlog)
}

/// Lets an already bound socket share its address with sockets that are bound after it.
pub fn share_address(socket: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&socket).set_reuse_port(true)
}

/// Options that a listening socket hands on to the connections it accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tuning {
    pub rcvbuf: Option<usize>,
    pub sndbuf: Option<usize>,
    pub keepalive: Option<KeepAlive>,
    pub deferred: bool,
    pub fastopen: Option<i32>,
}

/// SO_KEEPALIVE, and the kernel's idle time, interval and count where they are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeepAlive {
    pub on: bool,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
}

/// Sets them; the answer names each that failed as nginx does. Each failure is one that nginx goes on after.
pub fn tune(socket: BorrowedFd<'_>, tuning: &Tuning) -> Vec<(String, io::Error)> {
    let sock = SockRef::from(&socket);
    let mut failed = Vec::new();
    let mut note = |what: String, done: io::Result<()>| {
        if let Err(err) = done {
            failed.push((what, err));
        }
    };
    if let Some(n) = tuning.rcvbuf {
        note(format!("SO_RCVBUF, {n}"), sock.set_recv_buffer_size(n));
    }
    if let Some(n) = tuning.sndbuf {
        note(format!("SO_SNDBUF, {n}"), sock.set_send_buffer_size(n));
    }
    if let Some(KeepAlive { on, idle, interval, count }) = tuning.keepalive {
        note(format!("SO_KEEPALIVE, {}", i32::from(on)), sock.set_keepalive(on));
        if on && (idle.is_some() || interval.is_some() || count.is_some()) {
            let mut set = TcpKeepalive::new();
            set = idle.map_or(set.clone(), |t| set.with_time(t));
            set = interval.map_or(set.clone(), |t| set.with_interval(t));
            set = count.map_or(set.clone(), |n| set.with_retries(n));
            note("TCP_KEEPIDLE".to_owned(), sock.set_tcp_keepalive(&set));
        }
    }
    if tuning.deferred {
        note("TCP_DEFER_ACCEPT, 1".to_owned(), option(socket, libc::TCP_DEFER_ACCEPT, 1));
    }
    if let Some(n) = tuning.fastopen {
        note(format!("TCP_FASTOPEN, {n}"), option(socket, libc::TCP_FASTOPEN, n));
    }
    failed
}

fn option(socket: BorrowedFd<'_>, name: i32, value: i32) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, name, &value)
}

fn set_option<T>(socket: BorrowedFd<'_>, level: i32, name: i32, value: &T) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    #[expect(unsafe_code, reason = "setsockopt reads the value whose size it is given")]
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), size) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends every new connection of the sockets that share an address to the first `keep` of them (in the order in which
/// they began to listen), by the same hash that the kernel spreads them with.
pub fn steer(socket: BorrowedFd<'_>, keep: u32) -> io::Result<()> {
    let ancillary = |field: i32| (libc::SKF_AD_OFF + field).cast_unsigned();
    let op = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, ancillary(libc::SKF_AD_RXHASH)),
        op(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, keep.max(1)),
        op(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &filter)
}

/// Undoes [`steer`].
pub fn steer_no_more(socket: BorrowedFd<'_>) -> io::Result<()> {
    const SO_DETACH_REUSEPORT_BPF: i32 = 68;
    set_option(socket, libc::SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &0i32)
}

/// Where the listening socket with this number is bound; an error when the number is no socket of a kind that
/// listens.
pub fn local_name(fd: RawFd) -> io::Result<LocalName> {
    #[expect(unsafe_code, reason = "the descriptor is only looked at while this function runs")]
    let socket = unsafe { BorrowedFd::borrow_raw(fd) };
    name_of(socket)
}

/// Where a socket is bound.
pub fn name_of(socket: BorrowedFd<'_>) -> io::Result<LocalName> {
    let addr = SockRef::from(&socket).local_addr()?;
    if let Some(inet) = addr.as_socket() {
        return Ok(LocalName::Inet(inet));
    }
    match addr.as_pathname() {
        Some(path) => Ok(LocalName::Unix(path.to_path_buf())),
        None => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
    }
}

/// Takes over an open descriptor that nothing else in this process owns: one inherited from the program that
/// executed this one.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    super::close_on_exec(fd, true)?;
    #[expect(unsafe_code, reason = "fcntl has just shown it open, and the caller names it once")]
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the descriptor has bytes to read, an end or an error waiting; reads nothing. The caller knows it open.
pub fn has_input(fd: RawFd) -> bool {
    let mut byte = 0u8;
    #[expect(unsafe_code, reason = "recv may write the one byte it is given")]
    let n = unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    n >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock
}

/// Accepts what waits, without waiting; `Ok(None)`: nothing does.
pub fn accept_waiting(listener: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    #[expect(unsafe_code, reason = "accept4 without an address; its answer is owned here")]
    unsafe {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let fd = libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags);
        if fd >= 0 {
            return Ok(Some(OwnedFd::from_raw_fd(fd)));
        }
    }
    match io::Error::last_os_error() {
        err if err.kind() == io::ErrorKind::WouldBlock => Ok(None),
        err => Err(err),
    }
}

/// Gives everybody the right to connect to the socket at `path`, as nginx does.
pub fn open_to_all(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))
}

/// Whether somebody accepts connections at `path`; waits for nothing.
pub fn is_listened_to(path: &Path) -> bool {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    match connect() {
        Ok(()) => true,
        // Its queue is full.
        Err(e) => e.kind() == io::ErrorKind::WouldBlock,
    }
}

/// A pair of connected sockets, not blocking, between a process and its child.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (a, b) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
    a.set_nonblocking(true)?;
    b.set_nonblocking(true)?;
    Ok((a.into(), b.into()))
}
