//! Owns: what a thread gives to all rooms above: the cached clock, the connection timer, randomness, the runtime.
//! May use: tokio's time and runtime.
//! Never touches: sockets, configuration.

pub mod clock;
mod rng;
mod timeout;

pub use rng::{Rng, secret};
pub use timeout::{Elapsed, Timeout};

/// The runtime of a thread: it polls tasks that are not `Send`, and refreshes [`clock`] whenever it wakes up.
pub fn runtime() -> std::io::Result<tokio::runtime::LocalRuntime> {
    clock::refresh();
    clock::hooked();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_unpark(clock::refresh)
        .build_local(tokio::runtime::LocalOptions::default())
}
