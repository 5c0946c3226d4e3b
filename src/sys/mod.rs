//! Owns: what is asked of the operating system directly: processes, signals, users, descriptors, sockets, local time.
//! May use: nothing of tenrec. The only room with unsafe code and libc.
//! Never touches: configuration, logs, anything of a request.

mod crypt;
mod errno;
mod file;
mod glob;
mod memory;
mod process;
mod resolve;
mod signal;
mod socket;
mod time;
mod user;
pub mod x509;

pub use crypt::crypt;
pub use errno::{EADDRINUSE, ECONNABORTED, EEXIST, EMFILE, ENFILE, err_text, errno_text};
pub use file::{
    close_on_exec, inherited_file, is_closed, is_terminal, memory_file, move_onto, null_stdio, open_append,
    read_byte, stderr_to, write_all_or_part, write_stderr,
};
pub use glob::glob;
pub use memory::{SharedMemory, SharedWords};
pub use process::{
    Exit, Fork, Pid, affinity_count, daemonize, execute, exit_now, fork, hostname, kill, parent, pid, reap,
    set_nofile, thread_id, wait_for,
};
pub use resolve::resolve;
pub use signal::{Received, SIGKILL, Signal, Signals, wait_readable};
pub use socket::{
    KeepAlive, LocalName, Tuning, accept_waiting, adopt, bind_stream, has_input, is_listened_to, listen_on,
    local_name, name_of, open_to_all, pair, share_address, steer, steer_no_more, tune,
};
pub use time::{monotonic_millis, now, utc_offset_minutes};
pub use user::{Ids, become_user, change_owner, is_root, lookup_group, lookup_user, user_id};
