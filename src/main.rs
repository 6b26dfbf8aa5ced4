//! The petstream program. Everything it does is in the library and in `cli`.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// With glibc's allocator, threads contend for locks when one frees what another has allocated.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
