//! The `tenrec` binary: hands the command line to [`tenrec::cli`] and its answer to the system.

#[global_allocator]
static ALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tenrec::cli::main(std::env::args_os().collect())
}
