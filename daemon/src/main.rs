//! The program `bartizan`: everything is in the library, and begins in [`bartizan::cli`].

use std::process::ExitCode;

/// glibc's arenas grow for days under tokio.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bartizan::cli::main()
}
