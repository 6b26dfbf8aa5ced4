//! `petstream man`: prints a manual page, of the program or of one command.

use clap::Args;
use clap_mangen::Man;

use super::failure::{Failure, fault};
use super::output::print;

#[derive(Args)]
pub(super) struct Command {
    /// A command, such as keys or keys create [default: the program]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// Prints the page in roff; `program` has all commands.
pub(super) fn run(command: &Command, mut program: clap::Command) -> Result<(), Failure> {
    // Gives each command the options of the program and its full name.
    program.build();
    let mut page = &program;
    for name in &command.command {
        let found = page.find_subcommand(name);
        page = found.ok_or_else(|| Failure::Usage(format!("there is no command {}", command.command.join(" "))))?;
    }
    let mut roff = Vec::new();
    Man::new(page.clone()).render(&mut roff).map_err(fault)?;
    print(&String::from_utf8(roff).map_err(fault)?)
}
