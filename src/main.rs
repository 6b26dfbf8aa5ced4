//! The command line of petstream.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// glibc's allocator makes the threads wait for each other: what one allocates, another often frees.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
