//! `petstream completions`: prints a script with which a shell completes commands and options.

use clap_complete::Shell;

use super::failure::{Failure, fault};
use super::output::print;

/// Prints the script for `shell`; `program` has all commands.
pub(super) fn run(shell: Shell, mut program: clap::Command) -> Result<(), Failure> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut script);
    print(&String::from_utf8(script).map_err(fault)?)
}
