//! Parses the command line, runs the command and turns its result into an exit code.

use std::collections::HashMap;
use std::fmt::Display;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use petstream::config::{DEFAULT_FILE, Flags, Sources};

use super::arguments::{Arguments, Command, Options};
use super::failure::{Failure, fault, message};
use super::output::{note, print};
use super::{check, completions, copy, epoch, events, healthcheck, keys, man, migrate, reload, restore, serve, usage};

/// Exit code for wrong usage or configuration, as in sysexits.h.
const EXIT_USAGE: u8 = 64;
/// Exit code for every other failure.
const EXIT_FAILURE: u8 = 1;

/// Runs the command of the command line.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are not errors. A failure to print can't be reported anywhere.
            let _ = error.print();
            return if error.exit_code() == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) };
        }
    };
    match sources(arguments.options).and_then(|sources| dispatch(arguments.command, &sources)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(report(failure)),
    }
}

fn dispatch(command: Option<Command>, sources: &Sources) -> Result<(), Failure> {
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::serve(sources),
        Command::Check => check::check(sources),
        Command::Reload => reload::run(sources),
        Command::Config => print(DEFAULT_FILE),
        Command::Keys(command) => keys::run(command, sources),
        Command::Usage(command) => usage::run(&command, sources),
        Command::Events(command) => events::run(command, sources),
        Command::Epoch(command) => epoch::run(&command, sources),
        Command::Copy(command) => copy::run(&command),
        Command::Migrate => migrate::run(sources),
        Command::Restore(command) => restore::run(&command, sources),
        Command::Healthcheck(command) => healthcheck::run(&command, sources),
        Command::Completions { shell } => completions::run(shell, Arguments::command()),
        Command::Man(command) => man::run(&command, Arguments::command()),
    }
}

/// Flags, environment and working folder of this process.
fn sources(options: Options) -> Result<Sources, Failure> {
    let Options { config, listen, database, redis, log_format, print_key } = options;
    let folder =
        std::env::current_dir().map_err(|error| fault(format!("the working folder can't be found: {error}")))?;
    // Text that is not Unicode is kept with replacement characters, so that the setting is refused and not ignored.
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment: HashMap<_, _> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    Ok(Sources { flags: Flags { config, listen, database, redis, log_format, print_key }, environment, folder })
}

/// Reports a failure on stderr; returns the exit code.
fn report(failure: Failure) -> u8 {
    match failure {
        Failure::Usage(problem) => {
            note(&message(&problem));
            EXIT_USAGE
        }
        Failure::Configuration(errors) => report_all(&errors),
        Failure::Rejected(errors) => report_all(&errors),
        Failure::Fault(problem) => {
            note(&message(&problem));
            EXIT_FAILURE
        }
        Failure::Reported => EXIT_FAILURE,
    }
}

/// Reports the errors of a configuration.
fn report_all(errors: &[impl Display]) -> u8 {
    errors.iter().for_each(|error| note(&error.to_string()));
    let count = match errors.len() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    };
    note(&message(&format!("the configuration has {count}")));
    EXIT_USAGE
}
