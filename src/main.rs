//! The command line of petstream.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
